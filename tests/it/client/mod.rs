//! The client library: tokens, retries, hosts, cancellation and the ledger of calls.

mod answer;
mod cancellation;
mod hosts;
mod ledger;
mod minute_quota;
mod processes;
mod retries;
mod shared_token;
mod tls;
mod token;
