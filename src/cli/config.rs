//! Which account, on which platform: arguments, environment, mpscript.toml.

use super::{Failure, arguments::Reach, callback};
use crate::{
    base::{Cancel, Diagnostic, Secret, nearest},
    client::{Account, BaseUrl, Client, Settings},
    host::Host,
    sandbox::{self, Sandbox},
    script::{CallbackKeys, NoClient},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The file's name.
const FILE: &str = "mpscript.toml";

/// mpscript.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The account to use when several are there and none is named.
    default: Option<String>,
    #[serde(default)]
    accounts: BTreeMap<String, Entry>,
}

/// One `[accounts.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    appid: String,
    /// The AppSecret itself; only in a file that nobody else can read.
    secret: Option<Secret>,
    /// The environment variable that holds it.
    secret_env: Option<String>,
    /// The file that holds it.
    secret_file: Option<PathBuf>,
    /// The environment variable that holds the server callback's Token.
    callback_token_env: Option<String>,
    /// The environment variable that holds the server callback's EncodingAESKey.
    aes_key_env: Option<String>,
    /// One address, or several in the order in which they are turned to.
    base_url: Option<OneOrMany>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Whom to call. The sandbox, if there is one, lives as long as this.
pub(super) struct Reached {
    pub client: Result<Client, NoClient>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    _sandbox: Option<Sandbox>,
}

/// Makes the client that arguments, environment and configuration ask for. That there is no
/// account is told only when a script calls the platform.
pub(super) fn reach(
    host: &Host,
    reach: &Reach,
    in_flight: usize,
    cancel: &Cancel,
) -> Result<Reached, Failure> {
    let client = |bases, account| {
        Client::new(Settings { bases, account, in_flight, clock: host.clock.clone(), cancel: cancel.clone() })
    };
    if reach.sandbox {
        let options = sandbox::Options { followers: reach.sandbox_followers, ..sandbox::Options::default() };
        let account = Account { appid: options.appid.clone(), secret: Secret::new(&options.secret) };
        let callback = Some(callback::of_sandbox(&options.appid));
        let sandbox = Sandbox::start(options).map_err(|error| {
            Failure::usage(Diagnostic::new(format!("the sandbox did not start: {error}")))
        })?;
        let bases = vec![base_url(&format!("http://{}", sandbox.address()))?];
        return Ok(Reached { client: Ok(client(bases, account)), callback, _sandbox: Some(sandbox) });
    }
    let found = account(host, reach)?;
    let appid = found.as_ref().ok().map(|found| found.account.appid.as_str());
    // An account that is named has its own keys or none.
    let from_environment =
        if reach.account.is_none() { callback::of_environment(host, appid)? } else { None };
    let found = match found {
        Ok(found) => found,
        Err(no_client) => {
            base_urls(&reach.base_url)?;
            return Ok(Reached { client: Err(no_client), callback: from_environment, _sandbox: None });
        }
    };
    let given = if reach.base_url.is_empty() { &found.base_urls } else { &reach.base_url };
    let client = client(base_urls(given)?, found.account);
    Ok(Reached { client: Ok(client), callback: from_environment.or(found.callback), _sandbox: None })
}

fn base_urls(given: &[String]) -> Result<Vec<BaseUrl>, Failure> {
    given.iter().map(|given| base_url(given)).collect()
}

fn base_url(given: &str) -> Result<BaseUrl, Failure> {
    BaseUrl::parse(given).map_err(|error| {
        let hint = "use https://, or http://127.0.0.1:PORT for a sandbox on this machine";
        Failure::usage(Diagnostic::new(error.to_string()).hint(hint))
    })
}

/// An account, and what its entry in mpscript.toml says beside.
struct Found {
    account: Account,
    base_urls: Vec<String>,
    callback: Option<CallbackKeys>,
}

/// The account: the one that is named, else the environment's, else the configured one.
fn account(host: &Host, reach: &Reach) -> Result<Result<Found, NoClient>, Failure> {
    if reach.account.is_none() {
        match (host.variable("MPSCRIPT_APPID"), host.variable("MPSCRIPT_SECRET")) {
            (Some(appid), Some(secret)) => {
                let account = Account { appid: appid.to_owned(), secret: Secret::new(secret) };
                return Ok(Ok(Found { account, base_urls: Vec::new(), callback: None }));
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
        let hint = nearest(name, names.iter().copied()).map_or_else(
            || format!("it has {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    };
    let secret = secret(host, &path, name, entry)?;
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
    let account = Account { appid: entry.appid.clone(), secret };
    Ok(Ok(Found { account, base_urls, callback }))
}

/// The configuration file, if there is one: the one that is named, else in the working folder,
/// else in the person's configuration folder.
fn read(host: &Host, named: Option<&Path>) -> Result<Option<(PathBuf, File)>, Failure> {
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
            let hint = "an account is [accounts.NAME] with appid, and secret_env, secret_file or secret";
            Err(Failure::usage(Diagnostic::new(message).hint(hint)))
        }
    }
}

/// What is wrong with a configuration, without what it quotes: a secret may stand where something
/// else belongs. A field's name is shown when it is near to one that there is.
fn without_content(message: &str) -> String {
    const FIELDS: [&str; 7] =
        ["default", "accounts", "appid", "secret", "secret_env", "secret_file", "base_url"];
    // These two quote the value; what else begins with `invalid` is about TOML itself.
    if message.starts_with("invalid type: ") || message.starts_with("invalid value: ") {
        return "a value of another kind belongs here".to_owned();
    }
    match message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        Some((name, expected)) if nearest(name, FIELDS).is_none() => format!("unknown field{expected}"),
        _ => message.to_owned(),
    }
}

/// Whether a text is an environment variable's name as they are usually written, which no
/// AppSecret looks like: those are lower-case.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|char: char| char.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn secret(host: &Host, config: &Path, name: &str, entry: &Entry) -> Result<Secret, Failure> {
    let fail = |message: String, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    match (&entry.secret, &entry.secret_env, &entry.secret_file) {
        (Some(secret), None, None) => {
            refuse_if_readable(config)?;
            Ok(secret.clone())
        }
        (None, Some(variable), None) => match host.variable(variable) {
            Some(secret) => Ok(Secret::new(secret)),
            None if is_variable(variable) => fail(
                format!("the environment variable {variable} of account `{name}` is not set"),
                "set it to the AppSecret",
            ),
            // The AppSecret itself may stand there by mistake.
            None => fail(
                format!("secret_env of account `{name}` names no environment variable that is set"),
                "give the variable's name, and set the variable to the AppSecret",
            ),
        },
        (None, None, Some(file)) => {
            let file = config.parent().unwrap_or(Path::new(".")).join(file);
            let text = fs::read_to_string(&file).map_err(|error| {
                // Without its name: the AppSecret itself may stand there by mistake.
                let message = format!("can't read secret_file of account `{name}`: {error}");
                Failure::usage(
                    Diagnostic::new(message)
                        .hint("give the path of a file that holds the AppSecret and nothing else"),
                )
            })?;
            refuse_if_readable(&file)?;
            Ok(Secret::new(text.trim()))
        }
        (None, None, None) => fail(
            format!("account `{name}` has no secret"),
            "give it secret_env (an environment variable), secret_file, or secret",
        ),
        _ => fail(
            format!("account `{name}` has several secrets"),
            "give one of secret_env, secret_file and secret",
        ),
    }
}

/// A file with a secret in it must be its owner's alone.
#[cfg(unix)]
fn refuse_if_readable(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let others = fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o077).unwrap_or_default();
    if others == 0 {
        return Ok(());
    }
    let message = format!("{} holds an AppSecret and others can read it", path.display());
    Err(Failure::usage(Diagnostic::new(message).hint(format!("chmod 600 {}", path.display()))))
}

#[cfg(not(unix))]
fn refuse_if_readable(_path: &Path) -> Result<(), Failure> {
    Ok(())
}
