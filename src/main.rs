//! The `mpscript` binary: parse, run, exit code.

use std::process::ExitCode;

/// Followers are made on one thread and dropped on another, several texts each: with the system's allocator that is a
/// third of a job's processor time. (Its version 2 takes less memory than 3; huge pages would take more.)
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mpscript::host::protect_memory();
    mpscript::run::hide_script_panics();
    ExitCode::from(mpscript::cli::execute(&mpscript::host::Host::real()))
}
