//! How the function of an endpoint is called, for hints.

use crate::api::{Field, Spec};

fn describe(field: &Field) -> String {
    format!("{}: {}", field.name, field.kind.describe())
}

/// How a function is called, for a hint.
pub(crate) fn signature(spec: &Spec) -> String {
    let fields: Vec<String> =
        spec.fields
            .iter()
            .map(|field| {
                if field.required {
                    describe(field)
                } else {
                    format!("{} (may be left out)", describe(field))
                }
            })
            .collect();
    format!("it is {}({})", spec.name, fields.join(", "))
}
