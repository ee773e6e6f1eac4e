//! `mpscript next`: the next fires.

use super::automation_folder::{NextFire, fires_after, open_folder, padded};
use crate::{
    base::{EpochMs, plain_line},
    cli::{args::NextArguments, failure::usage_error, output::exit},
    host::Host,
};

pub(crate) fn execute(host: &Host, arguments: &NextArguments) -> anyhow::Result<u8> {
    let folder = open_folder(host, &arguments.list)?;
    if let Some(name) = &arguments.name
        && !folder.served.revisions().contains_key(name)
    {
        folder.record(name)?;
        let message = format!("`{name}` has no triggers: its file is missing or can't be loaded");
        return Err(usage_error(message, "mpscript ls shows its status"));
    }
    let now = host.clock.now();
    let count = usize::from(arguments.count);
    let names = folder
        .served
        .revisions()
        .keys()
        .filter(|name| arguments.name.as_ref().is_none_or(|one| one == *name));
    let mut fires: Vec<(NextFire, &String)> = Vec::new();
    for name in names {
        let record = folder.record_if_served(name)?;
        folder.warn_stale(host, name);
        if record.as_ref().is_some_and(|record| record.paused_until == Some(EpochMs::MAX)) {
            host.err.line(&format!("{name} is paused: mpscript unpause {name} ends that"));
            continue;
        }
        let next = folder.next_fires(name, fires_after(record.as_ref(), now), count);
        fires.extend(next.into_iter().map(|fire| (fire, name)));
    }
    fires.sort_by_key(|(fire, name)| (fire.at, *name));
    for (NextFire { at, trigger }, name) in fires.into_iter().take(count) {
        let schedule = &trigger.schedule;
        host.out.line(&format!("{:<33} {} {schedule}", schedule.show(at), padded(&plain_line(name), 24)));
    }
    Ok(exit::DONE)
}
