//! `mpscript token serve`.

use crate::{
    base::{
        Cancel, Secret,
        http::{BindAddress, HttpServer, ServerOptions},
        read_text,
    },
    cli::{
        args::{SETTING_NAMES, TargetArgs, TokenServeArguments},
        config::{
            Access, AccountConfig, ClientAccount, ClientOptions, find_account, new_client, open, read_file,
            refuse_if_readable,
        },
        failure::{Failure, usage_error},
        output::exit,
        signals,
    },
    client::Client,
    host::Host,
    run::TokenService,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};
use tokio::runtime::Runtime;

/// The minimum length of the key: a shorter one could be guessed.
const MIN_KEY: usize = 16;

/// The longest file of a key, in bytes.
const MAX_KEY_FILE: u64 = 16 << 10;

pub(crate) fn execute(
    host: &Host,
    runtime: &Runtime,
    target: &TargetArgs,
    arguments: &TokenServeArguments,
) -> anyhow::Result<u8> {
    let key = key(host, arguments)?;
    let listen = match &arguments.socket {
        Some(path) => BindAddress::Socket(host.folder.join(path)),
        None => BindAddress::Address(arguments.listen),
    };
    if let BindAddress::Address(address) = &listen
        && !address.ip().is_loopback()
        && !arguments.behind_proxy
    {
        let message =
            format!("{address} can be reached from other machines, and tokens would travel in clear text");
        let hint = "listen on 127.0.0.1, or put a proxy in front that terminates TLS and give --behind-proxy";
        return Err(usage_error(message, hint));
    }
    let Accounts { clients, shared } = accounts(host, runtime, target)?;
    let names: Vec<String> = clients.keys().cloned().collect();
    let options = ServerOptions {
        names: arguments.allow_host.clone(),
        setting_names: SETTING_NAMES,
        ..ServerOptions::default()
    };
    let listening = runtime.block_on(HttpServer::bind(&listen, options)).map_err(|error| {
        let message = format!("can't listen: {error}");
        usage_error(message, "another program may use the address: choose another with --listen")
    })?;
    host.out.line(&format!("tokens of {} at {}", names.join(", "), listening.place));
    let log = host.err.clone();
    let all: Vec<Client> = clients.values().cloned().collect();
    let service =
        TokenService::new(clients, shared, key, SETTING_NAMES, Arc::new(move |line| log.line(line)));
    runtime.block_on(async {
        tokio::select! {
            () = listening.serve(service) => {}
            () = signals::signal() => {}
        }
    });
    runtime.block_on(async {
        for client in all {
            client.finish().await;
        }
    });
    if let BindAddress::Socket(path) = &listen {
        let _ = fs::remove_file(path);
    }
    Ok(exit::DONE)
}

/// The bearer key that other programs must send.
fn key(host: &Host, arguments: &TokenServeArguments) -> anyhow::Result<Secret> {
    let fail = |message: String, hint: &str| Err(usage_error(message, hint));
    let text = match (&arguments.key_file, host.variable("MPSCRIPT_TOKEN_KEY")) {
        (Some(file), _) => {
            let path = host.folder.join(file);
            let text = read_text(&path, MAX_KEY_FILE).map_err(|reason| {
                let message = format!("can't read {}: {reason}", path.display());
                usage_error(message, "give the path of a file that holds the key and nothing else")
            })?;
            refuse_if_readable(&path)?;
            text.trim().to_owned()
        }
        (None, Some(key)) => key.to_owned(),
        (None, None) => {
            let hint = "set MPSCRIPT_TOKEN_KEY, or name a file that only you can read with --key-file; \
                        `openssl rand -hex 32` makes a key";
            return fail("a token service needs a key".to_owned(), hint);
        }
    };
    if text.len() < MIN_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("the token service's key must have at least {MIN_KEY} printable ASCII characters");
        return fail(message, "`openssl rand -hex 32` makes a good one");
    }
    Ok(Secret::new(text))
}

/// The accounts that are served.
struct Accounts {
    /// By name and by AppID.
    clients: BTreeMap<String, Client>,
    /// AppIDs that several accounts share: by such an AppID no account can be requested.
    shared: BTreeSet<String>,
}

/// The account that is asked for, else every configured one.
fn accounts(host: &Host, runtime: &Runtime, target: &TargetArgs) -> anyhow::Result<Accounts> {
    let mut all: Vec<AccountConfig> = Vec::new();
    if target.account.is_none()
        && host.variable("MPSCRIPT_APPID").is_none()
        && let Some((path, file)) = read_file(host, target.config.as_deref())?
    {
        for (name, entry) in &file.accounts {
            all.push(AccountConfig::from_entry(host, &path, name, entry)?);
        }
    }
    if all.is_empty() {
        all.push(find_account(host, target)?.map_err(|no_client| Failure::usage(no_client.0))?);
    }
    let store = open(host, runtime, target)?;
    let (mut clients, mut shared) = (BTreeMap::new(), BTreeSet::new());
    for config in all {
        let account = ClientAccount::from_config(&config, target, Access::Call)?;
        let client = new_client(host, account, store.clone(), ClientOptions::default(), &Cancel::default())?;
        clients.extend(config.name.map(|name| (name, client.clone())));
        if clients.insert(config.appid.clone(), client).is_some() {
            shared.insert(config.appid);
        }
    }
    clients.retain(|name, _| !shared.contains(name));
    Ok(Accounts { clients, shared })
}
