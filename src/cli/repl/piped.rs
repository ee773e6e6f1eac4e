//! Lines that are piped into a session, as they come: nobody is waited for, and nothing that can't be read is passed over in
//! silence.

use crate::{
    base::Diagnostic,
    cli::{Failure, output::exit},
    host::Host,
};
use std::{
    io,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// Lines of a file, or of a program that writes them in one go, come one after another within this time.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(50);

/// The lines of standard input as they come.
pub(crate) fn lines_of(host: &Host) -> Receiver<io::Result<String>> {
    let (to, lines) = mpsc::channel();
    let read_line = host.read_line;
    thread::spawn(move || {
        loop {
            let line = read_line();
            let is_last = match &line {
                Ok(line) => line.is_empty(),
                // The lines behind one that is no text can be read.
                Err(error) => error.kind() != io::ErrorKind::InvalidData,
            };
            if to.send(line).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

pub(crate) fn unreadable(error: &io::Error) -> Failure {
    let message = format!("a line of the input can't be read, and was left out: {error}");
    let diagnostic =
        Diagnostic::new(message).hint("scripts are UTF-8: iconv -f GBK -t UTF-8 turns others into it");
    Failure { diagnostic, code: exit::SCRIPT }
}
