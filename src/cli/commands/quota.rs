//! `mpscript quota`: today's calls by endpoint, as this program has counted them or as the platform says.

use super::token::failure;
use crate::{
    api::{self, Credential, quota},
    base::{Cancel, Diagnostic, with_thousands},
    cli::{
        Failure,
        args::arguments::QuotaArguments,
        config::connect::{self, Calling, Need, Reached},
        output::{exit, log},
    },
    client::Client,
    host::Host,
    run::runtime,
    store::Usage,
};
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

/// One endpoint's day.
struct Line {
    endpoint: String,
    used: i64,
    /// Not known where the platform publishes none.
    limit: Option<i64>,
    is_spent: bool,
}

pub(crate) fn execute(host: &Host, arguments: &QuotaArguments) -> Result<u8, Failure> {
    log::start(host, false);
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let need = if arguments.live { Need::Calls } else { Need::State };
    let reached =
        connect::reach(host, &runtime, &arguments.reach, need, Calling::default(), &Cancel::default())?;
    let client = reached.client()?;
    let lines = if arguments.live {
        let lines = runtime.block_on(live(client));
        runtime.block_on(client.finish());
        lines.map_err(|error| failure(&error))?
    } else {
        counted(host, &runtime, &reached)?
    };
    host.out.write(&show(&lines));
    Ok(exit::DONE)
}

/// Today's calls as a table; the platform is asked where nothing counts them.
pub(crate) fn today(host: &Host, runtime: &Runtime, reached: &Reached) -> Result<String, Failure> {
    let lines = match reached.store {
        Some(_) => counted(host, runtime, reached)?,
        None => runtime.block_on(live(reached.client()?)).map_err(|error| failure(&error))?,
    };
    Ok(show(&lines))
}

/// What this program's processes have counted today.
fn counted(host: &Host, runtime: &Runtime, reached: &Reached) -> Result<Vec<Line>, Failure> {
    let client = reached.client()?;
    let day = client.reset().day(host.clock.now());
    let usage = match &reached.store {
        Some(store) => runtime.block_on(store.usage(client.account_key(), day)),
        None => Ok(Vec::new()),
    };
    let usage = usage.map_err(|error| crate::cli::config::store::failure(&error))?;
    let mut used: BTreeMap<String, Usage> =
        usage.into_iter().map(|usage| (usage.endpoint.clone(), usage)).collect();
    // Endpoints with a known limit are shown before they are used.
    let mut lines = Vec::new();
    for spec in api::all() {
        let usage = used.remove(spec.path);
        let limit = spec.daily.real.and_then(|limit| i64::try_from(limit).ok());
        if usage.is_some() || limit.is_some() {
            lines.push(Line {
                endpoint: spec.path.to_owned(),
                used: usage.as_ref().map_or(0, |usage| usage.used),
                limit,
                is_spent: usage.is_some_and(|usage| usage.is_spent),
            });
        }
    }
    lines.extend(used.into_values().map(|usage| Line {
        endpoint: usage.endpoint,
        used: usage.used,
        limit: None,
        is_spent: usage.is_spent,
    }));
    Ok(lines)
}

/// What the platform says, a call for each endpoint.
async fn live(client: &Client) -> Result<Vec<Line>, crate::client::CallError> {
    let mut lines = Vec::new();
    for spec in api::all().into_iter().filter(|spec| spec.credential == Credential::AccessToken) {
        let request = quota::Get { cgi_path: spec.path.to_owned() };
        match client.call(&request).await {
            Ok(answer) => lines.push(Line {
                endpoint: spec.path.to_owned(),
                used: answer.quota.used,
                limit: Some(answer.quota.daily_limit),
                is_spent: answer.quota.remain == 0,
            }),
            // Some paths can't be asked for (76021, 76022).
            Err(error) if error.errcode().is_some_and(|code| (76_021..=76_022).contains(&code)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

fn show(lines: &[Line]) -> String {
    let count = |count: i64| with_thousands(count.unsigned_abs());
    let mut text = format!("{:<42} {:>10} {:>10} {:>10}\n", "endpoint", "used", "left", "a day");
    for line in lines {
        let left = line.limit.map(|limit| if line.is_spent { 0 } else { (limit - line.used).max(0) });
        let known = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), count);
        let spent = if line.is_spent { "  spent until midnight, Beijing time" } else { "" };
        let (used, left, limit) = (count(line.used), known(left), known(line.limit));
        text.push_str(&format!("{:<42} {used:>10} {left:>10} {limit:>10}{spent}\n", line.endpoint));
    }
    text.push_str("? is not published; `mpscript quota --live` asks the platform, a call for each\n");
    text
}
