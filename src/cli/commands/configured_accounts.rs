//! The accounts of the configuration, as the daemon finds and connects them.

use crate::{
    base::{Cancel, Diagnostic},
    cli::{
        args::TargetArgs,
        config::{Access, ClientOptions, connect, find_account_key, read_file},
        failure::Failure,
    },
    client::AccountKey,
    host::Host,
    run::{
        RunConfig,
        account_choice::AccountChoice,
        record::RunOptions,
        worker::{ConnectedAccount, Connector, ResolvedAccount},
    },
    script::Output,
    store::Store,
};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Whether the configuration has no account that an automation could name.
pub(super) fn has_no_account(host: &Host, target: &TargetArgs) -> anyhow::Result<bool> {
    let configured = read_file(host, target.config.as_deref())?;
    Ok(configured.is_none_or(|(_, file)| file.accounts.is_empty()))
}

/// The accounts of the configuration. Each run is connected with a client of its own.
pub(super) struct ConfiguredAccounts {
    pub host: Host,
    pub runtime: Arc<Runtime>,
    pub store: Store,
    /// As the command was given it.
    pub target: TargetArgs,
    pub in_flight: usize,
}

impl ConfiguredAccounts {
    fn target_of(&self, account: Option<&str>) -> TargetArgs {
        let account = account.map(str::to_owned).or(self.target.account.clone());
        TargetArgs { account, ..self.target.clone() }
    }

    fn key_of(&self, target: &TargetArgs) -> anyhow::Result<AccountKey> {
        if let Some(name) = &target.account {
            let configured = read_file(&self.host, target.config.as_deref())?;
            if !configured.is_some_and(|(_, file)| file.accounts.contains_key(name)) {
                return Ok(AccountKey::NotConfigured { name: name.clone() });
            }
        }
        find_account_key(&self.host, target)
    }
}

impl Connector for ConfiguredAccounts {
    fn resolve(&self, account: Option<&str>) -> Result<ResolvedAccount, Diagnostic> {
        let target = self.target_of(account);
        let key = self.key_of(&target).map_err(|error| Failure::from(error).diagnostic)?;
        Ok(ResolvedAccount {
            key,
            choice: AccountChoice { account: target.account, base_urls: target.base_url },
        })
    }

    fn connect(
        &self,
        account: Option<&str>,
        cancel: &Cancel,
        output: Arc<dyn Output>,
    ) -> Result<ConnectedAccount, Diagnostic> {
        let target = self.target_of(account);
        let client =
            ClientOptions { in_flight: self.in_flight, waits_for_reset: true, store: Some(&self.store) };
        let connection = connect(&self.host, &self.runtime, &target, Access::Call, client, cancel)
            .map_err(|error| Failure::from(error).diagnostic)?;
        let options = RunOptions {
            account: target.account.clone(),
            base_urls: target.base_url.clone(),
            in_flight: self.in_flight,
            folder: self.host.folder.clone(),
            allow_pause: true,
            ..RunOptions::default()
        };
        // Without a confirmation: serving an automation is the confirmation of its changes.
        let config = RunConfig {
            callback: connection.callback.clone(),
            store: Some(self.store.clone()),
            ..RunConfig::new(
                &self.host,
                &options,
                &connection.files,
                connection.client.clone(),
                cancel,
                output,
            )
        };
        Ok(ConnectedAccount { config, options })
    }
}
