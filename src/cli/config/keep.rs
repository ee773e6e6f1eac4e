//! How long runs are kept that no fire has started.

use super::file;
use crate::{
    cli::args::TargetArgs,
    host::Host,
    run::kept::{KeepPeriods, purge_once_a_day},
    store::Store,
};
use tokio::runtime::Runtime;

/// What the configuration says, or the defaults.
pub(crate) fn keep_periods(host: &Host, target: &TargetArgs) -> anyhow::Result<KeepPeriods> {
    let default = KeepPeriods::default();
    let Some((_, file)) = file::read(host, target.config.as_deref())? else { return Ok(default) };
    Ok(KeepPeriods {
        runs: file.keep_runs.unwrap_or(default.runs),
        sessions: file.keep_sessions.unwrap_or(default.sessions),
    })
}

/// Purges at the end of a command what is older than that. It may fail: the next command does it.
pub(crate) fn purge_old_runs(host: &Host, runtime: &Runtime, target: &TargetArgs, store: Option<&Store>) {
    let Some(store) = store else { return };
    let purged = keep_periods(host, target)
        .and_then(|keep| Ok(runtime.block_on(purge_once_a_day(store, keep, host.clock.now()))?));
    if let Err(error) = purged {
        tracing::debug!("old runs can't be purged now: {error}");
    }
}
