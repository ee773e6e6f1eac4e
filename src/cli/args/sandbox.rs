//! The arguments of `sandbox`.

use super::shared::{duration, name_and_value};
use crate::{
    api::{self, Endpoint, user},
    base::http::read_name,
    sandbox::{
        DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN, DEFAULT_FOLLOWERS, DEFAULT_REDIRECT_DOMAIN,
        DEFAULT_SECRET,
    },
};
use clap::{Args, ValueEnum};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AccountKindArgument {
    /// Certified 服务号
    Service,
    /// Certified 公众号
    Subscription,
    /// Not certified
    Uncertified,
    /// Test account (测试号)
    Test,
}

#[derive(Args, Debug)]
pub(crate) struct SandboxArguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// A name by which it may be addressed, beside localhost and its address; may be repeated
    #[arg(long, value_name = "NAME", value_parser = read_name)]
    pub allow_host: Vec<String>,
    /// How many followers the account has
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FOLLOWERS)]
    pub followers: u32,
    /// How many of them came from a QR scene; may be repeated [default: 98765=1234]
    #[arg(long = "scene", value_name = "ID=COUNT", value_parser = scene)]
    pub scenes: Vec<(u32, u32)>,
    /// The latency of every answer, as in 20ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub latency: Duration,
    /// The account's AppID
    #[arg(long, default_value = DEFAULT_APPID)]
    pub appid: String,
    /// The account's AppSecret; a sandbox's own, never a real one
    #[arg(long, default_value = DEFAULT_SECRET)]
    pub secret: String,
    /// The same seed makes the same world
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Which rules: today's, or those of 2020 (coupons can be created, followers have names)
    #[arg(long, value_enum, default_value = "today")]
    pub rules: RulesArgument,
    /// Set a behaviour that the platform's documents leave open; may be repeated
    #[arg(long = "switch", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub switches: Vec<(String, String)>,
    /// A path's daily quota, as in /cgi-bin/user/get=500; may be repeated
    #[arg(long = "quota", value_name = "PATH=N", value_parser = quota)]
    pub quotas: Vec<(String, u64)>,
    /// Calls of one path a minute before 45011
    #[arg(long, value_name = "N")]
    pub minute_limit: Option<u64>,
    /// The only addresses that may fetch tokens; may be repeated
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub ip_whitelist: Vec<IpAddr>,
    /// What kind of account it is: rights and quotas
    #[arg(long, value_enum, default_value = "service")]
    pub account_kind: AccountKindArgument,
    /// The redirect domain of the authorize page (网页授权域名)
    #[arg(long, value_name = "DOMAIN", default_value = DEFAULT_REDIRECT_DOMAIN)]
    pub redirect_domain: String,
    /// The Token of the server callback (服务器配置); a sandbox's own
    #[arg(long, value_name = "TOKEN", default_value = DEFAULT_CALLBACK_TOKEN)]
    pub callback_token: String,
    /// Its EncodingAESKey, 43 letters and digits
    #[arg(long, value_name = "KEY", default_value = DEFAULT_AES_KEY)]
    pub aes_key: String,
    /// Whether people have a unionid
    #[arg(long, value_enum, default_value = "off")]
    pub unionid: OnOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesArgument {
    /// The platform as it is now
    Today,
    /// The platform as it was in early 2020
    #[value(name = "2020")]
    Of2020,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

fn scene(text: &str) -> Result<(u32, u32), String> {
    let (id, count) = text.split_once('=').ok_or("write it as ID=COUNT")?;
    let id = id.parse().ok().filter(|id| *id > 0).ok_or("a scene's id is a number from 1 to 4294967295")?;
    let count = count.parse().map_err(|_| "the count is a whole number")?;
    Ok((id, count))
}

fn quota(text: &str) -> Result<(String, u64), String> {
    let (path, calls) = text.split_once('=').ok_or("write it as PATH=N")?;
    if !api::all().iter().any(|spec| spec.path == path) {
        return Err(format!("`{path}` is not a path of the sandbox; one is {}", user::List::SPEC.path));
    }
    Ok((path.to_owned(), calls.parse().map_err(|_| "the quota is a whole number")?))
}
