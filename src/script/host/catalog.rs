//! What can be called: every function of an engine with its signature, for checks and hints.

use super::{stdlib::is_stage, value_type::ValueType};
use rhai::{Dynamic, Engine, FuncMetadata};
use std::any::TypeId;

/// Functions that return an audience.
pub(crate) const SOURCES: &[&str] = &["followers", "members", "blacklisted", "openids", "openids_from"];

/// Methods of an audience that return an audience, beside those of the standard library.
pub(crate) const STAGES: &[&str] = &["filter", "take", "sample"];

/// A function that a script can call.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// The module, empty for the global ones.
    pub namespace: String,
    pub name: String,
    pub arguments: usize,
    pub signature: String,
    /// The types of its arguments, as far as they are declared: the first is what it is called on as a method.
    pub takes: Vec<ValueType>,
    /// The type of its result.
    pub gives: ValueType,
}

impl Function {
    /// The type of its first argument.
    pub(crate) fn on(&self) -> ValueType {
        self.takes.first().cloned().unwrap_or(ValueType::Unknown)
    }

    /// The name with its module.
    pub(crate) fn full_name(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}::{}", self.namespace, self.name)
        }
    }
}

/// Every function of an engine, operators and getters left out.
pub(crate) fn functions(engine: &Engine) -> Vec<Function> {
    engine.collect_fn_metadata(
        None,
        |info| {
            let name = info.metadata.name.to_string();
            let is_name = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
            // Rhai has a built-in `tag` on every value, which `x.tag()` reads. In a script of ours that is an audience's
            // `tag` whose argument was forgotten: it would do nothing, so it counts as unknown.
            let is_built_in_tag = name == "tag" && info.metadata.num_params == 1;
            // A stage of the library is called on an audience, which is none of its parameters.
            let on_audience =
                usize::from(info.namespace.is_empty() && is_stage(&name, info.metadata.num_params));
            (is_name && !name.contains('$') && !is_built_in_tag).then(|| Function {
                namespace: info.namespace.to_string(),
                arguments: info.metadata.num_params + on_audience,
                signature: signature(&name, info.metadata, (on_audience > 0).then_some("audience")),
                takes: {
                    let given = std::iter::repeat_n(ValueType::Audience, on_audience);
                    let declared = info.metadata.params_info.iter().zip(&info.metadata.param_types);
                    let declared = declared.map(|(parameter, kind)| {
                        let declared = parameter.split_once(':').map_or("", |(_, declared)| declared);
                        // The reference may name the type that is usual where the function takes any.
                        let is_any = *kind == TypeId::of::<Dynamic>();
                        if is_any { ValueType::Unknown } else { ValueType::declared(declared) }
                    });
                    given.chain(declared).collect()
                },
                gives: match on_audience {
                    0 => ValueType::declared(&info.metadata.return_type),
                    _ => ValueType::Audience,
                },
                name,
            })
        },
        true,
    )
}

/// `filter(audience, closure)`: a function as a hint shows it. A parameter without a name is shown by its type.
fn signature(name: &str, metadata: &FuncMetadata, receiver: Option<&str>) -> String {
    let parameters = metadata.params_info.iter().map(|parameter| match parameter.split_once(':') {
        Some(("_" | "", kind)) => kind_in_words(kind),
        // Rhai's own functions name a closure after its purpose: `map`, `filter`.
        Some((_, kind)) if kind_in_words(kind) == "closure" => "closure".to_owned(),
        Some((name, _)) => name.trim().to_owned(),
        None => kind_in_words(parameter),
    });
    let parameters: Vec<String> = receiver.map(str::to_owned).into_iter().chain(parameters).collect();
    format!("{name}({})", parameters.join(", "))
}

/// A type of the engine, as messages name it.
pub(crate) fn kind_in_words(kind: &str) -> String {
    let kind = kind.trim().trim_start_matches("&mut ").trim_start_matches('&');
    let kind = kind.split('<').next().unwrap_or(kind);
    match kind.rsplit("::").next().unwrap_or(kind) {
        "Fn" | "FnPtr" => "closure".to_owned(),
        "i64" | "INT" => "integer".to_owned(),
        "f64" | "FLOAT" => "float".to_owned(),
        "str" | "String" | "ImmutableString" | "str | ImmutableString | String" => "string".to_owned(),
        "Range" | "RangeInclusive" | "ExclusiveRange" | "InclusiveRange" => "range".to_owned(),
        "Instant" => "timestamp".to_owned(),
        "Dynamic" | "?" | "" => "value".to_owned(),
        // Metadata without types has the parameter's name here.
        other => other.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::engine::reference::reference_engine;
    use std::collections::BTreeSet;

    #[test]
    fn registered_methods_that_give_an_audience_are_the_stages() {
        let mut functions = functions(&reference_engine());
        functions.retain(|function| {
            (function.on(), &function.gives) == (ValueType::Audience, &ValueType::Audience)
        });
        let registered =
            functions.iter().filter(|function| !is_stage(&function.name, function.arguments - 1));
        let registered: BTreeSet<&str> = registered.map(|function| function.name.as_str()).collect();
        assert_eq!(registered, STAGES.iter().copied().collect());
    }
}
