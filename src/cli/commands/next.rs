//! `mpscript next`: the next fires.

use super::{
    automation_folder::{NeededFiles, NextFire, fires_after, open_folder, padded},
    served_account::shown_account,
};
use crate::{
    base::{EpochMs, plain_line},
    cli::{args::NextArguments, failure::usage_error, output::exit},
    host::Host,
};

pub(crate) fn execute(host: &Host, arguments: &NextArguments) -> anyhow::Result<u8> {
    let needed = arguments.name.as_deref().map_or(NeededFiles::All, NeededFiles::Of);
    let folder = open_folder(host, &arguments.list, needed)?;
    if let Some(name) = &arguments.name
        && !folder.served.revisions().contains_key(name)
    {
        folder.records(name)?;
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
    // With the name of an automation, the account, where there are several.
    let mut fires: Vec<(NextFire, &String, String)> = Vec::new();
    for name in names {
        folder.warn_stale(host, name);
        let records = folder.records_if_served(name);
        if records.is_empty() {
            let next = folder.next_fires(name, now, count);
            fires.extend(next.into_iter().map(|fire| (fire, name, String::new())));
        }
        let has_several = records.len() > 1;
        for record in records {
            let account =
                if has_several { format!(", account {}", shown_account(record)?) } else { String::new() };
            if record.paused_until == Some(EpochMs::MAX) {
                host.err.line(&format!("{name} is paused{account}: mpscript unpause {name} ends that"));
                continue;
            }
            let next = folder.next_fires(name, fires_after(Some(record), now), count);
            fires.extend(next.into_iter().map(|fire| (fire, name, account.clone())));
        }
    }
    fires.sort_by(|(one, name, account), (other, other_name, other_account)| {
        (one.at, *name, account).cmp(&(other.at, *other_name, other_account))
    });
    for (NextFire { at, trigger }, name, account) in fires.into_iter().take(count) {
        let schedule = &trigger.schedule;
        let name = padded(&plain_line(name), 24);
        host.out.line(&format!("{:<33} {name} {schedule}{account}", schedule.show(at)));
    }
    Ok(exit::DONE)
}
