//! Tags: made, listed, renamed, deleted, and put on followers.

use super::user::{page, refuse_duplicates};
use crate::{
    api::{
        Paged,
        answer::{Done, OpenidPage},
        errcode,
        tag::{
            self, MOST_FOLLOWERS_TO_DELETE, MOST_TAGS, MOST_TAGS_OF_A_FOLLOWER, NAME_BYTES, STARRED, Tag,
            TagIds, Tags,
        },
    },
    sandbox::{
        http::route::Simulate,
        world::{
            api_error::Refusal,
            switches::{DUPLICATE_OPENIDS, UPDATE_UNCHANGED_NAME, UPDATE_UNKNOWN_TAG},
            world::{Cursor, TagState, World},
        },
    },
};
use std::{collections::BTreeSet, ops::Bound};

/// Names of the platform's own groups, which no tag may take.
const RESERVED_NAMES: [&str; 3] = ["未分组", "黑名单", "星标组"];

const INVALID_TAG: i64 = 45159;
const SYSTEM_TAG: i64 = 45058;

impl World {
    /// Whether a tag may be called `name`.
    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if name.len() > NAME_BYTES {
            return Err(Refusal::new(45158));
        }
        let is_taken = self.tags.values().any(|tag| tag.name == name);
        if name.trim().is_empty() || RESERVED_NAMES.contains(&name) || is_taken {
            return Err(Refusal::new(errcode::INVALID_TAG_NAME));
        }
        Ok(())
    }

    /// The tag, if it can be put on followers. The platform's own are 0 to 2, of which 2 can.
    fn tag(&mut self, id: i64) -> Result<&mut TagState, Refusal> {
        self.tags.get_mut(&id).ok_or_else(|| Refusal::new(INVALID_TAG))
    }

    /// Followers and failures of a tagging call, after the checks that refuse it whole.
    fn tagging(&mut self, tagid: i64, openids: &[String]) -> Result<(Vec<u32>, Vec<String>), Refusal> {
        self.tag(tagid)?;
        if !self.switches.is(DUPLICATE_OPENIDS, "accept") {
            refuse_duplicates(openids.iter().map(String::as_str))?;
        }
        self.sort(openids)
    }
}

/// What a tagging call answers when some openids failed.
fn done(failed: Vec<String>) -> Result<Done, Refusal> {
    if failed.is_empty() { Ok(Done::default()) } else { Err(Refusal::partial(failed)) }
}

/// The platform's own tags can't be changed.
fn refuse_system(id: i64) -> Result<(), Refusal> {
    if (0..=STARRED).contains(&id) { Err(Refusal::new(SYSTEM_TAG)) } else { Ok(()) }
}

impl Simulate for tag::Create {
    fn simulate(self, world: &mut World) -> Result<Tag, Refusal> {
        world.check_name(&self.name)?;
        let own = world.tags.keys().filter(|id| **id > STARRED).count();
        if own >= MOST_TAGS {
            return Err(Refusal::new(45056));
        }
        let id = world.next_tag;
        world.next_tag += 1;
        world.tags.insert(id, TagState { name: self.name.clone(), members: BTreeSet::new() });
        Ok(Tag { id, name: self.name, count: None })
    }
}

impl Simulate for tag::List {
    fn simulate(self, world: &mut World) -> Result<Tags, Refusal> {
        let tags = world
            .tags
            .iter()
            .map(|(id, tag)| Tag {
                id: *id,
                name: tag.name.clone(),
                count: i64::try_from(tag.members.len()).ok(),
            })
            .collect();
        Ok(Tags { tags })
    }
}

impl Simulate for tag::Update {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        refuse_system(self.id)?;
        match world.tags.get(&self.id) {
            None if world.switches.is(UPDATE_UNKNOWN_TAG, "ok") => return Ok(Done::default()),
            None => return Err(Refusal::new(INVALID_TAG)),
            Some(tag) if tag.name == self.name && world.switches.is(UPDATE_UNCHANGED_NAME, "ok") => {
                return Ok(Done::default());
            }
            Some(_) => world.check_name(&self.name)?,
        }
        world.tag(self.id)?.name = self.name;
        Ok(Done::default())
    }
}

impl Simulate for tag::Delete {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        refuse_system(self.id)?;
        if world.tag(self.id)?.members.len() as u64 > MOST_FOLLOWERS_TO_DELETE {
            return Err(Refusal::new(45057));
        }
        let members = world.tags.remove(&self.id).map(|tag| tag.members).unwrap_or_default();
        for number in members {
            world.follower(number).tags.retain(|tag| *tag != self.id);
        }
        Ok(Done::default())
    }
}

impl Simulate for tag::Members {
    fn simulate(self, world: &mut World) -> Result<OpenidPage, Refusal> {
        let cursor = world.cursor(self.next_openid.as_deref())?;
        let members = &world.tag(self.tagid)?.members;
        let numbers: Vec<u32> = match cursor {
            Cursor::Start => members.iter().copied().take(Self::PAGE).collect(),
            Cursor::After(number) => {
                members.range((Bound::Excluded(number), Bound::Unbounded)).copied().take(Self::PAGE).collect()
            }
            Cursor::End => Vec::new(),
        };
        Ok(page(world, &numbers))
    }
}

impl Simulate for tag::Attach {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        let (followers, failed) = world.tagging(self.tagid, &self.openid_list)?;
        let is_full = |number: &u32| {
            let tags = &world.followers[*number as usize].tags;
            tags.len() >= MOST_TAGS_OF_A_FOLLOWER && !tags.contains(&self.tagid)
        };
        if followers.iter().any(is_full) {
            return Err(Refusal::new(45059));
        }
        for number in followers {
            if world.tag(self.tagid)?.members.insert(number) {
                world.follower(number).tags.push(self.tagid);
            }
        }
        done(failed)
    }
}

impl Simulate for tag::Detach {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        let (followers, failed) = world.tagging(self.tagid, &self.openid_list)?;
        for number in followers {
            world.tag(self.tagid)?.members.remove(&number);
            world.follower(number).tags.retain(|tag| *tag != self.tagid);
        }
        done(failed)
    }
}

impl Simulate for tag::Of {
    fn simulate(self, world: &mut World) -> Result<TagIds, Refusal> {
        let number = world.number(&self.openid).map_err(|_| Refusal::new(errcode::INVALID_OPENID))?;
        Ok(TagIds { tagid_list: world.follower(number).tags.clone() })
    }
}
