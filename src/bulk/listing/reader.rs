//! Where people come from: listed page by page, their details fetched in overlapping batches,
//! handed out in the order of the list.

use crate::{
    api::{
        Batched, Paged, blacklist,
        errcode::{INVALID_OPENID, ONE_OPENID},
        tag,
        user::{self, User, UserRef},
    },
    bulk::{
        WINDOW,
        model::{
            batch::{InDoubtItems, read_changed},
            counts::Counters,
            cursor::PageCursor,
            failure::Failure,
            person::Listed,
            source::{ChangedByStep, Source},
        },
    },
    client::{CallError, Client},
    store::{BatchPosition, StoreError},
};
use std::{
    borrow::Cow,
    collections::HashMap,
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

/// People in the order of the list, and those of the same stretch who can't be handed out.
#[derive(Debug, Default)]
pub struct Batch {
    /// Followers.
    pub people: Vec<Listed>,
    /// Openids whose details the platform refuses.
    pub failed: Vec<Failure>,
    /// The page ends with them.
    pub page_end: Option<PageCursor>,
}

/// A batch that may still be on its way, and the end of the page that it is the last of.
enum Pending {
    Ready(Vec<Listed>, Option<PageCursor>),
    InFlight(AbortOnDropHandle<Result<Fetched, CallError>>, Option<PageCursor>),
    Failed(ReadError),
}

/// A batch with its details.
#[derive(Default)]
struct Fetched {
    people: Vec<Listed>,
    failed: Vec<Failure>,
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
    /// The most followers in all.
    pub limit: Option<usize>,
    /// Where they are counted.
    pub counts: Arc<Counters>,
    /// The end of the page after which it begins.
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
        let ReaderConfig { client, in_flight, source, details, limit, counts, from } = config;
        let (sender, pending) = mpsc::channel(in_flight * WINDOW);
        Counters::add(&counts.listed, from.listed);
        let lister = Lister {
            client,
            details,
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
            Pending::Ready(people, page_end) => Ok(Some(Batch { people, failed: Vec::new(), page_end })),
            Pending::InFlight(fetching, page_end) => {
                // The task ends by itself or with this reader; a panic in it is a bug to be seen.
                let Fetched { mut people, failed } =
                    fetching.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
                Counters::add(&self.counts.fetched, people.len());
                let fetched = people.len();
                people.retain(|person| person.user.as_ref().is_some_and(|user| user.is_follower()));
                Counters::add(&self.counts.gone, fetched - people.len());
                Ok(Some(Batch { people, failed, page_end }))
            }
        }
    }
}

/// The task that lists.
struct Lister {
    client: Client,
    details: Details,
    left: usize,
    sender: mpsc::Sender<Pending>,
    counts: Arc<Counters>,
    /// How far it is.
    position: PageCursor,
}

/// The receiver was dropped.
struct ReceiverDropped;

impl Lister {
    async fn run(mut self, source: Source) {
        if self.position.is_last || (self.left == 0 && self.position.page > 0) {
            return;
        }
        let result = match source {
            Source::Followers => self.pages(user::List::default()).await,
            Source::Blacklisted => self.pages(blacklist::List::default()).await,
            Source::Members(tagid) => self.pages(tag::Members { tagid, next_openid: None }).await,
            Source::Openids(openids) => self.openids(&openids).await.map_err(|ReceiverDropped| None),
            Source::ChangedByStep(changed) => self.changed(changed).await,
        };
        if let Err(Some(error)) = result {
            // A reader that is gone needs no error.
            let _ = self.sender.send(Pending::Failed(error)).await;
        }
    }

    /// Follows the cursor to the end: the counts have reached the total, a page is short, or an empty one comes. Some
    /// listings have no `total`, and no page size that is documented: they are read until the empty page.
    async fn pages<E: Paged>(&mut self, mut request: E) -> Result<(), Option<ReadError>> {
        if let Some(cursor) = &self.position.cursor {
            request.after(cursor.clone());
        }
        loop {
            let page = match self.client.call(&request).await {
                Ok(page) => page,
                Err(error) => {
                    let is_of_cursor = error.errcode() == Some(INVALID_OPENID);
                    match self.position.fallback.take().filter(|_| is_of_cursor) {
                        Some(before) => request.after(before),
                        None => return Err(Some(error.into())),
                    }
                    continue;
                }
            };
            let (total, next) = (page.total, page.next_openid.clone().unwrap_or_default());
            let mut openids = page.into_openids();
            let count = openids.len();
            let says_total = total.and_then(|total| u64::try_from(total).ok());
            let listed = self.position.listed as u64;
            if let Some(total) = says_total.filter(|total| count == 0 && listed < *total) {
                if let Some(before) = self.position.fallback.take() {
                    request.after(before);
                    continue;
                }
                let reason = format!("the list ended after {listed} of {total}");
                return Err(Some(CallError::Unreadable { endpoint: E::SPEC.name, reason }.into()));
            }
            // After a fallback cursor the openid of the cursor proper is listed a second time.
            openids.retain(|openid| self.position.cursor.as_ref() != Some(openid));
            let seen = self.position.listed + openids.len();
            self.position.total = self.position.total.max(says_total.unwrap_or_default());
            self.counts.total.store(self.position.total, Ordering::Relaxed);
            let is_last = says_total.is_some() && (count < E::PAGE || seen as u64 >= self.position.total);
            let is_last = count == 0 || next.is_empty() || is_last || openids.len() >= self.left;
            let does_not_move = !is_last && self.position.cursor.as_ref() == Some(&next);
            self.emit_page(openids.into_iter().map(Listed::new).collect(), Some(next.clone()), is_last)
                .await
                .map_err(|ReceiverDropped| None)?;
            if is_last {
                return Ok(());
            }
            if does_not_move {
                let reason = "its cursor does not move on".to_owned();
                return Err(Some(CallError::Unreadable { endpoint: E::SPEC.name, reason }.into()));
            }
            request.after(next);
        }
    }

    async fn openids(&mut self, openids: &[String]) -> Result<(), ReceiverDropped> {
        self.counts.total.store(openids.len() as u64, Ordering::Relaxed);
        let from = self.position.listed.min(openids.len());
        let most = openids.len().min(from.saturating_add(self.left));
        for page in openids[from..].chunks(OPENIDS_A_PAGE) {
            let is_last = self.position.listed + page.len() >= most;
            self.emit_page(page.iter().cloned().map(Listed::new).collect(), None, is_last).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Those of a journal's batches whom the change has reached, or may have.
    async fn changed(&mut self, changed: ChangedByStep) -> Result<(), Option<ReadError>> {
        let ChangedByStep { store, run, step, .. } = &changed;
        let fault = |error: StoreError| Some(error.into());
        if let Some(first) = changed.first_net_changes().await.map_err(fault)? {
            self.counts.total.store(first.len() as u64, Ordering::Relaxed);
            for page in first.get(self.position.listed..).unwrap_or_default().chunks(OPENIDS_A_PAGE) {
                let is_last = self.position.listed + page.len() >= first.len();
                self.emit_page(page.to_vec(), None, is_last).await.map_err(|ReceiverDropped| None)?;
            }
            return Ok(());
        }
        self.counts.total.store(changed.count().await.map_err(fault)?, Ordering::Relaxed);
        let place = |cursor: &str| {
            let place = cursor.split_once('/').and_then(|(seq, number)| {
                Some(BatchPosition { seq: seq.parse().ok()?, number: number.parse().ok()? })
            });
            place.ok_or_else(|| StoreError::Decode {
                table: "mpscript_step",
                row: "the checkpoint that is resumed".to_owned(),
                column: "checkpoint",
                expected: "the cursor of a journal, `SEQ/NUMBER`".to_owned(),
                found: format!("`{cursor}`"),
            })
        };
        let after = self.position.cursor.as_deref().map(place).transpose().map_err(fault)?;
        let mut after = after.unwrap_or(BatchPosition::START);
        let effect = changed.effect();
        loop {
            let rows = store.batches_of(run, step, &effect, after, BATCHES_A_PAGE).await.map_err(fault)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.position();
            let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < BATCHES_A_PAGE);
            let mut people: Vec<Listed> = Vec::new();
            for row in &rows {
                people.extend(
                    read_changed(row, InDoubtItems::Included).map_err(fault)?.iter().map(Listed::from_change),
                );
            }
            let cursor = Some(format!("{}/{}", after.seq, after.number));
            self.emit_page(people, cursor, is_last).await.map_err(|ReceiverDropped| None)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Passes the people of a page on in batches of one detail call.
    async fn emit_page(
        &mut self,
        mut people: Vec<Listed>,
        cursor: Option<String>,
        is_last: bool,
    ) -> Result<(), ReceiverDropped> {
        people.truncate(self.left);
        self.left -= people.len();
        Counters::add(&self.counts.listed, people.len());
        let before = people.iter().rev().nth(1).map(|person| person.openid.clone());
        self.position = PageCursor {
            fallback: before.or_else(|| self.position.cursor.clone()),
            page: self.position.page + 1,
            listed: self.position.listed + people.len(),
            cursor,
            is_last: is_last || self.left == 0,
            total: self.position.total,
        };
        let batches = people.len().div_ceil(user::Batch::MAX_ITEMS);
        let mut people = people.into_iter();
        for number in 1..=batches {
            let batch: Vec<Listed> = people.by_ref().take(user::Batch::MAX_ITEMS).collect();
            let page_end = (number == batches).then(|| self.position.clone());
            let place = self.sender.reserve().await.map_err(|_| ReceiverDropped)?;
            let pending = match self.details {
                Details::Fetched => {
                    let fetch = fetch(self.client.clone(), batch);
                    Pending::InFlight(AbortOnDropHandle::new(tokio::spawn(fetch)), page_end)
                }
                Details::Omitted => Pending::Ready(batch, page_end),
            };
            place.send(pending);
        }
        Ok(())
    }
}

/// Fetches details; a batch that is refused for one openid is halved until that one is found.
async fn fetch(client: Client, people: Vec<Listed>) -> Result<Fetched, CallError> {
    let mut fetched = Fetched::default();
    // Halves still to be fetched, the first last, so that the order is kept.
    let mut queue = vec![people];
    while let Some(mut part) = queue.pop() {
        // The openids are lent to the request: a million of them are not copied.
        let user_list = part.iter_mut().map(|person| UserRef {
            openid: std::mem::take(&mut person.openid),
            lang: Some(Cow::Borrowed("zh_CN")),
        });
        let request = user::Batch { user_list: user_list.collect() };
        let answered = client.call(&request).await;
        for (person, asked) in part.iter_mut().zip(request.user_list) {
            person.openid = asked.openid;
        }
        match answered {
            Ok(answer) => fetched.people.extend(in_order(part, answer.user_info_list)),
            Err(CallError::Refused(refusal)) if ONE_OPENID.contains(&refusal.errcode) => {
                if part.len() > 1 {
                    let second = part.split_off(part.len() / 2);
                    queue.push(second);
                    queue.push(part);
                } else {
                    fetched.failed.extend(part.into_iter().map(|person| Failure {
                        openid: person.openid,
                        errcode: Some(refusal.errcode),
                        errmsg: refusal.errmsg.clone(),
                        rid: refusal.rid.clone(),
                        is_of_details: true,
                    }));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fetched)
}

/// Each asked-for person with their own entry: entries have been seen to shift, so the openid tells.
fn in_order(mut asked: Vec<Listed>, users: Vec<User>) -> Vec<Listed> {
    let is_in_order = users.len() == asked.len()
        && users.iter().zip(&asked).all(|(user, person)| user.openid.as_ref() == Some(&person.openid));
    if is_in_order {
        for (person, user) in asked.iter_mut().zip(users) {
            person.user = Some(Arc::new(user));
        }
        return asked;
    }
    let mut by_openid: HashMap<String, User> =
        users.into_iter().filter_map(|user| Some((user.openid.clone()?, user))).collect();
    asked.retain_mut(|person| {
        person.user = by_openid.remove(&person.openid).map(Arc::new);
        person.user.is_some()
    });
    asked
}
