//! Daemons in the test's own process, with a folder, a store, a sandbox and a clock that is turned.

use crate::{postgres::cluster, support::Account};
use mpscript::{
    base::{Clock, Diagnostic, Secret},
    client::{self, BaseUrl, Client, Settings, TokenMode},
    host::Host,
    run::{
        Setting,
        daemon::{Daemon, Entry, Log},
        record::Options,
        registry::Served,
        runtime,
        schedule::zone,
        worker::{Connect, Connected},
    },
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::{Fire, Store},
};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What takes longer never comes.
const PATIENCE: Duration = Duration::from_mins(3);

/// Lines of a daemon's log: automation and text.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Log for Said {
    fn say(&self, entry: &Entry) {
        self.0.lock().expect("nobody panics with it").push(format!("{}: {}", entry.automation, entry.text));
    }
}

impl Said {
    pub(crate) fn all(&self) -> String {
        self.0.lock().expect("nobody panics with it").join("\n")
    }
}

/// Everything that daemons share.
pub(crate) struct Office {
    pub(crate) sandbox: Account,
    folder: TempDir,
    clock: Clock,
    runtime: Arc<Runtime>,
    store: Store,
    pub(crate) said: Said,
    /// Runs that have ended and that nobody has looked at yet.
    ended: Arc<(Mutex<usize>, Condvar)>,
}

impl Office {
    /// A folder with these automations, on SQLite.
    pub(crate) fn of(automations: &[(&str, &str)]) -> Self {
        Self::on(automations, false, Account::of(300))
    }

    /// The same with a sandbox of one's own.
    pub(crate) fn with(automations: &[(&str, &str)], sandbox: Account) -> Self {
        Self::on(automations, false, sandbox)
    }

    /// The same on PostgreSQL, where there is one.
    pub(crate) fn on_postgres(automations: &[(&str, &str)]) -> Option<Self> {
        cluster().is_some().then(|| Self::on(automations, true, Account::of(300)))
    }

    fn on(automations: &[(&str, &str)], postgres: bool, sandbox: Account) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let runtime = Arc::new(runtime().expect("the system gives threads"));
        let store = if postgres {
            let url = cluster().expect("it was looked for").database();
            runtime.block_on(Store::postgres(&url))
        } else {
            runtime.block_on(Store::sqlite(&folder.path().join("store.sqlite3")))
        };
        let store = store.expect("the store opens");
        let (clock, said) = (Clock::system(), Said::default());
        let office = Self { sandbox, folder, clock, runtime, store, said, ended: Arc::default() };
        for (name, text) in automations {
            office.write(name, text);
        }
        // Everything begins at a full minute, well before any fire.
        let into = 60_000 - office.clock.now_ms().rem_euclid(60_000) + 1_000;
        office.turn(Duration::from_millis(into.unsigned_abs()));
        office
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.folder.path().join("jobs")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.jobs().join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Turns all clocks: the daemons' and the sandbox's.
    pub(crate) fn turn(&self, by: Duration) {
        self.clock.advance(by);
        self.sandbox.advance(&format!("{}ms", by.as_millis()));
    }

    /// Turns the daemons' clock back to the machine's.
    pub(crate) fn turn_back(&self) {
        self.clock.reset();
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A daemon that has taken the folder over.
    pub(crate) fn daemon(&self) -> Daemon {
        let mut daemon = self.daemon_of("jobs");
        daemon.scan().expect("the folder is there");
        daemon.step().expect("the store works");
        daemon
    }

    /// A daemon that has not looked at its folder yet, which is made if there is none.
    pub(crate) fn daemon_of(&self, name: &str) -> Daemon {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let host = Host { clock: self.clock.clone(), folder: folder.clone(), ..Host::real() };
        let served = Served::new(&folder, zone("Asia/Shanghai").expect("it is there"));
        let connect = self.connect(&host);
        let log = Arc::new(self.said.clone());
        let ended = Arc::clone(&self.ended);
        let wake = move || {
            *ended.0.lock().expect("nobody panics with it") += 1;
            ended.1.notify_all();
        };
        Daemon::new(&host, &self.runtime, &self.store, served, connect, log).waking(Arc::new(wake))
    }

    fn connect(&self, host: &Host) -> Connect {
        let (host, store, address) = (host.clone(), self.store.clone(), self.sandbox.address());
        let asked = AtomicUsize::new(0);
        Arc::new(move |account, cancel, output| {
            // As if its AppSecret came from somewhere that does not answer now and then.
            let is_for_a_run = thread::current().name() == Some("connect");
            if account == Some("now and then")
                && is_for_a_run
                && asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
            {
                return Err(Diagnostic::new("its AppSecret does not come"));
            }
            let base = BaseUrl::parse(&format!("http://{address}")).expect("it is on loopback");
            let client = Client::new(Settings {
                bases: vec![base],
                account: client::Account {
                    appid: DEFAULT_APPID.to_owned(),
                    secret: Secret::new(DEFAULT_SECRET),
                },
                in_flight: 4,
                minute: Duration::from_mins(1),
                reset: mpscript::api::quota::Reset::MIDNIGHT,
                waits_for_reset: false,
                token_mode: TokenMode::Stable,
                store: Some(store.clone()),
                owner: host.process.clone(),
                secrets: host.secrets.clone(),
                clock: host.clock.clone(),
                cancel: cancel.clone(),
            });
            let setting = Setting {
                client: Ok(client),
                callback: None,
                in_flight: 4,
                folder: host.folder.clone(),
                scratch_folder: host.scratch_folder(),
                clock: host.clock.clone(),
                cancel: cancel.clone(),
                params: BTreeMap::new(),
                store: Some(store.clone()),
                gate: None,
                output,
            };
            let options = Options { in_flight: 4, folder: host.folder.clone(), ..Options::default() };
            Ok(Connected { setting, options })
        })
    }

    /// Steps until nothing is under way and nothing more begins.
    #[track_caller]
    pub(crate) fn settle(&self, daemons: &mut [Daemon]) {
        let since = Instant::now();
        let mut quiet = 0;
        while quiet < 3 {
            let mut is_busy = false;
            for daemon in daemons.iter_mut() {
                daemon.step().expect("the store works");
                is_busy |= !daemon.is_idle();
            }
            quiet = if is_busy { 0 } else { quiet + 1 };
            assert!(since.elapsed() < PATIENCE, "it goes on:\n{}", self.said.all());
            if is_busy {
                let (lock, ended) = &*self.ended;
                let none = lock.lock().expect("nobody panics with it");
                // What else there is to do comes with time.
                let wait = Duration::from_millis(5);
                let _ = ended
                    .wait_timeout_while(none, wait, |count| *count == 0)
                    .map(|(mut count, _)| *count = 0);
            }
        }
    }

    /// Turns the clocks and sees everything that comes of it through.
    #[track_caller]
    pub(crate) fn pass(&self, by: Duration, daemons: &mut [Daemon]) {
        self.turn(by);
        self.settle(daemons);
    }

    /// Lets days go by, from one fire to the next.
    #[track_caller]
    pub(crate) fn days(&self, count: u32, daemon: &mut Daemon) {
        let end = self.now() + i64::from(count) * 24 * 3_600_000;
        while self.now() < end {
            let next = daemon.next_begin().unwrap_or(end).min(end);
            let wait = (next - self.now()).max(0).unsigned_abs() + 1_000;
            self.pass(Duration::from_millis(wait), std::slice::from_mut(daemon));
        }
    }

    /// The fires of an automation, oldest first, those that only tell of its triggers left out.
    pub(crate) fn fires(&self, name: &str) -> Vec<Fire> {
        let mut fires = self.wait(self.store.fires(name, 100_000)).expect("the store works");
        fires.retain(|fire| !["armed", "disarmed"].contains(&fire.state.as_str()));
        fires.reverse();
        fires
    }

    /// Their states.
    pub(crate) fn states(&self, name: &str) -> Vec<String> {
        self.fires(name).into_iter().map(|fire| fire.state).collect()
    }
}
