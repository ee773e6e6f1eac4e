//! Who is on the blacklist, for calls that block or unblock some by hand: listed once in a run, and kept up with what
//! the run's own calls do. It must never answer from before a job of the run has written.

use crate::{
    base::lock,
    bulk::{Known, KnownError, ReadError, Source},
    script::{
        audience::execution::ScriptResult,
        host::{env::Env, error::PlatformError},
    },
};
use rhai::EvalAltResult;
use std::{collections::HashSet, sync::Mutex};

/// The blacklist as it is known; nothing before somebody asks.
#[derive(Default)]
pub(crate) struct Blacklist(Mutex<Option<Known>>);

impl Blacklist {
    /// Those of these who are on it.
    pub(crate) fn among(&self, env: &Env, openids: &[String]) -> ScriptResult<HashSet<String>> {
        let mut known = lock(&self.0);
        let known = match &mut *known {
            Some(known) => known,
            none => {
                let listed =
                    Known::list(env.client()?, env.in_flight, Source::Blacklisted, &env.scratch_folder);
                none.insert(env.wait(listed).map_err(unknown)?)
            }
        };
        env.wait(known.among(openids)).map_err(unknown)
    }

    /// These were put on it or taken off; it is listed anew where that can't be kept.
    pub(crate) fn has_changed(&self, env: &Env, openids: &[String], are_on_it: bool) {
        let mut known = lock(&self.0);
        if let Some(listed) = &*known
            && env.wait(listed.change(openids, are_on_it)).is_err()
        {
            *known = None;
        }
    }

    /// Whatever was known is not so any more.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = None;
    }
}

/// Why it can't be known who is so already.
#[allow(clippy::unnecessary_box_returns, clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn unknown(error: KnownError) -> Box<EvalAltResult> {
    match error {
        KnownError::Read(ReadError::Call(error)) => PlatformError::of(&error).raise(),
        KnownError::Read(ReadError::Store(error)) | KnownError::Store(error) => {
            let message = format!("what the job keeps for a while has no place: {error}");
            PlatformError::usage(message, "set TMPDIR to a folder with room").raise()
        }
    }
}
