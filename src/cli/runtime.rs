//! The threads on which a command calls the platform and the store.

use anyhow::Context;
use tokio::runtime::Runtime;

pub(crate) fn start_runtime() -> anyhow::Result<Runtime> {
    crate::run::runtime().context("can't start threads")
}
