//! What a sandbox is started with.

use super::switches::Switches;
use crate::{
    api::callback::{self, AesKey},
    base::{Secret, SettingNames},
};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// The account's AppID unless another is given.
pub const DEFAULT_APPID: &str = "wx5a2db0c5a9d0b0c5";

/// The account's AppSecret unless another is given; it opens nothing but a sandbox.
pub const DEFAULT_SECRET: &str = "5a2db0c55a2db0c55a2db0c55a2db0c5";

/// The domain that people may be sent back to, unless another is given.
pub const DEFAULT_REDIRECT_DOMAIN: &str = "127.0.0.1";

/// The Token of the account's server callback (服务器配置); like the AppSecret, a sandbox's own.
pub const DEFAULT_CALLBACK_TOKEN: &str = "sandbox5a2db0c5";

/// The EncodingAESKey of the account's server callback; like the AppSecret, a sandbox's own.
pub const DEFAULT_AES_KEY: &str = "5a2db0c55a2db0c55a2db0c55a2db0c55a2db0c55a2";

/// Followers unless another number is given.
pub const DEFAULT_FOLLOWERS: u32 = 10_000;

/// The scene, and how many followers came from it, unless others are given.
pub const DEFAULT_SCENE: (u32, u32) = (98_765, 1_234);

/// What kind of account it is; it decides over rights (48001) and quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountKind {
    /// Certified 服务号: has every right.
    #[default]
    Service,
    /// Certified 公众号 (subscription account).
    Subscription,
    /// Not certified.
    Uncertified,
    /// The test account (测试号): every right, smaller quotas.
    Test,
}

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; loopback unless the person says otherwise.
    pub listen: SocketAddr,
    /// Names by which it may be addressed, beside localhost, its address and the platform's own hosts.
    pub allowed_hosts: Vec<String>,
    /// What settings are called in its refusals.
    pub setting_names: SettingNames,
    /// How many followers `user/get` lists.
    pub followers: u32,
    /// How many of them came from which QR scene; the default scene when empty.
    pub scenes: Vec<(u32, u32)>,
    /// The AppID.
    pub appid: String,
    /// The AppSecret.
    pub secret: String,
    /// The same seed makes the same world.
    pub seed: u64,
    /// How long every answer takes.
    pub latency: Duration,
    /// Daily quotas that differ from the platform's, by path.
    pub quotas: BTreeMap<String, u64>,
    /// Calls of one path a minute before 45011.
    pub minute_limit: Option<u64>,
    /// The addresses that may fetch tokens; all when empty.
    pub ip_whitelist: Vec<IpAddr>,
    /// Rights and quotas.
    pub account_kind: AccountKind,
    /// The domain that people may be sent back to (网页授权域名).
    pub redirect_domain: String,
    /// Whether the account is bound to an Open Platform account, so that people have a unionid.
    pub unionid: bool,
    /// The Token of the server callback (服务器配置).
    pub callback_token: String,
    /// Its EncodingAESKey.
    pub aes_key: String,
    /// What the platform's documents leave open.
    pub switches: Switches,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            allowed_hosts: Vec::new(),
            setting_names: SettingNames::default(),
            followers: DEFAULT_FOLLOWERS,
            scenes: Vec::new(),
            appid: DEFAULT_APPID.to_owned(),
            secret: DEFAULT_SECRET.to_owned(),
            seed: 1,
            latency: Duration::ZERO,
            quotas: BTreeMap::new(),
            minute_limit: None,
            ip_whitelist: Vec::new(),
            account_kind: AccountKind::default(),
            redirect_domain: DEFAULT_REDIRECT_DOMAIN.to_owned(),
            unionid: false,
            callback_token: DEFAULT_CALLBACK_TOKEN.to_owned(),
            aes_key: DEFAULT_AES_KEY.to_owned(),
            switches: Switches::default(),
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More followers come from scenes than there are.
    #[error("the scenes have {in_scenes} followers together, but the account has only {followers}")]
    Scenes {
        /// Followers of all scenes.
        in_scenes: u64,
        /// Followers of the account.
        followers: u32,
    },
    /// The EncodingAESKey is invalid.
    #[error("{0}")]
    AesKey(callback::Error),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        reason: io::Error,
    },
}

impl Options {
    /// The scenes with how many followers each has.
    #[must_use]
    pub fn scenes(&self) -> Vec<(u32, u32)> {
        if self.scenes.is_empty() {
            // A small account has an eighth of its followers from the scene.
            vec![(DEFAULT_SCENE.0, DEFAULT_SCENE.1.min(self.followers / 8))]
        } else {
            self.scenes.clone()
        }
    }

    /// Fails if the options contradict each other.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let in_scenes: u64 = self.scenes.iter().map(|(_, count)| u64::from(*count)).sum();
        if in_scenes > u64::from(self.followers) {
            return Err(StartError::Scenes { in_scenes, followers: self.followers });
        }
        AesKey::read(&Secret::new(self.aes_key.as_str())).map(drop).map_err(StartError::AesKey)
    }
}
