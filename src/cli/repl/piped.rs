//! Lines that are piped into a session, each read as soon as it arrives; a line that can't be decoded is reported.

use crate::{base::Diagnostic, cli::failure::Failure, host::Host};
use std::{
    io,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// Lines of a file, or of a program that writes several at once, arrive within this time of each other.
pub(super) const BURST_INTERVAL: Duration = Duration::from_millis(50);

/// The lines of standard input as they arrive.
pub(super) fn lines_of(host: &Host) -> Receiver<io::Result<String>> {
    let (to, lines) = mpsc::channel();
    let read_line = host.read_line;
    thread::spawn(move || {
        let mut is_first = true;
        loop {
            let mut line = read_line();
            // Editors of Windows put a byte order mark before the first line.
            if let (Ok(text), true) = (&mut line, is_first) {
                text.drain(..text.len() - text.trim_start_matches('\u{feff}').len());
                // A script that is piped may name the program that runs it.
                if text.starts_with("#!") {
                    text.replace_range(..text.trim_end_matches(['\r', '\n']).len(), "");
                }
            }
            is_first = false;
            let is_last = match &line {
                Ok(line) => line.is_empty(),
                // The lines after one that is not UTF-8 can still be read.
                Err(error) => error.kind() != io::ErrorKind::InvalidData,
            };
            if to.send(line).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

pub(super) fn unreadable(error: &io::Error) -> anyhow::Error {
    let message = format!("a line of the input can't be read, and was skipped: {error}");
    let diagnostic =
        Diagnostic::new(message).hint("scripts are UTF-8: iconv -f GBK -t UTF-8 turns others into it");
    Failure::script(diagnostic).into()
}
