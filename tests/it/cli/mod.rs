//! Commands as a person types them: their output, messages, files and exit codes.

mod check;
mod check_all;
mod check_arguments;
mod check_calls;
mod check_captures;
mod check_statements;
mod check_types;
mod config;
mod doctor;
mod interrupt;
mod messages;
mod messages_import;
mod messages_script;
mod messages_typed;
mod plain_output;
mod reports;
mod run;
mod runs;
pub(crate) mod secrets;
mod secrets_config;
mod secrets_cut;
mod secrets_files;
mod secrets_reports;
mod special_files;
mod watch;
