//! Tags: made, listed, renamed, deleted, and put on followers.

use super::user::{page, page_size, refuse_duplicates};
use crate::{
    api::{
        Paged, Violation,
        answer::{Empty, OpenidPage},
        errcode,
        tag::{
            self, Tag, TagIds, Tags,
            rules::{check_changeable, check_create, check_delete, check_rename, check_room},
        },
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            switches::{DUPLICATE_OPENIDS, UPDATE_UNCHANGED_NAME, UPDATE_UNKNOWN_TAG},
            world::{Cursor, TagState, World},
        },
    },
};
use std::{collections::BTreeSet, ops::Bound};

impl World {
    /// Every tag by its id and name, for the rules.
    fn tag_names(&self) -> impl Iterator<Item = (i64, &str)> + Clone {
        self.tags.iter().map(|(id, tag)| (*id, tag.name.as_str()))
    }

    /// The tag, if it can be put on followers. The platform's own are 0 to 2, of which 2 can.
    fn tag(&mut self, id: i64) -> Result<&mut TagState, ApiError> {
        self.tags.get_mut(&id).ok_or_else(|| Violation::UnknownTag.into())
    }

    /// Followers and failures of a tagging call, after the checks that refuse it whole.
    fn tagging(&mut self, tagid: i64, openids: &[String]) -> Result<(Vec<u32>, Vec<String>), ApiError> {
        self.tag(tagid)?;
        if !self.switches.is(DUPLICATE_OPENIDS, "accept") {
            refuse_duplicates(openids.iter().map(String::as_str))?;
        }
        self.sort(openids)
    }
}

/// What a tagging call answers when some openids failed.
fn done(failed: Vec<String>) -> Result<Empty, ApiError> {
    if failed.is_empty() { Ok(Empty::default()) } else { Err(ApiError::partial(failed)) }
}

impl Simulate for tag::Create {
    fn simulate(self, world: &mut World) -> Result<Tag, ApiError> {
        check_create(&self.name, world.tag_names())?;
        let id = world.next_tag;
        world.next_tag += 1;
        world.tags.insert(id, TagState { name: self.name.clone(), members: BTreeSet::new() });
        Ok(Tag { id, name: self.name, count: None })
    }
}

impl Simulate for tag::List {
    fn simulate(self, world: &mut World) -> Result<Tags, ApiError> {
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
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        check_changeable(self.id)?;
        let is_ok = match world.tags.get(&self.id) {
            None => world.switches.is(UPDATE_UNKNOWN_TAG, "ok"),
            Some(tag) => tag.name == self.name && world.switches.is(UPDATE_UNCHANGED_NAME, "ok"),
        };
        if is_ok {
            return Ok(Empty::default());
        }
        check_rename(self.id, &self.name, world.tag_names())?;
        world.tag(self.id)?.name = self.name;
        Ok(Empty::default())
    }
}

impl Simulate for tag::Delete {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        check_delete(self.id, world.tags.get(&self.id).map(|tag| tag.members.len() as u64))?;
        let members = world.tags.remove(&self.id).map(|tag| tag.members).unwrap_or_default();
        for number in members {
            world.follower(number).tags.retain(|tag| *tag != self.id);
        }
        Ok(Empty::default())
    }
}

impl Simulate for tag::Members {
    fn simulate(self, world: &mut World) -> Result<OpenidPage, ApiError> {
        let cursor = world.cursor(self.next_openid.as_deref())?;
        let max = page_size(world, Self::PAGE);
        let members = &world.tag(self.tagid)?.members;
        let numbers: Vec<u32> = match cursor {
            Cursor::Start => members.iter().copied().take(max).collect(),
            Cursor::After(number) => {
                members.range((Bound::Excluded(number), Bound::Unbounded)).copied().take(max).collect()
            }
            Cursor::End => Vec::new(),
        };
        Ok(page(world, &numbers))
    }
}

impl Simulate for tag::Attach {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        let (followers, failed) = world.tagging(self.tagid, &self.openid_list)?;
        for number in &followers {
            check_room(&world.followers[*number as usize].tags, self.tagid)?;
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
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        let (followers, failed) = world.tagging(self.tagid, &self.openid_list)?;
        for number in followers {
            world.tag(self.tagid)?.members.remove(&number);
            world.follower(number).tags.retain(|tag| *tag != self.tagid);
        }
        done(failed)
    }
}

impl Simulate for tag::Of {
    fn simulate(self, world: &mut World) -> Result<TagIds, ApiError> {
        let number = world.number(&self.openid).map_err(|_| ApiError::new(errcode::INVALID_OPENID))?;
        Ok(TagIds { tagid_list: world.follower(number).tags.clone() })
    }
}
