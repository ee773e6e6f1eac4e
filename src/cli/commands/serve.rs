//! `mpscript serve`: runs a folder of automations until it is stopped.

use super::configured_accounts::{ConfiguredAccounts, has_no_account};
use crate::{
    base::{
        Cancel, Clock, Stopwatch,
        http::{BindAddress, HttpServer, ServerOptions},
    },
    cli::{
        args::{SETTING_NAMES, ServeArguments, TargetArgs},
        config::{address_of_store, default_zone, keep_periods, open_at, required_location},
        failure::{Failure, usage_error},
        file_events::WatchedFolder,
        output::{DaemonLogWriter, exit, log},
        runtime::start_runtime,
        signals,
    },
    client::AccountKey,
    host::Host,
    run::{
        daemon::{Daemon, DaemonStats, Level, Log, LogRecord, Outage},
        http::metrics::Metrics,
        registry::AutomationRegistry,
        runner::{ChildProcess, ChildSettings},
        worker::{ConnectedAccount, Connector},
    },
    script::NullOutput,
    store::{Store, StoreError},
};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// How long the folder must be quiet before it is scanned: files that are saved together are loaded together.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a folder that does not become quiet waits for its scan.
const MAX_SETTLE: Duration = Duration::from_millis(500);

/// The interval of scans while no change is reported.
const SCAN_INTERVAL: Duration = Duration::from_secs(10);

/// The delay of the daemon's next step after the store failed.
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What wakes the daemon's loop.
enum Wake {
    /// Something in the folder has changed.
    Changed,
    /// A run has ended, or a scan has found something.
    Due,
    /// SIGHUP: scan the folder now.
    Scan,
    /// SIGTERM or Ctrl-C.
    Stop,
    /// The store was opened, or could not be.
    Opened(Result<Store, StoreError>),
}

pub(crate) fn execute(host: &Host, arguments: &ServeArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::from_flag(arguments.verbose));
    check_arguments(host, arguments)?;
    let kept = keep_periods(host, &arguments.target)?;
    let (zone, source) = default_zone(host, arguments.target.config.as_deref())?;
    let runtime = Arc::new(start_runtime()?);
    let (wake, woken) = mpsc::channel();
    // Before anything that takes time: an unhandled signal ends the process.
    wake_on_signals(&runtime, &wake);
    let stats = Arc::<DaemonStats>::default();
    let writer = Arc::new(DaemonLogWriter::new(host.out.clone(), arguments.log));
    let report = Report { clock: host.clock.clone(), writer: Arc::clone(&writer) };
    // Before the store, for which it may have to wait.
    serve_metrics(host, arguments, &runtime, &stats, &report)?;
    let mut outage = Outage::default();
    let opening = Opening { host, runtime: &runtime, wake: &wake, woken: &woken };
    let store = opening.open(&arguments.target, |error| {
        stats.set_trouble(error);
        if let Some((level, text)) = outage.observe(&Err::<(), _>(error.clone())) {
            report.write(level, &text);
        }
    })?;
    let Some(store) = store else {
        report.info("stopped");
        writer.finish();
        return Ok(exit::DONE);
    };
    let accounts = Arc::new(ConfiguredAccounts {
        host: host.clone(),
        runtime: Arc::clone(&runtime),
        store: store.clone(),
        target: arguments.target.clone(),
        in_flight: arguments.in_flight,
    });
    let default = connect_default(host, arguments, &accounts, &report)?;
    let folder = host.folder.join(&arguments.folder);
    report.info(&format!("serving {} (default zone: {zone}, {source})", folder.display()));
    let settings = ChildSettings {
        store: address_of_store(host, &arguments.target)?,
        memory: Some(arguments.run_memory).filter(|bytes| *bytes > 0),
        grace: arguments.grace,
    };
    let runner = ChildProcess::new(host, &runtime, settings);
    let served = AutomationRegistry::new(&folder, zone);
    let ended = wake.clone();
    let mut daemon =
        Daemon::new(host, &runtime, &store, served, accounts, Arc::<DaemonLogWriter>::clone(&writer))
            .with_stats(stats)
            .with_outage(outage)
            .with_retention(arguments.keep)
            .with_kept(kept)
            .with_max_parallel(arguments.max_parallel)
            .with_runner(Arc::new(runner))
            // After the loop the receiver is dropped, and needs no waking.
            .with_waker(Arc::new(move || drop(ended.send(Wake::Due))))
            .with_scan_hook(watcher(&folder, wake, report.clone()));
    if let Ok(client) = &default.config.client {
        daemon.stats().track_account(client);
    }
    let served = Serving {
        daemon: &mut daemon,
        woken,
        grace: arguments.grace,
        report,
        changes: Changes::seen_now(),
        scanned: Stopwatch::start(),
        stopping: None,
    }
    .serve();
    runtime.block_on(store.close());
    writer.finish();
    served.map(|()| exit::DONE).map_err(Into::into)
}

fn check_arguments(host: &Host, arguments: &ServeArguments) -> anyhow::Result<()> {
    if !host.folder.join(&arguments.folder).is_dir() {
        let message = format!("{} is not a folder", arguments.folder.display());
        return Err(usage_error(message, "give the folder of the automations"));
    }
    if arguments.target.sandbox {
        let hint = "start mpscript sandbox in another terminal, and give its address with --base-url";
        return Err(usage_error("a daemon needs a platform that keeps running without it", hint));
    }
    Ok(())
}

/// Serves the statistics and the health checks, if the command line gives an address for them.
fn serve_metrics(
    host: &Host,
    arguments: &ServeArguments,
    runtime: &Runtime,
    stats: &Arc<DaemonStats>,
    report: &Report,
) -> anyhow::Result<()> {
    if let Some(address) = arguments.metrics {
        let listening = listen_at(runtime, address, &arguments.allow_host)?;
        report.info(&format!("metrics at {}/metrics", listening.place));
        let metrics = Metrics::new(Arc::clone(stats), host.clock.clone());
        runtime.spawn(listening.serve(metrics));
    }
    Ok(())
}

/// Connects the account of automations that name none. A configuration that can't work is reported now, not at the first
/// fire.
fn connect_default(
    host: &Host,
    arguments: &ServeArguments,
    accounts: &ConfiguredAccounts,
    report: &Report,
) -> anyhow::Result<ConnectedAccount> {
    let default = accounts.connect(None, &Cancel::default(), Arc::new(NullOutput)).map_err(Failure::usage)?;
    match &default.config.client {
        Ok(_) => {
            let key = AccountKey::shown(default.key());
            report.info(&format!("automations that name no account work on {key}"));
        }
        Err(no_client) if has_no_account(host, &arguments.target)? => {
            let hint = "set MPSCRIPT_APPID and MPSCRIPT_SECRET, or write mpscript.toml; `mpscript sandbox` prints those of a simulator";
            return Err(usage_error(&no_client.0.message, hint));
        }
        Err(no_client) => {
            report.error(&format!("automations that name no account can't call: {}", no_client.0.message));
        }
    }
    Ok(default)
}

/// Opens the store.
struct Opening<'a> {
    host: &'a Host,
    runtime: &'a Runtime,
    wake: &'a Sender<Wake>,
    woken: &'a Receiver<Wake>,
}

impl Opening<'_> {
    /// Opens the store. While it can't be opened for a reason that may pass, it is tried again, as by a daemon that serves;
    /// `None` when the daemon is stopped meanwhile.
    fn open(
        &self,
        target: &TargetArgs,
        mut failed: impl FnMut(&StoreError),
    ) -> anyhow::Result<Option<Store>> {
        let mut pause = Duration::ZERO;
        loop {
            let location = required_location(self.host, target)?;
            let wake = self.wake.clone();
            self.runtime.spawn(async move {
                tokio::time::sleep(pause).await;
                // After the loop the receiver is dropped.
                let _ = wake.send(Wake::Opened(open_at(&location).await));
            });
            let opened = loop {
                match self.woken.recv() {
                    Ok(Wake::Opened(opened)) => break opened,
                    Ok(Wake::Stop) | Err(_) => return Ok(None),
                    // The first scan comes anyway.
                    Ok(Wake::Changed | Wake::Due | Wake::Scan) => {}
                }
            };
            match opened {
                Err(error) if error.is_transient() => failed(&error),
                opened => return Ok(Some(opened?)),
            }
            pause = STORE_RETRY_INTERVAL;
        }
    }
}

/// Watches the folder from the first scan on, and the folder to which its path leads at each later one. Before the scan, so
/// that no change between the two is lost.
fn watcher(folder: &Path, wake: Sender<Wake>, report: Report) -> impl FnMut() + Send + 'static {
    let folder = folder.to_owned();
    let mut watched = None;
    move || match &mut watched {
        None => {
            let changed = wake.clone();
            let watching = WatchedFolder::new(&folder, move || drop(changed.send(Wake::Changed)));
            if let Some(error) = watching.error() {
                let every = humantime::format_duration(SCAN_INTERVAL);
                report.warn(&format!("changed files are only noticed every {every}: {error}"));
            }
            watched = Some(watching);
        }
        Some(watched) => watched.renew(),
    }
}

/// Entries of the log that belong to no automation.
#[derive(Clone)]
struct Report {
    clock: Clock,
    writer: Arc<DaemonLogWriter>,
}

impl Report {
    fn info(&self, text: &str) {
        self.write(Level::Info, text);
    }

    fn warn(&self, text: &str) {
        self.write(Level::Warn, text);
    }

    fn error(&self, text: &str) {
        self.write(Level::Error, text);
    }

    fn write(&self, level: Level, text: &str) {
        let at = self.clock.now();
        self.writer.write(&LogRecord {
            at,
            level,
            automation: "",
            account: "",
            run: "",
            is_printed: false,
            text,
        });
    }
}

/// Reported changes that no scan has seen yet.
struct Changes {
    first: Option<Stopwatch>,
    last: Option<Stopwatch>,
}

impl Changes {
    fn none() -> Self {
        Self { first: None, last: None }
    }

    fn seen_now() -> Self {
        Self { first: None, last: Some(Stopwatch::start()) }
    }

    fn is_pending(&self) -> bool {
        self.last.is_some()
    }

    fn is_settled(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.elapsed() >= SETTLE)
    }

    /// A file that is being written keeps postponing the scan, but not beyond `MAX_SETTLE`.
    fn add(&mut self) {
        let first = self.first.get_or_insert_with(Stopwatch::start);
        if self.last.is_none() || first.elapsed() < MAX_SETTLE {
            self.last = Some(Stopwatch::start());
        }
    }
}

/// The daemon's loop.
struct Serving<'a> {
    daemon: &'a mut Daemon,
    woken: Receiver<Wake>,
    grace: Duration,
    report: Report,
    changes: Changes,
    scanned: Stopwatch,
    /// When the daemon began to stop.
    stopping: Option<Stopwatch>,
}

impl Serving<'_> {
    /// Serves until it is stopped, and then until the running runs have reached a checkpoint or the grace is over. A final
    /// error of the store ends it at once.
    fn serve(mut self) -> Result<(), StoreError> {
        loop {
            let is_due = self.changes.is_settled() || self.scanned.elapsed() >= SCAN_INTERVAL;
            if self.stopping.is_none() && is_due {
                self.changes = Changes::none();
                self.scanned = Stopwatch::start();
                self.daemon.begin_scan();
            }
            let wait = match self.daemon.step() {
                Ok(wait) => wait,
                Err(error) if error.is_final() => {
                    self.report.error(&format!("{error} ({})", error.hint()));
                    return Err(error);
                }
                Err(_) => STORE_RETRY_INTERVAL,
            };
            if let Some(since) = &self.stopping
                && (self.daemon.active_runs() == 0 || since.elapsed() >= self.grace)
            {
                break;
            }
            let wait = if self.changes.is_pending() { wait.min(SETTLE) } else { wait };
            // All that has come: a step may take longer than the next event.
            let mut woken = self.woken.recv_timeout(wait).ok();
            let mut is_killed = false;
            while let Some(wake) = woken {
                is_killed |= matches!(wake, Wake::Stop) && self.stopping.is_some();
                self.handle(&wake);
                woken = self.woken.try_recv().ok();
            }
            if is_killed {
                break;
            }
        }
        self.finish();
        Ok(())
    }

    fn handle(&mut self, wake: &Wake) {
        match wake {
            Wake::Changed => self.changes.add(),
            Wake::Scan => {
                self.changes.last = None;
                self.daemon.begin_scan();
            }
            Wake::Stop if self.stopping.is_none() => self.begin_shutdown(),
            Wake::Stop | Wake::Due | Wake::Opened(_) => {}
        }
    }

    fn begin_shutdown(&mut self) {
        let grace = humantime::format_duration(self.grace);
        self.report.info(&match self.daemon.active_runs() {
            0 => "stopping".to_owned(),
            1 => format!("stopping: a run has {grace} to reach a checkpoint"),
            count => format!("stopping: {count} runs have {grace} to reach a checkpoint"),
        });
        self.daemon.begin_shutdown();
        self.stopping = Some(Stopwatch::start());
    }

    fn finish(self) {
        let interrupted = self.daemon.active_runs();
        if let Err(error) = self.daemon.release_lease() {
            let text = format!("other processes take over only when this one's leases expire: {error}");
            self.report.warn(&text);
        }
        self.report.info(&match interrupted {
            0 => "stopped".to_owned(),
            1 => "stopped, a run was interrupted".to_owned(),
            count => format!("stopped, {count} runs were interrupted"),
        });
    }
}

fn listen_at(runtime: &Runtime, address: SocketAddr, names: &[String]) -> anyhow::Result<HttpServer> {
    let options =
        ServerOptions { names: names.to_vec(), setting_names: SETTING_NAMES, ..ServerOptions::default() };
    runtime.block_on(HttpServer::bind(&BindAddress::Address(address), options)).map_err(|error| {
        let hint = "is another mpscript serve there? choose another address with --metrics";
        usage_error(format!("can't listen at {address}: {error}"), hint)
    })
}

/// From now on signals wake the daemon's loop: SIGTERM and Ctrl-C to stop, SIGHUP to scan the folder.
fn wake_on_signals(runtime: &Runtime, wake: &Sender<Wake>) {
    let stop = wake.clone();
    runtime.spawn(async move {
        loop {
            signals::signal().await;
            if stop.send(Wake::Stop).is_err() {
                return;
            }
        }
    });
    #[cfg(unix)]
    {
        let scan = wake.clone();
        runtime.spawn(async move {
            let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
            else {
                return;
            };
            while signals.recv().await.is_some() && scan.send(Wake::Scan).is_ok() {}
        });
    }
}
