//! The kinds of values that functions give, with their fields.

use super::oauth;
use crate::{
    api::{callback, user},
    script::{
        host::{error, value},
        source::automation_keys,
    },
};

/// A kind of value.
#[derive(Debug)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub doc: &'static str,
    /// Names with what they hold.
    pub fields: Vec<(&'static str, String)>,
}

/// What an automation is made of, and what its handlers are given.
pub(crate) fn automation_parts() -> Vec<Kind> {
    let part = |name, doc, keys: &[(&'static str, &str)]| Kind {
        name,
        doc,
        fields: keys.iter().map(|(key, doc)| (*key, (*doc).to_owned())).collect(),
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
pub(crate) fn kinds() -> Vec<Kind> {
    let owned = |fields: &[(&'static str, &str)]| {
        fields.iter().map(|(name, doc)| (*name, (*doc).to_owned())).collect()
    };
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    vec![
        Kind {
            name: "User",
            doc: "A follower. A field that the platform left out is `()`; one that it has added since is there too.",
            fields: user::FIELDS.iter().map(|field| (field.name, one_line(field.doc))).collect(),
        },
        Kind {
            name: "Report",
            doc: "What a terminal operation did. listed = matched + unmatched + gone + unread, and matched = changed + already + skipped + failed.",
            fields: owned(value::REPORT_FIELDS),
        },
        Kind {
            name: "Tag",
            doc: "A tag (标签). It can be given where an id is expected.",
            fields: owned(value::TAG_FIELDS),
        },
        Kind {
            name: "Token",
            doc: "A token. It prints as `***`; only functions of mpscript can use it.",
            fields: owned(value::TOKEN_FIELDS),
        },
        Kind {
            name: "Grant",
            doc: "What a person has authorized (网页授权).",
            fields: owned(oauth::GRANT_FIELDS),
        },
        Kind {
            name: "Error",
            doc: "What `catch (e)` gives when a call fails.",
            fields: owned(error::ERROR_FIELDS),
        },
        Kind {
            name: "Message",
            doc: "A pushed message or event. A field that did not come is `()`.",
            fields: callback::FIELDS
                .iter()
                .map(|field| (field.name, one_line(field.doc)))
                .chain([("scene", "The QR code's scene: a number, or a text.".to_owned())])
                .collect(),
        },
    ]
}

/// The fields of a kind of value.
pub(crate) fn value_fields(kind: &str) -> Option<Vec<&'static str>> {
    let value = kinds().into_iter().find(|value| value.name == kind)?;
    Some(value.fields.into_iter().map(|(name, _)| name).collect())
}
