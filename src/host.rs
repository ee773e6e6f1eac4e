//! The outside world as one struct: arguments, environment, streams, clock.
//!
//! Nothing above reads the process's own arguments, environment or standard streams, so that a
//! test can run the whole program in process with a host of its own.

use crate::base::{Cancel, Clock, Redactor, lock};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// A stream that several threads write to, a whole text at a time.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<dyn Write + Send>>);

impl Stream {
    /// A stream over any writer.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes `text` as it is and flushes. A reader that went away (a closed pipe) is no error:
    /// the work that is under way matters more than its output.
    pub fn write(&self, text: &str) {
        let mut writer = lock(&self.0);
        let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
    }

    /// Writes `text` and a newline.
    pub fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }
}

/// What the program sees of the process that it runs in.
#[derive(Clone)]
pub struct Host {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment. Variables that are not UTF-8 are left out.
    pub environment: BTreeMap<String, String>,
    /// The machine and the process, for other processes to see: `HOSTNAME/PID`.
    pub process: String,
    /// What tells the process from every other one that had or will have its number.
    pub birth: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Standard output: what scripts print and what a command answers.
    pub out: Stream,
    /// Standard error: progress, logs and errors.
    pub err: Stream,
    /// Whether standard error is a terminal, so that progress may be drawn on it.
    pub err_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub out_is_terminal: bool,
    /// Reads the whole of standard input.
    pub read_input: fn() -> io::Result<String>,
    /// Whether somebody at a terminal can be asked.
    pub in_is_terminal: bool,
    /// Reads one line of standard input.
    pub read_line: fn() -> io::Result<String>,
    /// Reads a person's answer: one line at the terminal, unless work is stopped meanwhile.
    pub read_answer: fn(&Cancel) -> io::Result<String>,
    /// The program's own file, for whoever starts it once more.
    pub program: PathBuf,
    /// What must be seen nowhere.
    pub secrets: Redactor,
    /// The one clock.
    pub clock: Clock,
    /// The machine's time zone by its name, where it is known.
    pub zone: Option<String>,
}

/// What a terminal did with Ctrl-C before its echo was turned off.
#[cfg(unix)]
static BEFORE: Mutex<Option<nix::sys::termios::Termios>> = Mutex::new(None);

/// While this is held, a terminal does not write `^C` into what is drawn on it.
pub struct NoEcho(());

impl NoEcho {
    /// From now on; where there is no terminal nothing is changed.
    #[must_use]
    pub fn begin() -> Self {
        #[cfg(unix)]
        {
            use nix::{
                sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
                unistd::{getpgrp, tcgetpgrp},
            };
            // Whoever works in the background must leave the terminal alone, or is stopped by the system.
            let is_ours = tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp());
            if let (true, Ok(was), Ok(mut before)) = (is_ours, tcgetattr(io::stdin()), BEFORE.lock()) {
                let mut without = was.clone();
                without.local_flags.remove(LocalFlags::ECHOCTL);
                let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &without);
                before.get_or_insert(was);
            }
        }
        Self(())
    }

    /// As it was before. Whoever leaves without an end of what is drawn calls it.
    pub fn end() {
        #[cfg(unix)]
        if let Some(was) = BEFORE.lock().ok().and_then(|mut before| before.take()) {
            let _ = nix::sys::termios::tcsetattr(io::stdin(), nix::sys::termios::SetArg::TCSANOW, &was);
        }
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        Self::end();
    }
}

/// How long an answer is waited for before it is looked whether work was stopped.
#[cfg(unix)]
const LOOK_EVERY_MS: u16 = 50;

/// Returns when there is something to read at standard input.
#[cfg(unix)]
fn wait_for_input(cancel: &Cancel) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let stdin = io::stdin();
    let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    while !cancel.is_cancelled() {
        match poll(&mut waited, PollTimeout::from(LOOK_EVERY_MS)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// Reading waits by itself; a stop is seen after it.
#[cfg(not(unix))]
fn wait_for_input(_cancel: &Cancel) -> io::Result<()> {
    Ok(())
}

/// The machine's name, where the system tells it.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// When a process of this machine was started, and where it is counted: `BOOT.NAMESPACE.TICKS`. `None` when there is
/// no such process, and where the system does not tell.
fn birth(process: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in brackets and may have spaces: what follows it is counted.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let ticks = fields.nth(18).filter(|_| !is_dead)?;
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}.{namespace}.{ticks}", boot.trim()))
}

impl Host {
    /// Whether another process is known to be no more. One of another machine never is.
    #[must_use]
    pub fn is_gone(&self, process: &str, birth_of: &str) -> bool {
        let place = |birth: &str| birth.rsplit_once('.').map(|(place, _)| place.to_owned());
        let number = process.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
        let (Some(number), Some(here)) = (number, place(&self.birth)) else { return false };
        place(birth_of) == Some(here) && birth(number).as_deref() != Some(birth_of)
    }

    /// The process's own host.
    #[must_use]
    pub fn real() -> Self {
        Self {
            arguments: std::env::args_os().collect(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            process: format!("{}/{}", machine(), std::process::id()),
            birth: birth(std::process::id()).unwrap_or_default(),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            out: Stream::new(io::stdout()),
            err: Stream::new(io::stderr()),
            err_is_terminal: io::stderr().is_terminal(),
            out_is_terminal: io::stdout().is_terminal(),
            read_input: || {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).map(|_| text)
            },
            in_is_terminal: io::stdin().is_terminal(),
            read_line: || {
                let mut line = String::new();
                io::stdin().read_line(&mut line).map(|_| line)
            },
            read_answer: |cancel| {
                wait_for_input(cancel)?;
                let mut line = String::new();
                io::stdin().read_line(&mut line).map(|_| line)
            },
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("mpscript")),
            secrets: Redactor::default(),
            clock: Clock::system(),
            zone: iana_time_zone::get_timezone().ok(),
        }
    }

    /// An environment variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where files may be kept for as long as the process lives.
    #[must_use]
    pub fn scratch_folder(&self) -> PathBuf {
        PathBuf::from(self.variable("TMPDIR").unwrap_or("/tmp"))
    }

    /// Whether text on standard error may be coloured (<https://no-color.org>).
    #[must_use]
    pub fn colour(&self) -> bool {
        self.err_is_terminal && self.variable("NO_COLOR").is_none() && self.variable("TERM") != Some("dumb")
    }
}
