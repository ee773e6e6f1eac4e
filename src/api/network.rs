//! Addresses of the platform, and whether it reaches the account's server.

use super::{Permission, endpoint::endpoint};
use serde::{Deserialize, Serialize};

/// The platform's own hosts (公众平台接口域名说明), the nearest first: 通用域名, 异地容灾, 上海, 深圳, 香港.
pub const HOSTS: [&str; 5] = [
    "api.weixin.qq.com",
    "api2.weixin.qq.com",
    "sh.api.weixin.qq.com",
    "sz.api.weixin.qq.com",
    "hk.api.weixin.qq.com",
];

/// Addresses, alone or as ranges (`101.226.103.0/25`).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct IpList {
    /// The addresses.
    pub ip_list: Vec<String>,
}

/// What the platform found when it looked for the account's server.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct NetworkReport {
    /// Addresses that the server's name has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<Dns>>,
    /// How they answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<Vec<Ping>>,
}

/// An address of the server.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Dns {
    /// The address.
    pub ip: String,
    /// Whose network it is in.
    pub real_operator: String,
}

/// How an address answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Ping {
    /// The address.
    pub ip: String,
    /// From whose network it was asked.
    pub from_operator: String,
    /// As in `0%`.
    pub package_loss: String,
    /// As in `23.079ms`.
    pub time: String,
}

endpoint! {
    /// Gives the addresses that the platform's pushes come from.
    ///
    /// Source: 获取微信推送服务器 IP (`getCallbackIp`).
    ///
    /// ```rhai
    /// print(network::callback_ip().len());
    /// ```
    "network::callback_ip" = read GET "/cgi-bin/getcallbackip";
    request CallbackIp {}
    answer IpList;
    attributes {
        permission: Permission::Any,
        errors: &[-1, 40013],
    }
}

endpoint! {
    /// Gives the addresses of `api.weixin.qq.com`.
    ///
    /// Source: 获取微信 API 服务器 IP (`getApiDomainIp`).
    ///
    /// ```rhai
    /// print(network::api_ip().len());
    /// ```
    "network::api_ip" = read GET "/cgi-bin/get_api_domain_ip";
    request ApiIp {}
    answer IpList;
    attributes {
        permission: Permission::Any,
        errors: &[-1, 40013],
    }
}

endpoint! {
    /// Lets the platform look for the account's server (回调 URL).
    ///
    /// Source: 网络通信检测 (`callbackCheck`).
    ///
    /// ```rhai
    /// print(network::check("all", "DEFAULT").ping.len());
    /// ```
    "network::check" = read POST "/cgi-bin/callback/check";
    request Check {
        /// `dns`, `ping` or `all`.
        action: String,
        /// `CHINANET`, `UNICOM`, `CAP` or `DEFAULT`.
        check_operator: String,
    }
    answer NetworkReport;
    attributes {
        permission: Permission::Any,
        errors: &[40201, 40202, 40203],
    }
}
