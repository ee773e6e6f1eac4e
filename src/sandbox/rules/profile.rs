//! What people say of themselves: empty in user/info today, and without a sex and a place in
//! sns/userinfo; given in both in 2020.

use crate::sandbox::world::{switches::PROFILES, world::World};

/// Names that people give themselves; some are hard to show.
const NICKNAMES: [&str; 8] = ["小明", "王芳", "李 雷", "Zoë", "张三🌸", "阿Q", "👨‍👩‍👧", "一二三四五六七八九十"];

/// Cities with their provinces.
const CITIES: [(&str, &str); 4] =
    [("广州", "广东"), ("揭阳", "广东"), ("苏州", "江苏"), ("浦东新区", "上海")];

/// A user's name, face, sex and place.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub nickname: String,
    pub headimgurl: String,
    /// 1 is male, 2 female, 0 unknown.
    pub sex: i64,
    pub city: &'static str,
    pub province: &'static str,
    pub country: &'static str,
}

impl Profile {
    /// What user/info shows of a follower.
    pub(crate) fn new(world: &World, number: u32) -> Self {
        if world.switches.is(PROFILES, "given") { Self::whole(number) } else { Self::default() }
    }

    /// What sns/userinfo shows of a user who has authorized it.
    pub(crate) fn authorized(world: &World, number: u32) -> Self {
        let whole = Self::whole(number);
        if world.switches.is(PROFILES, "given") {
            return whole;
        }
        // 2021-10: sex and place are no longer given.
        Self { nickname: whole.nickname, headimgurl: whole.headimgurl, ..Self::default() }
    }

    fn whole(number: u32) -> Self {
        let (city, province) = CITIES[number as usize % CITIES.len()];
        Self {
            nickname: nickname(number).to_owned(),
            headimgurl: format!("https://thirdwx.qlogo.cn/mmopen/vi_32/sandbox{number}/132"),
            sex: i64::from(number % 3),
            city,
            province,
            country: "中国",
        }
    }
}

/// A user's name.
pub(crate) fn nickname(number: u32) -> &'static str {
    NICKNAMES[number as usize % NICKNAMES.len()]
}
