//! How far the running job is: a bar on a terminal, a line now and then elsewhere.

use crate::{
    base::{Stopwatch, grouped},
    bulk::{Board, Counts, Job},
    host::{Host, Stream},
    script::Output,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// Between two looks at the board.
const TICK: Duration = Duration::from_millis(100);

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Draws progress until it is dropped; scripts print above it.
pub(super) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What scripts print, and the bar that must step aside for it.
pub(super) struct Words {
    out: Stream,
    err: Stream,
    bar: ProgressBar,
}

impl Output for Words {
    fn print(&self, text: &str) {
        self.bar.suspend(|| self.out.line(text));
    }

    fn debug(&self, text: &str) {
        self.bar.suspend(|| self.err.line(text));
    }
}

impl Progress {
    /// Begins to watch the board.
    pub(super) fn start(host: &Host, board: &Arc<Board>, quiet: bool) -> (Self, Arc<Words>) {
        let is_drawn = host.err_is_terminal && !quiet;
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        let words = Arc::new(Words { out: host.out.clone(), err: host.err.clone(), bar: bar.clone() });
        if quiet {
            return (Self { stop: None, thread: None }, words);
        }
        let (stop, stopped) = mpsc::channel();
        let (board, err) = (Arc::clone(board), host.err.clone());
        let thread = thread::spawn(move || {
            let mut since_line = Stopwatch::start();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let job = board.current();
                match &job {
                    Some(job) if is_drawn => draw(&bar, job),
                    Some(job) if since_line.elapsed() >= LINE_EVERY => {
                        err.line(&format!("{}: {}", title(job), numbers(job)));
                        since_line = Stopwatch::start();
                    }
                    Some(_) => {}
                    None => bar.reset(),
                }
            }
            bar.finish_and_clear();
        });
        (Self { stop: Some(stop), thread: Some(thread) }, words)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only draws; if it panicked there is nothing to save.
            let _ = thread.join();
        }
    }
}

fn draw(bar: &ProgressBar, job: &Job) {
    let counts = &job.counts;
    let [total, listed, matched, unmatched, gone] =
        [&counts.total, &counts.listed, &counts.matched, &counts.unmatched, &counts.gone].map(Counts::read);
    bar.set_length(total.max(listed));
    bar.set_position(matched + unmatched + gone);
    bar.set_prefix(title(job));
    bar.set_message(numbers(job));
    bar.tick();
}

fn title(job: &Job) -> String {
    let target = job.target.as_ref().map(|target| format!(" `{target}`")).unwrap_or_default();
    format!("{}{target}", job.end)
}

fn numbers(job: &Job) -> String {
    let counts = &job.counts;
    let read = |count| grouped(Counts::read(count));
    let failed = match Counts::read(&counts.failed) {
        0 => String::new(),
        failed => format!(", {} failed", grouped(failed)),
    };
    format!(
        "{} listed, {} matched, {} changed{failed}",
        read(&counts.listed),
        read(&counts.matched),
        read(&counts.changed)
    )
}
