//! Web authorization (网页授权): from a person in a browser to an openid and a profile.
//!
//! Its tokens are not the account's access token: each belongs to one person, and only the calls
//! of this area take it.

use super::{
    Credential, Permission, WireSecret,
    answer::{Empty, check_given},
    endpoint::endpoint,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::Url;

/// The longest `state`, in bytes.
pub const STATE_BYTES: usize = 128;

/// Seconds that a code is good for; it is good once.
pub const CODE_LIFE: i64 = 300;

/// Seconds that a refresh token is good for: thirty days.
pub const REFRESH_LIFE: i64 = 30 * 24 * 3600;

/// The host of the page that a person opens.
pub const AUTHORIZE_HOST: &str = "open.weixin.qq.com";

/// The path of the page that a person opens.
pub const AUTHORIZE: &str = "/connect/oauth2/authorize";

/// Without a word to the person; gives the openid only.
pub const BASE: &str = "snsapi_base";

/// The person is asked; gives the profile too.
pub const USERINFO: &str = "snsapi_userinfo";

/// Everything but the characters that a URL never encodes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a code or a refresh token is exchanged for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Grant {
    /// The person's token; not the account's.
    pub access_token: WireSecret,
    /// Seconds, 7200 at the most.
    pub expires_in: i64,
    /// Good for thirty days; refreshing does not make it last longer.
    pub refresh_token: WireSecret,
    /// Who.
    pub openid: String,
    /// `snsapi_base` or `snsapi_userinfo`.
    pub scope: String,
    /// Only with `snsapi_userinfo`, and when the account is bound to an Open Platform account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
    /// 1 for the virtual person of a snapshot page (快照页).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_snapshotuser: Option<i64>,
}

/// A person's profile. Sex and region are empty since 2021.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Profile {
    /// Who.
    pub openid: String,
    /// The person's own name.
    #[serde(default)]
    pub nickname: String,
    /// 0 since 2021; a number, whatever older samples show.
    #[serde(default)]
    pub sex: i64,
    /// Empty since 2021.
    #[serde(default)]
    pub province: String,
    /// Empty since 2021.
    #[serde(default)]
    pub city: String,
    /// Empty since 2021.
    #[serde(default)]
    pub country: String,
    /// The picture's address; empty without one.
    #[serde(default)]
    pub headimgurl: String,
    /// Such as `chinaunicom`.
    #[serde(default)]
    pub privilege: Vec<String>,
    /// When the account is bound to an Open Platform account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
}

fn is_grant<E>(_asked: &E, grant: &Grant) -> Result<(), String> {
    check_given("access_token", grant.access_token.0.reveal())?;
    check_given("refresh_token", grant.refresh_token.0.reveal())?;
    check_given("openid", &grant.openid)
}

endpoint! {
    /// Exchanges the code that the authorize page gave for a person's openid and tokens.
    ///
    /// A code is good once and for five minutes; a second exchange is refused (40163). The same
    /// code given here twice within five minutes is answered from memory. A dry run keeps the code:
    /// it answers with a placeholder, and with made-up answers to what is asked with its tokens.
    /// Source: 通过 code 换取网页授权 `access_token` (`sns/oauth2/access_token`).
    ///
    /// ```rhai
    /// // A sandbox hands codes out; people bring theirs back from oauth::authorize_url.
    /// let code = api::post("/__sandbox/oauth/code", #{scope: "snsapi_userinfo"}).code;
    /// let grant = oauth::exchange(code);
    /// print(grant.openid);
    /// ```
    "oauth::exchange" = consume GET "/sns/oauth2/access_token";
    request Exchange {
        /// The code.
        code: String,
    }
    answer Grant;
    verify is_grant;
    attributes {
        credential: Credential::AppSecret { grant_type: "authorization_code" },
        permission: Permission::CertifiedService,
        resend: super::Resend::Never,
        errors: &[-1, 40013, 40029, 40125, 40163, 40226, 41008, 42003, 45011],
    }
}

endpoint! {
    /// Gives a person's token a longer life, or a new one in its place.
    ///
    /// A token that is still alive is given again with a renewed end. The refresh token itself
    /// lasts thirty days from the exchange, whatever is refreshed with it. A dry run leaves the token
    /// as it is: it answers with a placeholder.
    /// Source: 刷新 `access_token` (`sns/oauth2/refresh_token`).
    ///
    /// ```rhai
    /// let code = api::post("/__sandbox/oauth/code", #{scope: "snsapi_base"}).code;
    /// let grant = oauth::refresh(oauth::exchange(code).refresh_token);
    /// print(grant.expires_in);
    /// ```
    "oauth::refresh" = consume GET "/sns/oauth2/refresh_token";
    request Refresh {
        /// The refresh token of the exchange.
        refresh_token: WireSecret,
    }
    answer Grant;
    verify is_grant;
    attributes {
        credential: Credential::AppId { grant_type: "refresh_token" },
        permission: Permission::CertifiedService,
        errors: &[-1, 40013, 40030, 41003, 42002, 42007],
    }
}

fn check_openid(asked: &Userinfo, profile: &Profile) -> Result<(), String> {
    if profile.openid == asked.openid { Ok(()) } else { Err("it is about another openid".to_owned()) }
}

endpoint! {
    /// Gives the profile of a person who has authorized `snsapi_userinfo`.
    ///
    /// Nickname and picture are given; sex and region are empty since 2021. A token of
    /// `snsapi_base` is refused (48001).
    /// Source: 拉取用户信息 (`sns/userinfo`).
    ///
    /// ```rhai
    /// let code = api::post("/__sandbox/oauth/code", #{scope: "snsapi_userinfo"}).code;
    /// let grant = oauth::exchange(code);
    /// print(oauth::userinfo(grant.access_token, grant.openid).nickname);
    /// ```
    "oauth::userinfo" = read GET "/sns/userinfo";
    request Userinfo {
        /// The person's token, from the exchange.
        access_token: WireSecret,
        /// Who.
        openid: String,
        /// `zh_CN`, `zh_TW` or `en`.
        lang: Option<String>,
    }
    answer Profile;
    verify check_openid;
    attributes {
        credential: Credential::UserToken,
        permission: Permission::CertifiedService,
        errors: &[40001, 40003, 40014, 42001, 48001],
    }
}

endpoint! {
    /// Says whether a person's token is still good; one that is not is refused (40001, 40014, 42001).
    ///
    /// Source: 检验授权凭证是否有效 (`sns/auth`).
    ///
    /// ```rhai
    /// let code = api::post("/__sandbox/oauth/code", #{scope: "snsapi_base"}).code;
    /// let grant = oauth::exchange(code);
    /// oauth::check(grant.access_token, grant.openid);
    /// ```
    "oauth::check" = read GET "/sns/auth";
    request Check {
        /// The person's token, from the exchange.
        access_token: WireSecret,
        /// Who.
        openid: String,
    }
    answer Empty;
    attributes {
        credential: Credential::UserToken,
        permission: Permission::CertifiedService,
        errors: &[40001, 40003, 40014, 42001],
    }
}

/// The page that a person is sent to.
#[derive(Clone, Debug, Default)]
pub struct Authorize {
    /// Where the person comes back to, with `code` and `state`.
    pub redirect_uri: String,
    /// `snsapi_base` or `snsapi_userinfo`.
    pub scope: String,
    /// Comes back with the code, so that a forged return is noticed.
    pub state: String,
}

/// Why no page can be opened with these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// The address to come back to is not a web address.
    #[error("redirect_uri `{0}` is not an address that begins with https:// or http://")]
    RedirectUri(String),
    /// There is no such scope.
    #[error("scope `{0}` is neither {BASE} nor {USERINFO}")]
    Scope(String),
    /// The page takes letters and digits only.
    #[error("state has {0} bytes; it has 1 to {STATE_BYTES} letters and digits")]
    StateLength(usize),
    /// The page takes letters and digits only.
    #[error("state has the character `{0}`; it has letters and digits only")]
    StateCharacter(char),
}

impl Authorize {
    /// The page's address under `base` (`https://open.weixin.qq.com`). Its parameters stand in the
    /// order that the page checks, and `#wechat_redirect` ends it.
    ///
    /// # Errors
    /// When the page would refuse it.
    pub fn url(&self, base: &str, appid: &str) -> Result<String, AuthorizeError> {
        let has_prefix = ["https://", "http://"].iter().any(|prefix| self.redirect_uri.starts_with(prefix));
        if !has_prefix || Url::parse(&self.redirect_uri).is_err() {
            return Err(AuthorizeError::RedirectUri(self.redirect_uri.clone()));
        }
        if ![BASE, USERINFO].contains(&self.scope.as_str()) {
            return Err(AuthorizeError::Scope(self.scope.clone()));
        }
        if let Some(bad) = self.state.chars().find(|char| !char.is_ascii_alphanumeric()) {
            return Err(AuthorizeError::StateCharacter(bad));
        }
        if !(1..=STATE_BYTES).contains(&self.state.len()) {
            return Err(AuthorizeError::StateLength(self.state.len()));
        }
        let encode = |text| utf8_percent_encode(text, ENCODED);
        Ok(format!(
            "{base}{AUTHORIZE}?appid={}&redirect_uri={}&response_type=code&scope={}&state={}#wechat_redirect",
            encode(appid),
            encode(&self.redirect_uri),
            self.scope,
            self.state
        ))
    }
}
