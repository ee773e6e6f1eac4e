//! Where the followers of an audience come from.

use super::change::Change;
use crate::{
    api::{Endpoint, Spec, blacklist, tag, user},
    store::Store,
};
use std::{collections::HashSet, sync::Arc};

/// The list that an audience begins with.
#[derive(Clone, Debug)]
pub enum Source {
    /// All followers of the account.
    Followers,
    /// The followers with a tag.
    Members(i64),
    /// All openids on the blacklist.
    Blacklisted,
    /// These openids, each once.
    Openids(Arc<[String]>),
    /// The followers that a step of a run changed.
    ChangedByStep(ChangedByStep),
}

impl Source {
    /// These openids, each once, in this order.
    #[must_use]
    pub fn openids(openids: impl IntoIterator<Item = String>) -> Self {
        Self::Openids(distinct(openids))
    }

    /// The endpoint that lists it, if it is a list of the platform's.
    #[must_use]
    pub fn listing(&self) -> Option<&'static Spec> {
        match self {
            Self::Followers => Some(user::List::SPEC),
            Self::Members(_) => Some(tag::Members::SPEC),
            Self::Blacklisted => Some(blacklist::List::SPEC),
            Self::Openids(_) | Self::ChangedByStep(_) => None,
        }
    }
}

/// These openids, each once, in this order.
#[must_use]
pub fn distinct(openids: impl IntoIterator<Item = String>) -> Arc<[String]> {
    let mut seen = HashSet::new();
    openids.into_iter().filter(|openid| seen.insert(openid.clone())).collect()
}

/// The followers that a step of a run changed in one way.
#[derive(Clone, Debug)]
pub struct ChangedByStep {
    /// Where the run's journal is.
    pub store: Store,
    /// The run.
    pub run: String,
    /// The step, with its child steps.
    pub step: String,
    /// The change.
    pub change: Change,
}
