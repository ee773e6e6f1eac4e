//! Where words of a session go: to their stream, or above the line that is typed, which stays as it is.

use crate::base::lock;
use crate::host::Stream;
use rustyline::ExternalPrinter;
use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where words go while a line is typed: above it.
#[derive(Clone, Default)]
pub(crate) struct Above {
    is_typing: Arc<AtomicBool>,
    printer: Arc<Mutex<Option<Box<dyn ExternalPrinter + Send>>>>,
}

/// A stream whose words appear above the line that is typed.
struct Routed {
    to: Stream,
    above: Above,
}

impl Write for Routed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut printer = lock(&self.above.printer);
        match printer.as_mut().filter(|_| self.above.is_typing.load(Ordering::SeqCst)) {
            // A printer that is gone has no line that could be spoilt.
            Some(printer) => drop(printer.print(text.into_owned())),
            None => self.to.write(&text),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Above {
    /// A stream whose words appear above the line while one is typed.
    pub(crate) fn route(&self, to: &Stream) -> Stream {
        Stream::new(Routed { to: to.clone(), above: self.clone() })
    }

    /// What prints above the line.
    pub(crate) fn print_with(&self, printer: impl ExternalPrinter + Send + 'static) {
        *lock(&self.printer) = Some(Box::new(printer));
    }

    /// A line is typed from now on.
    pub(crate) fn begin(&self) {
        self.is_typing.store(true, Ordering::SeqCst);
    }

    /// It is typed no more.
    pub(crate) fn end(&self) {
        self.is_typing.store(false, Ordering::SeqCst);
    }
}
