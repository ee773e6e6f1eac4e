//! `mpscript watch`: the loop of whoever writes a script. Each run is a process of its own, `mpscript run FILE`, so that it
//! is shown, stopped and recorded as any other.

use super::serve::watch;
use crate::{
    base::{Diagnostic, Stopwatch, fingerprint},
    cli::{
        Failure,
        args::{
            arguments::Arguments,
            automations::{OnBusy, WatchArguments},
        },
        output::exit,
        signals,
    },
    host::Host,
    run::runtime,
    script::{Origin, Program},
};
use clap::{Parser, ValueEnum};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

/// Files that are saved together are run once.
const SETTLE: Duration = Duration::from_millis(60);

/// Even where no event tells of it, the files are looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same where nothing tells of changes.
const POLL_EVERY: Duration = Duration::from_millis(300);

/// How long somebody waits for the next thing to happen.
const TICK: Duration = Duration::from_millis(30);

/// Folders within folders that are looked into.
const DEPTH: usize = 8;

/// What the files held at some time; nothing for one that is not there.
type Contents = BTreeMap<PathBuf, Option<String>>;

/// What happens to the loop.
enum Wake {
    Changed,
    Leave,
}

/// The options of the loop itself, wherever among those of the run they stand.
fn sorted_out(arguments: &WatchArguments) -> Result<WatchArguments, Failure> {
    let mut sorted = WatchArguments { options: Vec::new(), ..arguments.clone() };
    let mut options = arguments.options.iter();
    while let Some(option) = options.next() {
        let value = match option.split_once('=') {
            _ if option == "--poll" => {
                sorted.poll = true;
                continue;
            }
            Some(("--on-busy", value)) => value,
            _ if option == "--on-busy" => options.next().map_or("", String::as_str),
            _ => {
                sorted.options.push(option.clone());
                continue;
            }
        };
        sorted.on_busy = OnBusy::from_str(value, true).map_err(|_| {
            let message = format!("`{value}` is nothing that --on-busy knows");
            Failure::usage(Diagnostic::new(message).hint("--on-busy restart, or --on-busy wait"))
        })?;
    }
    Ok(sorted)
}

pub(crate) fn execute(host: &Host, arguments: &WatchArguments) -> Result<u8, Failure> {
    let arguments = &sorted_out(arguments)?;
    let file = host.folder.join(&arguments.file);
    let named = arguments.file.display();
    if file.is_dir() {
        let message = format!("{named} is a folder");
        let hint = format!("mpscript serve {named} runs its automations; watch one of its files");
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    let folder = match file.parent() {
        Some(folder) if folder.is_dir() => folder.to_owned(),
        _ => {
            let message = format!("there is no folder of {}", arguments.file.display());
            return Err(Failure::usage(Diagnostic::new(message).hint("give the path of a .rhai script")));
        }
    };
    if !file.exists() {
        let message = format!("there is no {named} to watch");
        return Err(Failure::usage(Diagnostic::new(message).hint("give the path of a .rhai script")));
    }
    let line = run_line(arguments);
    // What `run` does not take is told once, not after each save.
    if let Err(error) = Arguments::try_parse_from(&line) {
        host.err.write(&error.to_string());
        return Ok(exit::USAGE);
    }
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let (wake, woken) = mpsc::channel();
    let changed = wake.clone();
    let watcher = if arguments.poll {
        None
    } else {
        match watch(&folder, move || changed.send(Wake::Changed).is_ok()) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                host.err.line(&format!(
                    "watch: the system tells of no changes ({error}); looking again and again"
                ));
                None
            }
        }
    };
    runtime.spawn(async move {
        signals::signal().await;
        let _ = wake.send(Wake::Leave);
    });
    let look_every = if watcher.is_some() { LOOK_EVERY } else { POLL_EVERY };
    let rounds = Watching { host, arguments, line: &line[1..], file: &file, folder: &folder, look_every };
    let code = rounds.go_round(&woken);
    drop(watcher);
    runtime.shutdown_background();
    code
}

/// The command line of each run.
fn run_line(arguments: &WatchArguments) -> Vec<String> {
    let mut line = vec!["mpscript".to_owned(), "run".to_owned(), arguments.file.display().to_string()];
    line.extend(arguments.options.iter().cloned());
    line
}

/// A loop with all that it looks at.
struct Watching<'a> {
    host: &'a Host,
    arguments: &'a WatchArguments,
    line: &'a [String],
    file: &'a Path,
    folder: &'a Path,
    look_every: Duration,
}

impl Watching<'_> {
    fn go_round(&self, woken: &Receiver<Wake>) -> Result<u8, Failure> {
        let mut contents = self.contents();
        let mut child = Some(self.start()?);
        let (mut changed, mut looked) = (None::<Stopwatch>, Stopwatch::start());
        let mut is_to_run = false;
        loop {
            match woken.recv_timeout(TICK) {
                Ok(Wake::Changed) => changed = changed.or_else(|| Some(Stopwatch::start())),
                Ok(Wake::Leave) => {
                    // Ctrl-C reaches the run too; SIGTERM does not.
                    if let Some(mut child) = child {
                        interrupt(&child);
                        let _ = child.wait();
                    }
                    return Ok(exit::DONE);
                }
                Err(_) => {}
            }
            if let Some(running) = &mut child
                && let Ok(Some(status)) = running.try_wait()
            {
                child = None;
                let how = status.code().map_or("was ended".to_owned(), |code| match code {
                    0 => "ended well".to_owned(),
                    code => format!("ended with code {code}"),
                });
                self.host.err.line(&format!("watch: it {how}; waiting for changes, Ctrl-C leaves"));
            }
            let is_settled = changed.as_ref().is_some_and(|since| since.elapsed() >= SETTLE);
            if is_settled || looked.elapsed() >= self.look_every {
                (changed, looked) = (None, Stopwatch::start());
                let now = self.contents();
                if now != contents {
                    is_to_run = true;
                    self.host.err.line(&format!("watch: {} has changed", self.what_changed(&contents, &now)));
                    contents = now;
                }
            }
            if is_to_run {
                if let (Some(running), OnBusy::Restart) = (&mut child, self.arguments.on_busy) {
                    interrupt(running);
                    let _ = running.wait();
                    child = None;
                }
                if child.is_none() {
                    is_to_run = false;
                    child = Some(self.start()?);
                }
            }
        }
    }

    fn start(&self) -> Result<Child, Failure> {
        Command::new(&self.host.program).args(self.line).current_dir(&self.host.folder).spawn().map_err(
            |error| {
                Failure::usage(Diagnostic::new(format!(
                    "can't start {}: {error}",
                    self.host.program.display()
                )))
            },
        )
    }

    /// What the script and its imports hold. While it can't be read, it may import whatever lies beside it.
    fn contents(&self) -> Contents {
        let mut files = vec![self.file.to_owned()];
        let origin = Origin::File { named: self.arguments.file.clone(), path: self.file.to_owned() };
        match Program::load(&origin) {
            Ok(program) => files.extend(program.files().map(|file| self.host.folder.join(file))),
            Err(_) => scripts_under(self.folder, DEPTH, &mut files),
        }
        let content = |file: &PathBuf| {
            let bytes = fs::read(file).ok()?;
            Some(fingerprint([String::from_utf8_lossy(&bytes).as_ref()]))
        };
        files.into_iter().map(|file| (file.clone(), content(&file))).collect()
    }

    /// The files that are not as they were, for a person.
    fn what_changed(&self, before: &Contents, now: &Contents) -> String {
        let other = now.iter().filter(|(file, content)| before.get(*file) != Some(*content));
        let names: Vec<String> = other
            .map(|(file, _)| file.strip_prefix(&self.host.folder).unwrap_or(file).display().to_string())
            .take(3)
            .collect();
        if names.is_empty() { self.arguments.file.display().to_string() } else { names.join(", ") }
    }
}

fn scripts_under(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // Links may lead round in a circle.
        if path.is_dir() && depth > 0 {
            scripts_under(&path, depth - 1, files);
        } else if path.extension().is_some_and(|extension| extension == "rhai") {
            files.push(path);
        }
    }
}

/// Asks a run to stop at a safe point.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    }
}

/// There is no such wish on this system: the run ends by itself.
#[cfg(not(unix))]
pub(crate) fn interrupt(_child: &Child) {}
