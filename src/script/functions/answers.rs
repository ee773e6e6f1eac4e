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
    /// Its type with the keys of its maps, where scripts see maps.
    const SHAPE: &'static str = Self::KIND;
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
    ($($answer:ty: $gives:literal, $shape:literal),* $(,)?) => {
        $( impl ToScript for $answer {
            const KIND: &'static str = "Map";
            const GIVES: &'static str = $gives;
            const SHAPE: &'static str = $shape;
            fn to_script(self) -> Dynamic {
                to_dynamic(&self)
            }
        } )*
    };
}

maps! {
    OpenidPage: "a map: `total`, `count`, `data.openid` (no `data` when the page is empty), `next_openid`",
        "Map{total: int, count: int, data: Map{openid: Array<String>}, next_openid: String}",
    Profile: "a map: `openid`, `nickname`, `headimgurl`, `sex`, `province`, `city`, `country`, `privilege`, `unionid`",
        "Map{openid: String, nickname: String, headimgurl: String, sex: int, province: String, city: String, \
         country: String, privilege: Array<String>, unionid: String}",
    Ticket: "a map: `ticket`, `expire_seconds`, `url`", "Map{ticket: String, expire_seconds: int, url: String}",
    NetworkReport: "a map: `dns` and `ping`, each an array of maps",
        "Map{dns: Array<Map{ip: String, real_operator: String}>, \
         ping: Array<Map{ip: String, from_operator: String, package_loss: String, time: String}>}",
    Uploaded: "a map: `url`", "Map{url: String}",
}

impl ToScript for Created {
    const KIND: &'static str = "Map";
    const GIVES: &'static str = "a map: `card_id`";
    const SHAPE: &'static str = "Map{card_id: String}";
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
    const SHAPE: &'static str = "Map{quota: Map{daily_limit: int, used: int, remain: int}, \
         rate_limit: Map{call_count: int, refresh_second: int}}";
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
    const SHAPE: &'static str = "Map{invoke_time: int, cost_in_ms: int, request_url: String, request_body: String, \
         response_body: String, client_ip: String}";
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            network::{Dns, Ping},
            quota::{Quota, RateLimit},
            rid::Request,
        },
        script::host::value_type::{Keys, ValueType},
    };
    use rhai::Map;

    /// The keys of a value's maps and of the maps in them, as the shape declares them.
    #[track_caller]
    fn assert_same_keys(shape: &ValueType, value: &Dynamic) {
        match shape {
            ValueType::Map(declared) if declared.keys == Keys::Declared => {
                let map = value.clone().cast::<Map>();
                let given: Vec<String> = map.keys().map(ToString::to_string).collect();
                assert_eq!(given, declared.fields.keys().cloned().collect::<Vec<_>>());
                for (key, field) in &declared.fields {
                    assert_same_keys(field, &map[key.as_str()]);
                }
            }
            ValueType::List(entry) => {
                let list = value.clone().cast::<Array>();
                for value in &list {
                    assert_same_keys(entry, value);
                }
            }
            declared => assert_eq!(ValueType::of_value(value), *declared, "{value:?}"),
        }
    }

    #[track_caller]
    fn assert_shape<A: ToScript>(answer: A) {
        let shape = ValueType::declared(A::SHAPE);
        assert_same_keys(&shape, &answer.to_script());
        let ValueType::Map(map) = shape else { panic!("{} is no map", A::SHAPE) };
        let untold: Vec<&String> = map.fields.keys().filter(|key| !A::GIVES.contains(key.as_str())).collect();
        assert_eq!(untold, Vec::<&String>::new(), "{}", A::GIVES);
    }

    #[test]
    fn shape_of_an_answer_is_that_of_its_map() {
        let text = || "甲".to_owned();
        let openids = crate::api::answer::Openids { openid: vec![text()] };
        assert_shape(OpenidPage { total: Some(1), count: 1, data: Some(openids), next_openid: Some(text()) });
        assert_shape(Profile { privilege: vec![text()], unionid: Some(text()), ..Profile::default() });
        assert_shape(Ticket { ticket: text(), expire_seconds: Some(60), url: text() });
        let (dns, ping) = (Some(vec![Dns::default()]), Some(vec![Ping::default()]));
        assert_shape(NetworkReport { dns, ping });
        assert_shape(Uploaded { url: text() });
        assert_shape(Created { card_id: text(), ..Created::default() });
        let (quota, rate_limit) = (Quota::default(), Some(RateLimit::default()));
        assert_shape(Quotas { quota, rate_limit, ..Quotas::default() });
        let request = Request { client_ip: Some(text()), ..Request::default() };
        assert_shape(RidInfo { request, ..RidInfo::default() });
    }
}
