//! What the platform pushes: messages (接收普通消息) and events (接收事件推送).

use super::{
    Error,
    xml::{self, Content, Fields},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// What a field of a push holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A whole number of up to 64 bits.
    Integer,
    /// A number with a fraction.
    Decimal,
    /// Fields of its own.
    Group,
}

/// A field that pushes are known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushField {
    /// The platform's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it is, and whose.
    pub doc: &'static str,
}

macro_rules! fields {
    ($( $name:literal $kind:ident $doc:literal; )*) => {
        /// Every field that a message or an event is known to have. One that the platform adds is
        /// kept all the same, as text or as a group.
        pub const FIELDS: &[PushField] = &[$( PushField { name: $name, kind: Kind::$kind, doc: $doc } ),*];
    };
}

fields! {
    "ToUserName" Text "The account's original id, `gh_…`.";
    "FromUserName" Text "The sender's openid.";
    "CreateTime" Integer "When it was sent, in Unix seconds.";
    "MsgType" Text "`text`, `image`, `voice`, `video`, `shortvideo`, `location`, `link` or `event`.";
    "Encrypt" Text "The same push encrypted, in compatible mode.";
    "MsgId" Integer "A message's id, the same when it is pushed again.";
    "Content" Text "A text message's text.";
    "BusinessId" Text "A text message's, where a business sent it.";
    "PicUrl" Text "Where an image is.";
    "MediaId" Text "An image's, a voice's or a video's id.";
    "Format" Text "A voice's format, as in `amr`.";
    "Recognition" Text "What was understood of a voice; empty where recognition is off.";
    "ThumbMediaId" Text "The id of a video's still.";
    "Location_X" Decimal "A location's latitude.";
    "Location_Y" Decimal "A location's longitude.";
    "Scale" Integer "A location's zoom.";
    "Label" Text "A location in words.";
    "Title" Text "A link's title.";
    "Description" Text "A link's description.";
    "Url" Text "Where a link leads.";
    "Event" Text "Which event: `subscribe`, `unsubscribe`, `SCAN`, `LOCATION`, `CLICK`, `VIEW`, …";
    "EventKey" Text "A code's scene (with `qrscene_` before it on `subscribe`), a menu's key or URL.";
    "Ticket" Text "The ticket of the code that was scanned.";
    "Latitude" Decimal "`LOCATION`: the latitude.";
    "Longitude" Decimal "`LOCATION`: the longitude.";
    "Precision" Decimal "`LOCATION`: the precision in metres.";
    "MenuId" Text "The menu's id, for menus that differ by follower.";
    "ScanCodeInfo" Group "`scancode_push`, `scancode_waitmsg`: what was scanned.";
    "ScanType" Text "In `ScanCodeInfo`: as in `qrcode`.";
    "ScanResult" Text "In `ScanCodeInfo`: what the code says.";
    "SendPicsInfo" Group "`pic_sysphoto`, `pic_photo_or_album`, `pic_weixin`: which pictures were sent.";
    "Count" Integer "In `SendPicsInfo` and the like: how many.";
    "PicList" Group "In `SendPicsInfo`: an `item` for each picture, an array.";
    "PicMd5Sum" Text "In an `item` of `PicList`: the picture's MD5.";
    "MsgID" Integer "`TEMPLATESENDJOBFINISH`, `MASSSENDJOBFINISH`: the id of what was sent.";
    "Status" Text "How it went: `success`, `send success`, `failed:user block`, `err(30003)`.";
    "TotalCount" Integer "`MASSSENDJOBFINISH`: how many it was for.";
    "FilterCount" Integer "`MASSSENDJOBFINISH`: how many were left after filters.";
    "SentCount" Integer "`MASSSENDJOBFINISH`: how many it reached.";
    "ErrorCount" Integer "`MASSSENDJOBFINISH`: how many it did not reach.";
    "CopyrightCheckResult" Group "`MASSSENDJOBFINISH`: what the check for originality said.";
    "ArticleUrlResult" Group "`MASSSENDJOBFINISH`: where the articles are.";
    "ResultList" Group "In those two: an `item` for each article, an array.";
    "PublishEventInfo" Group "`PUBLISHJOBFINISH`: what became of a publication.";
    "article_detail" Group "In `PublishEventInfo`: an `item` for each article, an array.";
    "fail_idx" Integer "In `PublishEventInfo`: the articles that were refused, an array of their numbers.";
    "SubscribeMsgPopupEvent" Group "`subscribe_msg_popup_event`: what the follower chose in the dialog.";
    "SubscribeMsgChangeEvent" Group "`subscribe_msg_change_event`: what the follower changed later.";
    "SubscribeMsgSentEvent" Group "`subscribe_msg_sent_event`: what became of a message.";
    "List" Group "In those three: an entry for each template, an array.";
    "TemplateId" Text "In an entry of `List`: the template's id.";
    "SubscribeStatusString" Text "In an entry of `List`: `accept` or `reject`.";
    "OpenID" Text "`user_authorization_revoke`: whose authorization.";
    "AppID" Text "`user_authorization_revoke`: which application's.";
    "RevokeInfo" Text "`user_authorization_revoke`: what was revoked.";
    "CardId" Text "A card event's card.";
    "IsGiveByFriend" Integer "`user_get_card`: 1 when a friend gave it.";
    "UserCardCode" Text "The card's code.";
    "FriendUserName" Text "The friend's openid.";
    "OuterId" Text "`user_get_card`: the scene that it was handed out in, as a number.";
    "OldUserCardCode" Text "`user_get_card`: its code before it was given on.";
    "OuterStr" Text "The scene that it was handed out in.";
    "IsRestoreMemberCard" Integer "`user_get_card`: 1 when a deleted member card came back.";
    "IsRecommendByFriend" Integer "`user_get_card`: 1 when a friend recommended it.";
    "UnionId" Text "The person's id across the accounts of one Open Platform account.";
    "ConsumeSource" Text "`user_consume_card`: by what, as in `FROM_API`.";
    "LocationName" Text "`user_consume_card`: the shop.";
    "StaffOpenId" Text "`user_consume_card`: who took it.";
    "VerifyCode" Text "`user_consume_card`: the code that was shown.";
    "RemarkAmount" Text "`user_consume_card`: the amount that was noted.";
    "RefuseReason" Text "`card_not_pass_check`: why.";
    "IsReturnBack" Integer "`user_gifting_card`: 1 when it came back.";
    "IsChatRoom" Integer "`user_gifting_card`: 1 when it went to a group.";
    "Detail" Text "`card_sku_remind`: the warning.";
}

/// Elements of which there may be any number, as (parent, element): an array however many there are.
const REPEATED: &[(&str, &str)] = &[
    ("PicList", "item"),
    ("ResultList", "item"),
    ("article_detail", "item"),
    ("PublishEventInfo", "fail_idx"),
    ("SubscribeMsgPopupEvent", LIST),
    ("SubscribeMsgChangeEvent", LIST),
    ("SubscribeMsgSentEvent", LIST),
    ("AroundBeacons", "AroundBeacon"),
];

const LIST: &str = "List";

/// The platform's name for an entry, also in lists that are not known.
pub(crate) const ENTRY: &str = "item";

/// What a parent may have any number of.
pub(crate) fn repeated_in(parent: &str) -> impl Iterator<Item = &'static str> {
    REPEATED.iter().filter(move |(of, _)| *of == parent).map(|(_, element)| *element)
}

/// Whether an element is an array under its parent, however many there are.
pub(crate) fn is_repeated(parent: &str, element: &str) -> bool {
    element == ENTRY || repeated_in(parent).any(|repeated| repeated == element)
}

/// The kind of a field at any depth; text where it is not known.
fn kind_of(name: &str) -> Kind {
    FIELDS.iter().find(|field| field.name == name).map_or(Kind::Text, |field| field.kind)
}

/// The scene of a QR code (带参数的二维码).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScene<'a> {
    /// A number from 1 to 4,294,967,295 (`scene_id`).
    Id(u32),
    /// Any other text (`scene_str`). A push does not tell a text of digits from a number.
    Str(&'a str),
}

/// A message or an event, with every field that came.
///
/// Serialises to an object of the platform's names, in the push's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    fields: Fields,
}

impl Message {
    /// Reads a pushed XML of plaintext or compatible mode, or what [`super::Keys::open`] gave.
    ///
    /// # Errors
    /// When it is too long ([`super::MAX_BYTES`]), too deep ([`super::MAX_DEPTH`]) or no XML of
    /// the platform's, when a known field is there twice, when `MsgType` is missing, and
    /// [`Error::Encrypted`] for a push in safe mode.
    pub fn parse(xml: &[u8]) -> Result<Self, Error> {
        let fields = xml::parse(xml)?;
        for (name, content) in &fields {
            if matches!(content, Content::List(_)) && FIELDS.iter().any(|field| field.name == name) {
                return Err(Error::Twice { field: name.clone() });
            }
        }
        let message = Self { fields };
        match (message.text("MsgType"), message.text("Encrypt")) {
            (Some(_), _) => Ok(message),
            (None, Some(_)) => Err(Error::Encrypted),
            (None, None) => Err(Error::Missing { field: "MsgType" }),
        }
    }

    /// The account's original id, `gh_…`; empty if absent.
    #[must_use]
    pub fn to_user_name(&self) -> &str {
        self.text("ToUserName").unwrap_or_default()
    }

    /// The sender's openid; empty if absent.
    #[must_use]
    pub fn from_user_name(&self) -> &str {
        self.text("FromUserName").unwrap_or_default()
    }

    /// When it was sent, in Unix seconds.
    #[must_use]
    pub fn create_time(&self) -> Option<i64> {
        self.integer("CreateTime")
    }

    /// `text`, `image`, …, `event`.
    #[must_use]
    pub fn msg_type(&self) -> &str {
        self.text("MsgType").unwrap_or_default()
    }

    /// Which event it is, as the platform spells it: `subscribe`, `SCAN`.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.text("Event")
    }

    /// The event's key; empty on a plain `subscribe`.
    #[must_use]
    pub fn event_key(&self) -> Option<&str> {
        self.text("EventKey")
    }

    /// A text message's text.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.text("Content")
    }

    /// A message's id; events have none.
    #[must_use]
    pub fn msg_id(&self) -> Option<i64> {
        self.integer("MsgId")
    }

    /// The scene of the QR code that the user came by (`subscribe` with `qrscene_…`) or scanned
    /// (`SCAN`).
    #[must_use]
    pub fn scene(&self) -> Option<EventScene<'_>> {
        let key = self.event_key()?;
        let scene = match self.event()? {
            "subscribe" => key.strip_prefix("qrscene_")?,
            "SCAN" => key,
            _ => return None,
        };
        let is_number = scene.bytes().all(|byte| byte.is_ascii_digit()) && !scene.starts_with('0');
        match scene.parse() {
            Ok(id) if is_number => Some(EventScene::Id(id)),
            _ => Some(scene).filter(|scene| !scene.is_empty()).map(EventScene::Str),
        }
    }

    /// The text of a field, whatever its kind; nothing for a group.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.content_of(name)? {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A field by the platform's name, known or not: text, a number where its kind says so, an
    /// object for a group, an array for elements that may repeat, however many there are, and for those
    /// that do. A number that is none, or is too large for 64 bits, stays text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        self.content_of(name).map(|content| to_value("xml", name, content))
    }

    fn content_of(&self, name: &str) -> Option<&Content> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, content)| content)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, content) in &self.fields {
            map.serialize_entry(name, &to_value("xml", name, content))?;
        }
        map.end()
    }
}

fn to_value(parent: &str, name: &str, content: &Content) -> Value {
    let value = as_it_came(name, content);
    if is_repeated(parent, name) && !value.is_array() { vec![value].into() } else { value }
}

fn as_it_came(name: &str, content: &Content) -> Value {
    match content {
        Content::Text(text) if text.trim().is_empty() && repeated_in(name).next().is_some() => {
            group_to_value(name, &[])
        }
        Content::Text(text) => {
            let number = match kind_of(name) {
                Kind::Integer => text.trim().parse::<i64>().ok().map(Value::from),
                Kind::Decimal => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
                Kind::Text | Kind::Group => None,
            };
            number.unwrap_or_else(|| Value::from(text.as_str()))
        }
        Content::List(list) => list.iter().map(|content| as_it_came(name, content)).collect(),
        Content::Group(fields) => group_to_value(name, fields),
    }
}

fn group_to_value(name: &str, fields: &[(String, Content)]) -> Value {
    let of_name = |(field, content): &(String, Content)| (field.clone(), to_value(name, field, content));
    let mut group: Map<_, _> = fields.iter().map(of_name).collect();
    for element in repeated_in(name) {
        group.entry(element).or_insert_with(|| Value::Array(Vec::new()));
    }
    group.into()
}
