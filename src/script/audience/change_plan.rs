//! What each changing terminal operation does to a follower. What a change locks and who needs it is declared by the effect of
//! its endpoint, and asked here.

use super::{
    audience::{Audience, SourceRef, TagRef, to_value},
    closure::Closure,
    execution::JobExecution,
};
use crate::{
    api::{
        tag::{self, Tag},
        user::MissingField,
    },
    base::Stopwatch,
    bulk::{Change, ChangeItem, Effect, Known, Listed, Lock, MemberSet, warn_of_twin},
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult},
            value::describe_type,
        },
        writes::{
            journaled_call::{self, CreatedTag, TagOrigin},
            tag_name::check_spelling,
        },
    },
    store::{StepState, TerminalKind},
};
use std::collections::HashSet;

/// What a plan decides about a follower.
pub(crate) enum Decision {
    /// The change is made.
    Apply(ChangeItem),
    /// The follower is already in the desired state.
    NoOp,
    /// The follower is left as they are.
    Skip,
}

/// Decides about followers, and prepares the change once one of them needs it. Called in this order: `start` once;
/// `observe` for each batch and `decide` for each follower in it; `prepare` once, before the first change is sent.
pub(crate) trait ChangePlan {
    /// Before anything is listed: takes the write lock. `recorded` is the change that an earlier attempt of the run has prepared.
    fn start(&mut self, job: &JobExecution, recorded: Option<Change>) -> ScriptResult<()>;
    /// Looks up the present state of a batch where the followers' details don't show it.
    fn observe(&mut self, _job: &JobExecution, _people: &[Listed]) -> ScriptResult<()> {
        Ok(())
    }
    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision>;
    /// Makes what the change needs (a tag that does not exist yet) and gives the change to send.
    fn prepare(&mut self, job: &JobExecution) -> ScriptResult<Change>;
    /// Whether `prepare` invalidated what was decided about the batch at hand.
    fn needs_recheck(&self) -> bool {
        false
    }
    /// When `prepare` created the tag, if it did.
    fn created_at(&self) -> Option<Stopwatch> {
        None
    }
}

/// What a change does to a set of openids: the members of a tag, or the blacklist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Add,
    Remove,
}

impl Membership {
    /// The change to the members of a tag.
    const fn of_tag(self, id: i64) -> Change {
        match self {
            Self::Add => Change::Attach(id),
            Self::Remove => Change::Detach(id),
        }
    }

    /// The terminal operation that makes the change to the members of a tag.
    pub(super) const fn terminal_of_tag(self) -> TerminalKind {
        match self {
            Self::Add => TerminalKind::Tag,
            Self::Remove => TerminalKind::Untag,
        }
    }

    /// The change to the blacklist.
    const fn of_blacklist(self) -> Change {
        match self {
            Self::Add => Change::Block,
            Self::Remove => Change::Unblock,
        }
    }

    /// The terminal operation that makes the change to the blacklist.
    pub(super) const fn terminal_of_blacklist(self) -> TerminalKind {
        match self {
            Self::Add => TerminalKind::Block,
            Self::Remove => TerminalKind::Unblock,
        }
    }
}

/// Takes the write lock that an effect declares.
fn take_lock(env: &RunEnv, lock: Option<Lock>) -> ScriptResult<()> {
    lock.map_or(Ok(()), |lock| env.lock(&lock))
}

/// Asks the effect of a change whether a follower needs it.
fn decide(env: &RunEnv, change: Change, item: ChangeItem, known: Known<'_>) -> ScriptResult<Decision> {
    let needs = match &env.policy.dry {
        Some(dry_run) => change.needs_after(dry_run, &item, known),
        None => change.needs(&item, known),
    };
    match needs {
        Ok(true) => Ok(Decision::Apply(item)),
        Ok(false) => Ok(Decision::NoOp),
        Err(missing) => Err(env.observe_error(&missing.into()).raise()),
    }
}

/// Which followers of a batch are in the list that a change is about, for jobs whose followers' details don't show it.
#[derive(Default)]
struct CurrentMembers {
    /// The whole set, listed at the first batch.
    listed: Option<MemberSet>,
    /// The members in the batch at hand.
    in_batch: HashSet<String>,
}

impl CurrentMembers {
    fn observe(&mut self, job: &JobExecution, change: Change, people: &[Listed]) -> ScriptResult<()> {
        let env = &job.env;
        let listed = match (&mut self.listed, change.members()) {
            (Some(listed), _) => listed,
            (None, None) => return Ok(()),
            (none @ None, Some(list)) => {
                let listing = MemberSet::list(&job.client, env.calls.in_flight, list, &env.io.scratch_folder);
                none.insert(env.observe(listing)?)
            }
        };
        let openids: Vec<String> = people.iter().map(|person| person.openid.clone()).collect();
        self.in_batch = env.observe(listed.intersect(&openids))?;
        Ok(())
    }

    fn contains(&self, person: &Listed) -> bool {
        self.in_batch.contains(&person.openid)
    }
}

/// The page of a job's step that the creation of its tag is on: before those of its followers.
const CREATION_PAGE: u64 = 0;

/// Whether an earlier attempt of the run has sent the call that creates the job's tag, or may have.
fn has_begun_creation(job: &JobExecution) -> ScriptResult<bool> {
    let recorded = job.env.block_on(job.scope.step.recorded_on_page(CREATION_PAGE));
    let recorded = recorded.map_err(|error| job.env.journal_error(&error))?;
    Ok(recorded.iter().any(|row| row.state == StepState::Done || row.effect_kind.is_some()))
}

/// Adds a tag to followers or removes it.
pub(crate) struct Tagging {
    /// By its name until it is found or created.
    tag: TagRef,
    membership: Membership,
    /// The account's tags when no tag had the name.
    tags_before: Vec<Tag>,
    /// When this job created the tag: it had no members before.
    created_at: Option<Stopwatch>,
    members: CurrentMembers,
    /// The tag was created by another program between our lookup and our create, or by an earlier attempt. `tagid_list` may
    /// not show its members yet, so they are read from the tag.
    reads_members: bool,
}

impl Tagging {
    pub(crate) fn new(tag: TagRef, membership: Membership) -> Self {
        Self {
            tag,
            membership,
            tags_before: Vec::new(),
            created_at: None,
            members: CurrentMembers::default(),
            reads_members: false,
        }
    }

    /// The change, once the tag is found or created.
    const fn change(&self) -> Option<Change> {
        match &self.tag {
            TagRef::Id(id) => Some(self.membership.of_tag(*id)),
            TagRef::Name(_) => None,
        }
    }

    /// Looks for the tag of this name. One that is put on followers need not be there.
    fn find(&mut self, env: &RunEnv, name: &str) -> ScriptResult<()> {
        match self.membership {
            Membership::Remove => self.tag = TagRef::Id(self.tag.existing(env)?),
            Membership::Add => {
                let tags = env.tags()?;
                if let Some(tag) = tags.iter().find(|tag| tag.name == name) {
                    self.tag = TagRef::Id(tag.id);
                } else {
                    check_spelling(name)?;
                    self.tags_before = tags;
                }
            }
        }
        Ok(())
    }

    /// Creates the tag of this name.
    fn create(&mut self, job: &JobExecution, name: &str) -> ScriptResult<Change> {
        job.check_quota_for_all()?;
        job.env.policy.limits.allow_one().map_err(|limit| job.env.limit_error(&limit))?;
        job.scope.step.enter_page(CREATION_PAGE);
        // A dry run asks the effect, which has the tags that it has made.
        if job.env.policy.dry.is_none() {
            warn_of_twin(name, None, &self.tags_before);
        }
        let created = journaled_call::create_tag(&job.env, name);
        let left = job.env.block_on(job.scope.step.exit_page(CREATION_PAGE));
        let CreatedTag { id, origin } = created?;
        left.map_err(|error| job.env.journal_error(&error.into()))?;
        let change = self.membership.of_tag(id);
        take_lock(&job.env, change.lock())?;
        self.tag = TagRef::Id(id);
        self.reads_members = origin != TagOrigin::ThisAttempt;
        self.created_at = (origin == TagOrigin::ThisAttempt).then(Stopwatch::start);
        Ok(change)
    }
}

impl ChangePlan for Tagging {
    fn start(&mut self, job: &JobExecution, recorded: Option<Change>) -> ScriptResult<()> {
        let env = &job.env;
        match (recorded, self.tag.clone()) {
            (Some(Change::Attach(id) | Change::Detach(id)), _) => self.tag = TagRef::Id(id),
            // An earlier attempt began to create the tag. Whether it did is settled first: an undo must know.
            (_, TagRef::Name(name)) if has_begun_creation(job)? => {
                self.create(job, &name)?;
            }
            (_, TagRef::Name(name)) => self.find(env, &name)?,
            // The tag of an undo may have been deleted since: no follower has it any more.
            (_, TagRef::Id(_)) if self.membership == Membership::Remove && job.lists_changed() => {}
            (_, tag @ TagRef::Id(_)) => drop(tag.existing(env)?),
        }
        let lock = match &self.tag {
            TagRef::Id(id) => self.membership.of_tag(*id).lock(),
            TagRef::Name(name) => Effect::lock(&tag::Create { name: name.clone() }),
        };
        take_lock(env, lock)
    }

    fn observe(&mut self, job: &JobExecution, people: &[Listed]) -> ScriptResult<()> {
        let lacks_details = || people.iter().any(|person| person.user.is_none());
        // A tag that is not there or that this job created has no other members; nor has one that exists in a dry run only.
        let exists_only_dry = |id| job.env.policy.dry.as_ref().is_some_and(|dry| dry.is_placeholder(id));
        match (self.change(), &self.tag) {
            (Some(change), _) if self.reads_members => self.members.observe(job, change, people),
            (Some(change), TagRef::Id(id))
                if !exists_only_dry(*id) && self.created_at.is_none() && lacks_details() =>
            {
                self.members.observe(job, change, people)
            }
            _ => Ok(()),
        }
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let item = ChangeItem::Openid(person.openid.clone());
        let details = person.user.as_deref().filter(|_| !self.reads_members);
        let known = Known { details, is_member: self.members.contains(person) };
        match self.change() {
            Some(change) => decide(env, change, item, known),
            // A tag that is not there yet.
            None => Ok(Decision::Apply(item)),
        }
    }

    fn prepare(&mut self, job: &JobExecution) -> ScriptResult<Change> {
        match self.tag.clone() {
            TagRef::Id(id) => Ok(self.membership.of_tag(id)),
            // Not earlier: a job that matches no follower leaves no empty tag behind.
            TagRef::Name(name) => self.create(job, &name),
        }
    }

    fn needs_recheck(&self) -> bool {
        self.reads_members
    }

    fn created_at(&self) -> Option<Stopwatch> {
        self.created_at
    }
}

/// Sets the remark that a closure returns.
pub(crate) struct Remarking(pub Closure);

impl ChangePlan for Remarking {
    fn start(&mut self, job: &JobExecution, _recorded: Option<Change>) -> ScriptResult<()> {
        take_lock(&job.env, Change::Remark.lock())
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let given = self.0.call(env, to_value(person))?;
        if given.is_unit() {
            return Ok(Decision::Skip);
        }
        let Ok(remark) = given.as_immutable_string_ref().map(|remark| remark.as_str().to_owned()) else {
            let given = describe_type(&given);
            let message = format!("the closure of remark must return a string or (); it returned {given}");
            return Err(ScriptError::usage(message, "return () to leave a follower as they are").raise());
        };
        let present = present_remark(env, person)?;
        let (openid, old) = (person.openid.clone(), present.to_owned());
        let decision =
            decide_by_details(env, person, ChangeItem::Remark { openid, new: remark.clone(), old })?;
        if matches!(decision, Decision::Apply(_)) {
            env.refuse_secret("remark: what it would write", &remark)?;
            env.refuse_secret("remark: what it would overwrite", present)?;
        }
        Ok(decision)
    }

    fn prepare(&mut self, _job: &JobExecution) -> ScriptResult<Change> {
        Ok(Change::Remark)
    }
}

/// Whether a follower, whose details are fetched, needs another remark.
fn decide_by_details(env: &RunEnv, person: &Listed, item: ChangeItem) -> ScriptResult<Decision> {
    let known = Known { details: person.user.as_deref(), is_member: false };
    decide(env, Change::Remark, item, known)
}

/// The remark of a follower, whose details are fetched.
fn present_remark<'a>(env: &RunEnv, person: &'a Listed) -> ScriptResult<&'a str> {
    let missing = || MissingField { openid: person.openid.clone(), field: "remark" };
    let remark = person.user.as_ref().ok_or_else(missing).and_then(|user| user.known_remark());
    remark.map_err(|missing| env.observe_error(&missing.into()).raise())
}

/// Restores the remark from before a run, unless it was changed again since.
pub(crate) struct Restoring;

impl ChangePlan for Restoring {
    fn start(&mut self, job: &JobExecution, _recorded: Option<Change>) -> ScriptResult<()> {
        take_lock(&job.env, Change::Remark.lock())
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let Some(past) = &person.remark_change else { return Ok(Decision::Skip) };
        let (openid, new, old) = (person.openid.clone(), past.old.clone(), past.new.clone());
        Ok(match decide_by_details(env, person, ChangeItem::Remark { openid, new, old })? {
            // It was changed again since.
            Decision::Apply(_) if present_remark(env, person)? != past.new => Decision::Skip,
            decision => decision,
        })
    }

    fn prepare(&mut self, _job: &JobExecution) -> ScriptResult<Change> {
        Ok(Change::Remark)
    }
}

/// Adds followers to the blacklist or removes them.
pub(crate) struct Blocking {
    membership: Membership,
    /// The audience is the blacklist itself: all of them are members.
    is_from_blacklist: bool,
    members: CurrentMembers,
}

impl Blocking {
    pub(crate) fn new(audience: &Audience, membership: Membership) -> Self {
        let is_from_blacklist = matches!(audience.source_ref, SourceRef::Blacklisted);
        Self { membership, is_from_blacklist, members: CurrentMembers::default() }
    }
}

impl ChangePlan for Blocking {
    fn start(&mut self, job: &JobExecution, _recorded: Option<Change>) -> ScriptResult<()> {
        job.env.block_on(job.env.blacklist.invalidate());
        take_lock(&job.env, self.membership.of_blacklist().lock())
    }

    fn observe(&mut self, job: &JobExecution, people: &[Listed]) -> ScriptResult<()> {
        if self.is_from_blacklist {
            return Ok(());
        }
        self.members.observe(job, self.membership.of_blacklist(), people)
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let is_member = self.is_from_blacklist || self.members.contains(person);
        let item = ChangeItem::Openid(person.openid.clone());
        decide(env, self.membership.of_blacklist(), item, Known { details: None, is_member })
    }

    fn prepare(&mut self, _job: &JobExecution) -> ScriptResult<Change> {
        Ok(self.membership.of_blacklist())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::BatchedCalls;

    #[test]
    fn terminal_operation_of_a_membership_has_the_calls_of_its_change() {
        let calls = |kind| BatchedCalls::from_kind(kind).map(|calls| calls.spec.name);
        for membership in [Membership::Add, Membership::Remove] {
            for (kind, change) in [
                (membership.terminal_of_tag(), membership.of_tag(100)),
                (membership.terminal_of_blacklist(), membership.of_blacklist()),
            ] {
                assert_eq!(calls(kind), Some(change.spec().name), "{kind}");
            }
        }
    }
}
