//! What each endpoint does to the world, one file an area.

pub(crate) mod blacklist;
pub(crate) mod card;
pub(crate) mod diagnostics;
pub(crate) mod media;
pub(crate) mod oauth;
pub(crate) mod profile;
pub(crate) mod push_payload;
pub(crate) mod qrcode;
pub(crate) mod simulate;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod user;
