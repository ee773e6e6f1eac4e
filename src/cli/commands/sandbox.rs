//! `mpscript sandbox`.

use crate::{
    base::{Diagnostic, closest_match},
    cli::{
        args::{AccountKindArgument, OnOff, RulesArgument, SETTING_NAMES, SandboxArguments},
        failure::Failure,
        output::exit,
        signals,
    },
    host::Host,
    sandbox::{
        AccountKind, DEFAULT_AES_KEY, DEFAULT_CALLBACK_TOKEN, DEFAULT_SECRET, Options, SWITCHES, Sandbox,
        StartError, SwitchError, Switches,
    },
};
use anyhow::Context;

pub(crate) fn execute(host: &Host, arguments: SandboxArguments) -> anyhow::Result<u8> {
    let mut switches = match arguments.rules {
        RulesArgument::Today => Switches::default(),
        RulesArgument::Of2020 => Switches::of_2020(),
    };
    for (name, value) in &arguments.switches {
        switches.set(name, value).map_err(|error| Failure::usage(unknown_switch(&error)))?;
    }
    let secret_is_default = arguments.secret == DEFAULT_SECRET;
    let callback_is_default =
        arguments.callback_token == DEFAULT_CALLBACK_TOKEN && arguments.aes_key == DEFAULT_AES_KEY;
    let options = Options {
        listen: arguments.listen,
        allowed_hosts: arguments.allow_host,
        setting_names: SETTING_NAMES,
        followers: arguments.followers,
        scenes: arguments.scenes,
        appid: arguments.appid,
        secret: arguments.secret,
        seed: arguments.seed,
        latency: arguments.latency,
        quotas: arguments.quotas.into_iter().collect(),
        minute_limit: arguments.minute_limit,
        ip_whitelist: arguments.ip_whitelist,
        account_kind: match arguments.account_kind {
            AccountKindArgument::Service => AccountKind::Service,
            AccountKindArgument::Subscription => AccountKind::Subscription,
            AccountKindArgument::Uncertified => AccountKind::Uncertified,
            AccountKindArgument::Test => AccountKind::Test,
        },
        redirect_domain: arguments.redirect_domain,
        unionid: arguments.unionid == OnOff::On,
        callback_token: arguments.callback_token,
        aes_key: arguments.aes_key,
        switches,
    };
    let appid = options.appid.clone();
    let sandbox = Sandbox::start(options).map_err(|error| {
        let diagnostic = Diagnostic::new(error.to_string());
        Failure::usage(match error {
            StartError::Listen { .. } => diagnostic
                .hint("another program may hold the port: choose another, or 127.0.0.1:0 for a free one"),
            StartError::Scenes { .. } => diagnostic.hint("give fewer with --scene, or more with --followers"),
            StartError::AesKey(_) => diagnostic.hint("omit --aes-key to use the sandbox's own"),
        })
    })?;
    host.out.line(&format!("sandbox listening on http://{}", sandbox.address()));
    let address = sandbox.address();
    let secret = if secret_is_default { DEFAULT_SECRET } else { "…" };
    let mut exports = format!("export MPSCRIPT_APPID={appid} MPSCRIPT_SECRET={secret}\n");
    if callback_is_default {
        exports.push_str(&format!(
            "export MPSCRIPT_CALLBACK_TOKEN={DEFAULT_CALLBACK_TOKEN} MPSCRIPT_AES_KEY={DEFAULT_AES_KEY}\n"
        ));
    }
    // Known to everyone, and to be copied; the environment may have them already.
    host.err.exactly(&exports);
    host.err.line(&format!(
        "mpscript run FILE --base-url http://{address}\ncurl http://{address}/__sandbox/\nCtrl-C ends it"
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("can't wait for Ctrl-C")?.block_on(signals::signal());
    Ok(exit::DONE)
}

fn unknown_switch(error: &SwitchError) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string());
    let SwitchError::Unknown(name) = error else { return diagnostic };
    let names = || SWITCHES.iter().map(|switch| switch.name);
    match closest_match(name, names()) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic.hint(format!("the switches are {}", names().collect::<Vec<_>>().join(", "))),
    }
}
