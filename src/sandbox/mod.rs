//! The platform as a simulator: a world of followers, tags and tokens, with the platform's rules,
//! limits and surprises, served over real HTTP on loopback.
//!
//! Must never know the client, the store or scripts: it meets them on the wire only, so that
//! whoever points another SDK at it finds the same platform.

mod authorize;
mod blacklist;
mod card;
mod control;
mod diagnostics;
mod faults;
mod media;
mod oauth;
mod openid;
mod options;
mod profile;
mod push;
mod pushed;
mod qrcode;
mod quota;
mod refusal;
mod route;
mod server;
mod switches;
mod tag;
mod token;
mod user;
mod world;

pub use options::{
    AccountKind, DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN, DEFAULT_FOLLOWERS,
    DEFAULT_REDIRECT_DOMAIN, DEFAULT_SCENE, DEFAULT_SECRET, Options,
};
pub use server::{Sandbox, StartError};
pub use switches::{SWITCHES, Switch, SwitchError, Switches};
