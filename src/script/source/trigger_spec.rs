//! A trigger as an automation declares it, and the key under which its fires are stored.

use crate::base::SourceSpan;
use std::time::Duration;

/// The handler of a trigger without the key `handler`.
pub const HANDLER: &str = "run";

/// A trigger as it is written, not yet parsed.
#[derive(Clone, Debug)]
pub struct TriggerSpec {
    /// The expression or the interval.
    pub timing: Timing,
    /// The zone, where it has one.
    pub zone: Option<String>,
    /// The maximum delay of a fire: random per fire, and always the same for one fire.
    pub jitter: Duration,
    /// The function that it calls.
    pub handler: String,
    /// The position of its timing, for errors in it.
    pub span: Option<SourceSpan>,
}

/// The timing of a trigger as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// `cron: "0 9 * * 1-5"`.
    Cron(String),
    /// `every: "30s"`.
    Every(String),
}

/// What the key of a trigger by cron begins with.
pub(crate) const CRON_KEY: &str = "cron ";

/// What the key of a trigger by interval begins with.
pub(crate) const INTERVAL_KEY: &str = "every ";

impl TriggerSpec {
    /// Identifies the trigger among those of its automation; fires are stored under it.
    #[must_use]
    pub fn key(&self) -> String {
        let timing = match &self.timing {
            Timing::Cron(text) => {
                format!("{CRON_KEY}{}", text.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            Timing::Every(text) => format!("{INTERVAL_KEY}{text}"),
        };
        let zone = self.zone.as_deref().map(|zone| format!(" {zone}")).unwrap_or_default();
        let handler = if self.handler == HANDLER { String::new() } else { format!(" {}", self.handler) };
        format!("{timing}{zone}{handler}")
    }
}
