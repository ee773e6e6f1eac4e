//! The blacklist as single `blacklist::…` calls of a run know it: listed once, then updated by the run's own calls.
//! A job that writes the blacklist must invalidate it: answers never predate a write of the run.

use crate::{
    bulk::{MemberSet, MembershipError, ReadError, Source},
    client::Client,
    script::host::error::ScriptError,
};
use rhai::EvalAltResult;
use std::{collections::HashSet, path::Path};
use tokio::sync::Mutex;

/// Empty until the first look-up.
#[derive(Default)]
pub(crate) struct BlacklistCache(Mutex<Option<MemberSet>>);

impl BlacklistCache {
    /// Those of these openids that are on the blacklist. `in_flight` bounds the calls that list it, and `folder` takes
    /// the list.
    pub(crate) async fn intersect(
        &self,
        client: &Client,
        in_flight: usize,
        folder: &Path,
        openids: &[String],
    ) -> Result<HashSet<String>, MembershipError> {
        let mut cached = self.0.lock().await;
        let listed = match &mut *cached {
            Some(listed) => listed,
            none => none.insert(MemberSet::list(client, in_flight, Source::Blacklisted, folder).await?),
        };
        listed.intersect(openids).await
    }

    /// Records that these openids were blocked or unblocked; what can't be recorded invalidates the cache.
    pub(crate) async fn update(&self, openids: &[String], are_on_it: bool) {
        let mut cached = self.0.lock().await;
        if let Some(listed) = &*cached {
            let updated = if are_on_it { listed.add(openids).await } else { listed.remove(openids).await };
            if updated.is_err() {
                *cached = None;
            }
        }
    }

    /// Drops what was listed: the next look-up lists again.
    pub(crate) async fn invalidate(&self) {
        *self.0.lock().await = None;
    }
}

/// Current members could not be read.
#[allow(clippy::unnecessary_box_returns, clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn unknown(error: MembershipError) -> Box<EvalAltResult> {
    match error {
        MembershipError::Read(ReadError::Call(error)) => ScriptError::from_call(&error).raise(),
        MembershipError::Read(ReadError::Store(error)) | MembershipError::Store(error) => {
            let message = format!("temporary data of the job can't be stored: {error}");
            ScriptError::usage(message, "set TMPDIR to a folder with free space").raise()
        }
    }
}
