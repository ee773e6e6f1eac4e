//! Tokens from another program: a command, a file or a URL gives them, and this client never fetches one itself.

use super::broker::Broker;
use crate::{
    api::{WireSecret, token::Token},
    base::{Redactor, Secret, read_text},
    client::{BaseUrl, CallError, transport},
};
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// Assumed validity in seconds of a token that comes without an expiry.
const TOKEN_TTL: i64 = 300;

/// Timeout of a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Limit of the size of a token or its JSON.
const MAX_BYTES: usize = 16 << 10;

/// The source of external tokens.
#[derive(Clone, Debug)]
pub enum External {
    /// A shell command that prints a token. Its standard input has the refused token, if there is one.
    Command(String),
    /// A file that contains a token.
    File(PathBuf),
    /// `mpscript token serve`, or a service with the same interface.
    Url {
        /// Its address.
        base: BaseUrl,
        /// Its bearer key.
        key: Option<Secret>,
        /// The account's name there; its AppID when there is none.
        account: Option<String>,
    },
    /// The process that started this one.
    Broker(Broker),
}

impl External {
    /// Asks for a token, other than `stale` if possible; `None` when the source knows that there is none.
    pub(crate) async fn fetch(
        &self,
        appid: &str,
        stale: Option<&Secret>,
        secrets: &Redactor,
    ) -> Result<Option<Token>, CallError> {
        let no_token = |reason: String| CallError::NoToken { reason };
        let text = match self {
            Self::Broker(broker) => return broker.token(stale).await,
            Self::Command(command) => run(command, stale).await.map_err(no_token)?,
            Self::File(path) => read_file(path)
                .map_err(|error| no_token(format!("the token's file {}: {error}", path.display())))?,
            Self::Url { base, key, account } => {
                let account = account.as_deref().unwrap_or(appid);
                let given = transport::ask_for_token(base, key.as_ref(), account, stale, secrets).await;
                let Some(text) = given.map_err(no_token)? else { return Ok(None) };
                text
            }
        };
        parse(&text).map(Some).ok_or_else(|| no_token("what was given is no token".to_owned()))
    }
}

/// Reads a file that other users can't read.
fn read_file(path: &Path) -> Result<String, String> {
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|metadata| {
        metadata.is_file() && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
    }) {
        return Err("others can read it: chmod 600 it".to_owned());
    }
    read_text(path, MAX_BYTES as u64)
}

async fn run(command: &str, stale: Option<&Secret>) -> Result<String, String> {
    let failed = |error: io::Error| format!("the token's command: {error}");
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Not as an argument, which every user of the machine can see. The command need not read it.
        let line = stale.map(|stale| format!("{}\n", stale.reveal())).unwrap_or_default();
        let _ = stdin.write_all(line.as_bytes()).await;
    }
    let mut bytes = Vec::new();
    let ended = async {
        if let Some(stdout) = child.stdout.take() {
            // One byte over the limit suffices to reject the output; the rest is not waited for.
            stdout.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).await.map_err(failed)?;
        }
        if bytes.len() > MAX_BYTES {
            return Err("the token's command prints no token".to_owned());
        }
        child.wait().await.map_err(failed)
    };
    let status = tokio::time::timeout(COMMAND_TIMEOUT, ended).await;
    let status =
        status.map_err(|_| format!("the token's command took over {} s", COMMAND_TIMEOUT.as_secs()))??;
    if !status.success() {
        // Its output is not quoted: it may contain a token.
        return Err(format!("the token's command ended with {status}"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Parses a bare token, or JSON as the platform answers it.
fn parse(text: &str) -> Option<Token> {
    #[derive(Deserialize)]
    struct Given {
        access_token: Secret,
        expires_in: Option<i64>,
    }
    let text = text.trim();
    if text.len() > MAX_BYTES {
        return None;
    }
    let (token, expires_in) = match serde_json::from_str::<Given>(text) {
        Ok(given) => (given.access_token, given.expires_in),
        Err(_) => (Secret::new(text), None),
    };
    let is_token = !token.reveal().is_empty()
        && token.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    is_token.then(|| Token { access_token: WireSecret(token), expires_in: expires_in.unwrap_or(TOKEN_TTL) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_parsed_bare_or_as_json() {
        let read =
            |text| parse(text).map(|token| (token.access_token.0.reveal().to_owned(), token.expires_in));
        assert_eq!(read("96_abc-D\n"), Some(("96_abc-D".to_owned(), TOKEN_TTL)));
        assert_eq!(read(r#"{"access_token":"96_x","expires_in":7200}"#), Some(("96_x".to_owned(), 7200)));
        for text in ["", "<html>", "two words", r#"{"errcode":1}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
