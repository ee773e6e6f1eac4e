//! `ctx.state`: what the runs of an automation save from one to the next. It is written in the transaction that ends a
//! run, so that a run that is not recorded as completed saves nothing.

use super::Statement;
use crate::base::EpochMs;

/// Saves the state that a run leaves to the next run of its automation.
pub(super) fn save_state(automation: &str, state: &str, now: EpochMs) -> Statement {
    let statement = Statement::new(
        "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, load_error)
         VALUES ($1, '', $3, 0, $2, '')
         ON CONFLICT (name) DO UPDATE SET state = excluded.state",
    );
    statement.with(automation).with(state).with(now)
}
