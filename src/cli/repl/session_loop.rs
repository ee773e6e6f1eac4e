//! `mpscript repl`: a session at a terminal, or of lines that are piped in.
//!
//! Lines are read here and what they give is shown here; what they do is the business of `run::Session`.

use super::{
    background::Background,
    commands::{self, After},
    editor::{LineEditor, Shared, editor},
    history,
    lexer::is_unfinished,
    piped::{AT_ONCE, lines_of, unreadable},
    printer::Above,
    script::{only_goes_on, separated},
    table::show,
};
use crate::{
    api::tag,
    base::{Cancel, Diagnostic, Stopwatch, with_thousands},
    bulk::{Board, RunReport, RunState},
    cli::{
        Failure,
        args::arguments::{Reach, ReplArguments},
        commands::run::{gate, once, would},
        config::{
            connect::{self, Calling, Need, Reached},
            store,
        },
        output::{
            exit, log,
            progress::{Progress, Words},
            render,
        },
        signals::{Interrupts, leave_at_once},
    },
    client::CallError,
    host::Host,
    run::{Outcome, RunConfig, Session, SessionError, record::RunOptions, runtime},
    script::{Rendered, docs},
};
use rustyline::error::ReadlineError;
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// What takes longer says how long it took.
const WORTH_SAYING: Duration = Duration::from_millis(200);

/// A session with everything around it.
pub(crate) struct Repl<'a> {
    pub host: &'a Host,
    pub runtime: &'a Runtime,
    pub session: Session,
    /// What it reaches now, and what that was asked for by.
    pub reached: Reached,
    pub reach: Reach,
    pub background: Background,
    known: Shared,
    words: Arc<Words>,
    arguments: &'a ReplArguments,
    cancel: Cancel,
    is_working: Arc<AtomicBool>,
    pub is_interactive: bool,
    /// The exit code of the last error.
    code: u8,
    /// The terminal's columns and rows.
    pub columns: Option<usize>,
    rows: Option<usize>,
    /// What the last value looked like.
    shown: String,
    /// The rows of the last list that were shown.
    pub shown_to: usize,
}

pub(crate) fn execute(host: &Host, arguments: &ReplArguments) -> Result<u8, Failure> {
    let is_interactive = host.in_is_terminal && host.out_is_terminal;
    let above = Above::default();
    let host = &Host { out: above.route(&host.out), err: above.route(&host.err), ..host.clone() };
    log::start(host, arguments.verbose);
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let cancel = Cancel::default();
    let words = Words::new(host, is_interactive && host.err_is_terminal);
    let (reached, config, options) = open(host, &runtime, arguments, &arguments.reach, &words, &cancel)?;
    let mut repl = Repl {
        session: Session::new(config, options, arguments.dry_run),
        reach: arguments.reach.clone(),
        background: Background::default(),
        known: Shared::default(),
        is_working: Arc::default(),
        code: exit::DONE,
        columns: None,
        rows: None,
        shown: String::new(),
        shown_to: 0,
        host,
        runtime: &runtime,
        reached,
        words,
        arguments,
        cancel,
        is_interactive,
    };
    if is_interactive {
        repl.talk(&above)?;
    } else {
        repl.session.lines.show_whole();
        repl.listen();
    }
    if let Ok(client) = &repl.reached.client {
        runtime.block_on(client.finish());
    }
    let code = repl.code;
    drop(repl);
    runtime.shutdown_background();
    // A person has seen every error; a program is told of the last one.
    Ok(if is_interactive { exit::DONE } else { code })
}

/// What a session reaches, and what surrounds its lines.
fn open(
    host: &Host,
    runtime: &Runtime,
    arguments: &ReplArguments,
    reach: &Reach,
    words: &Arc<Words>,
    cancel: &Cancel,
) -> Result<(Reached, RunConfig, RunOptions), Failure> {
    let calling = Calling { in_flight: arguments.in_flight, waits_for_reset: false, store: None };
    let reached = connect::reach(host, runtime, reach, Need::Calls, calling, cancel)?;
    let options = RunOptions {
        account: reach.account.clone(),
        base_urls: reach.base_url.clone(),
        sandbox: reach.sandbox,
        in_flight: arguments.in_flight,
        folder: host.folder.clone(),
        ..RunOptions::default()
    };
    let output = Arc::<Words>::clone(words);
    let config = RunConfig {
        callback: reached.callback.clone(),
        store: reached.store_of_runs(host, runtime, reach),
        confirm: once(gate(host, words, reached.production.clone(), arguments.yes, cancel)),
        ..RunConfig::new(host, &options, reached.client.clone(), cancel, output)
    };
    Ok((reached, config, options))
}

impl Repl<'_> {
    /// Lines that are typed.
    fn talk(&mut self, above: &Above) -> Result<(), Failure> {
        let fail = |error: ReadlineError| {
            Failure::usage(Diagnostic::new(format!("the terminal can't be used: {error}")))
        };
        self.known.change(|known| known.words = Arc::new(docs::words()));
        self.learn_tags();
        let mut editor = editor(self.known.clone(), self.arguments.vi, self.host.colour()).map_err(fail)?;
        above.print_with(editor.create_external_printer().map_err(fail)?);
        let history = history::file(self.host);
        if let Some(file) = &history {
            // One that can't be read is a history that begins anew.
            let _ = editor.load_history(file);
        }
        self.stop_at_interrupts();
        self.host.out.line("mpscript: :help tells more, ? is the reference, Ctrl-D leaves");
        loop {
            let prompt = self.prompt();
            above.begin();
            let line = editor.readline(&prompt);
            above.end();
            let line = match line {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(fail(error)),
            };
            history::remember(&mut editor, history.as_deref(), self.host, &line);
            (self.columns, self.rows) =
                editor.dimensions().map(|(columns, rows)| (usize::from(columns), usize::from(rows))).unzip();
            if self.take(line.trim(), Some(&mut editor)) == After::Leave {
                return Ok(());
            }
        }
    }

    /// Lines that are piped in.
    fn listen(&mut self) {
        let lines = lines_of(self.host);
        let (mut text, mut next) = (String::new(), None);
        loop {
            let line = match next.take().map_or_else(|| lines.recv().ok(), Some) {
                Some(Ok(line)) => line,
                Some(Err(error)) => {
                    self.tell(&unreadable(&error));
                    continue;
                }
                None => String::new(),
            };
            let is_end = line.is_empty();
            text.push_str(&line);
            let is_command = text.starts_with([':', '?']);
            if !is_end && !is_command {
                if is_unfinished(&text) {
                    continue;
                }
                // What can't begin a statement belongs to this one, if it comes at once: nobody is waited for.
                next = lines.recv_timeout(AT_ONCE).ok();
                let goes_on = |next: &String| next.trim().is_empty() || only_goes_on(next);
                if next.as_ref().is_some_and(|next| next.as_ref().is_ok_and(goes_on)) {
                    continue;
                }
            }
            let whole = std::mem::take(&mut text);
            if self.take(whole.trim(), None) == After::Leave || is_end {
                return;
            }
        }
    }

    /// Does what a line asks for.
    fn take(&mut self, line: &str, editor: Option<&mut LineEditor>) -> After {
        if line.is_empty() {
            return After::GoOn;
        }
        match line {
            "exit" | "quit" | "exit()" | "quit()" => return After::Leave,
            "help" | "help()" => return self.take(":help", editor),
            _ => {}
        }
        let done = if line.starts_with([':', '?']) {
            commands::take(self, line, editor)
        } else {
            self.evaluate(&separated(line), None, false).map(|()| After::GoOn)
        };
        done.unwrap_or_else(|failure| {
            self.tell(&failure);
            After::GoOn
        })
    }

    /// Whether changes need no question.
    pub(crate) fn is_sure(&self) -> bool {
        self.arguments.yes
    }

    /// A name that a line has and a function does not see, or that is called and can't be, is told apart from one that
    /// is nowhere.
    fn explain(&self, line: &str, mut failure: Failure) -> Failure {
        let message = &failure.diagnostic.message;
        let named = |before: &str| message.strip_prefix(before).and_then(|rest| rest.strip_suffix('`'));
        let variables = self.session.lines.variables();
        let is_there = |name: &str| variables.iter().find(|variable| variable.name == name);
        if let Some(variable) = named("there is no function `").and_then(is_there) {
            let name = &variable.name;
            failure.diagnostic.hint =
                Some(format!("`{name}` is {}: {name}.call(…) calls a closure", variable.kind));
        } else if failure.diagnostic.hint.is_none() && only_goes_on(line) {
            let hint = "the line above has been evaluated already: end it with the `.`, `{` or operator, and what goes on below \
                        belongs to it";
            failure.diagnostic.hint = Some(hint.to_owned());
        } else if let Some(variable) = named("there is no variable `").and_then(is_there) {
            let name = &variable.name;
            failure.diagnostic.hint = Some(format!(
                "a function does not see the variables of lines: give it `{name}` as an argument, or write \
                 const {name} = …; and global::{name}"
            ));
        }
        failure
    }

    fn tell(&mut self, failure: &Failure) {
        self.host.err.line(&render::error(self.host, &failure.diagnostic));
        self.code = failure.code;
    }

    /// Evaluates a line, of a file where one is named, and shows what it gives.
    pub(crate) fn evaluate(&mut self, text: &str, file: Option<&str>, is_timed: bool) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        let outcome =
            self.work(|repl, board| repl.session.evaluate(repl.host, repl.runtime, (text, file), board));
        self.learn_names();
        let outcome = outcome.map_err(|failure| self.explain(text, failure))?;
        self.shown.clear();
        if let Some(shown) = &outcome.value {
            self.show(shown);
        }
        self.finish(&outcome, &watch, is_timed).map_err(|failure| self.explain(text, failure))
    }

    /// Prints a value, and remembers how much of a list that was.
    pub(crate) fn show(&mut self, shown: &Rendered) {
        if let Rendered::Rows { rows, from, .. } = shown {
            self.shown_to = from + rows.len();
        }
        self.shown = show(shown, self.columns);
        if self.is_interactive {
            // A text of the account must not steer the terminal.
            self.shown.retain(|char| !char.is_control() || ['\n', '\t'].contains(&char));
        }
        if !self.shown.is_empty() {
            self.host.out.line(&self.shown);
        }
    }

    /// Prints a text; one that is longer than the terminal is leafed through.
    pub(crate) fn page(&self, text: &str) {
        let is_long = self.rows.is_some_and(|rows| text.lines().count() >= rows);
        if is_long && self.is_interactive {
            let pager = self.host.variable("PAGER").unwrap_or("less -R");
            // A pager may be given with arguments. Where there is none, the terminal scrolls.
            let pager =
                Command::new("sh").arg("-c").arg(pager).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
            if let Ok(mut pager) = pager {
                // Whoever has read enough closes it before the end.
                let _ = pager.stdin.take().map(|mut to| to.write_all(format!("{text}\n").as_bytes()));
                // The shell's word for a program that is not there.
                if pager.wait().is_ok_and(|status| status.code() != Some(127)) {
                    return;
                }
            }
        }
        self.host.out.line(text);
    }

    /// Runs something that calls the platform: its progress is drawn, and Ctrl-C stops it.
    pub(crate) fn work<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Arc<Board>) -> Result<Outcome<T>, SessionError>,
    ) -> Result<Outcome<T>, Failure> {
        let board = Arc::new(Board::default());
        let client = self.reached.client.as_ref().ok().cloned();
        let progress =
            Progress::start(&self.words, &board, client.as_ref(), self.is_interactive, !self.is_interactive);
        self.is_working.store(true, Ordering::SeqCst);
        let outcome = work(self, &board);
        self.is_working.store(false, Ordering::SeqCst);
        drop(progress);
        outcome.map_err(|error| match error {
            SessionError::Script(trouble) => Failure { diagnostic: trouble.diagnostic, code: exit::SCRIPT },
            SessionError::Store(error) => store::failure(&error),
        })
    }

    /// What is said of a line beside its value.
    pub(crate) fn finish<T>(
        &mut self,
        outcome: &Outcome<T>,
        watch: &Stopwatch,
        is_timed: bool,
    ) -> Result<(), Failure> {
        let report = &outcome.report;
        let calls: u64 = report.calls.values().sum();
        if report.calls.keys().any(|call| call.contains("/cgi-bin/tags/") && !call.ends_with("/get")) {
            self.learn_tags();
        }
        if report.dry_run && !report.would_call.is_empty() {
            self.host.err.write(&would(&self.without_samples(report)));
        }
        if !report.failed.is_empty() {
            let of = report.run.as_deref().unwrap_or("RUN");
            let failed = with_thousands(report.failed.len() as u64);
            self.host.err.line(&format!("{failed} openids failed; mpscript failed {of} names them"));
        }
        if is_timed || (self.is_interactive && watch.elapsed() >= WORTH_SAYING) {
            let took = watch.elapsed().as_secs_f64();
            let calls =
                if calls == 1 { "1 call".to_owned() } else { format!("{} calls", with_thousands(calls)) };
            self.host.err.line(&format!("{took:.1} s, {calls}"));
        }
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
        let has_changed = report.totals.changed > 0 && !report.dry_run;
        if let (Some(_), Some(run), true) = (&outcome.trouble, &report.run, has_changed) {
            // What was done before it ended must not be lost with it.
            for end in report.ends.iter().filter(|end| end.totals.changed > 0) {
                self.host.err.line(&end.to_string());
            }
            let any_time =
                if self.reach.sandbox { String::new() } else { format!(", mpscript undo {run} at any time") };
            self.host.err.line(&format!("  :undo takes that back now{any_time}"));
        }
        match (&outcome.trouble, &outcome.parked) {
            (Some(trouble), _) if report.state == RunState::Cancelled && trouble.is_cancelled => {
                Err(Failure { diagnostic: Diagnostic::new("stopped; every variable is still there"), code })
            }
            (Some(trouble), _) => Err(Failure { diagnostic: trouble.diagnostic.clone(), code }),
            (None, Some(error)) => Err(Failure { diagnostic: Diagnostic::new(error.to_string()), code }),
            (None, None) => Ok(()),
        }
    }

    /// The report without the followers that the value shown before it has named already.
    fn without_samples(&self, report: &RunReport) -> RunReport {
        let mut report = report.clone();
        report
            .ends
            .iter_mut()
            .filter(|end| self.shown.contains(&end.to_string()))
            .for_each(|end| end.samples.clear());
        report
    }

    /// Goes on with another account.
    pub(crate) fn switch_account(&mut self, account: &str) -> Result<(), Failure> {
        let reach = Reach { account: Some(account.to_owned()), base_url: Vec::new(), ..self.reach.clone() };
        let (reached, config, options) =
            open(self.host, self.runtime, self.arguments, &reach, &self.words, &self.cancel)?;
        self.session.switch_account(config, options);
        (self.reach, self.reached) = (reach, reached);
        self.known.change(|known| known.tags.clear());
        self.learn_tags();
        Ok(())
    }

    /// What the account is called.
    pub(crate) fn account(&self) -> String {
        if self.reach.sandbox {
            return "sandbox".to_owned();
        }
        self.reach
            .account
            .clone()
            .or_else(|| self.reached.name.clone())
            .unwrap_or_else(|| "mpscript".to_owned())
    }

    /// The prompt without and with colours.
    fn prompt(&self) -> (String, String) {
        let dry = if self.session.is_dry() { " dry" } else { "" };
        let text = format!("{}{dry} {}> ", self.account(), self.session.lines.count() + 1);
        let colour = if self.reached.production.is_some() { "1;31" } else { "1;34" };
        let styled = if self.host.colour() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.clone() };
        (text, styled)
    }

    /// What lines have made can be named from now on.
    pub(crate) fn learn_names(&self) {
        let lines = &self.session.lines;
        self.known.change(|known| {
            known.variables = lines.variables();
            known.functions = lines.functions();
            known.modules = lines.imports().iter().map(|(_, name)| name.clone()).collect();
        });
    }

    /// Learns the account's tags while a person types.
    fn learn_tags(&self) {
        let Ok(client) = self.reached.client.clone() else { return };
        let known = self.known.clone();
        if !self.is_interactive {
            return;
        }
        self.runtime.spawn(async move {
            match client.call(&tag::List {}).await {
                Ok(list) => known.change(|known| {
                    known.tags = list.tags.into_iter().map(|tag| tag.name).collect();
                }),
                // Ctrl-C was for something else.
                Err(CallError::Cancelled { .. }) => {}
                Err(error) => tracing::warn!("tag names can't be completed: {error}"),
            }
        });
    }

    /// From now on Ctrl-C stops what is under way; the second time it leaves.
    fn stop_at_interrupts(&self) {
        let (is_working, cancel) = (Arc::clone(&self.is_working), self.cancel.clone());
        let words = Arc::clone(&self.words);
        let Some(mut interrupts) = Interrupts::listen(self.runtime) else { return };
        self.runtime.spawn(async move {
            loop {
                interrupts.next().await;
                if !is_working.load(Ordering::SeqCst) {
                    continue;
                }
                if cancel.is_cancelled() {
                    leave_at_once();
                }
                cancel.cancel();
                words.stopping();
            }
        });
    }
}
