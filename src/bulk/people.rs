//! Where people come from: listed page by page, their details fetched in overlapping batches,
//! handed out in the order of the list.

use super::{WINDOW, board::Counts, report::Failure};
use crate::{
    api::{
        Batched, Paged, blacklist,
        errcode::ONE_OPENID,
        tag,
        user::{self, User, UserRef},
    },
    client::{CallError, Client},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Whom an audience begins with.
#[derive(Clone, Debug)]
pub enum Source {
    /// Everybody who follows the account.
    Followers,
    /// The followers with a tag.
    Members(i64),
    /// Everybody on the blacklist.
    Blacklisted,
    /// These, each once.
    Openids(Arc<[String]>),
}

impl Source {
    /// These people, each once, in this order.
    #[must_use]
    pub fn openids(openids: impl IntoIterator<Item = String>) -> Self {
        let mut seen = HashSet::new();
        Self::Openids(openids.into_iter().filter(|openid| seen.insert(openid.clone())).collect())
    }
}

/// Somebody who was listed.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub openid: String,
    /// Their details, if those are fetched.
    pub user: Option<Arc<User>>,
}

/// People in the order of the list, and those of the same stretch who can't be handed out.
#[derive(Debug, Default)]
pub struct Batch {
    /// Followers.
    pub people: Vec<Person>,
    /// Openids whose details the platform refuses.
    pub failed: Vec<Failure>,
}

/// A batch that may still be on its way.
enum Coming {
    Here(Vec<String>),
    Fetching(AbortOnDropHandle<Result<Fetched, CallError>>),
    Broken(CallError),
}

#[derive(Default)]
struct Fetched {
    users: Vec<User>,
    failed: Vec<Failure>,
}

/// Hands out people in batches. Dropping it stops listing and fetching.
pub struct Reader {
    coming: mpsc::Receiver<Coming>,
    counts: Arc<Counts>,
    _lister: AbortOnDropHandle<()>,
}

impl Reader {
    /// Begins to list, and to fetch details if `details`; at most `limit` people.
    #[must_use]
    pub fn open(
        client: &Client,
        in_flight: usize,
        source: Source,
        details: bool,
        limit: Option<usize>,
        counts: Arc<Counts>,
    ) -> Self {
        let (sender, coming) = mpsc::channel(in_flight * WINDOW);
        let lister = Lister {
            client: client.clone(),
            details,
            left: limit.unwrap_or(usize::MAX),
            sender,
            counts: Arc::clone(&counts),
        };
        let lister = AbortOnDropHandle::new(tokio::spawn(lister.run(source)));
        Self { coming, counts, _lister: lister }
    }

    /// The next people, or `None` after the last.
    ///
    /// # Errors
    /// When a page or a batch of details can't be had; what came before it has been handed out.
    pub async fn next(&mut self) -> Result<Option<Batch>, CallError> {
        let Some(coming) = self.coming.recv().await else { return Ok(None) };
        match coming {
            Coming::Broken(error) => Err(error),
            Coming::Here(openids) => {
                let people = openids.into_iter().map(|openid| Person { openid, user: None }).collect();
                Ok(Some(Batch { people, failed: Vec::new() }))
            }
            Coming::Fetching(fetching) => {
                // The task ends by itself or with this reader; a panic in it is a bug to be seen.
                let fetched =
                    fetching.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
                Counts::add(&self.counts.fetched, fetched.users.len());
                let mut batch =
                    Batch { people: Vec::with_capacity(fetched.users.len()), failed: fetched.failed };
                for mut user in fetched.users {
                    if user.is_follower() {
                        let openid = user.openid.clone().unwrap_or_default();
                        user.openid = Some(openid.clone());
                        batch.people.push(Person { openid, user: Some(Arc::new(user)) });
                    } else {
                        Counts::add(&self.counts.gone, 1);
                    }
                }
                Ok(Some(batch))
            }
        }
    }
}

/// The task that lists.
struct Lister {
    client: Client,
    details: bool,
    left: usize,
    sender: mpsc::Sender<Coming>,
    counts: Arc<Counts>,
}

/// Nobody reads any more.
struct Unread;

impl Lister {
    async fn run(mut self, source: Source) {
        let result = match source {
            Source::Followers => self.pages(user::List::default()).await,
            Source::Blacklisted => self.pages(blacklist::List::default()).await,
            Source::Members(tagid) => self.pages(tag::Members { tagid, next_openid: None }).await,
            Source::Openids(openids) => {
                self.counts.total.store(openids.len() as u64, std::sync::atomic::Ordering::Relaxed);
                self.hand_out(openids.to_vec()).await.map_err(|Unread| None)
            }
        };
        if let Err(Some(error)) = result {
            // A reader that is gone needs no error.
            let _ = self.sender.send(Coming::Broken(error)).await;
        }
    }

    /// Follows the cursor to the end: the counts have reached the total, a page is short of a
    /// full one, or an empty page comes. `total` is missing from some listings, and their page
    /// size is not documented, so those are read until the empty page.
    async fn pages<E: Paged>(&mut self, mut request: E) -> Result<(), Option<CallError>> {
        let mut seen = 0;
        let mut cursor = None;
        loop {
            let page = self.client.call(&request).await.map_err(Some)?;
            let (total, next) = (page.total, page.next_openid.clone().unwrap_or_default());
            let openids = page.into_openids();
            let count = openids.len();
            seen += count;
            if let Some(total) = total.and_then(|total| u64::try_from(total).ok()) {
                self.counts.total.store(total, std::sync::atomic::Ordering::Relaxed);
            }
            self.hand_out(openids).await.map_err(|Unread| None)?;
            let is_last = total.is_some_and(|total| count < E::PAGE || seen as u64 >= total.unsigned_abs());
            if count == 0 || next.is_empty() || is_last || self.left == 0 {
                return Ok(());
            }
            if cursor.as_ref() == Some(&next) {
                return Err(Some(CallError::Unreadable {
                    endpoint: E::SPEC.name,
                    reason: "its cursor does not move on".to_owned(),
                }));
            }
            request.after(next.clone());
            cursor = Some(next);
        }
    }

    /// Passes people on in batches of one detail call.
    async fn hand_out(&mut self, mut openids: Vec<String>) -> Result<(), Unread> {
        openids.truncate(self.left);
        self.left -= openids.len();
        Counts::add(&self.counts.listed, openids.len());
        for batch in openids.chunks(user::Batch::MOST) {
            let place = self.sender.reserve().await.map_err(|_| Unread)?;
            let coming = if self.details {
                let fetch = fetch(self.client.clone(), batch.to_vec());
                Coming::Fetching(AbortOnDropHandle::new(tokio::spawn(fetch)))
            } else {
                Coming::Here(batch.to_vec())
            };
            place.send(coming);
        }
        Ok(())
    }
}

/// Fetches details; a batch that is refused for one openid is halved until that one is found.
async fn fetch(client: Client, openids: Vec<String>) -> Result<Fetched, CallError> {
    let mut fetched = Fetched::default();
    // Halves still to be fetched, the first last, so that the order is kept.
    let mut parts = vec![openids];
    while let Some(mut part) = parts.pop() {
        let user_list = part
            .iter()
            .map(|openid| UserRef { openid: openid.clone(), lang: Some("zh_CN".to_owned()) })
            .collect();
        match client.call(&user::Batch { user_list }).await {
            Ok(answer) => fetched.users.extend(in_order(&part, answer.user_info_list)),
            Err(CallError::Refused(refusal)) if ONE_OPENID.contains(&refusal.errcode) => {
                if part.len() > 1 {
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                } else {
                    fetched.failed.extend(part.into_iter().map(|openid| Failure {
                        openid,
                        errcode: Some(refusal.errcode),
                        errmsg: refusal.errmsg.clone(),
                        rid: refusal.rid.clone(),
                    }));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fetched)
}

/// Each asked-for person's own entry: entries have been seen to shift, so the openid tells.
fn in_order(asked: &[String], users: Vec<User>) -> Vec<User> {
    let is_in_order = users.len() == asked.len()
        && users.iter().zip(asked).all(|(user, openid)| user.openid.as_ref() == Some(openid));
    if is_in_order {
        return users;
    }
    let mut by_openid: HashMap<String, User> =
        users.into_iter().filter_map(|user| Some((user.openid.clone()?, user))).collect();
    asked.iter().filter_map(|openid| by_openid.remove(openid)).collect()
}
