//! The outside world as one struct: arguments, environment, streams, clock.
//!
//! Nothing above reads the process's own arguments, environment or standard streams, so that a
//! test can run the whole program in process with a host of its own.

use crate::base::{Cancel, Clock, ProcessId, Redactor, SettingNames, StartId, lock, plain_text, read_text};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

/// The most that is read of a file of `/proc`, in bytes.
const MAX_PROC: u64 = 16 << 10;

/// What becomes of characters that control a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// They are replaced: a terminal may be at the other end.
    Replaced,
    /// They are written as they are.
    Kept,
}

/// An output stream that several threads share; each write is atomic. Everything that the program shows goes through one,
/// where secrets are masked.
#[derive(Clone)]
pub struct Stream {
    writer: Arc<Mutex<dyn Write + Send>>,
    secrets: Redactor,
    controls: Controls,
}

impl Stream {
    /// A stream over any writer, which masks these secrets.
    pub fn new(writer: impl Write + Send + 'static, secrets: &Redactor, controls: Controls) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), secrets: secrets.clone(), controls }
    }

    /// The same over another writer.
    #[must_use]
    pub fn through(&self, writer: impl Write + Send + 'static) -> Self {
        Self::new(writer, &self.secrets, self.controls)
    }

    /// Writes `text` and flushes.
    pub fn write(&self, text: &str) {
        match self.controls {
            Controls::Replaced => self.styled(&plain_text(text)),
            Controls::Kept => self.styled(text),
        }
    }

    /// Writes text that the program has coloured. What it is made of must be plain already.
    pub fn styled(&self, text: &str) {
        self.exactly(&self.secrets.mask(text));
    }

    /// Writes `text` as it is: a secret that a person has asked for, or what has been through another stream. A failed
    /// write (a closed pipe) is ignored: the running job matters more than its output.
    pub fn exactly(&self, text: &str) {
        let mut writer = lock(&self.writer);
        let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
    }

    /// Writes `text` and a newline.
    pub fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }
}

/// Keeps the process's memory, which holds secrets, and its environment from other processes of the user, and from core
/// dumps.
#[cfg(target_os = "linux")]
pub fn protect_memory() {
    use nix::sys::{prctl, resource};
    // Neither call fails with these arguments; without them the program works as well.
    let _ = prctl::set_dumpable(false);
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
}

/// This system has no such protection.
#[cfg(not(target_os = "linux"))]
pub fn protect_memory() {}

/// The stack of threads that hold values of scripts. Only what is used of it takes memory. Dropping or copying a value takes
/// up to 350 bytes of it a level, and running out of it would end the process.
const DEEP_STACK: usize = 1 << 30;

/// Does work on a thread of its own whose stack lets it drop values of some millions of levels. It has `min` bytes where the
/// address space is limited, which a large stack would take from the script.
///
/// # Errors
/// When there is no thread. The inner error is a panic's.
pub fn on_deep_stack<T: Send>(
    name: &str,
    min: usize,
    work: impl FnOnce() -> T + Send,
) -> io::Result<thread::Result<T>> {
    let work = Mutex::new(Some(work));
    thread::scope(|scope| {
        let spawn = |stack| {
            let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack);
            thread.spawn_scoped(scope, || lock(&work).take().map(|work| work()))
        };
        // A system that counts all that might be used has not always room for the large one.
        let thread =
            if has_free_address_space() { spawn(DEEP_STACK).or_else(|_| spawn(min)) } else { spawn(min) };
        let result = thread?.join();
        Ok(result
            .map(|done| done.unwrap_or_else(|| unreachable!("the work is taken once, by the one thread"))))
    })
}

#[cfg(unix)]
fn has_free_address_space() -> bool {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    getrlimit(Resource::RLIMIT_AS).is_ok_and(|(limit, _)| limit == RLIM_INFINITY)
}

#[cfg(not(unix))]
fn has_free_address_space() -> bool {
    true
}

/// The terminals (`TERM`) whose cursor can't be moved. The line editor edits no lines on these.
const PLAIN_TERMINALS: [&str; 3] = ["dumb", "cons25", "emacs"];

/// What the program sees of the process that it runs in.
#[derive(Clone)]
pub struct Host {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment. Variables that are not UTF-8 are left out.
    pub environment: BTreeMap<String, String>,
    /// This process, as others see it.
    pub process: ProcessId,
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
    /// Reads standard input to its end, or up to this many bytes.
    pub read_input: fn(limit: u64) -> io::Result<Vec<u8>>,
    /// Whether standard input is a terminal, so that a question can be asked.
    pub in_is_terminal: bool,
    /// Reads one line of standard input.
    pub read_line: fn() -> io::Result<String>,
    /// Reads one line at the terminal; fails with `Interrupted` when the run is cancelled meanwhile.
    pub read_answer: fn(&Cancel) -> io::Result<String>,
    /// The program's own file, to start it as another process.
    pub program: PathBuf,
    /// Secrets that are masked in everything shown or stored.
    pub secrets: Redactor,
    /// The one clock.
    pub clock: Clock,
    /// What settings are called where the person sets them.
    pub setting_names: SettingNames,
    /// The machine's IANA time zone, if it is known.
    pub zone: Option<String>,
}

/// The terminal's settings from before its echo was turned off.
#[cfg(unix)]
static SAVED: Mutex<Option<nix::sys::termios::Termios>> = Mutex::new(None);

/// While this is held, the terminal does not echo `^C` into what is drawn on it.
pub struct EchoGuard(());

impl EchoGuard {
    /// Turns the echo off. Does nothing without a terminal.
    #[must_use]
    pub fn turn_off() -> Self {
        #[cfg(unix)]
        {
            use nix::{
                sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
                unistd::{getpgrp, tcgetpgrp},
            };
            // The system stops a background process that changes the terminal.
            let is_foreground = tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp());
            if let (true, Ok(settings), Ok(mut saved)) = (is_foreground, tcgetattr(io::stdin()), SAVED.lock())
            {
                let mut without = settings.clone();
                without.local_flags.remove(LocalFlags::ECHOCTL);
                let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &without);
                saved.get_or_insert(settings);
            }
        }
        Self(())
    }

    /// Restores the terminal. Code that exits the process without dropping the guard calls it.
    pub fn restore() {
        #[cfg(unix)]
        if let Some(settings) = SAVED.lock().ok().and_then(|mut saved| saved.take()) {
            let _ = nix::sys::termios::tcsetattr(io::stdin(), nix::sys::termios::SetArg::TCSANOW, &settings);
        }
    }
}

impl Drop for EchoGuard {
    fn drop(&mut self) {
        Self::restore();
    }
}

/// How often cancellation is checked while waiting for input.
#[cfg(unix)]
const POLL_INTERVAL_MS: u16 = 50;

/// Returns when standard input is readable.
#[cfg(unix)]
fn wait_for_input(cancel: &Cancel) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let stdin = io::stdin();
    let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    while !cancel.is_cancelled() {
        match poll(&mut waited, PollTimeout::from(POLL_INTERVAL_MS)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// Without `poll`, the read itself blocks and cancellation is seen after it.
#[cfg(not(unix))]
fn wait_for_input(_cancel: &Cancel) -> io::Result<()> {
    Ok(())
}

/// The machine's host name, `localhost` if it is unknown.
fn machine() -> String {
    let name = read_text(Path::new("/proc/sys/kernel/hostname"), MAX_PROC).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

fn stat_file(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/stat"))
}

/// The start id of a process of this machine. `None` when there is no such process, or no `/proc`.
fn start_id(process: u32) -> Option<StartId> {
    let boot = read_text(Path::new("/proc/sys/kernel/random/boot_id"), MAX_PROC).ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = read_text(&stat_file(process), MAX_PROC).ok()?;
    // The command name is in brackets and may contain spaces: fields are counted after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let ticks = fields.nth(18).filter(|_| !is_dead)?.parse().ok()?;
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(StartId { boot: boot.trim().to_owned(), namespace: namespace.parse().ok()?, ticks })
}

/// Whether `/proc` shows a process. One that can't be dumped is hidden from its own user where `/proc` is mounted with
/// `hidepid`.
fn is_visible(process: u32) -> bool {
    read_text(&stat_file(process), MAX_PROC).is_ok()
}

/// Whether the system knows a process.
#[cfg(unix)]
fn exists(process: u32) -> bool {
    use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
    i32::try_from(process).is_ok_and(|id| kill(Pid::from_raw(id), None) != Err(Errno::ESRCH))
}

/// Without signals nothing is known.
#[cfg(not(unix))]
fn exists(_process: u32) -> bool {
    true
}

impl Host {
    /// Whether a process is known to have ended. `false` for processes of another machine, boot or PID namespace:
    /// nothing is known of them.
    #[must_use]
    pub fn is_dead(&self, process: &ProcessId) -> bool {
        let (Some(own), Some(start)) = (&self.process.start, &process.start) else { return false };
        start.shares_numbers_with(own)
            && start_id(process.pid).as_ref() != Some(start)
            && (is_visible(process.pid) || !exists(process.pid))
    }

    /// The process of this number on this machine.
    #[must_use]
    pub fn process_of(&self, pid: u32) -> ProcessId {
        ProcessId { machine: self.process.machine.clone(), pid, start: start_id(pid) }
    }

    /// The real process.
    #[must_use]
    pub fn real() -> Self {
        let secrets = Redactor::default();
        let out_is_terminal = io::stdout().is_terminal();
        Self {
            arguments: std::env::args_os().collect(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            process: ProcessId {
                machine: machine(),
                pid: std::process::id(),
                start: start_id(std::process::id()),
            },
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            out: Stream::new(
                io::stdout(),
                &secrets,
                if out_is_terminal { Controls::Replaced } else { Controls::Kept },
            ),
            err: Stream::new(io::stderr(), &secrets, Controls::Replaced),
            err_is_terminal: io::stderr().is_terminal(),
            out_is_terminal,
            read_input: |limit| {
                let mut bytes = Vec::new();
                io::stdin().take(limit).read_to_end(&mut bytes).map(|_| bytes)
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
            secrets,
            clock: Clock::system(),
            setting_names: SettingNames::default(),
            zone: iana_time_zone::get_timezone().ok(),
        }
    }

    /// An environment variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The folder for temporary files.
    #[must_use]
    pub fn scratch_folder(&self) -> PathBuf {
        PathBuf::from(self.variable("TMPDIR").unwrap_or("/tmp"))
    }

    /// Whether text on standard error may be coloured (<https://no-color.org>).
    #[must_use]
    pub fn colour(&self) -> bool {
        self.err_is_terminal && self.variable("NO_COLOR").is_none() && !self.is_plain_terminal()
    }

    /// Whether the terminal has no cursor that can be moved: what is written stays, one line after another.
    #[must_use]
    pub fn is_plain_terminal(&self) -> bool {
        let term = self.variable("TERM").unwrap_or_default();
        PLAIN_TERMINALS.iter().any(|plain| plain.eq_ignore_ascii_case(term))
    }
}
