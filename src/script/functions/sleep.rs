//! `sleep` that ends when the run is stopped; the engine's own can't be interrupted.

use crate::script::host::{env::RunEnv, error::ScriptError, register::described};
use rhai::{Dynamic, Engine, EvalAltResult};
use std::{sync::Arc, time::Duration};

/// The longest sleep: a year.
const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    let whole = Arc::clone(env);
    let parts = Arc::clone(env);
    #[allow(clippy::cast_precision_loss, reason = "seconds that fit a year fit a float")]
    described("sleep", &["seconds: int", "()"], SLEEP)
        .register_into_engine(engine, move |seconds: i64| sleep(&whole, seconds as f64));
    described("sleep", &["seconds: float", "()"], SLEEP)
        .register_into_engine(engine, move |seconds: f64| sleep(&parts, seconds));
}

const SLEEP: &str = "Waits for the given number of seconds, or until the run is stopped.

    ```rhai
    sleep(0.01);
    ```";

/// Refuses a time that is negative or too long.
pub(crate) fn check_seconds(seconds: f64) -> Result<(), Box<EvalAltResult>> {
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        return Ok(());
    }
    let message = format!("sleep takes seconds from 0 to {MAX_SECONDS}, not {seconds}");
    Err(ScriptError::usage(message, "").raise())
}

fn sleep(env: &RunEnv, seconds: f64) -> Result<(), Box<EvalAltResult>> {
    check_seconds(seconds)?;
    env.block_on(async {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => Ok(()),
            () = env.calls.cancel.cancelled() => {
                Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE).into())
            }
        }
    })
}
