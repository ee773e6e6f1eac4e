//! Turns a runtime error of the engine into a failure with its position in the source and a message of our own.

use crate::{
    base::{Diagnostic, closest_match},
    script::{
        functions::kinds::{self, field_is_read_only, value_fields},
        host::{
            catalog::{Function, functions, kind_in_words},
            env::RunEnv,
            error::{ErrorKind, ScriptError, ScriptFailure},
            stdlib::is_source,
            value::to_text,
        },
        source::{
            closures::{captured_counts, parameters},
            program::Program,
            syntax_error::{
                DECLARE_IT, explain_syntax, hint_for_function, hint_for_name, lower_first, no_variable,
            },
            undeclared::undeclared,
        },
    },
};
use rhai::{Engine, EvalAltResult, Position};
use std::collections::BTreeSet;

/// Methods that call a closure once for each entry.
const WITH_CLOSURES: &[&str] = &[
    "all",
    "dedup",
    "drain",
    "filter",
    "find",
    "find_map",
    "for_each",
    "index_of",
    "map",
    "order",
    "order_by",
    "reduce",
    "reduce_rev",
    "retain",
    "some",
    "sort",
    "sort_by",
    "zip",
];

/// Where an error came up.
#[derive(Default)]
struct Caller<'a> {
    /// The function of the standard library that the script called.
    library: Option<&'a str>,
    /// The method that called a closure.
    method: Option<&'a str>,
}

/// A runtime error as a failure whose texts have a bounded length.
pub(crate) fn explain(
    error: &EvalAltResult,
    engine: &Engine,
    program: &Program,
    env: &RunEnv,
) -> ScriptFailure {
    explain_in_full(error, engine, program).bounded(&env.io.secrets)
}

fn explain_in_full(error: &EvalAltResult, engine: &Engine, program: &Program) -> ScriptFailure {
    let mut inner = error;
    let mut source = None;
    // The function that the error came up in, if an earlier line of the session may declare it.
    let mut function = None;
    let mut is_in_library = false;
    let mut caller = Caller::default();
    let mut position = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, of, next, _) | EvalAltResult::ErrorInModule(of, next, _) =
        inner
    {
        is_in_library |= is_source(of);
        if let EvalAltResult::ErrorInFunctionCall(name, _, next, _) = inner {
            let is_closure = name.starts_with(CLOSURE);
            if is_source(of) && !is_closure {
                caller.library = caller.library.or(Some(name));
            }
            // A stage calls the closure, so the error's position is one of the library's text.
            if is_source(of) && is_closure && caller.library.is_none() {
                position = Position::NONE;
            }
            caller.method = Some(name.as_str()).filter(|name| WITH_CLOSURES.contains(name));
            // If several functions have the name, the error is shown at the call.
            is_in_library |= name == "eval";
            is_in_library |=
                matches!(program.prior.functions.get(name.as_str()), Some(None)) && !program.is_import(of);
            if !is_in_library && !next.position().is_none() {
                function = Some(name.as_str()).filter(|_| !program.is_import(of));
            }
        }
        if !of.is_empty() && !is_in_library {
            source = Some(of.as_str());
        }
        inner = next;
        // An error in the standard library, or in a text for `eval`, is shown at the call in the user's script.
        if !inner.position().is_none() && !is_in_library {
            position = inner.position();
        }
    }
    let span = program.span_at(source, function, position);
    if let EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) = inner
        && let Some(error) = value.clone().try_cast::<ScriptError>()
    {
        let mut diagnostic = Diagnostic::new(error.message).at(span);
        diagnostic.notes = error.notes;
        diagnostic.hint = error.hint;
        return ScriptFailure { diagnostic, kind: error.kind };
    }
    let kind = match inner {
        EvalAltResult::ErrorTerminated(..) => ErrorKind::Cancelled,
        _ => ErrorKind::Script,
    };
    let diagnostic = match (inner, caller.library) {
        (EvalAltResult::ErrorFunctionNotFound(signature, _), _) if signature.contains(CLOSURE) => {
            closure_mismatch(signature, caller.method, program)
        }
        (EvalAltResult::ErrorVariableNotFound(name, _), None) if !name.contains("::") => {
            Diagnostic::new(no_variable(name)).hint(hint_for_variable(name, program))
        }
        (EvalAltResult::ErrorRuntime(..) | EvalAltResult::ErrorTerminated(..), _) | (_, None) => {
            describe(inner, engine)
        }
        (inner, Some(library)) => refused_by_library(library, inner, engine),
    };
    ScriptFailure { diagnostic: diagnostic.at(span), kind }
}

/// How the engine's generated names of closures begin.
const CLOSURE: &str = "anon$";

/// The kinds of the arguments in an unknown signature, `name (i64, &str)`.
fn given_kinds(signature: &str) -> (&str, Vec<&str>) {
    let (name, given) = signature.split_once(" (").unwrap_or((signature, ""));
    let given = given.strip_suffix(')').unwrap_or(given);
    (name, given.split(", ").filter(|kind| !kind.is_empty()).collect())
}

/// What to write instead of a variable that does not exist, by what the script and earlier lines of the session declare.
fn hint_for_variable(name: &str, program: &Program) -> String {
    let written = undeclared(&program.ast).into_iter().find(|found| found.name == name);
    let written = written.map(|found| found.hint).or_else(|| hint_for_name(name));
    if let Some(hint) = written.filter(|hint| hint != DECLARE_IT) {
        return hint;
    }
    let variables = program.prior.variables.iter().map(String::as_str);
    match closest_match(name, variables) {
        Some(near) => format!("did you mean `{near}`?"),
        None => DECLARE_IT.to_owned(),
    }
}

/// A closure that was called with another number of arguments than it has parameters.
fn closure_mismatch(signature: &str, method: Option<&str>, program: &Program) -> Diagnostic {
    let (name, given) = given_kinds(signature);
    let counts = program.asts().find_map(|ast| {
        let closure = ast.iter_functions().find(|function| function.name == name)?;
        let captured = captured_counts(ast).get(name).copied().unwrap_or_default();
        Some((closure.params.len().checked_sub(captured)?, given.len().checked_sub(captured)?))
    });
    let closure = method.map_or_else(|| "this closure".to_owned(), |method| format!("{method}'s closure"));
    match counts {
        Some((own, given)) if own != given => {
            let at_most = if method.is_some() && own > given { " at the most" } else { "" };
            let arguments = parameters(given).replace("parameter", "argument");
            Diagnostic::new(format!(
                "{closure} has {}, and is called with {arguments}{at_most}",
                parameters(own)
            ))
        }
        _ => Diagnostic::new(format!("{closure} can't be called here"))
            .hint("a closure that another file makes can't leave it: let the function of that file call it"),
    }
}

/// A function of the standard library that can't do anything with what it was given.
fn refused_by_library(library: &str, error: &EvalAltResult, engine: &Engine) -> Diagnostic {
    let message = match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) if signature.starts_with(char::is_alphabetic) => {
            let (_, given) = given_kinds(signature);
            let given: Vec<String> = given.into_iter().map(a_kind).collect();
            format!("`{library}` can't take {}", given.join(" and "))
        }
        error => format!("`{library}` can't take what it was given: {}", describe(error, engine).message),
    };
    let known = functions(engine);
    let shape = known.iter().find(|function| function.name == library);
    let hint = shape.map(|function| format!("it is {}: see mpscript docs {library}", function.signature));
    let mut diagnostic = Diagnostic::new(message);
    diagnostic.hint = hint;
    diagnostic
}

/// The message and hint for an error of the engine.
fn describe(error: &EvalAltResult, engine: &Engine) -> Diagnostic {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature, engine),
        EvalAltResult::ErrorVariableNotFound(name, _) if name.contains("::") => {
            Diagnostic::new(format!("there is no variable `{name}`"))
                .hint("only what its file exports can be seen: export const NAME = …;")
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            let hint = hint_for_name(name).unwrap_or_else(|| DECLARE_IT.to_owned());
            Diagnostic::new(no_variable(name)).hint(hint)
        }
        EvalAltResult::ErrorParsing(kind, position) => explain_syntax(kind, *position, None).0,
        EvalAltResult::ErrorRuntime(value, _) => {
            let text = to_text(engine, value.clone());
            Diagnostic::new(if text.is_empty() { "the script threw ()".to_owned() } else { text })
        }
        EvalAltResult::ErrorTerminated(..) => Diagnostic::new("stopped"),
        EvalAltResult::ErrorStackOverflow(_) => {
            Diagnostic::new("functions call each other too deeply").hint("does one call itself for ever?")
        }
        EvalAltResult::ErrorMismatchDataType(expected, given, _)
        | EvalAltResult::ErrorMismatchOutputType(expected, given, _)
            if !expected.is_empty() && !given.is_empty() =>
        {
            Diagnostic::new(format!("{} is expected here, not {}", a_kind(expected), a_kind(given)))
        }
        EvalAltResult::ErrorIndexingType(kinds, _)
            if kind_in_words(kinds.split(" [").next().unwrap_or_default()) == "audience" =>
        {
            Diagnostic::new("an audience can't be indexed").hint("its people are in a list after .to_array()")
        }
        EvalAltResult::ErrorIndexingType(kinds, _) => match kinds.split_once(" [") {
            Some((kind, index)) => {
                let index = a_kind(index.trim_end_matches(']'));
                Diagnostic::new(format!("{} has nothing at {index}", a_kind(kind)))
            }
            None => Diagnostic::new(format!("{} can't be indexed", a_kind(kinds))),
        },
        EvalAltResult::ErrorFor(_) => {
            Diagnostic::new("a for loop goes through an array, a range or an audience")
                .hint("for x in 0..5 { … }, or for user in followers() { … }")
        }
        other => {
            let text = other.to_string();
            if let Some(diagnostic) = no_such_field(&text) {
                return diagnostic;
            }
            // The engine appends the position to its text; ours is in the source frame.
            let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(text, _)| text);
            Diagnostic::new(lower_first(text))
        }
    }
}

/// A type of the engine with its article: `an integer`.
fn a_kind(kind: &str) -> String {
    let word = kind_in_words(kind);
    match word.as_str() {
        "()" => word,
        _ if word.starts_with(['a', 'e', 'i', 'o']) => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

/// An access to a field that a value does not have. The engine reports it as a text only, which is parsed here.
fn no_such_field(text: &str) -> Option<Diagnostic> {
    let (_, rest) = text.split_once(" property '")?;
    let (field, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.split_once("for type '")?;
    let (kind, _) = rest.split_once('\'')?;
    let Some(fields) = value_fields(kind) else {
        return Some(Diagnostic::new(format!("{} has no field `{field}`", a_kind(kind))));
    };
    if fields.contains(&field) {
        return Some(field_is_read_only(kind, field));
    }
    Some(kinds::no_such_field(kind, &fields, field))
}

/// A call that matches no function: its name is wrong, or its arguments are.
fn unknown_function(signature: &str, engine: &Engine) -> Diagnostic {
    // The engine puts a whole sentence here.
    if let Some(kind) =
        signature.strip_prefix("elements of ").and_then(|rest| rest.strip_suffix(" cannot be sorted"))
    {
        let message = match kind {
            "different types" => "an array with values of different kinds can't be sorted".to_owned(),
            kind => format!("an array can't be sorted by {} itself", a_kind(kind)),
        };
        return Diagnostic::new(message).hint("say how: list.sort(|a, b| a.count - b.count)");
    }
    let (name, given) = given_kinds(signature);
    if !name.contains(char::is_alphabetic) {
        let given: Vec<String> = given.into_iter().map(a_kind).collect();
        return Diagnostic::new(format!("`{name}` can't be applied to {}", given.join(" and ")));
    }
    let known = functions(engine);
    let shapes: BTreeSet<String> = known
        .iter()
        .filter(|function| function.full_name() == name)
        .map(|function| match function.namespace.as_str() {
            "" => function.signature.clone(),
            module => format!("{module}::{}", function.signature),
        })
        .collect();
    if shapes.is_empty() {
        let diagnostic = Diagnostic::new(format!("there is no function `{name}`"));
        if let Some(hint) = hint_for_function(name) {
            return diagnostic.hint(hint);
        }
        let names: BTreeSet<String> = known.iter().map(Function::full_name).collect();
        return match closest_match(name, names.iter().map(String::as_str)) {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => diagnostic,
        };
    }
    let given: Vec<String> = given.into_iter().map(kind_in_words).collect();
    // Signatures for the type of the first argument are preferred.
    let of_first = format!("{name}({}", given.first().map_or("", String::as_str));
    let (near, far): (Vec<&String>, Vec<&String>) =
        shapes.iter().partition(|shape| shape.starts_with(&of_first));
    let shapes: Vec<&str> =
        if near.is_empty() { far } else { near }.into_iter().map(String::as_str).collect();
    let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
    Diagnostic::new(format!("`{name}` can't be called with {given}"))
        .hint(format!("it is {}", shapes.join(" or ")))
}
