//! What a run works with besides its script: the account, paths, clock, cancellation and output.

use super::{memory_guard::MemoryLimit, record::RunOptions};
use crate::{
    api::callback::Keys as CallbackKeys,
    base::{Cancel, Clock, Redactor, SettingNames},
    client::Client,
    host::Host,
    script::{ConfirmWrite, FileAccess, NoClient, Output},
    store::Store,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What a run works with besides its script. All lines of a session share one.
#[derive(Clone)]
pub struct RunConfig {
    /// Calls the platform, or says why it can't be called.
    pub client: Result<Client, NoClient>,
    /// The configuration of the account's server callback, if it has one.
    pub callback: Option<CallbackKeys>,
    /// The most calls in flight at the same time.
    pub in_flight: usize,
    /// The files that scripts may read and write.
    pub files: FileAccess,
    /// The folder of temporary files, for sets that are too large for memory.
    pub scratch_folder: PathBuf,
    /// Masks secrets in what is recorded and cut.
    pub secrets: Redactor,
    /// The clock.
    pub clock: Clock,
    /// What settings are called in messages.
    pub setting_names: SettingNames,
    /// Cancels the run and its client.
    pub cancel: Cancel,
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// Where runs are recorded.
    pub store: Option<Store>,
    /// Asks for confirmation before the first change.
    pub confirm: Option<ConfirmWrite>,
    /// Where what the script prints is written.
    pub output: Arc<dyn Output>,
    /// Called by the script's thread when it starts, and now and then while it computes.
    pub while_computing: Option<fn()>,
    /// The memory that the script may take, where its process runs no other script.
    pub memory: Option<MemoryLimit>,
}

impl RunConfig {
    /// The configuration that follows from a run's options; without a callback, a store and a confirmation. `files` is
    /// what the configuration allows and protects, to which the options add.
    #[must_use]
    pub fn new(
        host: &Host,
        options: &RunOptions,
        files: &FileAccess,
        client: Result<Client, NoClient>,
        cancel: &Cancel,
        output: Arc<dyn Output>,
    ) -> Self {
        let mut files = files.starting_in(&options.folder);
        files.allow(&options.roots);
        Self {
            client,
            callback: None,
            in_flight: options.in_flight,
            files,
            scratch_folder: host.scratch_folder(),
            secrets: host.secrets.clone(),
            clock: host.clock.clone(),
            setting_names: host.setting_names,
            cancel: cancel.clone(),
            params: options.params.clone(),
            store: None,
            confirm: None,
            output,
            while_computing: None,
            memory: None,
        }
    }
}
