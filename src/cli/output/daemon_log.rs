//! The log of the daemon on standard output: lines for a person, or JSON for a program.

use crate::{
    base::{is_unprintable, plain_line},
    cli::args::LogFormat,
    host::Stream,
    run::daemon::{Level, Log, LogRecord},
};
use chrono::{Local, SecondsFormat};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

/// Lines that wait to be written; those beyond are dropped and counted.
const MAX_WAITING: usize = 10_000;

/// Bytes that wait to be written; lines beyond are dropped and counted.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// How long the daemon waits at its end for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes the log on a thread of its own, so that a reader that has stopped reading does not stop the daemon: lines wait,
/// and when too many do the newest are dropped.
pub(crate) struct DaemonLogWriter {
    messages: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    waiting: Arc<AtomicUsize>,
    format: LogFormat,
}

enum Message {
    Line(String),
    /// Answered once everything before it is written.
    Flush(Sender<()>),
}

impl DaemonLogWriter {
    pub(crate) fn new(out: Stream, format: LogFormat) -> Self {
        let (messages, waiting) = mpsc::sync_channel(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let bytes = Arc::new(AtomicUsize::new(0));
        let (counted, left) = (Arc::clone(&dropped), Arc::clone(&bytes));
        thread::spawn(move || write_all(&out, format, waiting, &counted, &left));
        Self { messages, dropped, waiting: bytes, format }
    }

    fn line(&self, line: String) {
        let size = line.len();
        let is_full = self.waiting.fetch_add(size, Ordering::Relaxed) + size > MAX_WAITING_BYTES;
        if is_full || self.messages.try_send(Message::Line(line)).is_err() {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is written, unless the reader has stopped reading.
    pub(crate) fn finish(&self) {
        let (written, is_written) = mpsc::channel();
        if self.messages.try_send(Message::Flush(written)).is_ok() {
            let _ = is_written.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn as_json(entry: &LogRecord) -> String {
        let mut line = json!({
            "at": entry.at.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true),
            "level": level(entry),
            "text": entry.text,
        });
        if entry.is_printed {
            line["printed"] = true.into();
        }
        for (key, value) in [("automation", entry.automation), ("account", entry.account), ("run", entry.run)]
        {
            if !value.is_empty() {
                line[key] = value.into();
            }
        }
        escaped(&line.to_string())
    }

    fn as_lines(entry: &LogRecord) -> impl Iterator<Item = String> {
        let account = if entry.account.is_empty() { String::new() } else { format!(" ({})", entry.account) };
        let of = match (entry.automation, entry.run) {
            ("", _) => String::new(),
            (automation, "") => format!("{automation}{account}: "),
            (automation, run) => format!("{automation}{account} {run}: "),
        };
        let at = entry.at.to_utc().with_timezone(&Local);
        let head = format!("{} {:<5} {of}", at.format("%Y-%m-%d %H:%M:%S"), level(entry));
        let head = plain_line(&head).into_owned();
        entry.text.lines().map(move |line| format!("{head}{}", plain_line(line)))
    }
}

impl Log for DaemonLogWriter {
    fn write(&self, entry: &LogRecord) {
        match self.format {
            LogFormat::Json => self.line(Self::as_json(entry)),
            LogFormat::Text => Self::as_lines(entry).for_each(|line| self.line(line)),
        }
    }
}

/// JSON in which a character that would control a terminal is escaped, not only those below U+0020.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if is_unprintable(char) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            escaped.push(char);
        }
    }
    escaped
}

fn level(entry: &LogRecord) -> &'static str {
    match entry.level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn write_all(
    out: &Stream,
    format: LogFormat,
    messages: Receiver<Message>,
    dropped: &AtomicU64,
    waiting: &AtomicUsize,
) {
    for message in messages {
        match message {
            Message::Line(line) => {
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
                out.line(&line);
            }
            Message::Flush(written) => drop(written.send(())),
        }
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            let text = format!("{count} lines were dropped here: the log was not read in time");
            out.line(&match format {
                LogFormat::Json => json!({"level": "warn", "text": text}).to_string(),
                LogFormat::Text => text,
            });
        }
    }
}
