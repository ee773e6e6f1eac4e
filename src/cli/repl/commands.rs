//! The commands of a session: what begins with `:`, and the reference behind `?`.

use super::{
    background::as_arguments,
    editor::LineEditor,
    names::COMMANDS,
    script::{Line, automation, script, separated},
    state::{ReplSession, Timing},
    table::{list, wrapped},
};
use crate::{
    base::{AtomicFile, Diagnostic, Stopwatch, closest_match, read_text},
    cli::{
        args::{RunsArguments, SETTING_NAMES, TargetArgs},
        commands::{confirm::is_yes, quota, runs},
        failure::{Failure, usage_error},
    },
    run::LineMode,
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    script::{MAX_SCRIPT_BYTES, Origin, Program, Rendered, Source, check, docs, more, undo_script},
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

/// Lines of the history that are shown.
const MAX_LINES: usize = 50;

/// Commands without an argument.
const WITHOUT_ARGUMENT: &[&str] = &[
    ":quit", ":q", ":help", ":vars", ":more", ":edit", ":stop", ":undo", ":quota", ":runs", ":history",
    ":reset",
];

/// Whether the session continues after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Exit,
}

fn fail<T>(message: impl Into<String>, hint: &str) -> anyhow::Result<T> {
    Err(usage_error(message, hint))
}

/// Executes a command.
pub(super) fn execute(
    repl: &mut ReplSession,
    line: &str,
    editor: Option<&mut LineEditor>,
) -> anyhow::Result<Flow> {
    if line.starts_with('?') {
        return look_up(repl, line).map(|()| Flow::Continue);
    }
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if WITHOUT_ARGUMENT.contains(&command) && !rest.is_empty() {
        return fail(
            format!("{command} takes no argument, and `{rest}` is one"),
            &format!("{command}, or :help"),
        );
    }
    match command {
        ":quit" | ":q" => return Ok(Flow::Exit),
        ":help" => help(repl),
        ":vars" => vars(repl),
        ":time" if rest.is_empty() => {
            return fail(":time shows how long a line takes", ":time followers().count()");
        }
        ":time" => repl.evaluate(rest, None, Timing::Always)?,
        ":more" => show_more(repl)?,
        ":load" => {
            let text = read(repl, rest, ":load")?;
            repl.evaluate(&text, Some(rest), Timing::IfLong)?;
        }
        ":run" => run(repl, rest)?,
        ":edit" => edit(repl)?,
        ":watch" | ":serve" => start(repl, command, rest)?,
        ":stop" => match repl.background.titles() {
            none if none.is_empty() => {
                return fail("nothing is running in the background", ":watch FILE starts something");
            }
            titles => {
                repl.background.stop();
                repl.host.out.line(&format!("stopped: {}", titles.join(", ")));
            }
        },
        ":save" => save(repl, rest)?,
        ":undo" => undo(repl, editor)?,
        ":dry" => dry(repl, rest)?,
        ":account" if rest.is_empty() => repl.host.out.line(&repl.account()),
        ":account" if repl.target.sandbox => {
            return fail(
                "this session is on a sandbox of its own",
                "start one without --sandbox to choose an account",
            );
        }
        ":account" => repl.switch_account(rest)?,
        ":quota" => repl.host.out.write(&quota::today(repl.host, repl.runtime, &repl.connection)?),
        ":runs" => {
            // Runs on a sandbox of its own are recorded in the usual store.
            let target = TargetArgs { sandbox: false, ..repl.target.clone() };
            runs::execute(repl.host, &RunsArguments { json: false, target })?;
        }
        ":history" => history(repl, editor),
        ":reset" => {
            repl.session.reset();
            repl.refresh_names();
        }
        other => {
            let names = COMMANDS.iter().filter_map(|(command, _)| command.split(' ').next());
            let hint = closest_match(other, names).map_or_else(
                || ":help lists the commands".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return fail(format!("there is no command `{other}`"), &hint);
        }
    }
    Ok(Flow::Continue)
}

fn help(repl: &ReplSession) {
    let more = "  `it` is the last result, out(3) that of line 3. An unfinished line continues below; Ctrl-C clears it, \
                and stops a running line.";
    repl.page(&format!("{}\n{}", list(COMMANDS, repl.columns), wrapped(more, repl.columns)));
}

fn vars(repl: &ReplSession) {
    let variables = repl.session.lines.variables(&repl.host.secrets);
    for (path, name) in repl.session.lines.imports() {
        repl.host.out.line(&format!("  import {path:?} as {name}"));
    }
    for variable in &variables {
        let constant = if variable.is_constant { "const " } else { "" };
        let name = format!("{constant}{}", variable.name);
        repl.host.out.line(format!("  {name:<16} {:<16} {}", variable.kind, variable.value).trim_end());
    }
    for (_, signature) in repl.session.lines.functions() {
        repl.host.out.line(&format!("  fn {signature}"));
    }
    if variables.is_empty()
        && repl.session.lines.imports().is_empty()
        && repl.session.lines.functions().is_empty()
    {
        repl.host.out.line("nothing is declared yet");
    }
}

fn show_more(repl: &mut ReplSession) -> anyhow::Result<()> {
    let rows = repl.session.lines.last().and_then(|value| more(&value, repl.shown_to));
    match rows {
        Some(Rendered::Rows { rows, .. }) if rows.is_empty() => {
            fail("there are no more rows", "`it` is the whole list")
        }
        Some(shown) => {
            repl.show(&shown);
            Ok(())
        }
        None => fail("the last result is not a list", "a line whose value is a list shows its first rows"),
    }
}

fn read(repl: &ReplSession, name: &str, command: &str) -> anyhow::Result<String> {
    if name.is_empty() {
        return fail(format!("{command} needs the name of a file"), &format!("{command} lib/shop.rhai"));
    }
    read_text(&repl.host.folder.join(name), MAX_SCRIPT_BYTES)
        .or_else(|reason| fail(format!("can't read {name}: {reason}"), "Tab completes the names of files"))
}

fn run(repl: &mut ReplSession, name: &str) -> anyhow::Result<()> {
    read(repl, name, ":run")?;
    let origin = Origin::File { named: PathBuf::from(name), path: repl.host.folder.join(name) };
    let watch = Stopwatch::start();
    let outcome =
        repl.work(|repl, board| repl.session.run_script(repl.host, repl.runtime, &origin, None, board))?;
    repl.finish(&outcome, &watch, Timing::IfLong)
}

fn edit(repl: &mut ReplSession) -> anyhow::Result<()> {
    if !repl.is_interactive {
        return fail(":edit needs a terminal, and the lines are piped in", "give the line itself");
    }
    let host = repl.host;
    let editor = host.variable("VISUAL").or_else(|| host.variable("EDITOR")).unwrap_or("vi").to_owned();
    let file = host.scratch_folder().join(format!("mpscript-{}.rhai", host.process.name().replace('/', "-")));
    let text = repl.session.lines.lines().last().map(|(_, text, _)| text.to_owned()).unwrap_or_default();
    let cannot = |error: io::Error| {
        let message = format!("{editor} can't edit {}: {error}", file.display());
        usage_error(message, "set EDITOR to the editor that you use")
    };
    // Created for its owner alone, never reused: a line may be private, and another user must not have prepared the file.
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&file).and_then(|mut open| open.write_all(text.as_bytes())).map_err(cannot)?;
    // An editor may be given with arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&file).status();
    let edited = status.and_then(|status| {
        if status.success() {
            read_text(&file, MAX_SCRIPT_BYTES).map_err(io::Error::other)
        } else {
            Err(io::Error::other("it ended with an error"))
        }
    });
    let _ = fs::remove_file(&file);
    let edited = edited.map_err(cannot)?;
    if edited.trim().is_empty() || edited.trim() == text.trim() {
        repl.host.out.line("nothing was changed");
        return Ok(());
    }
    repl.evaluate(&separated(edited.trim()), None, Timing::IfLong)
}

/// `:watch` and `:serve`.
fn start(repl: &mut ReplSession, command: &str, name: &str) -> anyhow::Result<()> {
    if !repl.is_interactive {
        return fail(
            format!("{command} needs a terminal, and the lines are piped in"),
            "mpscript watch and mpscript serve are for that",
        );
    }
    let example = if command == ":watch" { ":watch scripts/booth.rhai" } else { ":serve automations" };
    if name.is_empty() {
        return match repl.background.titles() {
            none if none.is_empty() => fail(format!("{command} needs a name"), example),
            titles => {
                repl.host.out.line(&format!("running: {}; :stop stops that", titles.join(", ")));
                Ok(())
            }
        };
    }
    if !repl.host.folder.join(name).exists() {
        return fail(format!("there is no {name}"), "Tab completes the names of files");
    }
    if command == ":serve" && repl.session.is_dry() {
        return fail("the session is dry, and automations would change the account", ":dry off, then :serve");
    }
    let sandbox = repl.connection.sandbox_url();
    let mut arguments = vec![command[1..].to_owned(), name.to_owned()];
    arguments.extend(as_arguments(&repl.target, sandbox.as_deref()));
    if repl.session.is_dry() {
        arguments.push("--dry-run".to_owned());
    }
    let of_sandbox = [("MPSCRIPT_APPID", DEFAULT_APPID), ("MPSCRIPT_SECRET", DEFAULT_SECRET)];
    let environment = if sandbox.is_some() { &of_sandbox[..] } else { &[] };
    repl.background.start(repl.host, &format!("{command} {name}"), &arguments, environment)
}

fn save(repl: &ReplSession, rest: &str) -> anyhow::Result<()> {
    let (is_automation, name) = match rest.strip_prefix("--automation") {
        Some(name) => (true, name.trim()),
        None => (rest.ends_with(" --automation"), rest.trim_end_matches("--automation").trim()),
    };
    if name.is_empty() {
        return fail(":save needs the name of a file", ":save booth.rhai");
    }
    let file = repl.host.folder.join(name);
    if file.exists() {
        return fail(format!("there is a file {name} already"), "give another name: nothing is overwritten");
    }
    let lines: Vec<Line> = repl
        .session
        .lines
        .lines()
        .map(|(number, text, has_result)| Line { number, text: text.to_owned(), has_result })
        .collect();
    if lines.is_empty() {
        return fail("no line has succeeded yet", "a script is made of the lines that have");
    }
    let date = chrono::DateTime::from_timestamp(repl.host.clock.now_secs(), 0).unwrap_or_default();
    let date = date.with_timezone(&chrono::Local).format("%Y-%m-%d");
    let header = format!("//! Written on {date} in a session on the account {}.\n", repl.account());
    let (whole, count) = if is_automation { automation(&header, &lines) } else { script(&header, &lines) };
    let text = repl.host.secrets.mask(&whole);
    if count == 0 {
        return fail("the lines so far have only shown values", "a script is made of what lines do");
    }
    let written = AtomicFile::create(&file).and_then(|mut written| {
        written.write_all(text.as_bytes())?;
        written.finish()
    });
    written
        .or_else(|error| fail(format!("can't write {name}: {error}"), "give a folder that can be written"))?;
    let lines = if count == 1 { "line" } else { "lines" };
    repl.host.out.line(&format!("{count} {lines} written to {name}"));
    if text != whole {
        repl.host.err.line("a secret was masked as ***; give it as a param(…) instead");
    }
    let origin = Origin::File { named: PathBuf::from(name), path: file };
    let trouble = match Program::load(&origin) {
        Ok(program) => check::first(&program),
        Err(trouble) => Some(trouble),
    };
    // Some expressions, like out(n + 1), only work within the session.
    trouble.map_or(Ok(()), |trouble| Err(Failure::script(trouble.diagnostic).into()))
}

fn undo(repl: &mut ReplSession, editor: Option<&mut LineEditor>) -> anyhow::Result<()> {
    let change = repl.session.last_change(repl.runtime)?;
    if let Some((run, plan)) = change {
        let script = undo_script(&plan);
        if repl.session.is_dry() {
            return fail("the line has changed the account, and the session is dry", ":dry off, then :undo");
        }
        for lasting in &plan.irreversible {
            repl.host.err.line(&format!("can't be undone: {lasting}"));
        }
        if !script.is_empty() {
            repl.host.err.write(&script);
            if !repl.assume_yes() {
                let Some(editor) = editor else {
                    return fail(
                        "nothing was undone: there is no terminal to confirm at",
                        "give --yes when you start the session",
                    );
                };
                let answer =
                    editor.readline("Undo what the line did to the account? [y/N] ").unwrap_or_default();
                if !is_yes(&answer) {
                    let or = if repl.target.sandbox {
                        String::new()
                    } else {
                        format!(", or: mpscript undo {run}")
                    };
                    return fail("nothing was undone", &format!(":undo asks again: answer y{or}"));
                }
            }
            let source = Source { name: format!("undo {run}"), text: script, imports: Vec::new() };
            let origin = Origin::Recorded(source);
            let watch = Stopwatch::start();
            let outcome = repl.work(|repl, board| {
                repl.session.run_script(repl.host, repl.runtime, &origin, Some(&run), board)
            })?;
            repl.finish(&outcome, &watch, Timing::IfLong)?;
            for what in &outcome.report.not_undone {
                repl.host.err.line(&format!("warning: not undone: {what}"));
            }
            if outcome.report.not_undone.is_empty() && outcome.report.failed.is_empty() {
                repl.host.out.line("the account is as before that line");
            }
        }
    }
    if repl.session.rollback() {
        repl.refresh_names();
        repl.host.out.line("the variables are as before that line");
        if let Some((back, run)) = repl.session.last_undoable() {
            repl.host.out.line(&earlier_line(repl, back, &run));
        }
        return Ok(());
    }
    fail("there is no earlier line to undo", "the last lines can be undone, one after another")
}

/// Says that the line `back` lines ago has changed the account, and what undoes it; 0 is one that `:undo` can't reach.
fn earlier_line(repl: &ReplSession, back: usize, run: &str) -> String {
    let times = match back {
        0 => return format!("an earlier line has changed the account: mpscript undo {run} undoes that"),
        1 => ":undo one more time".to_owned(),
        back => format!(":undo {back} times more"),
    };
    let or = if repl.target.sandbox { String::new() } else { format!(", or mpscript undo {run}") };
    format!("an earlier line has changed the account: {times}{or} undoes that")
}

fn dry(repl: &mut ReplSession, rest: &str) -> anyhow::Result<()> {
    match rest {
        "on" => repl.session.set_mode(LineMode::Dry),
        "off" => repl.session.set_mode(LineMode::Real),
        "" => {}
        _ => return fail(format!("`{rest}` is neither on nor off"), ":dry on, or :dry off"),
    }
    let says = if repl.session.is_dry() {
        "dry: lines change nothing, and show what they would change"
    } else {
        "not dry: lines change the account"
    };
    repl.host.out.line(says);
    Ok(())
}

fn history(repl: &ReplSession, editor: Option<&mut LineEditor>) {
    let Some(editor) = editor else { return };
    let all: Vec<&String> = editor.history().iter().collect();
    for line in &all[all.len().saturating_sub(MAX_LINES)..] {
        repl.host.out.line(line);
    }
}

/// `?`, `?name` and `??name`.
fn look_up(repl: &ReplSession, line: &str) -> anyhow::Result<()> {
    if let Some(name) = line.strip_prefix("??") {
        let name = name.trim().trim_end_matches(['(', ')']);
        if name.is_empty() {
            return fail(
                "?? shows the source of a function that is written in a script",
                "??NAME, as in ??tag_id",
            );
        }
        let source = repl.session.lines.source_of(name).map(str::to_owned);
        let source = source.or_else(|| docs::library_source(name));
        let hint = format!("?{name} shows its documentation");
        return match source {
            Some(source) => {
                repl.page(&source);
                Ok(())
            }
            None => fail(format!("`{name}` is not a function that is written in a script"), &hint),
        };
    }
    let name = line[1..].trim().trim_end_matches(['(', ')']);
    if name.is_empty() {
        repl.page(&wrapped(&docs::overview(), repl.columns));
        return Ok(());
    }
    let own = repl.session.lines.functions().into_iter().find(|(own, _)| own == name);
    let text = match own {
        Some((_, signature)) => format!("{signature}\n\n  a function of this session: ??{name} shows it"),
        None => docs::look_up(name, SETTING_NAMES).map_err(|near| {
            let hint =
                near.map_or_else(|| "? lists everything".to_owned(), |near| format!("did you mean ?{near}"));
            Failure::script(Diagnostic::new(format!("there is nothing called `{name}`")).hint(hint))
        })?,
    };
    repl.page(&wrapped(&text, repl.columns));
    Ok(())
}
