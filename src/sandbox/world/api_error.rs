//! How the platform rejects a call: HTTP 200, an errcode, and a message whose tail depends on who answers.

use super::switches::{ERRMSG_TAIL, Switches};
use crate::api::{
    Spec, Violation,
    errcode::{self, Class},
};
use serde_json::{Value, json};

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        Self::new(violation.errcode())
    }
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The web authorization under `/sns/`.
    Sns,
    /// The gateway in front of the endpoints: token, quota, permission.
    Gateway,
    /// The endpoint itself.
    Business,
}

/// How much a message says.
#[derive(Clone, Copy)]
enum Wording {
    /// The errcode's text in the platform's tables.
    Short,
    /// The text with the platform's advice.
    Full,
}

/// A rejected call.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub errcode: i64,
    text: Option<String>,
    /// Rejected by the gateway (token, quota, permission), not by the endpoint behind it.
    gateway: bool,
    /// With 45171: the openids that failed; the call took effect for the others.
    failed: Vec<String>,
}

impl ApiError {
    /// Rejected by the endpoint's own rules.
    pub(crate) fn new(errcode: i64) -> Self {
        Self { errcode, text: None, gateway: false, failed: Vec::new() }
    }

    /// Rejected before the endpoint is reached.
    pub(crate) fn gateway(errcode: i64) -> Self {
        Self { gateway: true, ..Self::new(errcode) }
    }

    /// An injected error, in the form that its errcode has: the gateway answers those of token, quota and permission.
    pub(crate) fn on_demand(errcode: i64) -> Self {
        match errcode::class(errcode) {
            Class::Token | Class::Quota | Class::Rate | Class::Configuration => Self::gateway(errcode),
            Class::Busy | Class::Caller => Self::new(errcode),
        }
    }

    pub(crate) fn text(mut self, text: String) -> Self {
        self.text = Some(text);
        self
    }

    /// Some openids failed; the call took effect for the others.
    pub(crate) fn partial(failed: Vec<String>) -> Self {
        Self { failed, ..Self::new(errcode::SOME_OPENIDS_FAILED) }
    }

    /// Who answers, which decides over the form of the message.
    pub(crate) fn speaker(&self, spec: &Spec) -> Speaker {
        match (spec.is_sns(), self.gateway) {
            (true, _) => Speaker::Sns,
            (false, true) => Speaker::Gateway,
            (false, false) => Speaker::Business,
        }
    }

    /// The answer's body, with the message's text followed by `tail`.
    pub(crate) fn body(&self, speaker: Speaker, switches: &Switches, tail: &str) -> Value {
        // The text that names the stable token is younger than the tails without a rid.
        let wording = match speaker {
            Speaker::Sns => Wording::Short,
            _ if switches.is(ERRMSG_TAIL, "hint") => Wording::Short,
            Speaker::Gateway | Speaker::Business => Wording::Full,
        };
        let text = self.text.as_deref().unwrap_or_else(|| self.default_text(wording));
        let errmsg = format!("{text}{tail}");
        let mut body = json!({"errcode": self.errcode, "errmsg": errmsg});
        if !self.failed.is_empty() {
            body["fail_openid_list"] = json!(self.failed);
        }
        body
    }

    fn default_text(&self, wording: Wording) -> &'static str {
        match (self.errcode, wording) {
            (errcode::INVALID_CREDENTIAL, Wording::Full) => {
                "invalid credential, access_token is invalid or not latest, could get access_token by \
                 getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
            }
            (code, _) => errcode::text(code),
        }
    }
}
