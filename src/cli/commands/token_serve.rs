//! `mpscript token serve`.

use crate::{
    base::{Cancel, Diagnostic, Secret},
    cli::{
        Failure,
        args::arguments::{Reach, ServeArguments},
        config::{
            connect::{Calling, bases, client},
            file::{self, Found},
            secret::refuse_if_readable,
            store,
        },
        output::exit,
        signals,
    },
    client::Client,
    host::Host,
    run::{BindAddress, HttpServer, TokenService},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};
use tokio::runtime::Runtime;

/// A key that is shorter can be guessed.
const LEAST_KEY: usize = 16;

pub(crate) fn execute(
    host: &Host,
    runtime: &Runtime,
    reach: &Reach,
    arguments: &ServeArguments,
) -> Result<u8, Failure> {
    let key = key(host, arguments)?;
    let listen = match &arguments.socket {
        Some(path) => BindAddress::Socket(host.folder.join(path)),
        None => BindAddress::Address(arguments.listen),
    };
    if let BindAddress::Address(address) = &listen
        && !address.ip().is_loopback()
        && !arguments.behind_proxy
    {
        let message = format!("{address} can be reached by others, and tokens would travel in the open");
        let hint = "listen on 127.0.0.1, or put a proxy in front that speaks TLS and say --behind-proxy";
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    let (accounts, shared) = accounts(host, runtime, reach)?;
    let names: Vec<String> = accounts.keys().cloned().collect();
    let listening = runtime.block_on(HttpServer::bind(&listen)).map_err(|error| {
        let message = format!("can't listen: {error}");
        Failure::usage(
            Diagnostic::new(message).hint("another program may hold it: choose another with --listen"),
        )
    })?;
    host.out.line(&format!("tokens of {} at {}", names.join(", "), listening.place));
    let log = host.err.clone();
    let clients: Vec<Client> = accounts.values().cloned().collect();
    let service = TokenService { accounts, shared, key, log: Arc::new(move |line| log.line(line)) };
    runtime.block_on(async {
        tokio::select! {
            () = listening.serve(service) => {}
            () = signals::signal() => {}
        }
    });
    runtime.block_on(async {
        for client in clients {
            client.finish().await;
        }
    });
    if let BindAddress::Socket(path) = &listen {
        let _ = fs::remove_file(path);
    }
    Ok(exit::DONE)
}

/// The bearer key that other programs must send.
fn key(host: &Host, arguments: &ServeArguments) -> Result<Secret, Failure> {
    let fail = |message: String, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    let text = match (&arguments.key_file, host.variable("MPSCRIPT_TOKEN_KEY")) {
        (Some(file), _) => {
            let path = host.folder.join(file);
            let text = fs::read_to_string(&path).map_err(|error| {
                Failure::usage(Diagnostic::new(format!("can't read {}: {error}", path.display())))
            })?;
            refuse_if_readable(&path)?;
            text.trim().to_owned()
        }
        (None, Some(key)) => key.to_owned(),
        (None, None) => {
            let hint = "set MPSCRIPT_TOKEN_KEY, or name a file that you alone can read with --key-file; \
                        `openssl rand -hex 32` makes a key";
            return fail("a token service needs a key".to_owned(), hint);
        }
    };
    if text.len() < LEAST_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("the token service's key is no text of {LEAST_KEY} or more letters and digits");
        return fail(message, "`openssl rand -hex 32` makes a good one");
    }
    Ok(Secret::new(text))
}

/// Every account that is configured, by its name and by its AppID, or the one that is named; and the AppIDs
/// that several have.
fn accounts(
    host: &Host,
    runtime: &Runtime,
    reach: &Reach,
) -> Result<(BTreeMap<String, Client>, BTreeSet<String>), Failure> {
    let all = match file::read(host, reach.config.as_deref())? {
        Some((path, file)) if reach.account.is_none() && host.variable("MPSCRIPT_APPID").is_none() => {
            let found = file.accounts.iter().map(|(name, entry)| file::found(host, &path, name, entry));
            found.collect::<Result<Vec<Found>, _>>()?
        }
        _ => Vec::new(),
    };
    let all = if all.is_empty() {
        vec![file::account(host, reach)?.map_err(|no_client| Failure::usage(no_client.0))?]
    } else {
        all
    };
    let store = store::open(host, runtime, reach)?;
    let (mut accounts, mut shared) = (BTreeMap::new(), BTreeSet::new());
    for found in all {
        let bases = bases(reach, &found)?;
        let (appid, account) = (found.appid.clone(), found.account()?);
        let (mode, store) = (found.token_mode, store.clone());
        let client =
            client(host, bases, account, mode, store, (found.reset, Calling::default()), &Cancel::default());
        accounts.extend(found.name.map(|name| (name, client.clone())));
        if accounts.insert(appid.clone(), client).is_some() {
            shared.insert(appid);
        }
    }
    accounts.retain(|name, _| !shared.contains(name));
    Ok((accounts, shared))
}
