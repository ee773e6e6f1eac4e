//! The arguments of the commands that run scripts and work on recorded runs.

use super::shared::{LimitArguments, RunFlags, TargetArgs, bytes, in_flight, name_and_value};
use crate::client::DEFAULT_IN_FLIGHT;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// The script, or the name of an automation that is served; `-` reads it from standard input
    #[arg(value_name = "FILE", required_unless_present = "expression")]
    pub file: Option<PathBuf>,
    /// Run this text and print its value
    #[arg(short = 'e', value_name = "TEXT", conflicts_with = "file")]
    pub expression: Option<String>,
    /// The folder of the named automation, if not the one that was served last
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// A parameter of the script; may be repeated. A value with a slash that names a file, a new file or a folder of tables
    /// lets the script use it
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub params: Vec<(String, String)>,
    /// The maximum number of concurrent calls
    #[arg(long, value_name = "N", default_value_t = DEFAULT_IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Change nothing: make the calls that read, and show what the others would do
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub flags: RunFlags,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ReplArguments {
    /// Start with `:dry on`: change nothing, and show what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Use vi keys instead of Emacs keys
    #[arg(long)]
    pub vi: bool,
    /// The maximum number of concurrent calls
    #[arg(long, value_name = "N", default_value_t = DEFAULT_IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    /// The memory that each line may take, as in 512MiB or 4GiB; 0 for no limit; a quarter of what is available if omitted
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub run_memory: Option<u64>,
    /// Change an account that is marked `production = true` without confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Log every call on standard error
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// How to resolve the call that is in doubt and has parked the run
    #[arg(long, value_name = "HOW", value_enum)]
    pub resolve: Option<ResolveArgument>,
    /// With --resolve completed: the call's answer, as JSON
    #[arg(long, value_name = "JSON", requires = "resolve")]
    pub answer: Option<String>,
    #[command(flatten)]
    pub limits: LimitArguments,
    #[command(flatten)]
    pub flags: RunFlags,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResolveArgument {
    /// The call did not take effect: make it again
    Retry,
    /// The call took effect: take it as completed
    Completed,
}

#[derive(Args, Debug)]
pub(crate) struct UndoArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Change nothing: show what would be undone
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub flags: RunFlags,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArguments {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Its report as JSON
    #[arg(long)]
    pub json: bool,
    /// The source of its script
    #[arg(long, conflicts_with = "json")]
    pub source: bool,
    /// Its output, with the time of each line
    #[arg(long, conflicts_with_all = ["json", "source"])]
    pub log: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct StopArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct FailedArguments {
    /// The run, or the first letters of its id
    #[arg(value_name = "RUN")]
    pub run: String,
    /// As CSV
    #[arg(long)]
    pub csv: bool,
    /// Retry them, as a run of its own
    #[arg(long, conflicts_with = "csv")]
    pub retry: bool,
    #[command(flatten)]
    pub flags: RunFlags,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// The scripts, or folders of them; `-` reads one from standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The configuration file, for the time zone of triggers that name none
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
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
