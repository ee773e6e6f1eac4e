//! `mpscript serve`: a folder of automations, for as long as nobody stops it.

use super::automations::default_zone;
use crate::{
    base::{Cancel, Diagnostic, Stopwatch},
    cli::{
        Failure,
        args::{
            arguments::Reach,
            automations::{LogFormat, ServeFolderArguments},
        },
        config::{
            connect::{self, Calling, Need},
            file, store,
        },
        output::{exit, log},
        signals,
    },
    host::{Host, Stream},
    run::{
        BindAddress, HttpServer, RunConfig,
        daemon::{Daemon, Level, Log, LogRecord},
        http::metrics::Metrics,
        record::RunOptions,
        registry::AutomationRegistry,
        runtime,
        worker::{ConnectedAccount, Connector},
    },
    script::NullOutput,
    store::Store,
};
use chrono::{DateTime, Local, SecondsFormat};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};
use tokio::runtime::Runtime;

/// Files that are saved together are taken over together.
const SETTLE: Duration = Duration::from_millis(50);

/// Even while files change without an end, they are taken over after so long.
const LONGEST_SETTLE: Duration = Duration::from_millis(500);

/// Even where no event tells of it, the folder is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A store that fails is tried again after so long.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// What the daemon is woken by.
enum Wake {
    /// Something in the folder is not as it was.
    Changed,
    /// A run has ended.
    Ended,
    /// Somebody wants the folder looked at.
    Look,
    /// Somebody wants it to stop.
    Leave,
}

pub(crate) fn execute(host: &Host, arguments: &ServeFolderArguments) -> Result<u8, Failure> {
    log::start(host, arguments.verbose);
    let folder = host.folder.join(&arguments.folder);
    if !folder.is_dir() {
        let message = format!("{} is no folder", arguments.folder.display());
        return Err(Failure::usage(Diagnostic::new(message).hint("give the folder of the automations")));
    }
    if arguments.reach.sandbox {
        let message = "a daemon needs a platform that stays";
        let hint = "start mpscript sandbox in another terminal, and give its address with --base-url";
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    let (zone, source) = default_zone(host, arguments.reach.config.as_deref())?;
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let runtime = Arc::new(runtime);
    let (wake, woken) = mpsc::channel();
    // Before anything takes long: a signal that nobody waits for ends the process.
    listen(&runtime, &wake);
    let store = store::require(host, &runtime, &arguments.reach)?;
    let connect = connect(host, &runtime, &store, arguments);
    // A configuration that can't work is told now, not at the first fire.
    let words = Arc::new(Words::new(host.out.clone(), arguments.log));
    let usual = connect(None, &Cancel::default(), Arc::new(NullOutput)).map_err(Failure::usage)?;
    // Fires that can't be registry would only be burnt.
    if let (Err(no_client), true) = (&usual.config.client, has_no_account(host, &arguments.reach)?) {
        let hint = "set MPSCRIPT_APPID and MPSCRIPT_SECRET, or write mpscript.toml; `mpscript sandbox` prints those of a simulator";
        return Err(Failure::usage(Diagnostic::new(&no_client.0.message).hint(hint)));
    }
    let listening = arguments.metrics.map(|address| listen_at(&runtime, address)).transpose()?;
    // Before the first look, so that nothing between the two is lost.
    let mut watched = Watched::new(&folder, &wake);
    let say = |level: Level, text: &str| {
        let at = host.clock.now_ms();
        words.write(&LogRecord { at, level, automation: "", run: "", is_printed: false, text });
    };
    if let Err(error) = &watched.watcher {
        let every = humantime::format_duration(LOOK_EVERY);
        say(Level::Warn, &format!("changes of files are seen only every {every}: {error}"));
    }
    if let Err(no_client) = &usual.config.client {
        say(Level::Error, &format!("automations that name no account can't call: {}", no_client.0.message));
    }
    say(Level::Info, &format!("serving {} (zone where none is given: {zone}, {source})", folder.display()));
    let registry = AutomationRegistry::new(&folder, zone);
    let ended = wake.clone();
    let mut daemon = Daemon::new(host, &runtime, &store, registry, connect, Arc::<Words>::clone(&words))
        .with_retention(arguments.keep)
        // When the loop has ended nobody needs to be woken.
        .with_waker(Arc::new(move || drop(ended.send(Wake::Ended))));
    if let Ok(client) = &usual.config.client {
        daemon.stats().track_account(client);
    }
    if let Some(listening) = listening {
        say(Level::Info, &format!("metrics at {}/metrics", listening.place));
        let metrics = Metrics { stats: Arc::clone(daemon.stats()), clock: host.clock.clone() };
        runtime.spawn(listening.serve(metrics));
    }
    serve(&mut daemon, (&woken, &mut watched), arguments.grace, &say);
    drop(watched);
    runtime.block_on(store.close());
    words.finish();
    Ok(exit::DONE)
}

/// Serves until somebody wants it to stop, and what is under way has reached a place to go on from, or takes too long.
fn serve(
    daemon: &mut Daemon,
    (woken, watched): (&Receiver<Wake>, &mut Watched),
    grace: Duration,
    say: &impl Fn(Level, &str),
) {
    let mut changed: Option<Stopwatch> = Some(Stopwatch::start());
    let mut first_changed: Option<Stopwatch> = None;
    let mut looked = Stopwatch::start();
    let mut leaving: Option<Stopwatch> = None;
    let mut is_empty = false;
    loop {
        let is_settled = changed.as_ref().is_some_and(|since| since.elapsed() >= SETTLE);
        if leaving.is_none() && (is_settled || looked.elapsed() >= LOOK_EVERY) {
            (changed, first_changed) = (None, None);
            looked = Stopwatch::start();
            watched.renew();
            if let Err(error) = daemon.scan() {
                say(Level::Error, &error.to_string());
            } else if daemon.registry().is_empty() && !is_empty {
                say(
                    Level::Warn,
                    "there is no automation in the folder: a file with `const automation = #{ … };`",
                );
            }
            is_empty = daemon.registry().is_empty();
        }
        let wait = daemon.step().unwrap_or(AFTER_A_FAILURE);
        if let Some(since) = &leaving
            && (daemon.active_runs() == 0 || since.elapsed() >= grace)
        {
            break;
        }
        let wait = if changed.is_some() { wait.min(SETTLE) } else { wait };
        match woken.recv_timeout(wait) {
            // A file that is still being written is looked at when it is done.
            Ok(Wake::Changed) => {
                let since = *first_changed.get_or_insert_with(Stopwatch::start);
                if changed.is_none() || since.elapsed() < LONGEST_SETTLE {
                    changed = Some(Stopwatch::start());
                }
            }
            Ok(Wake::Look) => {
                changed = None;
                if let Err(error) = daemon.scan() {
                    say(Level::Error, &error.to_string());
                }
            }
            Ok(Wake::Leave) if leaving.is_none() => {
                say(Level::Info, &stopping(daemon.active_runs(), grace));
                daemon.begin_shutdown();
                leaving = Some(Stopwatch::start());
            }
            Ok(Wake::Leave) => break,
            Ok(Wake::Ended) | Err(_) => {}
        }
    }
    let left = daemon.active_runs();
    if let Err(error) = daemon.release_lease() {
        say(Level::Warn, &format!("what this process holds is free in some seconds only: {error}"));
    }
    say(
        Level::Info,
        &match left {
            0 => "stopped".to_owned(),
            1 => "stopped, a run was cut off".to_owned(),
            _ => format!("stopped, {left} runs were cut off"),
        },
    );
}

/// Where it tells how the daemon is.
fn listen_at(runtime: &Runtime, address: SocketAddr) -> Result<HttpServer, Failure> {
    runtime.block_on(HttpServer::bind(&BindAddress::Address(address))).map_err(|error| {
        let message = format!("can't answer at {address}: {error}");
        let hint = "is another mpscript serve there? choose another place with --metrics";
        Failure::usage(Diagnostic::new(message).hint(hint))
    })
}

/// Whether no automation can name an account, for there is none.
fn has_no_account(host: &Host, reach: &Reach) -> Result<bool, Failure> {
    let configured = file::read(host, reach.config.as_deref())?;
    Ok(configured.is_none_or(|(_, file)| file.accounts.is_empty()))
}

fn stopping(active_runs: usize, grace: Duration) -> String {
    let grace = humantime::format_duration(grace);
    match active_runs {
        0 => "stopping".to_owned(),
        1 => format!("stopping: a run has {grace} to reach a place to go on from"),
        count => format!("stopping: {count} runs have {grace} to reach a place to go on from"),
    }
}

/// Makes the surroundings of each run: a client of its own, on the account that its automation names.
fn connect(
    host: &Host,
    runtime: &Arc<Runtime>,
    store: &Store,
    arguments: &ServeFolderArguments,
) -> Connector {
    let (host, runtime, in_flight) = (host.clone(), Arc::clone(runtime), arguments.in_flight);
    let store = store.clone();
    let given: Reach = arguments.reach.clone();
    Arc::new(move |account, cancel, output| {
        let reach = Reach { account: account.map(str::to_owned).or(given.account.clone()), ..given.clone() };
        let calling = Calling { in_flight, waits_for_reset: true, store: Some(&store) };
        let reached = connect::reach(&host, &runtime, &reach, Need::Calls, calling, cancel)
            .map_err(|failure| failure.diagnostic)?;
        let options = RunOptions {
            account: reach.account.clone(),
            base_urls: reach.base_url.clone(),
            in_flight,
            folder: host.folder.clone(),
            allow_pause: true,
            ..RunOptions::default()
        };
        // Without a confirmation: the operator who starts the daemon has agreed to what its automations do.
        let config = RunConfig {
            callback: reached.callback.clone(),
            store: Some(store.clone()),
            ..RunConfig::new(&host, &options, reached.client.clone(), cancel, output)
        };
        Ok(ConnectedAccount { config, options })
    })
}

/// The folder, as long as it is the same one: another one may take its place, or its link lead elsewhere.
struct Watched<'a> {
    folder: &'a Path,
    wake: Sender<Wake>,
    identity: Option<(u64, u64)>,
    watcher: notify::Result<RecommendedWatcher>,
}

impl<'a> Watched<'a> {
    fn new(folder: &'a Path, wake: &Sender<Wake>) -> Self {
        let teller = wake.clone();
        let watcher = watch(folder, move || teller.send(Wake::Changed).is_ok());
        Self { folder, wake: wake.clone(), identity: identity(folder), watcher }
    }

    /// Watches what is there now.
    fn renew(&mut self) {
        if identity(self.folder) != self.identity {
            *self = Self::new(self.folder, &self.wake);
        }
    }
}

/// What tells a folder from another one at its place.
#[cfg(unix)]
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The system does not tell.
#[cfg(not(unix))]
fn identity(_folder: &Path) -> Option<(u64, u64)> {
    None
}

/// Tells of everything that happens in a folder, but that files are read, for as long as somebody wants to hear.
pub(crate) fn watch(
    folder: &Path,
    tell: impl Fn() -> bool + Send + 'static,
) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            tell();
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// From now on signals wake the daemon: SIGTERM and Ctrl-C to stop it, SIGHUP to look at the folder.
fn listen(runtime: &Runtime, wake: &Sender<Wake>) {
    let begin_shutdown = wake.clone();
    runtime.spawn(async move {
        loop {
            signals::signal().await;
            if begin_shutdown.send(Wake::Leave).is_err() {
                return;
            }
        }
    });
    #[cfg(unix)]
    {
        let look = wake.clone();
        runtime.spawn(async move {
            let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
            else {
                return;
            };
            while signals.recv().await.is_some() && look.send(Wake::Look).is_ok() {}
        });
    }
}

/// Lines that wait for whoever reads them; those beyond are counted instead.
const MOST_WAITING: usize = 10_000;

/// How long the last lines have to be read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The daemon's words on standard output: lines for a person, or JSON for a program. A reader that has stopped to read
/// stops nobody: the lines wait, and when too many do the newest are left out.
struct Words {
    lines: SyncSender<Line>,
    left_out: Arc<AtomicU64>,
    format: LogFormat,
}

/// What is written.
enum Line {
    Text(String),
    /// Everything before it is written.
    Last(Sender<()>),
}

impl Words {
    fn new(out: Stream, format: LogFormat) -> Self {
        let (lines, waiting) = mpsc::sync_channel(MOST_WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        thread::spawn(move || {
            for line in waiting {
                match line {
                    Line::Text(line) => out.line(&line),
                    Line::Last(written) => drop(written.send(())),
                }
                let count = counted.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let text = format!("{count} lines were left out here: nobody read them in time");
                    out.line(&match format {
                        LogFormat::Json => json!({"level": "warn", "text": text}).to_string(),
                        LogFormat::Text => text,
                    });
                }
            }
        });
        Self { lines, left_out, format }
    }

    fn line(&self, line: String) {
        if self.lines.try_send(Line::Text(line)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is written, unless nobody reads it.
    fn finish(&self) {
        let (written, is_written) = mpsc::channel();
        if self.lines.try_send(Line::Last(written)).is_ok() {
            let _ = is_written.recv_timeout(LAST_WORDS);
        }
    }
}

impl Log for Words {
    fn write(&self, entry: &LogRecord) {
        let at = DateTime::from_timestamp_millis(entry.at).unwrap_or_default();
        let level = match entry.level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        match self.format {
            LogFormat::Json => {
                let mut line = json!({
                    "at": at.to_rfc3339_opts(SecondsFormat::Millis, true), "level": level, "text": entry.text,
                });
                if entry.is_printed {
                    line["printed"] = true.into();
                }
                for (key, value) in [("automation", entry.automation), ("run", entry.run)] {
                    if !value.is_empty() {
                        line[key] = value.into();
                    }
                }
                self.line(line.to_string());
            }
            LogFormat::Text => {
                let of = match (entry.automation, entry.run) {
                    ("", _) => String::new(),
                    (automation, "") => format!("{automation}: "),
                    (automation, run) => format!("{automation} {run}: "),
                };
                let at = at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S");
                for line in entry.text.lines() {
                    let line: String =
                        line.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
                    self.line(format!("{at} {level:<5} {of}{line}"));
                }
            }
        }
    }
}
