//! Recovery: adopts open fires whose processes are dead, and resumes their runs from their journals.

use super::{
    finish::{FireEnd, RUN_DELETED, close_fire, complete_fire, fail_fire, retries},
    fire_queue::{FireId, QueuedFire},
    log::Level,
    preparation::{PREPARATION_POLL, PreparedRun},
    process::Process,
    start::{DEFAULT_TIMEOUT, FireRunner},
    step::{POLL_INTERVAL, StepErrors},
    transition::{
        GivenUp, RecordedRun, RecoveryTransition, ResumeCause, WithoutAccount, recover, without_account,
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
    store::{AutomationId, Fire, FireState, RunPayload, RunRecord, StoreError},
};
use std::{sync::Arc, time::Duration};

/// Adopts the open fires of processes that are dead. One that can't be adopted does not keep the others from it.
pub(super) fn adopt_orphans(
    runner: &mut FireRunner,
    now: EpochMs,
    errors: &mut StepErrors,
) -> Result<(), StoreError> {
    let queued = runner.queue.ids();
    let open = errors.absorb(runner.process.wait(runner.process.store.open_fires()))?;
    for fire in open.into_iter().flatten() {
        let Some(fire) = errors.absorb(fire)? else { continue };
        if !queued.contains(&FireId::from(&fire)) && !runner.running.contains(&fire.run) {
            errors.absorb(adopt(runner, &fire, now))?;
        }
    }
    Ok(())
}

/// Adopts an open fire that this process does not know, if its process is dead.
fn adopt(runner: &mut FireRunner, fire: &Fire, now: EpochMs) -> Result<(), StoreError> {
    // Fires recorded as ours but not in memory: the store committed the claim, but its reply was lost.
    let is_ours = fire.owner == runner.process.name;
    if (!is_ours && runner.process.is_alive(&fire.owner)?) || !is_mine(runner, &fire.automation)? {
        return Ok(());
    }
    if fire.state == FireState::Claimed {
        adopt_claimed(runner, fire, now)
    } else {
        resume(runner, fire, None, ResumeCause::Adopted)
    }
}

/// Adopts a fire whose run was not started.
fn adopt_claimed(runner: &mut FireRunner, fire: &Fire, now: EpochMs) -> Result<(), StoreError> {
    let adopted = Fire { owner: runner.process.name.clone(), updated_at: now, ..fire.clone() };
    if runner.process.wait(runner.process.store.compare_and_set_fire(fire, &adopted))? {
        runner.process.log.automation(Level::Info, &fire.automation, "adopted before its run started");
        runner.queue.push_start(QueuedFire { fire: adopted, revision: None, not_before: now });
    }
    Ok(())
}

/// Whether an automation is served from this process's folder for one of its accounts, or was last: several folders
/// and accounts may share a store.
fn is_mine(runner: &mut FireRunner, automation: &AutomationId) -> Result<bool, StoreError> {
    if runner.accounts.find(automation).is_some() {
        return Ok(true);
    }
    let Some(record) = runner.process.wait(runner.process.store.automation(automation))? else {
        return Ok(false);
    };
    Ok(record.folder == runner.loaded.stored_folder() && runner.accounts.is_ours(&record)?)
}

/// Resumes the run of an open fire from its journal, or closes the fire by what the run came to.
pub(super) fn resume(
    runner: &mut FireRunner,
    fire: &Fire,
    revision: Option<Arc<Revision>>,
    cause: ResumeCause,
) -> Result<(), StoreError> {
    let (store, now) = (runner.process.store.clone(), runner.process.store_time()?);
    let record = match runner.process.wait(store.run(&fire.run)) {
        Ok(Some(record)) => record,
        Ok(None) => return close_fire(&runner.process, fire, FireState::Failed, RUN_DELETED).map(drop),
        // Its record is left as it is.
        Err(error @ StoreError::Decode { .. }) => {
            return close_fire(&runner.process, fire, FireState::Parked, &error.to_string()).map(drop);
        }
        Err(error) => return Err(error),
    };
    let revision = revision.or_else(|| runner.loaded.get(&fire.automation.name));
    let undone_by = runner.process.wait(store.active_undo_of(&record.id))?;
    let recorded = RecordedRun {
        state: record::observed_state(&runner.process.host, &record, now),
        ended_since: record.ended_at.is_some_and(|ended_at| fire.updated_at < ended_at),
        is_undone: undone_by.is_some(),
        failures: fire.failures,
        retries: retries(revision.as_deref()),
    };
    match recover(recorded, cause) {
        RecoveryTransition::Leave => Ok(()),
        RecoveryTransition::Complete(completed) => {
            complete_fire(&runner.process, fire, revision.as_deref(), completed, &record.note)
        }
        RecoveryTransition::Fail(given_up) => {
            fail_recovered(runner, fire, &record.id, given_up, &record.note)
        }
        RecoveryTransition::StopUndone => {
            let reason = format!("undone by run {}", undone_by.unwrap_or_default());
            close_fire(&runner.process, fire, FireState::Stopped, &reason).map(drop)
        }
        RecoveryTransition::Resume { failures } => {
            let counted = Fire {
                owner: runner.process.name.clone(),
                updated_at: runner.process.now(),
                failures,
                ..fire.clone()
            };
            if !runner.process.wait(store.compare_and_set_fire(fire, &counted))? {
                return Ok(());
            }
            start_attempt(runner, counted, revision, &record)
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
    let store = runner.process.store.clone();
    let texts = runner.process.wait(store.run_payload(&record.id))?;
    let options = match RunOptions::decode(&record.id, &texts) {
        Ok(options) => options,
        Err(error) => return park(runner, &fire, record, &error),
    };
    let account = options.account.clone();
    if runner.has_no_place() || runner.yields(&fire) {
        resume_later(runner, fire, revision, POLL_INTERVAL);
        return Ok(());
    }
    if !runner.preparations.poll(&runner.process, &fire, account.as_deref()) {
        resume_later(runner, fire, revision, PREPARATION_POLL);
        return Ok(());
    }
    let spawned = match runner.process.runner.spawn() {
        Ok(spawned) => spawned,
        Err(error) => {
            let why = format!("the system gives it no process: {error}");
            runner.failed_starts.failed(&fire, &why);
            let text = format!("can't be resumed yet: {why}");
            runner.process.log.run(Level::Error, &fire.automation, &fire.run, &text);
            resume_later(runner, fire, revision, POLL_INTERVAL);
            return Ok(());
        }
    };
    let prepared = runner.preparations.take(&runner.process, &fire, account.as_deref());
    let plan = match handler_run(&fire, record, &texts, options, prepared) {
        Ok(plan) => plan,
        Err(NotResumable::Damaged(error)) => return park(runner, &fire, record, &error),
        Err(NotResumable::Record(diagnostic)) => {
            return close_fire(&runner.process, &fire, FireState::Failed, &diagnostic.one_line()).map(drop);
        }
        Err(NotResumable::Account(diagnostic)) => {
            return wait_for_account(runner, fire, revision, record, &diagnostic);
        }
    };
    let Process { host, .. } = &runner.process;
    match runner.process.wait(record::resume(host, &store, record, None, &spawned.owner)) {
        Ok(None) => {}
        Ok(Some(attempt)) => {
            let text = format!("resumed, attempt {}", attempt.attempt);
            runner.process.log.run(Level::Info, &fire.automation, &fire.run, &text);
            runner.run(spawned, fire, revision, plan, attempt);
        }
        // The fire is ours by now: it is retried here instead of being left to the next adoption.
        Err(error) => {
            let text = format!("can't be resumed yet: {error}");
            runner.process.log.run(Level::Error, &fire.automation, &fire.run, &text);
            resume_later(runner, fire, revision, POLL_INTERVAL);
        }
    }
    Ok(())
}

/// Parks a run whose record can't be decoded, and its fire.
fn park(
    runner: &mut FireRunner,
    fire: &Fire,
    record: &RunRecord,
    error: &StoreError,
) -> Result<(), StoreError> {
    let note = error.to_string();
    runner.process.wait(record::park(&runner.process.store, record, &note))?;
    fail_recovered(runner, fire, &record.id, GivenUp::Parked, &note)
}

fn resume_later(runner: &mut FireRunner, fire: Fire, revision: Option<Arc<Revision>>, after: Duration) {
    let not_before = fire.updated_at + after;
    runner.queue.push_resume(QueuedFire { fire, revision, not_before });
}

/// Retries a run whose account can't be called now, or gives it up after its timeout.
fn wait_for_account(
    runner: &mut FireRunner,
    fire: Fire,
    revision: Option<Arc<Revision>>,
    record: &RunRecord,
    diagnostic: &Diagnostic,
) -> Result<(), StoreError> {
    let timeout = revision.as_ref().map_or(DEFAULT_TIMEOUT, |revision| revision.automation.timeout);
    match without_account(fire.updated_at.since(fire.scheduled_at), timeout) {
        WithoutAccount::Retry { after } => {
            let retried = humantime::format_duration(after);
            let text = format!("can't be resumed: {}; retried in {retried}", diagnostic.one_line());
            runner.process.log.run(Level::Error, &fire.automation, &fire.run, &text);
            resume_later(runner, fire, revision, after);
            Ok(())
        }
        WithoutAccount::GiveUp => fail_recovered(runner, &fire, &record.id, GivenUp::Failed, &record.note),
    }
}

/// Closes the fire of a run that failed in another process, or before this one started.
fn fail_recovered(
    runner: &mut FireRunner,
    fire: &Fire,
    run: &str,
    given_up: GivenUp,
    note: &str,
) -> Result<(), StoreError> {
    let state = FireState::from(given_up);
    let texts = runner.process.wait(runner.process.store.run_payload(run))?;
    let call = match RunOptions::decode(run, &texts).and_then(|options| options.recorded_call(run)) {
        Ok(call) => call,
        // Without its call the failure can't be reported to `on_failure`.
        Err(error) => {
            let why = error.to_string();
            let reason = if note == why { why } else { format!("{note} ({why})") };
            return close_fire(&runner.process, fire, state, &reason).map(drop);
        }
    };
    let revision = runner.loaded.get(&fire.automation.name);
    fail_fire(
        &runner.process,
        &mut runner.queue,
        fire,
        revision.as_ref(),
        &call,
        &FireEnd::failed(state, note),
    )
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

/// Why a recorded run can't be resumed.
enum NotResumable {
    /// Its record can't be decoded.
    Damaged(StoreError),
    /// Its record can't be used.
    Record(Diagnostic),
    /// Its account can't be called at the moment.
    Account(Diagnostic),
}
