//! A trigger that is ready to be asked when it fires. Must never know what a fire does.

use super::{
    cron::Cron,
    schedule::{Schedule, zone},
};
use crate::{
    base::{Diagnostic, fingerprint},
    script::{Timing, TriggerSpec},
};
use chrono_tz::Tz;
use std::time::Duration;

/// One trigger of an automation.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// What it is known by among those of its automation.
    pub key: String,
    /// When it fires.
    pub schedule: Schedule,
    /// The function that it calls.
    pub handler: String,
    jitter: Duration,
}

impl Trigger {
    /// Reads a trigger as it is written; one without a zone has this one.
    ///
    /// # Errors
    /// When its expression, its interval or its zone can't be read.
    pub fn read(text: &TriggerSpec, default: Tz) -> Result<Self, Diagnostic> {
        let schedule = match &text.timing {
            Timing::Every(interval) => Schedule::every(interval),
            Timing::Cron(expression) => Cron::read(expression).and_then(|cron| {
                let zone = text.zone.as_deref().map_or(Ok(default), zone)?;
                Ok(Schedule::Cron { cron, zone })
            }),
        };
        let schedule = schedule.map_err(|diagnostic| diagnostic.at(text.place.clone()))?;
        let period = schedule.after(0).and_then(|first| Some(schedule.after(first)? - first));
        let jitter = i64::try_from(text.jitter.as_millis()).unwrap_or(i64::MAX);
        if period.is_some_and(|period| jitter >= period) {
            let message = "the jitter is as long as the time to the next fire";
            let hint = "it spreads what would begin at the same moment: some seconds or minutes";
            return Err(Diagnostic::new(message).hint(hint).at(text.place.clone()));
        }
        Ok(Self { key: text.key(), schedule, handler: text.handler.clone(), jitter: text.jitter })
    }

    /// How much later than its instant a fire starts_at: the same for the same fire, on whichever machine.
    #[must_use]
    pub fn delay(&self, automation: &str, instant: i64) -> Duration {
        let most = self.jitter.as_millis();
        if most == 0 {
            return Duration::ZERO;
        }
        let hex = fingerprint([automation, &self.key, &instant.to_string()]);
        let draw = u128::from(u64::from_str_radix(&hex, 16).unwrap_or_default());
        Duration::from_millis(u64::try_from(draw % most).unwrap_or_default())
    }
}
