//! Words to and from the person: arguments, configuration, progress, messages, exit codes.
//!
//! Must never know wire formats: what it shows, the floors below have read.

mod arguments;
mod callback;
mod check;
mod config;
mod docs;
mod exit;
mod progress;
mod render;
mod run;
mod sandbox;
mod watch_signals;

use crate::{base::Diagnostic, host::Host};
use arguments::{Arguments, Command};
use clap::{CommandFactory, FromArgMatches};

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
                exit::USAGE
            } else {
                host.out.write(&text);
                exit::DONE
            };
        }
    };
    let result = match arguments.command {
        Command::Run(run) => run::execute(host, &run),
        Command::Check(check) => check::execute(host, &check),
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
