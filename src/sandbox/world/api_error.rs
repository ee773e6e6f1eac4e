//! How the platform says no: HTTP 200, an errcode, and a message whose tail depends on who speaks.

use super::{switches::ERRMSG_TAIL, world::World};
use crate::api::{
    Violation,
    errcode::{self, Class},
};
use serde_json::{Value, json};

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::new(violation.errcode())
    }
}

/// A refused call.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub errcode: i64,
    text: Option<String>,
    /// Refused by the gateway (token, quota, permission), not by the business behind it.
    gateway: bool,
    /// With 45171: who failed; the others were done.
    failed: Vec<String>,
}

impl Refusal {
    /// A refusal by the endpoint's own rules.
    pub(crate) fn new(errcode: i64) -> Self {
        Self { errcode, text: None, gateway: false, failed: Vec::new() }
    }

    /// A refusal before the endpoint was reached.
    pub(crate) fn gateway(errcode: i64) -> Self {
        Self { gateway: true, ..Self::new(errcode) }
    }

    /// A refusal that a fault asks for, in the form of whoever would make it: token, quota and
    /// rights are the gateway's to check.
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

    /// Some openids failed, the others were done.
    pub(crate) fn partial(failed: Vec<String>) -> Self {
        Self { failed, ..Self::new(errcode::SOME_OPENIDS_FAILED) }
    }

    /// The answer's body. `sns` writes `, rid:` where the others write ` rid:`; in 2020 nobody did.
    pub(crate) fn body(&self, is_sns: bool, world: &mut World, rid: &str) -> Value {
        // The stable token is younger than the hints without a rid.
        let is_short = is_sns || world.switches.is(ERRMSG_TAIL, "hint");
        let text = self.text.as_deref().unwrap_or_else(|| self.default_text(is_short));
        let errmsg = match (world.switches.is(ERRMSG_TAIL, "rid"), is_sns, self.gateway) {
            (true, true, _) => format!("{text}, rid: {rid}"),
            (true, false, true) => format!("{text} rid: {rid}"),
            (true, false, false) => {
                format!("{text} hint: [{}-{}] rid: {rid}", world.characters(6), world.characters(6))
            }
            (false, true, _) => format!("{text}, hints: [ req_id: {} ]", world.characters(14)),
            (false, false, _) => format!("{text} hint: [{}]", world.characters(14)),
        };
        let mut body = json!({"errcode": self.errcode, "errmsg": errmsg});
        if !self.failed.is_empty() {
            body["fail_openid_list"] = json!(self.failed);
        }
        body
    }

    fn default_text(&self, is_short: bool) -> &'static str {
        match self.errcode {
            errcode::INVALID_CREDENTIAL if !is_short => {
                "invalid credential, access_token is invalid or not latest, could get access_token by \
                 getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
            }
            code => errcode::text(code),
        }
    }
}
