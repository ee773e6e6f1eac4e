//! The keys of an account's server callback: from the environment, or from the account's entry in mpscript.toml.

use crate::{
    api::callback::Keys as CallbackKeys,
    base::Secret,
    cli::failure::usage_error,
    host::Host,
    sandbox::{DEFAULT_AES_KEY, DEFAULT_CALLBACK_TOKEN},
};

/// The keys of a sandbox's account.
pub(crate) fn sandbox_keys(appid: &str) -> CallbackKeys {
    CallbackKeys {
        token: Secret::new(DEFAULT_CALLBACK_TOKEN),
        aes_key: Some(Secret::new(DEFAULT_AES_KEY)),
        appid: appid.to_owned(),
    }
}

/// The keys that the environment holds. `appid` is the account's, if there is one.
pub(crate) fn from_environment(host: &Host, appid: Option<&str>) -> anyhow::Result<Option<CallbackKeys>> {
    let appid = host.variable("MPSCRIPT_APPID").or(appid);
    let aes_key = host.variable("MPSCRIPT_AES_KEY");
    let Some(token) = host.variable("MPSCRIPT_CALLBACK_TOKEN") else {
        return match aes_key {
            Some(_) => Err(half("MPSCRIPT_CALLBACK_TOKEN", "set both, or neither and use mpscript.toml")),
            None => Ok(None),
        };
    };
    // The AppID is a part of what is encrypted.
    if aes_key.is_some() && appid.is_none() {
        return Err(half("MPSCRIPT_APPID", "set it to the account's AppID"));
    }
    Ok(Some(CallbackKeys {
        token: Secret::new(token),
        aes_key: aes_key.map(Secret::new),
        appid: appid.unwrap_or_default().to_owned(),
    }))
}

/// The keys in the variables that an account of mpscript.toml names. A missing one is reported only when a script uses the
/// callback, which most scripts don't.
pub(crate) fn from_account(
    host: &Host,
    appid: &str,
    token_env: Option<&str>,
    aes_key_env: Option<&str>,
) -> Option<CallbackKeys> {
    let secret = |name: Option<&str>| name.and_then(|name| host.variable(name)).map(Secret::new);
    Some(CallbackKeys { token: secret(token_env)?, aes_key: secret(aes_key_env), appid: appid.to_owned() })
}

fn half(unset: &str, hint: &str) -> anyhow::Error {
    usage_error(format!("MPSCRIPT_AES_KEY is set, but {unset} is not"), hint)
}
