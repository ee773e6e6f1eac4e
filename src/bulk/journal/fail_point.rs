//! Instants at which a test ends the process as a power failure would: `MPSCRIPT_FAIL_POINT=NAME:N` kills it when it
//! passes NAME for the N-th time. There are none in a release build.

#[cfg(debug_assertions)]
static WANTED: std::sync::OnceLock<(String, u64)> = std::sync::OnceLock::new();

/// From now on the process ends at a point: `NAME:N`.
#[cfg(debug_assertions)]
pub fn arm(point: &str) {
    let wanted =
        point.split_once(':').and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    if let Some(wanted) = wanted {
        let _ = WANTED.set(wanted);
    }
}

/// The process passes a point.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((wanted, number)) = WANTED.get()
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *number
    {
        end_process();
    }
}

/// Ends the process at once: a child that sent the signal would leave the other threads time to write.
#[cfg(all(debug_assertions, unix))]
fn end_process() {
    // A process may always send itself a signal.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
}

#[cfg(all(debug_assertions, not(unix)))]
fn end_process() {
    std::process::abort();
}

/// The process passes a point, of which a release build has none.
#[cfg(not(debug_assertions))]
pub fn hit(_name: &str) {}

/// Hits a point once an entry is durable. It waits for that only if this is the point at which the process ends.
#[cfg(debug_assertions)]
pub(crate) async fn hit_after<E>(durable: impl Future<Output = Result<(), E>>, name: &'static str) {
    let is_wanted = WANTED.get().is_some_and(|(wanted, _)| wanted == name);
    if is_wanted && durable.await.is_ok() {
        hit(name);
    }
}

#[cfg(not(debug_assertions))]
#[allow(clippy::unused_async, reason = "the other one waits")]
pub(crate) async fn hit_after<E>(_durable: impl Future<Output = Result<(), E>>, _name: &'static str) {}
