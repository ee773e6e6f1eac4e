//! `param(name, default)`: what the person gave on the command line, typed like the default.

use crate::script::host::{
    env::RunEnv,
    error::ScriptError,
    register::described,
    value::{describe_type, is_plain},
};
use rhai::{Dynamic, Engine, EvalAltResult};
use std::sync::Arc;

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    let required = Arc::clone(env);
    let optional = Arc::clone(env);
    described("param", &["name: String", "String"], PARAM).register_into_engine(
        engine,
        move |name: &str| -> Result<Dynamic, Box<EvalAltResult>> {
            match required.io.params.get(name) {
                Some(given) => Ok(given.clone().into()),
                None => Err(missing(name).raise()),
            }
        },
    );
    described("param", &["name: String", "default: ?", "?"], PARAM).register_into_engine(
        engine,
        move |name: &str, default: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
            if !is_readable(&default) {
                return Err(unreadable(name, &describe_type(&default)).raise());
            }
            match optional.io.params.get(name) {
                Some(given) => read(name, given, &default).map_err(ScriptError::raise),
                None => Ok(default),
            }
        },
    );
}

const PARAM: &str = "What the person gave with `--param NAME=VALUE`, typed like the default.

    Without a default the parameter must be given, and is a text. A default is a text, a number, `true` or `false`, or
    `()` for a text that may be missing.

    ```rhai
    let scene = param(\"scene\", 98765);
    print(scene + 1);
    ```";

/// The error for a parameter that has no default and was not given.
pub(crate) fn missing(name: &str) -> ScriptError {
    ScriptError::configuration(
        format!("parameter `{name}` is not given"),
        format!("give it with --param {name}=VALUE"),
    )
}

/// Whether a value of the default's kind can be read from what is typed on the command line.
fn is_readable(default: &Dynamic) -> bool {
    is_plain(default) && !default.is_char()
}

/// The error for a default of another kind.
pub(crate) fn unreadable(name: &str, kind: &str) -> ScriptError {
    ScriptError::usage(
        format!("the default of parameter `{name}` is {kind}, which can't be read from a text"),
        format!(
            "a default is a text, a number, true or false, or (): for a list write param({name:?}, \"a,b\").split(\",\")"
        ),
    )
}

/// Reads what was given as the kind of the default.
pub(crate) fn read(name: &str, given: &str, default: &Dynamic) -> Result<Dynamic, ScriptError> {
    let (value, wanted) = if default.is_int() {
        (given.parse::<i64>().ok().map(Dynamic::from), "a whole number")
    } else if default.is_float() {
        (given.parse::<f64>().ok().filter(|number| number.is_finite()).map(Dynamic::from), "a number")
    } else if default.is_bool() {
        (given.parse::<bool>().ok().map(Dynamic::from), "true or false")
    } else {
        (Some(given.to_owned().into()), "text")
    };
    value.ok_or_else(|| {
        ScriptError::configuration(
            format!("parameter `{name}` must be {wanted}, but `{given}` was given"),
            format!("for example --param {name}={default}"),
        )
    })
}
