//! What a `rid` stands for.

use super::{Permission, endpoint::endpoint};
use serde::{Deserialize, Serialize};

/// A request that was refused.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RidInfo {
    /// 0.
    #[serde(default)]
    pub errcode: i64,
    /// `ok`.
    #[serde(default)]
    pub errmsg: String,
    /// The request.
    pub request: Request,
}

/// A request as the platform remembers it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Request {
    /// When, in Unix seconds.
    pub invoke_time: i64,
    /// How long it took.
    pub cost_in_ms: i64,
    /// Its query.
    pub request_url: String,
    /// Its body.
    pub request_body: String,
    /// What was answered.
    pub response_body: String,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

endpoint! {
    /// Looks up the request that a `rid` in an error message stands for, for seven days (76004).
    ///
    /// Source: 查询 rid 信息 (getRidInfo).
    ///
    /// ```rhai
    /// try {
    ///     user::info("oUnknown");
    /// } catch (e) {
    ///     print(rid::get(e.rid).request_url);
    /// }
    /// ```
    "rid::get" = read POST "/cgi-bin/openapi/rid/get";
    request Get {
        /// As in the error's message: three numbers of eight hexadecimal digits.
        rid: String,
    }
    answer RidInfo;
    attributes {
        permission: Permission::Any,
        errors: &[76001, 76002, 76003, 76004],
    }
}
