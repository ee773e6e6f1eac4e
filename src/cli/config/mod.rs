//! Where accounts, secrets and the store come from, and how a command connects to them.

mod account;
mod callback;
mod connect;
mod file;
mod files;
mod keep;
mod secret;
mod store;
mod zone;

pub(crate) mod init;
pub(crate) mod show;

pub(crate) use account::{AccountConfig, find_account};
pub(crate) use connect::{
    Access, ClientAccount, ClientOptions, Connection, connect, find_account_key, new_client,
};
pub(crate) use file::read as read_file;
pub(crate) use files::access as file_access;
pub(crate) use keep::{keep_periods, purge_old_runs};
pub(crate) use secret::{learn_configuration, learn_environment, refuse_if_readable};
pub(crate) use store::{
    address_of_store, open, open_at, open_existing, open_if_possible, open_required, required_location,
    state_folder, store_location,
};
pub(crate) use zone::default_zone;
