//! The time zone of triggers that name none.

use super::file;
use crate::{cli::failure::Failure, host::Host, run::schedule::zone};
use chrono_tz::Tz;
use std::path::Path;

/// The default zone, and where it comes from.
pub(crate) fn default_zone(host: &Host, config: Option<&Path>) -> anyhow::Result<(Tz, &'static str)> {
    let configured = file::read(host, config)?.and_then(|(_, file)| file.timezone);
    let machine = || host.variable("TZ").map(str::to_owned).or_else(|| host.zone.clone());
    let (name, source) = match (configured, machine()) {
        (Some(name), _) => (name, "the configuration's"),
        (None, Some(name)) => (name, "the machine's"),
        (None, None) => ("UTC".to_owned(), "the machine has none"),
    };
    let zone = zone(name.trim_start_matches(':'))
        .map_err(|diagnostic| Failure::usage(diagnostic.note(format!("the name is {source}"))))?;
    Ok((zone, source))
}
