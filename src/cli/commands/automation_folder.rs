//! The automations of a folder with what the store records of them: what the commands about automations share.

use super::{
    check::nearest_script,
    served_account::{is_named, live_accounts, shown_account},
};
use crate::{
    base::{EpochMs, closest_match},
    cli::{
        args::{ListArguments, TargetArgs},
        config::{default_zone, find_account_key, open_existing, open_required},
        failure::usage_error,
        runtime::start_runtime,
    },
    host::Host,
    run::{
        daemon::{RUNS_LAST_GOOD, RUNS_NOTHING},
        registry::AutomationRegistry,
        schedule::trigger::Trigger,
        scripts_in,
    },
    store::{AutomationRecord, ServedVersion, Store, StoreError, UnreadableAutomation},
};
use anyhow::Context;
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::runtime::Runtime;
use unicode_width::UnicodeWidthStr;

pub(super) struct AutomationFolder {
    pub runtime: Runtime,
    pub store: Store,
    pub served: AutomationRegistry,
    pub folder: PathBuf,
    /// What the store records of automations, by name and account.
    records: Vec<AutomationRecord>,
    /// The records of automations of this folder that can't be decoded.
    unreadable: Vec<UnreadableAutomation>,
    /// The accounts that a daemon serves the folder for at the moment.
    live: BTreeSet<String>,
    /// The account that the command line names, if it does.
    account: Option<String>,
}

/// Which files of a folder a command needs: one that takes long to load, or can't be read, delays those that need it only.
#[derive(Clone, Copy)]
pub(super) enum NeededFiles<'a> {
    All,
    /// That of one automation.
    Of(&'a str),
    /// What the store records is enough.
    None,
}

/// A fire that a trigger's schedule has in the future.
pub(super) struct NextFire<'a> {
    pub at: EpochMs,
    pub trigger: &'a Trigger,
}

/// Opens the folder of `--dir`, else the one that was served last, and loads what is needed of it.
pub(super) fn open_folder(
    host: &Host,
    arguments: &ListArguments,
    needed: NeededFiles,
) -> anyhow::Result<AutomationFolder> {
    let (zone, _) = default_zone(host, arguments.target.config.as_deref())?;
    let runtime = start_runtime()?;
    let store = match open_existing(host, &runtime, &arguments.target)? {
        Some(store) => store,
        None => open_required(host, &runtime, &arguments.target)?,
    };
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for record in runtime.block_on(store.automations())? {
        match record {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(error),
        }
    }
    let account = find_account_key(host, &arguments.target).map(|key| key.to_string());
    let account = if is_named(&arguments.target) { Some(account?) } else { account.ok() };
    let folder = match &arguments.dir {
        Some(folder) => host.folder.join(folder),
        None => last_served(&store, &records, account.as_deref())?,
    };
    let account = account.filter(|_| is_named(&arguments.target));
    let mut served = AutomationRegistry::new(&folder, zone);
    match needed {
        NeededFiles::All => {
            served.scan(&()).with_context(|| format!("can't list {}", folder.display()))?;
        }
        NeededFiles::Of(name) => served.load_one(name),
        NeededFiles::None => {}
    }
    // The daemon runs the last good revision of a file that can't be loaded.
    let stale: Vec<String> = served.stale().keys().cloned().collect();
    for name in stale {
        let of_name = records.iter().filter(|record| {
            record.id.name == name && account.as_ref().is_none_or(|account| record.id.account == *account)
        });
        // One that can't be read does not hide the others.
        if let Some(record) = of_name.max_by_key(|record| record.served_at)
            && let Err(error) = served.restore_last_good(record)
        {
            host.err.line(&format!("{name}: its last good version can't be restored: {}", error.message));
        }
    }
    let folder = served.folder().to_owned();
    let here: Vec<AutomationRecord> =
        records.iter().filter(|record| Path::new(&record.folder) == folder).cloned().collect();
    unreadable.retain(|record| Path::new(&record.folder) == folder);
    let live = runtime.block_on(live_accounts(host, &store, &here))?;
    Ok(AutomationFolder { runtime, store, served, folder, records, unreadable, live, account })
}

/// The folder that was served last for an account; for any, if none was for this one.
fn last_served(
    store: &Store,
    records: &[AutomationRecord],
    account: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let existing = records.iter().filter(|record| Path::new(&record.folder).is_dir());
    let last = existing.max_by_key(|record| (Some(record.id.account.as_str()) == account, record.served_at));
    let last = last.ok_or_else(|| {
        let message = format!("no folder has been served with the store {}", store.location());
        usage_error(message, "name it with --dir FOLDER, or serve it: mpscript serve FOLDER")
    })?;
    Ok(PathBuf::from(&last.folder))
}

/// The file of the automation that `run NAME` means, if there is no script of that name.
///
/// # Errors
/// When there is neither, but a folder is served whose automations could have been meant.
pub(super) fn file_of(
    host: &Host,
    named: &Path,
    dir: Option<&Path>,
    target: &TargetArgs,
) -> anyhow::Result<Option<PathBuf>> {
    let is_script = named.extension().is_some_and(|extension| extension == "rhai");
    let is_name = named.components().count() == 1;
    if !is_name || named == Path::new("-") || host.folder.join(named).exists() {
        return Ok(None);
    }
    let arguments = ListArguments { dir: dir.map(Path::to_owned), target: target.clone() };
    // If no folder is served, loading the script reports that its file is missing.
    let Ok(folder) = open_folder(host, &arguments, NeededFiles::None) else { return Ok(None) };
    if !folder.folder.is_dir() {
        return Ok(None);
    }
    // An automation's name may contain dots.
    let name = if is_script { named.with_extension("") } else { named.to_owned() }.display().to_string();
    let file = folder.folder.join(format!("{name}.rhai"));
    if file.exists() && !is_script {
        return Ok(Some(file));
    }
    let automations = folder.names();
    let near = closest_match(&name, automations.iter().map(String::as_str));
    let elsewhere = if near == Some(&name) {
        String::new()
    } else {
        format!(", nor an automation of that name in {}", folder.folder.display())
    };
    let message = format!("there is no script {} here{elsewhere}", named.display());
    let hint = match near {
        Some(near) if near == name => format!("mpscript run {name} runs the automation"),
        near => match (nearest_script(named, &host.folder), near) {
            (Some(script), _) => format!("did you mean `{}`?", script.display()),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => "mpscript ls lists them".to_owned(),
        },
    };
    Err(usage_error(message, hint))
}

/// The time after which an automation fires next: fires up to the end of a pause are skipped.
pub(super) fn fires_after(record: Option<&AutomationRecord>, now: EpochMs) -> EpochMs {
    let paused_until = record.and_then(|record| record.paused_until);
    paused_until.map_or(now, |until| now.max(until - Duration::from_millis(1)))
}

/// Whether an automation fires for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A daemon serves it.
    Live,
    /// Its fires are skipped.
    Paused,
    /// Its file can't be used.
    Stale,
    /// No daemon serves it.
    NotServed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::Paused => "paused",
            Self::Stale => "STALE",
            Self::NotServed => "not served",
        })
    }
}

impl AutomationFolder {
    /// What the store records of an automation, which must have been served, for each account.
    pub(super) fn records(&self, name: &str) -> anyhow::Result<Vec<&AutomationRecord>> {
        let records = self.records_if_served(name);
        if !records.is_empty() {
            return Ok(records);
        }
        if let Some(unreadable) = self.unreadable.iter().find(|record| record.id.name == name) {
            return Err(unreadable.error.clone().into());
        }
        let elsewhere = self.records.iter().filter(|record| record.id.name == name).map(shown_account);
        let elsewhere = elsewhere.collect::<Result<Vec<String>, _>>()?;
        if !elsewhere.is_empty() {
            let message = format!("`{name}` was not served for this account");
            return Err(usage_error(message, format!("it was for {}", elsewhere.join(", "))));
        }
        let names = self.names();
        let hint = match closest_match(name, names.iter().map(String::as_str)) {
            Some(near) if near == name => {
                "it is in the folder, but was never served: mpscript serve".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => "mpscript ls lists them".to_owned(),
        };
        Err(usage_error(format!("there is no automation `{name}` in {}", self.folder.display()), hint))
    }

    /// The names that automations of the folder may have: those of its scripts.
    fn names(&self) -> Vec<String> {
        let files = scripts_in(&self.folder).unwrap_or_default();
        files.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect()
    }

    /// The records of an automation: for the account that the command line names, else for those that it is served for
    /// at the moment, else for all that it ever was.
    pub(super) fn records_if_served(&self, name: &str) -> Vec<&AutomationRecord> {
        let mut records: Vec<&AutomationRecord> =
            self.records.iter().filter(|record| record.id.name == name).collect();
        let keep = |records: &mut Vec<&AutomationRecord>, kept: &dyn Fn(&AutomationRecord) -> bool| {
            if records.iter().any(|record| kept(record)) {
                records.retain(|record| kept(record));
            }
        };
        if let Some(account) = &self.account {
            records.retain(|record| record.id.account == *account);
        }
        keep(&mut records, &|record| Path::new(&record.folder) == self.folder);
        keep(&mut records, &|record| self.is_live(record));
        records
    }

    /// What can't be decoded of the records of this folder's automations: those are neither served nor listed.
    pub(super) fn record_errors(&self) -> impl Iterator<Item = &StoreError> {
        self.unreadable.iter().map(|record| &record.error)
    }

    /// Whether a daemon serves the folder at the moment.
    pub(super) fn is_served(&self) -> bool {
        self.account.as_ref().map_or(!self.live.is_empty(), |account| self.live.contains(account))
    }

    fn is_live(&self, record: &AutomationRecord) -> bool {
        Path::new(&record.folder) == self.folder && self.live.contains(&record.id.account)
    }

    /// Warns if an automation's file is not the revision that runs.
    pub(super) fn warn_stale(&self, host: &Host, name: &str) {
        if self.served.stale().contains_key(name) {
            host.err.line(&format!(
                "{name} is STALE, {RUNS_LAST_GOOD}: mpscript ls shows what is wrong with its file"
            ));
        }
    }

    /// An automation's status for an account, and when it fires next or what runs instead.
    pub(super) fn status(
        &self,
        name: &str,
        record: Option<&AutomationRecord>,
        now: EpochMs,
    ) -> (Status, String) {
        let is_served = record.is_some_and(|record| self.is_live(record));
        if self.served.stale().contains_key(name) {
            let runs = match record.filter(|_| is_served).map(|record| record.served_version) {
                // The daemon has not noticed yet that a file which it serves can't be loaded any more.
                Some(ServedVersion::Current | ServedVersion::LastGood) => RUNS_LAST_GOOD,
                Some(ServedVersion::Nothing) | None => RUNS_NOTHING,
            };
            return (Status::Stale, runs.to_owned());
        }
        let paused_until = record.and_then(|record| record.paused_until);
        if paused_until == Some(EpochMs::MAX) {
            return (Status::Paused, "until it is unpaused".to_owned());
        }
        let next = self.next_fires(name, fires_after(record, now), 1);
        let next = next.first().map(|fire| fire.trigger.schedule.show(fire.at));
        let next = next.unwrap_or("by hand".to_owned());
        match record {
            Some(_) if paused_until.is_some_and(|until| until > now) => (Status::Paused, next),
            Some(_) if is_served => (Status::Live, next),
            _ => (Status::NotServed, next),
        }
    }

    /// The next fires of an automation, in order.
    pub(super) fn next_fires(&self, name: &str, after: EpochMs, count: usize) -> Vec<NextFire<'_>> {
        let triggers = self.served.revisions().get(name).map_or(&[][..], |version| &version.triggers);
        let mut fires = Vec::new();
        for trigger in triggers {
            let mut at = after;
            for _ in 0..count {
                let Some(next) = trigger.schedule.after(at) else { break };
                fires.push(NextFire { at: next, trigger });
                at = next;
            }
        }
        fires.sort_by_key(|fire| fire.at);
        fires.truncate(count);
        fires
    }
}

/// A text padded to a width on the screen, where Chinese takes two columns a character.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}
