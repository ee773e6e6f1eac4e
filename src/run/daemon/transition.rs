//! What becomes of a fire, decided from states alone: a run has ended, an open fire was found in the store, a fire is due
//! while another one runs. Must never know the store, the clock or the log; the callers carry the decisions out.
//!
//! One file because each decision stands beside the table that tests it, and all are read together.

use crate::{
    script::Overlap,
    store::{FireState, RunState},
};
use std::time::Duration;

/// The delay of the first retry; it doubles with each further one.
const INITIAL_RETRY_DELAY: Duration = Duration::from_secs(10);

/// The longest delay of a retry.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(10);

/// A run that was fenced, or whose store failed or whose process did not start, in this many attempts is left to a person.
const MAX_ATTEMPTS: i64 = 20;

/// A run whose process has died more often than this is given up.
const MAX_CRASHES: i64 = 4;

/// The delay after the first attempt whose process has died or did not start; it doubles with each further one.
const INITIAL_CRASH_DELAY: Duration = Duration::from_secs(1);

/// The delay after which a run is tried again whose account can't be called.
const ACCOUNT_RETRY_DELAY: Duration = Duration::from_mins(1);

/// A fire that was claimed this long after its start was due while no daemon was running. It is one of a backlog, which
/// runs one after another, whatever `overlap` says of fires in time.
const DOWNTIME_THRESHOLD: Duration = Duration::from_secs(5);

/// Why the daemon asked a run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// It took longer than the automation's timeout.
    TimedOut,
    /// The daemon shuts down.
    ShuttingDown,
    /// A later fire of the automation replaces it.
    Replaced,
}

/// A run of this process that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedRun {
    pub state: RunState,
    /// Why the daemon had asked it to stop, if it had.
    pub stop: Option<StopReason>,
    /// The number of its last attempt, if it was parked only because its attempt was fenced or its journal could not be
    /// written: a new attempt can resume it.
    pub lost_in_attempt: Option<i64>,
    /// Its failures that are counted so far.
    pub failures: i64,
    /// How many failures the automation retries.
    pub retries: i64,
}

/// How a fire is closed whose run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// Its run did everything.
    Done,
    /// Some openids failed.
    DoneWithFailures,
}

impl From<Completed> for FireState {
    fn from(completed: Completed) -> Self {
        match completed {
            Completed::Done => Self::Done,
            Completed::DoneWithFailures => Self::DoneWithFailures,
        }
    }
}

/// How a fire is closed whose run is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Its run failed, and is not retried.
    Failed,
    /// Its run waits for a person's decision.
    Parked,
}

impl From<GivenUp> for FireState {
    fn from(given_up: GivenUp) -> Self {
        match given_up {
            GivenUp::Failed => Self::Failed,
            GivenUp::Parked => Self::Parked,
        }
    }
}

/// What becomes of the fire of an ended run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FireTransition {
    /// The fire is closed as completed, and the success is reported.
    Complete(Completed),
    /// The fire is closed as stopped, for this reason.
    Stop(&'static str),
    /// The fire is closed as failed, and the failure is reported.
    Fail(GivenUp),
    /// The fire is closed as timed out, and that is reported as a failure.
    TimeOut,
    /// The run is resumed after a delay; `failures` is what is counted from now on.
    Retry { failures: i64, after: Duration },
    /// The run is resumed after a delay, and nothing is counted.
    Resume { after: Duration },
    /// The run is resumed after a delay; `crashes` is what is counted from now on.
    RetryCrashed { crashes: i64, after: Duration },
    /// The run's process dies at each attempt: the automation is paused, and the fire is closed as failed.
    FailCrashLoop { crashes: i64 },
    /// The record of the run was deleted: the fire is closed as failed, and nothing is reported.
    Abandon,
    /// The fire stays open for the process that comes next, which resumes the run.
    HandOver,
    /// The fire stays open, and recovery decides.
    Leave,
}

/// What becomes of the fire of a run that has ended in this process.
pub(super) fn after_run(run: EndedRun) -> FireTransition {
    use FireTransition::{Complete, Fail, HandOver, Leave, Resume, Retry, Stop, TimeOut};
    match (run.state, run.stop) {
        (RunState::Done, _) => Complete(Completed::Done),
        (RunState::DoneWithFailures, _) => Complete(Completed::DoneWithFailures),
        (RunState::Cancelled, Some(StopReason::ShuttingDown)) => HandOver,
        (RunState::Cancelled, Some(StopReason::TimedOut)) => TimeOut,
        (RunState::Cancelled, Some(StopReason::Replaced)) => Stop(REPLACED),
        (RunState::Cancelled, None) => Stop("stopped on request"),
        (RunState::Parked, None) => match run.lost_in_attempt {
            Some(attempt) if attempt <= MAX_ATTEMPTS => Resume { after: retry_delay(attempt) },
            Some(_) | None => Fail(GivenUp::Parked),
        },
        (RunState::Parked, Some(_)) => Fail(GivenUp::Parked),
        // The day's quota is used up: that is not counted as a failure of the run.
        (RunState::Paused, _) => Retry { failures: run.failures, after: MAX_RETRY_DELAY },
        (RunState::Error, _) if run.failures < run.retries => {
            let failures = run.failures + 1;
            Retry { failures, after: retry_delay(failures) }
        }
        (RunState::Error, _) => Fail(GivenUp::Failed),
        (RunState::Running | RunState::Interrupted, _) => Leave,
    }
}

/// What becomes of the fire of a run whose process has died while it was running. A death is that run's alone: it counts
/// however long the attempt had been going, and only the end of the run ends the count.
pub(super) fn after_death(stop: Option<StopReason>, crashes: i64) -> FireTransition {
    let crashes = crashes + 1;
    match stop {
        Some(StopReason::ShuttingDown) => FireTransition::HandOver,
        Some(StopReason::TimedOut) => FireTransition::TimeOut,
        Some(StopReason::Replaced) => FireTransition::Stop(REPLACED),
        None if crashes > MAX_CRASHES => FireTransition::FailCrashLoop { crashes },
        None => FireTransition::RetryCrashed { crashes, after: doubled(INITIAL_CRASH_DELAY, crashes) },
    }
}

/// What becomes of the fire of a run whose process could not start its script: that is not the run's doing.
pub(super) fn after_failed_start(stop: Option<StopReason>, attempt: i64) -> FireTransition {
    match stop {
        Some(StopReason::ShuttingDown) => FireTransition::HandOver,
        Some(StopReason::TimedOut) => FireTransition::TimeOut,
        Some(StopReason::Replaced) => FireTransition::Stop(REPLACED),
        None if attempt <= MAX_ATTEMPTS => {
            FireTransition::Resume { after: doubled(INITIAL_CRASH_DELAY, attempt) }
        }
        None => FireTransition::Fail(GivenUp::Failed),
    }
}

/// The reason of a fire that a later one replaces.
pub(super) const REPLACED: &str = "replaced by a later fire";

/// Why a run is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeCause {
    /// Its process is dead, or has lost it.
    Adopted,
    /// This process has queued it for another attempt.
    Queued,
}

/// The recorded run of an open fire, which no process runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordedRun {
    pub state: RunState,
    /// Whether it ended after the fire was written last: its failure is not counted there.
    pub ended_since: bool,
    /// Whether another run undoes it.
    pub is_undone: bool,
    pub failures: i64,
    pub retries: i64,
}

/// What becomes of an open fire whose run is not running in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecoveryTransition {
    /// Another process runs it.
    Leave,
    /// The fire is closed as completed, and the success is reported.
    Complete(Completed),
    /// The fire is closed as failed, and the failure is reported.
    Fail(GivenUp),
    /// The fire is closed as stopped: an undone run is not resumed.
    StopUndone,
    /// The run is resumed; this count is recorded first.
    Resume { failures: i64 },
}

/// What becomes of an open fire whose run is not running in this process. Nothing is counted as the run's crash: the
/// process that died was its daemon's, with all runs of it, and which of them is to blame, if any, is not known.
pub(super) fn recover(run: RecordedRun, cause: ResumeCause) -> RecoveryTransition {
    use RecoveryTransition::{Complete, Fail, Leave, Resume, StopUndone};
    let mut failures = run.failures;
    match (run.state, cause) {
        (RunState::Running, _) => return Leave,
        (RunState::Done, _) => return Complete(Completed::Done),
        (RunState::DoneWithFailures, _) => return Complete(Completed::DoneWithFailures),
        (RunState::Parked, ResumeCause::Adopted) => return Fail(GivenUp::Parked),
        (RunState::Error, _) if run.ended_since => failures += 1,
        (RunState::Error | RunState::Cancelled | RunState::Paused | RunState::Interrupted, _)
        | (RunState::Parked, ResumeCause::Queued) => {}
    }
    if failures > run.retries {
        Fail(GivenUp::Failed)
    } else if run.is_undone {
        StopUndone
    } else {
        Resume { failures }
    }
}

/// What becomes of a fire whose run can't be resumed because its account can't be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutAccount {
    /// The run is tried again after a delay.
    Retry { after: Duration },
    /// The fire is closed as failed, and the failure is reported.
    GiveUp,
}

/// What becomes of a fire whose run can't be resumed because its account can't be called. A half-finished run waits for
/// its account as long as it could have run.
pub(super) fn without_account(waited: Duration, timeout: Duration) -> WithoutAccount {
    if waited > timeout {
        WithoutAccount::GiveUp
    } else {
        WithoutAccount::Retry { after: ACCOUNT_RETRY_DELAY }
    }
}

/// The running fire that a due one meets; of several, the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunningFire {
    /// The due fire itself: the store committed its start, but the reply was lost.
    Same,
    /// Another fire of the same handler.
    Other,
    /// A fire of another handler of the automation.
    OtherHandler,
}

/// What becomes of a due fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartTransition {
    /// Its run is started.
    Start,
    /// It was started before.
    Started,
    /// It is closed as skipped.
    Skip,
    /// It waits for the running one.
    Wait,
    /// The running one is stopped, and it waits for that.
    Replace,
}

/// Whether a fire that was claimed this long after its start is one of a backlog.
pub(super) fn is_backlog(claimed_after: Duration) -> bool {
    claimed_after >= DOWNTIME_THRESHOLD
}

/// What becomes of a due fire that meets a running one of its automation, and was claimed this long after its start.
pub(super) fn on_due(overlap: Overlap, running: RunningFire, claimed_after: Duration) -> StartTransition {
    let is_backlog = is_backlog(claimed_after);
    match (running, overlap) {
        (_, Overlap::Parallel) => StartTransition::Start,
        (RunningFire::Same, _) => StartTransition::Started,
        (RunningFire::Other, Overlap::Forbid) if !is_backlog => StartTransition::Skip,
        (RunningFire::Other, Overlap::Replace) => StartTransition::Replace,
        // Handlers share `ctx.state`: they run one after another, and none takes another's fire.
        (RunningFire::OtherHandler, _) | (RunningFire::Other, Overlap::Forbid | Overlap::Queue) => {
            StartTransition::Wait
        }
    }
}

/// How many runs there are and may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Those of the automation.
    pub of_automation: usize,
    /// The most of them.
    pub max_of_automation: usize,
    /// Those of the daemon.
    pub taken: usize,
    /// The most of them.
    pub max: usize,
}

/// Whether one more run may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may.
    Start,
    /// The daemon has no place: it waits for a run to end.
    Wait,
    /// The automation has its share: its fire is skipped.
    Skip,
}

/// Whether one more run of an automation may start. The first run of each has all places; further ones, of parallel
/// automations, have half of them, so that those whose runs never end leave room for the others.
pub(super) fn admit(places: Places) -> Admission {
    let Places { of_automation, max_of_automation, taken, max } = places;
    match of_automation {
        0 if taken < max => Admission::Start,
        0 => Admission::Wait,
        own if own < max_of_automation && taken < max / 2 => Admission::Start,
        _ => Admission::Skip,
    }
}

/// The delay before an attempt that follows `failures` failed ones.
fn retry_delay(failures: i64) -> Duration {
    doubled(INITIAL_RETRY_DELAY, failures)
}

/// A delay that was doubled with each of `count` attempts after the first.
fn doubled(initial: Duration, count: i64) -> Duration {
    let doublings = u32::try_from(count.clamp(1, 16) - 1).unwrap_or_default();
    (initial * (1 << doublings)).min(MAX_RETRY_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ended_run_closes_retries_or_leaves_its_fire() {
        use FireTransition::{Complete, Fail, HandOver, Leave, Resume, Retry, Stop, TimeOut};
        use StopReason::{Replaced, ShuttingDown, TimedOut};
        let quota = MAX_RETRY_DELAY;
        // State, stop reason, failures so far and retries allowed; transition.
        let table = [
            (RunState::Done, None, 0, 0, Complete(Completed::Done)),
            // What was asked to stop and is done all the same, is done.
            (RunState::Done, Some(TimedOut), 0, 0, Complete(Completed::Done)),
            (RunState::Done, Some(ShuttingDown), 0, 0, Complete(Completed::Done)),
            (RunState::Done, Some(Replaced), 0, 0, Complete(Completed::Done)),
            (RunState::DoneWithFailures, None, 0, 0, Complete(Completed::DoneWithFailures)),
            (RunState::Cancelled, Some(ShuttingDown), 0, 0, HandOver),
            (RunState::Cancelled, Some(TimedOut), 0, 3, TimeOut),
            (RunState::Cancelled, Some(Replaced), 0, 3, Stop(REPLACED)),
            (RunState::Cancelled, None, 0, 3, Stop("stopped on request")),
            (RunState::Parked, None, 0, 3, Fail(GivenUp::Parked)),
            (RunState::Parked, Some(ShuttingDown), 0, 3, Fail(GivenUp::Parked)),
            (RunState::Paused, None, 0, 0, Retry { failures: 0, after: quota }),
            (RunState::Paused, None, 3, 3, Retry { failures: 3, after: quota }),
            (RunState::Paused, Some(ShuttingDown), 0, 0, Retry { failures: 0, after: quota }),
            (RunState::Error, None, 0, 0, Fail(GivenUp::Failed)),
            (RunState::Error, None, 0, 3, Retry { failures: 1, after: SECOND * 10 }),
            (RunState::Error, None, 2, 3, Retry { failures: 3, after: SECOND * 40 }),
            (RunState::Error, None, 3, 3, Fail(GivenUp::Failed)),
            (RunState::Error, Some(TimedOut), 0, 3, Retry { failures: 1, after: SECOND * 10 }),
            (RunState::Running, None, 0, 0, Leave),
            (RunState::Interrupted, None, 0, 0, Leave),
        ];
        for (state, stop, failures, retries, expected) in table {
            let run = EndedRun { state, stop, lost_in_attempt: None, failures, retries };
            assert_eq!(after_run(run), expected, "{run:?}");
        }
        // Attempt, stop reason; transition of a run that lost its journal.
        let table = [
            (1, None, Resume { after: SECOND * 10 }),
            (3, None, Resume { after: SECOND * 40 }),
            (20, None, Resume { after: MAX_RETRY_DELAY }),
            (21, None, Fail(GivenUp::Parked)),
            (1, Some(ShuttingDown), Fail(GivenUp::Parked)),
        ];
        for (attempt, stop, expected) in table {
            let state = RunState::Parked;
            let run = EndedRun { state, stop, lost_in_attempt: Some(attempt), failures: 0, retries: 0 };
            assert_eq!(after_run(run), expected, "{run:?}");
        }
    }

    #[test]
    fn open_fire_is_recovered_by_the_state_of_its_run() {
        use RecoveryTransition::{Complete, Fail, Leave, Resume, StopUndone};
        use ResumeCause::{Adopted, Queued};
        let run = |state: RunState| RecordedRun {
            state,
            ended_since: true,
            is_undone: false,
            failures: 0,
            retries: 2,
        };
        let resume = |failures: i64| Resume { failures };
        let table = [
            (run(RunState::Running), Adopted, Leave),
            (run(RunState::Running), Queued, Leave),
            (run(RunState::Done), Adopted, Complete(Completed::Done)),
            (run(RunState::DoneWithFailures), Queued, Complete(Completed::DoneWithFailures)),
            (run(RunState::Parked), Adopted, Fail(GivenUp::Parked)),
            // The store that has parked it may work again.
            (run(RunState::Parked), Queued, resume(0)),
            (run(RunState::Cancelled), Adopted, resume(0)),
            (run(RunState::Paused), Adopted, resume(0)),
            (run(RunState::Error), Adopted, resume(1)),
            // Its failure was counted when its retry was queued.
            (RecordedRun { ended_since: false, ..run(RunState::Error) }, Queued, resume(0)),
            (RecordedRun { failures: 2, ..run(RunState::Error) }, Adopted, Fail(GivenUp::Failed)),
            (RecordedRun { failures: 2, ended_since: false, ..run(RunState::Error) }, Queued, resume(2)),
            (RecordedRun { failures: 3, ..run(RunState::Paused) }, Adopted, Fail(GivenUp::Failed)),
            (run(RunState::Interrupted), Adopted, resume(0)),
            (run(RunState::Interrupted), Queued, resume(0)),
            (RecordedRun { is_undone: true, ..run(RunState::Interrupted) }, Adopted, StopUndone),
            (RecordedRun { is_undone: true, ..run(RunState::Error) }, Queued, StopUndone),
            (RecordedRun { is_undone: true, ..run(RunState::Done) }, Adopted, Complete(Completed::Done)),
        ];
        for (run, cause, expected) in table {
            assert_eq!(recover(run, cause), expected, "{run:?}, {cause:?}");
        }
    }

    #[test]
    fn death_is_counted_until_the_run_is_given_up() {
        use FireTransition::{FailCrashLoop, HandOver, RetryCrashed, Stop, TimeOut};
        let table = [
            (None, 0, RetryCrashed { crashes: 1, after: SECOND }),
            (None, 1, RetryCrashed { crashes: 2, after: SECOND * 2 }),
            (None, 3, RetryCrashed { crashes: 4, after: SECOND * 8 }),
            (None, 4, FailCrashLoop { crashes: 5 }),
            (Some(StopReason::ShuttingDown), 4, HandOver),
            (Some(StopReason::TimedOut), 4, TimeOut),
            (Some(StopReason::Replaced), 4, Stop(REPLACED)),
        ];
        for (stop, crashes, expected) in table {
            assert_eq!(after_death(stop, crashes), expected, "{stop:?}, {crashes}");
        }
    }

    #[test]
    fn failed_start_is_retried_and_counted_as_no_crash() {
        let table = [
            (None, 1, FireTransition::Resume { after: SECOND }),
            (None, 5, FireTransition::Resume { after: SECOND * 16 }),
            (None, 20, FireTransition::Resume { after: MAX_RETRY_DELAY }),
            (None, 21, FireTransition::Fail(GivenUp::Failed)),
            (Some(StopReason::ShuttingDown), 1, FireTransition::HandOver),
        ];
        for (stop, attempt, expected) in table {
            assert_eq!(after_failed_start(stop, attempt), expected, "{stop:?}, {attempt}");
        }
    }

    #[test]
    fn run_without_account_waits_as_long_as_its_timeout() {
        let hour = Duration::from_hours(1);
        let table = [
            (Duration::ZERO, WithoutAccount::Retry { after: ACCOUNT_RETRY_DELAY }),
            (hour, WithoutAccount::Retry { after: ACCOUNT_RETRY_DELAY }),
            (hour + Duration::from_millis(1), WithoutAccount::GiveUp),
        ];
        for (waited, expected) in table {
            assert_eq!(without_account(waited, hour), expected, "{waited:?}");
        }
    }

    #[test]
    fn due_fire_follows_overlap() {
        use Overlap::{Forbid, Parallel, Queue, Replace};
        use RunningFire::{Other, OtherHandler, Same};
        let table = [
            (Forbid, Same, 0, StartTransition::Started),
            (Queue, Same, 60_000, StartTransition::Started),
            (Replace, Same, 0, StartTransition::Started),
            (Parallel, Same, 0, StartTransition::Start),
            (Forbid, Other, 0, StartTransition::Skip),
            (Forbid, Other, 4_999, StartTransition::Skip),
            (Forbid, Other, 5_000, StartTransition::Wait),
            (Queue, Other, 0, StartTransition::Wait),
            (Queue, Other, 60_000, StartTransition::Wait),
            (Replace, Other, 0, StartTransition::Replace),
            (Replace, Other, 60_000, StartTransition::Replace),
            (Parallel, Other, 0, StartTransition::Start),
            (Forbid, OtherHandler, 0, StartTransition::Wait),
            (Queue, OtherHandler, 60_000, StartTransition::Wait),
            (Replace, OtherHandler, 0, StartTransition::Wait),
            (Parallel, OtherHandler, 0, StartTransition::Start),
        ];
        for (overlap, running, after, expected) in table {
            let claimed_after = Duration::from_millis(after);
            assert_eq!(
                on_due(overlap, running, claimed_after),
                expected,
                "{overlap:?}, {running:?}, {after}"
            );
        }
    }

    #[test]
    fn parallel_runs_leave_half_of_the_places_to_first_ones() {
        // Runs of the automation, all runs; admission, with 3 an automation and 10 a daemon.
        let table = [
            (0, 0, Admission::Start),
            (0, 9, Admission::Start),
            (0, 10, Admission::Wait),
            (0, 11, Admission::Wait),
            (1, 4, Admission::Start),
            (1, 5, Admission::Skip),
            (2, 2, Admission::Start),
            (3, 3, Admission::Skip),
        ];
        for (of_automation, taken, expected) in table {
            let places = Places { of_automation, max_of_automation: 3, taken, max: 10 };
            assert_eq!(admit(places), expected, "{places:?}");
        }
    }

    #[test]
    fn retry_delay_doubles_up_to_ten_minutes() {
        let seconds: Vec<u64> = (0..=9).map(|failures| retry_delay(failures).as_secs()).collect();
        assert_eq!(seconds, [10, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
    }
}
