//! Words to and from the person: arguments, configuration, progress, messages, exit codes.
//!
//! Must never know wire formats: what it shows, the floors below have read.

mod args;
mod commands;
mod config;
mod output;
mod repl;
mod signals;

use crate::cli::{
    commands::{
        automations, check, docs, doctor, quota, resume, run, runs, sandbox, serve, token, undo, watch,
    },
    config::{init, show},
    output::{exit, render},
    repl::session_loop,
};
use crate::{base::Diagnostic, host::Host};
use args::arguments::{Arguments, Command};
use clap::{CommandFactory, FromArgMatches};
use std::path::Path;

/// What a command could not do, and the exit code that says so.
struct Failure {
    diagnostic: Diagnostic,
    code: u8,
}

impl Failure {
    /// The person gave something wrong: arguments or configuration.
    fn usage(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, code: exit::USAGE }
    }
}

/// Parses, runs, and gives the exit code.
#[must_use]
pub fn execute(host: &Host) -> u8 {
    let command = Arguments::command().after_help(exit::help());
    let arguments = command
        .try_get_matches_from(&host.arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            let text =
                if host.colour() { error.render().ansi().to_string() } else { error.render().to_string() };
            // Help and version were asked for; anything else is an error.
            return if error.use_stderr() {
                host.err.write(&text);
                let script = host.arguments.get(1).and_then(|first| first.to_str());
                if let Some(script) =
                    script.filter(|script| Path::new(script).extension().is_some_and(|kind| kind == "rhai"))
                {
                    host.err.line(&format!("  hint: did you mean `mpscript run {script}`?"));
                }
                exit::USAGE
            } else {
                host.out.write(&text);
                exit::DONE
            };
        }
    };
    let result = match arguments.command {
        Command::Run(run) => run::execute(host, &run),
        Command::Repl(repl) => session_loop::execute(host, &repl),
        Command::Check(check) => check::execute(host, &check),
        Command::Watch(arguments) => watch::execute(host, &arguments),
        Command::Serve(arguments) => serve::execute(host, &arguments),
        Command::Ls(arguments) => automations::list(host, &arguments),
        Command::Next(arguments) => automations::next(host, &arguments),
        Command::Pause(arguments) => automations::pause(host, &arguments),
        Command::Unpause(arguments) => automations::unpause(host, &arguments),
        Command::Why(arguments) => automations::why(host, &arguments),
        Command::Runs(runs) => runs::list(host, &runs),
        Command::Show(show) => runs::show(host, &show),
        Command::Resume(resume) => resume::execute(host, &resume),
        Command::Stop(stop) => runs::stop(host, &stop),
        Command::Failed(failed) => runs::failed(host, &failed),
        Command::Undo(undo) => undo::execute(host, &undo),
        Command::Token(token) => token::execute(host, &token),
        Command::Quota(quota) => quota::execute(host, &quota),
        Command::Config(config) => show::execute(host, &config),
        Command::Init(init) => init::execute(host, &init),
        Command::Doctor(doctor) => doctor::execute(host, &doctor),
        Command::Docs(docs) => docs::execute(host, &docs),
        Command::Sandbox(sandbox) => sandbox::execute(host, sandbox),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "mpscript", &mut script);
            host.out.write(&String::from_utf8_lossy(&script));
            Ok(exit::DONE)
        }
    };
    result.unwrap_or_else(|failure| {
        host.err.line(&render::error(host, &failure.diagnostic));
        failure.code
    })
}
