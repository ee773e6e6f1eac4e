//! The kinds of values that functions give, with their fields.

use super::oauth;
use crate::{
    api::{callback, user},
    base::{Diagnostic, closest_match},
    script::{
        host::{
            error, value,
            value_type::{DeclaredField, ValueType, with_article},
        },
        source::automation_keys,
    },
};

/// A kind of value.
#[derive(Debug)]
pub(crate) struct ValueKind {
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: Vec<ValueField>,
}

/// A field of a value.
#[derive(Debug)]
pub(crate) struct ValueField {
    pub name: &'static str,
    pub value_type: ValueType,
    pub doc: String,
}

/// What an automation is made of, and what its handlers are given.
pub(crate) fn automation_parts() -> Vec<ValueKind> {
    let part = |name, doc, keys: &[(&'static str, &str)]| ValueKind {
        name,
        doc,
        fields: keys
            .iter()
            .map(|(name, doc)| ValueField { name, value_type: ValueType::Unknown, doc: (*doc).to_owned() })
            .collect(),
    };
    vec![
        part(
            "automation",
            "`const automation = #{ … };` at the top of a file that `mpscript serve` runs by itself. It is read without \
             running anything: everything in it is written out. Beside it there are `const`, `import` and functions. \
             `trigger`, `params`, `ctx` and `on_failure` describe its parts.",
            automation_keys::AUTOMATION,
        ),
        part("trigger", "An entry of `on`.", automation_keys::TRIGGER),
        part(
            "params",
            "An entry of `params`: a plain value, `scene: 98765`, or a map. `--param` gives another value by hand.",
            automation_keys::PARAMETER,
        ),
        part(
            "ctx",
            "What a handler is given: `fn run(ctx, p)`, `p` being the parameters by their names; it may take less.",
            automation_keys::CTX,
        ),
        part(
            "on_failure",
            "`fn on_failure(ctx, error)` is called for a fire that failed after all retries, in a run of its own; this is `error`. \
             Runs by hand do not call it.",
            automation_keys::FAILURE,
        ),
    ]
}

/// Every kind that has fields.
pub(crate) fn kinds() -> Vec<ValueKind> {
    let declared = |fields: &[DeclaredField]| {
        let fields = fields.iter().map(|(name, value_type, doc)| ValueField {
            name,
            value_type: ValueType::declared(value_type),
            doc: (*doc).to_owned(),
        });
        fields.collect()
    };
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    vec![
        ValueKind {
            name: "User",
            doc: "A follower. A field that the platform left out is `()`; one that it has added since is there too.",
            fields: user::FIELDS
                .iter()
                .map(|field| ValueField {
                    name: field.name,
                    value_type: ValueType::of_field(field.kind),
                    doc: one_line(field.doc),
                })
                .collect(),
        },
        ValueKind {
            name: "Report",
            doc: "What a terminal operation did. listed = matched + unmatched + unsubscribed + unread, and matched = changed + already + skipped + failed.",
            fields: declared(value::REPORT_FIELDS),
        },
        ValueKind {
            name: "Tag",
            doc: "A tag (标签). It can be given where an id is expected.",
            fields: declared(value::TAG_FIELDS),
        },
        ValueKind {
            name: "Token",
            doc: "A token. It prints as `***`; only functions of mpscript can use it.",
            fields: declared(value::TOKEN_FIELDS),
        },
        ValueKind {
            name: "Grant",
            doc: "What a person has authorized (网页授权).",
            fields: declared(oauth::GRANT_FIELDS),
        },
        ValueKind {
            name: "Error",
            doc: "What `catch (e)` gives when a call fails.",
            fields: declared(error::ERROR_FIELDS),
        },
        ValueKind {
            name: "Message",
            doc: "A pushed message or event. A field that did not come is `()`.",
            fields: callback::FIELDS
                .iter()
                .map(|field| ValueField {
                    name: field.name,
                    value_type: of_push(field.kind),
                    doc: one_line(field.doc),
                })
                .chain([ValueField {
                    name: "scene",
                    value_type: ValueType::Unknown,
                    doc: "The QR code's scene: a number, or a text.".to_owned(),
                }])
                .collect(),
        },
    ]
}

const fn of_push(kind: callback::Kind) -> ValueType {
    match kind {
        callback::Kind::Text => ValueType::Text,
        callback::Kind::Integer => ValueType::Integer,
        callback::Kind::Decimal => ValueType::Float,
        callback::Kind::Group => ValueType::Unknown,
    }
}

/// The fields of a kind of value.
pub(crate) fn value_fields(kind: &str) -> Option<Vec<&'static str>> {
    let value = kinds().into_iter().find(|value| value.name == kind)?;
    Some(value.fields.into_iter().map(|field| field.name).collect())
}

/// The error for a field that a value of this kind does not have.
pub(crate) fn no_such_field(kind: &str, fields: &[&'static str], name: &str) -> Diagnostic {
    let hint = match closest_match(name, fields.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its fields are {}", fields.join(", ")),
    };
    Diagnostic::new(format!("{} has no field `{name}`", with_article(kind))).hint(hint)
}

/// The error for a field of a value of this kind that is set.
pub(crate) fn field_is_read_only(kind: &str, name: &str) -> Diagnostic {
    Diagnostic::new(format!("the field `{name}` of {} can't be set", with_article(kind)))
        .hint("a value of the platform's is read only: change it with the function for that")
}
