//! The command line: arguments, configuration, progress, messages, exit codes.
//!
//! Must never know wire formats: what it shows, the floors below have decoded.

mod args;
mod commands;
mod config;
mod failure;
mod file_events;
mod output;
mod repl;
mod runtime;
mod signals;

pub use args::SETTING_NAMES;

use crate::host::Host;
use args::{Arguments, Command, UsedConfig};
use clap::{CommandFactory, FromArgMatches};
use commands::{
    check, docs, doctor, failed, ls, next, pause, quota, resume, run, runs, sandbox, serve, show, stop,
    token, undo, watch, why, worker,
};
use config::{init, learn_configuration, learn_environment, show as config_show};
use failure::Failure;
use output::{exit, render};
use std::path::Path;

/// Parses, runs, and gives the exit code.
#[must_use]
pub fn execute(host: &Host) -> u8 {
    let host = &Host { setting_names: SETTING_NAMES, ..host.clone() };
    learn_environment(host);
    let command = Arguments::command().after_help(exit::help());
    let arguments = command
        .try_get_matches_from(&host.arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let result = match arguments {
        Ok(arguments) => {
            learn_secrets(host, &arguments.command).and_then(|()| dispatch(host, arguments.command))
        }
        Err(error) => return not_parsed(host, &error),
    };
    result.unwrap_or_else(|error| {
        let failure = Failure::from(error);
        render::show_error(host, &failure.diagnostic);
        failure.code
    })
}

/// Masks the configured secrets, before anything of a script is shown.
fn learn_secrets(host: &Host, command: &Command) -> anyhow::Result<()> {
    match command.config() {
        UsedConfig::Required(config) => learn_configuration(host, config),
        UsedConfig::Optional(config) => {
            // The command reports what is wrong with it.
            let _ = learn_configuration(host, config);
            Ok(())
        }
        UsedConfig::None => Ok(()),
    }
}

fn dispatch(host: &Host, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run(run) => run::execute(host, &run),
        Command::Repl(repl) => repl::execute(host, &repl),
        Command::Check(check) => check::execute(host, &check),
        Command::Watch(watch) => watch::execute(host, &watch),
        Command::Serve(serve) => serve::execute(host, &serve),
        Command::Ls(ls) => ls::execute(host, &ls),
        Command::Next(next) => next::execute(host, &next),
        Command::Pause(pause) => pause::execute(host, &pause),
        Command::Unpause(automation) => pause::unpause(host, &automation),
        Command::Why(automation) => why::execute(host, &automation),
        Command::Runs(runs) => runs::execute(host, &runs),
        Command::Show(show) => show::execute(host, &show),
        Command::Resume(resume) => resume::execute(host, &resume),
        Command::Stop(stop) => stop::execute(host, &stop),
        Command::Failed(failed) => failed::execute(host, &failed),
        Command::Undo(undo) => undo::execute(host, &undo),
        Command::Token(token) => token::execute(host, &token),
        Command::Quota(quota) => quota::execute(host, &quota),
        Command::Config(config) => config_show::execute(host, &config),
        Command::Init(init) => init::execute(host, &init),
        Command::Doctor(doctor) => doctor::execute(host, &doctor),
        Command::Docs(docs) => docs::execute(host, &docs),
        Command::Sandbox(sandbox) => sandbox::execute(host, sandbox),
        Command::Worker => worker::execute(host),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "mpscript", &mut script);
            host.out.write(&String::from_utf8_lossy(&script));
            Ok(exit::DONE)
        }
    }
}

/// Shows help, the version, or what is wrong with the arguments.
fn not_parsed(host: &Host, error: &clap::Error) -> u8 {
    let text = if host.colour() { error.render().ansi().to_string() } else { error.render().to_string() };
    if !error.use_stderr() {
        host.out.styled(&text);
        return exit::DONE;
    }
    host.err.styled(&text);
    let script = host.arguments.get(1).and_then(|first| first.to_str());
    if let Some(script) =
        script.filter(|script| Path::new(script).extension().is_some_and(|kind| kind == "rhai"))
    {
        host.err.line(&format!("  hint: did you mean `mpscript run {script}`?"));
    }
    exit::USAGE
}
