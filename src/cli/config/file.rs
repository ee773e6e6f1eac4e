//! The configuration file, mpscript.toml.

use crate::{
    base::{Secret, closest_match, read_text},
    cli::failure::usage_error,
    host::Host,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The file's name.
pub(crate) const FILE: &str = "mpscript.toml";

/// The longest configuration, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// mpscript.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The account to use when there are several and none is named.
    pub default: Option<String>,
    /// Where state is kept: a file, or a postgres:// URL.
    pub store: Option<Secret>,
    /// The zone of triggers that name none; the machine's if omitted.
    pub timezone: Option<String>,
    /// Folders whose files scripts may read and write.
    #[serde(default, deserialize_with = "one_or_many")]
    pub files: Vec<String>,
    /// How long runs by hand are kept; 90 days if omitted.
    #[serde(default, deserialize_with = "span")]
    pub keep_runs: Option<Duration>,
    /// How long lines of sessions are kept; 90 days if omitted.
    #[serde(default, deserialize_with = "span")]
    pub keep_sessions: Option<Duration>,
    #[serde(default)]
    pub accounts: BTreeMap<String, Entry>,
}

/// One `[accounts.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub appid: String,
    /// The AppSecret itself; only in a file that is readable by its owner alone.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
    /// The file that holds it.
    pub secret_file: Option<PathBuf>,
    /// The shell command that prints it.
    pub secret_command: Option<String>,
    /// `stable` or `classic`.
    pub token: Option<TokenKind>,
    /// The shell command that prints a token.
    pub token_command: Option<String>,
    /// The file that holds one.
    pub token_file: Option<PathBuf>,
    /// A token service's address.
    pub token_url: Option<String>,
    /// The environment variable that holds its bearer key.
    pub token_key_env: Option<String>,
    /// The account's name there, if not its AppID.
    pub token_account: Option<String>,
    /// The environment variable that holds the server callback's Token.
    pub callback_token_env: Option<String>,
    /// The environment variable that holds the server callback's EncodingAESKey.
    pub aes_key_env: Option<String>,
    /// One address, or several in the order in which they are tried.
    #[serde(default, deserialize_with = "one_or_many")]
    pub base_url: Vec<String>,
    /// Whether changes to the account need a confirmation.
    #[serde(default)]
    pub production: bool,
    /// When the daily quotas are reset, as a time of day in Beijing; midnight if omitted.
    pub quota_reset: Option<String>,
}

impl Entry {
    pub(crate) fn has_secret(&self) -> bool {
        self.secret.is_some()
            || self.secret_env.is_some()
            || self.secret_file.is_some()
            || self.secret_command.is_some()
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    Stable,
    Classic,
}

/// A span of time, as in `90d`.
fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span = humantime::parse_duration(&text);
    span.map(Some).map_err(|_| D::Error::custom("write a number with its unit here, as in 90d or 1year"))
}

/// A text, or a list of texts.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E>(self, one: &str) -> Result<Vec<String>, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = many.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

/// Masks from now on what the file holds, and what is in the variables that it names, for every account: a script may hold
/// the secret of any.
fn learn_secrets(host: &Host, file: &File) {
    file.store.iter().for_each(|store| host.secrets.learn_password_of(store));
    for entry in file.accounts.values() {
        let keys = [&entry.secret_env, &entry.token_key_env, &entry.aes_key_env];
        let keys = keys.into_iter().flatten().filter_map(|name| host.variable(name)).map(Secret::new);
        entry.secret.iter().cloned().chain(keys).for_each(|secret| host.secrets.learn(&secret));
        let token = entry.callback_token_env.as_ref().and_then(|name| host.variable(name));
        if let Some(token) = token {
            host.secrets.learn_password(&Secret::new(token));
        }
    }
}

/// The configuration file, if there is one: the named one, else in the working folder, else in the user's configuration
/// folder.
pub(crate) fn read(host: &Host, named: Option<&Path>) -> anyhow::Result<Option<(PathBuf, File)>> {
    let home = || {
        let xdg = host.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        xdg.or_else(|| host.variable("HOME").map(|home| Path::new(home).join(".config")))
    };
    let found = || {
        let candidates = [Some(host.folder.join(FILE)), home().map(|home| home.join("mpscript").join(FILE))];
        // Whatever lies there: one that can't be read is an error, and not another account.
        candidates.into_iter().flatten().find(|path| path.symlink_metadata().is_ok())
    };
    let Some(path) = named.map(|named| host.folder.join(named)).or_else(found) else { return Ok(None) };
    let text = read_text(&path, MAX_BYTES).map_err(|reason| {
        let message = format!("can't read {}: {reason}", path.display());
        usage_error(message, "give the path of a configuration, as `mpscript init` writes one")
    })?;
    match toml::from_str(&text) {
        Ok(file) => {
            learn_secrets(host, &file);
            Ok(Some((path, file)))
        }
        Err(error) => {
            // Not the error's own text: it quotes the line, which may hold a secret.
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count();
            let message = format!("{}, line {line}: {}", path.display(), without_content(error.message()));
            let hint = "an account is [accounts.NAME] with appid, and secret_env, secret_file, secret_command or secret";
            Err(usage_error(message, hint))
        }
    }
}

/// The parser's message without the values that it quotes, since a secret may be in the wrong place. The name of an
/// unknown field is shown only if it is close to a known one.
fn without_content(message: &str) -> String {
    const FIELDS: [&str; 23] = [
        "timezone",
        "files",
        "keep_runs",
        "keep_sessions",
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
    // These two quote the value; other messages that begin with `invalid` are about TOML itself.
    if message.starts_with("invalid type: ") || message.starts_with("invalid value: ") {
        return "expected a value of another type".to_owned();
    }
    match message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        Some((name, expected)) if closest_match(name, FIELDS).is_none() => format!("unknown field{expected}"),
        _ => message.to_owned(),
    }
}
