//! The arguments of `watch`, `serve` and the commands that show or pause automations.

use super::shared::{TargetArgs, bytes, duration, in_flight};
use crate::{base::http::read_name, client::DEFAULT_IN_FLIGHT, run::daemon::DEFAULT_MAX_PARALLEL};
use clap::{Args, ValueEnum};
use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnBusy {
    /// Let the run end, then rerun
    Wait,
    /// Stop the run at its next checkpoint, then rerun
    Restart,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct WatchArguments {
    /// The script
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to do with a running run when something is saved
    #[arg(long, value_name = "WHAT", value_enum, default_value = "restart")]
    pub on_busy: OnBusy,
    /// Poll the files, for file systems without change notifications
    #[arg(long)]
    pub poll: bool,
    /// Everything else is passed to each `mpscript run FILE`: `--sandbox`, `--dry-run`, `--param NAME=VALUE`, …
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for a person
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// The folder of the automations
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The format of the log on standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub log: LogFormat,
    /// How long running runs have to reach a checkpoint when the daemon is stopped
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub grace: Duration,
    /// How long fires and their runs are kept; the last twenty of each outcome always stay
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
    pub keep: Duration,
    /// Serve /healthz, /readyz and Prometheus' /metrics at this address, as in 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub metrics: Option<SocketAddr>,
    /// A name by which that address may be addressed, beside localhost and its address; may be repeated
    #[arg(long, value_name = "NAME", value_parser = read_name, requires = "metrics")]
    pub allow_host: Vec<String>,
    /// The maximum number of concurrent calls of one run
    #[arg(long, value_name = "N", default_value_t = DEFAULT_IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    /// How many runs run at the same time; further ones wait
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PARALLEL, value_parser = places)]
    pub max_parallel: usize,
    /// The memory that one run may take, as in 512MiB or 4GiB; 0 for no limit
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    pub run_memory: u64,
    /// Log every call on standard error
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// How many runs may run at the same time.
fn places(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=10_000).contains(count));
    count.ok_or_else(|| "give a number from 1 to 10000".to_owned())
}

/// An automation's name; the name of its file is accepted too.
#[allow(clippy::unnecessary_wraps, reason = "every text is a name")]
fn automation(text: &str) -> Result<String, Infallible> {
    Ok(text.strip_suffix(".rhai").unwrap_or(text).to_owned())
}

/// Where to listen: an address and a port, or a port of this machine alone.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let numbered = text.replace("localhost:", "127.0.0.1:");
    numbered.parse().map_err(|_| "write an address and a port, as in 127.0.0.1:9464".to_owned())
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// The folder, if not the one that was served last
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct NextArguments {
    /// The automation; all of them if omitted
    #[arg(value_name = "NAME", value_parser = automation)]
    pub name: Option<String>,
    /// How many fires
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    #[command(flatten)]
    pub list: ListArguments,
}

#[derive(Args, Debug)]
pub(crate) struct AutomationArgs {
    /// The automation
    #[arg(value_name = "NAME", value_parser = automation)]
    pub name: String,
    #[command(flatten)]
    pub list: ListArguments,
}

#[derive(Args, Debug)]
pub(crate) struct PauseArguments {
    /// The automation
    #[arg(value_name = "NAME", value_parser = automation)]
    pub name: String,
    /// The end of the pause, as in "2026-12-24 18:00" or 3d; if omitted, until it is unpaused
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[command(flatten)]
    pub list: ListArguments,
}
