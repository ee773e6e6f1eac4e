//! A wish to stop, seen at once by everything that waits or loops.

use super::lock::lock;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tokio_util::sync::CancellationToken;

/// Cancellation that costs nothing to poll and can be awaited. Clones share it.
///
/// The flag stands beside the token because a script's progress callback reads it after every
/// operation, where the token's lock would show.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    token: Arc<Mutex<CancellationToken>>,
}

impl Cancel {
    /// Asks everything that holds a clone to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.token().cancel();
    }

    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Returns when stopping is asked for.
    pub async fn cancelled(&self) {
        let token = self.token();
        token.cancelled().await;
    }

    /// The wish was met: what begins now goes on. What has stopped stays so.
    pub fn reset(&self) {
        *lock(&self.token) = CancellationToken::new();
        self.flag.store(false, Ordering::Relaxed);
    }

    fn token(&self) -> CancellationToken {
        lock(&self.token).clone()
    }
}
