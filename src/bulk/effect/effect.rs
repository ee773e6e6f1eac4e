//! The trait that a write endpoint implements, and the plain data that it speaks in.

use super::{
    dry_run::DryRun,
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Endpoint, Resend, Violation, Writes,
        user::{MissingField, User},
    },
    bulk::{
        listing::details::NeededField,
        model::{batch::ChangeItem, change::Change, effect::RecordedEffect, source::Source},
    },
    store::{EffectKind, RecordedKind},
};
use std::fmt;

/// Why a call without a recorded state can't be undone.
pub(super) const NOT_OBSERVED: &str = "the state before could not be read";

/// What one write endpoint does to the account. No item has a default, so that each endpoint says what undoes it and how
/// doubt is resolved.
pub trait Effect: Endpoint<Mode = Writes> {
    /// The name that the journal records. Once released it must not change.
    const KIND: EffectKind;

    /// The kind of effect that a call records; one whose state before can't be read records [`RecordedKind::Irreversible`].
    const RECORDED: RecordedKind;

    /// Whether a call changes which tags there are, or what they are called.
    const CHANGES_TAGS: bool;

    /// What no other run may write while this one does; `None` where two runs can't get in each other's way. Of a change to
    /// followers it depends on the target only: a job takes it before it knows whom it changes.
    fn lock(&self) -> Option<Lock>;

    /// The state before the call, as far as an undo needs it. The journal records it before the call is made.
    fn observe(&self, account: &Observer<'_>) -> impl Future<Output = Result<PreState, ObserveError>> + Send;

    /// What undoes a recorded call of this endpoint, or why nothing does.
    fn inverse(recorded: &RecordedEffect) -> Inverse;

    /// Whether a call of an earlier attempt took effect, when a resumed run reaches it again and no outcome is recorded.
    /// [`resolve_by_resend`] where the account can't tell.
    fn resolve(
        &self,
        account: &Observer<'_>,
    ) -> impl Future<Output = Result<InDoubt<Self::Answer>, ObserveError>> + Send;

    /// What a dry run answers in the platform's place, by the same rules; it notes what later calls of the run must see.
    fn rehearse(
        &self,
        account: &Observer<'_>,
        dry_run: &DryRun,
    ) -> impl Future<Output = Result<Self::Answer, RehearseError>> + Send;

    /// The followers that the call changes; `None` where it changes none.
    fn followers(&self) -> Option<ChangedFollowers<'_>>;

    /// The record with what the answer adds to it: the id of what was made.
    fn complete(recorded: RecordedEffect, answer: &Self::Answer) -> RecordedEffect;
}

/// The followers that a call changes, as a terminal operation does in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedFollowers<'a> {
    /// The change to each of them.
    pub change: Change,
    /// Their openids.
    pub openids: &'a [String],
}

/// Resolves doubt without a look at the account: an idempotent call is made again, of another a person decides.
pub(super) fn resolve_by_resend<E: Effect>() -> InDoubt<E::Answer> {
    match E::SPEC.resend {
        Resend::Idempotent => InDoubt::Retry,
        Resend::VerifyFirst | Resend::Never => InDoubt::Unknown,
    }
}

/// An [`Effect`] on followers one by one, which the batch writer sends for many at a time.
pub(crate) trait FollowerEffect: Effect {
    /// What the change names beside the followers: a tag's id, or `()`.
    type Target: Copy + Send;

    /// The most followers of one call.
    const BATCH: usize;

    /// The field of the details that shows whether a follower needs the change; `None` where details don't show it.
    const SHOWN_BY: Option<NeededField>;

    /// The call for a batch.
    fn from_batch(target: Self::Target, items: &[ChangeItem]) -> Self;

    /// The list that the change adds followers to or removes them from; it shows who needs the change where their details
    /// are not at hand. `None` where there is no such list.
    fn members(target: Self::Target) -> Option<Source>;

    /// Whether a follower needs the change, or is as it would leave them. Jobs, single calls, dry runs, undo and the look at
    /// a call in doubt all decide by it.
    fn needs(target: Self::Target, item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField>;

    /// Whether the platform would take what is asked for one follower, as far as a dry run knows.
    fn check_item(target: Self::Target, item: &ChangeItem, details: Option<&User>) -> Result<(), Violation>;

    /// Whether every follower of a batch is in the state that the change leads to.
    fn took_effect(
        target: Self::Target,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> impl Future<Output = Result<bool, ObserveError>> + Send;
}

/// What is known of a follower when it is decided whether they need a change.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Their details, where these are at hand and not older than the change.
    pub details: Option<&'a User>,
    /// Whether the list that the change is about has them, for changes that details don't show.
    pub is_member: bool,
}

impl<'a> Known<'a> {
    /// What their details show.
    pub(super) const fn from_details(user: &'a User) -> Self {
        Self { details: Some(user), is_member: false }
    }

    /// What the list that the change is about shows.
    pub(super) const fn from_membership(is_member: bool) -> Self {
        Self { details: None, is_member }
    }

    /// Whether they have a tag.
    pub(super) fn has_tag(self, id: i64) -> Result<bool, MissingField> {
        match self.details {
            Some(user) => Ok(user.known_tags()?.contains(&id)),
            None => Ok(self.is_member),
        }
    }
}

/// What two runs must not write at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// A tag by its id.
    Tag(i64),
    /// A tag that is to be created, by its name.
    TagName(String),
    /// The blacklist.
    Blacklist,
}

impl Lock {
    /// Its name in the store, by which processes of every version exclude each other: it never changes.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Tag(id) => format!("tag {id}"),
            Self::TagName(name) => format!("the tag `{name}`"),
            Self::Blacklist => "the blacklist".to_owned(),
        }
    }
}

/// As messages name it.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(id) => write!(f, "tag {id}"),
            Self::TagName(name) => write!(f, "the tag `{name}`"),
            Self::Blacklist => f.write_str("the blacklist"),
        }
    }
}

/// The state before a call, as far as an undo needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreState {
    /// What the call will do; `None` where it will change nothing.
    pub effect: Option<RecordedEffect>,
    /// The followers that it will change: those who are not in the desired state already.
    pub items: Vec<ChangeItem>,
}

impl PreState {
    /// A call that changes no followers.
    #[must_use]
    pub fn new(effect: RecordedEffect) -> Self {
        Self { effect: Some(effect), items: Vec::new() }
    }

    /// A call that can't be undone, whatever the state before.
    #[must_use]
    pub fn irreversible<E: Effect>() -> Self {
        Self::new(RecordedEffect::Other(E::SPEC.name.to_owned()))
    }

    /// A call that changes these followers.
    #[must_use]
    pub fn from_followers(change: Change, items: Vec<ChangeItem>) -> Self {
        Self { effect: Some(RecordedEffect::Change(change)), items }
    }
}

/// What undoes a recorded effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inverse {
    /// This change to the same followers.
    Change(Change),
    /// The remarks from before, for the same followers.
    RestoreRemarks,
    /// A tag gets its former name.
    RestoreTagName {
        /// The tag's id.
        id: i64,
        /// The former name.
        from: String,
        /// The name that the call gave.
        to: String,
    },
    /// A tag is deleted, unless a follower has it.
    DeleteTagIfEmpty {
        /// The tag's id; none where it is not known, and the name counts.
        id: Option<i64>,
        /// The tag's name.
        name: String,
    },
    /// Nothing does, for this reason.
    Irreversible(&'static str),
}

/// Whether a call without a recorded outcome took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InDoubt<A> {
    /// It did; this would have been its answer.
    Completed(A),
    /// It did not, or making it again does no harm: it is made.
    Retry,
    /// The account does not show it: a person decides.
    Unknown,
}

impl<A> InDoubt<A> {
    /// The same with another form of the answer.
    pub(crate) fn map<B>(self, map: impl FnOnce(A) -> B) -> InDoubt<B> {
        match self {
            Self::Completed(answer) => InDoubt::Completed(map(answer)),
            Self::Retry => InDoubt::Retry,
            Self::Unknown => InDoubt::Unknown,
        }
    }
}

/// Why a dry run has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The platform would refuse the call.
    #[error("refused: {}", .0.errcode())]
    Refused(Violation),
    /// The account can't be read.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

impl From<Violation> for RehearseError {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation)
    }
}
