//! Stages of audiences: literal arguments that they refuse, and stages of one chain that no follower passes together.

use super::file::{File, Problem, chain};
use crate::{
    api::user::CHANNELS,
    base::closest_match,
    script::{
        audience::audience::read_count,
        functions::time_and_text::read_time,
        host::error::{ScriptError, ScriptResult},
        source::body::{Node, bodies},
    },
};
use rhai::{Array, Dynamic, Expr, FnCallExpr, Position};

/// The error of a script's function that refuses a value.
pub(super) fn error_of<T>(result: ScriptResult<T>) -> Option<ScriptError> {
    let error = result.err()?;
    ScriptError::find_in(&error)
}

/// Why a stage refuses a literal argument.
pub(super) fn refused_stage(name: &str, value: &Dynamic) -> Option<ScriptError> {
    match name {
        "take" | "sample" => error_of(read_count(name, value.as_int().ok()?)),
        "since" | "before" => error_of(read_time(value.as_immutable_string_ref().ok()?.as_str())),
        "by_channel" => {
            let channel = value.as_immutable_string_ref().ok()?;
            if CHANNELS.contains(&channel.as_str()) {
                return None;
            }
            let hint = match closest_match(channel.as_str(), CHANNELS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", CHANNELS.join(", ")),
            };
            Some(ScriptError::usage(format!("there is no channel `{}`", channel.as_str()), hint))
        }
        "from_scene" => {
            let scene = refused_scene(value)?;
            let message = format!(
                "from_scene takes a number from 1, a text that is not empty, or a list of these, not {scene}"
            );
            Some(ScriptError::usage(
                message,
                "for example from_scene(98765), or from_scene([98765, \"展台\"])",
            ))
        }
        _ => None,
    }
}

/// What of a literal scene is none, as text.
fn refused_scene(value: &Dynamic) -> Option<String> {
    if let Some(list) = value.read_lock::<Array>() {
        let is_refused =
            list.is_empty() || list.iter().any(|scene| scene.is_array() || refused_scene(scene).is_some());
        return is_refused.then(|| format!("{value:?}"));
    }
    let is_scene = match (value.as_int(), value.as_immutable_string_ref()) {
        (Ok(number), _) => number > 0,
        (_, Ok(text)) => !text.as_str().is_empty(),
        _ => false,
    };
    (!is_scene).then(|| format!("{value:?}"))
}

/// A stage with its literal argument, if it has one.
struct Condition<'a> {
    call: &'a FnCallExpr,
    position: Position,
    value: Option<Dynamic>,
}

/// Chains that no follower passes.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let own: Vec<&str> = file.ast.iter_functions().map(|function| function.name).collect();
    let mut problems = Vec::new();
    for body in bodies(file.ast) {
        body.walk(&mut |node| {
            let Node::Expr(expr @ Expr::Dot(..)) = node else { return };
            let (root, links) = chain(expr);
            // The rest of a longer chain has been looked at.
            if matches!(root, Expr::MethodCall(..) | Expr::Property(..)) {
                return;
            }
            let calls = links.into_iter().map_while(|link| match link {
                Expr::MethodCall(call, position) => Some((&**call, *position)),
                _ => None,
            });
            let conditions: Vec<Condition> = calls
                .filter(|(call, _)| !own.contains(&call.name.as_str()))
                .map(|(call, position)| {
                    let value = call.args.first().and_then(|argument| argument.get_literal_value(None));
                    Condition { call, position, value }
                })
                .collect();
            problems.extend(
                contradiction(&conditions)
                    .map(|(position, message, hint)| Problem::new(file, position, message, Some(hint))),
            );
        });
    }
    problems
}

/// The first stage that no follower passes who has passed those before it.
fn contradiction(conditions: &[Condition]) -> Option<(Position, String, String)> {
    conditions.iter().enumerate().find_map(|(at, second)| {
        let first = conditions[..at].iter().find(|first| exclude(first, second))?;
        let (one, other) = (written(first), written(second));
        let message = format!("no follower passes both {one} and {other}");
        let hint = match (second.call.name.as_str(), &first.value, &second.value) {
            ("from_scene", Some(one), Some(other)) => {
                format!("those who came by either are from_scene([{}, {}])", entries(one), entries(other))
            }
            _ => format!("leave one out, or make two audiences: {one} and {other}"),
        };
        Some((second.position, message, hint))
    })
}

/// A literal as an entry of a list, or its entries.
fn entries(value: &Dynamic) -> String {
    match value.read_lock::<Array>() {
        Some(list) => list.iter().map(|entry| format!("{entry:?}")).collect::<Vec<_>>().join(", "),
        None => format!("{value:?}"),
    }
}

fn written(condition: &Condition) -> String {
    let value = condition.value.as_ref().map(|value| format!("{value:?}"));
    format!("{}({})", condition.call.name, value.unwrap_or_default())
}

/// Whether two stages exclude each other for certain.
fn exclude(first: &Condition, second: &Condition) -> bool {
    let names = (first.call.name.as_str(), second.call.name.as_str());
    let text = |condition: &Condition| {
        let text = condition.value.as_ref()?.as_immutable_string_ref().ok()?;
        Some(text.as_str().to_owned())
    };
    let time = |condition: &Condition| text(condition).and_then(|text| read_time(&text).ok());
    match names {
        ("from_scene", "from_scene") => match (scenes(first), scenes(second)) {
            (Some(one), Some(other)) => !one.iter().any(|scene| other.contains(scene)),
            _ => false,
        },
        ("by_channel", "by_channel") => {
            text(first).zip(text(second)).is_some_and(|(one, other)| one != other)
        }
        ("with_tag", "without_tag") | ("without_tag", "with_tag") => {
            text(first).zip(text(second)).is_some_and(|(one, other)| one == other)
        }
        ("untagged", "with_tag") | ("with_tag", "untagged") => true,
        ("since", "before") => time(first).zip(time(second)).is_some_and(|(from, to)| from >= to),
        ("before", "since") => time(second).zip(time(first)).is_some_and(|(from, to)| from >= to),
        _ => false,
    }
}

/// The scenes of a literal argument as texts: a text of digits stands for the number too.
fn scenes(condition: &Condition) -> Option<Vec<String>> {
    let value = condition.value.as_ref()?;
    if let Some(list) = value.read_lock::<Array>() {
        return list.iter().map(scene_text).collect();
    }
    scene_text(value).map(|scene| vec![scene])
}

fn scene_text(value: &Dynamic) -> Option<String> {
    if let Ok(number) = value.as_int() {
        return Some(number.to_string());
    }
    let text = value.as_immutable_string_ref().ok()?;
    // As `from_scene` reads it.
    let number = text.as_str().parse::<i64>().ok().filter(|number| *number > 0);
    Some(number.map_or_else(|| text.as_str().to_owned(), |number| number.to_string()))
}
