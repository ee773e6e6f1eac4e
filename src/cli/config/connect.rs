//! Whom a command calls, and where it keeps what outlives it.

use super::{
    callback,
    file::{self, Found},
    store,
};
use crate::{
    api::quota,
    base::{Cancel, Diagnostic, Secret},
    cli::{Failure, args::arguments::Reach},
    client::{Account, BaseUrl, Client, DEFAULT_IN_FLIGHT, Settings, TokenMode},
    host::Host,
    sandbox::{self, Sandbox},
    script::{CallbackKeys, NoClient},
    store::Store,
};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A callback's Token is chosen by a person; one that is no shorter than this is no common word.
const LONG_TOKEN: usize = 12;

/// Whom to call. The sandbox, if there is one, lives as long as this.
pub(crate) struct Reached {
    pub client: Result<Client, NoClient>,
    /// Where state is kept; in memory when there is none.
    pub store: Option<Store>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    /// Its name in mpscript.toml.
    pub name: Option<String>,
    /// Its name, where a person is asked before the account is changed.
    pub production: Option<String>,
    own_sandbox: Option<Sandbox>,
}

impl Reached {
    /// Where state is kept, for messages.
    pub(crate) fn place(&self) -> &str {
        self.store.as_ref().map_or("in memory", Store::place)
    }

    /// Where a sandbox of this process's own is.
    pub(crate) fn sandbox_url(&self) -> Option<String> {
        self.own_sandbox.as_ref().map(|sandbox| format!("http://{}", sandbox.address()))
    }

    /// Where runs are recorded: those on a sandbox of its own process too, whose client keeps nothing.
    pub(crate) fn store_of_runs(&self, host: &Host, runtime: &Runtime, reach: &Reach) -> Option<Store> {
        if reach.sandbox { store::open_if_possible(host, runtime, reach) } else { self.store.clone() }
    }

    /// The client, where a command is of no use without one.
    pub(crate) fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().map_err(|no_client| Failure::usage(no_client.0.clone()))
    }
}

/// How a command calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calling<'a> {
    /// The most calls under way together.
    pub in_flight: usize,
    /// Whether it waits for the next day when the day's quota is used up.
    pub waits_for_reset: bool,
    /// The store, where it is open already.
    pub store: Option<&'a Store>,
}

impl Default for Calling<'_> {
    fn default() -> Self {
        Self { in_flight: DEFAULT_IN_FLIGHT, waits_for_reset: false, store: None }
    }
}

/// What a command needs the client for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It calls the platform.
    Calls,
    /// It looks at what is known, for which no AppSecret is needed.
    State,
}

/// Makes the client that arguments, environment and configuration ask for. That there is no
/// account is told only when a script calls the platform.
pub(crate) fn reach(
    host: &Host,
    runtime: &Runtime,
    reach: &Reach,
    need: Need,
    calling: Calling,
    cancel: &Cancel,
) -> Result<Reached, Failure> {
    if reach.sandbox {
        let options = sandbox::Options { followers: reach.sandbox_followers, ..sandbox::Options::default() };
        let account = Account { appid: options.appid.clone(), secret: Secret::new(&options.secret) };
        let callback = Some(callback::of_sandbox(&options.appid));
        let sandbox = Sandbox::start(options).map_err(|error| {
            Failure::usage(Diagnostic::new(format!("the sandbox did not start: {error}")))
        })?;
        let bases = vec![base_url(&format!("http://{}", sandbox.address()))?];
        // Its world ends with this process, and so does what is known of it.
        let client =
            client(host, bases, account, TokenMode::Stable, None, (quota::Reset::MIDNIGHT, calling), cancel);
        return Ok(Reached {
            client: Ok(client),
            store: None,
            callback,
            name: None,
            production: None,
            own_sandbox: Some(sandbox),
        });
    }
    let found = file::account(host, reach)?;
    let appid = found.as_ref().ok().map(|found| found.appid.as_str());
    // An account that is named has its own keys or none.
    let from_environment =
        if reach.account.is_none() { callback::of_environment(host, appid)? } else { None };
    let found = match found {
        Ok(found) => found,
        Err(no_client) => {
            base_urls(&reach.base_url)?;
            let callback = from_environment;
            let client = Err(no_client);
            return Ok(Reached {
                client,
                store: None,
                callback,
                name: None,
                production: None,
                own_sandbox: None,
            });
        }
    };
    let bases = bases(reach, &found)?;
    let store = match calling.store {
        Some(store) => Some(store.clone()),
        None => store::open(host, runtime, reach)?,
    };
    let account = match need {
        Need::Calls => found.account()?,
        Need::State => {
            found.account().unwrap_or(Account { appid: found.appid.clone(), secret: Secret::default() })
        }
    };
    let callback = from_environment.or(found.callback);
    if let Some(keys) = &callback {
        keys.aes_key.iter().for_each(|key| host.secrets.learn(key));
        // A short one may be a word that stands everywhere.
        if keys.token.reveal().len() >= LONG_TOKEN {
            host.secrets.learn(&keys.token);
        }
    }
    let client =
        client(host, bases, account, found.token_mode, store.clone(), (found.reset, calling), cancel);
    let (name, production) = (found.name, found.production);
    Ok(Reached { client: Ok(client), store, callback, name, production, own_sandbox: None })
}

/// A client of an account.
pub(crate) fn client(
    host: &Host,
    bases: Vec<BaseUrl>,
    account: Account,
    token_mode: TokenMode,
    store: Option<Store>,
    (reset, calling): (quota::Reset, Calling),
    cancel: &Cancel,
) -> Client {
    Client::new(Settings {
        bases,
        account,
        in_flight: calling.in_flight,
        minute: minute(host),
        reset,
        waits_for_reset: calling.waits_for_reset,
        token_mode,
        store,
        owner: host.process.clone(),
        secrets: host.secrets.clone(),
        clock: host.clock.clone(),
        cancel: cancel.clone(),
    })
}

/// How long a minute of quotas is: a sandbox's may be shorter, and then this says so.
fn minute(host: &Host) -> Duration {
    let given = host.variable("MPSCRIPT_QUOTA_MINUTE").and_then(|text| humantime::parse_duration(text).ok());
    given.unwrap_or(Duration::from_mins(1))
}

/// Where an account's platform is: as given, else as configured, else the platform's own hosts.
pub(crate) fn bases(reach: &Reach, found: &Found) -> Result<Vec<BaseUrl>, Failure> {
    base_urls(if reach.base_url.is_empty() { &found.base_urls } else { &reach.base_url })
}

fn base_urls(given: &[String]) -> Result<Vec<BaseUrl>, Failure> {
    given.iter().map(|given| base_url(given)).collect()
}

fn base_url(given: &str) -> Result<BaseUrl, Failure> {
    BaseUrl::parse(given).map_err(|error| {
        let hint = "use https://, or http://127.0.0.1:PORT for a sandbox on this machine";
        Failure::usage(Diagnostic::new(error.to_string()).hint(hint))
    })
}
