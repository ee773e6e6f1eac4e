//! Who is on the blacklist, for calls that block or unblock by hand: listed once in a run, and kept up with the run's own
//! calls. It must never answer from before a job of the run has written.

use crate::{
    bulk::{
        listing::membership::{MemberSet, MembershipError},
        model::{change::Change, source::Source},
    },
    client::Client,
};
use std::{collections::HashSet, path::Path};
use tokio::sync::Mutex;

/// The blacklist as the run knows it; empty before the first question.
#[derive(Default)]
pub struct BlacklistCache(Mutex<Option<MemberSet>>);

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
        let mut known = self.0.lock().await;
        let known = match &mut *known {
            Some(known) => known,
            none => none.insert(MemberSet::list(client, in_flight, Source::Blacklisted, folder).await?),
        };
        known.intersect(openids).await
    }

    /// A call of the run made this change to these openids. Where that can't be kept, the blacklist is listed again.
    pub async fn update(&self, change: Change, openids: &[String]) {
        let mut known = self.0.lock().await;
        let Some(listed) = &*known else { return };
        let kept = match change {
            Change::Block => listed.add(openids).await,
            Change::Unblock => listed.remove(openids).await,
            Change::Attach(_) | Change::Detach(_) | Change::Remark => Ok(()),
        };
        if kept.is_err() {
            *known = None;
        }
    }

    /// What was known may not hold any more.
    pub async fn invalidate(&self) {
        *self.0.lock().await = None;
    }
}
