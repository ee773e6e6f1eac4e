//! Automations at the command line: by hand, and what is known of those that are served.

use crate::{
    base::{Diagnostic, closest_match},
    cli::{
        Failure,
        args::{
            arguments::Reach,
            automations::{AutomationsArguments, NamedArguments, NextArguments, PauseArguments},
        },
        config::{file, store},
        output::{exit, render},
    },
    host::Host,
    run::{
        daemon::{DAEMON_LEASE, RUNS_LAST_GOOD, RUNS_NOTHING},
        registry::AutomationRegistry,
        runtime,
        schedule::{trigger::Trigger, zone},
    },
    script::{Automation, HANDLER, HandlerCall, Parameter, Program},
    store::{AutomationRecord, FireState, Store},
};
use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tokio::runtime::Runtime;
use unicode_width::UnicodeWidthStr;

/// What `ctx.trigger` is of a run that somebody has started.
pub(crate) const BY_HAND: &str = "hand";

/// Fires that are shown of an automation.
const MOST_FIRES: i64 = 1_000;

/// Fires of a trigger that are shown.
const NEXT: usize = 5;

/// The call of an automation's handler that somebody wants at this moment.
pub(crate) fn by_hand(
    host: &Host,
    program: &Program,
    automation: &Automation,
    params: &[(String, String)],
) -> Result<HandlerCall, Failure> {
    let mut given = BTreeMap::new();
    for (name, value) in params {
        if given.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(Diagnostic::new(format!("parameter `{name}` is given twice"))));
        }
    }
    let values = Parameter::values(&automation.params, &given).map_err(Failure::usage)?;
    let name = Path::new(&program.name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let now = host.clock.now_ms();
    let scheduled = DateTime::from_timestamp_millis(now).unwrap_or_default().with_timezone(&Local);
    Ok(HandlerCall {
        automation: name.unwrap_or_default(),
        handler: HANDLER.to_owned(),
        trigger: BY_HAND.to_owned(),
        scheduled_ms: now,
        scheduled: scheduled.to_rfc3339(),
        params: values,
        ..HandlerCall::default()
    })
}

/// The zone of triggers that name none, and where it comes from.
pub(crate) fn default_zone(host: &Host, config: Option<&Path>) -> Result<(Tz, &'static str), Failure> {
    let configured = file::read(host, config)?.and_then(|(_, file)| file.timezone);
    let machine = || host.variable("TZ").map(str::to_owned).or_else(|| host.zone.clone());
    let (name, source) = match (configured, machine()) {
        (Some(name), _) => (name, "the configuration's"),
        (None, Some(name)) => (name, "the machine's"),
        (None, None) => ("UTC".to_owned(), "the machine tells none"),
    };
    let zone = zone(name.trim_start_matches(':'))
        .map_err(|diagnostic| Failure::usage(diagnostic.note(format!("the name is {source}"))))?;
    Ok((zone, source))
}

/// What an automation says of itself, with the next instants of its triggers.
pub(crate) fn describe(automation: &Automation, triggers: &[Trigger], now: i64) -> String {
    let mut text = String::new();
    for trigger in triggers {
        let handler =
            if trigger.handler == HANDLER { String::new() } else { format!(" calls {}", trigger.handler) };
        text.push_str(&format!("\n  {}{handler}", trigger.schedule));
        let mut at = now;
        for _ in 0..NEXT {
            let Some(next) = trigger.schedule.after(at) else { break };
            text.push_str(&format!("\n    {}", trigger.schedule.show(next)));
            at = next;
        }
    }
    if triggers.is_empty() {
        text.push_str("\n  no triggers: it runs by hand");
    }
    for (name, parameter) in &automation.params {
        let init = parameter.init().map_or("must be given".to_owned(), |init| format!("{init} by default"));
        let help = if parameter.help.is_empty() { String::new() } else { format!(": {}", parameter.help) };
        text.push_str(&format!("\n  parameter {name} ({}, {init}){help}", parameter.kind.words()));
    }
    text
}

/// The automations of a folder with what the store keeps of them.
struct Known {
    runtime: Runtime,
    store: Store,
    served: AutomationRegistry,
    folder: PathBuf,
}

/// The automations of the folder that is named, else of the one that was served last.
fn known(host: &Host, arguments: &AutomationsArguments) -> Result<Known, Failure> {
    let (zone, _) = default_zone(host, arguments.reach.config.as_deref())?;
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let store = store::require(host, &runtime, &arguments.reach)?;
    let folder = if let Some(folder) = &arguments.dir {
        host.folder.join(folder)
    } else {
        let records = runtime.block_on(store.automations()).map_err(|error| store::failure(&error))?;
        let served = records.into_iter().filter(|record| Path::new(&record.folder).is_dir());
        let Some(folder) = served.max_by_key(|record| record.served_at).map(|record| record.folder) else {
            let message = format!("{} knows of no folder that is served", store.place());
            let hint = "give it with --dir FOLDER, or serve it: mpscript serve FOLDER";
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        };
        PathBuf::from(folder)
    };
    let mut served = AutomationRegistry::new(&folder, zone);
    served.scan().map_err(|error| {
        Failure::usage(Diagnostic::new(format!("can't list {}: {error}", folder.display())))
    })?;
    // What is half saved is served as it was before.
    let stale: Vec<String> = served.stale().keys().cloned().collect();
    for name in stale {
        let record = runtime.block_on(store.automation(&name)).map_err(|error| store::failure(&error))?;
        if let Some(record) = record {
            served.revive(&record);
        }
    }
    let folder = served.folder().to_owned();
    Ok(Known { runtime, store, served, folder })
}

/// The file of an automation that somebody has named, where there is no script of that name.
///
/// # Errors
/// When there is neither, and something is served that could have been meant.
pub(crate) fn file_of(
    host: &Host,
    named: &Path,
    dir: Option<&Path>,
    reach: &Reach,
) -> Result<Option<PathBuf>, Failure> {
    let is_script = named.extension().is_some_and(|extension| extension == "rhai");
    let is_name = named.components().count() == 1;
    if !is_name || named == Path::new("-") || host.folder.join(named).exists() {
        return Ok(None);
    }
    let arguments = AutomationsArguments { dir: dir.map(Path::to_owned), reach: reach.clone() };
    // Without a folder that is served it is a file that is not there, and told so.
    let Ok(known) = known(host, &arguments) else { return Ok(None) };
    // A name may have points of its own.
    let name = if is_script { named.with_extension("") } else { named.to_owned() }.display().to_string();
    let file = known.folder.join(format!("{name}.rhai"));
    if file.exists() && !is_script {
        return Ok(Some(file));
    }
    let near = closest_match(&name, known.served.revisions().keys().map(String::as_str));
    let elsewhere = if near == Some(&name) {
        String::new()
    } else {
        format!(", nor an automation of that name in {}", known.folder.display())
    };
    let message = format!("there is no script {} here{elsewhere}", named.display());
    let hint = match near {
        Some(near) if near == name => format!("mpscript run {name} runs the automation"),
        Some(near) => format!("did you mean `{near}`?"),
        None => "mpscript ls lists them".to_owned(),
    };
    Err(Failure::usage(Diagnostic::new(message).hint(hint)))
}

/// The instant after which an automation fires next: fires up to the end of a pause are skipped.
fn from(record: Option<&AutomationRecord>, now: i64) -> i64 {
    record.map_or(now, |record| now.max(record.paused_until.saturating_sub(1)))
}

impl Known {
    /// What the store keeps of an automation, which must be there.
    fn record(&self, name: &str) -> Result<AutomationRecord, Failure> {
        self.record_of(name)?.ok_or_else(|| {
            let names = self.served.revisions().keys().map(String::as_str);
            let hint = match closest_match(name, names) {
                Some(near) if near == name => {
                    "it is in the folder, but was never served: mpscript serve".to_owned()
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => "mpscript ls lists them".to_owned(),
            };
            let message = format!("there is no automation `{name}` in {}", self.folder.display());
            Failure::usage(Diagnostic::new(message).hint(hint))
        })
    }

    /// What the store keeps of an automation; nothing of one that was never served.
    fn record_of(&self, name: &str) -> Result<Option<AutomationRecord>, Failure> {
        self.runtime.block_on(self.store.automation(name)).map_err(|error| store::failure(&error))
    }

    /// Says that an automation's file is not what runs, if so.
    fn tell_stale(&self, host: &Host, name: &str) {
        if self.served.stale().contains_key(name) {
            host.err.line(&format!(
                "{name} is STALE, {RUNS_LAST_GOOD}: mpscript ls tells what is wrong with its file"
            ));
        }
    }

    /// How an automation stands, and when it fires next.
    fn stands(
        &self,
        name: &str,
        record: Option<&AutomationRecord>,
        is_served: bool,
        now: i64,
    ) -> (&'static str, String) {
        let stale = record.map(|record| record.stale.as_str()).unwrap_or_default();
        if self.served.stale().contains_key(name) {
            // What the daemon runs is not what the file says.
            let goes_on = is_served && stale.ends_with(RUNS_LAST_GOOD);
            return ("STALE", if goes_on { RUNS_LAST_GOOD } else { RUNS_NOTHING }.to_owned());
        }
        let paused = record.map_or(0, |record| record.paused_until);
        if paused == i64::MAX {
            return ("paused", "until it is unpaused".to_owned());
        }
        let next = self.next_of(name, from(record, now), 1);
        let next = next.first().map(|(at, trigger)| trigger.schedule.show(*at));
        let is_served = is_served && record.is_some_and(|record| Path::new(&record.folder) == self.folder);
        match record {
            Some(_) if paused > now => ("paused", next.unwrap_or("by hand".to_owned())),
            Some(_) if is_served => ("live", next.unwrap_or("by hand".to_owned())),
            _ => ("not served", next.unwrap_or("by hand".to_owned())),
        }
    }

    /// The next fires of an automation, in order: instants with their triggers.
    fn next_of(&self, name: &str, after: i64, count: usize) -> Vec<(i64, &Trigger)> {
        let triggers = self.served.revisions().get(name).map_or(&[][..], |version| &version.triggers);
        let mut fires = Vec::new();
        for trigger in triggers {
            let mut at = after;
            for _ in 0..count {
                let Some(next) = trigger.schedule.after(at) else { break };
                fires.push((next, trigger));
                at = next;
            }
        }
        fires.sort_by_key(|(at, _)| *at);
        fires.truncate(count);
        fires
    }
}

/// `mpscript ls`.
pub(crate) fn list(host: &Host, arguments: &AutomationsArguments) -> Result<u8, Failure> {
    let known = known(host, arguments)?;
    let now = host.clock.now_ms();
    let names: BTreeSet<&String> =
        known.served.revisions().keys().chain(known.served.stale().keys()).collect();
    if names.is_empty() {
        host.out.line(&format!("there is no automation in {}", known.folder.display()));
    }
    let daemons = known.runtime.block_on(known.store.lease_owners(DAEMON_LEASE, now));
    let is_served = !daemons.map_err(|error| store::failure(&error))?.is_empty();
    for name in names {
        let record = known.record_of(name)?;
        let fires =
            known.runtime.block_on(known.store.fires(name, 20)).map_err(|error| store::failure(&error))?;
        let last = fires.iter().find(|fire| !fire.state.is_marker());
        let last = last.map_or("never fired".to_owned(), |fire| {
            let run = if fire.run.is_empty() { String::new() } else { format!(" (run {})", fire.run) };
            format!("last {}{run}", fire.state)
        });
        let (state, next) = known.stands(name, record.as_ref(), is_served, now);
        host.out.line(&format!("{} {state:<10} {} {last}", padded(name, 24), padded(&next, 33)));
        if let Some(diagnostic) = known.served.stale().get(name) {
            host.err.line(&render::error(host, diagnostic));
        }
    }
    if !is_served {
        let folder = known.folder.display();
        host.err.line(&format!("warning: no process serves, so nothing fires: mpscript serve {folder}"));
    }
    Ok(exit::DONE)
}

/// A text with blanks up to a width on the screen.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// `mpscript next`.
pub(crate) fn next(host: &Host, arguments: &NextArguments) -> Result<u8, Failure> {
    let known = known(host, &arguments.automations)?;
    if let Some(name) = &arguments.name
        && !known.served.revisions().contains_key(name)
    {
        known.record(name)?;
        let message = format!("`{name}` has no triggers: its file is gone or can't be read");
        return Err(Failure::usage(Diagnostic::new(message).hint("mpscript ls shows how it stands")));
    }
    let now = host.clock.now_ms();
    let names =
        known.served.revisions().keys().filter(|name| arguments.name.as_ref().is_none_or(|one| one == *name));
    let mut fires: Vec<(i64, &Trigger, &String)> = Vec::new();
    for name in names {
        let record = known.record_of(name)?;
        known.tell_stale(host, name);
        if record.as_ref().is_some_and(|record| record.paused_until == i64::MAX) {
            host.err.line(&format!("{name} is paused: mpscript unpause {name} ends that"));
            continue;
        }
        let next = known.next_of(name, from(record.as_ref(), now), usize::from(arguments.count));
        fires.extend(next.into_iter().map(|(at, trigger)| (at, trigger, name)));
    }
    fires.sort_by_key(|(at, _, name)| (*at, *name));
    for (at, trigger, name) in fires.into_iter().take(usize::from(arguments.count)) {
        host.out.line(&format!(
            "{:<33} {} {}",
            trigger.schedule.show(at),
            padded(name, 24),
            trigger.schedule
        ));
    }
    Ok(exit::DONE)
}

/// `mpscript pause`.
pub(crate) fn pause(host: &Host, arguments: &PauseArguments) -> Result<u8, Failure> {
    let known = known(host, &arguments.automations)?;
    known.record(&arguments.name)?;
    let (zone, _) = default_zone(host, arguments.automations.reach.config.as_deref())?;
    let until = match &arguments.until {
        None => i64::MAX,
        Some(text) => instant(text, zone, host.clock.now_ms()).ok_or_else(|| {
            let message = format!("`{text}` is past, or no time");
            Failure::usage(
                Diagnostic::new(message).hint("for example --until \"2026-12-24 18:00\", or --until 3d"),
            )
        })?,
    };
    change_pause(&known, &arguments.name, until)?;
    let says = if until == i64::MAX {
        format!("{0} is paused: mpscript unpause {0} ends that", arguments.name)
    } else {
        let until = DateTime::from_timestamp_millis(until).unwrap_or_default().with_timezone(&zone);
        format!("{} is paused until {} ({zone})", arguments.name, until.format("%Y-%m-%d %H:%M:%S"))
    };
    host.out.line(&says);
    Ok(exit::DONE)
}

fn change_pause(known: &Known, name: &str, until: i64) -> Result<(), Failure> {
    let changed = known.runtime.block_on(known.store.pause_automation(name, until));
    changed.map(drop).map_err(|error| store::failure(&error))
}

/// A time to come: a length of time from now on, or a date and a time of day in a zone.
fn instant(text: &str, zone: Tz, now: i64) -> Option<i64> {
    if let Ok(length) = humantime::parse_duration(text) {
        let until = now.checked_add(i64::try_from(length.as_millis()).ok()?)?;
        return DateTime::from_timestamp_millis(until).map(|_| until);
    }
    let written = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis()).ok();
    let local = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M"];
    let local =
        local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).or_else(|| {
            NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0))
        });
    let local =
        local.and_then(|local| zone.from_local_datetime(&local).earliest()).map(|at| at.timestamp_millis());
    written.or(local).filter(|at| *at > now)
}

/// `mpscript unpause`.
pub(crate) fn unpause(host: &Host, arguments: &NamedArguments) -> Result<u8, Failure> {
    let known = known(host, &arguments.automations)?;
    let record = known.record(&arguments.name)?;
    change_pause(&known, &arguments.name, 0)?;
    let was = if record.paused_until > host.clock.now_ms() { "fires again" } else { "was not paused" };
    host.out.line(&format!("{} {was}", arguments.name));
    Ok(exit::DONE)
}

/// `mpscript why`.
pub(crate) fn why(host: &Host, arguments: &NamedArguments) -> Result<u8, Failure> {
    let known = known(host, &arguments.automations)?;
    known.record(&arguments.name)?;
    known.tell_stale(host, &arguments.name);
    let fires = known.runtime.block_on(known.store.fires(&arguments.name, MOST_FIRES));
    let version = known.served.revisions().get(&arguments.name);
    let fires = fires.map_err(|error| store::failure(&error))?;
    if i64::try_from(fires.len()) == Ok(MOST_FIRES) {
        host.err.line(&format!("the last {MOST_FIRES} lines; there may be older ones"));
    }
    for fire in fires {
        let trigger =
            version.and_then(|version| version.triggers.iter().find(|trigger| trigger.key == fire.source));
        let local = || {
            let at = DateTime::from_timestamp_millis(fire.instant).unwrap_or_default();
            at.with_timezone(&Local).format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
        };
        let at = trigger.map_or_else(local, |trigger| trigger.schedule.show(fire.instant));
        // What is still to be heard of is told in the journal's words.
        let is_told = !fire.reason.is_empty() && fire.state != FireState::Claimed;
        let reason = if is_told { format!(": {}", fire.reason) } else { String::new() };
        let run = if fire.run.is_empty() { String::new() } else { format!(" (run {})", fire.run) };
        host.out.line(&format!("{at:<33} {:<18} {}{reason}{run}", fire.state, fire.source));
    }
    Ok(exit::DONE)
}
