//! What a recorded run prints is kept with its record, as far as there is room and without secrets, beside going where
//! words go.
//!
//! Printing never waits for the store: what the store does not take is lost here, and was said elsewhere.

use crate::{
    base::{Clock, lock},
    bulk::Attempt,
    client::Client,
    script::Output,
    store::{Printed, Store},
};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};

/// Bytes that are kept of what one attempt prints.
pub const MAX_LOG_BYTES: usize = 256 << 10;

/// Lines that are written together.
const TOGETHER: usize = 256;

/// An output that keeps what it is given.
pub(super) struct OutputLog {
    inner: Arc<dyn Output>,
    /// Who knows what is secret.
    client: Option<Client>,
    clock: Clock,
    attempt: i64,
    state: Mutex<State>,
}

struct State {
    /// To the one who writes; none when the run has ended.
    writer: Option<UnboundedSender<Printed>>,
    number: i64,
    room: usize,
}

impl OutputLog {
    /// Keeps what `inner` is given; the task ends after [`OutputLog::close`], when all is written.
    pub(super) fn open(
        runtime: &Runtime,
        store: &Store,
        attempt: &Attempt,
        clock: &Clock,
        (inner, client): (Arc<dyn Output>, Option<Client>),
    ) -> (Arc<Self>, JoinHandle<()>) {
        let (writer, written) = mpsc::unbounded_channel();
        let task = runtime.spawn(write(store.clone(), attempt.run.clone(), written));
        let state = Mutex::new(State { writer: Some(writer), number: 0, room: MAX_LOG_BYTES });
        let kept = Self { inner, client, clock: clock.clone(), attempt: attempt.attempt, state };
        (Arc::new(kept), task)
    }

    /// Nothing more is kept.
    pub(super) fn close(&self) {
        self.lock().writer = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn keep(&self, text: &str) {
        let text = self.client.as_ref().map_or_else(|| text.to_owned(), |client| client.mask(text));
        let mut state = self.lock();
        if state.room == 0 {
            return;
        }
        let text = if text.len() <= state.room {
            state.room -= text.len();
            text
        } else {
            let fits = text.floor_char_boundary(state.room);
            state.room = 0;
            format!("{}… what was printed after this is not kept", &text[..fits])
        };
        // An empty line takes room as well.
        state.room = state.room.saturating_sub(1);
        state.number += 1;
        let printed = Printed { attempt: self.attempt, number: state.number, at: self.clock.now_ms(), text };
        if let Some(writer) = &state.writer {
            // The one who writes ends after the run only.
            let _ = writer.send(printed);
        }
    }
}

impl Output for OutputLog {
    fn print(&self, text: &str) {
        self.keep(text);
        self.inner.print(text);
    }

    fn debug(&self, text: &str) {
        self.keep(text);
        self.inner.debug(text);
    }
}

async fn write(store: Store, run: String, mut printed: UnboundedReceiver<Printed>) {
    let mut lines = Vec::new();
    while printed.recv_many(&mut lines, TOGETHER).await > 0 {
        if let Err(error) = store.keep_printed(&run, &lines).await {
            tracing::warn!("what run {run} prints can't be kept: {error}");
        }
        lines.clear();
    }
}
