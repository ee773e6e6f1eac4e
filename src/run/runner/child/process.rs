//! The daemon's end of a run's process: starts it, answers it, reads its reports, and ends it for certain.

use super::{
    lines::Lines,
    protocol::{Order, StoreAddress, ToDaemon, ToWorker},
};
use crate::{
    base::Stopwatch,
    bulk::Attempt,
    client::Client,
    host::Host,
    run::{
        runner::runner::{Reporter, RunHandle, Runner, Spawned},
        worker::{HandlerRun, RunEnded, RunOutcome},
    },
    store::{RunEnd, RunState, Store},
};
use std::{io, num::NonZero, path::PathBuf, process::Stdio, sync::Arc, thread, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

/// The variables that a run's process is given: none of them holds a secret of the account. Those that begin with `LC_`
/// or `XDG_` are given too, and those of PostgreSQL without its password.
const VARIABLES: [&str; 16] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "NO_COLOR",
    // The platform is called from there: the way through the network.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    // Certificates that the machine trusts.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// How long a process that has reported its end may take to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the processes of runs may take.
#[derive(Clone, Debug)]
pub struct ChildSettings {
    /// Where they record.
    pub store: StoreAddress,
    /// The most bytes that one of them may take, if there is a limit.
    pub memory: Option<u64>,
    /// How long one that is asked to stop has to reach a safe point, before it is killed.
    pub grace: Duration,
}

/// The processor time that the script of a run uses before it gives way to all others, while there are no more runs than
/// processors.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

/// The same while there are more runs than processors. Many scripts that start at the same time and compute would keep the
/// daemon from starting the rest.
const GIVES_WAY_AFTER_WHEN_MANY: Duration = Duration::from_millis(10);

/// Executes each run in a process of its own.
pub struct ChildProcess {
    host: Host,
    runtime: Arc<Runtime>,
    settings: ChildSettings,
    /// Each run holds a clone, so that the clones are as many as the runs.
    running: Arc<()>,
}

impl ChildProcess {
    /// A runner whose processes are started by the thread that calls it, which must live as long as they do: they end
    /// with it.
    #[must_use]
    pub fn new(host: &Host, runtime: &Arc<Runtime>, settings: ChildSettings) -> Self {
        Self { host: host.clone(), runtime: Arc::clone(runtime), settings, running: Arc::default() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program(&self.host));
        command
            .arg("worker")
            .env_clear()
            // Address space is what is limited: the allocators, ours and that of the C library, must not reserve it in
            // large pieces.
            .env("MIMALLOC_ARENA_RESERVE", "64MiB")
            .env("MALLOC_ARENA_MAX", "1")
            .envs(self.host.environment.iter().filter(|(name, _)| is_given(name)))
            .current_dir(&self.host.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        {
            command.arg0("mpscript");
            // Ctrl-C at the daemon's terminal is for the daemon, which asks its runs to stop.
            command.process_group(0);
        }
        command
    }
}

fn is_given(name: &str) -> bool {
    let is_of_postgres = name.starts_with("PG") && name != "PGPASSWORD";
    VARIABLES.contains(&name) || name.starts_with("LC_") || name.starts_with("XDG_") || is_of_postgres
}

/// The running program itself, even if its file was replaced by another version since.
#[cfg(target_os = "linux")]
fn program(_host: &Host) -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(not(target_os = "linux"))]
fn program(host: &Host) -> PathBuf {
    host.program.clone()
}

impl Runner for ChildProcess {
    fn spawn(&self) -> io::Result<Spawned> {
        let child = {
            let _entered = self.runtime.enter();
            self.command().spawn()?
        };
        let id = child.id().ok_or_else(|| io::Error::other("it has ended at once"))?;
        let (settings, runtime, host) = (self.settings.clone(), Arc::clone(&self.runtime), self.host.clone());
        let running = Arc::clone(&self.running);
        let gives_way_after = gives_way_after(Arc::strong_count(&running) - 1);
        let start = move |plan: HandlerRun, attempt: Attempt, reporter: Reporter| {
            let alive = Arc::new(());
            let handle = RunHandle::new(&alive);
            runtime.spawn(async move {
                let run = attempt.run.clone();
                let order = order(&plan, &attempt, &settings, gives_way_after);
                let outcome = supervise(child, &host, &settings, order, plan, attempt).await;
                reporter.report(&run, outcome);
                drop((alive, running));
            });
            handle
        };
        Ok(Spawned { owner: self.host.process_of(id), start: Box::new(start) })
    }
}

/// Follows a process from its order to its end.
async fn supervise(
    mut child: Child,
    host: &Host,
    settings: &ChildSettings,
    order: Order,
    plan: HandlerRun,
    attempt: Attempt,
) -> RunOutcome {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return RunOutcome::Died("its process has no pipes".to_owned());
    };
    let order = match serde_json::to_string(&order) {
        Ok(order) => order,
        Err(error) => return RunOutcome::NotRecorded(format!("its order can't be written as JSON: {error}")),
    };
    let (to_worker, messages) = mpsc::unbounded_channel();
    tokio::spawn(write_all(stdin, messages));
    // The receiver lives as long as the process reads.
    let _ = to_worker.send(order);
    let supervised = Supervised {
        client: plan.connected.config.client.as_ref().ok().cloned(),
        plan: &plan,
        to_worker,
        grace: settings.grace,
        stopping: None,
        has_started: false,
    };
    let (followed, has_started) = supervised.follow(&mut child, Lines::new(stdout)).await;
    let status = match tokio::time::timeout(EXIT_TIMEOUT, child.wait()).await {
        Ok(status) => status,
        Err(_) => match child.kill().await {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    match followed {
        Followed::Ended(outcome) => outcome,
        Followed::Killed => match &plan.connected.config.store {
            Some(store) => record_kill(store, host, &attempt, settings.grace).await,
            None => RunOutcome::NotRecorded("its process was killed".to_owned()),
        },
        Followed::Broken(why) => RunOutcome::Died(format!("its process was killed: {why}")),
        Followed::Closed => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            if has_started {
                RunOutcome::Died(format!("its process has died ({status})"))
            } else {
                RunOutcome::NotStarted(format!("its process did not start ({status})"))
            }
        }
    }
}

/// The processor time after which the script of a run gives way, which is among this many.
fn gives_way_after(runs: usize) -> Duration {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    if runs <= processors { GIVES_WAY_AFTER } else { GIVES_WAY_AFTER_WHEN_MANY }
}

fn order(plan: &HandlerRun, attempt: &Attempt, settings: &ChildSettings, gives_way_after: Duration) -> Order {
    let (config, options) = (&plan.connected.config, &plan.connected.options);
    Order {
        run: attempt.run.clone(),
        account: attempt.account.clone(),
        attempt: attempt.attempt,
        parent: std::process::id(),
        source: plan.program.source(),
        call: plan.call.clone(),
        client: match &config.client {
            Ok(client) => Ok(client.settings(config.in_flight)),
            Err(no_client) => Err((&no_client.0).into()),
        },
        callback: config.callback.as_ref().map(Into::into),
        in_flight: config.in_flight,
        max_changes: options.max_changes,
        max_errors: options.max_errors,
        files: config.files.clone(),
        scratch_folder: config.scratch_folder.clone(),
        store: settings.store.clone(),
        gives_way_after,
        memory: settings.memory,
    }
}

async fn write_all(mut stdin: ChildStdin, mut messages: UnboundedReceiver<String>) {
    while let Some(mut line) = messages.recv().await {
        line.push('\n');
        // A process that has died is seen by its output.
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How the reports of a process came to their end.
enum Followed {
    /// It has reported how the run ended.
    Ended(RunOutcome),
    /// It did not stop in time.
    Killed,
    /// What it said was no report.
    Broken(String),
    /// It has exited without a final report.
    Closed,
}

/// A process that runs.
struct Supervised<'a> {
    client: Option<Client>,
    plan: &'a HandlerRun,
    to_worker: UnboundedSender<String>,
    grace: Duration,
    /// Whether the script has started.
    has_started: bool,
    /// Since when it was asked to stop.
    stopping: Option<Stopwatch>,
}

impl Supervised<'_> {
    async fn follow(
        mut self,
        child: &mut Child,
        mut reports: Lines<impl tokio::io::AsyncRead + Unpin>,
    ) -> (Followed, bool) {
        let followed = self.follow_reports(child, &mut reports).await;
        (followed, self.has_started)
    }

    async fn follow_reports(
        &mut self,
        child: &mut Child,
        reports: &mut Lines<impl tokio::io::AsyncRead + Unpin>,
    ) -> Followed {
        let mut stop_sent = false;
        loop {
            let left = self.stopping.map(|since| self.grace.saturating_sub(since.elapsed()));
            let kill = async move {
                match left {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                report = reports.next() => match report {
                    Ok(Some(line)) => match serde_json::from_str(&line) {
                        Ok(ToDaemon::Ended(outcome)) => return Followed::Ended(outcome),
                        Ok(report) => self.take(report),
                        Err(error) => {
                            let _ = child.start_kill();
                            return Followed::Broken(format!("its report can't be read: {error}"));
                        }
                    },
                    Ok(None) => return Followed::Closed,
                    Err(error) => {
                        let _ = child.start_kill();
                        return Followed::Broken(format!("its report can't be read: {error}"));
                    }
                },
                () = self.plan.cancel.cancelled(), if !stop_sent => {
                    stop_sent = true;
                    send(&self.to_worker, &ToWorker::Stop);
                    self.stop_within_grace();
                }
                () = kill => {
                    let _ = child.start_kill();
                    return Followed::Killed;
                }
            }
        }
    }

    fn stop_within_grace(&mut self) {
        self.stopping.get_or_insert_with(Stopwatch::start);
    }

    fn take(&mut self, report: ToDaemon) {
        match report {
            ToDaemon::Printed(text) => self.plan.connected.config.output.print(&text),
            ToDaemon::Starts => self.has_started = true,
            ToDaemon::Stopping => self.stop_within_grace(),
            ToDaemon::Asks { id, question } => {
                send(&self.to_worker, &ToWorker::Acknowledge { id });
                let (client, answers) = (self.client.clone(), self.to_worker.clone());
                tokio::spawn(async move {
                    // A process without a client asks nothing.
                    let Some(client) = client else { return };
                    let answer = client.answer(question).await;
                    send(&answers, &ToWorker::Answer { id, answer });
                });
            }
            ToDaemon::Ended(_) => {}
        }
    }
}

fn send(to: &UnboundedSender<String>, message: &ToWorker) {
    // A message is texts, numbers and lists, which are always JSON. The receiver is dropped with the process.
    if let Ok(line) = serde_json::to_string(message) {
        let _ = to.send(line);
    }
}

/// Records the end of a run whose process was killed because it did not stop.
async fn record_kill(store: &Store, host: &Host, attempt: &Attempt, grace: Duration) -> RunOutcome {
    let why =
        format!("it did not stop within {}, and its process was killed", humantime::format_duration(grace));
    let end = RunEnd {
        run: &attempt.run,
        attempt: attempt.attempt,
        state: RunState::Cancelled,
        note: &why,
        report: "",
        now: host.clock.now(),
        saved_state: None,
    };
    match store.end_run(&end).await {
        Ok(true) => RunOutcome::Ended(RunEnded {
            state: RunState::Cancelled,
            message: why.clone(),
            why,
            changed: 0,
            lost_journal: false,
        }),
        Ok(false) => RunOutcome::NotRecorded(format!("{why}; another process has resumed it")),
        Err(error) => RunOutcome::NotRecorded(format!("{why}; the store failed: {error}")),
    }
}
