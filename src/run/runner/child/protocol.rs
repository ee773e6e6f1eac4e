//! What the daemon and the process of a run say to each other: one JSON object a line.

use crate::{
    api::{WireSecret, callback::Keys as CallbackKeys},
    base::{Diagnostic, Secret},
    client::{Answer, ClientSettings, Question},
    run::worker::RunOutcome,
    script::{FileAccess, HandlerCall, Source},
    store::{Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// What the process is to run; the first line of its standard input. Secrets travel here and nowhere else: the store's
/// password, and the keys of the account's callback.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub run: String,
    pub account: String,
    pub attempt: i64,
    /// The daemon's process, which must still be there.
    pub parent: u32,
    pub source: Source,
    pub call: HandlerCall,
    pub client: Result<ClientSettings, WireDiagnostic>,
    pub callback: Option<WireCallbackKeys>,
    pub in_flight: usize,
    pub max_changes: Option<u64>,
    pub max_errors: Option<u32>,
    pub files: FileAccess,
    pub scratch_folder: PathBuf,
    pub store: StoreAddress,
    /// The processor time after which the script only gets what no other thread wants.
    pub gives_way_after: Duration,
    /// The most bytes that the run may take, if there is a limit.
    pub memory: Option<u64>,
}

/// Where the store is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum StoreAddress {
    /// A SQLite file.
    File(PathBuf),
    /// The URL of a PostgreSQL database.
    Server(WireSecret),
}

impl StoreAddress {
    pub(super) async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Store::sqlite(path).await,
            Self::Server(url) => Store::postgres(&url.0).await,
        }
    }
}

/// From the daemon, after the order.
#[derive(Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// The run is to stop at its next safe point.
    Stop,
    /// The daemon runs and works on what was asked for under this number.
    Acknowledge { id: u64 },
    /// What was asked for under this number.
    Answer { id: u64, answer: Answer },
}

/// To the daemon.
#[derive(Serialize, Deserialize)]
pub(super) enum ToDaemon {
    /// Everything is ready: the script starts. What ends the process from now on is the run's doing.
    Starts,
    /// The script has printed a text.
    Printed(String),
    /// Something that needs a token or the AppSecret, with the number of its answer.
    Asks { id: u64, question: Question },
    /// The run was asked to stop, by the daemon or in the store.
    Stopping,
    /// The run has ended; the process ends next.
    Ended(RunOutcome),
}

/// The keys of a server callback, between two processes.
#[derive(Serialize, Deserialize)]
pub(super) struct WireCallbackKeys {
    token: WireSecret,
    aes_key: Option<WireSecret>,
    appid: String,
}

impl From<&CallbackKeys> for WireCallbackKeys {
    fn from(keys: &CallbackKeys) -> Self {
        Self {
            token: WireSecret(keys.token.clone()),
            aes_key: keys.aes_key.clone().map(WireSecret),
            appid: keys.appid.clone(),
        }
    }
}

impl From<WireCallbackKeys> for CallbackKeys {
    fn from(keys: WireCallbackKeys) -> Self {
        let secret = |secret: WireSecret| -> Secret { secret.0 };
        Self { token: secret(keys.token), aes_key: keys.aes_key.map(secret), appid: keys.appid }
    }
}

/// Why there is no client, between two processes.
#[derive(Serialize, Deserialize)]
pub(super) struct WireDiagnostic {
    message: String,
    hint: Option<String>,
}

impl From<&Diagnostic> for WireDiagnostic {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self { message: diagnostic.message.clone(), hint: diagnostic.hint.clone() }
    }
}

impl From<WireDiagnostic> for Diagnostic {
    fn from(diagnostic: WireDiagnostic) -> Self {
        Self { hint: diagnostic.hint, ..Self::new(diagnostic.message) }
    }
}
