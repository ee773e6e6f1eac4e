//! The platform on paper: every endpoint declared once, error codes, wire formats.
//!
//! Pure data: no I/O, not async. Must never know who reads it; the client, the script functions,
//! their help, the sandbox's routes and the bulk layer are all made from these declarations.

pub mod answer;
pub mod blacklist;
pub mod callback;
pub mod card;
mod endpoint;
pub mod errcode;
pub mod ip_whitelist;
pub mod media;
pub mod mismatch;
pub mod network;
pub mod oauth;
pub mod qrcode;
pub mod quota;
pub mod rid;
pub mod tag;
pub mod token;
pub mod undeclared;
pub mod user;
mod violation;
pub mod wire;

pub use endpoint::{
    Batched, CallKind, CallMode, Consumes, Credential, Cursor, DailyQuota, Endpoint, Field, FieldKind,
    FieldType, InDryRun, ListLimit, Method, Paged, Permission, Reads, Records, Resend, Spec, WireSecret,
    Writes,
};
pub use violation::Violation;

/// Hands every endpoint, in documentation order, to a macro.
///
/// What must exist for each endpoint (a route, a script function, fixtures) is made by a macro
/// that is called through this one, so a missing half does not compile.
#[macro_export]
macro_rules! for_each_endpoint {
    ($each:ident) => {
        $each! {
            $crate::api::token::Get,
            $crate::api::token::Stable,
            $crate::api::user::List,
            $crate::api::user::Info,
            $crate::api::user::Batch,
            $crate::api::user::Remark,
            $crate::api::tag::Create,
            $crate::api::tag::List,
            $crate::api::tag::Update,
            $crate::api::tag::Delete,
            $crate::api::tag::Members,
            $crate::api::tag::Attach,
            $crate::api::tag::Detach,
            $crate::api::tag::Of,
            $crate::api::blacklist::List,
            $crate::api::blacklist::Add,
            $crate::api::blacklist::Remove,
            $crate::api::oauth::Exchange,
            $crate::api::oauth::Refresh,
            $crate::api::oauth::Userinfo,
            $crate::api::oauth::Check,
            $crate::api::media::UploadImage,
            $crate::api::card::Create,
            $crate::api::qrcode::Create,
            $crate::api::quota::Get,
            $crate::api::quota::Clear,
            $crate::api::rid::Get,
            $crate::api::network::CallbackIp,
            $crate::api::network::ApiIp,
            $crate::api::network::Check,
        }
    };
}

/// Every declaration, in documentation order.
#[must_use]
pub fn all() -> Vec<&'static Spec> {
    macro_rules! specs {
        ($($endpoint:path),* $(,)?) => { vec![$(<$endpoint as Endpoint>::SPEC),*] };
    }
    for_each_endpoint!(specs)
}
