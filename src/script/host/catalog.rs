//! What can be called: every function of an engine with its signature, for checks and hints.

use super::stdlib::is_step;
use rhai::{Engine, FuncMetadata};

/// A function that a script can call.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// The module, empty for the global ones.
    pub namespace: String,
    pub name: String,
    pub arguments: usize,
    pub signature: String,
}

/// Every function of an engine, operators and getters left out.
pub(crate) fn functions(engine: &Engine) -> Vec<Function> {
    engine.collect_fn_metadata(
        None,
        |info| {
            let name = info.metadata.name.to_string();
            let is_name = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
            // The engine has a mark of its own on every value, which `x.tag()` reads; in a script
            // here that is an audience's `tag` without a tag, and it would do nothing.
            let is_mark = name == "tag" && info.metadata.num_params == 1;
            // A step of the library is called on an audience, which is none of its parameters.
            let on_audience =
                usize::from(info.namespace.is_empty() && is_step(&name, info.metadata.num_params));
            (is_name && !name.contains('$') && !is_mark).then(|| Function {
                namespace: info.namespace.to_string(),
                arguments: info.metadata.num_params + on_audience,
                signature: signature(&name, info.metadata, on_audience > 0),
                name,
            })
        },
        true,
    )
}

/// `filter(audience, closure)`: a function as a hint shows it. Parameters have their names, or
/// what they hold where they have none.
fn signature(name: &str, metadata: &FuncMetadata, on_audience: bool) -> String {
    let parameters = metadata.params_info.iter().map(|parameter| match parameter.split_once(':') {
        Some(("_" | "", kind)) => kind_in_words(kind),
        // The engine's own functions call a closure by what it is for: `map`, `filter`.
        Some((_, kind)) if kind_in_words(kind) == "closure" => "closure".to_owned(),
        Some((name, _)) => name.trim().to_owned(),
        None => kind_in_words(parameter),
    });
    let parameters: Vec<String> =
        on_audience.then(|| "audience".to_owned()).into_iter().chain(parameters).collect();
    format!("{name}({})", parameters.join(", "))
}

/// A type as a person calls it.
pub(crate) fn kind_in_words(kind: &str) -> String {
    let kind = kind.trim().trim_start_matches("&mut ").trim_start_matches('&');
    match kind.rsplit("::").next().unwrap_or(kind) {
        "Fn" | "FnPtr" => "closure".to_owned(),
        "i64" | "INT" => "integer".to_owned(),
        "f64" | "FLOAT" => "float".to_owned(),
        "str" | "String" | "ImmutableString" | "str | ImmutableString | String" => "string".to_owned(),
        "Dynamic" | "?" | "" => "value".to_owned(),
        // A name may stand in the place of a type.
        other => other.to_lowercase(),
    }
}
