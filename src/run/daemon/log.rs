//! The daemon's log: its own messages and what its scripts print.

use super::accounts::ServedAccount;
use crate::{
    base::{Clock, EpochMs, Redactor, lock},
    script::Output,
    store::AutomationId,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

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
    /// The account's name in the automation's declaration, if that names several; else empty.
    pub account: &'a str,
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
    /// The accounts' names, of automations that are served for several.
    accounts: Arc<Mutex<BTreeMap<AutomationId, String>>>,
}

impl DaemonLog {
    pub(super) fn new(log: Arc<dyn Log>, clock: Clock) -> Self {
        Self { log, clock, accounts: Arc::default() }
    }

    /// Names the accounts of an automation in its messages from now on, where there are several.
    pub(super) fn name_accounts(&self, automation: &str, accounts: &[ServedAccount]) {
        let mut names = lock(&self.accounts);
        names.retain(|id, _| id.name != automation);
        if accounts.len() > 1 {
            names.extend(
                accounts
                    .iter()
                    .map(|account| (account.id(automation), account.name.clone().unwrap_or_default())),
            );
        }
    }

    /// A message about the daemon itself.
    pub(super) fn daemon(&self, level: Level, text: &str) {
        self.run(level, &AutomationId::default(), "", text);
    }

    /// A message about an automation; without an account about its file, which is the same for all of them.
    pub(super) fn automation(&self, level: Level, automation: &AutomationId, text: &str) {
        self.run(level, automation, "", text);
    }

    /// A message about a run.
    pub(super) fn run(&self, level: Level, automation: &AutomationId, run: &str, text: &str) {
        self.write(level, automation, run, text, Writer::Daemon);
    }

    fn write(&self, level: Level, automation: &AutomationId, run: &str, text: &str, writer: Writer) {
        let account = lock(&self.accounts).get(automation).cloned().unwrap_or_default();
        self.log.write(&LogRecord {
            at: self.clock.now(),
            level,
            automation: &automation.name,
            account: &account,
            run,
            is_printed: writer == Writer::Script,
            text,
        });
    }
}

/// What a line of the log comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Daemon,
    Script,
}

/// Writes what a script prints to the daemon's log.
pub(super) struct ScriptOutput {
    pub log: DaemonLog,
    pub secrets: Redactor,
    pub automation: AutomationId,
    /// The run's id; set once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

impl Output for ScriptOutput {
    fn print(&self, text: &str) {
        let run = self.run.get().map_or("", String::as_str);
        self.log.write(Level::Info, &self.automation, run, &self.secrets.mask(text), Writer::Script);
    }

    fn debug(&self, text: &str) {
        self.print(text);
    }
}
