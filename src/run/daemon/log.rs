//! The daemon's log: its own messages and what its scripts print.

use crate::{
    base::{Clock, EpochMs, Redactor},
    script::Output,
};
use std::sync::{Arc, OnceLock};

/// The severity of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Normal operation.
    Info,
    /// The operator should look at it.
    Warn,
    /// Something failed.
    Error,
}

/// One message of the log.
#[derive(Clone, Debug)]
pub struct LogRecord<'a> {
    /// When.
    pub at: EpochMs,
    /// Its severity.
    pub level: Level,
    /// The automation that it is about, or empty.
    pub automation: &'a str,
    /// The run that it is about, or empty.
    pub run: &'a str,
    /// Whether a script printed it.
    pub is_printed: bool,
    /// The message.
    pub text: &'a str,
}

/// Where log records are written.
pub trait Log: Send + Sync {
    /// Writes one record.
    fn write(&self, record: &LogRecord);
}

/// The log of one daemon.
#[derive(Clone)]
pub(super) struct DaemonLog {
    log: Arc<dyn Log>,
    clock: Clock,
}

impl DaemonLog {
    pub(super) fn new(log: Arc<dyn Log>, clock: Clock) -> Self {
        Self { log, clock }
    }

    /// A message about the daemon itself.
    pub(super) fn daemon(&self, level: Level, text: &str) {
        self.run(level, "", "", text);
    }

    /// A message about an automation.
    pub(super) fn automation(&self, level: Level, automation: &str, text: &str) {
        self.run(level, automation, "", text);
    }

    /// A message about a run.
    pub(super) fn run(&self, level: Level, automation: &str, run: &str, text: &str) {
        self.write(level, automation, run, text, false);
    }

    fn write(&self, level: Level, automation: &str, run: &str, text: &str, is_printed: bool) {
        self.log.write(&LogRecord { at: self.clock.now(), level, automation, run, is_printed, text });
    }
}

/// Writes what a script prints to the daemon's log.
pub(super) struct ScriptOutput {
    pub log: DaemonLog,
    pub secrets: Redactor,
    pub automation: String,
    /// The run's id; set once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

impl Output for ScriptOutput {
    fn print(&self, text: &str) {
        let run = self.run.get().map_or("", String::as_str);
        self.log.write(Level::Info, &self.automation, run, &self.secrets.mask(text), true);
    }

    fn debug(&self, text: &str) {
        self.print(text);
    }
}
