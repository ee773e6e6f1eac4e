//! Injected faults: which calls fail, how, and how often.

use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Limit of rules.
const MAX_RULES: usize = 1_000;

/// Limit of the bytes of all rules as JSON: each may have a body.
const MAX_BYTES: usize = 16 << 20;

/// A rule of `POST /__sandbox/faults`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The path that it hits.
    path: String,
    /// Answer this errcode instead of doing the call.
    errcode: Option<i64>,
    /// Answer this HTTP status instead of doing the call.
    status: Option<u16>,
    /// Close the connection without an answer, before or after the call takes effect.
    drop: Option<When>,
    /// Wait this long first.
    #[serde(default, deserialize_with = "read_delay")]
    delay: Option<Duration>,
    /// Answer this body: a string as it is, anything else as JSON.
    body: Option<Value>,
    /// Hit only calls that name this openid.
    openid: Option<String>,
    /// Hit every n-th call.
    every: Option<u64>,
    /// Hit the next n calls.
    times: Option<u64>,
    /// Calls that it could have hit.
    #[serde(skip)]
    seen: u64,
}

/// Whether a dropped call takes effect.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    Before,
    After,
}

/// What is injected into one call.
#[derive(Debug, Default)]
pub(crate) struct InjectedFault {
    pub delay: Option<Duration>,
    pub errcode: Option<i64>,
    pub status: Option<u16>,
    pub drop: Option<When>,
    pub body: Option<String>,
    /// The openid that the rule names.
    pub openid: Option<String>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Fault>,
    /// Of the rules as JSON.
    bytes: usize,
}

impl Faults {
    /// Adds a rule, given as JSON.
    pub(crate) fn add(&mut self, rule: Value) -> Result<(), String> {
        let bytes = rule.to_string().len();
        let fault: Fault = serde_json::from_value(rule).map_err(|error| error.to_string())?;
        let effects = usize::from(fault.errcode.is_some())
            + usize::from(fault.status.is_some())
            + usize::from(fault.drop.is_some())
            + usize::from(fault.body.is_some());
        if effects > 1 || (effects == 0 && fault.delay.is_none()) {
            return Err("give one of errcode, status, drop and body, or a delay".to_owned());
        }
        if fault.every.is_some() && fault.times.is_some() {
            return Err("give `every` or `times`, not both".to_owned());
        }
        if fault.every == Some(0) || fault.times == Some(0) {
            return Err("`every` and `times` count from 1".to_owned());
        }
        if !crate::api::all().iter().any(|spec| spec.path == fault.path) {
            return Err(format!("`{}` is no path of the platform", fault.path));
        }
        if fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("`status` is from 200 to 599".to_owned());
        }
        if self.rules.len() == MAX_RULES {
            return Err(format!("there are {MAX_RULES} rules already; POST /__sandbox/reset clears them"));
        }
        if self.bytes + bytes > MAX_BYTES {
            let message = "the bodies of all rules are over 16 MiB; POST /__sandbox/faults/clear clears them";
            return Err(message.to_owned());
        }
        self.bytes += bytes;
        self.rules.push(fault);
        Ok(())
    }

    /// What happens to a call; rules that hit it add up.
    pub(crate) fn apply(&mut self, path: &str, names: impl Fn(&str) -> bool) -> InjectedFault {
        let mut injected = InjectedFault::default();
        for fault in &mut self.rules {
            if fault.path != path || fault.openid.as_deref().is_some_and(|openid| !names(openid)) {
                continue;
            }
            fault.seen += 1;
            let hits = match (fault.every, fault.times) {
                (Some(every), _) => fault.seen.is_multiple_of(every),
                (_, Some(times)) => fault.seen <= times,
                _ => true,
            };
            if !hits {
                continue;
            }
            injected.delay = injected.delay.max(fault.delay);
            injected.errcode = injected.errcode.or(fault.errcode);
            injected.status = injected.status.or(fault.status);
            injected.drop = injected.drop.or(fault.drop);
            injected.body = injected.body.or_else(|| fault.body.as_ref().map(body_text));
            injected.openid = injected.openid.or_else(|| fault.openid.clone());
        }
        injected
    }
}

fn body_text(body: &Value) -> String {
    match body {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn read_delay<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Endpoint, tag};
    use serde_json::json;

    #[test]
    fn rules_with_too_many_bytes_are_refused() {
        let mut faults = Faults::default();
        let rule = json!({"path": tag::List::SPEC.path, "body": "微".repeat(1 << 20)});
        let added: Vec<bool> = (0..6).map(|_| faults.add(rule.clone()).is_ok()).collect();
        assert_eq!(added, [true, true, true, true, true, false]);
    }
}
