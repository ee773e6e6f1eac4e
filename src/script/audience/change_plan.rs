//! What the ends that write do to people: who needs it, who is so already, and what is written.

use super::{
    audience::{Audience, Closure, Origin, TagRef, to_value},
    execution::Walk,
};
use crate::{
    api::tag::Tag,
    base::Stopwatch,
    bulk::{Change, ChangeItem, Listed, MemberSet, Source},
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult, limit_reached},
            value::describe_type,
        },
        writes::{blacklist_cache::unknown, journaled_call},
    },
};
use std::collections::HashSet;

/// What a change means for one person.
pub(crate) enum Decision {
    /// It is to be made.
    Change(ChangeItem),
    /// They are so already.
    Already,
    /// Nothing is to be done.
    Skip,
}

/// Decides over people, and says what is written once somebody needs it.
pub(crate) trait Decide {
    /// Sees people before they are decided over, a batch at a time.
    fn look(&mut self, _walk: &Walk, _people: &[Listed]) -> ScriptResult<()> {
        Ok(())
    }
    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision>;
    /// Before anybody is listed; what an earlier attempt of the run has written is known.
    fn begin(&mut self, walk: &Walk, known: Option<Change>) -> ScriptResult<()>;
    /// Somebody needs it: now what is written must be there.
    fn ready(&mut self, walk: &Walk) -> ScriptResult<Change>;
    /// Whether, after that, those who were decided over before it are to be looked at once more.
    fn must_look_again(&self) -> bool {
        false
    }
    /// When the job made what it writes, if it did.
    fn made(&self) -> Option<Stopwatch> {
        None
    }
}

/// Who is so already, where people's details don't tell.
#[derive(Default)]
pub(crate) struct Before {
    known: Option<MemberSet>,
    /// Those of the batch at hand.
    here: HashSet<String>,
}

impl Before {
    /// Looks these people up; the first time everybody of the source is listed.
    fn look(&mut self, walk: &Walk, source: &Source, people: &[Listed]) -> ScriptResult<()> {
        let env = &walk.env;
        let known = match &mut self.known {
            Some(known) => known,
            none => {
                let listed =
                    MemberSet::list(&walk.client, env.in_flight, source.clone(), &env.scratch_folder);
                none.insert(env.block_on(listed).map_err(unknown)?)
            }
        };
        let openids: Vec<String> = people.iter().map(|person| person.openid.clone()).collect();
        self.here = env.block_on(known.intersect(&openids)).map_err(unknown)?;
        Ok(())
    }

    fn has(&self, person: &Listed) -> bool {
        self.here.contains(&person.openid)
    }
}

/// Puts a tag on or takes it off.
pub(crate) struct Tagging {
    pub tag: TagRef,
    /// Absent while no tag has the name.
    pub id: Option<i64>,
    pub attach: bool,
    /// When this job made it: nobody had it before.
    pub made: Option<Stopwatch>,
    pub before: Before,
    /// Somebody else has made it while this job looked for whom it is: people's details may not tell of it yet.
    pub is_found_late: bool,
}

impl Decide for Tagging {
    fn look(&mut self, walk: &Walk, people: &[Listed]) -> ScriptResult<()> {
        match self.id {
            Some(id) if self.is_found_late => self.before.look(walk, &Source::Members(id), people),
            // Openids alone tell nothing; a tag that is yet to be made, or that only a dry run has made, nobody has.
            Some(id)
                if id > 0 && self.made.is_none() && people.iter().any(|person| person.user.is_none()) =>
            {
                self.before.look(walk, &Source::Members(id), people)
            }
            _ => Ok(()),
        }
    }

    fn decide(&mut self, _env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let has_it = match person.user.as_ref().and_then(|user| user.tagid_list.as_ref()) {
            Some(tags) if !self.is_found_late => self.id.is_some_and(|id| tags.contains(&id)),
            _ => self.before.has(person),
        };
        Ok(if has_it == self.attach {
            Decision::Already
        } else {
            Decision::Change(ChangeItem::Openid(person.openid.clone()))
        })
    }

    fn begin(&mut self, walk: &Walk, known: Option<Change>) -> ScriptResult<()> {
        let env = &walk.env;
        self.id = match (known, &self.tag) {
            (Some(Change::Attach(id) | Change::Detach(id)), _) => Some(id),
            (_, TagRef::Name(name)) if self.attach => {
                env.tags()?.into_iter().find(|tag| tag.name == *name).map(|tag| tag.id)
            }
            (_, tag) => Some(tag.existing(env)?),
        };
        match (self.id, &self.tag) {
            (None, TagRef::Name(name)) => env.lock(&format!("the tag `{name}`")),
            (id, _) => env.lock(&format!("tag {}", id.unwrap_or_default())),
        }
    }

    fn ready(&mut self, walk: &Walk) -> ScriptResult<Change> {
        // Made only now: a job that matches nobody leaves no empty tag behind.
        if let (None, TagRef::Name(name)) = (self.id, &self.tag) {
            walk.reckon_for_all()?;
            walk.env.limits.allow_one().map_err(|limit| limit_reached(&limit))?;
            walk.step.enter_page(0);
            let made = journaled_call::make_tag(&walk.env, name);
            walk.step.leave_page(0);
            let (Tag { id, .. }, was_there) = made?;
            walk.env.lock(&format!("tag {id}"))?;
            self.id = Some(id);
            self.is_found_late = was_there;
            self.made = (!was_there).then(Stopwatch::start);
        }
        let id = self.id.unwrap_or_default();
        Ok(if self.attach { Change::Attach(id) } else { Change::Detach(id) })
    }

    fn made(&self) -> Option<Stopwatch> {
        self.made
    }

    fn must_look_again(&self) -> bool {
        self.is_found_late
    }
}

/// Sets the remark that a closure gives.
pub(crate) struct Remarking(pub Closure);

impl Decide for Remarking {
    fn decide(&mut self, env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let given = self.0.call(env, to_value(person))?;
        if given.is_unit() {
            return Ok(Decision::Skip);
        }
        let Ok(remark) = given.as_immutable_string_ref().map(|remark| remark.as_str().to_owned()) else {
            let message =
                format!("the closure of remark must give a string or (); it gave {}", describe_type(&given));
            return Err(
                ScriptError::usage(message, "write `()` for a follower to be left as they are").raise()
            );
        };
        let present = present_remark(person);
        if present == remark {
            return Ok(Decision::Already);
        }
        Ok(Decision::Change(ChangeItem::Remark(person.openid.clone(), remark, present.to_owned())))
    }

    fn begin(&mut self, _walk: &Walk, _known: Option<Change>) -> ScriptResult<()> {
        Ok(())
    }

    fn ready(&mut self, _walk: &Walk) -> ScriptResult<Change> {
        Ok(Change::Remark)
    }
}

fn present_remark(person: &Listed) -> &str {
    person.user.as_ref().and_then(|user| user.remark.as_deref()).unwrap_or_default()
}

/// Gives people the remark back that they had before a run, unless somebody has changed it since.
pub(crate) struct Restoring;

impl Decide for Restoring {
    fn decide(&mut self, _env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let Some(past) = &person.remark_change else { return Ok(Decision::Skip) };
        let present = present_remark(person);
        Ok(if present == past.old {
            Decision::Already
        } else if present == past.new {
            let (openid, old) = (person.openid.clone(), past.old.clone());
            Decision::Change(ChangeItem::Remark(openid, old, past.new.clone()))
        } else {
            Decision::Skip
        })
    }

    fn begin(&mut self, _walk: &Walk, _known: Option<Change>) -> ScriptResult<()> {
        Ok(())
    }

    fn ready(&mut self, _walk: &Walk) -> ScriptResult<Change> {
        Ok(Change::Remark)
    }
}

/// Puts people on the blacklist or takes them off.
pub(crate) struct Blocking {
    block: bool,
    /// They come from the blacklist: all of them are on it.
    are_blacklisted: bool,
    before: Before,
}

impl Blocking {
    pub(crate) fn of(audience: &Audience, block: bool) -> Self {
        let are_blacklisted = matches!(audience.origin, Origin::Blacklisted);
        Self { block, are_blacklisted, before: Before::default() }
    }
}

impl Decide for Blocking {
    fn look(&mut self, walk: &Walk, people: &[Listed]) -> ScriptResult<()> {
        if self.are_blacklisted { Ok(()) } else { self.before.look(walk, &Source::Blacklisted, people) }
    }

    fn decide(&mut self, _env: &RunEnv, person: &Listed) -> ScriptResult<Decision> {
        let is_blocked = self.are_blacklisted || self.before.has(person);
        Ok(if is_blocked == self.block {
            Decision::Already
        } else {
            Decision::Change(ChangeItem::Openid(person.openid.clone()))
        })
    }

    fn begin(&mut self, walk: &Walk, _known: Option<Change>) -> ScriptResult<()> {
        walk.env.block_on(walk.env.blacklist.invalidate());
        walk.env.lock("the blacklist")
    }

    fn ready(&mut self, _walk: &Walk) -> ScriptResult<Change> {
        Ok(if self.block { Change::Block } else { Change::Unblock })
    }
}
