//! The base of `script`: the environment, values, errors, the bridge to asynchronous code. Imports no other folder of
//! `script`.

pub(crate) mod bridge;
pub(crate) mod catalog;
pub(crate) mod env;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod limits;
pub(crate) mod modules;
pub(crate) mod openid;
pub(crate) mod register;
pub(crate) mod stdlib;
pub(crate) mod value;
pub(crate) mod value_type;
