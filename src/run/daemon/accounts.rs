//! Which accounts each automation is served for. What the daemon records is recorded by account: daemons of other
//! accounts may share the store and even the folder.

use crate::{
    base::Diagnostic,
    client::AccountKey,
    run::{account_choice::AccountChoice, record, worker::Connector},
    script::Automation,
    store::{AutomationId, AutomationRecord, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// An account that an automation is served for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServedAccount {
    /// Its name in the automation's declaration; `None` for the account of the command.
    pub name: Option<String>,
    /// The key of what is stored of it.
    pub key: AccountKey,
    /// How it is found.
    pub choice: AccountChoice,
}

impl ServedAccount {
    /// The key of what is stored of an automation for it.
    pub(super) fn id(&self, automation: &str) -> AutomationId {
        AutomationId { account: self.key.to_string(), name: automation.to_owned() }
    }

    /// Whether this is stored of an automation for it.
    pub(super) fn is_of(&self, id: &AutomationId) -> bool {
        self.key.to_string() == id.account
    }
}

/// The accounts that the automations of a folder are served for.
pub(super) struct ServedAccounts {
    connector: Arc<dyn Connector>,
    resolved: BTreeMap<Option<String>, ServedAccount>,
    by_automation: BTreeMap<String, Vec<ServedAccount>>,
}

impl ServedAccounts {
    pub(super) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, resolved: BTreeMap::new(), by_automation: BTreeMap::new() }
    }

    /// Reads the configuration again: an account may have been added to it, or have another AppID. One that can't be
    /// read now stays what it was.
    pub(super) fn refresh(&mut self) {
        for (name, account) in &mut self.resolved {
            if let Ok(resolved) = self.connector.resolve(name.as_deref()) {
                (account.key, account.choice) = (resolved.key, resolved.choice);
            }
        }
    }

    /// The accounts that a declaration asks for. Two names of one account count once. An error when the configuration can't
    /// be read: which accounts they are is not known then.
    pub(super) fn of_declaration(
        &mut self,
        automation: &Automation,
    ) -> Result<Vec<ServedAccount>, Diagnostic> {
        let names: Vec<Option<String>> = match &automation.accounts[..] {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        let mut accounts: Vec<ServedAccount> = Vec::new();
        for name in names {
            let account = self.resolve(name)?;
            if accounts.iter().all(|known| known.key != account.key) {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }

    /// The account of the command.
    pub(super) fn of_command(&mut self) -> Result<ServedAccount, Diagnostic> {
        self.resolve(None)
    }

    fn resolve(&mut self, name: Option<String>) -> Result<ServedAccount, Diagnostic> {
        if let Some(known) = self.resolved.get(&name) {
            return Ok(known.clone());
        }
        let resolved = self.connector.resolve(name.as_deref())?;
        let account = ServedAccount { name: name.clone(), key: resolved.key, choice: resolved.choice };
        self.resolved.insert(name, account.clone());
        Ok(account)
    }

    /// From now on an automation is served for these accounts.
    pub(super) fn serve(&mut self, automation: &str, accounts: Vec<ServedAccount>) {
        if accounts.is_empty() {
            self.by_automation.remove(automation);
        } else {
            self.by_automation.insert(automation.to_owned(), accounts);
        }
    }

    /// The accounts that an automation is served for.
    pub(super) fn of(&self, automation: &str) -> &[ServedAccount] {
        self.by_automation.get(automation).map_or(&[], Vec::as_slice)
    }

    /// The account of an automation that is served.
    pub(super) fn find(&self, id: &AutomationId) -> Option<&ServedAccount> {
        self.of(&id.name).iter().find(|account| account.is_of(id))
    }

    /// Every automation that is served, once for each of its accounts.
    pub(super) fn ids(&self) -> impl Iterator<Item = AutomationId> {
        let ids = |(name, accounts): (&String, &Vec<ServedAccount>)| {
            accounts.iter().map(|account| account.id(name)).collect::<Vec<_>>()
        };
        self.by_automation.iter().flat_map(ids)
    }

    /// The keys of all accounts that something is served for.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.by_automation.values().flatten().map(|account| account.key.to_string()).collect()
    }

    /// Whether this process would find the account of a record as the process did that wrote it. What has no account was
    /// recorded before accounts were, and belongs to the first process that serves its folder. An account that can't be found
    /// now is not ours now.
    pub(super) fn is_ours(&mut self, record: &AutomationRecord) -> Result<bool, StoreError> {
        if record.id.account.is_empty() {
            return Ok(true);
        }
        Ok(match record::decode_served_as(record)? {
            Some(served_as) => {
                self.resolve(served_as.declared).is_ok_and(|account| account.is_of(&record.id))
            }
            // An earlier version recorded only the account.
            None => {
                self.of_command().is_ok_and(|account| account.is_of(&record.id))
                    || self.resolved.values().any(|account| account.is_of(&record.id))
            }
        })
    }
}
