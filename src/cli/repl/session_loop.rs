//! Reads the lines of a session, at a terminal or piped in, and executes them.

use super::{
    commands::{self, Flow},
    editor::{LineEditor, editor},
    history,
    piped::{BURST_INTERVAL, lines_of, unreadable},
    printer::TypingPrinter,
    script::{continues_previous, separated},
    state::{ReplSession, Timing},
};
use crate::{
    base::Cancel,
    cli::{
        args::ReplArguments,
        config::purge_old_runs,
        output::{exit, log},
        runtime::start_runtime,
        signals::{Interrupts, leave_at_once},
    },
    host::{Host, on_deep_stack},
    script::{STACK, is_incomplete},
};
use anyhow::Context;
use rustyline::EditMode;
use rustyline::error::ReadlineError;
use std::sync::{Arc, atomic::Ordering};

pub(crate) fn execute(host: &Host, arguments: &ReplArguments) -> anyhow::Result<u8> {
    // The session drops and copies what its lines have made.
    let done = on_deep_stack("session", STACK, || run_session(host, arguments))
        .context("no thread for the session")?;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn run_session(host: &Host, arguments: &ReplArguments) -> anyhow::Result<u8> {
    let printer = TypingPrinter::default();
    let host = &Host { out: printer.route(&host.out), err: printer.route(&host.err), ..host.clone() };
    log::start(host, log::Verbosity::from_flag(arguments.verbose));
    let runtime = start_runtime()?;
    let mut repl = ReplSession::open(host, &runtime, arguments, &Cancel::default())?;
    let code = if repl.is_interactive {
        run_interactive(&mut repl, &printer)?;
        // A person has seen every error at the terminal; a program that pipes lines in learns of them by the exit code.
        exit::DONE
    } else {
        repl.session.lines.show_whole();
        run_piped(&mut repl);
        repl.code
    };
    if let Ok(client) = &repl.connection.client {
        runtime.block_on(client.finish());
    }
    purge_old_runs(host, &runtime, &arguments.target, repl.session.store());
    drop(repl);
    runtime.shutdown_background();
    Ok(code)
}

/// Lines that are typed.
fn run_interactive(repl: &mut ReplSession, printer: &TypingPrinter) -> anyhow::Result<()> {
    const UNUSABLE: &str = "the terminal can't be used";
    repl.complete_reference();
    repl.refresh_tags();
    let keys = if repl.arguments.vi { EditMode::Vi } else { EditMode::Emacs };
    let mut editor = editor(repl.names.clone(), keys, repl.host.colour()).context(UNUSABLE)?;
    // Without a cursor that can be moved nothing can be printed above a line.
    if !repl.host.is_plain_terminal() {
        printer.print_with(editor.create_external_printer().context(UNUSABLE)?);
    }
    let history = history::file(repl.host);
    if let Some(file) = &history {
        // A history that can't be read starts empty.
        let _ = editor.load_history(file);
    }
    stop_at_interrupts(repl);
    repl.host.out.line("mpscript: :help lists the commands, ? is the reference, Ctrl-D leaves");
    loop {
        let prompt = repl.prompt();
        printer.begin();
        let line = editor.readline(&prompt);
        printer.end();
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context(UNUSABLE),
        };
        history::remember(&mut editor, history.as_deref(), repl.host, &line);
        (repl.columns, repl.rows) =
            editor.dimensions().map(|(columns, rows)| (usize::from(columns), usize::from(rows))).unzip();
        if take_line(repl, line.trim(), Some(&mut editor)) == Flow::Exit {
            return Ok(());
        }
    }
}

/// Lines that are piped in.
fn run_piped(repl: &mut ReplSession) {
    let lines = lines_of(repl.host);
    let (mut text, mut next) = (String::new(), None);
    loop {
        let line = match next.take().map_or_else(|| lines.recv().ok(), Some) {
            Some(Ok(line)) => line,
            Some(Err(error)) => {
                repl.show_error(unreadable(&error));
                continue;
            }
            None => String::new(),
        };
        let is_end = line.is_empty();
        text.push_str(&line);
        let is_command = text.starts_with([':', '?']);
        if !is_end && !is_command {
            if is_incomplete(&text) {
                continue;
            }
            // A line that can't begin a statement continues this one, but only if it arrives at once: waiting longer would
            // block a program that waits for each result before it writes its next line.
            next = lines.recv_timeout(BURST_INTERVAL).ok();
            let continues = |next: &String| next.trim().is_empty() || continues_previous(next);
            if next.as_ref().is_some_and(|next| next.as_ref().is_ok_and(continues)) {
                continue;
            }
        }
        let whole = std::mem::take(&mut text);
        if take_line(repl, whole.trim(), None) == Flow::Exit || is_end {
            return;
        }
    }
}

/// Executes a line: a command, or a text to evaluate.
fn take_line(repl: &mut ReplSession, line: &str, editor: Option<&mut LineEditor>) -> Flow {
    let line = match line {
        "" => return Flow::Continue,
        "exit" | "quit" | "exit()" | "quit()" => return Flow::Exit,
        "help" | "help()" => ":help",
        line => line,
    };
    let done = if line.starts_with([':', '?']) {
        commands::execute(repl, line, editor)
    } else {
        repl.evaluate(&separated(line), None, Timing::IfLong).map(|()| Flow::Continue)
    };
    done.unwrap_or_else(|error| {
        repl.show_error(error);
        Flow::Continue
    })
}

/// From now on Ctrl-C stops the work of the current line; the second one ends the process.
fn stop_at_interrupts(repl: &ReplSession) {
    let (is_working, cancel) = (Arc::clone(&repl.is_working), repl.cancel.clone());
    let console = Arc::clone(&repl.console);
    let Some(mut interrupts) = Interrupts::listen(repl.runtime) else { return };
    repl.runtime.spawn(async move {
        loop {
            interrupts.next().await;
            if !is_working.load(Ordering::SeqCst) {
                continue;
            }
            if cancel.is_cancelled() {
                leave_at_once();
            }
            cancel.cancel();
            console.show_stopping();
        }
    });
}
