//! `mpscript token`: shows, renews and serves the account's token.

use super::token_serve;
use crate::{
    base::{Cancel, EpochMs, with_thousands},
    cli::{
        args::{TokenArguments, TokenCommand},
        config::{Access, ClientOptions, Connection, connect},
        output::{exit, log, render},
        runtime::start_runtime,
    },
    client::{AccountKey, CallError, Client},
    host::Host,
};
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) fn execute(host: &Host, arguments: &TokenArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::Warnings);
    let runtime = start_runtime()?;
    if let TokenCommand::Serve(serve) = &arguments.command {
        return token_serve::execute(host, &runtime, &arguments.target, serve);
    }
    let access = match &arguments.command {
        TokenCommand::Status => Access::ReadOnly,
        _ => Access::Call,
    };
    let connection =
        connect(host, &runtime, &arguments.target, access, ClientOptions::default(), &Cancel::default())?;
    let client = connection.client()?;
    let shown = match &arguments.command {
        TokenCommand::Show { reveal: true } => {
            // It was asked for, so it is not masked.
            runtime.block_on(client.token()).map(|token| host.out.exactly(&format!("{}\n", token.reveal())))
        }
        TokenCommand::Show { reveal: false } => show(client, &runtime).map(|text| host.out.line(&text)),
        TokenCommand::Refresh => refresh(client, &runtime).map(|text| host.out.line(&text)),
        TokenCommand::Status => return status(host, &runtime, &connection),
        TokenCommand::Serve(_) => return Ok(exit::DONE),
    };
    runtime.block_on(client.finish());
    shown?;
    Ok(exit::DONE)
}

fn show(client: &Client, runtime: &Runtime) -> Result<String, CallError> {
    let token = runtime.block_on(client.token())?;
    let life = u64::try_from(client.token_life()).unwrap_or_default();
    Ok(format!("{token}, good for {} seconds (--reveal shows it)", with_thousands(life)))
}

fn refresh(client: &Client, runtime: &Runtime) -> Result<String, CallError> {
    runtime.block_on(async {
        let present = client.token().await?;
        match client.renew_token(&present).await? {
            Some(_) => Ok(format!(
                "a new token, good for {} seconds",
                with_thousands(client.token_life().unsigned_abs())
            )),
            None => Err(CallError::NoToken { reason: "the platform returned the same one".to_owned() }),
        }
    })
}

/// What the store knows about the token, without a call.
fn status(host: &Host, runtime: &Runtime, connection: &Connection) -> anyhow::Result<u8> {
    let client = connection.client()?;
    let record = runtime.block_on(client.token_record())?;
    let (forced, max) = runtime.block_on(client.forced_today())?;
    let now = host.clock.now();
    let span = |instant: EpochMs| {
        let whole_seconds = Duration::from_secs(now.distance(instant).as_secs());
        humantime::format_duration(whole_seconds).to_string()
    };
    let token = match record {
        None => "none in the store yet".to_owned(),
        Some(record) if record.expires_at <= now => {
            format!("expired {} ago; fetched by {}", span(record.expires_at), record.renewed_by)
        }
        Some(record) => format!(
            "number {}, fetched {} ago by {}, expires in {}",
            record.generation,
            span(record.renewed_at),
            record.renewed_by,
            span(record.expires_at)
        ),
    };
    let rows = [
        ("account", AccountKey::shown(client.account_key())),
        ("mode", client.token_mode().as_str().to_owned()),
        ("token", token),
        ("forced", format!("{forced} of {max} renewals today (Beijing time)")),
        ("store", connection.location().to_owned()),
    ];
    host.out.write(&render::rows(&rows));
    Ok(exit::DONE)
}
