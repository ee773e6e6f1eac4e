//! What was typed.

use super::automations::{
    AutomationsArguments, NamedArguments, NextArguments, PauseArguments, ServeFolderArguments, WatchArguments,
};
use crate::{
    base::parse_percent,
    client::DEFAULT_IN_FLIGHT,
    sandbox::{
        DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN, DEFAULT_FOLLOWERS, DEFAULT_REDIRECT_DOMAIN,
        DEFAULT_SECRET,
    },
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::IpAddr, net::SocketAddr, path::PathBuf, time::Duration};

/// Scripts for WeChat Official Accounts (微信公众号).
#[derive(Debug, Parser)]
#[command(name = "mpscript", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a script
    Run(RunArguments),
    /// Try things out line by line
    Repl(ReplArguments),
    /// Check a script without running it
    Check(CheckArguments),
    /// Run a script, and again whenever it or what it imports is saved
    Watch(WatchArguments),
    /// Run a folder of automations by their triggers, until it is stopped
    Serve(ServeFolderArguments),
    /// List the automations: how they stand, and when they fire next
    Ls(AutomationsArguments),
    /// The next fires of all automations, or of one
    Next(NextArguments),
    /// Let an automation's triggers pass for a while
    Pause(PauseArguments),
    /// End an automation's pause
    Unpause(NamedArguments),
    /// Every fire of an automation: what became of it, or why it did not run
    Why(NamedArguments),
    /// List the runs that were started, newest first
    Runs(RunsArguments),
    /// Show a run: how it stands and what it did
    Show(ShowArguments),
    /// Go on with a run that was cut off, stopped, paused or parked
    Resume(ResumeArguments),
    /// Ask a run that is under way to stop
    Stop(StopArguments),
    /// The openids that a run could not do
    Failed(FailedArguments),
    /// Take back what a run changed
    Undo(UndoArguments),
    /// The account's access token: show, refresh, status, serve
    Token(TokenArguments),
    /// Today's calls by endpoint, and what is left of them
    Quota(QuotaArguments),
    /// Show each setting and where it came from
    Config(ConfigArguments),
    /// Write a commented mpscript.toml and a first script
    Init(InitArguments),
    /// Look whether everything works: configuration, store, clock, hosts, token, rights
    Doctor(DoctorArguments),
    /// Print the reference: every function, errcode and kind of value
    Docs(DocsArguments),
    /// Serve the platform's simulator on this machine
    Sandbox(SandboxArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which platform and which account: the same on every command that reaches them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reach {
    /// Try it on a built-in sandbox, with an account of its own
    #[arg(long, global = true, conflicts_with_all = ["base_url", "account", "config", "store"])]
    pub sandbox: bool,
    /// Followers of the sandbox's account
    #[arg(long, global = true, value_name = "N", requires = "sandbox", default_value_t = DEFAULT_FOLLOWERS)]
    pub sandbox_followers: u32,
    /// Where the platform is, if not at api.weixin.qq.com; plain HTTP only on loopback. May be
    /// repeated: the next is turned to when the one before does not answer
    #[arg(long, global = true, value_name = "URL")]
    pub base_url: Vec<String>,
    /// The account of mpscript.toml to use
    #[arg(long, global = true, value_name = "NAME")]
    pub account: Option<String>,
    /// Where tokens and counts are kept, if not in the state folder: a file, or a
    /// PostgreSQL URL without a password
    #[arg(long, global = true, value_name = "PLACE")]
    pub store: Option<String>,
    /// The configuration file, if not ./mpscript.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// The script, or the name of an automation that is served; `-` reads it from standard input
    #[arg(value_name = "FILE", required_unless_present = "expression")]
    pub file: Option<PathBuf>,
    /// Run this text and print its value
    #[arg(short = 'e', value_name = "TEXT", conflicts_with = "file")]
    pub expression: Option<String>,
    /// The folder of the automation that is named, if not the one that was served last
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// A parameter of the script; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub params: Vec<(String, String)>,
    /// The most calls under way together
    #[arg(long, value_name = "N", default_value_t = DEFAULT_IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Change nothing: make every call that reads, and say what the others would do
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub manner: Manner,
    #[command(flatten)]
    pub reach: Reach,
}

/// What a run may do at the most, from its first start on.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LimitArguments {
    /// Stop after so many changes to followers (tags, remarks, the blacklist)
    #[arg(long, value_name = "N")]
    pub max_changes: Option<u64>,
    /// Stop when more than this share of the followers fail, as in 1%; judged from 1,000 followers on
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_errors: Option<u32>,
}

/// How a run is shown and reported: the same on every command that runs a script.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Manner {
    /// Write the run's report to this file: JSON, or a table (.csv) or a page (.html) by its name
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// When the day's quota is used up, wait for the next day and go on
    #[arg(long)]
    pub allow_pause: bool,
    /// Change an account that is marked `production = true` without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Log every call on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ReplArguments {
    /// Begin with `:dry on`: change nothing, and say what would be changed
    #[arg(long)]
    pub dry_run: bool,
    /// Edit lines with the keys of vi instead of Emacs
    #[arg(long)]
    pub vi: bool,
    /// The most calls under way together
    #[arg(long, value_name = "N", default_value_t = DEFAULT_IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    /// Change an account that is marked `production = true` without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Log every call on standard error
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// What became of the call that the run is parked at: make it `again`, or take it as `done`
    #[arg(long, value_name = "WORD", value_enum)]
    pub unsure: Option<UnsureArgument>,
    /// With --unsure done: what the call answered, as JSON
    #[arg(long, value_name = "JSON", requires = "unsure")]
    pub answer: Option<String>,
    #[command(flatten)]
    pub limits: LimitArguments,
    #[command(flatten)]
    pub manner: Manner,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnsureArgument {
    /// It did not take effect: make it
    Again,
    /// It did
    Done,
}

#[derive(Args, Debug)]
pub(crate) struct UndoArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Change nothing: say what would be taken back
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub manner: Manner,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArguments {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Its report as JSON
    #[arg(long)]
    pub json: bool,
    /// The script that it runs
    #[arg(long, conflicts_with = "json")]
    pub source: bool,
    /// What it has printed, with the time of each line
    #[arg(long, conflicts_with_all = ["json", "source"])]
    pub log: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct StopArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct FailedArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// As CSV
    #[arg(long)]
    pub csv: bool,
    /// Try them once more, as a run of its own
    #[arg(long, conflicts_with = "csv")]
    pub retry: bool,
    #[command(flatten)]
    pub manner: Manner,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// The scripts, or folders of them; `-` reads one from standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The configuration, whose time zone counts where a trigger names none
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    pub command: TokenCommand,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show the token, masked; it is fetched if there is none
    Show {
        /// Print the token itself, and nothing else
        #[arg(long)]
        reveal: bool,
    },
    /// Replace the token by another one
    Refresh,
    /// What is known of the token, without a call
    Status,
    /// Serve the token to other programs (中控服务器)
    Serve(ServeArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    pub listen: SocketAddr,
    /// Listen on this Unix socket instead
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub socket: Option<PathBuf>,
    /// A file that holds the bearer key, if `MPSCRIPT_TOKEN_KEY` does not; readable by you alone
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Listen on a public address: a proxy in front speaks TLS
    #[arg(long)]
    pub behind_proxy: bool,
}

#[derive(Args, Debug)]
pub(crate) struct QuotaArguments {
    /// Ask the platform, a call for each endpoint
    #[arg(long)]
    pub live: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// Where to write them, if not here
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DocsArguments {
    /// One entry, as in `tag::attach`; a module (tag), a kind of value (User), an errcode (45009), or
    /// `errors` for all of them
    #[arg(value_name = "NAME", allow_negative_numbers = true)]
    pub name: Option<String>,
    /// Write definition files for editors (*.d.rhai) into this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pub definitions: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AccountKindArgument {
    /// Certified 服务号
    Service,
    /// Certified 公众号
    Subscription,
    /// Not certified
    Uncertified,
    /// Test account (测试号)
    Test,
}

#[derive(Args, Debug)]
pub(crate) struct SandboxArguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many followers the account has
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FOLLOWERS)]
    pub followers: u32,
    /// How many of them came from a QR scene; may be repeated [default: 98765=1234]
    #[arg(long = "scene", value_name = "ID=COUNT", value_parser = scene)]
    pub scenes: Vec<(u32, u32)>,
    /// How long every answer takes, as in 20ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub latency: Duration,
    /// The account's AppID
    #[arg(long, default_value = DEFAULT_APPID)]
    pub appid: String,
    /// The account's AppSecret; a sandbox's own, never a real one
    #[arg(long, default_value = DEFAULT_SECRET)]
    pub secret: String,
    /// The same seed makes the same world
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Whose rules: today's, or those of 2020 (coupons can be made, followers have names)
    #[arg(long, value_enum, default_value = "today")]
    pub rules: RulesArgument,
    /// Answer a question that the platform's documents leave open; may be repeated
    #[arg(long = "switch", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub switches: Vec<(String, String)>,
    /// A path's daily quota, as in /cgi-bin/user/get=500; may be repeated
    #[arg(long = "quota", value_name = "PATH=N", value_parser = quota)]
    pub quotas: Vec<(String, u64)>,
    /// Calls of one path a minute before 45011
    #[arg(long, value_name = "N")]
    pub minute_limit: Option<u64>,
    /// The only addresses that may fetch tokens; may be repeated
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub ip_whitelist: Vec<IpAddr>,
    /// What kind of account it is: rights and quotas
    #[arg(long, value_enum, default_value = "service")]
    pub account_kind: AccountKindArgument,
    /// The domain that people may be sent back to after the authorize page (网页授权域名)
    #[arg(long, value_name = "DOMAIN", default_value = DEFAULT_REDIRECT_DOMAIN)]
    pub redirect_domain: String,
    /// The Token of the server callback (服务器配置); a sandbox's own
    #[arg(long, value_name = "TOKEN", default_value = DEFAULT_CALLBACK_TOKEN)]
    pub callback_token: String,
    /// Its EncodingAESKey, 43 letters and digits
    #[arg(long, value_name = "KEY", default_value = DEFAULT_AES_KEY)]
    pub aes_key: String,
    /// Whether people have a unionid
    #[arg(long, value_enum, default_value = "off")]
    pub unionid: OnOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesArgument {
    /// As the platform is now
    Today,
    /// As it was in early 2020
    #[value(name = "2020")]
    Of2020,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn scene(text: &str) -> Result<(u32, u32), String> {
    let (id, count) = text.split_once('=').ok_or("write it as ID=COUNT")?;
    let id = id.parse().ok().filter(|id| *id > 0).ok_or("a scene's id is a number from 1 to 4294967295")?;
    let count = count.parse().map_err(|_| "the count is a whole number")?;
    Ok((id, count))
}

fn quota(text: &str) -> Result<(String, u64), String> {
    let (path, calls) = text.split_once('=').ok_or("write it as PATH=N")?;
    if !crate::api::all().iter().any(|spec| spec.path == path) {
        return Err(format!("`{path}` is no path of the sandbox; one is /cgi-bin/user/get"));
    }
    Ok((path.to_owned(), calls.parse().map_err(|_| "the quota is a whole number")?))
}

pub(crate) fn in_flight(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|calls| (1..=1000).contains(calls))
        .ok_or_else(|| "it is from 1 to 1000".to_owned())
}

/// A share in a thousandth of a per cent.
fn share(text: &str) -> Result<u32, String> {
    parse_percent(text).ok_or_else(|| "write it as 1% or 0.5%".to_owned())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a number with its unit, as in 20ms, 30s or 2h".to_owned())
}
