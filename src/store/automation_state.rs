//! `ctx.state`: what the runs of an automation save from one to the next. It is written in the transaction that ends a
//! run, so that a run that is not recorded as completed saves nothing.

use super::{AutomationId, ServedVersion, Statement};
use crate::base::EpochMs;

/// Saves the state that a run leaves to the next run of its automation.
pub(super) fn save_state(automation: &AutomationId, state: &str, now: EpochMs) -> Statement {
    let statement = Statement::new(
        "INSERT INTO mpscript_automation (account, name, folder, since, paused_until, state, served_version, load_error)
         VALUES ($1, $2, '', $4, 0, $3, $5, '')
         ON CONFLICT (account, name) DO UPDATE SET state = excluded.state",
    );
    automation.given_to(statement).with(state).with(now).with(ServedVersion::Nothing.as_str())
}
