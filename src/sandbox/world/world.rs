//! The state of one account on the platform.

use super::{
    api_error::{ApiError, Speaker},
    codes::Codes,
    faults::Faults,
    grants::Grants,
    openid::{NoFollower, Openids, push_characters},
    options::Options,
    quota::Usage,
    rejected::RejectedRequests,
    switches::{
        DEPARTED_CURSOR, ERRMSG_TAIL, FOREIGN_OPENID, GONE_OPENID, MALFORMED_OPENID, Switches,
        TAGS_AFTER_REFOLLOW,
    },
    tokens::TokenBook,
};
use crate::{
    api::{
        Spec, Violation,
        card::Card,
        errcode,
        tag::rules::{FIRST_ID, STARRED, check_taggable},
        user::rules::Holder,
    },
    base::Clock,
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// One in this many listed followers has unsubscribed: `user/get` still lists them, their details say `subscribe` 0.
const ONE_UNSUBSCRIBED_IN: u32 = 1_000;

/// Limit of people who come after the first followers.
const MAX_NEWCOMERS: usize = 100_000;

/// One in this many followers is starred from the start.
const ONE_STARRED_IN: u32 = 500;

/// The first follower came on 2020-01-01, the last before 2026.
const FIRST_DAY: i64 = 1_577_836_800;
const SIX_YEARS: i64 = 6 * 365 * 24 * 3600;

/// Messages have ids of 64 bits.
const FIRST_MESSAGE: i64 = 23_892_468_385_179_204;

/// Channels of followers who scanned no code with a scene.
const CHANNELS: [&str; 8] = [
    "ADD_SCENE_SEARCH",
    "ADD_SCENE_PROFILE_CARD",
    "ADD_SCENE_PROFILE_LINK",
    "ADD_SCENE_PROFILE_ITEM",
    "ADD_SCENE_PAID",
    "ADD_SCENE_WECHAT_ADVERTISEMENT",
    "ADD_SCENE_CHANNELS",
    "ADD_SCENE_OTHERS",
];
pub(crate) const BY_QR_CODE: &str = "ADD_SCENE_QR_CODE";

/// Scenes of the codes that are not asked for: numbers, and texts.
const OTHER_SCENES: std::ops::Range<u32> = 1_001..1_041;
const TEXT_SCENES: [&str; 4] = ["展台-01", "展台-02", "门店-上海", "spring-fair"];

/// One person whom the account knows.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Follows the account now.
    pub subscribed: bool,
    /// `user/get` lists them.
    pub listed: bool,
    pub subscribe_time: i64,
    pub channel: &'static str,
    pub qr_scene: u32,
    pub qr_scene_str: Cow<'static, str>,
    pub tags: Vec<i64>,
    pub remark: Option<Box<str>>,
}

/// A tag with its followers by number.
#[derive(Debug)]
pub(crate) struct TagState {
    pub name: String,
    pub members: BTreeSet<u32>,
}

/// The state of the account.
pub(crate) struct World {
    pub options: Options,
    pub switches: Switches,
    pub clock: Clock,
    pub openids: Openids,
    pub followers: Vec<Follower>,
    /// How many `user/get` lists.
    pub listed: u32,
    pub tags: BTreeMap<i64, TagState>,
    pub next_tag: i64,
    pub blacklist: BTreeSet<u32>,
    pub oauth: Grants,
    pub codes: Codes,
    /// Cards with their ids, the oldest first.
    pub cards: Vec<(String, Card)>,
    /// The id of the last message that was pushed.
    message_id: i64,
    pub rejected: RejectedRequests,
    /// When daily quotas were cleared.
    pub clears: Vec<i64>,
    pub tokens: TokenBook,
    pub usage: Usage,
    pub faults: Faults,
    pub calls: HashMap<String, u64>,
    random: fastrand::Rng,
}

impl World {
    /// The world of these options; the same options make the same world.
    pub(crate) fn new(options: Options, clock: Clock) -> Self {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let mut followers = seed_followers(&options, &mut random);
        let scenes = options.scenes();
        let in_scenes = seed_scenes(&mut followers, &scenes, &mut random);
        seed_unsubscribed(&mut followers, &in_scenes, &mut random);
        let starred = seed_starred(&mut followers);
        Self {
            switches: options.switches.clone(),
            openids: Openids::new(options.seed),
            listed: options.followers,
            followers,
            tags: BTreeMap::from([(STARRED, TagState { name: "星标组".to_owned(), members: starred })]),
            next_tag: FIRST_ID,
            blacklist: BTreeSet::new(),
            oauth: Grants::default(),
            codes: Codes::default(),
            cards: Vec::new(),
            message_id: FIRST_MESSAGE,
            rejected: RejectedRequests::default(),
            clears: Vec::new(),
            tokens: TokenBook::default(),
            usage: Usage::default(),
            faults: Faults::default(),
            calls: HashMap::new(),
            options,
            clock,
            random,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_secs()
    }

    /// The id of a request: its second, and two numbers of its own.
    pub(crate) fn rid(&mut self) -> String {
        format!("{:08x}-{:08x}-{:08x}", self.now(), self.random.u32(..), self.random.u32(..))
    }

    /// The body of a rejected call.
    pub(crate) fn error_body(&mut self, error: &ApiError, spec: &Spec, rid: &str) -> Value {
        let speaker = error.speaker(spec);
        let tail = self.message_tail(speaker, rid);
        error.body(speaker, &self.switches, &tail)
    }

    /// The tail of a message. `sns` writes `, rid:` where the others write ` rid:`; in 2020 there was no rid.
    fn message_tail(&mut self, speaker: Speaker, rid: &str) -> String {
        match (self.switches.is(ERRMSG_TAIL, "rid"), speaker) {
            (true, Speaker::Sns) => format!(", rid: {rid}"),
            (true, Speaker::Gateway) => format!(" rid: {rid}"),
            (true, Speaker::Business) => {
                format!(" hint: [{}-{}] rid: {rid}", self.characters(6), self.characters(6))
            }
            (false, Speaker::Sns) => format!(", hints: [ req_id: {} ]", self.characters(14)),
            (false, Speaker::Gateway | Speaker::Business) => format!(" hint: [{}]", self.characters(14)),
        }
    }

    /// `count` random characters of base64url.
    pub(crate) fn characters(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        let mut left = count;
        while left > 0 {
            let now = left.min(20);
            push_characters(&mut text, self.random.u128(..), now);
            left -= now;
        }
        text
    }

    /// `count` random digits, the first of which is not 0.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|at| char::from(b'0' + self.random.u8(u8::from(at == 0)..10))).collect()
    }

    /// Bytes for an envelope; a sandbox's need not be unforeseeable.
    pub(crate) fn random_bytes(&mut self) -> [u8; 16] {
        self.random.u128(..).to_be_bytes()
    }

    /// The account's original id (原始ID), `gh_` and twelve hexadecimal digits: the same for the same AppID.
    pub(crate) fn original_id(&self) -> String {
        format!("gh_{:0>12.12}", self.options.appid.trim_start_matches("wx"))
    }

    /// A message's id, larger than every one before.
    pub(crate) fn next_message_id(&mut self) -> i64 {
        self.message_id += 1;
        self.message_id
    }

    /// The follower's number, whether they follow or not.
    pub(crate) fn number(&self, openid: &str) -> Result<u32, NoFollower> {
        let number = self.openids.number(openid)?;
        if (number as usize) < self.followers.len() { Ok(number) } else { Err(NoFollower::Foreign) }
    }

    /// The number of an openid that a control call names.
    pub(crate) fn resolve_openid(&self, openid: &str) -> Result<u32, String> {
        self.number(openid).map_err(|_| format!("`{openid}` is no openid of this account"))
    }

    pub(crate) fn follower(&mut self, number: u32) -> &mut Follower {
        &mut self.followers[number as usize]
    }

    /// A person's id across the accounts of one Open Platform account, if there is one.
    pub(crate) fn unionid(&self, number: u32) -> Option<String> {
        self.options.unionid.then(|| Openids::new(!self.options.seed).openid(number))
    }

    /// Adds a person who has never followed the account; the error says that there are too many.
    pub(crate) fn newcomer(&mut self) -> Result<u32, String> {
        if self.followers.len() >= self.options.followers as usize + MAX_NEWCOMERS {
            return Err(format!(
                "{MAX_NEWCOMERS} people have come already; POST /__sandbox/reset removes them"
            ));
        }
        let number = u32::try_from(self.followers.len()).unwrap_or(u32::MAX);
        self.followers.push(Follower {
            subscribed: false,
            listed: false,
            subscribe_time: 0,
            channel: CHANNELS[0],
            qr_scene: 0,
            qr_scene_str: Cow::Borrowed(""),
            tags: Vec::new(),
            remark: None,
        });
        Ok(number)
    }

    /// Where a listing continues after `openid` (exclusive).
    pub(crate) fn cursor(&self, openid: Option<&str>) -> Result<Cursor, ApiError> {
        let Some(openid) = openid.filter(|openid| !openid.is_empty()) else { return Ok(Cursor::Start) };
        let number = self.number(openid).map_err(|_| ApiError::new(errcode::INVALID_OPENID))?;
        let departed = !self.followers[number as usize].listed;
        match self.switches.get(DEPARTED_CURSOR) {
            "40003" if departed => Err(ApiError::new(errcode::INVALID_OPENID)),
            "empty_page" if departed => Ok(Cursor::End),
            _ => Ok(Cursor::After(number)),
        }
    }

    /// Splits a write's openids into followers and failures by the switches: one bad openid rejects the whole call, unless
    /// the switch only reports it (45171).
    pub(crate) fn sort(&self, openids: &[String]) -> Result<(Vec<u32>, Vec<String>), ApiError> {
        let mut good = Vec::with_capacity(openids.len());
        let mut failed = Vec::new();
        for openid in openids {
            let Err(violation) = check_taggable(self.holder(openid)) else {
                good.extend(self.number(openid));
                continue;
            };
            let switch = match violation {
                Violation::MalformedOpenid => MALFORMED_OPENID,
                Violation::ForeignOpenid => FOREIGN_OPENID,
                _ => GONE_OPENID,
            };
            match self.switches.get(switch) {
                "ok" => {}
                "45171" => failed.push(openid.clone()),
                errcode => {
                    return Err(errcode.parse().map_or_else(|_| violation.into(), ApiError::new));
                }
            }
        }
        Ok((good, failed))
    }

    /// What an openid names, for the rules.
    pub(crate) fn holder(&self, openid: &str) -> Holder {
        match self.number(openid) {
            Ok(number) if self.followers[number as usize].subscribed => Holder::Follower,
            Ok(_) => Holder::Unsubscribed,
            Err(NoFollower::Malformed) => Holder::Malformed,
            Err(NoFollower::Foreign) => Holder::Foreign,
        }
    }

    /// A person subscribes.
    pub(crate) fn subscribe(&mut self, number: u32) {
        let now = self.now();
        let follower = self.follower(number);
        if follower.listed && follower.subscribed {
            return;
        }
        let was_listed = std::mem::replace(&mut follower.listed, true);
        follower.subscribed = true;
        follower.subscribe_time = now;
        self.listed += u32::from(!was_listed);
    }

    /// A follower unsubscribes. Their tags go, unless the switch keeps them.
    pub(crate) fn unsubscribe(&mut self, number: u32) {
        let keeps_tags = self.switches.is(TAGS_AFTER_REFOLLOW, "kept");
        let follower = self.follower(number);
        let was_listed = std::mem::replace(&mut follower.listed, false);
        follower.subscribed = false;
        let tags = if keeps_tags { Vec::new() } else { std::mem::take(&mut follower.tags) };
        for tag in tags {
            if let Some(tag) = self.tags.get_mut(&tag) {
                tag.members.remove(&number);
            }
        }
        self.listed -= u32::from(was_listed);
    }
}

/// Where a listing continues.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cursor {
    Start,
    After(u32),
    End,
}

/// Followers from all channels but the requested scenes.
fn seed_followers(options: &Options, random: &mut fastrand::Rng) -> Vec<Follower> {
    let scenes = options.scenes();
    let is_requested = |scene: u32| scenes.iter().any(|(id, _)| *id == scene);
    let step = SIX_YEARS / i64::from(options.followers.max(1));
    (0..options.followers)
        .map(|number| {
            let mut follower = Follower {
                subscribed: true,
                listed: true,
                subscribe_time: FIRST_DAY + i64::from(number) * step + random.i64(0..step.max(1)),
                channel: CHANNELS[random.usize(..CHANNELS.len())],
                qr_scene: 0,
                qr_scene_str: Cow::Borrowed(""),
                tags: Vec::new(),
                remark: None,
            };
            match random.u8(0..10) {
                0..4 => {
                    let scene = random.u32(OTHER_SCENES);
                    follower.channel = BY_QR_CODE;
                    follower.qr_scene = if is_requested(scene) { 0 } else { scene };
                }
                4 => {
                    follower.channel = BY_QR_CODE;
                    follower.qr_scene_str = TEXT_SCENES[random.usize(..TEXT_SCENES.len())].into();
                }
                _ => {}
            }
            follower
        })
        .collect()
}

/// Assigns each scene its followers, spread over the whole list; gives the chosen ones.
fn seed_scenes(
    followers: &mut [Follower],
    scenes: &[(u32, u32)],
    random: &mut fastrand::Rng,
) -> BTreeSet<usize> {
    let mut numbers: Vec<usize> = (0..followers.len()).collect();
    let wanted = scenes.iter().map(|(_, count)| *count as usize).sum::<usize>().min(numbers.len());
    // The first steps of a Fisher-Yates shuffle choose without repetition.
    for at in 0..wanted {
        let other = random.usize(at..numbers.len());
        numbers.swap(at, other);
    }
    let mut chosen = numbers[..wanted].iter();
    for (scene, count) in scenes {
        for number in chosen.by_ref().take(*count as usize) {
            let follower = &mut followers[*number];
            follower.channel = BY_QR_CODE;
            follower.qr_scene = *scene;
            follower.qr_scene_str = Cow::Borrowed("");
        }
    }
    numbers[..wanted].iter().copied().collect()
}

/// A few have unsubscribed and are still listed; none of the requested scenes, whose counts are exact.
fn seed_unsubscribed(followers: &mut [Follower], in_scenes: &BTreeSet<usize>, random: &mut fastrand::Rng) {
    let few = followers.len() / ONE_UNSUBSCRIBED_IN as usize;
    let available = followers.len().saturating_sub(in_scenes.len());
    let mut left = few.min(available);
    while left > 0 {
        let number = random.usize(..followers.len());
        if followers[number].subscribed && !in_scenes.contains(&number) {
            followers[number].subscribed = false;
            left -= 1;
        }
    }
}

fn seed_starred(followers: &mut [Follower]) -> BTreeSet<u32> {
    let mut starred = BTreeSet::new();
    for (number, follower) in (0_u32..).zip(followers).skip(7).step_by(ONE_STARRED_IN as usize) {
        if follower.subscribed {
            follower.tags.push(STARRED);
            starred.insert(number);
        }
    }
    starred
}
