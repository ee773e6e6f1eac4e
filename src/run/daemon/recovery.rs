//! Recovery: adopts open fires whose processes are dead, and resumes their runs from their journals.
//!
//! What becomes of a fire is decided first, from what the store has of it; then it is carried out.
//!
//! One file because each decision stands above the tables that test it, and all are read together.

use super::{
    ended_fire::{FireEnd, RUN_DELETED},
    finish::{FailedFire, close_fire, complete_fire, retries},
    fire_queue::{FireId, QueuedFire},
    fire_runner::{DEFAULT_TIMEOUT, FireRunner},
    log::Level,
    preparation::{PREPARATION_POLL, PreparedRun},
    process::Process,
    step::{POLL_INTERVAL, StepErrors},
    transition::{
        Completed, GivenUp, RecordedRun, RecoveryTransition, ResumeCause, WithoutAccount, recover,
        without_account,
    },
};
use crate::{
    base::{Diagnostic, EpochMs},
    run::{
        record::{self, RunOptions},
        registry::Revision,
        worker::HandlerRun,
    },
    script::{Origin, Program},
    store::{Fire, FireState, RunPayload, RunRecord, StoreError},
};
use std::{sync::Arc, time::Duration};

/// Whether an open fire that this process does not know is adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adoption {
    /// It is left to its process, or to one that serves its automation.
    Leave,
    /// It is queued: its run was not started.
    Start,
    /// Its run is resumed.
    Resume,
}

/// An open fire that this process does not know.
#[derive(Clone, Copy, Debug)]
struct OpenFire {
    state: FireState,
    /// Whether its process is dead.
    is_abandoned: bool,
    /// Whether this process serves its automation.
    is_served: bool,
}

/// Whether an open fire is adopted: its process must be dead, and this one must serve its automation.
const fn adoption(fire: OpenFire) -> Adoption {
    match fire {
        OpenFire { is_abandoned: false, .. } | OpenFire { is_served: false, .. } => Adoption::Leave,
        OpenFire { state: FireState::Claimed, .. } => Adoption::Start,
        OpenFire { .. } => Adoption::Resume,
    }
}

/// What is done with an open fire, by the record of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recovery {
    /// Another process runs it.
    Leave,
    /// The fire is closed as completed.
    Complete(Completed),
    /// The fire is closed with this reason, and nothing is reported.
    Close(FireState, String),
    /// The fire is closed, and the failure is reported.
    Fail(GivenUp),
    /// This is recorded of the fire, and the next attempt is started.
    Resume(Box<Fire>),
}

/// The process that resumes a run, and when it does.
#[derive(Clone, Copy, Debug)]
struct Resumer<'a> {
    owner: &'a str,
    now: EpochMs,
}

/// What is done with an open fire, by what becomes of it. `undone_by` is the run that undoes its run, if one does.
fn recovery(
    transition: RecoveryTransition,
    fire: &Fire,
    undone_by: Option<&str>,
    Resumer { owner, now }: Resumer<'_>,
) -> Recovery {
    match transition {
        RecoveryTransition::Leave => Recovery::Leave,
        RecoveryTransition::Complete(completed) => Recovery::Complete(completed),
        RecoveryTransition::Fail(given_up) => Recovery::Fail(given_up),
        RecoveryTransition::StopUndone => {
            Recovery::Close(FireState::Stopped, format!("undone by run {}", undone_by.unwrap_or_default()))
        }
        RecoveryTransition::Resume { failures } => Recovery::Resume(Box::new(Fire {
            owner: owner.to_owned(),
            updated_at: now,
            failures,
            ..fire.clone()
        })),
    }
}

/// The record of an open fire's run.
#[derive(Debug, PartialEq, Eq)]
enum FoundRun {
    /// It is there.
    Recorded(Box<RunRecord>),
    /// It was deleted.
    Deleted,
    /// It can't be decoded, and is left as it is.
    Damaged(StoreError),
}

/// What the store has of an open fire's run; an error when it does not answer.
fn found_run(run: Result<Option<RunRecord>, StoreError>) -> Result<FoundRun, StoreError> {
    match run {
        Ok(Some(record)) => Ok(FoundRun::Recorded(Box::new(record))),
        Ok(None) => Ok(FoundRun::Deleted),
        Err(error @ StoreError::Decode { .. }) => Ok(FoundRun::Damaged(error)),
        Err(error) => Err(error),
    }
}

/// Why a recorded run can't be resumed.
#[derive(Debug)]
enum NotResumable {
    /// Its record can't be decoded.
    Damaged(StoreError),
    /// Its record can't be used.
    Record(Diagnostic),
    /// Its account can't be called at the moment.
    Account(Diagnostic),
}

/// What is done with a fire whose run can't be resumed.
#[derive(Debug, PartialEq, Eq)]
enum Unresumed {
    /// The run is parked with this note, and the fire as well.
    Park(String),
    /// The fire is closed as failed with this reason, and nothing is reported.
    Close(String),
    /// The run is tried again after a delay, and the log says why.
    Retry { after: Duration, text: String },
    /// The fire is closed as failed, and the failure is reported by the run's own note.
    GiveUp,
}

/// What is done with a fire whose run can't be resumed, which has waited for so long and may wait for its timeout.
fn unresumed(why: &NotResumable, waited: Duration, timeout: Duration) -> Unresumed {
    match why {
        NotResumable::Damaged(error) => Unresumed::Park(error.to_string()),
        NotResumable::Record(diagnostic) => Unresumed::Close(diagnostic.one_line()),
        NotResumable::Account(diagnostic) => match without_account(waited, timeout) {
            WithoutAccount::Retry { after } => {
                let (why, retried) = (diagnostic.one_line(), humantime::format_duration(after));
                Unresumed::Retry { after, text: format!("can't be resumed: {why}; retried in {retried}") }
            }
            WithoutAccount::GiveUp => Unresumed::GiveUp,
        },
    }
}

/// The reason of a fire whose failure can't be reported to `on_failure`, because its call can't be read.
fn unreported_reason(note: &str, why: String) -> String {
    if note == why { why } else { format!("{note} ({why})") }
}

/// Adopts the open fires of processes that are dead. One that can't be adopted does not keep the others from it.
pub(super) fn adopt_orphans(
    runner: &mut FireRunner,
    now: EpochMs,
    errors: &mut StepErrors,
) -> Result<(), StoreError> {
    let queued = runner.queue().ids();
    let open = errors.absorb(runner.process().wait(runner.process().store.open_fires()))?;
    for fire in open.into_iter().flatten() {
        let Some(fire) = errors.absorb(fire)? else { continue };
        if !queued.contains(&FireId::from(&fire)) && !runner.is_running(&fire.run) {
            errors.absorb(adopt(runner, &fire, now))?;
        }
    }
    Ok(())
}

/// Adopts an open fire that this process does not know, if its process is dead.
fn adopt(runner: &mut FireRunner, fire: &Fire, now: EpochMs) -> Result<(), StoreError> {
    // Fires recorded as ours but not in memory: the store committed the claim, but its reply was lost.
    let is_ours = fire.owner == runner.process().name;
    let is_abandoned = is_ours || !runner.process().is_alive(&fire.owner)?;
    let is_served = is_abandoned && runner.is_mine(&fire.automation)?;
    match adoption(OpenFire { state: fire.state, is_abandoned, is_served }) {
        Adoption::Leave => Ok(()),
        Adoption::Start => adopt_claimed(runner, fire, now),
        Adoption::Resume => resume(runner, fire, None, ResumeCause::Adopted),
    }
}

/// Adopts a fire whose run was not started.
fn adopt_claimed(runner: &mut FireRunner, fire: &Fire, now: EpochMs) -> Result<(), StoreError> {
    let adopted = Fire { owner: runner.process().name.clone(), updated_at: now, ..fire.clone() };
    if runner.process().wait(runner.process().store.compare_and_set_fire(fire, &adopted))? {
        runner.process().log.automation(Level::Info, &fire.automation, "adopted before its run started");
        runner.enqueue(adopted, now);
    }
    Ok(())
}

/// Resumes the run of an open fire from its journal, or closes the fire by what the run came to.
pub(super) fn resume(
    runner: &mut FireRunner,
    fire: &Fire,
    revision: Option<Arc<Revision>>,
    cause: ResumeCause,
) -> Result<(), StoreError> {
    let (store, now) = (runner.process().store.clone(), runner.process().store_time()?);
    let record = match found_run(runner.process().wait(store.run(&fire.run)))? {
        FoundRun::Recorded(record) => record,
        // Nothing is reported of a run that is not known.
        FoundRun::Deleted => {
            return close_fire(runner.process(), fire, FireState::Failed, RUN_DELETED).map(drop);
        }
        FoundRun::Damaged(error) => {
            return close_fire(runner.process(), fire, FireState::Parked, &error.to_string()).map(drop);
        }
    };
    let revision = revision.or_else(|| runner.loaded().get(&fire.automation.name));
    let undone_by = runner.process().wait(store.active_undo_of(&record.id))?;
    let recorded = RecordedRun {
        state: record::observed_state(&runner.process().host, &record, now),
        ended_since: record.ended_at.is_some_and(|ended_at| fire.updated_at < ended_at),
        is_undone: undone_by.is_some(),
        failures: fire.failures,
        retries: retries(revision.as_deref()),
    };
    let resumer = Resumer { owner: &runner.process().name, now: runner.process().now() };
    match recovery(recover(recorded, cause), fire, undone_by.as_deref(), resumer) {
        Recovery::Leave => Ok(()),
        Recovery::Complete(completed) => {
            complete_fire(runner.process(), fire, revision.as_deref(), completed, &record.note)
        }
        Recovery::Close(state, reason) => close_fire(runner.process(), fire, state, &reason).map(drop),
        Recovery::Fail(given_up) => {
            fail_recovered(runner, fire, &record, RecoveredFailure { given_up, note: &record.note })
        }
        Recovery::Resume(counted) => {
            if !runner.process().wait(store.compare_and_set_fire(fire, &counted))? {
                return Ok(());
            }
            start_attempt(runner, *counted, revision, &record)
        }
    }
}

/// Starts the next attempt of a recorded run, whose fire is this process's.
fn start_attempt(
    runner: &mut FireRunner,
    fire: Fire,
    revision: Option<Arc<Revision>>,
    record: &RunRecord,
) -> Result<(), StoreError> {
    let store = runner.process().store.clone();
    let texts = runner.process().wait(store.run_payload(&record.id))?;
    let options = match RunOptions::decode(&record.id, &texts) {
        Ok(options) => options,
        Err(error) => return not_resumed(runner, fire, revision, record, &NotResumable::Damaged(error)),
    };
    let account = options.account.clone();
    if runner.has_no_place() || runner.yields(&fire) {
        resume_later(runner, fire, revision, POLL_INTERVAL);
        return Ok(());
    }
    if !runner.prepare(&fire, account.as_deref()) {
        resume_later(runner, fire, revision, PREPARATION_POLL);
        return Ok(());
    }
    let spawned = match runner.process().runner.spawn() {
        Ok(spawned) => spawned,
        Err(error) => {
            let why = runner.note_no_process(&fire, &error);
            log_not_yet(runner, &fire, &why);
            resume_later(runner, fire, revision, POLL_INTERVAL);
            return Ok(());
        }
    };
    let prepared = runner.take_prepared(&fire, account.as_deref());
    let plan = match handler_run(&fire, record, &texts, options, prepared) {
        Ok(plan) => plan,
        Err(why) => return not_resumed(runner, fire, revision, record, &why),
    };
    let Process { host, .. } = runner.process();
    match runner.process().wait(record::resume(host, &store, record, None, &spawned.owner)) {
        Ok(None) => {}
        Ok(Some(attempt)) => {
            let text = format!("resumed, attempt {}", attempt.attempt);
            runner.process().log.run(Level::Info, &fire.automation, &fire.run, &text);
            runner.run(spawned, fire, revision, plan, attempt);
        }
        // The fire is ours by now: it is retried here instead of being left to the next adoption.
        Err(error) => {
            log_not_yet(runner, &fire, &error.to_string());
            resume_later(runner, fire, revision, POLL_INTERVAL);
        }
    }
    Ok(())
}

fn log_not_yet(runner: &FireRunner, fire: &Fire, why: &str) {
    let text = format!("can't be resumed yet: {why}");
    runner.process().log.run(Level::Error, &fire.automation, &fire.run, &text);
}

fn resume_later(runner: &mut FireRunner, fire: Fire, revision: Option<Arc<Revision>>, after: Duration) {
    let not_before = fire.updated_at + after;
    runner.resume_later(QueuedFire { fire, revision, not_before });
}

/// Carries out what is done with a fire whose run can't be resumed.
fn not_resumed(
    runner: &mut FireRunner,
    fire: Fire,
    revision: Option<Arc<Revision>>,
    record: &RunRecord,
    why: &NotResumable,
) -> Result<(), StoreError> {
    let timeout = revision.as_ref().map_or(DEFAULT_TIMEOUT, |revision| revision.automation.timeout);
    match unresumed(why, fire.updated_at.since(fire.scheduled_at), timeout) {
        Unresumed::Park(note) => {
            runner.process().wait(record::park(&runner.process().store, record, &note))?;
            fail_recovered(runner, &fire, record, RecoveredFailure { given_up: GivenUp::Parked, note: &note })
        }
        Unresumed::Close(reason) => close_fire(runner.process(), &fire, FireState::Failed, &reason).map(drop),
        Unresumed::Retry { after, text } => {
            runner.process().log.run(Level::Error, &fire.automation, &fire.run, &text);
            resume_later(runner, fire, revision, after);
            Ok(())
        }
        Unresumed::GiveUp => {
            let failure = RecoveredFailure { given_up: GivenUp::Failed, note: &record.note };
            fail_recovered(runner, &fire, record, failure)
        }
    }
}

/// How a recovered run is given up, and why.
struct RecoveredFailure<'a> {
    given_up: GivenUp,
    note: &'a str,
}

/// Closes the fire of a run that failed in another process, or before this one started.
fn fail_recovered(
    runner: &mut FireRunner,
    fire: &Fire,
    record: &RunRecord,
    RecoveredFailure { given_up, note }: RecoveredFailure<'_>,
) -> Result<(), StoreError> {
    let (state, run) = (FireState::from(given_up), record.id.as_str());
    let texts = runner.process().wait(runner.process().store.run_payload(run))?;
    let call = match RunOptions::decode(run, &texts).and_then(|options| options.recorded_call(run)) {
        Ok(call) => call,
        Err(error) => {
            let reason = unreported_reason(note, error.to_string());
            return close_fire(runner.process(), fire, state, &reason).map(drop);
        }
    };
    let revision = runner.loaded().get(&fire.automation.name);
    let failed = FailedFire { fire, revision: revision.as_ref(), call: &call };
    runner.fail(&failed, &FireEnd::failed(state, note))
}

/// A recorded run, with the source and the options that it was started with.
fn handler_run(
    fire: &Fire,
    record: &RunRecord,
    texts: &RunPayload,
    options: RunOptions,
    prepared: PreparedRun,
) -> Result<HandlerRun, NotResumable> {
    let source = record::decode_source(&record.id, texts).map_err(NotResumable::Damaged)?;
    if let Some(blocker) = options.resume_blocker(record.started_by) {
        return Err(NotResumable::Record(Diagnostic::new(format!("the run {blocker}"))));
    }
    let call = options.recorded_call(&record.id).map_err(NotResumable::Damaged)?;
    let program = Program::load(&Origin::Recorded(source))
        .map_err(|trouble| NotResumable::Record(trouble.diagnostic))?;
    let PreparedRun { connected, cancel, run, .. } = prepared;
    let mut connected = connected.map_err(NotResumable::Account)?;
    if let Err(no_client) = &connected.config.client {
        return Err(NotResumable::Account(no_client.0.clone()));
    }
    if connected.key() != fire.automation.account {
        let message = format!("its account is {} now", connected.key());
        return Err(NotResumable::Account(Diagnostic::new(message)));
    }
    connected.config.files.allow(&options.roots);
    connected.options = options;
    Ok(HandlerRun { program: Arc::new(program), call, connected, cancel, run })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AutomationId;

    const HOUR: Duration = Duration::from_hours(1);

    const ABANDONED: OpenFire = OpenFire { state: FireState::Running, is_abandoned: true, is_served: true };

    #[test]
    fn claimed_fire_that_is_abandoned_is_started() {
        assert_eq!(adoption(OpenFire { state: FireState::Claimed, ..ABANDONED }), Adoption::Start);
    }

    #[test]
    fn running_fire_that_is_abandoned_is_resumed() {
        assert_eq!(adoption(ABANDONED), Adoption::Resume);
    }

    #[test]
    fn fire_of_a_living_process_is_left() {
        assert_eq!(adoption(OpenFire { is_abandoned: false, ..ABANDONED }), Adoption::Leave);
    }

    #[test]
    fn abandoned_fire_of_another_folder_is_left() {
        assert_eq!(
            adoption(OpenFire { state: FireState::Claimed, is_served: false, ..ABANDONED }),
            Adoption::Leave
        );
    }

    fn fire() -> Fire {
        let (id, then) = (AutomationId::new("店", "日报"), EpochMs::new(1_000));
        let claimed = Fire::claimed(id, "every 1m", then, "店/7".to_owned(), then);
        Fire { state: FireState::Running, run: "rwuu8q".to_owned(), ..claimed }
    }

    fn recovered(transition: RecoveryTransition) -> Recovery {
        recovery(transition, &fire(), Some("撤销01"), Resumer { owner: "店/8", now: EpochMs::new(9_000) })
    }

    #[test]
    fn fire_that_another_process_runs_is_left() {
        assert_eq!(recovered(RecoveryTransition::Leave), Recovery::Leave);
    }

    #[test]
    fn fire_of_a_done_run_is_completed() {
        let transition = RecoveryTransition::Complete(Completed::DoneWithFailures);
        assert_eq!(recovered(transition), Recovery::Complete(Completed::DoneWithFailures));
    }

    #[test]
    fn fire_of_a_parked_run_is_failed() {
        assert_eq!(recovered(RecoveryTransition::Fail(GivenUp::Parked)), Recovery::Fail(GivenUp::Parked));
    }

    #[test]
    fn fire_of_an_undone_run_names_the_undo() {
        let expected = Recovery::Close(FireState::Stopped, "undone by run 撤销01".to_owned());
        assert_eq!(recovered(RecoveryTransition::StopUndone), expected);
    }

    #[test]
    fn fire_of_a_resumed_run_is_owned_and_counted() {
        let owned =
            Fire { owner: "店/8".to_owned(), updated_at: EpochMs::new(9_000), failures: 2, ..fire() };
        let expected = Recovery::Resume(Box::new(owned));
        assert_eq!(recovered(RecoveryTransition::Resume { failures: 2 }), expected);
    }

    fn damaged() -> StoreError {
        StoreError::Decode {
            table: "mpscript_run",
            row: "rwuu8q".to_owned(),
            column: "options",
            expected: "a run's options as JSON".to_owned(),
            found: "半".to_owned(),
        }
    }

    #[test]
    fn run_without_a_record_was_deleted() {
        assert_eq!(found_run(Ok(None)), Ok(FoundRun::Deleted));
    }

    #[test]
    fn run_that_cannot_be_decoded_is_damaged() {
        assert_eq!(found_run(Err(damaged())), Ok(FoundRun::Damaged(damaged())));
    }

    #[test]
    fn fire_is_left_when_the_store_does_not_answer() {
        let locked = StoreError::Locked { location: "店".to_owned() };
        assert_eq!(found_run(Err(locked.clone())), Err(locked));
    }

    #[test]
    fn run_with_a_damaged_record_is_parked() {
        let expected = Unresumed::Park(damaged().to_string());
        assert_eq!(unresumed(&NotResumable::Damaged(damaged()), Duration::ZERO, HOUR), expected);
    }

    #[test]
    fn run_that_held_a_secret_is_closed() {
        let why = NotResumable::Record(Diagnostic::new("the run held a secret"));
        let expected = Unresumed::Close("the run held a secret".to_owned());
        assert_eq!(unresumed(&why, Duration::ZERO, HOUR), expected);
    }

    #[test]
    fn run_without_its_account_is_retried() {
        let why = NotResumable::Account(Diagnostic::new("没有密钥"));
        let text = "can't be resumed: 没有密钥; retried in 1m".to_owned();
        let expected = Unresumed::Retry { after: Duration::from_mins(1), text };
        assert_eq!(unresumed(&why, HOUR, HOUR), expected);
    }

    #[test]
    fn run_without_its_account_is_given_up_after_its_timeout() {
        let why = NotResumable::Account(Diagnostic::new("没有密钥"));
        assert_eq!(unresumed(&why, HOUR + Duration::from_millis(1), HOUR), Unresumed::GiveUp);
    }

    #[test]
    fn unreported_failure_says_why_in_brackets() {
        assert_eq!(unreported_reason("没有表格", "坏了".to_owned()), "没有表格 (坏了)");
    }

    #[test]
    fn unreported_failure_that_is_the_reason_itself_is_said_once() {
        assert_eq!(unreported_reason("坏了", "坏了".to_owned()), "坏了");
    }
}
