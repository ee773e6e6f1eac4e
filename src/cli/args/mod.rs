//! The arguments of the command line.

mod account;
mod automations;
mod runs;
mod sandbox;
mod setting_names;
mod shared;

pub(crate) use account::{
    ConfigArguments, DoctorArguments, InitArguments, QuotaArguments, TokenArguments, TokenCommand,
    TokenServeArguments,
};
pub(crate) use automations::{
    AutomationArgs, ListArguments, LogFormat, NextArguments, OnBusy, PauseArguments, ServeArguments,
    WatchArguments,
};
pub(crate) use runs::{
    CheckArguments, DocsArguments, FailedArguments, ReplArguments, ResolveArgument, ResumeArguments,
    RunArguments, RunsArguments, ShowArguments, StopArguments, UndoArguments,
};
pub(crate) use sandbox::{AccountKindArgument, OnOff, RulesArgument, SandboxArguments};
pub use setting_names::SETTING_NAMES;
pub(crate) use shared::{RunFlags, TargetArgs};

use clap::{Parser, Subcommand};
use std::path::Path;

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
    /// Evaluate lines interactively
    Repl(ReplArguments),
    /// Check scripts without running them
    Check(CheckArguments),
    /// Run a script, and rerun it whenever it or one of its imports is saved
    Watch(WatchArguments),
    /// Run a folder of automations by their triggers, until stopped
    Serve(ServeArguments),
    /// List the automations with their status and next fire
    Ls(ListArguments),
    /// The next fires of all automations, or of one
    Next(NextArguments),
    /// Pause an automation: its triggers are skipped
    Pause(PauseArguments),
    /// End an automation's pause
    Unpause(AutomationArgs),
    /// Every fire of an automation: its outcome, or why it did not run
    Why(AutomationArgs),
    /// List the recorded runs, newest first
    Runs(RunsArguments),
    /// Show a run: its status and what it did
    Show(ShowArguments),
    /// Resume a run that was interrupted, stopped, paused or parked
    Resume(ResumeArguments),
    /// Ask a running run to stop
    Stop(StopArguments),
    /// The openids that failed in a run
    Failed(FailedArguments),
    /// Undo what a run changed
    Undo(UndoArguments),
    /// The account's access token: show, refresh, status, serve
    Token(TokenArguments),
    /// Today's calls by endpoint, and how many are left
    Quota(QuotaArguments),
    /// Show each setting and where it came from
    Config(ConfigArguments),
    /// Write a commented mpscript.toml and a first script
    Init(InitArguments),
    /// Check that everything works: configuration, store, clock, hosts, token, rights
    Doctor(DoctorArguments),
    /// Print the reference: every function, errcode and kind of value
    Docs(DocsArguments),
    /// Serve the platform's simulator on this machine
    Sandbox(SandboxArguments),
    /// Run what the daemon orders, in a process of its own
    #[command(hide = true)]
    Worker,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The configuration that a command uses.
pub(crate) enum UsedConfig<'a> {
    /// The one of this file, else the one that is found. Without it the command does not start.
    Required(Option<&'a Path>),
    /// The same; the command says itself what is wrong with it, if it needs it.
    Optional(Option<&'a Path>),
    /// None: the command has no account, or starts processes that read it.
    None,
}

impl Command {
    /// The configuration that the command uses. It is required where a script is compiled before the command reads it: the line
    /// of an error may hold any secret of it.
    pub(crate) fn config(&self) -> UsedConfig<'_> {
        fn optional(target: &TargetArgs) -> UsedConfig<'_> {
            UsedConfig::Optional(target.config.as_deref())
        }

        match self {
            Self::Run(run) => UsedConfig::Required(run.target.config.as_deref()),
            Self::Check(check) => UsedConfig::Required(check.config.as_deref()),
            Self::Repl(repl) => optional(&repl.target),
            Self::Serve(serve) => optional(&serve.target),
            Self::Ls(list) => optional(&list.target),
            Self::Next(next) => optional(&next.list.target),
            Self::Pause(pause) => optional(&pause.list.target),
            Self::Unpause(automation) | Self::Why(automation) => optional(&automation.list.target),
            Self::Runs(runs) => optional(&runs.target),
            Self::Show(show) => optional(&show.target),
            Self::Resume(resume) => optional(&resume.target),
            Self::Stop(stop) => optional(&stop.target),
            Self::Failed(failed) => optional(&failed.target),
            Self::Undo(undo) => optional(&undo.target),
            Self::Token(token) => optional(&token.target),
            Self::Quota(quota) => optional(&quota.target),
            Self::Config(config) => optional(&config.target),
            Self::Doctor(doctor) => optional(&doctor.target),
            Self::Watch(_)
            | Self::Init(_)
            | Self::Docs(_)
            | Self::Sandbox(_)
            | Self::Worker
            | Self::Completions { .. } => UsedConfig::None,
        }
    }
}
