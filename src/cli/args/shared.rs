//! Arguments that several commands take, and the parsers of their values.

use crate::{base::parse_percent, sandbox::DEFAULT_FOLLOWERS};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Which platform, account and store a command works on.
#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// Use a built-in sandbox that lasts as long as the command
    #[arg(long, global = true, conflicts_with_all = ["base_url", "account", "config", "store"])]
    pub sandbox: bool,
    /// Followers of the sandbox's account
    #[arg(long, global = true, value_name = "N", requires = "sandbox", default_value_t = DEFAULT_FOLLOWERS)]
    pub sandbox_followers: u32,
    /// The platform's address, if not api.weixin.qq.com; plain HTTP only on loopback. May be
    /// repeated: the others are fallbacks for when the first does not answer
    #[arg(long, global = true, value_name = "URL")]
    pub base_url: Vec<String>,
    /// The account of mpscript.toml to use
    #[arg(long, global = true, value_name = "NAME")]
    pub account: Option<String>,
    /// Where tokens, counts and runs are stored, if not in the state folder: a file, or a
    /// PostgreSQL URL without a password
    #[arg(long, global = true, value_name = "LOCATION")]
    pub store: Option<String>,
    /// The configuration file, if not ./mpscript.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Limits of a run, counted over all of its attempts.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LimitArguments {
    /// Stop after N changes to followers (tags, remarks, the blacklist)
    #[arg(long, value_name = "N")]
    pub max_changes: Option<u64>,
    /// Stop when more than this share of the followers fail, as in 1%; enforced after 1,000 followers
    #[arg(long, value_name = "SHARE", value_parser = percent)]
    pub max_errors: Option<u32>,
}

/// How a run is shown and reported: the same on every command that runs a script.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct RunFlags {
    /// Write the run's report to this file: JSON, or a table (.csv) or a page (.html) by its name
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// When the day's quota is used up, wait for the next day and continue
    #[arg(long)]
    pub allow_pause: bool,
    /// The memory that the script may take, as in 512MiB or 4GiB; 0 for no limit; half of what is available if omitted
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub run_memory: Option<u64>,
    /// Change an account that is marked `production = true` without confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Log every call on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

pub(super) fn in_flight(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|calls| (1..=1000).contains(calls))
        .ok_or_else(|| "give a number from 1 to 1000".to_owned())
}

/// A number of bytes, with the unit that is usual for memory.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = UNITS
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    let count: Option<u64> = number.trim().parse().ok();
    let bytes = count.and_then(|count| count.checked_mul(1 << shift));
    bytes.ok_or_else(|| "write a number with its unit, as in 512MiB or 4GiB".to_owned())
}

/// A percentage, in thousandths of a percent.
fn percent(text: &str) -> Result<u32, String> {
    parse_percent(text).ok_or_else(|| "write it as 1% or 0.5%".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a number with its unit, as in 20ms, 30s or 2h".to_owned())
}
