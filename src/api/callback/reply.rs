//! Passive replies (被动回复用户消息): what the answer to a push shows the sender.

use super::{
    Error, Message,
    xml::{cdata, without_forbidden},
};
use serde_json::{Map, Value};

/// The longest text of a reply, in bytes of UTF-8. Whether exactly this many pass is not known.
pub const REPLY_TEXT_BYTES: usize = 2_048;

/// The most articles of a reply. In answer to a message that a user wrote, the platform shows
/// one since 2018.
pub const MAX_ARTICLES: usize = 8;

/// What is shown to the sender of a push.
///
/// No reply at all is the body `success`, not encrypted in any mode; anything else tells the
/// sender 该服务号暂时无法提供服务.
/// Source: 被动回复用户消息.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `text`.
    Text {
        /// Up to [`REPLY_TEXT_BYTES`].
        content: String,
    },
    /// `image`.
    Image {
        /// An uploaded picture.
        media_id: String,
    },
    /// `voice`.
    Voice {
        /// An uploaded voice.
        media_id: String,
    },
    /// `video`.
    Video {
        /// An uploaded video.
        media_id: String,
        /// Its title.
        title: Option<String>,
        /// Its description.
        description: Option<String>,
    },
    /// `music`.
    Music {
        /// Its title.
        title: Option<String>,
        /// Its description.
        description: Option<String>,
        /// Where it is.
        music_url: Option<String>,
        /// Where it is in better quality, for Wi-Fi.
        hq_music_url: Option<String>,
        /// An uploaded picture.
        thumb_media_id: String,
    },
    /// `news`: 1 to [`MAX_ARTICLES`].
    News {
        /// The articles.
        articles: Vec<Article>,
    },
    /// `transfer_customer_service`: hands the sender over to a person (客服).
    TransferCustomerService {
        /// Which one; any when absent.
        kf_account: Option<String>,
    },
}

/// An article of a `news` reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Article {
    /// Its title.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// Its picture.
    pub pic_url: String,
    /// Where it is.
    pub url: String,
}

/// A kind of reply as the platform spells it.
struct Shape {
    msg_type: &'static str,
    /// The element that its fields are wrapped in.
    group: Option<&'static str>,
    fields: &'static [&'static str],
}

const TEXT: Shape = Shape { msg_type: "text", group: None, fields: &["Content"] };
const IMAGE: Shape = Shape { msg_type: "image", group: Some("Image"), fields: &["MediaId"] };
const VOICE: Shape = Shape { msg_type: "voice", group: Some("Voice"), fields: &["MediaId"] };
const VIDEO: Shape =
    Shape { msg_type: "video", group: Some("Video"), fields: &["MediaId", "Title", "Description"] };
const MUSIC: Shape = Shape {
    msg_type: "music",
    group: Some("Music"),
    fields: &["Title", "Description", "MusicUrl", "HQMusicUrl", "ThumbMediaId"],
};
const NEWS: Shape = Shape { msg_type: "news", group: None, fields: &["Articles"] };
const TRANSFER: Shape =
    Shape { msg_type: "transfer_customer_service", group: Some("TransInfo"), fields: &["KfAccount"] };

/// Every kind of reply, with its fields in the platform's order.
const SHAPES: [&Shape; 7] = [&TEXT, &IMAGE, &VOICE, &VIDEO, &MUSIC, &NEWS, &TRANSFER];

/// The fields of an article.
const ARTICLE: [&str; 4] = ["Title", "Description", "PicUrl", "Url"];

impl Reply {
    /// Reads a reply from the platform's own names: `MsgType` and its kind's fields, either in
    /// their element (`Image: {MediaId}`) or beside `MsgType`. `Articles` is a list of objects
    /// with `Title`, `Description`, `PicUrl` and `Url`.
    ///
    /// # Errors
    /// For a kind or a field that there is not, and for one that is missing or of another type.
    pub fn from_fields(fields: &Map<String, Value>) -> Result<Self, Error> {
        let msg_type = match fields.get("MsgType") {
            Some(Value::String(msg_type)) => msg_type,
            Some(_) => return Err(Error::ReplyValue { field: "MsgType", wanted: "a text" }),
            None => return Err(Error::Missing { field: "MsgType" }),
        };
        let shape = SHAPES
            .iter()
            .find(|shape| shape.msg_type == msg_type)
            .ok_or_else(|| Error::ReplyType { msg_type: msg_type.clone() })?;
        let mut given = Given { shape, fields: Map::new() };
        for (name, value) in fields {
            match value {
                _ if name == "MsgType" => {}
                Value::Object(inner) if shape.group == Some(name) => {
                    for (name, value) in inner {
                        given.add(name, value)?;
                    }
                }
                value => given.add(name, value)?,
            }
        }
        Ok(match shape.msg_type {
            "image" => Self::Image { media_id: given.needed("MediaId")? },
            "voice" => Self::Voice { media_id: given.needed("MediaId")? },
            "video" => Self::Video {
                media_id: given.needed("MediaId")?,
                title: given.text("Title")?,
                description: given.text("Description")?,
            },
            "music" => Self::Music {
                title: given.text("Title")?,
                description: given.text("Description")?,
                music_url: given.text("MusicUrl")?,
                hq_music_url: given.text("HQMusicUrl")?,
                thumb_media_id: given.needed("ThumbMediaId")?,
            },
            "news" => Self::News { articles: given.articles()? },
            "transfer_customer_service" => {
                Self::TransferCustomerService { kf_account: given.text("KfAccount")? }
            }
            _ => Self::Text { content: given.needed("Content")? },
        })
    }

    /// The reply to `message` as XML: to its sender, from its account. `create_time` is now, in
    /// Unix seconds.
    ///
    /// # Errors
    /// When the message has no `FromUserName` or `ToUserName`, a text is too long, there are too
    /// many articles or none.
    pub fn to_xml(&self, message: &Message, create_time: i64) -> Result<String, Error> {
        let body = self.body()?;
        let there = |field, text: &'_ str| {
            let text = without_forbidden(text);
            if text.is_empty() { Err(Error::Missing { field }) } else { Ok(cdata(&text)) }
        };
        let to = there("FromUserName", message.from_user_name())?;
        let from = there("ToUserName", message.to_user_name())?;
        let shape = self.shape();
        Ok(format!(
            "<xml><ToUserName>{to}</ToUserName><FromUserName>{from}</FromUserName>\
             <CreateTime>{create_time}</CreateTime><MsgType>{}</MsgType>{body}</xml>",
            cdata(shape.msg_type)
        ))
    }

    fn shape(&self) -> &'static Shape {
        match self {
            Self::Text { .. } => &TEXT,
            Self::Image { .. } => &IMAGE,
            Self::Voice { .. } => &VOICE,
            Self::Video { .. } => &VIDEO,
            Self::Music { .. } => &MUSIC,
            Self::News { .. } => &NEWS,
            Self::TransferCustomerService { .. } => &TRANSFER,
        }
    }

    /// What follows `MsgType`.
    fn body(&self) -> Result<String, Error> {
        let values: Vec<Option<&str>> = match self {
            Self::Text { content } => {
                let bytes = without_forbidden(content).len();
                if bytes > REPLY_TEXT_BYTES {
                    return Err(Error::ReplyTooLong { bytes, max: REPLY_TEXT_BYTES });
                }
                vec![Some(content)]
            }
            Self::Image { media_id } | Self::Voice { media_id } => vec![Some(media_id)],
            Self::Video { media_id, title, description } => {
                vec![Some(media_id), title.as_deref(), description.as_deref()]
            }
            Self::Music { title, description, music_url, hq_music_url, thumb_media_id } => vec![
                title.as_deref(),
                description.as_deref(),
                music_url.as_deref(),
                hq_music_url.as_deref(),
                Some(thumb_media_id),
            ],
            Self::News { articles } => return news(articles),
            Self::TransferCustomerService { kf_account } => vec![kf_account.as_deref()],
        };
        let shape = self.shape();
        let elements = elements(shape.fields.iter().copied().zip(values));
        Ok(match shape.group {
            // Without a person to hand over to, there is no element for one.
            Some(_) if elements.is_empty() => elements,
            Some(group) => format!("<{group}>{elements}</{group}>"),
            None => elements,
        })
    }
}

fn news(articles: &[Article]) -> Result<String, Error> {
    if !(1..=MAX_ARTICLES).contains(&articles.len()) {
        return Err(Error::ReplyArticles { articles: articles.len(), max: MAX_ARTICLES });
    }
    let items = articles.iter().map(|article| {
        let values = [&article.title, &article.description, &article.pic_url, &article.url];
        let values = values.map(|value| Some(value.as_str()));
        format!("<item>{}</item>", elements(ARTICLE.into_iter().zip(values)))
    });
    let items: String = items.collect();
    Ok(format!("<ArticleCount>{}</ArticleCount><Articles>{items}</Articles>", articles.len()))
}

/// Elements for the values that are there.
fn elements<'a>(values: impl IntoIterator<Item = (&'static str, Option<&'a str>)>) -> String {
    let mut text = String::new();
    for (field, value) in values {
        let Some(value) = value else { continue };
        text.push_str(&format!("<{field}>{}</{field}>", cdata(&without_forbidden(value))));
    }
    text
}

/// The fields that were given for a reply of one kind.
struct Given {
    shape: &'static Shape,
    fields: Map<String, Value>,
}

impl Given {
    fn add(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        let (msg_type, fields) = (self.shape.msg_type, self.shape.fields);
        if !fields.contains(&name) {
            return Err(Error::ReplyField { msg_type, field: name.to_owned(), fields });
        }
        if self.fields.insert(name.to_owned(), value.clone()).is_some() {
            return Err(Error::Twice { field: name.to_owned() });
        }
        Ok(())
    }

    fn text(&self, field: &'static str) -> Result<Option<String>, Error> {
        text(&self.fields, field)
    }

    fn needed(&self, field: &'static str) -> Result<String, Error> {
        let text = self.text(field)?.filter(|text| !without_forbidden(text).is_empty());
        text.ok_or(Error::ReplyNeeds { msg_type: self.shape.msg_type, field })
    }

    fn articles(&self) -> Result<Vec<Article>, Error> {
        let wanted = "a list of objects with Title, Description, PicUrl and Url";
        let fault = Error::ReplyValue { field: "Articles", wanted };
        let msg_type = self.shape.msg_type;
        let articles = match self.fields.get("Articles") {
            Some(Value::Array(articles)) => articles,
            Some(_) => return Err(fault),
            None => return Err(Error::ReplyNeeds { msg_type, field: "Articles" }),
        };
        let article = |article: &Value| {
            let fields = article.as_object().ok_or(fault.clone())?;
            if let Some(field) = fields.keys().find(|name| !ARTICLE.contains(&name.as_str())) {
                return Err(Error::ReplyField { msg_type, field: field.clone(), fields: &ARTICLE });
            }
            let text = |field| text(fields, field).map(Option::unwrap_or_default);
            Ok(Article {
                title: text("Title")?,
                description: text("Description")?,
                pic_url: text("PicUrl")?,
                url: text("Url")?,
            })
        };
        articles.iter().map(article).collect()
    }
}

/// A field that holds text; `null` is the same as none.
fn text(fields: &Map<String, Value>, field: &'static str) -> Result<Option<String>, Error> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(Error::ReplyValue { field, wanted: "a text" }),
    }
}
