//! What can be called: every function of an engine with its signature, for checks and hints.

use rhai::{Engine, FuncMetadata};
use std::collections::BTreeSet;

/// The modules that scripts have without an import: one for each area of endpoints, and what is
/// no endpoint.
pub(super) fn modules() -> BTreeSet<&'static str> {
    let areas = crate::api::all().into_iter().filter_map(|spec| Some(spec.name.split_once("::")?.0));
    areas.chain([super::any::MODULE, super::callback::MODULE]).collect()
}

/// A function that a script can call.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// The module, empty for the global ones.
    pub namespace: String,
    pub name: String,
    pub arguments: usize,
    pub signature: String,
}

/// Every function of an engine, operators and getters left out.
pub(super) fn functions(engine: &Engine) -> Vec<Function> {
    engine.collect_fn_metadata(
        None,
        |info| {
            let name = info.metadata.name.to_string();
            let is_name = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
            // The engine has a mark of its own on every value, which `x.tag()` reads; in a script
            // here that is an audience's `tag` without a tag, and it would do nothing.
            let is_mark = name == "tag" && info.metadata.num_params == 1;
            (is_name && !name.contains('$') && !is_mark).then(|| Function {
                namespace: info.namespace.to_string(),
                arguments: info.metadata.num_params,
                signature: signature(&name, info.metadata),
                name,
            })
        },
        true,
    )
}

/// `filter(audience, closure)`: a function as a hint shows it. Parameters have their names, or
/// what they hold where they have none.
fn signature(name: &str, metadata: &FuncMetadata) -> String {
    let parameters: Vec<String> = metadata
        .params_info
        .iter()
        .map(|parameter| match parameter.split_once(':') {
            Some(("_" | "", kind)) => kind_in_words(kind),
            // The engine's own functions call a closure by what it is for: `map`, `filter`.
            Some((_, kind)) if kind_in_words(kind) == "closure" => "closure".to_owned(),
            Some((name, _)) => name.trim().to_owned(),
            None => kind_in_words(parameter),
        })
        .collect();
    format!("{name}({})", parameters.join(", "))
}

/// A type as a person calls it.
pub(super) fn kind_in_words(kind: &str) -> String {
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
