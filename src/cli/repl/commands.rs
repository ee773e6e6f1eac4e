//! The commands of a session: what begins with `:`, and the reference behind `?`.

use super::{
    background::as_arguments,
    editor::LineEditor,
    lexer::COMMANDS,
    script::{Line, automation, script, separated},
    session_loop::Repl,
    table::{list, wrapped},
};
use crate::{
    base::{AtomicFile, Diagnostic, Stopwatch, closest_match},
    cli::{
        Failure,
        args::arguments::RunsArguments,
        commands::{quota, runs},
        config::store,
        output::exit,
    },
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    script::{Origin, Program, Rendered, Source, check, docs, more},
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

/// Lines of the history that are shown.
const LINES: usize = 50;

/// Commands that take nothing.
const ALONE: &[&str] = &[
    ":quit", ":q", ":help", ":vars", ":more", ":edit", ":stop", ":undo", ":quota", ":runs", ":history",
    ":reset",
];

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    GoOn,
    Leave,
}

fn fail<T>(message: impl Into<String>, hint: &str) -> Result<T, Failure> {
    Err(Failure::usage(Diagnostic::new(message).hint(hint)))
}

/// Does what a command says.
pub(crate) fn take(repl: &mut Repl, line: &str, editor: Option<&mut LineEditor>) -> Result<After, Failure> {
    if line.starts_with('?') {
        return look_up(repl, line).map(|()| After::GoOn);
    }
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if ALONE.contains(&command) && !rest.is_empty() {
        return fail(format!("{command} stands alone, without `{rest}`"), &format!("{command}, or :help"));
    }
    match command {
        ":quit" | ":q" => return Ok(After::Leave),
        ":help" => help(repl),
        ":vars" => vars(repl),
        ":time" if rest.is_empty() => {
            return fail(":time says how long a line takes", ":time followers().count()");
        }
        ":time" => repl.evaluate(rest, None, true)?,
        ":more" => show_more(repl)?,
        ":load" => {
            let text = read(repl, rest, ":load")?;
            repl.evaluate(&text, Some(rest), false)?;
        }
        ":run" => run(repl, rest)?,
        ":edit" => edit(repl)?,
        ":watch" | ":serve" => start(repl, command, rest)?,
        ":stop" => match repl.background.titles() {
            none if none.is_empty() => {
                return fail("nothing is under way in the background", ":watch FILE starts something");
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
        ":account" if repl.reach.sandbox => {
            return fail(
                "this session is on a sandbox of its own",
                "begin one without --sandbox to choose an account",
            );
        }
        ":account" => repl.switch_account(rest)?,
        ":quota" => repl.host.out.write(&quota::today(repl.host, repl.runtime, &repl.reached)?),
        ":runs" => {
            // A sandbox of its own has no store of its own.
            let reach = crate::cli::args::arguments::Reach { sandbox: false, ..repl.reach.clone() };
            runs::list(repl.host, &RunsArguments { json: false, reach })?;
        }
        ":history" => history(repl, editor),
        ":reset" => {
            repl.session.reset();
            repl.learn_names();
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
    Ok(After::GoOn)
}

fn help(repl: &Repl) {
    let more = "  `it` is the last result, out(3) that of line 3. A line that is not finished goes on below; Ctrl-C clears \
                it, and stops what is under way.";
    repl.page(&format!("{}\n{}", list(COMMANDS, repl.columns), wrapped(more, repl.columns)));
}

fn vars(repl: &Repl) {
    let variables = repl.session.lines.variables();
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

fn show_more(repl: &mut Repl) -> Result<(), Failure> {
    let rows = repl.session.lines.last().and_then(|value| more(&value, repl.shown_to));
    match rows {
        Some(Rendered::Rows { rows, .. }) if rows.is_empty() => {
            fail("there are no more rows", "`it` is the whole list")
        }
        Some(shown) => {
            repl.show(&shown);
            Ok(())
        }
        None => fail("the last result is no list", "a line that gives one shows its first rows"),
    }
}

fn read(repl: &Repl, name: &str, command: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return fail(format!("{command} needs the name of a file"), &format!("{command} lib/shop.rhai"));
    }
    fs::read_to_string(repl.host.folder.join(name))
        .or_else(|error| fail(format!("can't read {name}: {error}"), "Tab completes the names of files"))
}

fn run(repl: &mut Repl, name: &str) -> Result<(), Failure> {
    read(repl, name, ":run")?;
    let origin = Origin::File { named: PathBuf::from(name), path: repl.host.folder.join(name) };
    let watch = Stopwatch::start();
    let outcome =
        repl.work(|repl, board| repl.session.run_script(repl.host, repl.runtime, (&origin, None), board))?;
    repl.finish(&outcome, &watch, false)
}

fn edit(repl: &mut Repl) -> Result<(), Failure> {
    if !repl.is_interactive {
        return fail(":edit needs a terminal, and lines come from elsewhere", "give the line itself");
    }
    let host = repl.host;
    let editor = host.variable("VISUAL").or_else(|| host.variable("EDITOR")).unwrap_or("vi").to_owned();
    let file = host.scratch_folder().join(format!("mpscript-{}.rhai", host.process.replace('/', "-")));
    let text = repl.session.lines.lines().last().map(|(_, text, _)| text.to_owned()).unwrap_or_default();
    let cannot = |error: io::Error| {
        let message = format!("{editor} can't edit {}: {error}", file.display());
        Failure::usage(Diagnostic::new(message).hint("set EDITOR to the editor that you use"))
    };
    // Nobody else may read or leave something there: what a line holds may be private.
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&file).and_then(|mut open| open.write_all(text.as_bytes())).map_err(cannot)?;
    // An editor may be given with arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&file).status();
    let edited = status.and_then(|status| {
        if status.success() {
            fs::read_to_string(&file)
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
    repl.evaluate(&separated(edited.trim()), None, false)
}

/// `:watch` and `:serve`.
fn start(repl: &mut Repl, command: &str, name: &str) -> Result<(), Failure> {
    if !repl.is_interactive {
        return fail(
            format!("{command} needs a terminal, and lines come from elsewhere"),
            "mpscript watch and mpscript serve are for that",
        );
    }
    let example = if command == ":watch" { ":watch scripts/booth.rhai" } else { ":serve automations" };
    if name.is_empty() {
        return match repl.background.titles() {
            none if none.is_empty() => fail(format!("{command} needs a name"), example),
            titles => {
                repl.host.out.line(&format!("under way: {}; :stop ends that", titles.join(", ")));
                Ok(())
            }
        };
    }
    if !repl.host.folder.join(name).exists() {
        return fail(format!("there is no {name}"), "Tab completes the names of files");
    }
    if command == ":serve" && repl.session.is_dry() {
        return fail("lines change nothing now, and automations would", ":dry off, then :serve");
    }
    let sandbox = repl.reached.sandbox_url();
    let mut arguments = vec![command[1..].to_owned(), name.to_owned()];
    arguments.extend(as_arguments(&repl.reach, sandbox.as_deref()));
    if repl.session.is_dry() {
        arguments.push("--dry-run".to_owned());
    }
    let of_sandbox = [("MPSCRIPT_APPID", DEFAULT_APPID), ("MPSCRIPT_SECRET", DEFAULT_SECRET)];
    let environment = if sandbox.is_some() { &of_sandbox[..] } else { &[] };
    repl.background.start(repl.host, &format!("{command} {name}"), &arguments, environment)
}

fn save(repl: &Repl, rest: &str) -> Result<(), Failure> {
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
        return fail("no line has done what it should yet", "a script is made of the lines that have");
    }
    let date = chrono::DateTime::from_timestamp(repl.host.clock.now(), 0).unwrap_or_default();
    let date = date.with_timezone(&chrono::Local).format("%Y-%m-%d");
    let header = format!("//! Written on {date} in a session on the account {}.\n", repl.account());
    let (whole, count) = if is_automation { automation(&header, &lines) } else { script(&header, &lines) };
    let text = repl.host.secrets.mask(&whole);
    if count == 0 {
        return fail("the lines so far have only looked at values", "a script is made of what lines do");
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
        repl.host.err.line("a secret was left out: *** stands for it; give it as a param(…) instead");
    }
    let origin = Origin::File { named: PathBuf::from(name), path: file };
    let trouble = match Program::load(&origin) {
        Ok(program) => check::check(&program).into_iter().next(),
        Err(trouble) => Some(trouble),
    };
    // What only the session has, out(n + 1) say, can't be in it.
    trouble.map_or(Ok(()), |trouble| Err(Failure { diagnostic: trouble.diagnostic, code: exit::SCRIPT }))
}

fn undo(repl: &mut Repl, editor: Option<&mut LineEditor>) -> Result<(), Failure> {
    let change = repl.session.last_change(repl.runtime).map_err(|error| store::failure(&error))?;
    if let Some((run, way)) = change {
        if repl.session.is_dry() {
            return fail(
                "the line has changed the account, and lines change nothing now",
                ":dry off, then :undo",
            );
        }
        for lasting in &way.lasting {
            repl.host.err.line(&format!("can't be taken back: {lasting}"));
        }
        if !way.script.is_empty() {
            repl.host.err.write(&way.script);
            if !repl.is_sure() {
                let Some(editor) = editor else {
                    return fail(
                        "nothing was taken back: nobody can be asked",
                        "give --yes when you start the session",
                    );
                };
                let answer =
                    editor.readline("Take back what the line did to the account? [y/N] ").unwrap_or_default();
                if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
                    let or =
                        if repl.reach.sandbox { String::new() } else { format!(", or: mpscript undo {run}") };
                    return fail("nothing was taken back", &format!(":undo asks again: answer y{or}"));
                }
            }
            let source = Source { name: format!("undo {run}"), text: way.script, imports: Vec::new() };
            let origin = Origin::Stored(source);
            let watch = Stopwatch::start();
            let outcome = repl.work(|repl, board| {
                repl.session.run_script(repl.host, repl.runtime, (&origin, Some(&run)), board)
            })?;
            repl.finish(&outcome, &watch, false)?;
            for what in &outcome.report.set_aside {
                repl.host.err.line(&format!("warning: can't be taken back: {what}"));
            }
            if outcome.report.set_aside.is_empty() && outcome.report.failed.is_empty() {
                repl.host.out.line("the account is as before that line");
            }
        }
    }
    if repl.session.restore() {
        repl.learn_names();
        repl.host.out.line("the variables are as before that line");
        if let Some(earlier) = repl.session.last_undoable() {
            repl.host.out.line(&earlier_line(repl, &earlier));
        }
        return Ok(());
    }
    fail("there is no line before this to go back to", "the last lines can be undone, one after another")
}

/// How far a line that has changed the account is from the last one, and what takes it back.
fn earlier_line(repl: &Repl, (back, run): &(usize, String)) -> String {
    let times = match back {
        0 => return format!("a line before it has changed the account: mpscript undo {run} takes that back"),
        1 => ":undo once more".to_owned(),
        back => format!(":undo {back} times more"),
    };
    let or = if repl.reach.sandbox { String::new() } else { format!(", or mpscript undo {run}") };
    format!("a line before it has changed the account: {times}{or} takes that back")
}

fn dry(repl: &mut Repl, rest: &str) -> Result<(), Failure> {
    match rest {
        "on" => repl.session.set_dry(true),
        "off" => repl.session.set_dry(false),
        "" => {}
        _ => return fail(format!("`{rest}` is neither on nor off"), ":dry on, or :dry off"),
    }
    let says = if repl.session.is_dry() {
        "dry: lines change nothing, and say what they would"
    } else {
        "not dry: lines change the account"
    };
    repl.host.out.line(says);
    Ok(())
}

fn history(repl: &Repl, editor: Option<&mut LineEditor>) {
    let Some(editor) = editor else { return };
    let all: Vec<&String> = editor.history().iter().collect();
    for line in &all[all.len().saturating_sub(LINES)..] {
        repl.host.out.line(line);
    }
}

/// `?`, `?name` and `??name`.
fn look_up(repl: &Repl, line: &str) -> Result<(), Failure> {
    if let Some(name) = line.strip_prefix("??") {
        let name = name.trim().trim_end_matches(['(', ')']);
        if name.is_empty() {
            return fail(
                "?? shows the source of a function that is written in a script",
                "??NAME, say ??tag_id",
            );
        }
        let source = repl.session.lines.source_of(name).map(str::to_owned);
        let source = source.or_else(|| docs::library_source(name));
        let hint = format!("?{name} shows what is known of it");
        return match source {
            Some(source) => {
                repl.page(&source);
                Ok(())
            }
            None => fail(format!("`{name}` is no function that is written in a script"), &hint),
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
        None => docs::look_up(name).map_err(|near| {
            let hint = near
                .map_or_else(|| "? lists what there is".to_owned(), |near| format!("did you mean ?{near}"));
            let diagnostic = Diagnostic::new(format!("there is nothing called `{name}`")).hint(hint);
            Failure { diagnostic, code: exit::SCRIPT }
        })?,
    };
    repl.page(&wrapped(&text, repl.columns));
    Ok(())
}
