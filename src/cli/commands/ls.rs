//! `mpscript ls`: the automations with their status and next fire.

use super::automation_folder::{open_folder, padded};
use crate::{
    base::plain_line,
    cli::{
        args::ListArguments,
        output::{exit, render},
    },
    host::Host,
    run::daemon::DAEMON_LEASE,
};
use std::collections::BTreeSet;

/// Fires among which the last one is looked for: markers of triggers are stored as fires too.
const RECENT_FIRES: i64 = 20;

pub(crate) fn execute(host: &Host, arguments: &ListArguments) -> anyhow::Result<u8> {
    let folder = open_folder(host, arguments)?;
    let now = host.clock.now();
    let names: BTreeSet<&String> =
        folder.served.revisions().keys().chain(folder.served.stale().keys()).collect();
    if names.is_empty() {
        host.out.line(&format!("there is no automation in {}", folder.folder.display()));
    }
    let is_served = !folder.runtime.block_on(folder.store.lease_owners(DAEMON_LEASE, now))?.is_empty();
    for name in names {
        let record = folder.record_if_served(name)?;
        let fires = folder.runtime.block_on(folder.store.fires(name, RECENT_FIRES))?;
        let last = fires.iter().find(|fire| !fire.state.is_marker());
        let last = last.map_or("never fired".to_owned(), |fire| {
            let run = if fire.run.is_empty() { String::new() } else { format!(" (run {})", fire.run) };
            format!("last {}{run}", fire.state)
        });
        let (status, next) = folder.status(name, record.as_ref(), is_served, now);
        host.out.line(&format!(
            "{} {status:<10} {} {last}",
            padded(&plain_line(name), 24),
            padded(&next, 33)
        ));
        if let Some(diagnostic) = folder.served.stale().get(name) {
            render::show_error(host, diagnostic);
        }
    }
    if !is_served {
        let folder = folder.folder.display();
        host.err.line(&format!("warning: no daemon is running, so nothing fires: mpscript serve {folder}"));
    }
    Ok(exit::DONE)
}
