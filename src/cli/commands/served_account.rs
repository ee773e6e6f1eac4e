//! The account that a run by hand of an automation works on: the one that its daemon serves it for, else the one that its
//! file names.

use crate::{
    cli::{
        args::TargetArgs,
        config::{find_account_key, open_if_possible},
        failure::usage_error,
        runtime::start_runtime,
    },
    client::AccountKey,
    host::Host,
    run::{account_choice::AccountChoice, daemon::serving_lease, record},
    script::Automation,
    store::{AutomationRecord, Store, StoreError},
};
use std::{collections::BTreeSet, path::Path};

/// The account of a run by hand.
pub(super) struct ChosenAccount {
    pub target: TargetArgs,
    /// Why it is this one, if the command line does not say it.
    pub note: Option<String>,
}

/// Chooses the account of a run by hand. What the command line names is not questioned.
pub(super) fn choose_account(
    host: &Host,
    given: &TargetArgs,
    automation: &Automation,
    folder: &Path,
    name: &str,
) -> anyhow::Result<ChosenAccount> {
    if is_named(given) || given.sandbox {
        return Ok(ChosenAccount { target: given.clone(), note: None });
    }
    let served = served_now(host, given, folder, name)?;
    if let [record] = &served[..] {
        let choice = choice_of(record)?;
        let target = TargetArgs { account: choice.account, base_url: choice.base_urls, ..given.clone() };
        let shown = shown_account(record)?;
        let found = find_account_key(host, &target)?;
        if found != AccountKey::Unknown && found.to_string() != record.id.account {
            let here = found.in_words();
            let message = format!("{name} is served for the account {shown}, and here that is {here}");
            return Err(usage_error(message, "name the account with --account or --base-url"));
        }
        let note = Some(format!("account: {shown}, which {name} is served for"));
        return Ok(ChosenAccount { target, note });
    }
    if !served.is_empty() {
        let names = served.iter().map(shown_account).collect::<Result<Vec<String>, _>>()?;
        let message = format!("{name} is served for several accounts: {}", names.join(", "));
        return Err(usage_error(message, "choose one with --account NAME, or with --base-url URL"));
    }
    match &automation.accounts[..] {
        [] => Ok(ChosenAccount { target: given.clone(), note: None }),
        [only] => {
            let target = TargetArgs { account: Some(only.clone()), ..given.clone() };
            Ok(ChosenAccount { target, note: Some(format!("account: {only}, which {name} names")) })
        }
        several => {
            let message = format!("{name} names several accounts: {}", several.join(", "));
            Err(usage_error(message, "choose one with --account NAME"))
        }
    }
}

/// Whether the command line names an account.
pub(super) fn is_named(target: &TargetArgs) -> bool {
    target.account.is_some() || !target.base_url.is_empty()
}

/// The records of an automation for the accounts that daemons serve it for at the moment.
fn served_now(
    host: &Host,
    target: &TargetArgs,
    folder: &Path,
    name: &str,
) -> anyhow::Result<Vec<AutomationRecord>> {
    let runtime = start_runtime()?;
    let Some(store) = open_if_possible(host, &runtime, target) else { return Ok(Vec::new()) };
    let served = runtime.block_on(async {
        let mut records = Vec::new();
        for record in store.automations_named(name).await? {
            match record {
                Ok(record) if Path::new(&record.folder) == folder => records.push(record),
                Err(unreadable) if Path::new(&unreadable.folder) == folder => return Err(unreadable.error),
                Ok(_) | Err(_) => {}
            }
        }
        let live = live_accounts(host, &store, &records).await?;
        records.retain(|record| live.contains(&record.id.account));
        store.close().await;
        Ok::<_, StoreError>(records)
    })?;
    Ok(served)
}

/// The accounts of these records that a daemon serves their folder for at the moment.
pub(super) async fn live_accounts(
    host: &Host,
    store: &Store,
    records: &[AutomationRecord],
) -> Result<BTreeSet<String>, StoreError> {
    let now = store.time(&host.clock).await?;
    let served: BTreeSet<(&str, &str)> =
        records.iter().map(|record| (record.id.account.as_str(), record.folder.as_str())).collect();
    let mut live = BTreeSet::new();
    for (account, folder) in served {
        let expires_at = store.lease_expires_at(&serving_lease(account, folder)).await?;
        if expires_at.is_some_and(|at| at > now) {
            live.insert(account.to_owned());
        }
    }
    Ok(live)
}

/// How the daemon that served an automation last finds its account.
fn choice_of(record: &AutomationRecord) -> Result<AccountChoice, StoreError> {
    // A record of an earlier version has none.
    Ok(record::decode_served_as(record)?.map(|served_as| served_as.choice).unwrap_or_default())
}

/// An account for a person: its name, if it has one, with the AppID and the address.
pub(super) fn shown_account(record: &AutomationRecord) -> Result<String, StoreError> {
    let key = AccountKey::shown(&record.id.account);
    Ok(match choice_of(record)?.account {
        Some(name) => format!("{name} ({key})"),
        None => key,
    })
}
