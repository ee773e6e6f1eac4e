//! Surroundings of runs that are being made, each on a thread of its own: a secret may take its time to come, and nobody else
//! waits for it.

use super::{Daemon, Level, Waiting, key, log::ScriptOutput, told};
use crate::{
    base::{Cancel, Diagnostic},
    run::worker::ConnectedAccount,
    store::Fire,
};
use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
};

/// Between two looks whether they are there, in milliseconds.
pub(super) const CONNECTS: i64 = 100;

/// The surroundings of one run, or why it has none.
pub(super) struct Prepared {
    /// The account that they are for.
    account: Option<String>,
    pub connected: Result<ConnectedAccount, Diagnostic>,
    pub cancel: Cancel,
    /// The run's name, once it has one, for what it prints.
    pub run: Arc<OnceLock<String>>,
}

/// How far they are.
pub(super) enum Connecting {
    Waits(Receiver<Prepared>),
    Ready(Box<Prepared>),
}

impl Daemon {
    /// Whether the surroundings of a fire's run are there; if not, they are being made from now on.
    pub(super) fn is_prepared(&mut self, fire: &Fire, account: Option<&str>) -> bool {
        let of = key(fire);
        let ready = match self.connecting.get(&of) {
            None => {
                let (to, prepared) = mpsc::channel();
                let wake = Arc::clone(&self.wake);
                let make = self.maker(account, &fire.automation);
                let work = move || {
                    // Nobody waits any more once the daemon has stopped.
                    let _ = to.send(make());
                    wake();
                };
                match thread::Builder::new().name("connect".to_owned()).spawn(work) {
                    Ok(_) => {
                        self.connecting.insert(of, Connecting::Waits(prepared));
                        return false;
                    }
                    Err(_) => Box::new(self.maker(account, &fire.automation)()),
                }
            }
            Some(Connecting::Ready(_)) => return true,
            Some(Connecting::Waits(prepared)) => match prepared.try_recv() {
                Ok(prepared) => Box::new(prepared),
                Err(TryRecvError::Empty) => return false,
                // Whatever has happened there happens here, where it is seen.
                Err(TryRecvError::Disconnected) => Box::new(self.maker(account, &fire.automation)()),
            },
        };
        self.connecting.insert(of, Connecting::Ready(ready));
        true
    }

    /// The surroundings of a fire's run.
    pub(super) fn take_prepared(&mut self, fire: &Fire, account: Option<&str>) -> Prepared {
        let prepared = match self.connecting.remove(&key(fire)) {
            // Its file may have been saved with another account meanwhile.
            Some(Connecting::Ready(prepared)) if prepared.account.as_deref() == account => *prepared,
            _ => self.maker(account, &fire.automation)(),
        };
        if let Ok(ConnectedAccount { config, .. }) = &prepared.connected
            && let Ok(client) = &config.client
        {
            self.stats.track_account(client);
        }
        prepared
    }

    /// An account that can't be called is told when its automation comes, not when that first fires.
    pub(super) fn try_account(&self, name: &str) {
        let revisions = self.registry.revisions();
        let Some(account) = revisions.get(name).and_then(|revision| revision.automation.account.clone())
        else {
            return;
        };
        let (log, clock, name) = (Arc::clone(&self.log), self.host.clock.clone(), name.to_owned());
        let make = self.maker(Some(&account), &name);
        let work = move || {
            if let Err(diagnostic) = make().connected {
                let text = format!("its account can't be called: {}", told(&diagnostic));
                let entry = crate::run::daemon::LogRecord {
                    at: clock.now_ms(),
                    level: Level::Error,
                    automation: &name,
                    run: "",
                    is_printed: false,
                    text: &text,
                };
                log.write(&entry);
            }
        };
        // Without a thread for it the first fire tells.
        let _ = thread::Builder::new().name("account".to_owned()).spawn(work);
    }

    /// What nobody waits for any more.
    pub(super) fn forget_prepared(&mut self) {
        let waiting = self.queue.iter().chain(&self.retries).map(|Waiting { fire, .. }| key(fire));
        let waiting: HashSet<_> = waiting.collect();
        self.connecting.retain(|of, _| waiting.contains(of));
    }

    fn maker(&self, account: Option<&str>, automation: &str) -> impl FnOnce() -> Prepared + Send + 'static {
        let (connect, account) = (Arc::clone(&self.connect), account.map(str::to_owned));
        let (cancel, run) = (Cancel::default(), Arc::default());
        let output = ScriptOutput {
            log: Arc::clone(&self.log),
            clock: self.host.clock.clone(),
            secrets: self.host.secrets.clone(),
            automation: automation.to_owned(),
            run: Arc::clone(&run),
        };
        move || {
            let connected = connect(account.as_deref(), &cancel, Arc::new(output));
            Prepared { account, connected, cancel, run }
        }
    }
}
