//! The account as effects read it: its tags, its people and its blacklist; in a dry run as they would be.

use super::{blacklist_cache::BlacklistCache, dry_run::DryRun};
use crate::{
    api::{
        Paged,
        errcode::INVALID_OPENID,
        tag::{self, Tag},
        user::{
            self, MissingField, User, UserRef,
            rules::{Holder, is_openid},
        },
    },
    bulk::listing::{chunked::call_chunked, membership::MembershipError, reader::ReadError},
    client::{CallError, Client},
    store::StoreError,
};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// Why the account can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A call failed.
    #[error("{0}")]
    Call(#[from] CallError),
    /// Details lack what tells the state.
    #[error("{0}")]
    Details(#[from] MissingField),
    /// What a listing gave can't be kept.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<MembershipError> for ObserveError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::Read(ReadError::Call(error)) => Self::Call(error),
            MembershipError::Read(ReadError::Store(error)) | MembershipError::Store(error) => {
                Self::Store(error)
            }
        }
    }
}

/// Reads the account for effects.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// Makes the calls.
    pub client: &'a Client,
    /// The most calls in flight together.
    pub in_flight: usize,
    /// Where a listing that is too long for memory is kept.
    pub scratch_folder: &'a Path,
    /// What the run knows of the blacklist.
    pub blacklist: &'a BlacklistCache,
    /// What a dry run has pretended so far.
    pub dry_run: Option<&'a DryRun>,
}

impl Observer<'_> {
    /// The account's tags.
    pub async fn tags(&self) -> Result<Vec<Tag>, CallError> {
        let tags = self.client.call(&tag::List {}).await?.tags;
        Ok(match self.dry_run {
            Some(dry_run) => dry_run.overlay_tags(tags),
            None => tags,
        })
    }

    /// The tag with this id.
    pub(crate) async fn tag(&self, id: i64) -> Result<Option<Tag>, CallError> {
        Ok(self.tags().await?.into_iter().find(|tag| tag.id == id))
    }

    /// How many followers have a tag, counted up to a page of them, since the list of tags lags behind. A dry run, which
    /// adds its own changes, takes a count beyond a page from that list.
    pub async fn count_members(&self, id: i64) -> Result<i64, CallError> {
        let Some(dry_run) = self.dry_run else { return self.count_page(id).await };
        let mut present = if dry_run.is_placeholder(id) { 0 } else { self.count_page(id).await? };
        if u64::try_from(present).is_ok_and(|present| present >= tag::Members::PAGE as u64) {
            let tags = self.client.call(&tag::List {}).await?.tags;
            let listed = tags.into_iter().find(|tag| tag.id == id).and_then(|tag| tag.count);
            present = present.max(listed.unwrap_or_default());
        }
        Ok(dry_run.overlay_members(id, present))
    }

    async fn count_page(&self, id: i64) -> Result<i64, CallError> {
        Ok(self.client.call(&tag::Members { tagid: id, next_openid: None }).await?.count)
    }

    /// The details of people, in the order of these openids; in a dry run with the tags that they would have.
    pub(crate) async fn users(&self, openids: &[String]) -> Result<Vec<User>, CallError> {
        if openids.is_empty() {
            return Ok(Vec::new());
        }
        let refs = openids.iter().map(|openid| UserRef { openid: openid.clone(), lang: None });
        let request = user::Batch { user_list: refs.collect() };
        let users = call_chunked(self.client, self.in_flight, request).await;
        let users = users.map(|users| users.user_info_list).map_err(|split| split.error)?;
        Ok(match self.dry_run {
            Some(dry_run) => users.iter().map(|user| dry_run.overlay_user(user).into_owned()).collect(),
            None => users,
        })
    }

    /// The given openids that are on the blacklist.
    pub(crate) async fn blacklisted(&self, openids: &[String]) -> Result<HashSet<String>, ObserveError> {
        Ok(self.blacklist.intersect(self.client, self.in_flight, self.scratch_folder, openids).await?)
    }

    /// What these openids are, for the rules of a dry run, and the details of those who follow.
    ///
    /// Details don't tell an unsubscribed person from another account's openid, so each of those is looked up, but for
    /// those that are `known` to be of this account.
    pub(crate) async fn people<'b>(
        &self,
        openids: &'b [String],
        known: &HashSet<String>,
    ) -> Result<People<'b>, CallError> {
        let is_asked = |openid: &&String| is_openid(openid) && *openid != DryRun::OPENID;
        let well_formed: Vec<String> = openids.iter().filter(is_asked).cloned().collect();
        let users = self.users(&well_formed).await?.into_iter();
        let users = users.filter_map(|user| Some((user.openid.clone()?, user))).collect();
        let mut people = People { openids, users, foreign: HashSet::new() };
        for openid in well_formed.iter().filter(|openid| !known.contains(*openid)) {
            if people.user(openid).is_none_or(|user| !user.is_follower()) && self.is_foreign(openid).await? {
                people.foreign.insert(openid.clone());
            }
        }
        Ok(people)
    }

    async fn is_foreign(&self, openid: &str) -> Result<bool, CallError> {
        match self.client.call(&user::Info { openid: openid.to_owned(), lang: None }).await {
            Ok(_) => Ok(false),
            Err(error) if error.errcode() == Some(INVALID_OPENID) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The people that a request names, as the account knows them.
pub(crate) struct People<'a> {
    openids: &'a [String],
    users: HashMap<String, User>,
    foreign: HashSet<String>,
}

impl People<'_> {
    /// The details of one of them.
    pub(crate) fn user(&self, openid: &str) -> Option<&User> {
        self.users.get(openid)
    }

    /// The details of all of them.
    pub(super) fn into_users(self) -> impl Iterator<Item = User> {
        self.users.into_values()
    }

    /// What each openid is, in the order of the request.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Holder> + Clone {
        self.openids.iter().map(|openid| self.holder(openid))
    }

    fn holder(&self, openid: &str) -> Holder {
        if !is_openid(openid) {
            Holder::Malformed
        } else if self.foreign.contains(openid) {
            Holder::Foreign
        } else if openid == DryRun::OPENID || self.user(openid).is_some_and(User::is_follower) {
            Holder::Follower
        } else {
            Holder::Unsubscribed
        }
    }
}
