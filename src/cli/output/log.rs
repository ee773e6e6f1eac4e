//! The log on standard error: warnings always, every call with `--verbose`.

use crate::host::{Host, Stream};
use std::{fmt, io::Write};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, filter,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Warnings and errors.
    Warnings,
    /// Every call too: `--verbose`.
    Calls,
}

impl Verbosity {
    pub(crate) const fn from_flag(verbose: bool) -> Self {
        if verbose { Self::Calls } else { Self::Warnings }
    }
}

/// Logs events of this crate only: other crates log URLs, which hold tokens.
pub(crate) fn start(host: &Host, verbosity: Verbosity) {
    let is_verbose = verbosity == Verbosity::Calls;
    let ours = |level: Level| {
        filter::filter_fn(move |metadata| {
            metadata.target().starts_with("mpscript") && *metadata.level() <= level
        })
    };
    let warnings = (!is_verbose).then(|| Warnings(host.err.clone()).with_filter(ours(Level::WARN)));
    let (err, is_coloured) = (host.err.clone(), host.colour());
    let all = is_verbose.then(|| {
        tracing_subscriber::fmt::layer()
            .with_ansi(is_coloured)
            .with_target(false)
            .with_writer(move || LogWriter { err: err.clone(), is_coloured })
            .with_filter(ours(Level::DEBUG))
    });
    // Fails if it is set already, as in tests that run commands in one process; the first one stays.
    let _ = tracing_subscriber::registry().with(warnings).with(all).try_init();
}

/// Shows warnings as messages are shown: `warning: …`.
struct Warnings(Stream);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message = MessageVisitor(String::new());
        event.record(&mut message);
        self.0.line(&format!("warning: {}", message.0));
    }
}

struct MessageVisitor(String);

impl Visit for MessageVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

struct LogWriter {
    err: Stream,
    is_coloured: bool,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if self.is_coloured {
            self.err.styled(&text);
        } else {
            self.err.write(&text);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
