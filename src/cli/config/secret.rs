//! An account's AppSecret: from an environment variable, a file, a command, or the configuration itself.

use super::file::{self, Entry};
use crate::{
    base::{Secret, Stopwatch, read_text},
    cli::failure::usage_error,
    host::Host,
};
use std::{
    fs,
    io::{self, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// The environment's own secrets.
const VARIABLES: [&str; 3] = ["MPSCRIPT_SECRET", "MPSCRIPT_AES_KEY", "MPSCRIPT_TOKEN_KEY"];

/// Masks the secrets of the environment from now on.
pub(crate) fn learn_environment(host: &Host) {
    let secrets = VARIABLES.iter().filter_map(|name| host.variable(name));
    secrets.for_each(|secret| host.secrets.learn(&Secret::new(secret)));
    if let Some(token) = host.variable("MPSCRIPT_CALLBACK_TOKEN") {
        host.secrets.learn_password(&Secret::new(token));
    }
    if let Some(store) = host.variable("MPSCRIPT_STORE") {
        host.secrets.learn_password_of(&Secret::new(store));
    }
    if let Some(password) = host.variable("PGPASSWORD") {
        host.secrets.learn_password(&Secret::new(password));
    }
}

/// Masks the secrets of every account of the configuration from now on, but for those that a command prints: it runs when
/// its account is connected.
///
/// # Errors
/// When there is a configuration and it can't be read.
pub(crate) fn learn_configuration(host: &Host, config: Option<&Path>) -> anyhow::Result<()> {
    let Some((path, file)) = file::read(host, config)? else { return Ok(()) };
    let folder = path.parent().unwrap_or(Path::new("."));
    for secret in file.accounts.values().filter_map(|entry| entry.secret_file.as_ref()) {
        // What is wrong with the file of an account is reported when the account is used.
        if let Ok(text) = read_text(&folder.join(secret), MAX_LENGTH) {
            host.secrets.learn(&Secret::new(text.trim()));
        }
    }
    Ok(())
}

/// Whether a text looks like the name of an environment variable. An AppSecret does not: it is lower-case.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|char: char| char.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The AppSecret of an account, and where it came from.
pub(crate) fn read(
    host: &Host,
    config: &Path,
    name: &str,
    entry: &Entry,
) -> anyhow::Result<(Secret, String)> {
    let fail = |message: String, hint: &str| Err(usage_error(message, hint));
    match (&entry.secret, &entry.secret_env, &entry.secret_file, &entry.secret_command) {
        (Some(secret), None, None, None) => {
            refuse_if_readable(config)?;
            Ok((secret.clone(), config.display().to_string()))
        }
        (None, Some(variable), None, None) => match host.variable(variable) {
            Some(secret) => Ok((Secret::new(secret), format!("environment {variable}"))),
            None if is_variable(variable) => fail(
                format!("the environment variable {variable} of account `{name}` is not set"),
                "set it to the AppSecret",
            ),
            // Not the name: it may be the AppSecret itself, written there by mistake.
            None => fail(
                format!("secret_env of account `{name}` names no environment variable that is set"),
                "give the variable's name, and set the variable to the AppSecret",
            ),
        },
        (None, None, Some(file), None) => {
            let file = config.parent().unwrap_or(Path::new(".")).join(file);
            let text = read_text(&file, MAX_LENGTH).map_err(|reason| {
                // Not the name: it may be the AppSecret itself, written there by mistake.
                let message = format!("can't read secret_file of account `{name}`: {reason}");
                usage_error(message, "give the path of a file that holds the AppSecret and nothing else")
            })?;
            refuse_if_readable(&file)?;
            Ok((Secret::new(text.trim()), format!("file {}", file.display())))
        }
        (None, None, None, Some(command)) => {
            let secret = run(host, command, COMMAND_TIMEOUT).map_err(|reason| {
                let message = format!("secret_command of account `{name}` {reason}");
                let hint = "it is a shell command that prints the AppSecret and nothing else";
                usage_error(message, hint)
            })?;
            Ok((secret, "secret_command".to_owned()))
        }
        (None, None, None, None) => fail(
            format!("account `{name}` has no secret"),
            "give it secret_env (an environment variable), secret_file, secret_command, or secret",
        ),
        _ => fail(
            format!("account `{name}` has several secrets"),
            "give one of secret_env, secret_file, secret_command and secret",
        ),
    }
}

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a command that has closed its output is asked whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum length of an AppSecret in bytes.
const MAX_LENGTH: u64 = 1 << 10;

/// What a command prints within a time. Neither the command nor its output is ever shown: either may hold a secret.
fn run(host: &Host, command: &str, within: Duration) -> Result<Secret, String> {
    let failed = |error: io::Error| format!("can't be run: {error}");
    let since = Stopwatch::start();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(&host.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take();
    let (sender, printed) = mpsc::channel();
    // If the command does not end, this thread is left behind, and ends once the pipe is closed.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to know that it is too long.
        let read = stdout.map(|stdout| stdout.take(MAX_LENGTH + 1).read_to_end(&mut bytes));
        let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(bytes));
    });
    let ended = printed.recv_timeout(within).ok().and_then(|bytes| {
        let is_too_long = bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 > MAX_LENGTH);
        // What has printed too much need not end by itself.
        let status =
            if is_too_long { Ok(None) } else { wait(&mut child, since, within).transpose()?.map(Some) };
        Some((bytes, status))
    });
    let (bytes, status) = match ended {
        Some((bytes, Ok(Some(status)))) => (bytes, status),
        other => {
            let _ = child.kill();
            // A killed process ends at once.
            let _ = child.wait();
            return Err(match other {
                None => format!("took over {}", humantime::format_duration(within)),
                Some((_, Err(error))) => failed(error),
                Some(_) => format!("printed over {MAX_LENGTH} bytes"),
            });
        }
    };
    let text = bytes.map(String::from_utf8).and_then(Result::ok);
    match (status.success(), text.as_deref().map(str::trim)) {
        (false, _) => Err(format!("ended with {status}")),
        (true, None) => Err("printed what is no text".to_owned()),
        (true, Some("")) => Err("printed nothing".to_owned()),
        (true, Some(secret)) => Ok(Secret::new(secret)),
    }
}

/// How a process has ended; `None` if it has not when the time is over.
fn wait(child: &mut Child, since: Stopwatch, within: Duration) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || since.elapsed() >= within {
            return Ok(status);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// A file with a secret in it must be readable by its owner alone.
#[cfg(unix)]
pub(crate) fn refuse_if_readable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let others = fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o077).unwrap_or_default();
    if others == 0 {
        return Ok(());
    }
    let message = format!("{} holds a secret and others can read it", path.display());
    Err(usage_error(message, format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
pub(crate) fn refuse_if_readable(_path: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn printed(command: &str, within: Duration) -> Result<String, String> {
        run(&Host::real(), command, within).map(|secret| secret.reveal().to_owned())
    }

    const SOON: Duration = Duration::from_millis(200);
    const LATE: Duration = Duration::from_mins(10);

    #[test]
    fn command_that_does_not_end_is_killed_whatever_it_has_printed() {
        for start in
            ["", "printf 5a2db0c5; ", "printf 5a2db0c5; exec >&-; ", "head -c 1024 /dev/zero | tr '\\0' a; "]
        {
            let command = format!("{start}exec sleep 600");
            assert_eq!(printed(&command, SOON), Err("took over 200ms".to_owned()), "{start}");
        }
    }

    #[test]
    fn longer_output_than_a_secret_is_an_error_and_is_not_cut() {
        let of = |count: u32| format!("head -c {count} /dev/zero | tr '\\0' a");
        assert_eq!(printed(&of(1024), LATE), Ok("a".repeat(1024)));
        assert_eq!(printed(&of(1025), LATE), Err("printed over 1024 bytes".to_owned()));
        assert_eq!(printed("yes; exec sleep 600", LATE), Err("printed over 1024 bytes".to_owned()));
    }
}
