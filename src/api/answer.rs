//! Answers that several endpoints share.

use serde::{Deserialize, Serialize};

/// `{"errcode":0,"errmsg":"ok"}`: what a write without a result answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Empty {
    /// Always 0 here; any other value is an error.
    pub errcode: i64,
    /// `ok`.
    pub errmsg: String,
}

impl Default for Empty {
    fn default() -> Self {
        Self { errcode: 0, errmsg: "ok".to_owned() }
    }
}

/// A page of openids.
///
/// The page after the last has a count of 0 and no `data`; the last page itself still names its
/// last openid. `user/tag/get` has no `total`, and its empty page no `next_openid` either.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct OpenidPage {
    /// How many there are on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// How many this page has. Every page says it, so that an answer without it is not a page.
    pub count: i64,
    /// The page itself, absent when it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Openids>,
    /// The last openid of this page: where the next one goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_openid: Option<String>,
}

/// Refuses an answer whose text that names what was given is empty.
pub(super) fn check_given(field: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("`{field}` is empty")) } else { Ok(()) }
}

/// Refuses a page that has more openids than it counts, or has none of those that it counts.
pub(super) fn check_count<E>(_asked: &E, page: &OpenidPage) -> Result<(), String> {
    let found = page.data.as_ref().map_or(0, |data| data.openid.len());
    let counted = usize::try_from(page.count).unwrap_or_default();
    // Some openids less is known of the platform: jobs count them as missing.
    if found > counted || (found == 0 && counted > 0) {
        return Err(format!("it counts {} openids and has {found}", page.count));
    }
    Ok(())
}

impl OpenidPage {
    /// The openids of this page.
    #[must_use]
    pub fn into_openids(self) -> Vec<String> {
        self.data.unwrap_or_default().openid
    }
}

/// The openids of a page.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Openids {
    /// In the platform's order.
    #[serde(default)]
    pub openid: Vec<String>,
}
