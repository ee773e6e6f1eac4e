//! Ctrl-C and SIGTERM: the first one asks the run to stop, the second one ends the process at once.

use super::output::exit;
use crate::{base::Cancel, host::EchoGuard};
use std::process::Child;
use tokio::runtime::Runtime;

/// From now on the first signal cancels the run and calls `stopping`; the second one ends the process.
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

/// Ends the process without waiting for calls in flight.
pub(super) fn leave_at_once() {
    EchoGuard::restore();
    std::process::exit(i32::from(exit::INTERRUPTED));
}

/// Waits for the next Ctrl-C or SIGTERM.
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

/// From now on Ctrl-C, SIGTERM and SIGHUP do nothing.
#[cfg(unix)]
pub(super) fn ignore(runtime: &Runtime) {
    use tokio::signal::unix::{SignalKind, signal};
    let _entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        // The handler stays when what waits for it is dropped.
        let _ = signal(kind);
    }
}

#[cfg(not(unix))]
pub(super) fn ignore(_runtime: &Runtime) {}

/// Every Ctrl-C from now on. It is a handler of tokio's, installed once, so the line editor may replace handlers while a
/// line is typed and restore them after.
#[cfg(unix)]
pub(super) struct Interrupts(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Interrupts {
    /// Starts to listen; `None` if the system refuses it.
    pub(super) fn listen(runtime: &Runtime) -> Option<Self> {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).ok().map(Self)
    }

    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

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

/// Sends SIGINT to a process, which stops its run at the next checkpoint.
#[cfg(unix)]
pub(super) fn interrupt(child: &Child) {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    }
}

/// This system has no such signal; the process ends by itself.
#[cfg(not(unix))]
pub(super) fn interrupt(_child: &Child) {}
