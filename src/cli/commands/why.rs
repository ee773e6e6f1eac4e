//! `mpscript why`: the fires of an automation, each with its outcome.

use super::{
    automation_folder::{AutomationFolder, NeededFiles, open_folder},
    served_account::shown_account,
};
use crate::{
    base::plain_line,
    cli::{args::AutomationArgs, output::exit},
    host::Host,
    store::AutomationId,
};
use chrono::Local;

/// Fires that are shown.
const MAX_FIRES: i64 = 1_000;

pub(crate) fn execute(host: &Host, arguments: &AutomationArgs) -> anyhow::Result<u8> {
    let folder = open_folder(host, &arguments.list, NeededFiles::Of(&arguments.name))?;
    let records = folder.records(&arguments.name)?;
    folder.warn_stale(host, &arguments.name);
    let has_several = records.len() > 1;
    for record in records {
        if has_several {
            host.out.line(&format!("account {}:", shown_account(record)?));
        }
        show(host, &folder, &record.id)?;
    }
    Ok(exit::DONE)
}

/// Shows the fires of an automation for one account.
fn show(host: &Host, folder: &AutomationFolder, id: &AutomationId) -> anyhow::Result<()> {
    let fires = folder.runtime.block_on(folder.store.fires(id, MAX_FIRES))?;
    let version = folder.served.revisions().get(&id.name);
    if i64::try_from(fires.len()) == Ok(MAX_FIRES) {
        host.err.line(&format!("the last {MAX_FIRES} fires; there may be older ones"));
    }
    for fire in fires {
        let fire = match fire {
            Ok(fire) => fire,
            Err(error) => {
                host.out.line(&plain_line(&format!("a fire can't be shown: {error}")));
                continue;
            }
        };
        let trigger =
            version.and_then(|version| version.triggers.iter().find(|trigger| trigger.key == fire.trigger));
        let local = || {
            let at = fire.scheduled_at.to_utc().with_timezone(&Local);
            at.format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
        };
        let at = trigger.map_or_else(local, |trigger| trigger.schedule.show(fire.scheduled_at));
        let note = fire.reason.note();
        let reason = if note.is_empty() { String::new() } else { format!(": {note}") };
        let run = if fire.run.is_empty() { String::new() } else { format!(" (run {})", fire.run) };
        let line = format!("{at:<33} {:<18} {}{reason}{run}", fire.state, fire.trigger);
        host.out.line(&plain_line(&line));
    }
    Ok(())
}
