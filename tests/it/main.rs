//! The integration tests: one binary, one module for each thing that is held to its documents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod any;
mod callback;
mod callback_script;
mod caller;
mod check;
mod check_calls;
mod cli_messages;
mod cli_messages_import;
mod cli_messages_script;
mod cli_run;
mod client;
mod client_answer;
mod client_hosts;
mod client_stop;
mod client_tls;
mod client_token;
mod house;
mod jobs;
mod jobs_calls;
mod jobs_failures;
mod program;
mod property;
mod raw_server;
mod readme;
mod sandbox_authorize;
mod sandbox_blacklist;
mod sandbox_control;
mod sandbox_diagnostics;
mod sandbox_faults;
mod sandbox_oauth;
mod sandbox_qrcode;
mod sandbox_quota;
mod sandbox_switches;
mod sandbox_tag;
mod sandbox_tagging;
mod sandbox_token;
mod sandbox_user;
mod sandbox_wire;
mod secrets;
mod secrets_config;
mod served;
mod stop;
mod support;
mod wire;
