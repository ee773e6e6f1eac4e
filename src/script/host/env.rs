//! What a running script reaches beyond itself.

pub use crate::api::callback::Keys as CallbackKeys;

use super::error::NoClient;
use crate::{
    base::{Cancel, Clock, Diagnostic},
    bulk::{DryRun, Journal, Limits, ProgressBoard},
    client::Client,
    script::writes::blacklist_cache::BlacklistCache,
    store::Store,
};
use rhai::Engine;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
};
use tokio::runtime::Handle;

/// Where a script's words go.
pub trait Output: Send + Sync {
    /// What `print` was given.
    fn print(&self, text: &str);
    /// What `debug` was given, with where.
    fn debug(&self, text: &str);
}

/// Where words go that nobody wants to hear.
pub struct NullOutput;

impl Output for NullOutput {
    fn print(&self, _text: &str) {}
    fn debug(&self, _text: &str) {}
}

/// Asks whether the account may be changed; an error says why not.
pub type ConfirmWrite = Arc<dyn Fn() -> Result<(), Diagnostic> + Send + Sync>;

/// What a running script reaches beyond itself.
pub struct RunEnv {
    /// Calls the platform, or says why it can't.
    pub client: Result<Client, NoClient>,
    /// The most calls under way together.
    pub in_flight: usize,
    /// Where asynchronous work runs.
    pub runtime: Handle,
    /// The wish to stop.
    pub cancel: Cancel,
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// What the run may do at the most.
    pub limits: Arc<Limits>,
    /// Where it is written down what the run does.
    pub journal: Journal,
    /// Nothing is changed: it is only said what would be.
    pub dry: Option<Arc<DryRun>>,
    /// Is asked before the first change.
    pub confirm: Option<ConfirmWrite>,
    /// What the gate has said.
    pub(crate) confirmed: OnceLock<Result<(), Diagnostic>>,
    /// Who is blocked, as far as the run knows.
    pub(crate) blacklist: BlacklistCache,
    /// It may wait: for the next day when the day's quota is used up, and for another run that writes the same.
    pub may_wait: bool,
    /// Where the runs of before are recorded.
    pub store: Option<Store>,
    /// Where jobs show how far they are.
    pub board: Arc<ProgressBoard>,
    /// Where words go.
    pub output: Arc<dyn Output>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    /// Where the person stands: relative paths of a script begin there.
    pub folder: PathBuf,
    /// Where a job keeps for a while what memory is too small for.
    pub scratch_folder: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// The engine that runs the script, for closures that are called after the function that they
    /// were given to has returned. Set once, when the script starts.
    pub(crate) engine: OnceLock<Weak<Engine>>,
}

impl RunEnv {
    /// An environment without a server callback, on the machine's clock; the engine joins it when
    /// the script starts.
    #[must_use]
    pub fn new(
        client: Result<Client, NoClient>,
        in_flight: usize,
        runtime: Handle,
        cancel: Cancel,
        params: BTreeMap<String, String>,
        board: Arc<ProgressBoard>,
        output: Arc<dyn Output>,
    ) -> Self {
        Self {
            client,
            in_flight,
            runtime,
            cancel,
            params,
            limits: Arc::default(),
            journal: Journal::default(),
            dry: None,
            confirm: None,
            confirmed: OnceLock::new(),
            blacklist: BlacklistCache::default(),
            may_wait: false,
            store: None,
            board,
            output,
            callback: None,
            folder: PathBuf::from("."),
            scratch_folder: PathBuf::from("."),
            clock: Clock::system(),
            engine: OnceLock::new(),
        }
    }
}
