//! Connects a command: the client that it calls the platform with, and the store that it records in.

use super::{
    account::{AccountConfig, find_account, find_appid},
    callback, files, store,
};
use crate::{
    api::{callback::Keys as CallbackKeys, quota},
    base::{Cancel, Secret},
    cli::{
        args::{SETTING_NAMES, TargetArgs},
        failure::{Failure, usage_error},
    },
    client::{Account, AccountKey, BaseUrl, Client, ClientConfig, DEFAULT_IN_FLIGHT, TokenMode, account_key},
    host::Host,
    sandbox::{self, Sandbox},
    script::{FileAccess, NoClient},
    store::Store,
};
use anyhow::Context;
use std::time::Duration;
use tokio::runtime::Runtime;

/// What a command works on. A sandbox of the command's own lives as long as this.
pub(crate) struct Connection {
    pub client: Result<Client, NoClient>,
    /// `None`: state is kept in memory.
    pub store: Option<Store>,
    /// The keys of the account's server callback, if it is configured.
    pub callback: Option<CallbackKeys>,
    /// What scripts may use beside their own folders, and what they may not.
    pub files: FileAccess,
    /// The account's name in mpscript.toml.
    pub name: Option<String>,
    /// The account's name, if changes to it need a confirmation.
    pub production: Option<String>,
    own_sandbox: Option<Sandbox>,
}

impl Connection {
    /// A connection without a client.
    fn without_client(reason: NoClient, callback: Option<CallbackKeys>, files: FileAccess) -> Self {
        Self {
            client: Err(reason),
            store: None,
            callback,
            files,
            name: None,
            production: None,
            own_sandbox: None,
        }
    }

    /// Where state is kept, for messages.
    pub(crate) fn location(&self) -> &str {
        self.store.as_ref().map_or("in memory", Store::location)
    }

    /// The address of the command's own sandbox, if it has one.
    pub(crate) fn sandbox_url(&self) -> Option<String> {
        self.own_sandbox.as_ref().map(|sandbox| format!("http://{}", sandbox.address()))
    }

    /// The store in which runs are recorded. Runs on a sandbox of the command's own are recorded too, although their
    /// client keeps no state.
    pub(crate) fn store_of_runs(&self, host: &Host, runtime: &Runtime, target: &TargetArgs) -> Option<Store> {
        if target.sandbox { store::open_if_possible(host, runtime, target) } else { self.store.clone() }
    }

    /// The client, for a command that can't do without one.
    pub(crate) fn client(&self) -> anyhow::Result<&Client> {
        self.client.as_ref().map_err(|no_client| Failure::usage(no_client.0.clone()).into())
    }
}

/// How a command calls the platform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientOptions<'a> {
    /// The maximum number of concurrent calls.
    pub in_flight: usize,
    /// Whether a call waits for the next day when the day's quota is used up.
    pub waits_for_reset: bool,
    /// The store, if it is open already.
    pub store: Option<&'a Store>,
}

impl Default for ClientOptions<'_> {
    fn default() -> Self {
        Self { in_flight: DEFAULT_IN_FLIGHT, waits_for_reset: false, store: None }
    }
}

/// What a command needs its client for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It calls the platform.
    Call,
    /// It only reads what the store knows of the account, for which no AppSecret is needed.
    ReadOnly,
}

/// The account that a client calls, at which addresses and with which tokens.
pub(crate) struct ClientAccount {
    account: Account,
    bases: Vec<BaseUrl>,
    token_mode: TokenMode,
    reset: quota::Reset,
}

impl ClientAccount {
    /// The account of a sandbox that was started with these options.
    pub(crate) fn from_sandbox(sandbox: &Sandbox, options: &sandbox::Options) -> anyhow::Result<Self> {
        Ok(Self {
            account: Account { appid: options.appid.clone(), secret: Secret::new(&options.secret) },
            bases: vec![base_url(&format!("http://{}", sandbox.address()))?],
            token_mode: TokenMode::Stable,
            reset: quota::Reset::MIDNIGHT,
        })
    }

    pub(crate) fn from_config(
        config: &AccountConfig,
        target: &TargetArgs,
        access: Access,
    ) -> anyhow::Result<Self> {
        let bases = base_urls(target, &config.base_urls)?;
        let account = match (config.account(), access) {
            (Ok(account), _) => account,
            (Err(_), Access::ReadOnly) => Account { appid: config.appid.clone(), secret: Secret::default() },
            (Err(error), Access::Call) => return Err(error),
        };
        Ok(Self { account, bases, token_mode: config.token_mode.clone(), reset: config.reset })
    }
}

/// Makes the client that arguments, environment and configuration ask for. A missing account is an error only once a
/// script calls the platform.
pub(crate) fn connect(
    host: &Host,
    runtime: &Runtime,
    target: &TargetArgs,
    access: Access,
    options: ClientOptions,
    cancel: &Cancel,
) -> anyhow::Result<Connection> {
    let files = files::access(host, target)?;
    if target.sandbox {
        return connect_to_own_sandbox(host, target, files, options, cancel);
    }
    let found = find_account(host, target)?;
    let appid = found.as_ref().ok().map(|found| found.appid.as_str());
    // The environment's keys belong to the environment's account, not to one that `--account` names.
    let from_environment =
        if target.account.is_none() { callback::from_environment(host, appid)? } else { None };
    let config = match found {
        Ok(config) => config,
        Err(no_client) => {
            parse_urls(&target.base_url)?;
            return Ok(Connection::without_client(no_client, from_environment, files));
        }
    };
    base_urls(target, &config.base_urls)?;
    let store = match options.store {
        Some(store) => Some(store.clone()),
        None => store::open(host, runtime, target)?,
    };
    let account = ClientAccount::from_config(&config, target, access)?;
    let callback = from_environment.or(config.callback);
    if let Some(keys) = &callback {
        keys.aes_key.iter().for_each(|key| host.secrets.learn(key));
        host.secrets.learn_password(&keys.token);
    }
    let client = new_client(host, account, store.clone(), options, cancel)?;
    let (name, production) = (config.name, config.production);
    Ok(Connection { client: Ok(client), store, callback, files, name, production, own_sandbox: None })
}

fn connect_to_own_sandbox(
    host: &Host,
    target: &TargetArgs,
    files: FileAccess,
    options: ClientOptions,
    cancel: &Cancel,
) -> anyhow::Result<Connection> {
    let world = sandbox::Options {
        followers: target.sandbox_followers,
        setting_names: SETTING_NAMES,
        ..sandbox::Options::default()
    };
    let sandbox = Sandbox::start(world.clone()).context("the sandbox did not start")?;
    let account = ClientAccount::from_sandbox(&sandbox, &world)?;
    // The sandbox's world ends with this process, so its tokens and counts are not stored.
    let client = new_client(host, account, None, options, cancel)?;
    Ok(Connection {
        client: Ok(client),
        store: None,
        callback: Some(callback::sandbox_keys(&world.appid)),
        files,
        name: None,
        production: None,
        own_sandbox: Some(sandbox),
    })
}

pub(crate) fn new_client(
    host: &Host,
    account: ClientAccount,
    store: Option<Store>,
    options: ClientOptions,
    cancel: &Cancel,
) -> anyhow::Result<Client> {
    Ok(Client::new(ClientConfig {
        bases: account.bases,
        account: account.account,
        in_flight: options.in_flight,
        minute: quota_minute(host)?,
        reset: account.reset,
        waits_for_reset: options.waits_for_reset,
        token_mode: account.token_mode,
        store,
        owner: host.process.name(),
        secrets: host.secrets.clone(),
        clock: host.clock.clone(),
        cancel: cancel.clone(),
    }))
}

/// The length of a minute of quotas: `MPSCRIPT_QUOTA_MINUTE` shortens it for a sandbox with shorter minutes.
fn quota_minute(host: &Host) -> anyhow::Result<Duration> {
    let Some(given) = host.variable("MPSCRIPT_QUOTA_MINUTE") else { return Ok(Duration::from_mins(1)) };
    humantime::parse_duration(given).map_err(|_| {
        let message = format!("MPSCRIPT_QUOTA_MINUTE: `{given}` is not a span of time");
        usage_error(
            message,
            "write a number with its unit, as in 500ms or 2s; unset it for the platform's minute",
        )
    })
}

/// The platform's addresses for an account: those on the command line, else the configured ones; empty for the
/// platform's own hosts.
pub(crate) fn base_urls(target: &TargetArgs, configured: &[String]) -> anyhow::Result<Vec<BaseUrl>> {
    parse_urls(if target.base_url.is_empty() { configured } else { &target.base_url })
}

/// The client's key of the account, found without its AppSecret.
pub(crate) fn find_account_key(host: &Host, target: &TargetArgs) -> anyhow::Result<AccountKey> {
    let Some((appid, configured)) = find_appid(host, target)? else { return Ok(AccountKey::Unknown) };
    Ok(account_key(&appid, &base_urls(target, &configured)?))
}

fn parse_urls(given: &[String]) -> anyhow::Result<Vec<BaseUrl>> {
    given.iter().map(|given| base_url(given)).collect()
}

fn base_url(given: &str) -> anyhow::Result<BaseUrl> {
    BaseUrl::parse(given).map_err(|error| {
        let hint = "use https://, or http://127.0.0.1:PORT for a sandbox on this machine";
        usage_error(error.to_string(), hint)
    })
}
