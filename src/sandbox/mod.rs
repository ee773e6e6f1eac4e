//! The platform as a simulator: a world of followers, tags and tokens, with the platform's rules,
//! limits and surprises, served over real HTTP on loopback.
//!
//! Must never know the client, the store or scripts: it meets them on the wire only, so that
//! any other SDK finds the same platform.

mod http;
mod rules;
mod world;

pub use http::server::Sandbox;
pub use world::options::{
    AccountKind, DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN, DEFAULT_FOLLOWERS,
    DEFAULT_REDIRECT_DOMAIN, DEFAULT_SCENE, DEFAULT_SECRET, Options, StartError,
};
pub use world::switches::{SWITCHES, Switch, SwitchError, Switches};
