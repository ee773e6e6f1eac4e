//! Cooperative cancellation, seen at once by everything that waits or loops.

use super::lock::lock;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tokio_util::sync::CancellationToken;

/// Cancellation that costs nothing to poll and can be awaited. Clones share it.
///
/// The flag duplicates the token's state because a script's progress callback polls it after every
/// operation, where the token's lock would cost measurable time.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    token: Arc<Mutex<CancellationToken>>,
}

impl Cancel {
    /// Requests cancellation of everything that holds a clone.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.token().cancel();
    }

    /// Whether cancellation was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Resolves when cancellation is requested.
    pub async fn cancelled(&self) {
        let token = self.token();
        token.cancelled().await;
    }

    /// Clears the request, so that new work can start. Work that was cancelled stays cancelled.
    pub fn reset(&self) {
        *lock(&self.token) = CancellationToken::new();
        self.flag.store(false, Ordering::Relaxed);
    }

    fn token(&self) -> CancellationToken {
        lock(&self.token).clone()
    }
}
