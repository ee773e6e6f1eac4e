//! `mpscript doctor`: looks in order at all that a call needs, and says what to do about what is wrong.

use crate::{
    api::{blacklist, errcode::Class, network, quota::Reset, tag, token::Stable, user},
    base::{Cancel, Diagnostic},
    cli::{
        Failure,
        args::arguments::{DoctorArguments, Reach},
        config::{
            connect::{Calling, bases, client},
            file, store,
        },
        output::{exit, log},
    },
    client::{CallError, Client, External, Probe, TokenMode},
    host::Host,
    run::runtime,
    sandbox::{self, Sandbox},
    store::Store,
};
use std::time::Duration;

/// A clock that is further off than this confuses leases, which last eight seconds. In seconds.
const MOST_SKEW: i64 = 3;

/// What was found.
enum Finding {
    Good(String),
    /// It works, but a person should know.
    Odd(String, String),
    /// What is wrong, and what to do.
    Bad(String, String),
    /// It can't be looked at before something else is mended.
    Skipped(&'static str),
}

pub(crate) fn execute(host: &Host, arguments: &DoctorArguments) -> Result<u8, Failure> {
    log::start(host, false);
    let mut report = Report { host, is_well: true };
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let reach = &arguments.reach;
    let sandbox = if reach.sandbox { Some(start_sandbox()?) } else { None };
    let account = configuration(&mut report, host, reach, sandbox.as_ref());
    let store = if reach.sandbox {
        report.show("store", &Finding::Good("in memory, as every --sandbox".to_owned()));
        None
    } else {
        look_at_store(&mut report, host, reach, &runtime)
    };
    let Some(make) = account else {
        for what in ["clock", "hosts", "token", "whitelist", "rights"] {
            report.show(what, &Finding::Skipped("there is no account"));
        }
        return Ok(report.code());
    };
    let client = make(store);
    runtime.block_on(async {
        let probes = client.probe().await;
        report.show("clock", &clock(host, &probes));
        for probe in &probes {
            report.show("hosts", &reached(probe));
        }
        let is_reached = probes.iter().any(|probe| probe.answer.is_ok());
        if is_reached {
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

struct Report<'a> {
    host: &'a Host,
    is_well: bool,
}

impl Report<'_> {
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
            Finding::Skipped(why) => self.host.out.line(&line("-", &format!("not looked at: {why}"))),
        }
    }

    fn code(&self) -> u8 {
        self.host.out.line(if self.is_well {
            "everything works"
        } else {
            "something is wrong: mend the first FAIL, then look again"
        });
        if self.is_well { exit::DONE } else { exit::USAGE }
    }
}

fn start_sandbox() -> Result<Sandbox, Failure> {
    Sandbox::start(sandbox::Options::default())
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the sandbox did not start: {error}"))))
}

fn of(diagnostic: &Diagnostic) -> Finding {
    Finding::Bad(diagnostic.message.clone(), diagnostic.hint.clone().unwrap_or_default())
}

type Make<'a> = Box<dyn FnOnce(Option<Store>) -> Client + 'a>;

/// The account's client, once there is a store.
fn configuration<'a>(
    report: &mut Report,
    host: &'a Host,
    reach: &Reach,
    sandbox: Option<&Sandbox>,
) -> Option<Make<'a>> {
    let fail = |report: &mut Report, diagnostic: &Diagnostic| {
        report.show("configuration", &of(diagnostic));
        None
    };
    if let Some(sandbox) = sandbox {
        let options = sandbox::Options::default();
        let url = format!("http://{}", sandbox.address());
        let base = match crate::client::BaseUrl::parse(&url) {
            Ok(base) => base,
            Err(error) => return fail(report, &Diagnostic::new(error.to_string())),
        };
        report.show("configuration", &Finding::Good(format!("a sandbox of its own, {}", options.appid)));
        let account = crate::client::Account {
            appid: options.appid,
            secret: crate::base::Secret::new(&options.secret),
        };
        let mode = TokenMode::Stable;
        return Some(Box::new(move |store| {
            client(
                host,
                vec![base],
                account,
                mode,
                store,
                (Reset::MIDNIGHT, Calling::default()),
                &Cancel::default(),
            )
        }));
    }
    let found = match file::account(host, reach) {
        Ok(Ok(found)) => found,
        Ok(Err(no_client)) => return fail(report, &no_client.0),
        Err(failure) => return fail(report, &failure.diagnostic),
    };
    let bases = match bases(reach, &found) {
        Ok(bases) => bases,
        Err(failure) => return fail(report, &failure.diagnostic),
    };
    let account = match found.account() {
        Ok(account) => account,
        Err(failure) => return fail(report, &failure.diagnostic),
    };
    let mode = found.token_mode.as_str();
    let text = format!("{} from {}, {mode} tokens", found.appid, found.source);
    report.show("configuration", &Finding::Good(text));
    Some(Box::new(move |store| {
        let cancel = Cancel::default();
        client(host, bases, account, found.token_mode, store, (found.reset, Calling::default()), &cancel)
    }))
}

/// The store, if it can be written.
fn look_at_store(
    report: &mut Report,
    host: &Host,
    reach: &Reach,
    runtime: &tokio::runtime::Runtime,
) -> Option<Store> {
    let place = match store::place(host, reach) {
        Ok(Some((place, _))) => place,
        Ok(None) => {
            let text = "in memory: neither XDG_STATE_HOME nor HOME is set".to_owned();
            report.show("store", &Finding::Odd(text, "set one of them, or MPSCRIPT_STORE".to_owned()));
            return None;
        }
        Err(failure) => {
            report.show("store", &of(&failure.diagnostic));
            return None;
        }
    };
    let now = host.clock.now_ms();
    let opened = runtime.block_on(async {
        let store = store::open_at(&place).await?;
        // Written and taken back: reading alone tells too little.
        store.take_lease("doctor", &host.process, now, now + 1).await?;
        store.give_lease_back("doctor", &host.process).await?;
        Ok(store)
    });
    match opened {
        Ok(store) => {
            report.show("store", &Finding::Good(store.place().to_owned()));
            Some(store)
        }
        Err(error) => {
            report.show("store", &of(&store::failure(&error).diagnostic));
            None
        }
    }
}

/// This machine's clock against the platform's.
fn clock(host: &Host, probes: &[Probe]) -> Finding {
    let told = probes.iter().find_map(|probe| match &probe.answer {
        Ok((_, Some(date))) => Some(*date),
        _ => None,
    });
    let Some(date) = told else { return Finding::Skipped("no host tells the time") };
    let skew = host.clock.now() - date;
    let span = humantime::format_duration(Duration::from_secs(skew.unsigned_abs()));
    if skew.abs() <= MOST_SKEW {
        return Finding::Good(format!("{skew} s from the platform's"));
    }
    let side = if skew > 0 { "ahead of" } else { "behind" };
    Finding::Bad(
        format!("{span} {side} the platform's"),
        "set this machine's clock (timedatectl set-ntp true): tokens and leases are reckoned by it"
            .to_owned(),
    )
}

fn reached(probe: &Probe) -> Finding {
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
async fn account_works(report: &mut Report<'_>, client: &Client) {
    let token = client.token().await;
    let hint = |error: &CallError| remedy(client, error);
    match &token {
        Ok(_) => {
            let mode = client.token_mode().as_str();
            report.show("token", &Finding::Good(format!("{mode}, good for {} s", client.token_life())));
            report.show("whitelist", &whitelist(client).await);
        }
        Err(error) if error.errcode() == Some(40164) => {
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
    let areas: [(&str, Result<(), CallError>); 4] = [
        ("tag", client.call(&tag::List {}).await.map(drop)),
        ("user", client.call(&user::List::default()).await.map(drop)),
        ("blacklist", client.call(&blacklist::List::default()).await.map(drop)),
        ("network", client.call(&network::CallbackIp {}).await.map(drop)),
    ];
    for (area, called) in areas {
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
    of_source.or_else(|| error.hint()).unwrap_or("try again in a moment").to_owned()
}

/// Whether this machine may fetch tokens: the one at hand may have been fetched by another.
async fn whitelist(client: &Client) -> Finding {
    if !matches!(client.token_mode(), TokenMode::Stable) {
        return Finding::Skipped("a fetch would end the present token, or somebody else makes it");
    }
    match client.call(&Stable::default()).await {
        Ok(_) => Finding::Good("this machine's address may fetch tokens".to_owned()),
        Err(error) => not_listed(&error),
    }
}

fn not_listed(error: &CallError) -> Finding {
    let message = error.to_string();
    let address = address_in(&message);
    if error.errcode() != Some(40164) {
        return Finding::Bad(message, error.hint().unwrap_or("try again in a moment").to_owned());
    }
    Finding::Bad(
        format!("{} is not in the IP白名单", address.as_deref().unwrap_or("this machine")),
        format!(
            "add {} under 设置与开发 > 基本配置 > IP白名单 in the console",
            address.as_deref().unwrap_or("the address that the message names")
        ),
    )
}

/// The address in the platform's `invalid ip 1.2.3.4 ipv6 …, not in whitelist`.
fn address_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("invalid ip ")?;
    rest.split([' ', ',']).next().map(str::to_owned)
}
