//! Prints a session's output: to its stream, or above the line while one is being typed, so that the line stays intact. At
//! a terminal that has no place above the line it waits for the line's end.

use crate::{base::lock, host::Stream};
use rustyline::ExternalPrinter;
use std::{
    collections::VecDeque,
    io::Write,
    sync::{Arc, Mutex},
};

/// The most that waits for the end of a line, in bytes; the oldest is left out.
const MAX_WAITING: usize = 1 << 20;

/// Prints around the line that is being typed.
#[derive(Clone, Default)]
pub(super) struct TypingPrinter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_typing: bool,
    /// Prints above the line; `None` where the terminal can't.
    above: Option<Box<dyn ExternalPrinter + Send>>,
    waiting: Waiting,
}

/// What is printed once the line has been typed.
#[derive(Default)]
struct Waiting {
    texts: VecDeque<(Stream, String)>,
    bytes: usize,
    left_out: u64,
}

impl Waiting {
    fn add(&mut self, to: &Stream, text: String) {
        self.bytes += text.len();
        self.texts.push_back((to.clone(), text));
        while self.bytes > MAX_WAITING {
            let Some((_, oldest)) = self.texts.pop_front() else { return };
            self.bytes -= oldest.len();
            self.left_out += 1;
        }
    }

    fn print(&mut self) {
        let Self { texts, left_out, .. } = std::mem::take(self);
        for (at, (to, text)) in texts.into_iter().enumerate() {
            if at == 0 && left_out > 0 {
                to.exactly(&format!("({left_out} earlier lines are left out)\n"));
            }
            to.exactly(&text);
        }
    }
}

/// A stream that is printed around the line while one is being typed.
struct RoutedStream {
    to: Stream,
    printer: TypingPrinter,
}

impl Write for RoutedStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut state = lock(&self.printer.0);
        match &mut *state {
            State { is_typing: false, .. } => self.to.exactly(&text),
            // Without its terminal the printer has no line to keep intact.
            State { above: Some(printer), .. } => drop(printer.print(text.into_owned())),
            State { waiting, .. } => waiting.add(&self.to, text.into_owned()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TypingPrinter {
    /// The stream, printed around the line while one is being typed.
    pub(super) fn route(&self, to: &Stream) -> Stream {
        to.through(RoutedStream { to: to.clone(), printer: self.clone() })
    }

    /// Sets the editor's printer.
    pub(super) fn print_with(&self, printer: impl ExternalPrinter + Send + 'static) {
        lock(&self.0).above = Some(Box::new(printer));
    }

    /// Called before a line is typed.
    pub(super) fn begin(&self) {
        lock(&self.0).is_typing = true;
    }

    /// Called after it.
    pub(super) fn end(&self) {
        let mut state = lock(&self.0);
        state.is_typing = false;
        state.waiting.print();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Redactor, host::Controls};

    /// A writer that keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).expect("it is UTF-8")
        }
    }

    #[test]
    fn output_waits_for_the_end_of_the_line_where_there_is_no_place_above_it() {
        let (kept, printer) = (Kept::default(), TypingPrinter::default());
        let out = printer.route(&Stream::new(kept.clone(), &Redactor::default(), Controls::Replaced));
        out.line("前");
        printer.begin();
        out.line("中");
        assert_eq!(kept.text(), "前\n");
        printer.end();
        assert_eq!(kept.text(), "前\n中\n");
    }

    #[test]
    fn oldest_output_is_left_out_when_too_much_waits() {
        let (kept, printer) = (Kept::default(), TypingPrinter::default());
        let out = printer.route(&Stream::new(kept.clone(), &Redactor::default(), Controls::Replaced));
        printer.begin();
        for text in ["a", "b", "c"] {
            out.line(&text.repeat(MAX_WAITING / 2 - 1));
        }
        printer.end();
        let lines: Vec<String> = kept.text().lines().map(|line| line.chars().take(10).collect()).collect();
        assert_eq!(lines, ["(1 earlier", "bbbbbbbbbb", "cccccccccc"]);
    }
}
