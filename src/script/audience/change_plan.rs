//! What each changing terminal operation does to a follower: whether they need the change, and what is sent.

use super::{
    audience::{Audience, Closure, SourceRef, TagRef, to_value},
    execution::JobExecution,
};
use crate::{
    api::{tag::Tag, user::MissingField},
    base::Stopwatch,
    bulk::{Change, ChangeItem, Listed, Lock, MemberSet, Source, warn_of_twin},
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
    store::StepState,
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
    /// Before anything is listed. `recorded` is the change that an earlier attempt of the run has prepared.
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
    /// Whether a follower is already in the desired state.
    fn is_reached(self, is_member: bool) -> bool {
        is_member == (self == Self::Add)
    }

    fn decide(self, person: &Listed, is_member: bool) -> Decision {
        if self.is_reached(is_member) {
            Decision::NoOp
        } else {
            Decision::Apply(ChangeItem::Openid(person.openid.clone()))
        }
    }
}

/// Which followers of a batch are members of a set already, for jobs whose followers' details don't show it.
#[derive(Default)]
struct CurrentMembers {
    /// The whole set, listed at the first batch.
    listed: Option<MemberSet>,
    /// The members in the batch at hand.
    in_batch: HashSet<String>,
}

impl CurrentMembers {
    fn observe(&mut self, job: &JobExecution, set: &Source, people: &[Listed]) -> ScriptResult<()> {
        let env = &job.env;
        let listed = match &mut self.listed {
            Some(listed) => listed,
            none => {
                let listing =
                    MemberSet::list(&job.client, env.calls.in_flight, set.clone(), &env.io.scratch_folder);
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

    /// The tag's id, once it is found or created.
    fn id(&self) -> Option<i64> {
        match &self.tag {
            TagRef::Id(id) => Some(*id),
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
    fn create(&mut self, job: &JobExecution, name: &str) -> ScriptResult<i64> {
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
        job.env.lock(&Lock::Tag(id))?;
        self.tag = TagRef::Id(id);
        self.reads_members = origin != TagOrigin::ThisAttempt;
        self.created_at = (origin == TagOrigin::ThisAttempt).then(Stopwatch::start);
        Ok(id)
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
        env.lock(&match &self.tag {
            TagRef::Id(id) => Lock::Tag(*id),
            TagRef::Name(name) => Lock::TagName(name.clone()),
        })
    }

    fn observe(&mut self, job: &JobExecution, people: &[Listed]) -> ScriptResult<()> {
        let lacks_details = || people.iter().any(|person| person.user.is_none());
        match self.id() {
            Some(id) if self.reads_members => self.members.observe(job, &Source::Members(id), people),
            // A tag that this job created has no other members, and one with an id below 1 exists in a dry run only.
            Some(id) if id > 0 && self.created_at.is_none() && lacks_details() => {
                self.members.observe(job, &Source::Members(id), people)
            }
            _ => Ok(()),
        }
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let is_member = match &person.user {
            Some(user) if !self.reads_members => {
                let tags = user.known_tags().map_err(|missing| env.observe_error(&missing.into()).raise())?;
                self.id().is_some_and(|id| tags.contains(&id))
            }
            _ => self.members.contains(person),
        };
        Ok(self.membership.decide(person, is_member))
    }

    fn prepare(&mut self, job: &JobExecution) -> ScriptResult<Change> {
        let id = match self.tag.clone() {
            TagRef::Id(id) => id,
            // Not earlier: a job that matches no follower leaves no empty tag behind.
            TagRef::Name(name) => self.create(job, &name)?,
        };
        Ok(match self.membership {
            Membership::Add => Change::Attach(id),
            Membership::Remove => Change::Detach(id),
        })
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
    fn start(&mut self, _job: &JobExecution, _recorded: Option<Change>) -> ScriptResult<()> {
        Ok(())
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
        if present == remark {
            return Ok(Decision::NoOp);
        }
        env.refuse_secret("remark: what it would write", &remark)?;
        env.refuse_secret("remark: what it would overwrite", present)?;
        Ok(Decision::Apply(ChangeItem::Remark {
            openid: person.openid.clone(),
            new: remark,
            old: present.to_owned(),
        }))
    }

    fn prepare(&mut self, _job: &JobExecution) -> ScriptResult<Change> {
        Ok(Change::Remark)
    }
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
    fn start(&mut self, _job: &JobExecution, _recorded: Option<Change>) -> ScriptResult<()> {
        Ok(())
    }

    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let Some(past) = &person.remark_change else { return Ok(Decision::Skip) };
        let present = present_remark(env, person)?;
        Ok(if present == past.old {
            Decision::NoOp
        } else if present == past.new {
            let (openid, old) = (person.openid.clone(), past.old.clone());
            Decision::Apply(ChangeItem::Remark { openid, new: old, old: past.new.clone() })
        } else {
            Decision::Skip
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
        job.env.lock(&Lock::Blacklist)
    }

    fn observe(&mut self, job: &JobExecution, people: &[Listed]) -> ScriptResult<()> {
        if self.is_from_blacklist {
            return Ok(());
        }
        self.members.observe(job, &Source::Blacklisted, people)
    }

    fn decide(&mut self, _env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let is_member = self.is_from_blacklist || self.members.contains(person);
        Ok(self.membership.decide(person, is_member))
    }

    fn prepare(&mut self, _job: &JobExecution) -> ScriptResult<Change> {
        Ok(match self.membership {
            Membership::Add => Change::Block,
            Membership::Remove => Change::Unblock,
        })
    }
}
