//! The state of a session, and what every line needs of it: evaluating, showing values and errors, names to complete.
//!
//! Results are shown here; lines are evaluated by `run::Session`.

use super::{background::Background, editor::SharedNames, script::continues_previous, table::show};
use crate::{
    api::tag,
    base::{Cancel, Diagnostic, Stopwatch, plain_text, with_thousands},
    bulk::{Declared, ProgressBoard, RunReport, RunState},
    cli::{
        args::{ReplArguments, SETTING_NAMES, TargetArgs},
        commands::confirm::{confirm_once, confirm_production},
        config::{Access, ClientOptions, Connection, connect},
        failure::Failure,
        output::{Console, Progress, ProgressMode, dry_run_summary, exit, render},
    },
    client::CallError,
    host::Host,
    run::{LineMode, MemoryLimit, Outcome, RunConfig, Session, SessionError, record::RunOptions},
    script::{ErrorKind, Rendered, docs},
};
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// When the time that a line took is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// `:time`.
    Always,
    /// At a terminal, if it was long.
    IfLong,
}
use tokio::runtime::Runtime;

/// A line that takes longer shows its time and calls.
const MIN_SHOWN_TIME: Duration = Duration::from_millis(200);

pub(super) struct ReplSession<'a> {
    pub host: &'a Host,
    pub runtime: &'a Runtime,
    pub arguments: &'a ReplArguments,
    pub session: Session,
    pub connection: Connection,
    /// What the connection was made for.
    pub target: TargetArgs,
    pub background: Background,
    pub names: SharedNames,
    pub console: Arc<Console>,
    pub cancel: Cancel,
    /// Whether a line is being evaluated.
    pub is_working: Arc<AtomicBool>,
    pub is_interactive: bool,
    /// The exit code of the last error.
    pub code: u8,
    /// The terminal's size, once a line was typed.
    pub columns: Option<usize>,
    pub rows: Option<usize>,
    /// The last value as it was shown.
    shown: String,
    /// The number of rows of the last list that were shown.
    pub shown_to: usize,
}

impl<'a> ReplSession<'a> {
    pub(super) fn open(
        host: &'a Host,
        runtime: &'a Runtime,
        arguments: &'a ReplArguments,
        cancel: &Cancel,
    ) -> anyhow::Result<Self> {
        let is_interactive = host.in_is_terminal && host.out_is_terminal;
        let mode = if is_interactive { ProgressMode::of(host) } else { ProgressMode::Off };
        let console = Console::new(host, mode);
        let target = arguments.target.clone();
        let lines = if arguments.dry_run { LineMode::Dry } else { LineMode::Real };
        let opened = open_account(host, runtime, arguments, &target, &console, cancel)?;
        Ok(Self {
            session: Session::new(opened.config, opened.options, lines),
            connection: opened.connection,
            target,
            background: Background::default(),
            names: SharedNames::default(),
            is_working: Arc::default(),
            code: exit::DONE,
            columns: None,
            rows: None,
            shown: String::new(),
            shown_to: 0,
            host,
            runtime,
            arguments,
            console,
            cancel: cancel.clone(),
            is_interactive,
        })
    }

    /// Whether changes need no confirmation.
    pub(super) fn assume_yes(&self) -> bool {
        self.arguments.yes
    }

    /// Adds a hint to a message about an unknown name, if the name is one that the session knows but that can't be used
    /// in this way.
    fn explain(&self, line: &str, error: anyhow::Error) -> anyhow::Error {
        let mut failure = Failure::from(error);
        let message = &failure.diagnostic.message;
        let named = |before: &str| message.strip_prefix(before).and_then(|rest| rest.strip_suffix('`'));
        let variables = self.session.lines.variables(&self.host.secrets);
        let is_there = |name: &str| variables.iter().find(|variable| variable.name == name);
        if let Some(variable) = named("there is no function `").and_then(is_there) {
            let name = &variable.name;
            failure.diagnostic.hint =
                Some(format!("`{name}` is {}: {name}.call(…) calls a closure", variable.kind));
        } else if failure.diagnostic.hint.is_none() && continues_previous(line) {
            let hint = "the line above was already evaluated: end it with the `.`, `{` or operator, so that the next line \
                        belongs to it";
            failure.diagnostic.hint = Some(hint.to_owned());
        } else if let Some(variable) = named("there is no variable `").and_then(is_there) {
            let name = &variable.name;
            failure.diagnostic.hint = Some(format!(
                "a function does not see the variables of lines: give it `{name}` as an argument, or write \
                 const {name} = …; and global::{name}"
            ));
        }
        failure.into()
    }

    pub(super) fn show_error(&mut self, error: anyhow::Error) {
        let failure = Failure::from(error);
        render::show_error(self.host, &failure.diagnostic);
        self.code = failure.code;
    }

    /// Evaluates a text, of a file if one is named, and shows its value.
    pub(super) fn evaluate(&mut self, text: &str, file: Option<&str>, timing: Timing) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let outcome =
            self.work(|repl, board| repl.session.evaluate(repl.host, repl.runtime, text, file, board));
        self.refresh_names();
        let outcome = outcome.map_err(|error| self.explain(text, error))?;
        self.shown.clear();
        if let Some(shown) = &outcome.value {
            self.show(shown);
        }
        self.finish(&outcome, &watch, timing).map_err(|error| self.explain(text, error))
    }

    /// Prints a value, and remembers how many rows of a list that were.
    pub(super) fn show(&mut self, shown: &Rendered) {
        if let Rendered::Rows { rows, from, .. } = shown {
            self.shown_to = from + rows.len();
        }
        self.shown = show(&shown.masked(&self.host.secrets), self.columns);
        if !self.shown.is_empty() {
            self.host.out.line(&self.shown);
        }
    }

    /// Prints a text, in a pager if it is longer than the terminal.
    pub(super) fn page(&self, text: &str) {
        let is_long = self.rows.is_some_and(|rows| text.lines().count() >= rows);
        if is_long && self.is_interactive && self.show_in_pager(text) {
            return;
        }
        self.host.out.line(text);
    }

    /// Whether there was a pager to show it in.
    fn show_in_pager(&self, text: &str) -> bool {
        let pager = self.host.variable("PAGER");
        // `less` moves the cursor.
        let Some(pager) = pager.or_else(|| (!self.host.is_plain_terminal()).then_some("less -R")) else {
            return false;
        };
        // By a shell, since a pager may be given with arguments.
        let pager =
            Command::new("sh").arg("-c").arg(pager).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut pager) = pager else { return false };
        // A pager that is closed before the end stops reading.
        let text = self.host.secrets.mask(&plain_text(text));
        let _ = pager.stdin.take().map(|mut to| to.write_all(format!("{text}\n").as_bytes()));
        // 127 is the shell's exit code for a program that does not exist.
        pager.wait().is_ok_and(|status| status.code() != Some(127))
    }

    /// Runs something that calls the platform: its progress is shown, and Ctrl-C stops it.
    pub(super) fn work<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Arc<ProgressBoard>) -> Result<Outcome<T>, SessionError>,
    ) -> anyhow::Result<Outcome<T>> {
        let board = Arc::new(ProgressBoard::default());
        let progress = Progress::start(&self.console, &board, self.connection.client.as_ref().ok());
        self.is_working.store(true, Ordering::SeqCst);
        let outcome = work(self, &board);
        self.is_working.store(false, Ordering::SeqCst);
        drop(progress);
        outcome.map_err(|error| match error {
            SessionError::Script(failure) => Failure::script(failure.diagnostic).into(),
            SessionError::Store(error) => error.into(),
        })
    }

    /// Shows the warnings, failures, time and calls of a line, and its error, if it failed.
    pub(super) fn finish<T>(
        &mut self,
        outcome: &Outcome<T>,
        watch: &Stopwatch,
        timing: Timing,
    ) -> anyhow::Result<()> {
        let report = &outcome.report;
        if changes_tag_names(report) {
            self.refresh_tags();
        }
        if report.dry_run && !report.would_call.is_empty() {
            self.host.err.write(&dry_run_summary(&self.without_shown_samples(report)));
        }
        if !report.failed.is_empty() {
            let run = report.run.as_deref().unwrap_or("RUN");
            let failed = with_thousands(report.failed.len() as u64);
            self.host.err.line(&format!("{failed} openids failed; mpscript failed {run} lists them"));
        }
        if report.totals.missing > 0 {
            let missing = with_thousands(report.totals.missing);
            self.host.err.line(&format!("{missing} followers that the platform counts were not listed"));
        }
        if timing == Timing::Always || (self.is_interactive && watch.elapsed() >= MIN_SHOWN_TIME) {
            let took = watch.elapsed().as_secs_f64();
            let calls = match report.calls.values().sum() {
                1 => "1 call".to_owned(),
                calls => format!("{} calls", with_thousands(calls)),
            };
            self.host.err.line(&format!("{took:.1} s, {calls}"));
        }
        self.show_changes_before_failure(outcome);
        let code = match report.state {
            RunState::Paused => exit::PAUSED,
            RunState::Parked => exit::PARKED,
            RunState::Cancelled => exit::INTERRUPTED,
            RunState::Running
            | RunState::Done
            | RunState::DoneWithFailures
            | RunState::Error
            | RunState::Interrupted => exit::SCRIPT,
        };
        let diagnostic = match (&outcome.trouble, &outcome.parked) {
            (Some(failure), _)
                if report.state == RunState::Cancelled && failure.kind == ErrorKind::Cancelled =>
            {
                Diagnostic::new("stopped; every variable is still there")
            }
            (Some(failure), _) => failure.diagnostic.clone(),
            (None, Some(error)) => Diagnostic::new(error.to_string()),
            (None, None) => return Ok(()),
        };
        Err(Failure { diagnostic, code }.into())
    }

    /// A line that failed has no value that would show what it changed before.
    fn show_changes_before_failure<T>(&self, outcome: &Outcome<T>) {
        let report = &outcome.report;
        let has_changed = report.totals.changed > 0 && !report.dry_run;
        if let (Some(_), Some(run), true) = (&outcome.trouble, &report.run, has_changed) {
            for job in report.operations.iter().filter(|job| job.totals.changed > 0) {
                self.host.err.line(&job.text(SETTING_NAMES));
            }
            let later = if self.target.sandbox {
                String::new()
            } else {
                format!(", mpscript undo {run} at any time")
            };
            self.host.err.line(&format!("  :undo undoes that now{later}"));
        }
    }

    /// The report without the sample followers that the line's value has just shown.
    fn without_shown_samples(&self, report: &RunReport) -> RunReport {
        let mut report = report.clone();
        report
            .operations
            .iter_mut()
            .filter(|job| self.shown.contains(&job.text(SETTING_NAMES)))
            .for_each(|job| job.samples.clear());
        report
    }

    /// Continues the session on another account.
    pub(super) fn switch_account(&mut self, account: &str) -> anyhow::Result<()> {
        let account = Some(account.to_owned());
        let target = TargetArgs { account, base_url: Vec::new(), ..self.target.clone() };
        let opened =
            open_account(self.host, self.runtime, self.arguments, &target, &self.console, &self.cancel)?;
        self.session.switch_account(opened.config, opened.options);
        (self.target, self.connection) = (target, opened.connection);
        self.names.change(|names| names.tags.clear());
        self.refresh_tags();
        Ok(())
    }

    /// The account's name, for the prompt.
    pub(super) fn account(&self) -> String {
        if self.target.sandbox {
            return "sandbox".to_owned();
        }
        let name = self.target.account.clone().or_else(|| self.connection.name.clone());
        name.unwrap_or_else(|| "mpscript".to_owned())
    }

    /// The prompt without and with colours.
    pub(super) fn prompt(&self) -> (String, String) {
        let dry = if self.session.is_dry() { " dry" } else { "" };
        let text = format!("{}{dry} {}> ", self.account(), self.session.lines.count() + 1);
        let colour = if self.connection.production.is_some() { "1;31" } else { "1;34" };
        let styled = if self.host.colour() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.clone() };
        (text, styled)
    }

    /// Completes the names of the reference from now on.
    pub(super) fn complete_reference(&self) {
        self.names.change(|names| names.words = Arc::new(docs::words()));
    }

    /// Completes the names that lines have declared from now on.
    pub(super) fn refresh_names(&self) {
        let lines = &self.session.lines;
        self.names.change(|names| {
            names.variables = lines.variables(&self.host.secrets);
            names.functions = lines.functions();
            names.modules = lines.imports().iter().map(|(_, name)| name.clone()).collect();
        });
    }

    /// Reads the names of the account's tags in the background, to complete them.
    pub(super) fn refresh_tags(&self) {
        let Ok(client) = self.connection.client.clone() else { return };
        let names = self.names.clone();
        if !self.is_interactive {
            return;
        }
        self.runtime.spawn(async move {
            match client.call(&tag::List {}).await {
                Ok(list) => names.change(|names| {
                    names.tags = list.tags.into_iter().map(|tag| tag.name).collect();
                }),
                // Ctrl-C, which cancels the line, cancels this call too: no reason to warn.
                Err(CallError::Cancelled { .. }) => {}
                Err(error) => tracing::warn!("tag names can't be completed: {error}"),
            }
        });
    }
}

/// An account that a session works on.
struct OpenedAccount {
    connection: Connection,
    config: RunConfig,
    options: RunOptions,
}

fn open_account(
    host: &Host,
    runtime: &Runtime,
    arguments: &ReplArguments,
    target: &TargetArgs,
    console: &Arc<Console>,
    cancel: &Cancel,
) -> anyhow::Result<OpenedAccount> {
    let client = ClientOptions { in_flight: arguments.in_flight, waits_for_reset: false, store: None };
    let connection = connect(host, runtime, target, Access::Call, client, cancel)?;
    let options = RunOptions {
        account: target.account.clone(),
        base_urls: target.base_url.clone(),
        sandbox: target.sandbox,
        in_flight: arguments.in_flight,
        folder: host.folder.clone(),
        roots: vec![host.folder.clone()],
        ..RunOptions::default()
    };
    let production = connection.production.clone().filter(|_| !arguments.yes);
    let confirm = production.map(|account| confirm_once(confirm_production(host, console, account, cancel)));
    let output = Arc::<Console>::clone(console);
    let config = RunConfig {
        callback: connection.callback.clone(),
        store: connection.store_of_runs(host, runtime, target),
        confirm,
        memory: MemoryLimit::given(arguments.run_memory, MemoryLimit::QuarterOfAvailable),
        ..RunConfig::new(host, &options, &connection.files, connection.client.clone(), cancel, output)
    };
    Ok(OpenedAccount { connection, config, options })
}

/// Whether the calls of a line may have changed which tags there are.
fn changes_tag_names(report: &RunReport) -> bool {
    report.writes.keys().any(|kind| Declared::from_kind(*kind).changes_tags)
}
