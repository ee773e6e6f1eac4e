//! The accounts of runs, connected before the runs start, each on a thread of its own: a secret may come from a slow
//! command, which must not delay other fires.

use super::{
    fire_queue::FireId,
    log::{Level, ScriptOutput},
    process::Process,
};
use crate::{
    base::{Cancel, Diagnostic},
    run::worker::{ConnectedAccount, Connector},
    store::{AutomationId, Fire},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, OnceLock,
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
    time::Duration,
};

/// How often unfinished preparations are polled if no waker was called before.
pub(super) const PREPARATION_POLL: Duration = Duration::from_millis(100);

/// How many fires of one account are prepared at the same time. Further ones wait; those of other accounts do not.
const MAX_PENDING: usize = 16;

/// The connected account of one run, or why it can't be called.
pub(super) struct PreparedRun {
    /// The account that was asked for.
    account: Option<String>,
    pub connected: Result<ConnectedAccount, Diagnostic>,
    pub cancel: Cancel,
    /// The run's id, for what it prints; set once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

/// The preparation of one run.
enum Preparation {
    Pending(Option<String>, Receiver<PreparedRun>),
    Ready(Box<PreparedRun>),
}

/// The preparations of fires that wait.
pub(super) struct Preparations {
    connector: Arc<dyn Connector>,
    by_fire: BTreeMap<FireId, Preparation>,
}

impl Preparations {
    pub(super) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, by_fire: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_fire.is_empty()
    }

    /// How many preparations of an account are not finished.
    fn pending(&self, account: Option<&str>) -> usize {
        let is_pending = |preparation: &&Preparation| match preparation {
            Preparation::Pending(of, _) => of.as_deref() == account,
            Preparation::Ready(_) => false,
        };
        self.by_fire.values().filter(is_pending).count()
    }

    /// Whether the preparation of a fire is finished; starts it if it was not.
    pub(super) fn poll(&mut self, process: &Process, fire: &Fire, account: Option<&str>) -> bool {
        let id = FireId::from(fire);
        let ready = match self.by_fire.get(&id) {
            None if self.pending(account) >= MAX_PENDING => return false,
            None => {
                let (sender, prepared) = mpsc::channel();
                let waker = Arc::clone(&process.waker);
                let prepare = self.preparer(process, account, &fire.automation);
                let work = move || {
                    // The receiver was dropped if the fire is no longer waiting.
                    let _ = sender.send(prepare());
                    waker();
                };
                match thread::Builder::new().name("connect".to_owned()).spawn(work) {
                    Ok(_) => {
                        let pending = Preparation::Pending(account.map(str::to_owned), prepared);
                        self.by_fire.insert(id, pending);
                        return false;
                    }
                    Err(_) => self.preparer(process, account, &fire.automation)(),
                }
            }
            Some(Preparation::Ready(_)) => return true,
            Some(Preparation::Pending(_, prepared)) => match prepared.try_recv() {
                Ok(prepared) => prepared,
                Err(TryRecvError::Empty) => return false,
                // The thread panicked. On this thread a second panic is visible.
                Err(TryRecvError::Disconnected) => self.preparer(process, account, &fire.automation)(),
            },
        };
        self.by_fire.insert(id, Preparation::Ready(Box::new(ready)));
        true
    }

    /// Takes the preparation of a fire; connects now what was not prepared.
    pub(super) fn take(&mut self, process: &Process, fire: &Fire, account: Option<&str>) -> PreparedRun {
        let prepared = match self.by_fire.remove(&FireId::from(fire)) {
            // The file may name another account since it was saved again.
            Some(Preparation::Ready(prepared)) if prepared.account.as_deref() == account => *prepared,
            _ => self.preparer(process, account, &fire.automation)(),
        };
        if let Ok(ConnectedAccount { config, .. }) = &prepared.connected
            && let Ok(client) = &config.client
        {
            process.stats.track_account(client);
        }
        prepared
    }

    /// Logs an account that can't be called when automations of it are loaded, not only when one first fires.
    pub(super) fn check_account(&self, process: &Process, account: &str, automations: Vec<AutomationId>) {
        let log = process.log.clone();
        let prepare = self.preparer(process, Some(account), &AutomationId::default());
        let work = move || {
            if let Err(diagnostic) = prepare().connected {
                let text = format!("its account can't be called: {}", diagnostic.one_line());
                for automation in automations {
                    log.automation(Level::Error, &automation, &text);
                }
            }
        };
        // Without a thread for it the first fire reports the same.
        let _ = thread::Builder::new().name("account".to_owned()).spawn(work);
    }

    /// Drops the preparations of fires that do not wait any longer.
    pub(super) fn drop_unneeded(&mut self, waiting: &HashSet<FireId>) {
        self.by_fire.retain(|id, _| waiting.contains(id));
    }

    /// Prepares a run, on whichever thread it is called.
    fn preparer(
        &self,
        process: &Process,
        account: Option<&str>,
        automation: &AutomationId,
    ) -> impl FnOnce() -> PreparedRun + Send + 'static + use<> {
        let (connector, account) = (Arc::clone(&self.connector), account.map(str::to_owned));
        let (cancel, run) = (Cancel::default(), Arc::default());
        let output = ScriptOutput {
            log: process.log.clone(),
            secrets: process.host.secrets.clone(),
            automation: automation.clone(),
            run: Arc::clone(&run),
        };
        move || {
            let connected = connector.connect(account.as_deref(), &cancel, Arc::new(output));
            PreparedRun { account, connected, cancel, run }
        }
    }
}
