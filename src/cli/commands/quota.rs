//! `mpscript quota`: today's calls by endpoint, as this machine's processes have counted them or as the platform says.

use crate::{
    api::{self, Credential, errcode, quota},
    base::{Cancel, with_thousands},
    cli::{
        args::QuotaArguments,
        config::{Access, ClientOptions, Connection, connect},
        output::{exit, log},
        runtime::start_runtime,
    },
    client::{CallError, Client},
    host::Host,
    store::{UnreadableUsage, Usage},
};
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

/// One endpoint's day.
struct EndpointDay {
    endpoint: String,
    /// `None` if what was counted can't be decoded.
    used: Option<i64>,
    /// `None` if the platform publishes no limit.
    limit: Option<i64>,
    is_exhausted: bool,
}

pub(crate) fn execute(host: &Host, arguments: &QuotaArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::Warnings);
    let runtime = start_runtime()?;
    let access = if arguments.live { Access::Call } else { Access::ReadOnly };
    let connection =
        connect(host, &runtime, &arguments.target, access, ClientOptions::default(), &Cancel::default())?;
    let client = connection.client()?;
    let lines = if arguments.live {
        let lines = runtime.block_on(live(client));
        runtime.block_on(client.finish());
        lines?
    } else {
        counted(host, &runtime, &connection)?
    };
    host.out.write(&show(&lines));
    Ok(exit::DONE)
}

/// Today's calls as a table. Without a store nothing counts them, so the platform is asked.
pub(crate) fn today(host: &Host, runtime: &Runtime, connection: &Connection) -> anyhow::Result<String> {
    let lines = match connection.store {
        Some(_) => counted(host, runtime, connection)?,
        None => runtime.block_on(live(connection.client()?))?,
    };
    Ok(show(&lines))
}

/// What the store has counted today.
fn counted(host: &Host, runtime: &Runtime, connection: &Connection) -> anyhow::Result<Vec<EndpointDay>> {
    let client = connection.client()?;
    let day = client.reset().day(host.clock.now_secs());
    let usage = match &connection.store {
        Some(store) => runtime.block_on(store.usage(client.account_key(), day)),
        None => Ok(Vec::new()),
    };
    // `None` is what can't be decoded.
    let mut used: BTreeMap<String, Option<Usage>> = BTreeMap::new();
    for usage in usage? {
        match usage {
            Ok(usage) => used.insert(usage.endpoint.clone(), Some(usage)),
            Err(UnreadableUsage { endpoint, error }) => {
                tracing::warn!("the counted calls of {endpoint} are not known: {error}");
                used.insert(endpoint, None)
            }
        };
    }
    let line = |endpoint: String, usage: Option<Usage>, limit| EndpointDay {
        endpoint,
        used: usage.as_ref().map(|usage| usage.used),
        limit,
        is_exhausted: usage.is_some_and(|usage| usage.is_exhausted),
    };
    // Endpoints with a known limit are shown before they are used.
    let mut lines = Vec::new();
    for spec in api::all() {
        let usage = used.remove(spec.path);
        let limit = spec.daily.real.and_then(|limit| i64::try_from(limit).ok());
        let unused = || Some(Usage { endpoint: spec.path.to_owned(), used: 0, is_exhausted: false });
        if usage.is_some() || limit.is_some() {
            lines.push(line(spec.path.to_owned(), usage.unwrap_or_else(unused), limit));
        }
    }
    lines.extend(used.into_iter().map(|(endpoint, usage)| line(endpoint, usage, None)));
    Ok(lines)
}

/// What the platform says, a call for each endpoint.
async fn live(client: &Client) -> Result<Vec<EndpointDay>, CallError> {
    let mut lines = Vec::new();
    for spec in api::all().into_iter().filter(|spec| spec.credential == Credential::AccessToken) {
        let request = quota::Get { cgi_path: spec.path.to_owned() };
        match client.call(&request).await {
            Ok(answer) => lines.push(EndpointDay {
                endpoint: spec.path.to_owned(),
                used: Some(answer.quota.used),
                limit: Some(answer.quota.daily_limit),
                is_exhausted: answer.quota.remain == 0,
            }),
            // Some paths can't be asked for.
            Err(error)
                if matches!(
                    error.errcode(),
                    Some(errcode::UNKNOWN_CGI_PATH | errcode::CGI_PATH_FORBIDDEN)
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

fn show(lines: &[EndpointDay]) -> String {
    let count = |count: i64| with_thousands(count.unsigned_abs());
    let mut text = format!("{:<42} {:>10} {:>10} {:>10}\n", "endpoint", "used", "left", "a day");
    for line in lines {
        let left = match (line.limit, line.used) {
            (Some(_), Some(_)) if line.is_exhausted => Some(0),
            (Some(limit), Some(used)) => Some((limit - used).max(0)),
            (None, _) | (_, None) => None,
        };
        let known = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), count);
        let spent = if line.is_exhausted { "  used up until midnight, Beijing time" } else { "" };
        let (used, left, limit) = (known(line.used), known(left), known(line.limit));
        text.push_str(&format!("{:<42} {used:>10} {left:>10} {limit:>10}{spent}\n", line.endpoint));
    }
    text.push_str("? is not published; `mpscript quota --live` asks the platform, one call per endpoint\n");
    text
}
