//! The process of a run: reads its order, runs it, and reports how it ended.

use super::{
    confine,
    protocol::{Order, StoreAddress, ToDaemon, ToWorker},
};
use crate::{
    base::{Cancel, lock},
    bulk::{Attempt, HEARTBEAT_TTL},
    client::{Answer, Broker, Client},
    host::{Host, Stream},
    run::{
        MemoryLimit, RunConfig,
        record::RunOptions,
        worker::{self, ConnectedAccount, HandlerRun, RunOutcome},
    },
    script::{FileAccess, NoClient, Origin, Output, Program},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io, process,
    sync::{Arc, Mutex},
    thread,
};
use tokio::{runtime::Runtime, sync::oneshot};

/// The exit code of a process whose daemon has ended, or does not acknowledge its messages.
const EXIT_WITHOUT_DAEMON: i32 = 75;

/// Why the process has run nothing: it was not started by a daemon, or its order can't be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Carries out the order that is read from standard input. The outcome is reported on standard output.
///
/// # Errors
/// When there is no order, or it can't be carried out.
pub fn work(host: &Host, runtime: &Runtime) -> Result<(), Refused> {
    let line = (host.read_line)()?;
    let order: Order =
        serde_json::from_str(&line).map_err(|error| Refused(format!("the order can't be read: {error}")))?;
    drop(line);
    confine::bind_to_parent(order.parent)?;
    let daemon = DaemonStream { out: host.out.clone() };
    let cancel = Cancel::default();
    let questions = Questions::default();
    listen(host.read_line, &cancel, &questions, || process::exit(EXIT_WITHOUT_DAEMON))?;
    report_stop(runtime, &cancel, &daemon);
    let outcome = run(host, runtime, order, &cancel, &questions, &daemon)?;
    daemon.send(&ToDaemon::Ended(outcome));
    Ok(())
}

/// The daemon at the other end of standard output.
#[derive(Clone)]
struct DaemonStream {
    out: Stream,
}

impl DaemonStream {
    fn send(&self, message: &ToDaemon) {
        // A message is texts, numbers and lists, which are always JSON.
        if let Ok(line) = serde_json::to_string(message) {
            // Not masked here: the daemon needs each text as it is, and masks what it shows.
            self.out.exactly(&format!("{line}\n"));
        }
    }
}

impl Output for DaemonStream {
    fn print(&self, text: &str) {
        self.send(&ToDaemon::Printed(text.to_owned()));
    }

    fn debug(&self, text: &str) {
        self.print(text);
    }
}

/// The pending requests to the daemon.
#[derive(Clone, Default)]
struct Questions(Arc<Mutex<OpenQuestions>>);

#[derive(Default)]
struct OpenQuestions {
    /// The channel of each reply, by the request's number.
    askers: BTreeMap<u64, oneshot::Sender<Answer>>,
    /// What the daemon has not acknowledged.
    unacknowledged: BTreeSet<u64>,
}

/// Reads the daemon's messages from now on. Their end (EOF) means that the daemon has ended: `exit` then ends the process at
/// once, as the system does a moment later. To cancel the run would record a stop as its end, and no daemon would resume it.
fn listen(
    read_line: fn() -> io::Result<String>,
    cancel: &Cancel,
    questions: &Questions,
    exit: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (cancel, questions) = (cancel.clone(), questions.clone());
    let listen = move || {
        while let Ok(line) = read_line()
            && !line.is_empty()
        {
            match serde_json::from_str(&line) {
                Ok(ToWorker::Acknowledge { id }) => {
                    lock(&questions.0).unacknowledged.remove(&id);
                }
                Ok(ToWorker::Answer { id, answer }) => {
                    let asker = lock(&questions.0).askers.remove(&id);
                    // The call was cancelled meanwhile if nothing waits for it.
                    asker.map(|asker| asker.send(answer));
                }
                Ok(ToWorker::Stop) | Err(_) => cancel.cancel(),
            }
        }
        exit();
    };
    thread::Builder::new().name("orders".to_owned()).spawn(listen).map(drop)
}

/// Tells the daemon of a stop that was requested in the store: the daemon ends a process that does not stop in time.
fn report_stop(runtime: &Runtime, cancel: &Cancel, daemon: &DaemonStream) {
    let (cancel, daemon) = (cancel.clone(), daemon.clone());
    runtime.spawn(async move {
        cancel.cancelled().await;
        daemon.send(&ToDaemon::Stopping);
    });
}

/// A broker whose questions go to the daemon. A question that is not acknowledged within `HEARTBEAT_TTL` ends the process:
/// its daemon is suspended or dead, and the run's heartbeats would keep other daemons from resuming it.
fn broker(runtime: &Runtime, daemon: &DaemonStream, questions: &Questions) -> Broker {
    let (broker, mut asked) = Broker::new();
    let (daemon, questions) = (daemon.clone(), questions.clone());
    runtime.spawn(async move {
        let mut id = 0;
        while let Some((question, asker)) = asked.recv().await {
            id += 1;
            let mut open = lock(&questions.0);
            open.askers.insert(id, asker);
            open.unacknowledged.insert(id);
            drop(open);
            let questions = questions.clone();
            tokio::spawn(async move {
                tokio::time::sleep(HEARTBEAT_TTL).await;
                if lock(&questions.0).unacknowledged.contains(&id) {
                    process::exit(EXIT_WITHOUT_DAEMON);
                }
            });
            daemon.send(&ToDaemon::Asks { id, question });
        }
    });
    broker
}

fn run(
    host: &Host,
    runtime: &Runtime,
    order: Order,
    cancel: &Cancel,
    questions: &Questions,
    daemon: &DaemonStream,
) -> Result<RunOutcome, Refused> {
    if let StoreAddress::Server(url) = &order.store {
        host.secrets.learn_password_of(&url.0);
    }
    let store = match runtime.block_on(order.store.open()) {
        Ok(store) => store,
        Err(error) => return Ok(RunOutcome::NotStarted(format!("the store failed: {error}"))),
    };
    // The account's stored tokens are secrets too, even those that this process does not use.
    match runtime.block_on(store.tokens(&order.account)) {
        Ok(tokens) => tokens.iter().for_each(|token| host.secrets.learn_token(token)),
        Err(error) => return Ok(RunOutcome::NotStarted(format!("the store failed: {error}"))),
    }
    let client = match order.client {
        Ok(settings) => {
            let broker = broker(runtime, daemon, questions);
            let (owner, secrets) = (host.process.name(), host.secrets.clone());
            let (store, clock) = (store.clone(), host.clock.clone());
            let config = settings.into_config(broker, store, owner, secrets, clock, cancel.clone());
            Ok(Client::new(config.map_err(|error| Refused(error.to_string()))?))
        }
        Err(reason) => Err(NoClient(reason.into())),
    };
    let program = Program::load(&Origin::Recorded(order.source))
        .map_err(|failure| Refused(failure.diagnostic.one_line()))?;
    let options = RunOptions {
        in_flight: order.in_flight,
        max_changes: order.max_changes,
        max_errors: order.max_errors,
        ..RunOptions::default()
    };
    let config = RunConfig {
        callback: order.callback.map(Into::into),
        store: Some(store.clone()),
        scratch_folder: order.scratch_folder,
        files: order.files,
        while_computing: Some(confine::give_way),
        memory: order.memory.map(MemoryLimit::OfAddressSpace),
        ..RunConfig::new(host, &options, &FileAccess::default(), client, cancel, Arc::new(daemon.clone()))
    };
    if let Some(keys) = &config.callback {
        keys.aes_key.iter().for_each(|key| host.secrets.learn(key));
    }
    let plan = HandlerRun {
        program: Arc::new(program),
        call: order.call,
        connected: ConnectedAccount { config, options },
        cancel: cancel.clone(),
        run: Arc::default(),
    };
    confine::give_way_after(order.gives_way_after);
    // From here on it is the script that takes memory.
    if let Some(bytes) = order.memory {
        confine::limit_memory(bytes)?;
    }
    daemon.send(&ToDaemon::Starts);
    let Order { run, account, attempt, .. } = order;
    let attempt = Attempt { run, account, attempt, resolution: None };
    let outcome = worker::execute(runtime, plan, attempt);
    runtime.block_on(store.close());
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Whether the run was cancelled when its process was to exit, after these messages.
    fn is_cancelled_at_exit(read_line: fn() -> io::Result<String>) -> bool {
        let (cancel, (exited, exit)) = (Cancel::default(), mpsc::channel());
        let seen = cancel.clone();
        let exit_with = move || exited.send(seen.is_cancelled()).expect("the test waits for it");
        listen(read_line, &cancel, &Questions::default(), exit_with).expect("the system gives a thread");
        exit.recv().expect("the process is to exit")
    }

    #[test]
    fn end_of_the_daemon_exits_without_a_stop() {
        assert!(!is_cancelled_at_exit(|| Ok(String::new())));
    }

    #[test]
    fn failing_pipe_exits_without_a_stop() {
        assert!(!is_cancelled_at_exit(|| Err(io::ErrorKind::BrokenPipe.into())));
    }
}
