//! `mpscript worker`: the process of one run, which the daemon starts. It is no command for a person.

use crate::{
    cli::{
        failure::usage_error,
        output::{exit, log},
        runtime::start_runtime,
        signals,
    },
    host::Host,
    run::runner::work,
};

pub(crate) fn execute(host: &Host) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::Warnings);
    let runtime = start_runtime()?;
    // They are for the daemon, which asks its runs to stop.
    signals::ignore(&runtime);
    work(host, &runtime).map_err(|error| {
        usage_error(error.to_string(), "mpscript serve starts this command for each of its runs")
    })?;
    Ok(exit::DONE)
}
