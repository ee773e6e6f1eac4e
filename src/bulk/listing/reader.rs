//! Lists people page by page and fetches their details in batches, several of them in flight; they are handed out in the
//! order of the list.

use super::{
    details::{Fetched, NeededField, fetch},
    page_overlap::PageOverlap,
};
use crate::{
    api::{Batched, Paged, blacklist, errcode::INVALID_OPENID, tag, user},
    bulk::{
        WINDOW,
        model::{
            batch::{InDoubtItems, read_changed},
            counts::Counters,
            cursor::{Cursor, PageCursor},
            failure::Failure,
            person::Listed,
            source::{ChangedByStep, Source},
        },
    },
    client::{BrokenRecord, CallError, Client},
    store::StoreError,
};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Why people can't be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// A call failed.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The journal can't be read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Batches of the journal that make a page, and openids that were given by hand.
const BATCHES_A_PAGE: i64 = 200;
const OPENIDS_A_PAGE: usize = 10_000;

/// Entries of a page that are named when they can't be read.
const MAX_WARNED: usize = 5;

/// A part of the list in its order: people, and openids whose details could not be had.
#[derive(Debug, Default)]
pub struct Batch {
    /// Followers.
    pub people: Vec<Listed>,
    /// Openids without details: the platform refuses them or does not give them.
    pub failed: Vec<Failure>,
    /// The page ends with them.
    pub page_end: Option<PageCursor>,
}

/// A batch whose details may be in flight; the last one of a page has the cursor after it.
enum Pending {
    Ready(Vec<Listed>, Option<PageCursor>),
    InFlight(AbortOnDropHandle<Result<Fetched, CallError>>, Option<PageCursor>),
    /// The list has ended, with this many fewer people than its total.
    Ended(u64),
    Failed(ReadError),
}

/// What a reader lists, and how.
pub struct ReaderConfig {
    /// Makes the calls.
    pub client: Client,
    /// The most calls in flight.
    pub in_flight: usize,
    /// What is listed.
    pub source: Source,
    /// Whether details are fetched.
    pub details: Details,
    /// The field that fetched details must have to be used.
    pub needed: Option<NeededField>,
    /// The most followers in all.
    pub limit: Option<usize>,
    /// Where they are counted.
    pub counts: Arc<Counters>,
    /// The end of the page after which it begins; its cursor is one of the source's.
    pub from: PageCursor,
}

/// Whether the details of the followers of a listing are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// Each follower comes with them; unsubscribed ones are left out.
    Fetched,
    /// Only openids come.
    Omitted,
}

/// Hands out people in batches. Dropping it stops listing and fetching.
pub struct Reader {
    pending: mpsc::Receiver<Pending>,
    counts: Arc<Counters>,
    _lister: AbortOnDropHandle<()>,
}

impl Reader {
    /// Begins to list.
    #[must_use]
    pub fn open(config: ReaderConfig) -> Self {
        let ReaderConfig { client, in_flight, source, details, needed, limit, counts, from } = config;
        let (sender, pending) = mpsc::channel(in_flight * WINDOW);
        Counters::add(&counts.listed, from.listed);
        let lister = Lister {
            client,
            details,
            needed,
            left: limit.unwrap_or(usize::MAX).saturating_sub(from.listed),
            sender,
            counts: Arc::clone(&counts),
            position: from,
        };
        let lister = AbortOnDropHandle::new(tokio::spawn(lister.run(source)));
        Self { pending, counts, _lister: lister }
    }

    /// The next people, or `None` after the last.
    ///
    /// # Errors
    /// When a page or a batch of details can't be had; what came before it has been handed out.
    pub async fn next(&mut self) -> Result<Option<Batch>, ReadError> {
        let Some(pending) = self.pending.recv().await else { return Ok(None) };
        match pending {
            Pending::Failed(error) => Err(error),
            Pending::Ended(missing) => {
                self.counts.missing.store(missing, Ordering::Relaxed);
                Ok(None)
            }
            Pending::Ready(people, page_end) => Ok(Some(Batch { people, failed: Vec::new(), page_end })),
            Pending::InFlight(fetching, page_end) => {
                // The task ends by itself or with this reader; a panic in it is a bug to be seen.
                let Fetched { mut people, failed } =
                    fetching.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
                Counters::add(&self.counts.fetched, people.len());
                let fetched = people.len();
                people.retain(|person| person.user.as_ref().is_some_and(|user| user.is_follower()));
                Counters::add(&self.counts.unsubscribed, fetched - people.len());
                Ok(Some(Batch { people, failed, page_end }))
            }
        }
    }
}

/// The task that lists.
struct Lister {
    client: Client,
    details: Details,
    needed: Option<NeededField>,
    left: usize,
    sender: mpsc::Sender<Pending>,
    counts: Arc<Counters>,
    /// How far it is.
    position: PageCursor,
}

/// The receiver was dropped.
struct ReceiverDropped;

/// What the page that is asked for comes after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The start, or a page with openids that the one before had not.
    Page,
    /// A page with the openids of the one before. Another one would list the same followers without end.
    SamePage,
    /// The fallback cursor.
    Fallback,
}

/// Why listing ends before the end of the list.
enum Stop {
    /// Nothing reads what is listed.
    ReceiverDropped,
    /// A page can't be had.
    Failed(ReadError),
}

impl From<ReceiverDropped> for Stop {
    fn from(ReceiverDropped: ReceiverDropped) -> Self {
        Self::ReceiverDropped
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Lister {
    async fn run(mut self, source: Source) {
        if self.position.is_last || (self.left == 0 && self.position.page > 0) {
            return self.end().await;
        }
        let result = match source {
            Source::Followers => self.pages(user::List::default()).await,
            Source::Blacklisted => self.pages(blacklist::List::default()).await,
            Source::Members(tagid) => self.pages(tag::Members { tagid, next_openid: None }).await,
            Source::Openids(openids) => self.openids(&openids).await.map_err(Stop::from),
            Source::ChangedByStep(changed) => self.changed(changed).await,
        };
        match result {
            Ok(()) => self.end().await,
            Err(Stop::ReceiverDropped) => {}
            Err(Stop::Failed(error)) => {
                // Nothing receives the error of a reader that was dropped.
                let _ = self.sender.send(Pending::Failed(error)).await;
            }
        }
    }

    /// Reports how many people are missing from the list.
    async fn end(&self) {
        if self.position.missing > 0 {
            // Nothing receives the count of a reader that was dropped.
            let _ = self.sender.send(Pending::Ended(self.position.missing)).await;
        }
    }

    /// Follows the cursor until as many people as the total are listed, a page has no next cursor, or it is empty. A page
    /// with fewer people than its maximum is not the last one: the documents say 最多 (at most).
    async fn pages<E: Paged>(&mut self, mut request: E) -> Result<(), Stop> {
        if let Some(openid) = self.position.after_openid() {
            request.after(openid.to_owned());
        }
        // The cursors so far: a repeated one would list the same followers without end.
        let mut cursors: HashSet<String> =
            self.position.after_openid().map(str::to_owned).into_iter().collect();
        let mut overlap = PageOverlap::after(self.position.last_openids());
        let mut progress = Progress::Page;
        loop {
            let (page, mut broken) = match self.client.call_records(&request).await {
                Ok(page) => page,
                Err(error) => {
                    let is_of_cursor = error.errcode() == Some(INVALID_OPENID);
                    match self.position.fallback.take().filter(|_| is_of_cursor) {
                        Some(before) => request.after(before),
                        None => return Err(error.into()),
                    }
                    progress = Progress::Fallback;
                    continue;
                }
            };
            let total = page.total.and_then(|total| u64::try_from(total).ok());
            let count = usize::try_from(page.count).unwrap_or_default();
            let next = page.next_openid.clone().unwrap_or_default();
            let mut openids = page.into_openids();
            broken.extend(take_empty(&mut openids));
            let entries = openids.len() + broken.len();
            // A page after the fallback cursor begins with the openid of the cursor, which is listed already.
            overlap.drop_repeated(&mut openids);
            let is_new = !openids.is_empty() || !broken.is_empty();
            if entries == 0 || (progress == Progress::Fallback && !is_new) {
                // A page without an entry may still count some.
                let counted = if entries == 0 { count as u64 } else { 0 };
                let missing = self.position.missing_of(total).max(counted).min(self.left as u64);
                if missing > 0
                    && let Some(before) = self.position.fallback.take()
                {
                    request.after(before);
                    progress = Progress::Fallback;
                    continue;
                }
                self.position.missing = missing;
                return Ok(());
            }
            let is_same_cursor = !next.is_empty() && !cursors.insert(next.clone());
            let is_same_page = openids.is_empty() && entries > broken.len();
            if is_same_cursor || (is_same_page && progress == Progress::SamePage) {
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                let what = if is_same_cursor { "cursor" } else { "page" };
                let reason = format!("its {what} repeats after {}{of}", self.position.listed);
                return Err(CallError::Unreadable { endpoint: E::SPEC.name, reason }.into());
            }
            warn_of_broken(E::SPEC.name, &broken);
            let position = &mut self.position;
            // Without a total, the count of the page is the only number to check against.
            let unlisted = if total.is_some() { 0 } else { count.saturating_sub(entries) };
            position.unreadable += (broken.len() + unlisted) as u64;
            position.total = position.total.max(total.unwrap_or_default());
            // A total that is smaller than its own page is not the size of the list.
            let min = total.filter(|total| *total >= entries as u64);
            position.least_total = [position.least_total, min].into_iter().flatten().min();
            self.counts.total.store(position.total, Ordering::Relaxed);
            let seen = (position.listed + openids.len()) as u64 + position.unreadable;
            let is_complete = position.total > 0 && seen >= position.total;
            let is_last = next.is_empty() || is_complete || openids.len() >= self.left;
            let cursor = Cursor::Openid { openid: next.clone() };
            self.emit_page(openids.into_iter().map(Listed::new).collect(), Some(cursor), is_last).await?;
            if is_last {
                return Ok(());
            }
            progress = if is_same_page { Progress::SamePage } else { Progress::Page };
            request.after(next);
        }
    }

    async fn openids(&mut self, openids: &[String]) -> Result<(), ReceiverDropped> {
        self.counts.total.store(openids.len() as u64, Ordering::Relaxed);
        let from = self.position.listed.min(openids.len());
        let max = openids.len().min(from.saturating_add(self.left));
        for page in openids[from..].chunks(OPENIDS_A_PAGE) {
            let is_last = self.position.listed + page.len() >= max;
            self.emit_page(page.iter().cloned().map(Listed::new).collect(), None, is_last).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// The openids of a journal's batches that were changed, or are in doubt.
    async fn changed(&mut self, changed: ChangedByStep) -> Result<(), Stop> {
        let ChangedByStep { store, run, step, .. } = &changed;
        if let Some(first) = changed.first_net_changes().await? {
            self.counts.total.store(first.len() as u64, Ordering::Relaxed);
            for page in first.get(self.position.listed..).unwrap_or_default().chunks(OPENIDS_A_PAGE) {
                let is_last = self.position.listed + page.len() >= first.len();
                self.emit_page(page.to_vec(), None, is_last).await?;
            }
            return Ok(());
        }
        self.counts.total.store(changed.count().await?, Ordering::Relaxed);
        let mut after = self.position.after_batch();
        let effect = changed.change.key();
        loop {
            let rows = store.batches_of(run, step, effect, after, BATCHES_A_PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.position();
            let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < BATCHES_A_PAGE);
            let mut people: Vec<Listed> = Vec::new();
            for row in &rows {
                let items = read_changed(row, changed.change.items(), InDoubtItems::Included)?;
                people.extend(items.iter().map(Listed::from_change));
            }
            let cursor = Cursor::Batch { seq: after.seq, number: after.number };
            self.emit_page(people, Some(cursor), is_last).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Sends the people of a page to the reader, in batches of one call for details.
    async fn emit_page(
        &mut self,
        mut people: Vec<Listed>,
        cursor: Option<Cursor>,
        is_last: bool,
    ) -> Result<(), ReceiverDropped> {
        people.truncate(self.left);
        self.left -= people.len();
        Counters::add(&self.counts.listed, people.len());
        let before = people.iter().rev().nth(1).map(|person| person.openid.clone());
        let position = &mut self.position;
        position.fallback = before.or_else(|| position.after_openid().map(str::to_owned));
        position.cursor = cursor;
        position.page += u64::from(!people.is_empty());
        position.listed += people.len();
        position.is_last = is_last || self.left == 0;
        if position.is_last {
            position.missing = position.missing_of(None).min(self.left as u64);
        }
        let batches = people.len().div_ceil(user::Batch::MAX_ITEMS);
        let mut people = people.into_iter();
        for number in 1..=batches {
            let batch: Vec<Listed> = people.by_ref().take(user::Batch::MAX_ITEMS).collect();
            let page_end = (number == batches).then(|| self.position.clone());
            let place = self.sender.reserve().await.map_err(|_| ReceiverDropped)?;
            let pending = match self.details {
                Details::Fetched => {
                    let fetch = fetch(self.client.clone(), batch, self.needed);
                    Pending::InFlight(AbortOnDropHandle::new(tokio::spawn(fetch)), page_end)
                }
                Details::Omitted => Pending::Ready(batch, page_end),
            };
            place.send(pending);
        }
        Ok(())
    }
}

/// Removes the openids of a page that are empty: they name no follower.
fn take_empty(openids: &mut Vec<String>) -> Vec<BrokenRecord> {
    let empty = openids.iter().enumerate().filter(|(_, openid)| openid.trim().is_empty());
    let empty = empty.map(|(at, _)| BrokenRecord {
        openid: None,
        reason: format!("`data.openid[{at}]` is empty and must be an openid"),
    });
    let empty: Vec<BrokenRecord> = empty.collect();
    if !empty.is_empty() {
        openids.retain(|openid| !openid.trim().is_empty());
    }
    empty
}

/// Logs the entries of a page that can't be read: there is no openid to report them by.
fn warn_of_broken(endpoint: &str, broken: &[BrokenRecord]) {
    for record in broken.iter().take(MAX_WARNED) {
        tracing::warn!("{endpoint}: {}: this entry of the list is left out", record.reason);
    }
    if broken.len() > MAX_WARNED {
        tracing::warn!("{endpoint}: {} more entries of this page are left out", broken.len() - MAX_WARNED);
    }
}
