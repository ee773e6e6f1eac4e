//! Standard output and standard error of a run: what the script prints, questions, and progress bars that make room for
//! both.

use crate::{
    host::{Host, Stream},
    script::Output,
};
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How the progress of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// A bar for each stage, redrawn in place.
    Bars,
    /// A line every few seconds.
    Lines,
    Off,
}

impl ProgressMode {
    /// Bars at a terminal that can redraw them, lines elsewhere.
    pub(crate) fn of(host: &Host) -> Self {
        if host.err_is_terminal && !host.is_plain_terminal() { Self::Bars } else { Self::Lines }
    }
}

pub(crate) struct Console {
    out: Stream,
    err: Stream,
    bars: MultiProgress,
    mode: ProgressMode,
    is_asking: AtomicBool,
}

impl Console {
    pub(crate) fn new(host: &Host, mode: ProgressMode) -> Arc<Self> {
        let target = match mode {
            ProgressMode::Bars => ProgressDrawTarget::stderr(),
            ProgressMode::Lines | ProgressMode::Off => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let (out, err) = (host.out.clone(), host.err.clone());
        Arc::new(Self { out, err, bars, mode, is_asking: AtomicBool::new(false) })
    }

    pub(crate) fn mode(&self) -> ProgressMode {
        self.mode
    }

    /// The bars, which share the terminal with everything that the console writes.
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Asks a question; no bar is drawn over it before it is answered.
    pub(crate) fn ask(
        &self,
        question: &str,
        answer: impl FnOnce() -> io::Result<String>,
    ) -> io::Result<String> {
        self.bars.suspend(|| {
            self.err.write(question);
            self.is_asking.store(true, Ordering::SeqCst);
            let answer = answer();
            self.is_asking.store(false, Ordering::SeqCst);
            if answer.is_err() {
                // The question's line was not ended by an answer.
                self.err.write("\n");
            }
            answer
        })
    }

    /// Writes a line on standard error.
    pub(crate) fn note(&self, text: &str) {
        self.bars.suspend(|| self.err.line(text));
    }

    /// Says that the run is stopping, unless it waits at a question and stops at once.
    pub(crate) fn show_stopping(&self) {
        if !self.is_asking.load(Ordering::SeqCst) {
            self.note("stopping: waiting for running calls (Ctrl-C again to leave at once)");
        }
    }
}

impl Output for Console {
    fn print(&self, text: &str) {
        self.bars.suspend(|| self.out.line(text));
    }

    fn debug(&self, text: &str) {
        self.note(text);
    }
}
