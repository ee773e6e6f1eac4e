//! What becomes of the fire of a run of this process that has come to its end, and what is done with it then. Must never know
//! the store or the clock; the callers carry the decisions out.

use super::{
    log::Level,
    transition::{
        Completed, EndedRun, FireTransition, StopReason, after_death, after_failed_start, after_run,
    },
};
use crate::{
    base::EpochMs,
    run::worker::{RunEnded, RunOutcome},
    store::{Fire, FireKind, FireState, RunState},
};
use std::time::Duration;

/// How a fire ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FireEnd {
    pub state: FireState,
    /// On one line, for the fire's record and the log.
    pub reason: String,
    /// As `on_failure` is given it.
    pub message: String,
}

impl FireEnd {
    /// A failure whose reason is its message.
    pub(super) fn failed(state: FireState, reason: &str) -> Self {
        Self { state, reason: reason.to_owned(), message: reason.to_owned() }
    }
}

/// Why a fire is closed whose run can't be found.
pub(super) const RUN_DELETED: &str = "the record of its run was deleted";

/// What decides how a fire is closed once its run has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct FinishedRun {
    /// Why the daemon had asked it to stop, if it had.
    pub stop: Option<StopReason>,
    /// Its failures that are counted so far.
    pub failures: i64,
    /// How many failures the automation retries.
    pub retries: i64,
    /// The deaths of its process that are counted so far.
    pub crashes: i64,
}

/// The number of a run's last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastAttempt {
    /// The record of the run was deleted.
    Deleted,
    /// A process that has fenced one may have made others.
    Number(i64),
}

/// How an attempt of a run came to its end, with the number of the last attempt where what becomes of its fire depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// It ended in this state.
    Ended(RunState),
    /// It ended in this state because it has lost its journal.
    LostJournal(RunState, LastAttempt),
    /// It was not started.
    NotStarted(LastAttempt),
    /// Its end is not recorded.
    NotRecorded,
    /// Its process died.
    Died,
}

/// Whether a run has ended only because it has lost its journal: one that was asked to stop would have ended anyway.
pub(super) const fn has_lost_journal(ended: &RunEnded, stop: Option<StopReason>) -> bool {
    ended.lost_journal && stop.is_none()
}

/// How an attempt of a run came to its end; the last one is asked for only where it is needed.
pub(super) fn attempt_end<E>(
    outcome: &RunOutcome,
    stop: Option<StopReason>,
    last_attempt: impl FnOnce() -> Result<LastAttempt, E>,
) -> Result<AttemptEnd, E> {
    Ok(match outcome {
        RunOutcome::Ended(ended) if has_lost_journal(ended, stop) => {
            AttemptEnd::LostJournal(ended.state, last_attempt()?)
        }
        RunOutcome::Ended(ended) => AttemptEnd::Ended(ended.state),
        RunOutcome::NotStarted(_) => AttemptEnd::NotStarted(last_attempt()?),
        RunOutcome::NotRecorded(_) => AttemptEnd::NotRecorded,
        RunOutcome::Died(_) => AttemptEnd::Died,
    })
}

/// What becomes of the fire of a run that has come to its end in this process.
pub(super) fn after_end(end: AttemptEnd, run: FinishedRun) -> FireTransition {
    let FinishedRun { stop, failures, retries, crashes } = run;
    let after_run =
        |state, lost_in_attempt| after_run(EndedRun { state, stop, lost_in_attempt, failures, retries });
    match end {
        AttemptEnd::LostJournal(_, LastAttempt::Deleted) | AttemptEnd::NotStarted(LastAttempt::Deleted) => {
            FireTransition::Abandon
        }
        AttemptEnd::Ended(state) => after_run(state, None),
        AttemptEnd::LostJournal(state, LastAttempt::Number(attempt)) => after_run(state, Some(attempt)),
        AttemptEnd::NotStarted(LastAttempt::Number(attempt)) => after_failed_start(stop, attempt),
        // Without a recorded end the run is resumed when its heartbeat has expired.
        AttemptEnd::NotRecorded => FireTransition::Leave,
        AttemptEnd::Died => after_death(stop, crashes),
    }
}

/// What is reported of a run's end, without secrets.
#[derive(Clone, Debug)]
pub(super) struct ReportedEnd {
    /// What went wrong, on one line.
    pub why: String,
    /// What went wrong, as `on_failure` is given it.
    pub message: String,
    /// How many followers it has changed.
    pub changed: u64,
    /// The automation's timeout, where it is known.
    pub timeout: Option<Duration>,
}

/// What is done with the fire of a run that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FireChange {
    /// It is closed as completed, with this note.
    Complete(Completed, String),
    /// It is closed, and nothing is reported.
    Close(FireState, &'static str),
    /// It is closed, and the failure is reported.
    Fail(FireEnd),
    /// The automation is paused, the fire is closed, and the failure is reported.
    PauseAndFail(FireEnd),
    /// This is recorded of it, and its run is resumed after a delay.
    Retry { counted: Box<Fire>, after: Duration, level: Level, text: String },
    /// Its run is resumed after a delay.
    Resume { after: Duration },
    /// It stays open for the process that comes next.
    HandOver,
    /// It stays open.
    Leave,
}

/// What is done with the fire of a run, by what becomes of it.
pub(super) fn change(
    transition: FireTransition,
    fire: &Fire,
    reported: ReportedEnd,
    now: EpochMs,
) -> FireChange {
    match transition {
        FireTransition::Complete(completed) => {
            let note =
                if reported.changed > 0 { format!("{} changed", reported.changed) } else { String::new() };
            FireChange::Complete(completed, note)
        }
        FireTransition::Stop(reason) => FireChange::Close(FireState::Stopped, reason),
        FireTransition::Abandon => FireChange::Close(FireState::Failed, RUN_DELETED),
        FireTransition::TimeOut => {
            let timeout = reported.timeout.map(|timeout| humantime::format_duration(timeout).to_string());
            let reason = format!("it took longer than {}", timeout.unwrap_or_default());
            FireChange::Fail(FireEnd::failed(FireState::TimedOut, &reason))
        }
        FireTransition::Fail(given_up) => {
            let ReportedEnd { why, message, .. } = reported;
            FireChange::Fail(FireEnd { state: given_up.into(), reason: why, message })
        }
        FireTransition::Retry { failures, after } => FireChange::Retry {
            counted: Box::new(Fire { failures, updated_at: now, ..fire.clone() }),
            after,
            level: Level::Warn,
            text: format!("failed: {}; retried in {}", reported.why, humantime::format_duration(after)),
        },
        FireTransition::RetryCrashed { crashes, after } => FireChange::Retry {
            counted: Box::new(Fire { crashes, updated_at: now, ..fire.clone() }),
            after,
            level: Level::Error,
            text: format!("{}; resumed in {}", reported.why, humantime::format_duration(after)),
        },
        FireTransition::FailCrashLoop { crashes } => {
            let name = &fire.automation.name;
            let note = format!(
                "its process has died {crashes} times while it was running; the automation is paused: mpscript unpause \
                 {name}"
            );
            FireChange::PauseAndFail(FireEnd::failed(FireState::Failed, &note))
        }
        FireTransition::Resume { after } => FireChange::Resume { after },
        FireTransition::HandOver => FireChange::HandOver,
        FireTransition::Leave => FireChange::Leave,
    }
}

/// Whether the failure of a fire is reported to its automation's `on_failure`: that of an `on_failure` is not reported to
/// another one.
pub(super) fn is_reported(kind: FireKind, has_failure_hook: bool) -> bool {
    has_failure_hook && kind != FireKind::FailureHook
}

#[cfg(test)]
mod tests {
    use super::{super::transition::GivenUp, *};
    use crate::store::AutomationId;

    const SECOND: Duration = Duration::from_secs(1);

    const RUN: FinishedRun = FinishedRun { stop: None, failures: 0, retries: 2, crashes: 0 };

    fn ended(state: RunState) -> RunOutcome {
        let (why, message) = ("日报.rhai:2:18: 没有表格".to_owned(), "没有表格".to_owned());
        RunOutcome::Ended(RunEnded { state, why, message, changed: 0, lost_journal: false })
    }

    fn lost_journal() -> RunOutcome {
        let ended = RunEnded {
            state: RunState::Parked,
            why: "被取代".to_owned(),
            message: "被取代".to_owned(),
            changed: 0,
            lost_journal: true,
        };
        RunOutcome::Ended(ended)
    }

    fn not_started() -> RunOutcome {
        RunOutcome::NotStarted("没有线程".to_owned())
    }

    const DELETED: Result<LastAttempt, ()> = Ok(LastAttempt::Deleted);

    #[test]
    fn ended_run_needs_no_last_attempt() {
        let end = attempt_end(&ended(RunState::Error), None, || DELETED);
        assert_eq!(end, Ok(AttemptEnd::Ended(RunState::Error)));
    }

    #[test]
    fn run_that_lost_its_journal_needs_its_last_attempt() {
        let end = attempt_end(&lost_journal(), None, || DELETED);
        assert_eq!(end, Ok(AttemptEnd::LostJournal(RunState::Parked, LastAttempt::Deleted)));
    }

    #[test]
    fn run_that_lost_its_journal_when_it_was_stopped_needs_no_last_attempt() {
        let end = attempt_end(&lost_journal(), Some(StopReason::ShuttingDown), || DELETED);
        assert_eq!(end, Ok(AttemptEnd::Ended(RunState::Parked)));
    }

    #[test]
    fn run_that_was_not_started_needs_its_last_attempt() {
        let end = attempt_end(&not_started(), Some(StopReason::ShuttingDown), || DELETED);
        assert_eq!(end, Ok(AttemptEnd::NotStarted(LastAttempt::Deleted)));
    }

    #[test]
    fn run_whose_last_attempt_cannot_be_read_has_no_end_yet() {
        assert_eq!(attempt_end(&not_started(), None, || Err("锁住")), Err("锁住"));
    }

    #[test]
    fn run_without_a_recorded_end_needs_no_last_attempt() {
        let end = attempt_end(&RunOutcome::NotRecorded("满了".to_owned()), None, || DELETED);
        assert_eq!(end, Ok(AttemptEnd::NotRecorded));
    }

    #[test]
    fn run_whose_process_died_needs_no_last_attempt() {
        let end = attempt_end(&RunOutcome::Died("没了".to_owned()), None, || DELETED);
        assert_eq!(end, Ok(AttemptEnd::Died));
    }

    #[test]
    fn ended_run_follows_its_state() {
        let transition = after_end(AttemptEnd::Ended(RunState::Done), RUN);
        assert_eq!(transition, FireTransition::Complete(Completed::Done));
    }

    #[test]
    fn failed_run_follows_what_is_counted() {
        let run = FinishedRun { failures: 1, ..RUN };
        let transition = after_end(AttemptEnd::Ended(RunState::Error), run);
        assert_eq!(transition, FireTransition::Retry { failures: 2, after: SECOND * 20 });
    }

    #[test]
    fn run_that_lost_its_journal_is_resumed_by_its_last_attempt() {
        let transition = after_end(AttemptEnd::LostJournal(RunState::Parked, LastAttempt::Number(3)), RUN);
        assert_eq!(transition, FireTransition::Resume { after: SECOND * 40 });
    }

    #[test]
    fn run_that_lost_its_journal_when_it_was_stopped_is_parked() {
        let run = FinishedRun { stop: Some(StopReason::Replaced), ..RUN };
        let transition = after_end(AttemptEnd::Ended(RunState::Parked), run);
        assert_eq!(transition, FireTransition::Fail(GivenUp::Parked));
    }

    #[test]
    fn run_that_lost_its_journal_and_its_record_is_abandoned() {
        let transition = after_end(AttemptEnd::LostJournal(RunState::Parked, LastAttempt::Deleted), RUN);
        assert_eq!(transition, FireTransition::Abandon);
    }

    #[test]
    fn run_that_was_not_started_is_resumed_by_its_last_attempt() {
        let transition = after_end(AttemptEnd::NotStarted(LastAttempt::Number(2)), RUN);
        assert_eq!(transition, FireTransition::Resume { after: SECOND * 2 });
    }

    #[test]
    fn run_that_was_not_started_and_has_no_record_is_abandoned() {
        assert_eq!(after_end(AttemptEnd::NotStarted(LastAttempt::Deleted), RUN), FireTransition::Abandon);
    }

    #[test]
    fn run_without_a_recorded_end_is_left() {
        assert_eq!(after_end(AttemptEnd::NotRecorded, RUN), FireTransition::Leave);
    }

    #[test]
    fn run_whose_process_died_follows_the_deaths_that_are_counted() {
        let transition = after_end(AttemptEnd::Died, FinishedRun { crashes: 4, ..RUN });
        assert_eq!(transition, FireTransition::FailCrashLoop { crashes: 5 });
    }

    fn fire() -> Fire {
        let now = EpochMs::new(1_000);
        let claimed = Fire::claimed(AutomationId::new("店", "日报"), "every 1m", now, "店/7".to_owned(), now);
        Fire { state: FireState::Running, run: "rwuu8q".to_owned(), failures: 1, crashes: 2, ..claimed }
    }

    fn reported() -> ReportedEnd {
        ReportedEnd {
            why: "日报.rhai:2:18: 没有表格".to_owned(),
            message: "没有表格".to_owned(),
            changed: 0,
            timeout: Some(SECOND * 30),
        }
    }

    fn changed_by(transition: FireTransition) -> FireChange {
        change(transition, &fire(), reported(), EpochMs::new(9_000))
    }

    #[test]
    fn completed_fire_notes_what_its_run_changed() {
        let reported = ReportedEnd { changed: 3, ..reported() };
        let change =
            change(FireTransition::Complete(Completed::Done), &fire(), reported, EpochMs::new(9_000));
        assert_eq!(change, FireChange::Complete(Completed::Done, "3 changed".to_owned()));
    }

    #[test]
    fn completed_fire_whose_run_changed_nothing_has_no_note() {
        let change = changed_by(FireTransition::Complete(Completed::DoneWithFailures));
        assert_eq!(change, FireChange::Complete(Completed::DoneWithFailures, String::new()));
    }

    #[test]
    fn stopped_fire_is_closed_with_its_reason() {
        let change = changed_by(FireTransition::Stop("stopped on request"));
        assert_eq!(change, FireChange::Close(FireState::Stopped, "stopped on request"));
    }

    #[test]
    fn abandoned_fire_is_closed_as_failed() {
        let change = changed_by(FireTransition::Abandon);
        assert_eq!(change, FireChange::Close(FireState::Failed, RUN_DELETED));
    }

    #[test]
    fn timed_out_fire_names_the_timeout() {
        let end = FireEnd::failed(FireState::TimedOut, "it took longer than 30s");
        assert_eq!(changed_by(FireTransition::TimeOut), FireChange::Fail(end));
    }

    #[test]
    fn failed_fire_has_the_position_and_reports_the_message() {
        let end = FireEnd {
            state: FireState::Failed,
            reason: "日报.rhai:2:18: 没有表格".to_owned(),
            message: "没有表格".to_owned(),
        };
        assert_eq!(changed_by(FireTransition::Fail(GivenUp::Failed)), FireChange::Fail(end));
    }

    #[test]
    fn retried_fire_records_its_failures() {
        let change = changed_by(FireTransition::Retry { failures: 2, after: SECOND * 20 });
        let expected = FireChange::Retry {
            counted: Box::new(Fire { failures: 2, updated_at: EpochMs::new(9_000), ..fire() }),
            after: SECOND * 20,
            level: Level::Warn,
            text: "failed: 日报.rhai:2:18: 没有表格; retried in 20s".to_owned(),
        };
        assert_eq!(change, expected);
    }

    #[test]
    fn crashed_fire_records_its_deaths() {
        let change = changed_by(FireTransition::RetryCrashed { crashes: 3, after: SECOND * 4 });
        let expected = FireChange::Retry {
            counted: Box::new(Fire { crashes: 3, updated_at: EpochMs::new(9_000), ..fire() }),
            after: SECOND * 4,
            level: Level::Error,
            text: "日报.rhai:2:18: 没有表格; resumed in 4s".to_owned(),
        };
        assert_eq!(change, expected);
    }

    #[test]
    fn fire_in_a_crash_loop_pauses_its_automation() {
        let note = "its process has died 5 times while it was running; the automation is paused: mpscript unpause 日报";
        let change = changed_by(FireTransition::FailCrashLoop { crashes: 5 });
        assert_eq!(change, FireChange::PauseAndFail(FireEnd::failed(FireState::Failed, note)));
    }

    #[test]
    fn resumed_fire_is_not_written() {
        let change = changed_by(FireTransition::Resume { after: SECOND });
        assert_eq!(change, FireChange::Resume { after: SECOND });
    }

    #[test]
    fn interrupted_fire_is_handed_over() {
        assert_eq!(changed_by(FireTransition::HandOver), FireChange::HandOver);
    }

    #[test]
    fn fire_without_a_recorded_end_is_left() {
        assert_eq!(changed_by(FireTransition::Leave), FireChange::Leave);
    }

    #[test]
    fn failure_is_reported_to_the_hook() {
        assert!(is_reported(FireKind::Trigger, true));
    }

    #[test]
    fn failure_without_a_hook_is_not_reported() {
        assert!(!is_reported(FireKind::Trigger, false));
    }

    #[test]
    fn failure_of_a_hook_is_not_reported() {
        assert!(!is_reported(FireKind::FailureHook, true));
    }
}
