//! Openids that a script gives: what could be none is refused before any call.

use super::error::ScriptError;
use crate::api::user::rules::could_be_openid;

/// Refuses a text that could be no openid; `what` names it.
pub(crate) fn check_openid(what: &str, openid: &str) -> Result<(), ScriptError> {
    could_be_openid(openid.as_bytes()).map_err(|reason| {
        let hint = "nothing was sent; an openid is what the platform gives for a follower: 28 characters, the first an `o`";
        ScriptError::usage(format!("{what} is no openid, but {reason}"), hint)
    })
}
