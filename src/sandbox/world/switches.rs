//! What the platform's documents leave open: each question is a switch with a name, its possible
//! answers, and a default on the strict side, so that a script which passes here does not rely on
//! a kindness that the platform may not have.

use std::collections::BTreeMap;

/// A question that no primary page or recorded answer settles.
#[derive(Debug)]
pub struct Switch {
    /// Its name, as in `--switch NAME=VALUE`.
    pub name: &'static str,
    /// The question, as the collection of facts lists it.
    pub question: &'static str,
    /// The possible answers; a whole number up to a bound when there are none listed.
    pub values: Values,
    /// What is taken for true.
    pub default: &'static str,
    /// What the sandbox does with each answer.
    pub doc: &'static str,
}

/// What a switch can be set to.
#[derive(Debug)]
pub enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number from 0 to this.
    UpTo(u64),
}

/// A setting that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no such switch.
    #[error("there is no switch `{0}`")]
    Unknown(String),
    /// There is no such answer.
    #[error("switch `{name}` can't be `{value}`; it is {allowed}")]
    Value {
        /// The switch.
        name: &'static str,
        /// The value asked for.
        value: String,
        /// What it can be.
        allowed: String,
    },
}

macro_rules! switches {
    ($( $constant:ident = $name:literal, $question:literal, $values:expr, $default:literal, $doc:literal; )*) => {
        $( pub(crate) const $constant: &str = $name; )*

        /// Every switch.
        pub const SWITCHES: &[Switch] = &[$( Switch {
            name: $name, question: $question, values: $values, default: $default, doc: $doc,
        }, )*];
    };
}

use Values::{OneOf, UpTo};

switches! {
    TAGS_QUOTA = "tags_quota", "tags/* quotas", UpTo(u64::MAX), "100000",
        "calls a day of each tags/* and user/tag/* path";
    MALFORMED_OPENID = "malformed_openid", "which openid faults give 40003, 49003, 50005 or 45171 in batchtagging",
        OneOf(&["40003", "45171"]), "40003", "an openid that is not of an openid's form";
    FOREIGN_OPENID = "foreign_openid", "which openid faults give 40003, 49003, 50005 or 45171 in batchtagging",
        OneOf(&["49003", "40003", "45171"]), "49003", "a well-formed openid that belongs to no follower";
    GONE_OPENID = "gone_openid", "which openid faults give 40003, 49003, 50005 or 45171 in batchtagging",
        OneOf(&["50005", "40003", "45171", "ok"]), "50005", "the openid of a user who has unsubscribed";
    REMARK_OF_30_BYTES = "remark_of_30_bytes", "exactly 30 bytes for remark",
        OneOf(&["refuse", "accept"]), "refuse", "a remark of exactly 30 bytes";
    UPDATE_UNKNOWN_TAG = "update_unknown_tag", "tags/update with an unknown or unchanged name",
        OneOf(&["45159", "ok"]), "45159", "a rename of a tag that does not exist";
    UPDATE_UNCHANGED_NAME = "update_unchanged_name", "tags/update with an unknown or unchanged name",
        OneOf(&["45157", "ok"]), "45157", "a rename to the tag's present name";
    TAGS_AFTER_REFOLLOW = "tags_after_refollow", "tag state after unfollow/refollow",
        OneOf(&["dropped", "kept"]), "dropped", "the tags of a user who unsubscribed and subscribed again";
    BLACKLISTED_IN_USER_GET = "blacklisted_in_user_get", "blacklisted users in user/get",
        OneOf(&["no", "yes"]), "no", "whether the list of followers has those on the blacklist";
    USER_GET_ORDER = "user_get_order", "order of user/get",
        OneOf(&["oldest_first", "newest_first"]), "oldest_first", "the order of the list of followers";
    LIST_PAGE = "list_page", "pages of lists: full, or with fewer than the most (最多)",
        UpTo(10_000), "10000", "the most openids of one page of followers, of a tag's and of the blacklist";
    DEPARTED_CURSOR = "departed_cursor", "next_openid of a departed user",
        OneOf(&["continues", "empty_page", "40003"]), "continues", "a cursor that names a user who has unsubscribed";
    DUPLICATE_OPENIDS = "duplicate_openids", "duplicates in openid_list/user_list",
        OneOf(&["accept", "40003"]), "accept", "an openid that a list names twice";
    COUPON_ERRCODE = "coupon_errcode", "errcode for a coupon refused since 2021",
        OneOf(&["40071", "45160", "48001", "accept"]), "40071", "a coupon (GROUPON, CASH, DISCOUNT, GIFT, GENERAL_COUPON)";
    PICTURE_ERRCODE = "picture_errcode", "which of 40005, 40113 and 40137 a GIF yields",
        OneOf(&["40137", "40005", "40113"]), "40137", "an uploaded file that is neither PNG nor JPG";
    PROFILES = "profiles", "nickname, sex and region in user/info and sns/userinfo: empty today, given in 2020",
        OneOf(&["empty", "given"]), "empty", "whether a follower's details have a name, a sex and a place";
    ERRMSG_TAIL = "errmsg_tail", "what follows an error's text: a rid today, a hint alone in 2020",
        OneOf(&["rid", "hint"]), "rid", "`hint: […] rid: …` as it is today, or `hint: […]`";
    PUSH_ATTEMPTS = "push_tries", "3 pushes or 1+3",
        OneOf(&["3", "4"]), "3", "how often an unanswered push is sent";
    MINUTE_SECONDS = "minute_seconds", "seconds of a minute of quotas: fewer, for tests",
        UpTo(60), "60", "how long --minute-limit counts; for mpscript set MPSCRIPT_QUOTA_MINUTE";
    QUOTA_RESET_HOUR = "quota_reset_hour", "hour of the quota reset",
        UpTo(23), "0", "the hour, Beijing time, at which the daily quotas are reset";
    STRING_TAGID = "string_tagid", "string vs number tagid",
        OneOf(&["47001", "accept"]), "47001", "a number that is sent as a string";
    ESCAPED_NAMES = "escaped_names", "raw `\\u` handling in tags/* today",
        OneOf(&["decode", "literal", "40033"]), "decode", "a body with \\uXXXX escapes";
    EMPTY_BLACKLIST_PAGE = "empty_blacklist_page", "empty `data` of getblacklist",
        OneOf(&["absent", "present"]), "absent", "`data` of a page of the blacklist without anybody";
    BLACKLIST_PAGE = "blacklist_page", "page of getblacklist: 1,000 today, 10,000 in 2020",
        OneOf(&["1000", "10000"]), "1000", "the most openids of one page of the blacklist";
    BLACKLIST_GONE_OPENID = "blacklist_gone_openid", "batchblacklist with a non-follower",
        OneOf(&["40003", "ok"]), "40003", "blocking a user who has unsubscribed";
    TAGS_CONTENT_TYPE = "tags_content_type", "Content-Type of tags/* in 2026 (only 2022/2023 evidence for cgi-bin)",
        OneOf(&["json", "text"]), "json", "application/json or text/plain from tags/*";
    QRCODE_DEFAULT_SECONDS = "qrcode_default_seconds", "expire_seconds of a temporary code when absent: 30 or 60",
        OneOf(&["60", "30"]), "60", "how long a temporary code lasts when its call does not say";
    EMPTY_STATE = "empty_state", "state of the authorize page: optional, or 10013",
        OneOf(&["accept", "10013"]), "accept", "an authorize link without a state";
    AUTHORIZE_PAGE = "authorize_page", "errors of the authorize page that depend on the account's standing",
        OneOf(&["works", "10004", "10009", "10015"]), "works", "banned, called too often, or not authorized to a third party";
    CONNECTION = "connection", "`Connection: close` on every answer",
        OneOf(&["keep-alive", "close"]), "keep-alive", "whether a connection ends with its answer";
}

/// The settings of one sandbox.
#[derive(Clone, Debug, Default)]
pub struct Switches(BTreeMap<&'static str, String>);

/// The rules of 2020, where they differ from today's and a switch exists.
const OF_2020: [(&str, &str); 4] =
    [(BLACKLIST_PAGE, "10000"), (COUPON_ERRCODE, "accept"), (PROFILES, "given"), (ERRMSG_TAIL, "hint")];

impl Switches {
    /// The settings of `--rules 2020`: coupons can be made, followers have names, the blacklist has long
    /// pages, and an error has no rid.
    #[must_use]
    pub fn of_2020() -> Self {
        Self(OF_2020.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    /// Sets a switch.
    ///
    /// # Errors
    /// When there is no such switch, or it has no such value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SwitchError> {
        let switch = SWITCHES
            .iter()
            .find(|switch| switch.name == name)
            .ok_or_else(|| SwitchError::Unknown(name.to_owned()))?;
        let allowed = match switch.values {
            OneOf(values) if values.contains(&value) => None,
            OneOf(values) => Some(values.join(" or ")),
            UpTo(max) if value.parse().is_ok_and(|number: u64| number <= max) => None,
            UpTo(u64::MAX) => Some("a whole number".to_owned()),
            UpTo(max) => Some(format!("a whole number from 0 to {max}")),
        };
        if let Some(allowed) = allowed {
            return Err(SwitchError::Value { name: switch.name, value: value.to_owned(), allowed });
        }
        self.0.insert(switch.name, value.to_owned());
        Ok(())
    }

    /// What a switch is set to.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let default =
            || SWITCHES.iter().find(|switch| switch.name == name).map_or("", |switch| switch.default);
        self.0.get(name).map_or_else(default, String::as_str)
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }

    /// A switch that is a number: an errcode or a count. `ok` and `accept` are none.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).parse().ok()
    }
}
