//! Which account a command works on: arguments, environment, mpscript.toml.

use super::{
    callback,
    file::{self, Entry, FILE, File, TokenKind},
    secret,
};
use crate::{
    api::{callback::Keys as CallbackKeys, quota::Reset},
    base::{Diagnostic, Secret, closest_match},
    cli::{
        args::TargetArgs,
        failure::{Failure, usage_error},
    },
    client::{Account, BaseUrl, External, TokenMode},
    host::Host,
    script::NoClient,
};
use std::path::{Path, PathBuf};

/// An account as it is configured, and where that came from.
pub(crate) struct AccountConfig {
    /// Its name in mpscript.toml.
    pub name: Option<String>,
    pub appid: String,
    /// Where the AppID came from.
    pub source: String,
    /// The AppSecret and where it came from; `None` where none is needed. A secret that can't be read is an error only
    /// for commands that call the platform.
    pub secret: Result<Option<(Secret, String)>, Diagnostic>,
    pub token_mode: TokenMode,
    pub base_urls: Vec<String>,
    pub callback: Option<CallbackKeys>,
    /// Its name in mpscript.toml, if changes to the account need a confirmation.
    pub production: Option<String>,
    /// When the daily quotas are reset.
    pub reset: Reset,
}

impl AccountConfig {
    /// The account with its AppSecret.
    pub(crate) fn account(&self) -> anyhow::Result<Account> {
        let secret = self.secret.as_ref().map_err(|diagnostic| Failure::usage(diagnostic.clone()))?;
        let secret = secret.as_ref().map(|(secret, _)| secret.clone()).unwrap_or_default();
        Ok(Account { appid: self.appid.clone(), secret })
    }

    /// The account that the environment names, if it does. `production` and `quota_reset` of the file's entry with that
    /// AppID apply to it too: they describe the account, wherever its secret comes from.
    fn from_environment(host: &Host, target: &TargetArgs) -> anyhow::Result<Option<Result<Self, NoClient>>> {
        let (appid, secret) = match (host.variable("MPSCRIPT_APPID"), host.variable("MPSCRIPT_SECRET")) {
            (Some(appid), Some(secret)) => (appid, secret),
            (None, None) => return Ok(None),
            // Enough for the callback, which needs no AppSecret.
            (Some(_), None) if host.variable("MPSCRIPT_CALLBACK_TOKEN").is_some() => {
                let diagnostic = Diagnostic::new("MPSCRIPT_APPID is set, but MPSCRIPT_SECRET is not");
                let hint = "set it to the AppSecret to call the platform";
                return Ok(Some(Err(NoClient(diagnostic.hint(hint)))));
            }
            (appid, _) => {
                let (set, unset) = match appid {
                    Some(_) => ("MPSCRIPT_APPID", "MPSCRIPT_SECRET"),
                    None => ("MPSCRIPT_SECRET", "MPSCRIPT_APPID"),
                };
                let hint = "set both, or neither and use mpscript.toml";
                return Err(usage_error(format!("{set} is set, but {unset} is not"), hint));
            }
        };
        let file = file::read(host, target.config.as_deref())?.map(|(_, file)| file).unwrap_or_default();
        let entries: Vec<_> = file.accounts.into_iter().filter(|(_, entry)| entry.appid == appid).collect();
        let reset = entries.first().map_or(Ok(Reset::MIDNIGHT), |(name, entry)| reset(name, entry))?;
        let production = entries.into_iter().find(|(_, entry)| entry.production).map(|(name, _)| name);
        Ok(Some(Ok(Self {
            name: None,
            appid: appid.to_owned(),
            source: "environment MPSCRIPT_APPID".to_owned(),
            secret: Ok(Some((Secret::new(secret), "environment MPSCRIPT_SECRET".to_owned()))),
            token_mode: TokenMode::Stable,
            base_urls: Vec::new(),
            callback: None,
            production,
            reset,
        })))
    }

    /// The account of an entry of mpscript.toml.
    pub(crate) fn from_entry(host: &Host, path: &Path, name: &str, entry: &Entry) -> anyhow::Result<Self> {
        let token_mode = token_mode(host, path, name, entry)?;
        // An account whose tokens come from elsewhere needs no AppSecret.
        let secret = match token_mode {
            TokenMode::External(_) if !entry.has_secret() => Ok(None),
            _ => secret::read(host, path, name, entry)
                .map(Some)
                .map_err(|error| Failure::from(error).diagnostic),
        };
        let callback = callback::from_account(
            host,
            &entry.appid,
            entry.callback_token_env.as_deref(),
            entry.aes_key_env.as_deref(),
        );
        Ok(Self {
            name: Some(name.to_owned()),
            appid: entry.appid.clone(),
            source: format!("{} [accounts.{name}]", path.display()),
            secret,
            token_mode,
            base_urls: entry.base_url.clone(),
            callback,
            production: Some(name.to_owned()).filter(|_| entry.production),
            reset: reset(name, entry)?,
        })
    }
}

/// The account: the one that `--account` names, else the environment's, else the configured one. The inner error is for
/// commands that do without an account.
pub(crate) fn find_account(
    host: &Host,
    target: &TargetArgs,
) -> anyhow::Result<Result<AccountConfig, NoClient>> {
    Ok(match locate(host, target)? {
        Err(no_client) => Err(no_client),
        Ok(Located::Environment(account)) => Ok(*account),
        Ok(Located::Entry { path, name, entry }) => {
            Ok(AccountConfig::from_entry(host, &path, &name, &entry)?)
        }
    })
}

/// The AppID and the configured addresses of the account, found without its AppSecret; `None` if no account is
/// configured.
pub(crate) fn find_appid(host: &Host, target: &TargetArgs) -> anyhow::Result<Option<(String, Vec<String>)>> {
    Ok(match locate(host, target)? {
        Err(_) => None,
        Ok(Located::Environment(account)) => Some((account.appid, account.base_urls)),
        Ok(Located::Entry { entry, .. }) => Some((entry.appid, entry.base_url)),
    })
}

/// Where an account is configured.
enum Located {
    Environment(Box<AccountConfig>),
    Entry { path: PathBuf, name: String, entry: Box<Entry> },
}

/// Finds where the account is configured.
fn locate(host: &Host, target: &TargetArgs) -> anyhow::Result<Result<Located, NoClient>> {
    if target.account.is_none()
        && let Some(account) = AccountConfig::from_environment(host, target)?
    {
        return Ok(account.map(|account| Located::Environment(Box::new(account))));
    }
    let Some((path, file)) = file::read(host, target.config.as_deref())? else {
        if let Some(name) = &target.account {
            let message = format!("account `{name}` is not configured: there is no {FILE}");
            let hint = format!("write {FILE} with [accounts.{name}], or name the file with --config");
            return Err(usage_error(message, hint));
        }
        let diagnostic = Diagnostic::new("no account is configured").hint(format!(
            "set MPSCRIPT_APPID and MPSCRIPT_SECRET (设置与开发 > 基本配置 in the console shows them), \
             write {FILE}, or try it with --sandbox"
        ));
        return Ok(Err(NoClient(diagnostic)));
    };
    let (name, entry) = choose(target, &path, &file)?;
    let (name, entry) = (name.to_owned(), Box::new(entry.clone()));
    Ok(Ok(Located::Entry { path, name, entry }))
}

/// The file's entry that is asked for, else its default, else its only one.
fn choose<'f>(target: &TargetArgs, path: &Path, file: &'f File) -> anyhow::Result<(&'f str, &'f Entry)> {
    let names: Vec<&str> = file.accounts.keys().map(String::as_str).collect();
    let name = target.account.as_deref().or(file.default.as_deref());
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => {
            let message = format!("{} has no account", path.display());
            return Err(usage_error(message, "add [accounts.NAME] with appid and secret_env"));
        }
        (None, several) => {
            let message = format!("{} has several accounts: {}", path.display(), several.join(", "));
            let hint = "choose one with --account NAME, or write `default = \"NAME\"` at the top of the file";
            return Err(usage_error(message, hint));
        }
    };
    if let Some((name, entry)) = file.accounts.get_key_value(name) {
        return Ok((name, entry));
    }
    let message = format!("{} has no account `{name}`", path.display());
    let hint = closest_match(name, names.iter().copied()).map_or_else(
        || format!("it has {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }),
        |near| format!("did you mean `{near}`?"),
    );
    Err(usage_error(message, hint))
}

fn reset(name: &str, entry: &Entry) -> anyhow::Result<Reset> {
    let Some(time) = &entry.quota_reset else { return Ok(Reset::MIDNIGHT) };
    Reset::at(time).ok_or_else(|| {
        let message = format!("quota_reset of account `{name}` is not a time of day");
        usage_error(message, "write it as \"00:00\", Beijing time")
    })
}

fn token_mode(host: &Host, path: &Path, name: &str, entry: &Entry) -> anyhow::Result<TokenMode> {
    let fail = |message: String, hint: &str| Err(usage_error(message, hint));
    match (entry.token, &entry.token_command, &entry.token_file, &entry.token_url) {
        (None | Some(TokenKind::Stable), None, None, None) => Ok(TokenMode::Stable),
        (Some(TokenKind::Classic), None, None, None) => Ok(TokenMode::Classic),
        (None, Some(command), None, None) => Ok(TokenMode::External(External::Command(command.clone()))),
        (None, None, Some(file), None) => {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            Ok(TokenMode::External(External::File(file)))
        }
        (None, None, None, Some(url)) => {
            let base = BaseUrl::parse(url).map_err(|error| {
                let message = format!("token_url of account `{name}`: {error}");
                usage_error(message, "use https://, or http:// on this machine")
            })?;
            let key = match &entry.token_key_env {
                None => None,
                Some(variable) => {
                    let Some(key) = host.variable(variable) else {
                        let message = format!(
                            "token_key_env of account `{name}` names no environment variable that is set"
                        );
                        return fail(message, "set it to the key of the token service");
                    };
                    Some(Secret::new(key))
                }
            };
            Ok(TokenMode::External(External::Url { base, key, account: entry.token_account.clone() }))
        }
        _ => fail(
            format!("account `{name}` has several sources of tokens"),
            "give one of token, token_command, token_file and token_url",
        ),
    }
}
