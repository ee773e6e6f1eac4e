//! `mpscript stop`: asks a running run to stop, and waits until it has.

use super::recorded::{find, with_store};
use crate::{
    cli::{args::StopArguments, failure::usage_error, output::exit},
    host::Host,
    run::record,
    store::{RunState, Store},
};
use std::{thread, time::Duration};
use tokio::runtime::Runtime;

/// How often the run's state is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How many times the state is read before the command gives up: for 15 seconds.
const MAX_POLLS: u32 = 150;

pub(crate) fn execute(host: &Host, arguments: &StopArguments) -> anyhow::Result<u8> {
    with_store(host, &arguments.target, |runtime, store| {
        let run = find(host, runtime, store, &arguments.run)?;
        let state = state_now(host, runtime, store, &run.id)?;
        if state != RunState::Running {
            host.out.line(&format!("run {} is not running: {}", run.id, state.in_words()));
            return Ok(exit::DONE);
        }
        runtime.block_on(store.request_stop(&run.id))?;
        for _ in 0..MAX_POLLS {
            thread::sleep(POLL_INTERVAL);
            let state = state_now(host, runtime, store, &run.id)?;
            if state != RunState::Running {
                host.out.line(&format!("run {}: {}", run.id, state.in_words()));
                return Ok(exit::DONE);
            }
        }
        let message = format!("run {} was asked to stop, and has not yet", run.id);
        Err(usage_error(message, "mpscript runs shows when it has"))
    })
}

/// The observed state of the run of this id.
fn state_now(host: &Host, runtime: &Runtime, store: &Store, id: &str) -> anyhow::Result<RunState> {
    let now = runtime.block_on(store.time(&host.clock))?;
    Ok(record::observed_state(host, &find(host, runtime, store, id)?, now))
}
