//! Prints a session's output: to its stream, or above the line while one is being typed, so that the line stays intact.

use crate::{base::lock, host::Stream};
use rustyline::ExternalPrinter;
use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Prints above the line that is being typed.
#[derive(Clone, Default)]
pub(super) struct TypingPrinter {
    is_typing: Arc<AtomicBool>,
    printer: Arc<Mutex<Option<Box<dyn ExternalPrinter + Send>>>>,
}

/// A stream that is printed above the line while one is being typed.
struct RoutedStream {
    to: Stream,
    printer: TypingPrinter,
}

impl Write for RoutedStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut printer = lock(&self.printer.printer);
        match printer.as_mut().filter(|_| self.printer.is_typing.load(Ordering::SeqCst)) {
            // Without its terminal the printer has no line to keep intact.
            Some(printer) => drop(printer.print(text.into_owned())),
            None => self.to.exactly(&text),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TypingPrinter {
    /// The stream, printed above the line while one is being typed.
    pub(super) fn route(&self, to: &Stream) -> Stream {
        to.through(RoutedStream { to: to.clone(), printer: self.clone() })
    }

    /// Sets the editor's printer.
    pub(super) fn print_with(&self, printer: impl ExternalPrinter + Send + 'static) {
        *lock(&self.printer) = Some(Box::new(printer));
    }

    /// Called before a line is typed.
    pub(super) fn begin(&self) {
        self.is_typing.store(true, Ordering::SeqCst);
    }

    /// Called after it.
    pub(super) fn end(&self) {
        self.is_typing.store(false, Ordering::SeqCst);
    }
}
