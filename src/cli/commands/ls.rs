//! `mpscript ls`: the automations with their status and next fire.

use super::{
    automation_folder::{AutomationFolder, NeededFiles, open_folder, padded},
    served_account::shown_account,
};
use crate::{
    base::{EpochMs, plain_line},
    cli::{
        args::ListArguments,
        output::{exit, render},
    },
    host::Host,
    store::AutomationRecord,
};
use std::collections::BTreeSet;

/// Fires among which the last one is looked for: markers of triggers are stored as fires too.
const RECENT_FIRES: i64 = 20;

pub(crate) fn execute(host: &Host, arguments: &ListArguments) -> anyhow::Result<u8> {
    let folder = open_folder(host, arguments, NeededFiles::All)?;
    let now = host.clock.now();
    let names: BTreeSet<&String> =
        folder.served.revisions().keys().chain(folder.served.stale().keys()).collect();
    if names.is_empty() {
        host.out.line(&format!("there is no automation in {}", folder.folder.display()));
    }
    for error in folder.record_errors() {
        host.err.line(&format!("error: {error}"));
    }
    for name in names {
        let records = folder.records_if_served(name);
        if let [] | [_] = &records[..] {
            let line = line(&folder, name, records.first().copied(), now)?;
            host.out.line(&line);
        } else {
            for record in records {
                let line = line(&folder, name, Some(record), now)?;
                host.out.line(&format!("{line}, account {}", shown_account(record)?));
            }
        }
        if let Some(diagnostic) = folder.served.stale().get(name) {
            render::show_error(host, diagnostic);
        }
    }
    if !folder.is_served() {
        let folder = folder.folder.display();
        host.err.line(&format!("warning: no daemon is running, so nothing fires: mpscript serve {folder}"));
    }
    Ok(exit::DONE)
}

/// An automation in one line, for one of its accounts.
fn line(
    folder: &AutomationFolder,
    name: &str,
    record: Option<&AutomationRecord>,
    now: EpochMs,
) -> anyhow::Result<String> {
    let fires = match record {
        Some(record) => folder.runtime.block_on(folder.store.fires(&record.id, RECENT_FIRES))?,
        None => Vec::new(),
    };
    let last = fires.iter().find(|fire| fire.as_ref().map_or(true, |fire| !fire.state.is_marker()));
    let last = match last {
        None => "never fired".to_owned(),
        Some(Ok(fire)) if fire.run.is_empty() => format!("last {}", fire.state),
        Some(Ok(fire)) => format!("last {} (run {})", fire.state, fire.run),
        Some(Err(error)) => format!("its last fire can't be shown: {error}"),
    };
    let (status, next) = folder.status(name, record, now);
    Ok(format!("{} {status:<10} {} {last}", padded(&plain_line(name), 24), padded(&next, 33)))
}
