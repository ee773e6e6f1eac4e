//! `mpscript token`: the account's token, shown, renewed, told of, and served to other programs.

use super::token_serve;
use crate::{
    base::{Cancel, Diagnostic, with_thousands},
    cli::{
        Failure,
        args::arguments::{TokenArguments, TokenCommand},
        config::connect::{self, Calling, Need, Reached},
        output::{exit, log, render},
    },
    client::{CallError, Client},
    host::Host,
    run::runtime,
};
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) fn execute(host: &Host, arguments: &TokenArguments) -> Result<u8, Failure> {
    log::start(host, false);
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    if let TokenCommand::Serve(serve) = &arguments.command {
        return token_serve::execute(host, &runtime, &arguments.reach, serve);
    }
    let need = match &arguments.command {
        TokenCommand::Status => Need::State,
        _ => Need::Calls,
    };
    let reached =
        connect::reach(host, &runtime, &arguments.reach, need, Calling::default(), &Cancel::default())?;
    let client = reached.client()?;
    let said = match &arguments.command {
        TokenCommand::Show { reveal } => show(client, &runtime, *reveal),
        TokenCommand::Refresh => refresh(client, &runtime),
        TokenCommand::Status => return status(host, &runtime, &reached),
        TokenCommand::Serve(_) => return Ok(exit::DONE),
    };
    runtime.block_on(client.finish());
    match said {
        Ok(text) => host.out.line(&text),
        Err(error) => return Err(failure(&error)),
    }
    Ok(exit::DONE)
}

/// A call that failed, for the person.
pub(crate) fn failure(error: &CallError) -> Failure {
    let diagnostic = Diagnostic::new(error.to_string());
    let diagnostic = match error.hint() {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    };
    let code = if error.is_configuration() { exit::USAGE } else { exit::SCRIPT };
    Failure { diagnostic, code }
}

fn show(client: &Client, runtime: &Runtime, reveal: bool) -> Result<String, CallError> {
    let token = runtime.block_on(client.token())?;
    Ok(if reveal {
        token.reveal().to_owned()
    } else {
        let life = u64::try_from(client.token_life()).unwrap_or_default();
        format!("{token}, good for {} seconds (--reveal shows it)", with_thousands(life))
    })
}

fn refresh(client: &Client, runtime: &Runtime) -> Result<String, CallError> {
    runtime.block_on(async {
        let present = client.token().await?;
        match client.renew_token(&present).await? {
            Some(_) => Ok(format!(
                "a new token, good for {} seconds",
                with_thousands(client.token_life().unsigned_abs())
            )),
            None => Err(CallError::NoToken { reason: "there is no other one now".to_owned() }),
        }
    })
}

/// What the store knows, without a call.
fn status(host: &Host, runtime: &Runtime, reached: &Reached) -> Result<u8, Failure> {
    let client = reached.client()?;
    let known = runtime.block_on(async {
        let record = client.token_record().await?;
        Ok((record, client.forced_today().await?))
    });
    let (record, (forced, most)) = known.map_err(|error| crate::cli::config::store::failure(&error))?;
    let now = host.clock.now_ms();
    let span = |ms: i64| {
        let seconds = Duration::from_secs(ms.unsigned_abs() / 1_000);
        humantime::format_duration(seconds).to_string()
    };
    let token = match record {
        None => "none in the store yet".to_owned(),
        Some(record) if record.expires_at <= now => {
            format!("ended {} ago; fetched by {}", span(now - record.expires_at), record.renewed_by)
        }
        Some(record) => format!(
            "number {}, fetched {} ago by {}, ends in {}",
            record.generation,
            span(now - record.renewed_at),
            record.renewed_by,
            span(record.expires_at - now)
        ),
    };
    let rows = [
        ("account", client.account_key().replace(' ', " at ")),
        ("mode", client.token_mode().as_str().to_owned()),
        ("token", token),
        ("forced", format!("{forced} of {most} renewals today (Beijing time)")),
        ("store", reached.place().to_owned()),
    ];
    host.out.write(&render::rows(&rows));
    Ok(exit::DONE)
}
