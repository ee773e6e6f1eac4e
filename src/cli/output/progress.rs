//! How far the running job is: a line for each of its stages on a terminal, a line now and then elsewhere.

use crate::{
    api::{Endpoint, Spec, user},
    base::{Stopwatch, with_thousands},
    bulk::{Board, Counters, Job},
    client::Client,
    host::{EchoGuard, Host, Stream},
    script::Output,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// Between two looks at the board.
const TICK: Duration = Duration::from_millis(100);

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A job that takes more calls than this of one endpoint says so before it starts.
const WORTH_SAYING: u64 = 1_000;

/// Looks that a rate is reckoned over.
const LOOKS: usize = 30;

/// Draws progress until it is dropped; scripts print above it.
pub(crate) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Ends after all is drawn.
    _echo_guard: Option<EchoGuard>,
}

/// What scripts print, and the bars that must step aside for it.
pub(crate) struct Words {
    out: Stream,
    err: Stream,
    bars: MultiProgress,
    is_asking: AtomicBool,
}

impl Words {
    /// Words to a person, with bars where they are drawn.
    pub(crate) fn new(host: &Host, is_drawn: bool) -> Arc<Self> {
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let (out, err) = (host.out.clone(), host.err.clone());
        Arc::new(Self { out, err, bars, is_asking: AtomicBool::new(false) })
    }

    /// Asks something; nothing is drawn over the question before it is answered.
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
                // Nobody has ended the question's line.
                self.err.write("\n");
            }
            answer
        })
    }

    /// Says that work stops; at a question there is none to wait for.
    pub(crate) fn stopping(&self) {
        if !self.is_asking.load(Ordering::SeqCst) {
            self.debug("stopping: answers on their way are waited for (Ctrl-C again to leave at once)");
        }
    }
}

impl Output for Words {
    fn print(&self, text: &str) {
        self.bars.suspend(|| self.out.line(text));
    }

    fn debug(&self, text: &str) {
        self.bars.suspend(|| self.err.line(text));
    }
}

impl Progress {
    /// Begins to watch the board; the bars step aside for these words.
    pub(crate) fn start(
        words: &Words,
        board: &Arc<Board>,
        client: Option<&Client>,
        is_drawn: bool,
        quiet: bool,
    ) -> Self {
        if quiet {
            return Self { stop: None, thread: None, _echo_guard: None };
        }
        let (stop, stopped) = mpsc::channel();
        let (board, err, client) = (Arc::clone(board), words.err.clone(), client.cloned());
        let bars = words.bars.clone();
        let thread = thread::spawn(move || {
            let mut watched: Option<Watched> = None;
            let mut since_line = Stopwatch::start();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(job) = board.current() else {
                    watched = None;
                    continue;
                };
                if watched.as_ref().is_none_or(|watched| !Arc::ptr_eq(&watched.job, &job)) {
                    watched = Some(Watched::new(job, client.clone(), &bars));
                }
                let Some(watched) = &mut watched else { continue };
                if let Some(cost) = watched.cost() {
                    bars.suspend(|| err.line(&cost));
                }
                watched.look();
                if is_drawn {
                    watched.draw();
                } else if since_line.elapsed() >= LINE_EVERY {
                    err.line(&watched.line());
                    since_line = Stopwatch::start();
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread), _echo_guard: is_drawn.then(EchoGuard::turn_off) }
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

/// What a job does one after another, each overlapping the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Listing,
    Details,
    Changes,
}

/// One stage of a job.
struct Stage {
    kind: Kind,
    /// The endpoint that it calls, once that is known, with the calls of it before and those that were left then.
    call: Option<(&'static Spec, u64, Option<u64>)>,
    looks: VecDeque<(Duration, u64)>,
    bar: ProgressBar,
}

/// A job that is being looked at.
struct Watched {
    job: Arc<Job>,
    client: Option<Client>,
    stages: Vec<Stage>,
    is_cost_said: bool,
    bars: MultiProgress,
}

impl Drop for Watched {
    fn drop(&mut self) {
        for stage in &self.stages {
            stage.bar.finish_and_clear();
            self.bars.remove(&stage.bar);
        }
        // What can't be cleared is gone with the terminal.
        let _ = self.bars.clear();
    }
}

impl Watched {
    fn new(job: Arc<Job>, client: Option<Client>, bars: &MultiProgress) -> Self {
        Self { job, client, stages: Vec::new(), is_cost_said: false, bars: bars.clone() }
    }

    /// What the job will cost, once, where that is worth saying.
    fn cost(&mut self) -> Option<String> {
        let estimates = self.job.cost.get().filter(|_| !self.is_cost_said)?;
        self.is_cost_said = true;
        let worth = estimates.iter().any(|estimate| estimate.calls > WORTH_SAYING);
        let lines: Vec<String> = estimates.iter().map(|estimate| format!("\n  {estimate}")).collect();
        worth.then(|| format!("{} takes at most{}", title(&self.job), lines.concat()))
    }

    /// Looks at the counts; a stage is shown from when it begins.
    fn look(&mut self) {
        let style = ProgressStyle::with_template("{prefix:8} {bar:16} {wide_msg}");
        for kind in [Kind::Listing, Kind::Details, Kind::Changes] {
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
                        Kind::Listing => "listed",
                        Kind::Details => "details",
                        Kind::Changes => "changed",
                    });
                    self.stages.push(Stage { kind, call: None, looks: VecDeque::new(), bar });
                    self.stages.len() - 1
                }
                None => continue,
            };
            if self.stages[at].call.is_none() {
                self.stages[at].call = self.call_of(kind);
            }
            let looks = &mut self.stages[at].looks;
            looks.push_back((self.job.elapsed(), done));
            if looks.len() > LOOKS {
                looks.pop_front();
            }
        }
    }

    /// The endpoint of a stage, as the estimate names it.
    fn call_of(&self, kind: Kind) -> Option<(&'static Spec, u64, Option<u64>)> {
        let estimates = self.job.cost.get()?;
        let is_of = |spec: &Spec| match kind {
            Kind::Listing => spec.name.ends_with("::list") || spec.name == "tag::members",
            Kind::Details => spec.name == user::Batch::SPEC.name,
            Kind::Changes => spec.kind == crate::api::CallKind::Write,
        };
        let specs = crate::api::all();
        let found = estimates.iter().find_map(|estimate| {
            let spec = specs
                .iter()
                .find(|spec| format!("{} {}", spec.method.as_str(), spec.path) == estimate.call)?;
            is_of(spec).then_some((*spec, estimate.left))
        });
        let (spec, left) = found?;
        let before = self.client.as_ref().map_or(0, |client| client.tally().of(spec).0);
        Some((spec, before, left))
    }

    fn done(&self, kind: Kind) -> u64 {
        let counts = &self.job.counts;
        match kind {
            Kind::Listing => Counters::read(&counts.listed),
            Kind::Details => Counters::read(&counts.fetched),
            Kind::Changes => Counters::read(&counts.changed),
        }
    }

    /// How many a stage has to do, where that is known.
    fn total(&self, kind: Kind) -> u64 {
        let counts = &self.job.counts;
        match kind {
            Kind::Listing | Kind::Details => {
                let total = self.job.most.map_or(Counters::read(&counts.total), |most| {
                    Counters::read(&counts.total).min(most as u64)
                });
                total.max(Counters::read(&counts.listed))
            }
            Kind::Changes => Counters::read(&counts.matched).saturating_sub(Counters::read(&counts.already)),
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

    /// Rate, calls under way, time and quota that are left.
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
            if stage.kind != Kind::Changes && rate > 0 && left > 0 {
                text.push_str(&format!("  {} left", seconds(left.div_ceil(rate))));
            }
        }
        if let (Some((spec, before, left)), Some(client)) = (&stage.call, &self.client) {
            let (sent, under_way) = client.tally().of(spec);
            text.push_str(&format!("  {under_way} in flight"));
            if let Some(left) = left {
                let left = left.saturating_sub(sent.saturating_sub(*before));
                text.push_str(&format!("  {} calls left", with_thousands(left)));
            }
        }
        text
    }

    /// All of it in one line.
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
    /// How many a second, over the last few looks.
    fn rate(&self) -> Option<u64> {
        let ((first, from), (last, to)) = (self.looks.front()?, self.looks.back()?);
        let took = u64::try_from(last.saturating_sub(*first).as_millis()).ok().filter(|took| *took >= 500)?;
        Some(to.saturating_sub(*from) * 1_000 / took)
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
    let target = job.target.as_ref().map(|target| format!(" `{target}`")).unwrap_or_default();
    format!("{}{target}", job.end)
}
