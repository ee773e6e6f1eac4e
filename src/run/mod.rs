//! What makes a script run: its thread, its environment, its report.
//!
//! Must never know terminals and colours: words go to an `Output`, progress to a `Board`.

mod token_service;

pub use token_service::{Listen, Listening, TokenService};

use crate::{
    base::{Cancel, Clock, Diagnostic, Stopwatch},
    bulk::{Board, Limits, RunReport},
    client::Client,
    script::{CallbackKeys, Env, NoClient, Output, Program, STACK, Script, Trouble},
};
use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, thread};
use tokio::runtime::Runtime;

/// What a run is made of.
pub struct Run {
    /// The script, compiled and checked.
    pub program: Arc<Program>,
    /// Calls the platform, or says why it can't.
    pub client: Result<Client, NoClient>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    /// The most calls under way together.
    pub in_flight: usize,
    /// Where the person stands: relative paths of a script begin there.
    pub folder: PathBuf,
    /// Where a job keeps for a while what memory is too small for.
    pub scratch_folder: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// The wish to stop.
    pub cancel: Cancel,
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// What the run may do at the most.
    pub limits: Limits,
    /// Where jobs show how far they are.
    pub board: Arc<Board>,
    /// Where words go.
    pub output: Arc<dyn Output>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// What it did.
    pub report: RunReport,
    /// The value of the script's last line, as text.
    pub value: Option<String>,
    /// How it failed, if it did.
    pub trouble: Option<Trouble>,
}

/// A runtime for everything that runs under scripts.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("calls").enable_all().build()
}

impl Run {
    /// Runs the script to its end, on a thread with the stack that scripts need.
    #[must_use]
    pub fn execute(self, runtime: &Runtime) -> Outcome {
        let watch = Stopwatch::start();
        let (board, cancel, client) = (Arc::clone(&self.board), self.cancel.clone(), self.client.clone());
        let mut env = Env::new(
            self.client,
            self.in_flight,
            runtime.handle().clone(),
            self.cancel,
            self.params,
            self.board,
            self.output,
        );
        env.callback = self.callback;
        env.limits = Arc::new(self.limits);
        env.folder = self.folder;
        env.scratch_folder = self.scratch_folder;
        env.clock = self.clock;
        let env = Arc::new(env);
        let program = self.program;
        let spawned = thread::Builder::new()
            .name("script".to_owned())
            .stack_size(STACK)
            .spawn(move || Script::new(&program, &env).run());
        let result = match spawned.map(thread::JoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(broken("the script met a fault in mpscript itself")),
            Err(error) => Err(broken(&format!("no thread for the script: {error}"))),
        };
        let calls = client.map(|client| client.tally().snapshot()).unwrap_or_default();
        let elapsed_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut report = RunReport::of(board.ended(), calls, elapsed_ms);
        let (value, trouble) = match result {
            Ok(value) => (value, None),
            Err(trouble) => (None, Some(trouble)),
        };
        if cancel.is_cancelled() {
            report.state = "cancelled";
        } else if let Some(trouble) = &trouble {
            report.state = "error";
            report.error = Some(trouble.diagnostic.message.clone());
        }
        Outcome { report, value, trouble }
    }
}

fn broken(message: &str) -> Trouble {
    let hint = "please report it with the script and what is printed above";
    Trouble { diagnostic: Diagnostic::new(message).hint(hint), is_configuration: false, is_cancelled: false }
}
