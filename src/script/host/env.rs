//! The environment of a running script: what it calls, records, may change, and reads and writes.

use super::{
    error::{NoClient, ScriptError},
    file::FileAccess,
};
use crate::{
    api::callback::Keys as CallbackKeys,
    base::{Cancel, Clock, Diagnostic, Redactor, SettingNames},
    bulk::{BlacklistCache, DryRun, Journal, Limits, ProgressBoard},
    client::Client,
    store::Store,
};
use rhai::Engine;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
};
use tokio::runtime::Handle;

/// Receives the output of a script.
pub trait Output: Send + Sync {
    /// A text that the script printed.
    fn print(&self, text: &str);
    /// A text that the script gave to `debug`, with its source line.
    fn debug(&self, text: &str);
}

/// Discards all output.
pub struct NullOutput;

impl Output for NullOutput {
    fn print(&self, _text: &str) {}
    fn debug(&self, _text: &str) {}
}

/// Asks for confirmation before the first change; an error says why the account must not be changed.
pub type ConfirmWrite = Arc<dyn Fn() -> Result<(), Diagnostic> + Send + Sync>;

/// How a script calls the platform.
pub struct Calls {
    /// The client, or why there is none.
    pub client: Result<Client, NoClient>,
    /// Upper bound of concurrent calls of a job.
    pub in_flight: usize,
    /// Runs asynchronous work.
    pub runtime: Handle,
    /// Cancels the run.
    pub cancel: Cancel,
    /// The keys of the account's server callback, if configured.
    pub callback: Option<CallbackKeys>,
}

/// What a script may change.
#[derive(Clone, Default)]
pub struct WritePolicy {
    /// The limits of the run.
    pub limits: Arc<Limits>,
    /// Present in a dry run, which changes nothing and records what it would change.
    pub dry: Option<Arc<DryRun>>,
    /// Called before the first change.
    pub confirm: Option<ConfirmWrite>,
    /// Whether the run may wait: for the next day when the day's quota is used up, and for a lock that another run holds.
    pub may_wait: bool,
}

/// What a script reads and writes beside the account.
pub struct ScriptIo {
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// Shows the progress of jobs.
    pub board: Arc<ProgressBoard>,
    /// Receives the script's output.
    pub output: Arc<dyn Output>,
    /// The files that the script may read and write.
    pub files: FileAccess,
    /// Holds temporary data that is too large for memory.
    pub scratch_folder: PathBuf,
    /// Masks secrets in what is sent, recorded or cut.
    pub secrets: Redactor,
    /// The time.
    pub clock: Clock,
    /// What settings are called in messages.
    pub setting_names: SettingNames,
    /// Called by the script's thread when it starts, and now and then while it computes.
    pub while_computing: Option<fn()>,
}

/// The environment of a running script.
pub struct RunEnv {
    /// How it calls the platform.
    pub calls: Calls,
    /// Records its steps.
    pub journal: Journal,
    /// Where earlier runs are recorded.
    pub store: Option<Store>,
    /// What it may change.
    pub policy: WritePolicy,
    /// What it reads and writes.
    pub io: ScriptIo,
    /// The answer of [`WritePolicy::confirm`]; a run asks once.
    pub(crate) confirmed: OnceLock<Result<(), Diagnostic>>,
    /// The blacklist, cached for the run's single calls.
    pub(crate) blacklist: BlacklistCache,
    /// The error with which the script ends, whatever it catches: the run pauses, or has taken too much memory.
    pub(super) ending: OnceLock<ScriptError>,
    /// The engine that runs the script, for closures that are called after the function that they were passed to has
    /// returned. Set once, when the script starts.
    pub(crate) engine: OnceLock<Weak<Engine>>,
}

impl RunEnv {
    /// The environment of a run; the engine joins it when the script starts.
    #[must_use]
    pub fn new(
        calls: Calls,
        journal: Journal,
        store: Option<Store>,
        policy: WritePolicy,
        io: ScriptIo,
    ) -> Self {
        Self {
            calls,
            journal,
            store,
            policy,
            io,
            confirmed: OnceLock::new(),
            blacklist: BlacklistCache::default(),
            ending: OnceLock::new(),
            engine: OnceLock::new(),
        }
    }
}
