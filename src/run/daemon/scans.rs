//! Scans of the folder, on a thread of their own: neither a file that takes long to read or to parse, nor a folder that does
//! not answer, delays a fire or a signal.
//!
//! The thread owns the registry. It is given one request after another, and sends what it finds as it finds it. Nothing waits
//! for it: a daemon that ends leaves it behind. A change that is reported while a scan goes on is found by another one after
//! it, since that file may have been read already.
//!
//! Must never know the store, nor what is done with what it finds.

use crate::{
    base::{Stopwatch, lock},
    run::{
        registry::{AutomationRegistry, RegistryEvent, ScanObserver},
        runner::Waker,
    },
    script::STACK,
    store::AutomationRecord,
};
use std::{
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

/// Findings that wait for the daemon; then the thread waits.
const MAX_WAITING: usize = 256;

/// The daemon is woken when this many were found: it loads them together.
const BATCH: usize = 64;

/// A file or a folder that takes longer to be read and loaded does not answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the thread is asked to do.
enum ScanRequest {
    /// Scan the folder.
    Scan,
    /// Mark those of these automations that the folder has no more, or that are no automations any more.
    MarkMissing(Vec<String>),
    /// Restore the last good revision of a stale automation.
    Restore(Box<AutomationRecord>),
}

/// What the thread answers. `Scanned` or `Done` ends the answer to a request.
pub(super) enum Found {
    Event(Box<RegistryEvent>),
    /// The folder was scanned; whether it has no automation.
    Scanned(io::Result<bool>),
    Done,
}

/// Called on the thread before each scan.
pub(super) type ScanHook = Box<dyn FnMut() + Send>;

/// The thread's side.
struct Worker {
    registry: AutomationRegistry,
    before_scan: ScanHook,
    requests: Receiver<ScanRequest>,
    reporter: ScanReporter,
}

/// Sends the daemon what the scanning thread finds, and notes what it reads.
struct ScanReporter {
    found: SyncSender<Found>,
    current_read: Arc<CurrentRead>,
    waker: Waker,
    /// Events since the daemon was woken.
    unseen: Cell<usize>,
}

/// What the thread reads now, and since when.
#[derive(Default)]
struct CurrentRead(Mutex<Option<(PathBuf, Stopwatch)>>);

/// The scans of a folder.
pub(super) struct FolderScans {
    /// Locked by the thread once there is one.
    worker: Arc<Mutex<Worker>>,
    has_thread: bool,
    requests: Sender<ScanRequest>,
    found: Receiver<Found>,
    current_read: Arc<CurrentRead>,
    /// Requests whose answer has not ended.
    open: usize,
    is_scanning: bool,
    /// Whether something may have changed since the scan that goes on began.
    is_outdated: bool,
}

impl FolderScans {
    pub(super) fn new(registry: AutomationRegistry, waker: Waker) -> Self {
        let (requests, requested) = mpsc::channel();
        let (sender, found) = mpsc::sync_channel(MAX_WAITING);
        let current_read = Arc::<CurrentRead>::default();
        let reporter = ScanReporter {
            found: sender,
            current_read: Arc::clone(&current_read),
            waker,
            unseen: Cell::new(0),
        };
        let worker = Worker { registry, before_scan: Box::new(|| {}), requests: requested, reporter };
        Self {
            worker: Arc::new(Mutex::new(worker)),
            has_thread: false,
            requests,
            found,
            current_read,
            open: 0,
            is_scanning: false,
            is_outdated: false,
        }
    }

    /// Calls this when something was found.
    pub(super) fn set_waker(&mut self, waker: Waker) {
        lock(&self.worker).reporter.waker = waker;
    }

    /// Calls this on the thread before each scan.
    pub(super) fn set_hook(&mut self, hook: ScanHook) {
        lock(&self.worker).before_scan = hook;
    }

    /// Begins a scan, or another one after that which goes on. An error when the system gives no thread.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if !self.has_thread {
            let worker = Arc::clone(&self.worker);
            let thread = thread::Builder::new().name("scan".to_owned()).stack_size(STACK);
            thread.spawn(move || lock(&worker).work())?;
            self.has_thread = true;
        }
        self.is_outdated = self.is_scanning;
        if !self.is_scanning {
            self.is_scanning = true;
            self.request(ScanRequest::Scan);
        }
        Ok(())
    }

    /// Looks which of these automations the folder has no more.
    pub(super) fn mark_missing(&mut self, names: Vec<String>) {
        self.request(ScanRequest::MarkMissing(names));
    }

    /// Restores the last good revision of a stale automation.
    pub(super) fn restore(&mut self, record: AutomationRecord) {
        self.request(ScanRequest::Restore(Box::new(record)));
    }

    fn request(&mut self, request: ScanRequest) {
        // The thread ends only after its requests have.
        if self.requests.send(request).is_ok() {
            self.open += 1;
        }
    }

    /// Whether everything was answered.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// The next finding, if there is one.
    pub(super) fn receive(&mut self) -> Option<Found> {
        let found = self.found.try_recv().ok()?;
        if !matches!(found, Found::Event(_)) {
            self.open -= 1;
        }
        if matches!(found, Found::Scanned(_)) {
            self.is_scanning = std::mem::take(&mut self.is_outdated);
            if self.is_scanning {
                self.request(ScanRequest::Scan);
            }
        }
        Some(found)
    }

    /// What does not answer, and for how long.
    pub(super) fn stalled(&self) -> Option<(PathBuf, Duration)> {
        let current_read = lock(&self.current_read.0);
        let (path, since) = current_read.as_ref()?;
        Some((path.clone(), since.elapsed())).filter(|(_, elapsed)| *elapsed >= STALL_TIMEOUT)
    }
}

impl Worker {
    /// Works until the daemon has ended.
    fn work(&mut self) {
        while let Ok(request) = self.requests.recv() {
            let is_scan = matches!(request, ScanRequest::Scan);
            // What a fault in the parser leaves of the registry is scanned again.
            let done = catch_unwind(AssertUnwindSafe(|| self.execute(request)))
                .unwrap_or_else(|_| Err(io::Error::other("a fault in mpscript itself")));
            let end =
                if is_scan { Found::Scanned(done.map(|()| self.registry.is_empty())) } else { Found::Done };
            self.reporter.send(end);
        }
    }

    fn execute(&mut self, request: ScanRequest) -> io::Result<()> {
        match request {
            ScanRequest::Scan => {
                self.reporter.reading(self.registry.folder());
                (self.before_scan)();
                self.registry.scan(&self.reporter)?;
            }
            ScanRequest::MarkMissing(names) => {
                for name in names {
                    if !self.registry.has(&name) {
                        self.reporter.reading(self.registry.folder());
                        self.reporter.found(self.registry.mark_missing(name));
                    }
                }
            }
            ScanRequest::Restore(record) => {
                let name = record.id.name.clone();
                // The file may have been removed or mended since.
                if !self.registry.revisions().contains_key(&name)
                    && let Some(diagnostic) = self.registry.stale().get(&name).cloned()
                {
                    let restored = self.registry.restore_last_good(&record);
                    let revision = self.registry.revisions().get(&name).map(Arc::clone);
                    let revision = revision.ok_or(restored.err());
                    self.reporter.found(RegistryEvent::Restored { name, diagnostic, revision });
                }
            }
        }
        Ok(())
    }
}

impl ScanReporter {
    fn send(&self, found: Found) {
        *lock(&self.current_read.0) = None;
        let is_end = !matches!(found, Found::Event(_));
        // After the end of the daemon there is no receiver.
        let _ = self.found.send(found);
        self.unseen.set(self.unseen.get() + 1);
        if is_end || self.unseen.get() >= BATCH {
            self.unseen.set(0);
            (self.waker)();
        }
    }
}

impl ScanObserver for ScanReporter {
    fn reading(&self, path: &Path) {
        *lock(&self.current_read.0) = Some((path.to_owned(), Stopwatch::start()));
    }

    fn found(&self, event: RegistryEvent) {
        self.send(Found::Event(Box::new(event)));
    }
}
