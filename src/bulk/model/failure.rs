//! An openid that could not be changed, and why.

use serde::{Deserialize, Serialize};

/// An openid that could not be changed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The openid.
    pub openid: String,
    /// The platform's code; absent when no answer came.
    pub errcode: Option<i64>,
    /// The platform's text, or what happened.
    pub errmsg: String,
    /// The request's id, for the platform's support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// The details were refused, so it is not known whether the change was due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_details: bool,
}
