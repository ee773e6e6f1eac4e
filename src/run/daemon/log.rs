//! What the daemon says, and what its scripts print.

use crate::{
    base::{Clock, Redactor},
    script::Output,
};
use std::sync::{Arc, OnceLock};

/// How weighty a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody should look.
    Warn,
    /// Something failed.
    Error,
}

/// One thing that is said.
#[derive(Clone, Debug)]
pub struct LogRecord<'a> {
    /// When, in milliseconds.
    pub at: i64,
    /// How weighty it is.
    pub level: Level,
    /// The automation, if it is of one.
    pub automation: &'a str,
    /// The run, if it is of one.
    pub run: &'a str,
    /// Whether a script has said it.
    pub is_printed: bool,
    /// What is said.
    pub text: &'a str,
}

/// Where the daemon's words go, and those of its scripts.
pub trait Log: Send + Sync {
    /// Says something.
    fn write(&self, entry: &LogRecord);
}

/// What a script prints, with its run's name.
pub(super) struct ScriptOutput {
    pub log: Arc<dyn Log>,
    pub clock: Clock,
    pub secrets: Redactor,
    pub automation: String,
    /// Known once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

impl Output for ScriptOutput {
    fn print(&self, text: &str) {
        let at = self.clock.now_ms();
        let run = self.run.get().map_or("", String::as_str);
        let text = &self.secrets.mask(text);
        let entry =
            LogRecord { at, level: Level::Info, automation: &self.automation, run, is_printed: true, text };
        self.log.write(&entry);
    }

    fn debug(&self, text: &str) {
        self.print(text);
    }
}
