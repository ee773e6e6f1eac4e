//! `mpscript doctor`: checks in order everything that a call needs, and says what to do about each problem.

use crate::{
    api::{
        Endpoint, blacklist,
        errcode::{self, Class},
        network, tag,
        token::Stable,
        user,
    },
    base::{Cancel, ClockSkew, Diagnostic, EpochMs},
    cli::{
        args::{DoctorArguments, SETTING_NAMES, TargetArgs},
        config::{Access, ClientAccount, ClientOptions, find_account, new_client, open_at, store_location},
        failure::Failure,
        output::{exit, log},
        runtime::start_runtime,
    },
    client::{CallError, Client, External, Probe, TokenMode},
    host::Host,
    sandbox::{self, Sandbox},
    store::{LeaseKey, LeaseKind, Store, StoreError},
};
use anyhow::Context;
use std::{borrow::Cow, time::Duration};
use tokio::runtime::Runtime;

/// What was found.
enum Finding {
    Good(String),
    /// It works, but the person should know.
    Odd(String, String),
    /// What is wrong, and what to do about it.
    Bad(String, String),
    /// It can't be checked before something else is fixed.
    Skipped(&'static str),
}

pub(crate) fn execute(host: &Host, arguments: &DoctorArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::Warnings);
    let mut report = Findings { host, is_well: true };
    let runtime = start_runtime()?;
    let target = &arguments.target;
    let sandbox = if target.sandbox { Some(start_sandbox()?) } else { None };
    let account = configuration(&mut report, host, target, sandbox.as_ref());
    let store = if target.sandbox {
        report.show("store", &Finding::Good("in memory, as with every --sandbox".to_owned()));
        None
    } else {
        check_store(&mut report, host, target, &runtime)
    };
    let Some(account) = account else {
        for what in ["clock", "hosts", "token", "whitelist", "rights"] {
            report.show(what, &Finding::Skipped("there is no account"));
        }
        return Ok(report.code());
    };
    let client = new_client(host, account, store, ClientOptions::default(), &Cancel::default())?;
    runtime.block_on(async {
        let probes = client.probe().await;
        report.show("clock", &clock(host, &probes));
        for probe in &probes {
            report.show("hosts", &host_answer(probe));
        }
        let any_answers = probes.iter().any(|probe| probe.answer.is_ok());
        if any_answers {
            account_works(&mut report, &client).await;
        } else {
            for what in ["token", "whitelist", "rights"] {
                report.show(what, &Finding::Skipped("no host answers"));
            }
        }
        client.finish().await;
    });
    Ok(report.code())
}

struct Findings<'a> {
    host: &'a Host,
    is_well: bool,
}

impl Findings<'_> {
    fn show(&mut self, what: &str, finding: &Finding) {
        let line = |mark: &str, text: &str| format!("{mark:<5}{what:<15}{text}");
        let remedy = |text: &str| format!("{:<20}→ {text}", "");
        match finding {
            Finding::Good(text) => self.host.out.line(&line("ok", text)),
            Finding::Odd(text, todo) => {
                self.host.out.line(&line("!", text));
                self.host.out.line(&remedy(todo));
            }
            Finding::Bad(text, todo) => {
                self.is_well = false;
                self.host.out.line(&line("FAIL", text));
                self.host.out.line(&remedy(todo));
            }
            Finding::Skipped(why) => self.host.out.line(&line("-", &format!("not checked: {why}"))),
        }
    }

    fn code(&self) -> u8 {
        self.host.out.line(if self.is_well {
            "everything works"
        } else {
            "something is wrong: fix the first FAIL, then run doctor again"
        });
        if self.is_well { exit::DONE } else { exit::USAGE }
    }
}

fn start_sandbox() -> anyhow::Result<Sandbox> {
    let world = sandbox::Options { setting_names: SETTING_NAMES, ..sandbox::Options::default() };
    Sandbox::start(world).context("the sandbox did not start")
}

fn problem(diagnostic: Diagnostic) -> Finding {
    Finding::Bad(diagnostic.message, diagnostic.hint.unwrap_or_default())
}

/// The account, if it is configured well.
fn configuration(
    report: &mut Findings,
    host: &Host,
    target: &TargetArgs,
    sandbox: Option<&Sandbox>,
) -> Option<ClientAccount> {
    match find_client_account(host, target, sandbox) {
        Ok((account, found)) => {
            report.show("configuration", &Finding::Good(found));
            Some(account)
        }
        Err(error) => {
            report.show("configuration", &problem(Failure::from(error).diagnostic));
            None
        }
    }
}

/// The account, and what is configured for it.
fn find_client_account(
    host: &Host,
    target: &TargetArgs,
    sandbox: Option<&Sandbox>,
) -> anyhow::Result<(ClientAccount, String)> {
    if let Some(sandbox) = sandbox {
        let options = sandbox::Options::default();
        let account = ClientAccount::from_sandbox(sandbox, &options)?;
        return Ok((account, format!("a sandbox of its own, {}", options.appid)));
    }
    let config = find_account(host, target)?.map_err(|no_client| Failure::usage(no_client.0))?;
    let account = ClientAccount::from_config(&config, target, Access::Call)?;
    let text = format!("{} from {}, {} tokens", config.appid, config.source, config.token_mode.as_str());
    Ok((account, text))
}

/// The store, if it can be written.
fn check_store(report: &mut Findings, host: &Host, target: &TargetArgs, runtime: &Runtime) -> Option<Store> {
    match open_writable(host, target, runtime) {
        Ok(Some(store)) => {
            report.show("store", &Finding::Good(store.location().to_owned()));
            if let Some(skew) = store.clock_skew() {
                report.show("store's clock", &store_clock(skew));
            }
            Some(store)
        }
        Ok(None) => {
            let text = "in memory: neither XDG_STATE_HOME nor HOME is set".to_owned();
            report.show("store", &Finding::Odd(text, "set one of them, or MPSCRIPT_STORE".to_owned()));
            None
        }
        Err(error) => {
            report.show("store", &problem(Failure::from(error).diagnostic));
            None
        }
    }
}

fn open_writable(host: &Host, target: &TargetArgs, runtime: &Runtime) -> anyhow::Result<Option<Store>> {
    let Some((location, _)) = store_location(host, target)? else { return Ok(None) };
    let opened = runtime.block_on(async {
        let store = open_at(&location).await?;
        let lease = LeaseKey::new(LeaseKind::Check, "doctor");
        // Reading alone would not show that the store can be written.
        let (owner, now) = (host.process.name(), store.time(&host.clock).await?);
        store.acquire_lease(&lease, &owner, now, Duration::from_millis(1)).await?;
        store.release_lease(&lease, &owner).await?;
        Ok::<_, StoreError>(store)
    });
    Ok(Some(opened?))
}

/// This machine's clock against that of the store's server.
fn store_clock(skew: ClockSkew) -> Finding {
    if skew.is_tolerable() {
        return Finding::Good("this machine's agrees with it".to_owned());
    }
    Finding::Odd(
        format!("this machine's is {skew} it"),
        "synchronize both (timedatectl set-ntp true): triggers follow this machine's, and peers may have other times"
            .to_owned(),
    )
}

/// This machine's clock against the platform's.
fn clock(host: &Host, probes: &[Probe]) -> Finding {
    let platform = probes.iter().find_map(|probe| match &probe.answer {
        Ok((_, Some(date))) => Some(*date),
        _ => None,
    });
    let Some(date) = platform else { return Finding::Skipped("no host has sent its time") };
    let now = host.clock.now_secs();
    let instant = |seconds: i64| EpochMs::new(seconds.saturating_mul(1_000));
    let skew = ClockSkew::between(instant(now), instant(date));
    if skew.is_tolerable() {
        return Finding::Good(format!("{} s from the platform's", now - date));
    }
    Finding::Bad(
        format!("{skew} the platform's"),
        "set this machine's clock (timedatectl set-ntp true): tokens and triggers depend on it".to_owned(),
    )
}

fn host_answer(probe: &Probe) -> Finding {
    let host = &probe.host;
    match (&probe.addresses, &probe.answer) {
        (Err(_), Ok((took, _))) => {
            Finding::Good(format!("{host} answered in {} ms, through a proxy", took.as_millis()))
        }
        (Err(error), _) => Finding::Bad(
            format!("{host} has no address: {error}"),
            "check the name, and this machine's DNS (/etc/resolv.conf)".to_owned(),
        ),
        (Ok(addresses), Ok((took, _))) => {
            let addresses: Vec<String> = addresses.iter().take(2).map(ToString::to_string).collect();
            Finding::Good(format!("{host} at {} answered in {} ms", addresses.join(", "), took.as_millis()))
        }
        (Ok(_), Err(error)) => Finding::Bad(
            format!("{host} does not answer: {error}"),
            "check the network, the proxy (HTTPS_PROXY), and that the certificate is one this machine trusts"
                .to_owned(),
        ),
    }
}

/// Token, whitelist and rights.
async fn account_works(report: &mut Findings<'_>, client: &Client) {
    let token = client.token().await;
    let hint = |error: &CallError| remedy(client, error);
    match &token {
        Ok(_) => {
            let (token, whitelist) = renewal(client).await;
            report.show("token", &token);
            report.show("whitelist", &whitelist);
        }
        Err(error) if error.errcode() == Some(errcode::IP_NOT_IN_WHITELIST) => {
            report.show("token", &Finding::Bad(error.to_string(), "see the whitelist".to_owned()));
            report.show("whitelist", &not_listed(error));
        }
        Err(error) => {
            report.show("token", &Finding::Bad(error.to_string(), hint(error)));
            report.show("whitelist", &Finding::Skipped("there is no token"));
        }
    }
    if token.is_err() {
        report.show("rights", &Finding::Skipped("there is no token"));
        return;
    }
    let calls = [
        (tag::List::SPEC, client.call(&tag::List {}).await.map(drop)),
        (user::List::SPEC, client.call(&user::List::default()).await.map(drop)),
        (blacklist::List::SPEC, client.call(&blacklist::List::default()).await.map(drop)),
        (network::CallbackIp::SPEC, client.call(&network::CallbackIp {}).await.map(drop)),
    ];
    for (spec, called) in calls {
        let area = spec.name.split("::").next().unwrap_or_default();
        let finding = match called {
            Ok(()) => Finding::Good(format!("{area}::…")),
            Err(CallError::Refused(refusal)) if refusal.class() == Class::Quota => Finding::Odd(
                format!("{area}::… works, but today's calls are used up ({})", refusal.errcode),
                "`mpscript quota` shows the day's calls".to_owned(),
            ),
            Err(error) => Finding::Bad(format!("{area}::…: {error}"), hint(&error)),
        };
        report.show("rights", &finding);
    }
    report.show("rights", &Finding::Skipped("oauth, media, card and qrcode can only be tried by using them"));
}

/// What to do about a call that failed.
fn remedy(client: &Client, error: &CallError) -> String {
    let of_source = match (error, client.token_mode()) {
        (CallError::NoToken { .. }, TokenMode::External(External::Command(_))) => {
            Some("run token_command by hand: it prints a token, alone or as the platform's JSON")
        }
        (CallError::NoToken { .. }, TokenMode::External(External::File(_))) => {
            Some("look at token_file: it holds a token, alone or as the platform's JSON")
        }
        (CallError::NoToken { .. }, TokenMode::External(External::Url { .. })) => {
            Some("look at token_url and token_key_env, and at the log of the token service")
        }
        _ => None,
    };
    let hint = || error.hint().map(|advice| advice.text(SETTING_NAMES));
    of_source.map(Cow::from).or_else(hint).unwrap_or("try again in a moment".into()).into_owned()
}

/// Token and whitelist, when there is a token. It may have been fetched by another machine, or with another AppSecret, so
/// it is asked for again: the stable token's call doesn't end the present one.
async fn renewal(client: &Client) -> (Finding, Finding) {
    let (mode, life) = (client.token_mode(), client.token_life());
    let good = Finding::Good(format!("{}, good for {life} s", mode.as_str()));
    if !matches!(mode, TokenMode::Stable) {
        let why = "fetching would end the present token, or tokens come from elsewhere";
        return (good, Finding::Skipped(why));
    }
    match client.call(&Stable::default()).await {
        Ok(_) => (good, Finding::Good("this machine's address may fetch tokens".to_owned())),
        Err(error) if error.errcode() == Some(errcode::IP_NOT_IN_WHITELIST) => (good, not_listed(&error)),
        Err(error) => {
            let text = format!("good for {life} s, but no other can be fetched: {error}");
            (Finding::Bad(text, remedy(client, &error)), Finding::Skipped("no token can be fetched"))
        }
    }
}

/// The platform's refusal of this machine's address.
fn not_listed(error: &CallError) -> Finding {
    let address = error.refused_address().map(|address| address.to_string());
    Finding::Bad(
        format!("{} is not in the IP白名单", address.as_deref().unwrap_or("this machine")),
        format!(
            "add {} under 设置与开发 > 基本配置 > IP白名单 in the console",
            address.as_deref().unwrap_or("the address that the message names")
        ),
    )
}
