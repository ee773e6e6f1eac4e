//! Ctrl-C and SIGTERM: the first asks the run to stop, the second leaves at once.

use super::output::exit;
use crate::{base::Cancel, host::EchoGuard};
use tokio::runtime::Runtime;

/// From now on, signals stop `cancel`, and the person is told.
pub(super) fn watch(runtime: &Runtime, cancel: &Cancel, stopping: impl Fn() + Send + 'static) {
    let cancel = cancel.clone();
    runtime.spawn(async move {
        signal().await;
        cancel.cancel();
        stopping();
        signal().await;
        leave_at_once();
    });
}

/// Leaves whatever is under way.
pub(super) fn leave_at_once() {
    EchoGuard::restore();
    std::process::exit(i32::from(exit::INTERRUPTED));
}

#[cfg(unix)]
pub(super) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
pub(super) async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Every Ctrl-C from now on: whoever sets handlers aside after this and puts them back does no harm.
#[cfg(unix)]
pub(super) struct Interrupts(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Interrupts {
    /// Begins to listen; `None` where the system does not let it.
    pub(super) fn listen(runtime: &Runtime) -> Option<Self> {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).ok().map(Self)
    }

    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Every Ctrl-C from now on.
#[cfg(not(unix))]
pub(super) struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    pub(super) fn listen(_runtime: &Runtime) -> Option<Self> {
        Some(Self)
    }

    pub(super) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
