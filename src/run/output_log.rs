//! The output log of a recorded run: what it prints is stored with its record, up to a size and with secrets masked, and
//! goes to its output as well.
//!
//! Printing never waits for the store: lines that the store does not take are dropped here, with a warning.

use crate::{
    base::{Clock, Redactor, lock},
    bulk::Attempt,
    script::Output,
    store::{OutputLine, Store},
};
use std::sync::{Arc, Mutex};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};

/// The most bytes that are stored of what one attempt prints.
pub const MAX_LOG_BYTES: usize = 256 << 10;

/// The most lines that are written in one transaction.
const MAX_BATCH: usize = 256;

/// An output that stores what it passes on.
pub(super) struct OutputLog {
    output: Arc<dyn Output>,
    secrets: Redactor,
    clock: Clock,
    attempt: i64,
    state: Mutex<State>,
}

struct State {
    /// To the task that writes to the store; `None` before the log is opened and after it is closed.
    writer: Option<UnboundedSender<OutputLine>>,
    number: i64,
    /// Bytes that may still be stored.
    left: usize,
}

impl OutputLog {
    /// A log in front of `output` that does not store anything yet.
    pub(super) fn new(attempt: &Attempt, clock: &Clock, output: Arc<dyn Output>, secrets: &Redactor) -> Self {
        let state = Mutex::new(State { writer: None, number: 0, left: MAX_LOG_BYTES });
        Self { output, secrets: secrets.clone(), clock: clock.clone(), attempt: attempt.attempt, state }
    }

    /// Stores lines from now on. The task ends after [`OutputLog::close`], when the last line is written.
    pub(super) fn open(self, runtime: &Runtime, store: &Store, run: &str) -> (Arc<Self>, JoinHandle<()>) {
        let (writer, lines) = mpsc::unbounded_channel();
        let task = runtime.spawn(write(store.clone(), run.to_owned(), lines));
        lock(&self.state).writer = Some(writer);
        (Arc::new(self), task)
    }

    /// Lines that are printed after this are not stored.
    pub(super) fn close(&self) {
        lock(&self.state).writer = None;
    }

    fn append(&self, text: &str) {
        if lock(&self.state).left == 0 {
            return;
        }
        let text = self.secrets.mask(text);
        let mut state = lock(&self.state);
        if state.left == 0 {
            return;
        }
        let text = if text.len() <= state.left {
            state.left -= text.len();
            text
        } else {
            let fits = text.floor_char_boundary(state.left);
            state.left = 0;
            format!("{}… what was printed after this is not kept", &text[..fits])
        };
        // An empty line counts too, or a loop that prints nothing would fill the store.
        state.left = state.left.saturating_sub(1);
        state.number += 1;
        let line =
            OutputLine { attempt: self.attempt, number: state.number, printed_at: self.clock.now(), text };
        if let Some(writer) = &state.writer {
            // The receiver lives until the log is closed, unless the runtime is shutting down.
            let _ = writer.send(line);
        }
    }
}

impl Output for OutputLog {
    fn print(&self, text: &str) {
        self.append(text);
        self.output.print(text);
    }

    fn debug(&self, text: &str) {
        self.append(text);
        self.output.debug(text);
    }
}

async fn write(store: Store, run: String, mut printed: UnboundedReceiver<OutputLine>) {
    let mut lines = Vec::new();
    while printed.recv_many(&mut lines, MAX_BATCH).await > 0 {
        if let Err(error) = store.append_output(&run, &lines).await {
            tracing::warn!("what run {run} prints can't be kept: {error}");
        }
        lines.clear();
    }
}
