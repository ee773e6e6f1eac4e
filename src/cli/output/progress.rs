//! The progress of the running job: a bar for each of its stages at a terminal, a line now and then elsewhere.

use super::console::{Console, ProgressMode};

use crate::{
    api::{self, CallKind, Endpoint, Spec, user},
    base::{Stopwatch, plain_line, with_thousands},
    bulk::{Counters, Job, ProgressBoard},
    client::Client,
    host::EchoGuard,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How often the board is read.
const TICK: Duration = Duration::from_millis(100);

/// The interval of progress lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// A job that takes more calls than this of one endpoint shows its estimate before it starts.
const MIN_SHOWN_CALLS: u64 = 1_000;

/// Samples over which a rate is computed.
const MAX_SAMPLES: usize = 30;

/// Shows progress until it is dropped; what scripts print appears above it.
pub(crate) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Dropped after everything is drawn.
    _echo_guard: Option<EchoGuard>,
}

impl Progress {
    /// Starts to watch the board on a thread of its own, and shows it as the console's mode says.
    pub(crate) fn start(console: &Arc<Console>, board: &Arc<ProgressBoard>, client: Option<&Client>) -> Self {
        let mode = console.mode();
        if mode == ProgressMode::Off {
            return Self { stop: None, thread: None, _echo_guard: None };
        }
        let (stop, stopped) = mpsc::channel();
        let (board, console, client) = (Arc::clone(board), Arc::clone(console), client.cloned());
        let thread = thread::spawn(move || {
            let mut view: Option<JobView> = None;
            let mut since_line = Stopwatch::start();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(job) = board.current() else {
                    view = None;
                    continue;
                };
                if view.as_ref().is_none_or(|view| !Arc::ptr_eq(&view.job, &job)) {
                    view = Some(JobView::new(job, client.clone(), console.bars()));
                }
                let Some(view) = &mut view else { continue };
                if let Some(estimate) = view.estimate() {
                    console.note(&estimate);
                }
                view.sample();
                if mode == ProgressMode::Bars {
                    view.draw();
                } else if since_line.elapsed() >= LINE_INTERVAL {
                    console.note(&view.line());
                    since_line = Stopwatch::start();
                }
            }
        });
        let no_echo = (mode == ProgressMode::Bars).then(EchoGuard::turn_off);
        Self { stop: Some(stop), thread: Some(thread), _echo_guard: no_echo }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread only draws: if it has panicked, nothing is lost.
            let _ = thread.join();
        }
    }
}

/// The stages of a job, in order; each overlaps the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StageKind {
    Listing,
    Details,
    Changes,
}

/// One stage of a job.
struct Stage {
    kind: StageKind,
    /// The endpoint that it calls, once that is known.
    calls: Option<StageCalls>,
    samples: VecDeque<Sample>,
    bar: ProgressBar,
}

/// The endpoint of a stage.
struct StageCalls {
    spec: &'static Spec,
    /// Calls that the process had sent before the job.
    sent_before: u64,
    /// Calls that were left of the day's quota before the job, where that is known.
    left_before: Option<u64>,
}

/// How many followers a stage has done at some time after the job's start.
struct Sample {
    at: Duration,
    done: u64,
}

/// A job with what is shown of it.
struct JobView {
    job: Arc<Job>,
    client: Option<Client>,
    stages: Vec<Stage>,
    is_estimate_shown: bool,
    bars: MultiProgress,
}

impl Drop for JobView {
    fn drop(&mut self) {
        for stage in &self.stages {
            stage.bar.finish_and_clear();
            self.bars.remove(&stage.bar);
        }
        // This fails only if the terminal was closed.
        let _ = self.bars.clear();
    }
}

impl JobView {
    fn new(job: Arc<Job>, client: Option<Client>, bars: &MultiProgress) -> Self {
        Self { job, client, stages: Vec::new(), is_estimate_shown: false, bars: bars.clone() }
    }

    /// The calls that the job will take, once, if they are many.
    fn estimate(&mut self) -> Option<String> {
        let estimates = self.job.cost.get().filter(|_| !self.is_estimate_shown)?;
        self.is_estimate_shown = true;
        let worth = estimates.iter().any(|estimate| estimate.calls > MIN_SHOWN_CALLS);
        let lines: Vec<String> = estimates.iter().map(|estimate| format!("\n  {estimate}")).collect();
        worth.then(|| format!("{} takes at most{}", title(&self.job), lines.concat()))
    }

    /// Reads the counts; a stage is shown once it has done something.
    fn sample(&mut self) {
        let style = ProgressStyle::with_template("{prefix:8} {bar:16} {wide_msg}");
        for kind in [StageKind::Listing, StageKind::Details, StageKind::Changes] {
            let done = self.done(kind);
            let at = self.stages.iter().position(|stage| stage.kind == kind);
            let at = match at {
                Some(at) => at,
                None if done > 0 => {
                    let bar = self.bars.add(ProgressBar::new(0));
                    if let Ok(style) = &style {
                        bar.set_style(style.clone());
                    }
                    bar.set_prefix(match kind {
                        StageKind::Listing => "listed",
                        StageKind::Details => "details",
                        StageKind::Changes => "changed",
                    });
                    self.stages.push(Stage { kind, calls: None, samples: VecDeque::new(), bar });
                    self.stages.len() - 1
                }
                None => continue,
            };
            if self.stages[at].calls.is_none() {
                self.stages[at].calls = self.calls_of(kind);
            }
            let samples = &mut self.stages[at].samples;
            samples.push_back(Sample { at: self.job.elapsed(), done });
            if samples.len() > MAX_SAMPLES {
                samples.pop_front();
            }
        }
    }

    /// The endpoint of a stage, as the estimate names it.
    fn calls_of(&self, kind: StageKind) -> Option<StageCalls> {
        let estimates = self.job.cost.get()?;
        let is_of = |spec: &Spec| match kind {
            StageKind::Listing => spec.cursor.is_some(),
            StageKind::Details => spec.name == user::Batch::SPEC.name,
            StageKind::Changes => spec.kind == CallKind::Write,
        };
        let specs = api::all();
        let found = estimates.iter().find_map(|estimate| {
            let spec = specs.iter().find(|spec| spec.call() == estimate.call)?;
            is_of(spec).then_some((*spec, estimate.left))
        });
        let (spec, left_before) = found?;
        let sent_before = self.client.as_ref().map_or(0, |client| client.tally().of(spec).0);
        Some(StageCalls { spec, sent_before, left_before })
    }

    fn done(&self, kind: StageKind) -> u64 {
        let counts = &self.job.counts;
        match kind {
            StageKind::Listing => Counters::read(&counts.listed),
            StageKind::Details => Counters::read(&counts.fetched),
            StageKind::Changes => Counters::read(&counts.changed),
        }
    }

    /// How many followers a stage has to do, as far as that is known.
    fn total(&self, kind: StageKind) -> u64 {
        let counts = &self.job.counts;
        match kind {
            StageKind::Listing | StageKind::Details => {
                let total = self.job.max_listed.map_or(Counters::read(&counts.total), |max| {
                    Counters::read(&counts.total).min(max as u64)
                });
                total.max(Counters::read(&counts.listed))
            }
            StageKind::Changes => {
                Counters::read(&counts.matched).saturating_sub(Counters::read(&counts.already))
            }
        }
    }

    fn draw(&self) {
        for stage in &self.stages {
            stage.bar.set_length(self.total(stage.kind));
            stage.bar.set_position(self.done(stage.kind));
            stage.bar.set_message(self.numbers(stage));
            stage.bar.tick();
        }
    }

    /// Rate, calls in flight, and the time and quota that are left.
    fn numbers(&self, stage: &Stage) -> String {
        let (done, total) = (self.done(stage.kind), self.total(stage.kind));
        if self.client.as_ref().is_some_and(Client::is_waiting_for_reset) {
            return format!(
                "{} of {}  waiting for the next day's quota",
                with_thousands(done),
                with_thousands(total)
            );
        }
        let mut text = format!("{} of {}", with_thousands(done), with_thousands(total));
        if let Some(rate) = stage.rate() {
            text.push_str(&format!("  {}/s", with_thousands(rate)));
            let left = total.saturating_sub(done);
            if stage.kind != StageKind::Changes && rate > 0 && left > 0 {
                text.push_str(&format!("  {} left", seconds(left.div_ceil(rate))));
            }
        }
        if let (Some(calls), Some(client)) = (&stage.calls, &self.client) {
            let (sent, in_flight) = client.tally().of(calls.spec);
            text.push_str(&format!("  {in_flight} in flight"));
            if let Some(left) = calls.left_before {
                let left = left.saturating_sub(sent.saturating_sub(calls.sent_before));
                text.push_str(&format!("  {} calls left", with_thousands(left)));
            }
        }
        text
    }

    /// Every stage in one line.
    fn line(&self) -> String {
        let counts = &self.job.counts;
        let read = |count| with_thousands(Counters::read(count));
        let failed = match Counters::read(&counts.failed) {
            0 => String::new(),
            failed => format!(", {} failed", with_thousands(failed)),
        };
        let stages: Vec<String> = self
            .stages
            .iter()
            .map(|stage| format!("{} {}", stage.bar.prefix(), self.numbers(stage).replace("  ", ", ")))
            .collect();
        let matched = read(&counts.matched);
        format!("{}: {matched} matched{failed}; {}", title(&self.job), stages.join("; "))
    }
}

impl Stage {
    /// Followers a second, over the last samples.
    fn rate(&self) -> Option<u64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let took = u64::try_from(last.at.saturating_sub(first.at).as_millis()).ok();
        let took = took.filter(|took| *took >= 500)?;
        Some(last.done.saturating_sub(first.done) * 1_000 / took)
    }
}

fn seconds(left: u64) -> String {
    match left {
        0..60 => format!("{left} s"),
        60..3_600 => format!("{} min {} s", left / 60, left % 60),
        _ => format!("{} h {} min", left / 3_600, left % 3_600 / 60),
    }
}

fn title(job: &Job) -> String {
    let target = job.target.as_ref().map(|target| format!(" {}", target.quoted())).unwrap_or_default();
    plain_line(&format!("{}{target}", job.operation)).into_owned()
}
