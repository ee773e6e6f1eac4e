//! The values that scripts hold: followers, tags, tokens, reports.

use super::{
    error::{ScriptError, ScriptResult},
    value_type::{DeclaredField, with_article},
};
use crate::{
    api::{
        oauth::Grant,
        tag::Tag,
        token::Token,
        user::{FIELDS, User},
    },
    base::{Secret, SettingNames, closest_match, millis},
    bulk::OperationReport,
    for_each_user_field,
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext, Scope};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    any::TypeId,
    ops::{Range, RangeInclusive},
    sync::Arc,
};

/// A follower in a script. Cheap to clone: iterating over an array of Rhai maps would cost ten times as much.
#[derive(Clone, Debug)]
pub(crate) struct Follower(pub Arc<User>);

/// A token in a script: opaque, prints as `***`.
#[derive(Clone, Debug)]
pub(crate) struct OpaqueToken {
    /// Only given to the client, never to a script.
    pub secret: Secret,
    /// Seconds.
    pub expires_in: i64,
}

impl From<Token> for OpaqueToken {
    fn from(token: Token) -> Self {
        Self { secret: token.access_token.0, expires_in: token.expires_in }
    }
}

/// A Rust value as a script sees it.
trait ToDynamic {
    fn to_script(&self) -> Dynamic;
}

impl ToDynamic for i64 {
    fn to_script(&self) -> Dynamic {
        (*self).into()
    }
}

impl ToDynamic for String {
    fn to_script(&self) -> Dynamic {
        self.clone().into()
    }
}

impl ToDynamic for Vec<i64> {
    fn to_script(&self) -> Dynamic {
        let ids: Array = self.iter().copied().map(Dynamic::from).collect();
        let mut ids = Dynamic::from(ids);
        ids.set_tag(TAG_IDS);
        ids
    }
}

impl<T: ToDynamic> ToDynamic for Option<T> {
    fn to_script(&self) -> Dynamic {
        self.as_ref().map_or(Dynamic::UNIT, ToDynamic::to_script)
    }
}

/// Rhai's tag on an array of tag ids, by which a search for a text in it is recognised as a mistake.
const TAG_IDS: i32 = 2;

/// Levels of arrays and maps in a value that is sent or shown; the platform reads no more either.
pub(crate) const MAX_LEVELS: usize = 64;

/// Why a value can't be sent, and where in it: it has no JSON form, or is too deep.
pub(crate) fn unsendable(value: &Dynamic) -> Option<String> {
    let has_json = |value: &Dynamic| is_plain(value) || is_record(value);
    without_json(value, "", &has_json)
}

/// Why a value can't be kept and read again, and where in it. `root` is what the value is called. A character is sent as a
/// text, but would be a text when it is read again, and a tag would be a map, which stands for no id.
pub(crate) fn unkeepable(value: &Dynamic, root: &str) -> Option<String> {
    let has_json = |value: &Dynamic| {
        let comes_back_as_another = value.is_char() || value.is::<Tag>();
        !comes_back_as_another && (is_plain(value) || is_record(value))
    };
    without_json(value, root, &has_json)
}

/// Whether a value is a record of the platform, whose JSON form is a map.
fn is_record(value: &Dynamic) -> bool {
    value.is::<Follower>() || value.is::<Tag>() || value.is::<OperationReport>() || value.is::<Grant>()
}

/// What of a value has no JSON form, and where in it, or that it is too deep.
fn without_json(value: &Dynamic, root: &str, has_json: &dyn Fn(&Dynamic) -> bool) -> Option<String> {
    fn place(at: &str) -> String {
        if at.is_empty() { "it".to_owned() } else { format!("`{at}`") }
    }

    fn find(value: &Dynamic, at: &str, levels: usize, has_json: &dyn Fn(&Dynamic) -> bool) -> Option<String> {
        if levels > MAX_LEVELS {
            // The beginning of the place: `ctx.state.x` of `ctx.state.x[0][0]…`.
            let names: Vec<&str> =
                at.split(['[', '.']).take(3).take_while(|name| !name.ends_with(']')).collect();
            let place = place(&names.join("."));
            return Some(format!("{place} is nested more than {MAX_LEVELS} levels deep"));
        }
        if let Some(entries) = value.read_lock::<Array>() {
            let mut entries = entries.iter().enumerate();
            return entries
                .find_map(|(number, entry)| find(entry, &format!("{at}[{number}]"), levels + 1, has_json));
        }
        if let Some(map) = value.read_lock::<Map>() {
            let dot = if at.is_empty() { "" } else { "." };
            return map
                .iter()
                .find_map(|(key, value)| find(value, &format!("{at}{dot}{key}"), levels + 1, has_json));
        }
        (!has_json(value)).then(|| format!("{} is {}", place(at), describe_type(value)))
    }
    find(value, root, 0, has_json)
}

/// Whether a value is one of JSON's own, and no list or map.
pub(crate) fn is_plain(value: &Dynamic) -> bool {
    value.is_unit()
        || value.is_int()
        || value.is_bool()
        || value.is_string()
        || value.is_char()
        || value.as_float().is_ok_and(f64::is_finite)
}

/// A script's value as JSON. Tokens are masked, and what has no JSON form is described: [`unsendable`] finds it where that
/// would be wrong. (The engine's own serialization writes the names of Rust types.)
pub(crate) fn to_json(value: &Dynamic) -> Value {
    to_json_at(value, 0)
}

fn to_json_at(value: &Dynamic, levels: usize) -> Value {
    if levels > MAX_LEVELS {
        return json!("…");
    }
    if let Some(user) = value.read_lock::<Follower>() {
        return json!(*user.0);
    }
    if let Some(tag) = value.read_lock::<Tag>() {
        return json!(*tag);
    }
    if let Some(report) = value.read_lock::<OperationReport>() {
        return json!(*report);
    }
    if let Some(token) = value.read_lock::<OpaqueToken>() {
        return json!(token.secret.to_string());
    }
    if let Some(grant) = value.read_lock::<Grant>() {
        return json!({"openid": grant.openid, "scope": grant.scope, "unionid": grant.unionid});
    }
    if let Some(entries) = value.read_lock::<Array>() {
        return entries.iter().map(|entry| to_json_at(entry, levels + 1)).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, value)| (key.to_string(), to_json_at(value, levels + 1))).collect();
    }
    if is_plain(value) {
        return serde_json::to_value(value).unwrap_or_default();
    }
    json!(describe_type(value))
}

/// Any data as maps, arrays, texts and numbers.
pub(crate) fn to_dynamic(value: &impl Serialize) -> Dynamic {
    // Data from the platform is JSON, which a script can always hold.
    rhai::serde::to_dynamic(value).unwrap_or_default()
}

/// Data as compact JSON, for `print`.
pub(crate) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value as `print` would show it.
pub(crate) fn to_text(engine: &Engine, value: Dynamic) -> String {
    let mut scope = Scope::new();
    scope.push("value", value);
    engine.eval_with_scope::<String>(&mut scope, "`${value}`").unwrap_or_default()
}

/// The type of a value, as messages name it: `an integer`.
pub(crate) fn describe_type(value: &Dynamic) -> String {
    let kind = if value.is_unit() {
        "()"
    } else if value.is_int() {
        "an integer"
    } else if value.as_float().is_ok_and(|number| !number.is_finite()) {
        "no finite number"
    } else if value.is_float() {
        "a float"
    } else if value.is_bool() {
        "a bool"
    } else if value.is_string() {
        "a string"
    } else if value.is_char() {
        "a character"
    } else if value.is_array() {
        "an array"
    } else if value.is_blob() {
        "a blob"
    } else if value.is_timestamp() {
        "a timestamp"
    } else if value.is::<Range<i64>>() || value.is::<RangeInclusive<i64>>() {
        "a range"
    } else if value.is_map() {
        "a map"
    } else if value.is_fnptr() {
        "a closure"
    } else if value.is::<Follower>() {
        "a User"
    } else if value.is::<Tag>() {
        "a Tag"
    } else if value.is::<OpaqueToken>() {
        "a Token"
    } else if value.is::<OperationReport>() {
        "a Report"
    } else if value.is::<ScriptError>() {
        "an Error"
    } else if value.is::<Grant>() {
        "a Grant"
    } else {
        // A type of another folder: its Rust name is the one that scripts use.
        let name = value.type_name().rsplit("::").next().unwrap_or_default();
        return with_article(name);
    };
    kind.to_owned()
}

pub(crate) fn register(engine: &mut Engine, names: SettingNames) {
    register_follower(engine);
    engine
        .register_type_with_name::<Tag>("Tag")
        .register_get("id", |tag: &mut Tag| tag.id)
        .register_get("name", |tag: &mut Tag| tag.name.clone())
        .register_get("count", |tag: &mut Tag| tag.count.to_script())
        .register_fn("to_string", |tag: &mut Tag| format!("{} (id {})", tag.name, tag.id))
        .register_fn("to_debug", |tag: &mut Tag| compact(tag))
        .register_fn("==", |a: &mut Tag, b: Tag| a.id == b.id)
        .register_fn("!=", |a: &mut Tag, b: Tag| a.id != b.id)
        // A tag stands for its id.
        .register_fn("==", |tag: &mut Tag, id: i64| tag.id == id)
        .register_fn("!=", |tag: &mut Tag, id: i64| tag.id != id)
        .register_fn("==", |id: i64, tag: Tag| tag.id == id)
        .register_fn("!=", |id: i64, tag: Tag| tag.id != id);
    engine
        .register_type_with_name::<OpaqueToken>("Token")
        .register_get("expires_in", |token: &mut OpaqueToken| token.expires_in)
        .register_fn("to_string", |_: &mut OpaqueToken| "***")
        .register_fn("to_debug", |_: &mut OpaqueToken| "***");
    register_report(engine, names);
    register_plain(engine);
}

/// Functions of the engine's own types that would lose something, or show what is inside the engine.
fn register_plain(engine: &mut Engine) {
    engine
        .register_fn("to_json", |map: &mut Map| -> ScriptResult<String> {
            let map = Dynamic::from(map.clone());
            match unsendable(&map) {
                Some(reason) => {
                    let hint = "JSON has texts, numbers, true or false, arrays and maps";
                    Err(ScriptError::usage(format!("to_json: {reason}"), hint).raise())
                }
                None => Ok(to_json(&map).to_string()),
            }
        })
        .register_fn("to_string", |closure: &mut FnPtr| describe_closure(closure))
        .register_fn("to_debug", |closure: &mut FnPtr| describe_closure(closure));
    engine.register_raw_fn(
        "contains",
        [TypeId::of::<Array>(), TypeId::of::<ImmutableString>()],
        |_: NativeCallContext, arguments: &mut [&mut Dynamic]| -> ScriptResult<bool> {
            let [list, wanted] = arguments else { return Ok(false) };
            let wanted = wanted.clone().into_immutable_string().unwrap_or_default();
            if list.tag() == TAG_IDS {
                let message = format!("`tagid_list` holds ids, and this looks for `{wanted}` in it");
                let hint = format!("write with_tag({wanted:?}), or tag_id({wanted:?}) in u.tagid_list");
                return Err(ScriptError::usage(message, hint).raise());
            }
            Ok(list.as_array_ref().is_ok_and(|list| list.iter().any(|entry| is_text(entry, &wanted))))
        },
    );
}

/// Whether an entry of a list is this text; a character is one of a single sign.
pub(crate) fn is_text(entry: &Dynamic, wanted: &str) -> bool {
    match entry.as_char() {
        Ok(entry) => *entry.encode_utf8(&mut [0; 4]) == *wanted,
        Err(_) => entry.as_immutable_string_ref().is_ok_and(|entry| *entry == wanted),
    }
}

/// A function by its name; the engine's generated name of a closure is of no use.
fn describe_closure(closure: &FnPtr) -> String {
    if closure.is_anonymous() { "a closure".to_owned() } else { format!("Fn({})", closure.fn_name()) }
}

fn register_follower(engine: &mut Engine) {
    engine.register_type_with_name::<Follower>("User");
    macro_rules! getters {
        ($( $field:ident : $kind:ty, $doc:literal; )*) => {
            $( engine.register_get(stringify!($field), |user: &mut Follower| user.0.$field.to_script()); )*
        };
    }
    for_each_user_field!(getters);
    engine
        .register_indexer_get(field_by_name)
        .register_fn("to_string", |user: &mut Follower| compact(&*user.0))
        .register_fn("to_debug", |user: &mut Follower| compact(&*user.0))
        .register_fn("==", |a: &mut Follower, b: Follower| a.0.openid == b.0.openid);
}

/// `u["name"]`, and `u.name` for a field that is not declared: one that the
/// platform has added since is found, any other name is a mistake.
pub(crate) fn field_by_name(user: &mut Follower, name: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    macro_rules! known {
        ($( $field:ident : $kind:ty, $doc:literal; )*) => {
            match name {
                $( stringify!($field) => Some(user.0.$field.to_script()), )*
                _ => user.0.extra.get(name).map(to_dynamic),
            }
        };
    }
    for_each_user_field!(known).ok_or_else(|| field_unknown(name).raise())
}

/// The error for a field that followers do not have.
pub(crate) fn field_unknown(name: &str) -> ScriptError {
    let near = closest_match(name, FIELDS.iter().map(|field| field.name));
    let hint = near.map_or_else(
        || format!("its fields are {}", FIELDS.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    ScriptError::usage(format!("a follower has no field `{name}`"), hint)
}

/// The fields of a report.
pub(crate) const REPORT_FIELDS: &[DeclaredField] = &[
    ("operation", "String", "The terminal operation: `tag`, `count`, …"),
    ("target", "String", "The tag, for `tag` and `untag`."),
    ("state", "String", "`done`, `done_with_failures`, `cancelled` or `error`."),
    ("listed", "int", "How many were listed."),
    ("missing", "int", "How many the platform counts and did not list; more than 0 is a failure."),
    ("fetched", "int", "Followers whose details were fetched."),
    ("matched", "int", "Followers that passed every stage."),
    ("unmatched", "int", "Followers that did not."),
    ("unsubscribed", "int", "Who is listed and no longer follows."),
    (
        "unread",
        "int",
        "Listed openids that were not looked at: there were enough, or the operation ended early.",
    ),
    ("changed", "int", "Followers that were changed."),
    ("already", "int", "Followers who were in the desired state already."),
    ("skipped", "int", "Followers that were left as they are."),
    (
        "failed",
        "Array<Map{openid: String, errcode: int, errmsg: String, rid: String}>",
        "Who could not be done: an array of maps with `openid`, `errcode`, `errmsg` and `rid`.",
    ),
    ("calls", "Map", "Calls by path, a map."),
    ("elapsed_ms", "int", "Milliseconds from the start to the end."),
];

/// The fields of a tag.
pub(crate) const TAG_FIELDS: &[DeclaredField] = &[
    ("id", "int", "Given by the platform, from 100."),
    ("name", "String", "At most 30 bytes of UTF-8."),
    ("count", "int", "How many followers have it; `()` of a tag that was just made."),
];

/// The fields of a token.
pub(crate) const TOKEN_FIELDS: &[DeclaredField] = &[("expires_in", "int", "Seconds until it ends.")];

fn register_report(engine: &mut Engine, names: SettingNames) {
    fn count(count: u64) -> i64 {
        i64::try_from(count).unwrap_or(i64::MAX)
    }
    engine
        .register_type_with_name::<OperationReport>("Report")
        .register_get("operation", |report: &mut OperationReport| report.operation.as_str())
        .register_get("target", |report: &mut OperationReport| {
            report.target.as_ref().map(ToString::to_string).to_script()
        })
        .register_get("state", |report: &mut OperationReport| report.state.as_str())
        .register_get("listed", |report: &mut OperationReport| count(report.totals.listed))
        .register_get("missing", |report: &mut OperationReport| count(report.totals.missing))
        .register_get("fetched", |report: &mut OperationReport| count(report.totals.fetched))
        .register_get("matched", |report: &mut OperationReport| count(report.totals.matched))
        .register_get("unmatched", |report: &mut OperationReport| count(report.totals.unmatched))
        .register_get("unsubscribed", |report: &mut OperationReport| count(report.totals.unsubscribed))
        .register_get("unread", |report: &mut OperationReport| count(report.totals.unread))
        .register_get("changed", |report: &mut OperationReport| count(report.totals.changed))
        .register_get("already", |report: &mut OperationReport| count(report.totals.already))
        .register_get("skipped", |report: &mut OperationReport| count(report.totals.skipped))
        .register_get("failed", |report: &mut OperationReport| to_dynamic(&report.failed))
        .register_get("calls", |report: &mut OperationReport| {
            report
                .calls
                .iter()
                .map(|(call, times)| (call.as_str().into(), count(*times).into()))
                .collect::<Map>()
        })
        .register_get("elapsed_ms", |report: &mut OperationReport| count(millis::count(report.elapsed)))
        .register_fn("to_string", move |report: &mut OperationReport| report.text(names))
        .register_fn("to_debug", |report: &mut OperationReport| compact(report));
}
