//! Where a script's thread waits for asynchronous work. The only such place.
//!
//! A script has a thread of its own, so waiting on it holds nobody else up. A closure of the
//! script must not be called inside the work that is waited for: it may wait itself.

use super::{env::Env, error::PlatformError};
use crate::client::{CallError, Client};
use rhai::EvalAltResult;
use std::future::Future;

impl Env {
    /// Waits for `work`. It ends soon after a stop is asked for: every call does.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The client, or the script error that says why there is none.
    pub(super) fn client(&self) -> Result<&Client, Box<EvalAltResult>> {
        self.client.as_ref().map_err(|no_client| PlatformError::no_client(no_client).raise())
    }

    /// Waits for a call; what goes wrong with it becomes a script error.
    pub(super) fn wait_for_call<T>(
        &self,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, Box<EvalAltResult>> {
        self.wait(work).map_err(|error| PlatformError::of(&error).raise())
    }
}
