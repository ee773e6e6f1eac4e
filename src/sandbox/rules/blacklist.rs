//! The blacklist: listed, added to, removed from.

use super::user::{page, page_size, refuse_duplicates};
use crate::{
    api::{
        Paged,
        answer::{Empty, OpenidPage, Openids},
        blacklist,
        user::rules::{Holder, check_block, check_unblock},
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            switches::{BLACKLIST_GONE_OPENID, BLACKLIST_PAGE, DUPLICATE_OPENIDS, EMPTY_BLACKLIST_PAGE},
            world::{Cursor, World},
        },
    },
};
use std::ops::Bound;

impl Simulate for blacklist::List {
    fn simulate(self, world: &mut World) -> Result<OpenidPage, ApiError> {
        let cursor = world.cursor(self.begin_openid.as_deref())?;
        let max = page_size(world, world.switches.number(BLACKLIST_PAGE).unwrap_or(Self::PAGE));
        let numbers: Vec<u32> = match cursor {
            Cursor::Start => world.blacklist.iter().copied().take(max).collect(),
            Cursor::After(number) => {
                let after = (Bound::Excluded(number), Bound::Unbounded);
                world.blacklist.range(after).copied().take(max).collect()
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
    /// Whom a blacklist call names.
    fn holders(&self, openids: &[String]) -> Result<Vec<Holder>, ApiError> {
        if !self.switches.is(DUPLICATE_OPENIDS, "accept") {
            refuse_duplicates(openids.iter().map(String::as_str))?;
        }
        Ok(openids.iter().map(|openid| self.holder(openid)).collect())
    }
}

impl Simulate for blacklist::Add {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        let holders = world.holders(&self.openid_list)?;
        // One bad openid refuses the whole call; whether an unsubscribed person is one is not documented.
        if world.switches.is(BLACKLIST_GONE_OPENID, "ok") {
            check_unblock(holders.iter().copied())?;
        } else {
            check_block(holders.iter().copied())?;
        }
        let numbers: Vec<u32> =
            self.openid_list.iter().filter_map(|openid| world.number(openid).ok()).collect();
        world.blacklist.extend(numbers);
        Ok(Empty::default())
    }
}

impl Simulate for blacklist::Remove {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        check_unblock(world.holders(&self.openid_list)?.into_iter())?;
        for openid in &self.openid_list {
            if let Ok(number) = world.number(openid) {
                world.blacklist.remove(&number);
            }
        }
        Ok(Empty::default())
    }
}
