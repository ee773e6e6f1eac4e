//! `mpscript pause` and `unpause`.

use super::{
    automation_folder::{AutomationFolder, NeededFiles, open_folder},
    served_account::shown_account,
};
use crate::{
    base::EpochMs,
    cli::{
        args::{AutomationArgs, PauseArguments},
        config::default_zone,
        failure::usage_error,
        output::exit,
    },
    host::Host,
    store::AutomationRecord,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

pub(crate) fn execute(host: &Host, arguments: &PauseArguments) -> anyhow::Result<u8> {
    let folder = open_folder(host, &arguments.list, NeededFiles::None)?;
    let records = folder.records(&arguments.name)?;
    let (zone, _) = default_zone(host, arguments.list.target.config.as_deref())?;
    let until = match &arguments.until {
        None => EpochMs::MAX,
        Some(text) => future_time(text, zone, host.clock.now()).ok_or_else(|| {
            let hint = "for example --until \"2026-12-24 18:00\", or --until 3d";
            usage_error(format!("`{text}` is in the past, or not a time"), hint)
        })?,
    };
    for record in &records {
        set_pause(&folder, record, Some(until))?;
        let account = account_if_several(record, &records)?;
        host.out.line(&if until == EpochMs::MAX {
            format!("{0}{account} is paused: mpscript unpause {0} ends that", arguments.name)
        } else {
            let until = until.to_utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S");
            format!("{}{account} is paused until {until} ({zone})", arguments.name)
        });
    }
    Ok(exit::DONE)
}

pub(crate) fn unpause(host: &Host, arguments: &AutomationArgs) -> anyhow::Result<u8> {
    let folder = open_folder(host, &arguments.list, NeededFiles::None)?;
    let records = folder.records(&arguments.name)?;
    let now = host.clock.now();
    for record in &records {
        set_pause(&folder, record, None)?;
        let was_paused = record.paused_until.is_some_and(|until| until > now);
        let was = if was_paused { "fires again" } else { "was not paused" };
        host.out.line(&format!("{}{} {was}", arguments.name, account_if_several(record, &records)?));
    }
    Ok(exit::DONE)
}

fn set_pause(
    folder: &AutomationFolder,
    record: &AutomationRecord,
    until: Option<EpochMs>,
) -> anyhow::Result<()> {
    folder.runtime.block_on(folder.store.pause_automation(&record.id, until))?;
    Ok(())
}

fn account_if_several(record: &AutomationRecord, records: &[&AutomationRecord]) -> anyhow::Result<String> {
    Ok(if records.len() > 1 { format!(", account {},", shown_account(record)?) } else { String::new() })
}

/// A time after `now`: a duration from now on, or a date with or without a time of day, in `zone` unless it names one.
fn future_time(text: &str, zone: Tz, now: EpochMs) -> Option<EpochMs> {
    if let Ok(length) = humantime::parse_duration(text) {
        let until = now + length;
        return DateTime::from_timestamp_millis(until.get()).map(|_| until);
    }
    let with_zone = DateTime::parse_from_rfc3339(text).map(EpochMs::from).ok();
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.or_else(|| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0))
    });
    let local = local.and_then(|local| zone.from_local_datetime(&local).earliest());
    with_zone.or(local.map(EpochMs::from)).filter(|at| *at > now)
}
