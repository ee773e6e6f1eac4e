//! A parsed trigger: its schedule and its jitter. Must never know what a fire does.

use super::{
    cron::Cron,
    schedule::{Schedule, zone},
};
use crate::{
    base::{Diagnostic, EpochMs, fingerprint},
    script::{Timing, TriggerSpec},
};
use chrono_tz::Tz;
use std::time::Duration;

/// One trigger of an automation.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its key among the triggers of its automation.
    pub key: String,
    /// When it fires.
    pub schedule: Schedule,
    /// The handler that it calls.
    pub handler: String,
    jitter: Duration,
}

impl Trigger {
    /// Parses a trigger; `default` is the zone of one that names none.
    pub fn read(text: &TriggerSpec, default: Tz) -> Result<Self, Diagnostic> {
        let schedule = match &text.timing {
            Timing::Every(interval) => Schedule::every(interval),
            Timing::Cron(expression) => Cron::read(expression).and_then(|cron| {
                let zone = text.zone.as_deref().map_or(Ok(default), zone)?;
                Ok(Schedule::Cron { cron, zone })
            }),
        };
        let schedule = schedule.map_err(|diagnostic| diagnostic.at(text.span.clone()))?;
        let first = schedule.after(EpochMs::default());
        let period = first.and_then(|first| Some(schedule.after(first)?.since(first)));
        if period.is_some_and(|period| text.jitter >= period) {
            let message = "the jitter is as long as the time to the next fire";
            let hint = "it spreads what would begin at the same moment: some seconds or minutes";
            return Err(Diagnostic::new(message).hint(hint).at(text.span.clone()));
        }
        Ok(Self { key: text.key(), schedule, handler: text.handler.clone(), jitter: text.jitter })
    }

    /// The jitter of a fire: how long after its instant it starts. It is the same on every machine.
    #[must_use]
    pub fn delay(&self, automation: &str, instant: EpochMs) -> Duration {
        let max = self.jitter.as_millis();
        if max == 0 {
            return Duration::ZERO;
        }
        let hex = fingerprint([automation, &self.key, &instant.to_string()]);
        let draw = u128::from(u64::from_str_radix(&hex, 16).unwrap_or_default());
        Duration::from_millis(u64::try_from(draw % max).unwrap_or_default())
    }
}
