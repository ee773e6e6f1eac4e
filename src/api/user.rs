//! Followers: listed, looked at, given a remark.

pub mod rules;

use super::{
    DailyQuota, Field, FieldKind, FieldType, Permission,
    answer::{Empty, OpenidPage, check_count},
    endpoint::endpoint,
    errcode,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
};

/// Hands the fields of a follower, in the platform's order, to a macro: name, type, document.
#[macro_export]
macro_rules! for_each_user_field {
    ($each:ident) => {
        $each! {
            subscribe: i64, "1 for a follower, 0 for someone who is none (any more).";
            openid: String, "The follower's id for this account.";
            nickname: String, "Empty since 2021-12-27.";
            sex: i64, "0 since 2021.";
            language: String, "No longer given.";
            city: String, "Empty since 2021.";
            province: String, "Empty since 2021.";
            country: String, "Empty since 2021.";
            headimgurl: String, "Empty since 2021-12-27.";
            subscribe_time: i64, "When they last began to follow, in Unix seconds.";
            unionid: String, "The same person's id across the accounts of one Open Platform account.";
            remark: String, "The operator's own name for the follower (备注名).";
            groupid: i64, "Kept for the old groups; 0 without tags.";
            tagid_list: Vec<i64>, "The ids of the follower's tags.";
            subscribe_scene: String, "The channel that they came by, as in `ADD_SCENE_QR_CODE`.";
            qr_scene: i64, "The QR code's scene that they came by; 0 when it was none.";
            qr_scene_str: String, "The same for codes with a text scene.";
        }
    };
}

macro_rules! user_struct {
    ($( $field:ident : $kind:ty, $doc:literal; )*) => {
        /// A follower as `user/info` answers it. Which fields the platform leaves out has changed
        /// with the years, so each may be absent, and one that it adds is kept in `extra`.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct User {
            $( #[doc = $doc] #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>, )*
            /// Fields that this version does not know.
            #[serde(flatten)]
            pub extra: Map<String, Value>,
        }

        /// The follower's fields: what scripts can ask for.
        pub const FIELDS: &[Field] = &[$( Field {
            name: stringify!($field),
            kind: <$kind as FieldType>::KIND,
            required: false,
            doc: $doc,
        }, )*];

        // Written by hand: `flatten` would buffer every field of a million followers.
        impl<'de> Deserialize<'de> for User {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(field_identifier)]
                #[allow(non_camel_case_types, reason = "the variants are the wire's own names")]
                enum Name { $( $field, )* Other(String) }

                struct UserVisitor;
                impl<'de> Visitor<'de> for UserVisitor {
                    type Value = User;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a follower")
                    }
                    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<User, M::Error> {
                        let mut user = User::default();
                        while let Some(name) = map.next_key()? {
                            match name {
                                $( Name::$field => user.$field = map.next_value()?, )*
                                Name::Other(name) if name == "errcode" || name == "errmsg" => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                                Name::Other(name) => { user.extra.insert(name, map.next_value()?); }
                            }
                        }
                        Ok(user)
                    }
                }
                deserializer.deserialize_map(UserVisitor)
            }
        }
    };
}
for_each_user_field!(user_struct);

/// The channels that `subscribe_scene` names (关注渠道). The platform adds one now and then.
pub const CHANNELS: [&str; 13] = [
    "ADD_SCENE_SEARCH",
    "ADD_SCENE_ACCOUNT_MIGRATION",
    "ADD_SCENE_PROFILE_CARD",
    "ADD_SCENE_QR_CODE",
    "ADD_SCENE_PROFILE_LINK",
    "ADD_SCENE_PROFILE_ITEM",
    "ADD_SCENE_PAID",
    "ADD_SCENE_WECHAT_ADVERTISEMENT",
    "ADD_SCENE_REPRINT",
    "ADD_SCENE_LIVESTREAM",
    "ADD_SCENE_CHANNELS",
    "ADD_SCENE_WXA",
    "ADD_SCENE_OTHERS",
];

/// A field that a follower's details lack, and that is needed. It is not known to be empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the details of {openid} have no `{field}`")]
pub struct MissingField {
    /// The follower.
    pub openid: String,
    /// The field.
    pub field: &'static str,
}

impl User {
    /// The ids of their tags. A person who does not follow has none.
    ///
    /// # Errors
    /// The platform did not say.
    pub fn known_tags(&self) -> Result<&[i64], MissingField> {
        self.known("tagid_list", self.tagid_list.as_deref())
    }

    /// Their remark. A person who does not follow has none.
    ///
    /// # Errors
    /// The platform did not say.
    pub fn known_remark(&self) -> Result<&str, MissingField> {
        self.known("remark", self.remark.as_deref())
    }

    fn known<'a, T: ?Sized>(&self, field: &'static str, value: Option<&'a T>) -> Result<&'a T, MissingField>
    where
        &'a T: Default,
    {
        match value {
            Some(value) => Ok(value),
            None if self.subscribe == Some(0) => Ok(Default::default()),
            None => Err(MissingField { openid: self.openid.clone().unwrap_or_default(), field }),
        }
    }

    /// Whether they follow the account now.
    #[must_use]
    pub fn is_follower(&self) -> bool {
        self.subscribe == Some(1)
    }
}

/// One follower of a `user/info/batchget`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct UserRef {
    /// The follower's openid.
    pub openid: String,
    /// `zh_CN`, `zh_TW` or `en`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<Cow<'static, str>>,
}

impl FieldType for Vec<UserRef> {
    const KIND: FieldKind = FieldKind::UserList;
}

/// The answer of `user/info/batchget`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Users {
    /// In the order asked for; read each by its own openid all the same.
    pub user_info_list: Vec<User>,
}

fn check_openid(asked: &Info, user: &User) -> Result<(), String> {
    match &user.openid {
        Some(openid) if *openid == asked.openid => Ok(()),
        Some(_) => Err("it is about another openid".to_owned()),
        None => Err("`openid` is missing and must be the one that was asked for".to_owned()),
    }
}

fn check_openids(asked: &Batch, users: &Users) -> Result<(), String> {
    let asked: HashSet<&str> = asked.user_list.iter().map(|user| user.openid.as_str()).collect();
    let mut answered: HashMap<&str, &User> = HashMap::with_capacity(asked.len());
    for user in &users.user_info_list {
        let openid = user.openid.as_deref().unwrap_or_default();
        if !asked.contains(openid) {
            return Err("it has openids that were not asked for".to_owned());
        }
        if answered.insert(openid, user).is_some_and(|other| other != user) {
            return Err(format!("it has two different entries of {openid}"));
        }
    }
    match asked.len() - answered.len() {
        0 => Ok(()),
        missing => Err(format!("it lacks {missing} of the {} openids that were asked for", asked.len())),
    }
}

endpoint! {
    /// Gives one page of the account's followers, up to 10,000 openids.
    ///
    /// The last page still names its last openid as `next_openid`; the page after it has a count
    /// of 0 and no `data`. `followers()` goes through all pages.
    /// Source: 获取关注用户列表 (getFans).
    ///
    /// ```rhai
    /// let page = user::list();
    /// print(`${page.count} of ${page.total}, goes on after ${page.next_openid}`);
    /// ```
    "user::list" = read GET "/cgi-bin/user/get";
    request List {
        /// The last openid of the page before; from the start when absent.
        next_openid: Option<String>,
    }
    answer OpenidPage;
    cursor next_openid -> next_openid, page 10_000;
    records data.openid;
    verify check_count;
    attributes {
        daily: DailyQuota { real: Some(500), test: Some(100) },
        errors: &[-1, 40001, 40003, 40013, 41001, 42001, 45009, 48001, 50002, 268_487_002],
    }
}

endpoint! {
    /// Gives what the platform knows of one follower.
    ///
    /// Nickname, picture, sex and region are empty since 2021. Of a user who does not follow the
    /// account it gives `subscribe` 0, the openid and an empty `tagid_list`.
    /// Source: 获取用户基本信息 (getUserInfo).
    ///
    /// ```rhai
    /// let openid = user::list().data.openid[0];
    /// let u = user::info(openid);
    /// print(u.subscribe_scene);
    /// ```
    "user::info" = read GET "/cgi-bin/user/info";
    request Info {
        /// The follower's openid.
        openid: String,
        /// `zh_CN`, `zh_TW` or `en`; only for fields that are no longer given.
        lang: Option<String>,
    }
    answer User;
    verify check_openid;
    attributes {
        daily: DailyQuota { real: Some(5_000_000), test: Some(500_000) },
        errors: &[-1, 40001, 40003, 40013],
    }
}

endpoint! {
    /// Gives what the platform knows of several followers.
    ///
    /// One call takes 100 (40032); a longer list is cut into calls. A user who does not follow
    /// the account has an entry with `subscribe` 0.
    /// Source: 批量获取用户基本信息 (batchGetUserInfo).
    ///
    /// ```rhai
    /// let openids = user::list().data.openid;
    /// for u in user::batch(openids) {
    ///     if u.qr_scene == 98765 { print(u.openid); }
    /// }
    /// ```
    "user::batch" = read POST "/cgi-bin/user/info/batchget";
    request Batch {
        /// The followers: openids, or maps with `openid` and `lang`.
        user_list: Vec<UserRef>,
    }
    answer Users;
    list user_list: UserRef, 100 else errcode::INVALID_OPENID_LIST_SIZE;
    records user_info_list;
    verify check_openids;
    attributes {
        daily: DailyQuota { real: Some(5_000_000), test: Some(500_000) },
        errors: &[-1, 40001, 40003, 40013, 40032, 47001],
    }
}

endpoint! {
    /// Gives a follower a remark (备注名): the operator's own name for them.
    ///
    /// A remark is shorter than 30 bytes of UTF-8, so at most nine Chinese characters (40092).
    /// An empty one clears it. The follower's details may show the old one for a while.
    /// Source: 设置用户备注名 (updateRemark).
    ///
    /// ```rhai
    /// let openid = user::list().data.openid[0];
    /// user::remark(openid, "老客户");
    /// ```
    "user::remark" = write POST "/cgi-bin/user/info/updateremark";
    request Remark {
        /// The follower's openid.
        openid: String,
        /// The remark, shorter than 30 bytes of UTF-8.
        remark: String,
    }
    answer Empty;
    attributes {
        permission: Permission::CertifiedService,
        daily: DailyQuota { real: Some(10_000), test: None },
        errors: &[
            -1, 40001, 40003, 40013, 40092, 41001, 42001, 43002, 43004, 44002, 45009, 47001, 48001,
        ],
    }
}
