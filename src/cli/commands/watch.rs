//! `mpscript watch`: reruns a script whenever it is saved. Each run is a process of its own, `mpscript run FILE`, so that
//! it is shown, stopped and recorded like any other.

use crate::{
    base::{Stopwatch, fingerprint, read_regular},
    cli::{
        args::{Arguments, OnBusy, WatchArguments},
        failure::usage_error,
        file_events::watch,
        output::exit,
        runtime::start_runtime,
        signals::{interrupt, signal},
    },
    host::Host,
    script::{MAX_SCRIPT_BYTES, Origin, Program},
};
use anyhow::Context;
use clap::{Parser, ValueEnum};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

/// How long files must be quiet before a rerun: files that are saved together cause one.
const SETTLE: Duration = Duration::from_millis(60);

/// The interval of checks of the files while no change is reported.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The interval where the file system reports no changes.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// How often the running process is polled.
const TICK: Duration = Duration::from_millis(30);

/// How deep subfolders are searched for scripts.
const MAX_DEPTH: usize = 8;

/// Digests of the files' contents; `None` for a file that does not exist.
type Contents = BTreeMap<PathBuf, Option<String>>;

/// What wakes the loop.
enum WatchEvent {
    Changed,
    Stop,
}

/// Separates the options of `watch` itself from those of the run, among which they may be given.
fn own_options(arguments: &WatchArguments) -> anyhow::Result<WatchArguments> {
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
            let message = format!("`{value}` is not a value of --on-busy");
            usage_error(message, "--on-busy restart, or --on-busy wait")
        })?;
    }
    Ok(sorted)
}

pub(crate) fn execute(host: &Host, arguments: &WatchArguments) -> anyhow::Result<u8> {
    let arguments = &own_options(arguments)?;
    let file = host.folder.join(&arguments.file);
    let named = arguments.file.display();
    if file.is_dir() {
        let message = format!("{named} is a folder");
        let hint = format!("mpscript serve {named} runs its automations; watch one of its files");
        return Err(usage_error(message, hint));
    }
    let folder = match file.parent() {
        Some(folder) if folder.is_dir() => folder.to_owned(),
        _ => {
            let message = format!("there is no folder of {}", arguments.file.display());
            return Err(usage_error(message, "give the path of a .rhai script"));
        }
    };
    if !file.exists() {
        let message = format!("there is no {named} to watch");
        return Err(usage_error(message, "give the path of a .rhai script"));
    }
    let line = run_line(arguments);
    // Options that `run` refuses are reported once, not after each save.
    if let Err(error) = Arguments::try_parse_from(&line) {
        host.err.write(&error.to_string());
        return Ok(exit::USAGE);
    }
    let runtime = start_runtime()?;
    let (wake, woken) = mpsc::channel();
    let changed = wake.clone();
    let watcher = if arguments.poll {
        None
    } else {
        match watch(&folder, move || drop(changed.send(WatchEvent::Changed))) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                host.err.line(&format!("watch: the system reports no changes ({error}); polling the files"));
                None
            }
        }
    };
    runtime.spawn(async move {
        signal().await;
        let _ = wake.send(WatchEvent::Stop);
    });
    let check_interval = if watcher.is_some() { CHECK_INTERVAL } else { POLL_INTERVAL };
    let watching =
        Watching { host, arguments, line: &line[1..], file: &file, folder: &folder, check_interval };
    let code = watching.run(&woken);
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

/// The loop with what it watches and runs.
struct Watching<'a> {
    host: &'a Host,
    arguments: &'a WatchArguments,
    line: &'a [String],
    file: &'a Path,
    folder: &'a Path,
    check_interval: Duration,
}

impl Watching<'_> {
    fn run(&self, woken: &Receiver<WatchEvent>) -> anyhow::Result<u8> {
        let mut contents = self.contents();
        let mut child = Some(self.start()?);
        let (mut changed, mut looked) = (None::<Stopwatch>, Stopwatch::start());
        let mut is_to_run = false;
        loop {
            match woken.recv_timeout(TICK) {
                Ok(WatchEvent::Changed) => changed = changed.or_else(|| Some(Stopwatch::start())),
                Ok(WatchEvent::Stop) => {
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
                let how = status.code().map_or("was killed".to_owned(), |code| match code {
                    0 => "ended well".to_owned(),
                    code => format!("ended with code {code}"),
                });
                self.host.err.line(&format!("watch: it {how}; waiting for changes, Ctrl-C leaves"));
            }
            let is_settled = changed.as_ref().is_some_and(|since| since.elapsed() >= SETTLE);
            if is_settled || looked.elapsed() >= self.check_interval {
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

    fn start(&self) -> anyhow::Result<Child> {
        let program = &self.host.program;
        let mut command = Command::new(program);
        command.args(self.line).current_dir(&self.host.folder);
        command.spawn().with_context(|| format!("can't start {}", program.display()))
    }

    /// The script and its imports. While the script can't be loaded its imports are unknown, so every script beside it is
    /// watched.
    fn contents(&self) -> Contents {
        let mut files = vec![self.file.to_owned()];
        let origin = Origin::File { named: self.arguments.file.clone(), path: self.file.to_owned() };
        match Program::load(&origin) {
            Ok(program) => files.extend(program.files().map(|file| self.host.folder.join(file))),
            Err(_) => scripts_under(self.folder, MAX_DEPTH, &mut files),
        }
        let content = |file: &PathBuf| {
            let bytes = read_regular(file, MAX_SCRIPT_BYTES).ok()?;
            Some(fingerprint([String::from_utf8_lossy(&bytes).as_ref()]))
        };
        files.into_iter().map(|file| (file.clone(), content(&file))).collect()
    }

    /// The files that have changed, for a message.
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
        // Symlinks may form a cycle.
        if path.is_dir() && depth > 0 {
            scripts_under(&path, depth - 1, files);
        } else if path.extension().is_some_and(|extension| extension == "rhai") {
            files.push(path);
        }
    }
}
