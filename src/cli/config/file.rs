//! Which account: arguments, environment, mpscript.toml.

use super::{callback, secret};
use crate::{
    api::quota::Reset,
    base::{Diagnostic, Secret, closest_match},
    cli::{Failure, args::arguments::Reach},
    client::{Account, BaseUrl, External, TokenMode},
    host::Host,
    script::{CallbackKeys, NoClient},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The file's name.
pub(crate) const FILE: &str = "mpscript.toml";

/// mpscript.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The account to use when several are there and none is named.
    pub default: Option<String>,
    /// Where state is kept: a file, or a postgres:// URL.
    pub store: Option<Secret>,
    /// The zone of triggers that name none; the machine's when left out.
    pub timezone: Option<String>,
    #[serde(default)]
    pub accounts: BTreeMap<String, Entry>,
}

/// One `[accounts.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub appid: String,
    /// The AppSecret itself; only in a file that nobody else can read.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
    /// The file that holds it.
    pub secret_file: Option<PathBuf>,
    /// The shell command that prints it.
    pub secret_command: Option<String>,
    /// `stable` or `classic`.
    token: Option<TokenKind>,
    /// The shell command that prints a token.
    token_command: Option<String>,
    /// The file that holds one.
    token_file: Option<PathBuf>,
    /// A token service's address.
    token_url: Option<String>,
    /// The environment variable that holds its bearer key.
    token_key_env: Option<String>,
    /// The account's name there, if not its AppID.
    token_account: Option<String>,
    /// The environment variable that holds the server callback's Token.
    callback_token_env: Option<String>,
    /// The environment variable that holds the server callback's EncodingAESKey.
    aes_key_env: Option<String>,
    /// One address, or several in the order in which they are turned to.
    base_url: Option<OneOrMany>,
    /// Whether a person is asked before the account is changed.
    #[serde(default)]
    production: bool,
    /// When the day's quotas come back, in Beijing's time of day; midnight when left out.
    quota_reset: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TokenKind {
    Stable,
    Classic,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// An account, and where what is known of it came from.
pub(crate) struct Found {
    /// Its name in mpscript.toml.
    pub name: Option<String>,
    pub appid: String,
    /// Where the AppID came from.
    pub source: String,
    /// The AppSecret and where it came from; `None` where none is needed. One that can't be had is an error for
    /// whoever calls the platform.
    pub secret: Result<Option<(Secret, String)>, Diagnostic>,
    pub token_mode: TokenMode,
    pub base_urls: Vec<String>,
    pub callback: Option<CallbackKeys>,
    /// Its name in mpscript.toml, where a person is asked before it is changed.
    pub production: Option<String>,
    /// When the day's quotas come back.
    pub reset: Reset,
}

impl Found {
    /// The account with its AppSecret.
    pub(crate) fn account(&self) -> Result<Account, Failure> {
        let secret = self.secret.as_ref().map_err(|diagnostic| Failure::usage(diagnostic.clone()))?;
        let secret = secret.as_ref().map(|(secret, _)| secret.clone()).unwrap_or_default();
        Ok(Account { appid: self.appid.clone(), secret })
    }
}

/// The account: the one that is named, else the environment's, else the configured one.
pub(crate) fn account(host: &Host, reach: &Reach) -> Result<Result<Found, NoClient>, Failure> {
    if reach.account.is_none() {
        match (host.variable("MPSCRIPT_APPID"), host.variable("MPSCRIPT_SECRET")) {
            (Some(appid), Some(secret)) => {
                // Whoever brings the secret: what the file says of the account itself holds.
                let file = read(host, reach.config.as_deref())?.map(|(_, file)| file).unwrap_or_default();
                let of_account: Vec<_> =
                    file.accounts.into_iter().filter(|(_, entry)| entry.appid == appid).collect();
                let configured = of_account.first();
                let production = of_account.iter().find(|(_, entry)| entry.production);
                let reset = configured.map_or(Ok(Reset::MIDNIGHT), |(name, entry)| reset(name, entry))?;
                return Ok(Ok(Found {
                    name: None,
                    appid: appid.to_owned(),
                    source: "environment MPSCRIPT_APPID".to_owned(),
                    secret: Ok(Some((Secret::new(secret), "environment MPSCRIPT_SECRET".to_owned()))),
                    token_mode: TokenMode::Stable,
                    base_urls: Vec::new(),
                    callback: None,
                    production: production.map(|(name, _)| name.clone()),
                    reset,
                }));
            }
            (None, None) => {}
            // Enough for the callback, which needs no AppSecret.
            (Some(_), None) if host.variable("MPSCRIPT_CALLBACK_TOKEN").is_some() => {
                let diagnostic = Diagnostic::new("MPSCRIPT_APPID is set, but MPSCRIPT_SECRET is not");
                return Ok(Err(NoClient(diagnostic.hint("set it to the AppSecret to call the platform"))));
            }
            (appid, _) => {
                let (set, unset) = if appid.is_some() {
                    ("MPSCRIPT_APPID", "MPSCRIPT_SECRET")
                } else {
                    ("MPSCRIPT_SECRET", "MPSCRIPT_APPID")
                };
                let diagnostic = Diagnostic::new(format!("{set} is set, but {unset} is not"));
                return Err(Failure::usage(diagnostic.hint("set both, or neither and use mpscript.toml")));
            }
        }
    }
    let Some((path, file)) = read(host, reach.config.as_deref())? else {
        if let Some(name) = &reach.account {
            let message = format!("account `{name}` is not configured: there is no {FILE}");
            let hint = format!("write {FILE} with [accounts.{name}], or name the file with --config");
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        }
        let diagnostic = Diagnostic::new("no account is configured").hint(format!(
            "set MPSCRIPT_APPID and MPSCRIPT_SECRET (设置与开发 > 基本配置 in the console shows them), \
             write {FILE}, or try it with --sandbox"
        ));
        return Ok(Err(NoClient(diagnostic)));
    };
    let names: Vec<&str> = file.accounts.keys().map(String::as_str).collect();
    let name = reach.account.as_deref().or(file.default.as_deref());
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => {
            let message = format!("{} has no account", path.display());
            return Err(Failure::usage(
                Diagnostic::new(message).hint("add [accounts.NAME] with appid and secret_env"),
            ));
        }
        (None, several) => {
            let message = format!("{} has several accounts: {}", path.display(), several.join(", "));
            let hint = "choose one with --account NAME, or write `default = \"NAME\"` at the file's top";
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        }
    };
    let Some(entry) = file.accounts.get(name) else {
        let message = format!("{} has no account `{name}`", path.display());
        let hint = closest_match(name, names.iter().copied()).map_or_else(
            || format!("it has {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    };
    found(host, &path, name, entry).map(Ok)
}

/// What an entry says of its account.
pub(crate) fn found(host: &Host, path: &Path, name: &str, entry: &Entry) -> Result<Found, Failure> {
    let token_mode = token_mode(host, path, name, entry)?;
    let has_secret = entry.secret.is_some()
        || entry.secret_env.is_some()
        || entry.secret_file.is_some()
        || entry.secret_command.is_some();
    // Whose tokens somebody else fetches needs no AppSecret.
    let secret = match token_mode {
        TokenMode::External(_) if !has_secret => Ok(None),
        _ => secret::read(host, path, name, entry).map(Some).map_err(|failure| failure.diagnostic),
    };
    let base_urls = match &entry.base_url {
        None => Vec::new(),
        Some(OneOrMany::One(url)) => vec![url.clone()],
        Some(OneOrMany::Many(urls)) => urls.clone(),
    };
    let callback = callback::of_account(
        host,
        &entry.appid,
        entry.callback_token_env.as_deref(),
        entry.aes_key_env.as_deref(),
    );
    Ok(Found {
        name: Some(name.to_owned()),
        appid: entry.appid.clone(),
        source: format!("{} [accounts.{name}]", path.display()),
        secret,
        token_mode,
        base_urls,
        callback,
        production: Some(name.to_owned()).filter(|_| entry.production),
        reset: reset(name, entry)?,
    })
}

fn reset(name: &str, entry: &Entry) -> Result<Reset, Failure> {
    let Some(time) = &entry.quota_reset else { return Ok(Reset::MIDNIGHT) };
    Reset::at(time).ok_or_else(|| {
        let message = format!("quota_reset of account `{name}` is no time of day");
        Failure::usage(Diagnostic::new(message).hint("write it as \"00:00\", in Beijing's time"))
    })
}

fn token_mode(host: &Host, path: &Path, name: &str, entry: &Entry) -> Result<TokenMode, Failure> {
    let fail = |message: String, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
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
                Failure::usage(Diagnostic::new(message).hint("use https://, or http:// on this machine"))
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

/// The configuration file, if there is one: the one that is named, else in the working folder,
/// else in the person's configuration folder.
pub(crate) fn read(host: &Host, named: Option<&Path>) -> Result<Option<(PathBuf, File)>, Failure> {
    let home = || {
        let xdg = host.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        xdg.or_else(|| host.variable("HOME").map(|home| Path::new(home).join(".config")))
    };
    let found = || {
        let candidates = [Some(host.folder.join(FILE)), home().map(|home| home.join("mpscript").join(FILE))];
        candidates.into_iter().flatten().find(|path| path.is_file())
    };
    let Some(path) = named.map(|named| host.folder.join(named)).or_else(found) else { return Ok(None) };
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::usage(Diagnostic::new(format!("can't read {}: {error}", path.display())))
    })?;
    match toml::from_str(&text) {
        Ok(file) => Ok(Some((path, file))),
        Err(error) => {
            // Not the error's own text: it quotes the line, which may hold a secret.
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count();
            let message = format!("{}, line {line}: {}", path.display(), without_content(error.message()));
            let hint = "an account is [accounts.NAME] with appid, and secret_env, secret_file, secret_command or secret";
            Err(Failure::usage(Diagnostic::new(message).hint(hint)))
        }
    }
}

/// What is wrong with a configuration, without what it quotes: a secret may stand where something
/// else belongs. A field's name is shown when it is near to one that there is.
fn without_content(message: &str) -> String {
    const FIELDS: [&str; 20] = [
        "timezone",
        "quota_reset",
        "production",
        "token_account",
        "default",
        "store",
        "accounts",
        "appid",
        "secret",
        "secret_env",
        "secret_file",
        "secret_command",
        "token",
        "token_command",
        "token_file",
        "token_url",
        "token_key_env",
        "callback_token_env",
        "aes_key_env",
        "base_url",
    ];
    // These two quote the value; what else begins with `invalid` is about TOML itself.
    if message.starts_with("invalid type: ") || message.starts_with("invalid value: ") {
        return "a value of another kind belongs here".to_owned();
    }
    match message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        Some((name, expected)) if closest_match(name, FIELDS).is_none() => format!("unknown field{expected}"),
        _ => message.to_owned(),
    }
}
