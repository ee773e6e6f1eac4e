//! `param(name, default)`: what the person gave on the command line, typed like the default.

use crate::script::host::{env::RunEnv, error::ScriptError, register::described};
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
            match optional.io.params.get(name) {
                Some(given) => read(name, given, &default).map_err(ScriptError::raise),
                None => Ok(default),
            }
        },
    );
}

const PARAM: &str = "What the person gave with `--param NAME=VALUE`, typed like the default.

    Without a default the parameter must be given, and is a text.

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

/// Reads what was given as the kind of the default.
pub(crate) fn read(name: &str, given: &str, default: &Dynamic) -> Result<Dynamic, ScriptError> {
    let (value, wanted) = if default.is_int() {
        (given.parse::<i64>().ok().map(Dynamic::from), "a whole number")
    } else if default.is_float() {
        (given.parse::<f64>().ok().map(Dynamic::from), "a number")
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
