//! The `mpscript` binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mpscript::cli::execute(&mpscript::host::Host::real()))
}
