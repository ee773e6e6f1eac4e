//! The blacklist: listed, added to, removed from.

use super::user::{page, refuse_duplicates};
use crate::{
    api::{
        Paged,
        answer::{Done, OpenidPage, Openids},
        blacklist, errcode,
    },
    sandbox::{
        http::route::Simulate,
        world::{
            api_error::Refusal,
            openid::NoFollower,
            switches::{BLACKLIST_GONE_OPENID, BLACKLIST_PAGE, DUPLICATE_OPENIDS, EMPTY_BLACKLIST_PAGE},
            world::{Cursor, World},
        },
    },
};
use std::ops::Bound;

/// The openid is well-formed and of nobody here.
const FOREIGN: i64 = 49003;

impl Simulate for blacklist::List {
    fn simulate(self, world: &mut World) -> Result<OpenidPage, Refusal> {
        let cursor = world.cursor(self.begin_openid.as_deref())?;
        let most = world.switches.number(BLACKLIST_PAGE).unwrap_or(Self::PAGE);
        let numbers: Vec<u32> = match cursor {
            Cursor::Start => world.blacklist.iter().copied().take(most).collect(),
            Cursor::After(number) => {
                let after = (Bound::Excluded(number), Bound::Unbounded);
                world.blacklist.range(after).copied().take(most).collect()
            }
            Cursor::End => Vec::new(),
        };
        let mut page = page(world, &numbers);
        page.total = i64::try_from(world.blacklist.len()).ok();
        page.next_openid.get_or_insert_default();
        if page.data.is_none() && world.switches.is(EMPTY_BLACKLIST_PAGE, "present") {
            page.data = Some(Openids::default());
        }
        Ok(page)
    }
}

impl World {
    /// The people whom a blacklist call names; one bad openid refuses the whole call.
    fn named(&self, openids: &[String]) -> Result<Vec<u32>, Refusal> {
        if !self.switches.is(DUPLICATE_OPENIDS, "accept") {
            refuse_duplicates(openids.iter().map(String::as_str))?;
        }
        openids
            .iter()
            .map(|openid| {
                self.number(openid).map_err(|fault| match fault {
                    NoFollower::Malformed => Refusal::new(errcode::INVALID_OPENID),
                    NoFollower::Foreign => Refusal::new(FOREIGN),
                })
            })
            .collect()
    }
}

impl Simulate for blacklist::Add {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        let people = world.named(&self.openid_list)?;
        let is_gone = |number: &u32| !world.followers[*number as usize].subscribed;
        if people.iter().any(is_gone) && !world.switches.is(BLACKLIST_GONE_OPENID, "ok") {
            return Err(Refusal::new(errcode::INVALID_OPENID));
        }
        world.blacklist.extend(people);
        Ok(Done::default())
    }
}

impl Simulate for blacklist::Remove {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        for number in world.named(&self.openid_list)? {
            world.blacklist.remove(&number);
        }
        Ok(Done::default())
    }
}
