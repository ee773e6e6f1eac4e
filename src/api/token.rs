//! Access tokens: what every other call is made with.

use super::{Credential, DailyQuota, Permission, WireSecret, answer::check_given, endpoint::endpoint};
use serde::{Deserialize, Serialize};

/// A token and how long it lasts.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Token {
    /// Up to 512 characters.
    pub access_token: WireSecret,
    /// Seconds, 7200 at the most.
    pub expires_in: i64,
}

/// The `grant_type` of both endpoints.
const CLIENT_CREDENTIAL: Credential = Credential::AppSecret { grant_type: "client_credential" };

fn is_token<E>(_asked: &E, token: &Token) -> Result<(), String> {
    check_given("access_token", token.access_token.0.reveal())
}

endpoint! {
    /// Fetches a classic access token, valid for two hours.
    ///
    /// Each call makes a new token; the one before stays valid for five minutes more. Programs
    /// that share an account must share the token too, or use `token::stable`.
    /// Source: 获取接口调用凭据 (getAccessToken).
    ///
    /// ```rhai
    /// let token = token::get();          // prints as ***
    /// print(token.expires_in);
    /// ```
    "token::get" = consume GET "/cgi-bin/token";
    request Get {}
    answer Token;
    verify is_token;
    attributes {
        credential: CLIENT_CREDENTIAL,
        permission: Permission::Any,
        daily: DailyQuota { real: Some(2_000), test: Some(200) },
        errors: &[-1, 40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 89501, 89503, 89506, 89507],
    }
}

endpoint! {
    /// Fetches the stable access token: the same one for every caller until five minutes before
    /// its end.
    ///
    /// It is apart from `token::get`: neither voids the other's. With `force_refresh` the present
    /// token is voided at once; the platform does so at most 20 times a day and not twice within
    /// 30 seconds, and otherwise answers with the present token.
    /// Source: 获取稳定版接口调用凭据 (getStableAccessToken).
    ///
    /// ```rhai
    /// print(token::stable().expires_in);
    /// ```
    "token::stable" = consume(force_refresh) POST "/cgi-bin/stable_token";
    request Stable {
        /// Void the present token and make a new one.
        force_refresh: Option<bool>,
    }
    answer Token;
    verify is_token;
    attributes {
        credential: CLIENT_CREDENTIAL,
        permission: Permission::Any,
        daily: DailyQuota { real: Some(500_000), test: None },
        errors: &[-1, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 43002, 45009, 45011, 89501, 89503, 89506, 89507],
    }
}
