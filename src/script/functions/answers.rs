//! Answers of the platform as a script sees them.

use crate::{
    api::{
        answer::{Empty, OpenidPage},
        card::Created,
        media::Uploaded,
        network::{IpList, NetworkReport},
        oauth::{Grant, Profile},
        qrcode::Ticket,
        quota::Quotas,
        rid::RidInfo,
        tag::{Tag, TagIds, Tags},
        token::Token,
        user::{User, Users},
    },
    script::host::value::{Follower, OpaqueToken, to_dynamic},
};
use rhai::{Array, Dynamic};
use serde_json::{Map, json};
use std::sync::Arc;

/// An answer as a script sees it: the platform's field names, typed where it pays.
pub(super) trait ToScript {
    /// Its type in a script.
    const KIND: &'static str;
    /// What it holds, for the reference.
    const GIVES: &'static str;
    fn to_script(self) -> Dynamic;
}

impl ToScript for Empty {
    const KIND: &'static str = "()";
    const GIVES: &'static str = "nothing";
    fn to_script(self) -> Dynamic {
        Dynamic::UNIT
    }
}

impl ToScript for Token {
    const KIND: &'static str = "Token";
    const GIVES: &'static str = "a `Token`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(OpaqueToken::from(self))
    }
}

impl ToScript for Grant {
    const KIND: &'static str = "Grant";
    const GIVES: &'static str = "a `Grant`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(self)
    }
}

/// Answers that are maps to a script, field by field.
macro_rules! maps {
    ($($answer:ty: $gives:literal),* $(,)?) => {
        $( impl ToScript for $answer {
            const KIND: &'static str = "Map";
            const GIVES: &'static str = $gives;
            fn to_script(self) -> Dynamic {
                to_dynamic(&self)
            }
        } )*
    };
}

maps! {
    OpenidPage: "a map: `total`, `count`, `data.openid` (no `data` when the page is empty), `next_openid`",
    Profile: "a map: `openid`, `nickname`, `headimgurl`, `sex`, `province`, `city`, `country`, `privilege`, `unionid`",
    Ticket: "a map: `ticket`, `expire_seconds`, `url`",
    NetworkReport: "a map: `dns` and `ping`, each an array of maps",
    Uploaded: "a map: `url`",
}

impl ToScript for Created {
    const KIND: &'static str = "Map";
    const GIVES: &'static str = "a map: `card_id`";
    fn to_script(self) -> Dynamic {
        to_dynamic(&json!({"card_id": self.card_id}))
    }
}

impl ToScript for User {
    const KIND: &'static str = "User";
    const GIVES: &'static str = "a `User`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(Follower(Arc::new(self)))
    }
}

impl ToScript for Users {
    const KIND: &'static str = "Array<User>";
    const GIVES: &'static str = "an array of `User`";
    fn to_script(self) -> Dynamic {
        self.user_info_list.into_iter().map(User::to_script).collect::<Array>().into()
    }
}

impl ToScript for Tag {
    const KIND: &'static str = "Tag";
    const GIVES: &'static str = "a `Tag`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(self)
    }
}

impl ToScript for Tags {
    const KIND: &'static str = "Array<Tag>";
    const GIVES: &'static str = "an array of `Tag`";
    fn to_script(self) -> Dynamic {
        self.tags.into_iter().map(Tag::to_script).collect::<Array>().into()
    }
}

impl ToScript for Quotas {
    const KIND: &'static str = "Map";
    const GIVES: &'static str = "a map: `quota` with `daily_limit`, `used` and `remain`; `rate_limit` with `call_count` and `refresh_second`";
    fn to_script(self) -> Dynamic {
        let mut map = Map::new();
        map.insert("quota".to_owned(), json!(self.quota));
        map.extend(self.rate_limit.map(|limit| ("rate_limit".to_owned(), json!(limit))));
        to_dynamic(&map)
    }
}

impl ToScript for RidInfo {
    const KIND: &'static str = "Map";
    const GIVES: &'static str =
        "a map: `invoke_time`, `cost_in_ms`, `request_url`, `request_body`, `response_body`, `client_ip`";
    fn to_script(self) -> Dynamic {
        to_dynamic(&self.request)
    }
}

impl ToScript for IpList {
    const KIND: &'static str = "Array<String>";
    const GIVES: &'static str = "an array of addresses";
    fn to_script(self) -> Dynamic {
        self.ip_list.into_iter().map(Dynamic::from).collect::<Array>().into()
    }
}

impl ToScript for TagIds {
    const KIND: &'static str = "Array<int>";
    const GIVES: &'static str = "an array of ids";
    fn to_script(self) -> Dynamic {
        self.tagid_list.into_iter().map(Dynamic::from).collect::<Array>().into()
    }
}
