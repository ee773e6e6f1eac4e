//! A client of ours with all that a test turns: its clock, its wish to stop, its runtime; and what
//! its tests look at on the other side.

use crate::support::Account;
use mpscript::{
    api::{Endpoint, tag},
    base::{Cancel, Clock, Redactor, Secret},
    client::{self, BaseUrl, CallError, Client, DEFAULT_IN_FLIGHT, Settings},
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options},
    store::Store,
};
use serde_json::{Value, json};
use std::{future::Future, net::SocketAddr, path::Path, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// A client, and a runtime of one thread: calls that begin together have all begun before the
/// first one's answer is read.
pub(crate) struct Caller {
    runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) cancel: Cancel,
}

impl Caller {
    /// A client of the sandbox's account.
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self::with(address, DEFAULT_SECRET, DEFAULT_IN_FLIGHT)
    }

    pub(crate) fn with(address: SocketAddr, secret: &str, in_flight: usize) -> Self {
        Self::at(&[address], secret, in_flight)
    }

    /// A client that knows several hosts.
    pub(crate) fn at(addresses: &[SocketAddr], secret: &str, in_flight: usize) -> Self {
        Self::made_of(addresses, secret, in_flight, None, client::TokenMode::Stable)
    }

    /// A client that shares what is in this store's file.
    pub(crate) fn sharing(address: SocketAddr, store: &Path, token_mode: client::TokenMode) -> Self {
        Self::made_of(&[address], DEFAULT_SECRET, DEFAULT_IN_FLIGHT, Some(store), token_mode)
    }

    fn made_of(
        addresses: &[SocketAddr],
        secret: &str,
        in_flight: usize,
        store: Option<&Path>,
        token_mode: client::TokenMode,
    ) -> Self {
        let (clock, cancel) = (Clock::system(), Cancel::default());
        let runtime = Builder::new_current_thread().enable_all().build().expect("the system gives a runtime");
        let store = store.map(|path| runtime.block_on(Store::sqlite(path)).expect("the store opens"));
        let client = Client::new(Settings {
            bases: addresses
                .iter()
                .map(|address| BaseUrl::parse(&format!("http://{address}")).expect("it is on loopback"))
                .collect(),
            account: client::Account { appid: DEFAULT_APPID.to_owned(), secret: Secret::new(secret) },
            in_flight,
            minute: Duration::from_mins(1),
            reset: mpscript::api::quota::Reset::MIDNIGHT,
            waits_for_reset: false,
            token_mode,
            store,
            owner: "test/1".to_owned(),
            secrets: Redactor::default(),
            clock: clock.clone(),
            cancel: cancel.clone(),
        });
        Self { runtime, client, clock, cancel }
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn call<E: Endpoint>(&self, request: &E) -> Result<E::Answer, CallError> {
        self.wait(self.client.call(request))
    }

    /// The error of a call that fails.
    pub(crate) fn fail<E: Endpoint>(&self, request: &E) -> CallError {
        match self.call(request) {
            Ok(_) => panic!("{} succeeds", E::SPEC.name),
            Err(error) => error,
        }
    }

    /// Calls that begin together.
    pub(crate) fn begin<E: Endpoint>(
        &self,
        times: usize,
        request: &E,
    ) -> JoinSet<Result<E::Answer, CallError>> {
        let mut calls = JoinSet::new();
        for _ in 0..times {
            let (client, request) = (self.client.clone(), request.clone());
            calls.spawn_on(async move { client.call(&request).await }, self.runtime.handle());
        }
        calls
    }

    /// Makes so many calls at once.
    pub(crate) fn at_once<E: Endpoint>(
        &self,
        times: usize,
        request: &E,
    ) -> Vec<Result<E::Answer, CallError>> {
        let calls = self.begin(times, request);
        self.wait(calls.join_all())
    }

    /// The error that each of so many calls at once fails with.
    pub(crate) fn fail_at_once<E: Endpoint>(&self, times: usize, request: &E) -> Vec<CallError> {
        let failed: Vec<CallError> =
            self.at_once(times, request).into_iter().filter_map(Result::err).collect();
        assert_eq!(failed.len(), times, "every call fails");
        failed
    }

    /// Tries of a call so far, as the client counts them.
    pub(crate) fn tried(&self, call: &str) -> u64 {
        self.client.tally().snapshot().get(call).copied().unwrap_or_default()
    }
}

/// A sandbox that has given no token yet, and a client of its account.
pub(crate) fn sandbox() -> (Account, Caller) {
    sandbox_of(Options::default())
}

pub(crate) fn sandbox_of(options: Options) -> (Account, Caller) {
    let account = Account::without_token(Options { followers: 3, ..options });
    let caller = Caller::of(account.address());
    (account, caller)
}

/// Makes calls of a path go wrong.
pub(crate) fn fault(account: &Account, path: &str, mut rule: Value) {
    rule["path"] = json!(path);
    account.control("faults", rule);
}

/// Tries of an endpoint that reached the sandbox.
pub(crate) fn reached<E: Endpoint>(account: &Account, _: &E) -> u64 {
    account.get("/__sandbox/stats").json()["calls"][E::SPEC.call()].as_u64().unwrap_or_default()
}

/// The names of the tags that were made.
pub(crate) fn names(account: &Account) -> Vec<String> {
    let tags = account.get("/__sandbox/tags").json();
    let tags = tags.as_array().expect("it is a list").iter().skip(1);
    tags.map(|tag| tag["name"].as_str().expect("a name is a text").to_owned()).collect()
}

/// A call that must not be made twice.
pub(crate) fn create() -> tag::Create {
    tag::Create { name: "广东".to_owned() }
}

/// Reason, tries and doubt of a call that got no answer.
pub(crate) fn no_answer(error: &CallError) -> (&str, u32, bool) {
    match error {
        CallError::NoAnswer { reason, tries, unsure, .. } => (reason, *tries, *unsure),
        other => panic!("another error: {other}"),
    }
}
