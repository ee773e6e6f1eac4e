//! What an endpoint is, and the small macro that spells one.

use super::Violation;
use crate::base::Secret;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

/// The HTTP method of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fields travel in the query.
    Get,
    /// Fields travel as a JSON body.
    Post,
    /// A POST whose one field is a file: `multipart/form-data`.
    Upload,
}

impl Method {
    /// `GET` or `POST`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post | Self::Upload => "POST",
        }
    }
}

/// What proves who calls. The caller adds it to the request; it is no field of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `access_token` in the query, whatever the method.
    AccessToken,
    /// `grant_type`, `appid` and `secret` beside the fields: in a GET's query, in a POST's body.
    AppSecret {
        /// The `grant_type` that this endpoint takes.
        grant_type: &'static str,
    },
    /// `grant_type` and `appid` beside the fields, without the secret.
    AppId {
        /// The `grant_type` that this endpoint takes.
        grant_type: &'static str,
    },
    /// A person's token of the web authorization, which is a field of the request.
    UserToken,
}

/// A secret that a request or an answer carries: its form on the wire is the text itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct WireSecret(pub Secret);

impl Serialize for WireSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

/// Whether a call changes the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Nothing is changed.
    Read,
    /// Something is changed.
    Write,
}

/// [`CallKind`] as a type, so that code which is generic over endpoints asks the compiler, not the [`Spec`]: what a
/// write endpoint needs beyond a read one is then a bound that is checked for each endpoint.
pub trait CallMode {
    /// The same as a value.
    const KIND: CallKind;
}

/// What a dry run does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDryRun {
    /// It is sent: it leaves everything as it was.
    Sent,
    /// It is not sent.
    NotSent,
    /// It is not sent with this flag set.
    NotSentWith(&'static str),
}

/// Marks an endpoint that changes nothing.
#[derive(Debug)]
pub enum Reads {}

/// Marks an endpoint that changes the account.
#[derive(Debug)]
pub enum Writes {}

/// Marks an endpoint that changes nothing of the account, but uses something up: a code, or the token of other programs.
#[derive(Debug)]
pub enum Consumes {}

impl CallMode for Reads {
    const KIND: CallKind = CallKind::Read;
}

impl CallMode for Writes {
    const KIND: CallKind = CallKind::Write;
}

impl CallMode for Consumes {
    const KIND: CallKind = CallKind::Read;
}

/// Whether a request whose answer was lost may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Twice is the same as once.
    Idempotent,
    /// Look first whether it took effect.
    VerifyFirst,
    /// A person must decide.
    Never,
}

/// Which accounts have an endpoint; others get 48001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Every account.
    Any,
    /// 公众号 or 服务号, certified only (仅认证).
    Certified,
    /// Certified 服务号 only.
    CertifiedService,
}

/// How many calls a day an account has before 45009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyQuota {
    /// A new account's limit; more followers have more. `None` where the platform publishes none.
    pub real: Option<u64>,
    /// The test account's (测试号) limit.
    pub test: Option<u64>,
}

/// A list in a request that the platform bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimit {
    /// The request's field.
    pub field: &'static str,
    /// The most entries of one call.
    pub max: usize,
    /// The errcode for more (and for none).
    pub errcode: i64,
}

impl ListLimit {
    /// Whether a list of this many entries fits into one call.
    ///
    /// # Errors
    /// It is empty or too long.
    pub const fn check(&self, entries: usize) -> Result<(), Violation> {
        if entries == 0 || entries > self.max { Err(Violation::ListSize(self.errcode)) } else { Ok(()) }
    }
}

/// How the pages of a listing follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The request's field: the last openid of the page before (exclusive).
    pub request: &'static str,
    /// The answer's field.
    pub answer: &'static str,
    /// The most entries of one page.
    pub page: usize,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// UTF-8 text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Flag,
    /// A token that a script holds without seeing it.
    Token,
    /// An object with fields of its own.
    Map,
    /// A file; scripts give its path.
    File,
    /// A list of texts.
    TextList,
    /// A list of whole numbers.
    IntegerList,
    /// A list of `{openid, lang}`; scripts may give plain openids.
    UserList,
}

impl FieldKind {
    /// The kind in words, with its article.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Flag => "true or false",
            Self::Token => "a token",
            Self::Map => "a map",
            Self::File => "a file's path",
            Self::TextList => "an array of strings",
            Self::IntegerList => "an array of integers",
            Self::UserList => "an array of openids",
        }
    }
}

/// One field of a request or of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What it is for.
    pub doc: &'static str,
}

/// The Rust type of a field says its kind.
pub trait FieldType {
    /// What it holds.
    const KIND: FieldKind;
    /// Whether it must be given.
    const REQUIRED: bool = true;
}

impl FieldType for String {
    const KIND: FieldKind = FieldKind::Text;
}
impl FieldType for i64 {
    const KIND: FieldKind = FieldKind::Integer;
}
impl FieldType for WireSecret {
    const KIND: FieldKind = FieldKind::Token;
}
impl FieldType for bool {
    const KIND: FieldKind = FieldKind::Flag;
}
impl FieldType for Vec<String> {
    const KIND: FieldKind = FieldKind::TextList;
}
impl FieldType for Vec<i64> {
    const KIND: FieldKind = FieldKind::IntegerList;
}
impl<T: FieldType> FieldType for Option<T> {
    const KIND: FieldKind = T::KIND;
    const REQUIRED: bool = false;
}

/// Everything that is known of an endpoint before it is called.
#[derive(Debug)]
pub struct Spec {
    /// The script function: `tag::attach`.
    pub name: &'static str,
    /// GET, POST, or a POST with a file.
    pub method: Method,
    /// The path on the platform.
    pub path: &'static str,
    /// What it does, its limits, units and the source of its rules.
    pub doc: &'static str,
    /// The request's fields, in the order of the script function's parameters.
    pub fields: &'static [Field],
    /// What proves who calls.
    pub credential: Credential,
    /// Whether it changes the account.
    pub kind: CallKind,
    /// What a dry run does with it.
    pub in_dry_run: InDryRun,
    /// Whether it may be sent twice.
    pub resend: Resend,
    /// Who has it.
    pub permission: Permission,
    /// The object that the request's fields are wrapped in: `{"tag":{…}}`.
    pub envelope: Option<&'static str>,
    /// The object that the answer is wrapped in.
    pub answer_envelope: Option<&'static str>,
    /// The list that is bounded.
    pub list: Option<ListLimit>,
    /// How pages follow each other.
    pub cursor: Option<Cursor>,
    /// The most bytes of its answer that are read.
    pub max_answer: usize,
    /// Calls a day.
    pub daily: DailyQuota,
    /// The errcodes that its page documents, beside those of every endpoint.
    pub errors: &'static [i64],
}

impl Spec {
    /// What most endpoints have in common; a declaration states the rest.
    pub const COMMON: Self = Self {
        name: "",
        method: Method::Post,
        path: "",
        doc: "",
        fields: &[],
        credential: Credential::AccessToken,
        kind: CallKind::Read,
        in_dry_run: InDryRun::Sent,
        resend: Resend::Idempotent,
        permission: Permission::Certified,
        envelope: None,
        answer_envelope: None,
        list: None,
        cursor: None,
        // A full page of openids is 0.3 MB, the details of a hundred followers 0.1 MB.
        max_answer: 4 << 20,
        daily: DailyQuota { real: None, test: None },
        errors: &[],
    };

    /// Whether it belongs to the web authorization, which answers in a form of its own.
    #[must_use]
    pub fn is_sns(&self) -> bool {
        self.path.starts_with("/sns/")
    }

    /// The key of call counts: `POST /cgi-bin/tags/create`.
    #[must_use]
    pub fn call(&self) -> String {
        format!("{} {}", self.method.as_str(), self.path)
    }
}

/// A request with its answer and its declaration.
///
/// Both ends of the wire use it: the client serialises the request and reads the answer, the
/// sandbox does the reverse.
pub trait Endpoint: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {
    /// What a call that succeeds gives.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
    /// [`Reads`], [`Writes`] or [`Consumes`].
    type Mode: CallMode;
    /// The declaration.
    const SPEC: &'static Spec;

    /// Checks an answer against the request.
    ///
    /// # Errors
    /// The mismatch: the whole answer is discarded.
    fn verify(&self, _answer: &Self::Answer) -> Result<(), String> {
        Ok(())
    }
}

/// An endpoint that takes a bounded list.
pub trait Batched: Endpoint {
    /// An entry of the list.
    type Item: Clone + Send + Sync + 'static;
    /// The most entries of one call.
    const MAX_ITEMS: usize;
    /// The list.
    fn items(&mut self) -> &mut Vec<Self::Item>;
}

/// An endpoint that answers a list of records, each of which can be read without the others.
pub trait Records: Endpoint {
    /// The names of the fields that lead to the list.
    const RECORDS: &'static [&'static str];
}

/// An endpoint that lists openids page by page.
pub trait Paged: Records<Answer = super::answer::OpenidPage> {
    /// The most openids of one page. A page may have fewer, and be followed by another all the same.
    const PAGE: usize;
    /// Asks for the page after `openid`.
    fn after(&mut self, openid: String);
}

/// Declares an endpoint: its request struct, and the [`Spec`] that everything else reads.
///
/// ```text
/// endpoint! {
///     /// What it does.
///     "area::verb" = read POST "/cgi-bin/…";    // or `write`: then it needs an `impl Effect`; or `consume`
///     request Verb { /// What the field is.  field: Type, }
///     answer Type;
///     list field: Item, 50 else 40032;          // if a list is bounded
///     cursor begin -> next, page 10_000;        // if it lists page by page
///     records data.openid;                      // if its answer is a list of records
///     verify function;                          // if an answer can be held to its request
///     attributes { envelope: Some("tag"), … }        // what differs from Spec::COMMON
/// }
/// ```
macro_rules! endpoint {
    (
        $(#[doc = $doc:literal])*
        $name:literal = $mode:ident $( ($flag:ident) )? $method:ident $path:literal;
        request $request:ident {
            $( $(#[doc = $field_doc:literal])* $field:ident : $kind:ty, )*
        }
        answer $answer:ty;
        $( list $list:ident : $item:ty, $max:literal else $over:expr; )?
        $( cursor $begin:ident -> $next:ident, page $page:literal; )?
        $( records $($record:ident).+; )?
        $( verify $verify:path; )?
        attributes { $( $attribute:ident : $value:expr ),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $request {
            $( $(#[doc = $field_doc])* pub $field: $kind, )*
        }

        impl $crate::api::Endpoint for $request {
            type Answer = $answer;
            type Mode = $crate::api::endpoint::endpoint!(@mode $mode);
            const SPEC: &'static $crate::api::Spec = &$crate::api::Spec {
                name: $name,
                kind: <Self::Mode as $crate::api::CallMode>::KIND,
                in_dry_run: $crate::api::endpoint::endpoint!(@dry $mode $($flag)?),
                method: $crate::api::endpoint::endpoint!(@method $method),
                path: $path,
                doc: concat!($($doc, "\n",)* ""),
                fields: &[$( $crate::api::Field {
                    name: stringify!($field),
                    kind: <$kind as $crate::api::FieldType>::KIND,
                    required: <$kind as $crate::api::FieldType>::REQUIRED,
                    doc: concat!($($field_doc, "\n",)* ""),
                }, )*],
                $( list: Some($crate::api::ListLimit {
                    field: stringify!($list), max: $max, errcode: $over,
                }), )?
                $( cursor: Some($crate::api::Cursor {
                    request: stringify!($begin), answer: stringify!($next), page: $page,
                }), )?
                $( $attribute: $value, )*
                ..$crate::api::Spec::COMMON
            };
            $( fn verify(&self, answer: &Self::Answer) -> Result<(), String> {
                $verify(self, answer)
            } )?
        }

        $( impl $crate::api::Batched for $request {
            type Item = $item;
            const MAX_ITEMS: usize = $max;
            fn items(&mut self) -> &mut Vec<Self::Item> {
                &mut self.$list
            }
        } )?

        $( impl $crate::api::Records for $request {
            const RECORDS: &'static [&'static str] = &[$( stringify!($record) ),+];
        } )?

        $( impl $crate::api::Paged for $request {
            const PAGE: usize = $page;
            fn after(&mut self, openid: String) {
                self.$begin = Some(openid);
            }
        } )?
    };
    (@mode read) => { $crate::api::Reads };
    (@mode write) => { $crate::api::Writes };
    (@mode consume) => { $crate::api::Consumes };
    (@dry read) => { $crate::api::InDryRun::Sent };
    (@dry write) => { $crate::api::InDryRun::NotSent };
    (@dry consume) => { $crate::api::InDryRun::NotSent };
    (@dry consume $flag:ident) => { $crate::api::InDryRun::NotSentWith(stringify!($flag)) };
    (@method GET) => { $crate::api::Method::Get };
    (@method POST) => { $crate::api::Method::Post };
    (@method UPLOAD) => { $crate::api::Method::Upload };
}
pub(crate) use endpoint;
