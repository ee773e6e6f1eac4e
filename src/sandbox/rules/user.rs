//! Followers: listed, looked at, given a remark.

use super::profile::Profile;
use crate::{
    api::{
        Paged, Violation,
        answer::{Empty, OpenidPage, Openids},
        errcode,
        user::{
            self, User, UserRef, Users,
            rules::{REMARK_BYTES, check_remark},
        },
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            openid::NoFollower,
            switches::{
                BLACKLISTED_IN_USER_GET, DUPLICATE_OPENIDS, LIST_PAGE, REMARK_OF_30_BYTES, USER_GET_ORDER,
            },
            world::{Cursor, World},
        },
    },
};
use std::collections::HashSet;

impl Simulate for user::List {
    fn simulate(self, world: &mut World) -> Result<OpenidPage, ApiError> {
        let cursor = world.cursor(self.next_openid.as_deref())?;
        let max = page_size(world, Self::PAGE);
        let everyone = 0..u32::try_from(world.followers.len()).unwrap_or(u32::MAX);
        let is_newest_first = world.switches.is(USER_GET_ORDER, "newest_first");
        let range = match (cursor, is_newest_first) {
            (Cursor::Start, _) => everyone,
            (Cursor::After(number), false) => number + 1..everyone.end,
            (Cursor::After(number), true) => 0..number,
            (Cursor::End, _) => 0..0,
        };
        let shows_blacklisted = world.switches.is(BLACKLISTED_IN_USER_GET, "yes");
        let listed = |number: &u32| {
            world.followers[*number as usize].listed
                && (shows_blacklisted || !world.blacklist.contains(number))
        };
        let numbers: Vec<u32> = if is_newest_first {
            range.rev().filter(listed).take(max).collect()
        } else {
            range.filter(listed).take(max).collect()
        };
        let mut page = page(world, &numbers);
        let hidden =
            world.blacklist.iter().filter(|number| world.followers[**number as usize].listed).count();
        let hidden = if shows_blacklisted { 0 } else { i64::try_from(hidden).unwrap_or_default() };
        page.total = Some(i64::from(world.listed) - hidden);
        // The page after the last one has no openid, and an empty `next_openid`.
        page.next_openid.get_or_insert_default();
        Ok(page)
    }
}

/// How many openids a page of a list has that may have `most`.
pub(crate) fn page_size(world: &World, max: usize) -> usize {
    world.switches.number(LIST_PAGE).unwrap_or(max).min(max)
}

/// A page of these followers; without `data` and `next_openid` when there are none.
pub(crate) fn page(world: &World, numbers: &[u32]) -> OpenidPage {
    let openid: Vec<String> = numbers.iter().map(|number| world.openids.openid(*number)).collect();
    OpenidPage {
        total: None,
        count: i64::try_from(openid.len()).unwrap_or(i64::MAX),
        next_openid: openid.last().cloned(),
        data: (!openid.is_empty()).then_some(Openids { openid }),
    }
}

impl Simulate for user::Info {
    fn simulate(self, world: &mut World) -> Result<User, ApiError> {
        let number = world.number(&self.openid).map_err(|_| ApiError::new(errcode::INVALID_OPENID))?;
        Ok(details(world, number, self.openid, self.lang.as_deref()))
    }
}

impl Simulate for user::Batch {
    fn simulate(self, world: &mut World) -> Result<Users, ApiError> {
        if !world.switches.is(DUPLICATE_OPENIDS, "accept") {
            refuse_duplicates(self.user_list.iter().map(|user| user.openid.as_str()))?;
        }
        let user_info_list = self
            .user_list
            .into_iter()
            .map(|UserRef { openid, lang }| match world.number(&openid) {
                Ok(number) => Ok(details(world, number, openid, lang.as_deref())),
                Err(NoFollower::Foreign) => Ok(not_following(openid)),
                Err(NoFollower::Malformed) => Err(ApiError::new(errcode::INVALID_OPENID)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Users { user_info_list })
    }
}

/// Refuses a list that names an openid twice.
pub(crate) fn refuse_duplicates<'a>(openids: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    for openid in openids {
        if !seen.insert(openid) {
            return Err(ApiError::new(errcode::INVALID_OPENID));
        }
    }
    Ok(())
}

/// A user who does not follow: `tagid_list` is there, nothing else.
fn not_following(openid: String) -> User {
    User { subscribe: Some(0), openid: Some(openid), tagid_list: Some(Vec::new()), ..User::default() }
}

/// A follower as user/info shows them: since 2021-12-27 every old key is there, but empty.
fn details(world: &World, number: u32, openid: String, lang: Option<&str>) -> User {
    let follower = &world.followers[number as usize];
    if !follower.subscribed {
        return not_following(openid);
    }
    let profile = Profile::new(world, number);
    // Groups are gone; groupid mirrors a tag, and which one of several is not known: the first.
    let groupid = follower.tags.first().copied().unwrap_or_default();
    User {
        subscribe: Some(1),
        openid: Some(openid),
        nickname: Some(profile.nickname),
        sex: Some(profile.sex),
        language: Some(lang.unwrap_or("zh_CN").to_owned()),
        city: Some(profile.city.to_owned()),
        province: Some(profile.province.to_owned()),
        country: Some(profile.country.to_owned()),
        headimgurl: Some(profile.headimgurl),
        subscribe_time: Some(follower.subscribe_time),
        unionid: world.unionid(number),
        remark: Some(follower.remark.as_deref().unwrap_or_default().to_owned()),
        groupid: Some(groupid),
        tagid_list: Some(follower.tags.clone()),
        subscribe_scene: Some(follower.channel.to_owned()),
        qr_scene: Some(i64::from(follower.qr_scene)),
        qr_scene_str: Some(follower.qr_scene_str.clone().into_owned()),
        extra: serde_json::Map::new(),
    }
}

impl Simulate for user::Remark {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        // What becomes of a remark of exactly 30 bytes is not documented.
        let is_accepted =
            self.remark.len() == REMARK_BYTES && world.switches.is(REMARK_OF_30_BYTES, "accept");
        check_remark(world.holder(&self.openid), if is_accepted { "" } else { &self.remark })?;
        let number = world.number(&self.openid).map_err(|_| Violation::InvalidOpenid)?;
        world.follower(number).remark = (!self.remark.is_empty()).then(|| self.remark.into_boxed_str());
        Ok(Empty::default())
    }
}
