//! Single calls that change the account, in the run's journal: the state before a call is recorded before it is sent, and
//! a replayed call answers from the journal. What a call does to the account is declared by its `Effect`.

use super::{
    dry_run,
    recorded_call::{Accepts, CallOutcome, PriorCall, ReachedCall, reach, record, recorded_effect, redact},
};
use crate::{
    api::{
        errcode::SOME_OPENIDS_FAILED,
        tag::{self, Tag},
    },
    base::fingerprint,
    bulk::{
        Asked, CallAction, ChangeItem, ChangedFollowers, EnsuredTag, IncompleteCall, JournalError, Lock,
        ObserveError, PreState, RecordedEffect, RecordedJson, RecordedPreState, Resolution, Step,
        StepIdentity, StepRow, Target, UnreachedAction, Unresolved, WriteCall, before_creation, ensure_tag,
        hit, read_items, unreached_action,
    },
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
    store::{StepKind, StepState},
};
use rhai::EvalAltResult;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::Cell;

/// The longest request, in bytes, that a step's durable text holds as it is; of a longer one it holds a fingerprint.
const MAX_DURABLE_REQUEST: usize = 400;

/// The longest request, in bytes, that people read as a whole.
const MAX_SHOWN_REQUEST: usize = 400;

/// Sends a call; an answer is its JSON.
pub(crate) type Send<'a> = &'a dyn Fn() -> ScriptResult<Value>;

/// Sends a call, and tells whether its effect was there already.
type SendOnce<'a> = &'a dyn Fn() -> ScriptResult<CallOutcome>;

/// Makes a call that changes the account, unless the journal has its answer already. `request` is the call's fields as
/// the script gave them.
pub(crate) fn call_journaled<A: DeserializeOwned>(
    env: &RunEnv,
    call: &dyn WriteCall,
    request: &Value,
    send: Send<'_>,
) -> ScriptResult<A> {
    let made = || send().map(CallOutcome::Made);
    let outcome = call_observed(env, call, request, None, &accepts::<A>, &made)?;
    serde_json::from_value(outcome.into_answer()).map_err(|error| {
        let message = format!("{}: the platform's answer can't be used: {error}", call.spec().name);
        ScriptError::usage(message, "").raise()
    })
}

fn accepts<A: DeserializeOwned>(answer: &Value) -> serde_json::Result<()> {
    A::deserialize(answer).map(drop)
}

/// The result of `create_tag`.
pub(crate) struct CreatedTag {
    pub id: i64,
    pub origin: TagOrigin,
}

/// Where a tag comes from that a job asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagOrigin {
    /// This attempt created it, or would in a dry run.
    ThisAttempt,
    /// An earlier attempt of the run created it.
    EarlierAttempt,
    /// Another program created it between our lookup and our create.
    AnotherProgram,
}

/// Creates a tag that did not exist when the caller looked it up.
pub(crate) fn create_tag(env: &RunEnv, name: &str) -> ScriptResult<CreatedTag> {
    let call = tag::Create { name: name.to_owned() };
    let known = before_creation(name);
    let is_sent = Cell::new(false);
    let outcome = call_observed(env, &call, &json!({"name": name}), Some(known), &accepts::<Tag>, &|| {
        is_sent.set(true);
        let client = env.client()?;
        Ok(match env.call(ensure_tag(client, name))? {
            EnsuredTag::Created(tag) => CallOutcome::Made(json!(tag)),
            EnsuredTag::Found(tag) => CallOutcome::Raced(json!(tag)),
        })
    })?;
    let origin = match &outcome {
        CallOutcome::Raced(_) => TagOrigin::AnotherProgram,
        CallOutcome::Made(_) if is_sent.get() || env.policy.dry.is_some() => TagOrigin::ThisAttempt,
        CallOutcome::Made(_) => TagOrigin::EarlierAttempt,
    };
    let tag: Tag = serde_json::from_value(outcome.into_answer()).map_err(|error| {
        let message =
            format!("the platform's answer to the creation of the tag `{name}` is not a tag: {error}");
        ScriptError::usage(message, "").raise()
    })?;
    Ok(CreatedTag { id: tag.id, origin })
}

/// Makes a call. `known` is the state before it, if the caller has observed that already.
fn call_observed(
    env: &RunEnv,
    call: &dyn WriteCall,
    request: &Value,
    known: Option<PreState>,
    accepts: Accepts<'_>,
    send: SendOnce<'_>,
) -> ScriptResult<CallOutcome> {
    let name = call.spec().name;
    for text in texts_of(request) {
        env.refuse_secret(&format!("{name}: what it would write"), text)?;
    }
    if let Some(dry_run) = &env.policy.dry {
        return dry_run::rehearse(env, dry_run, call).map(CallOutcome::Made);
    }
    env.confirm_write()?;
    let journal = |error: JournalError| env.journal_error(&error);
    let request = redact(env, request).to_string();
    let tag = match call.lock() {
        Some(Lock::Tag(id)) => Some(Target::TagId(id)),
        Some(Lock::TagName(_) | Lock::Blacklist) | None => None,
    };
    let kind = StepKind::Call(call.kind());
    let identity = StepIdentity::new(kind, &durable_text(name, &request), label(name, &request)).on(tag);
    match reach(env, &identity, call.spec().resend, accepts)? {
        ReachedCall::Recorded(outcome) => Ok(outcome),
        ReachedCall::Fresh(step, durable) => {
            let call = JournaledCall { env, step, call, known, prior: PriorCall::Settled };
            call.lock()?;
            env.block_on(durable.wait()).map_err(journal)?;
            let before = call.observe()?;
            call.send(&before, send)
        }
        ReachedCall::Incomplete(step, row, effect) => {
            let has_effect = effect.is_some();
            let was_refused = has_effect && was_refused(env, &row)?;
            let recorded = IncompleteCall { has_effect, was_refused, resend: call.spec().resend };
            let prior = if recorded.is_in_doubt() { PriorCall::InDoubt } else { PriorCall::Settled };
            let call = JournaledCall { env, step, call, known, prior };
            call.lock()?;
            if let Some(answer) = call.resolve(recorded, &row, accepts)? {
                let outcome = Ok(CallOutcome::Made(answer));
                call.record_outcome(&outcome, effect.as_ref())?;
                return outcome;
            }
            // What is recorded is decoded before anything of it is overwritten.
            let items = recorded_items(env, call.step.at(), effect.as_ref())?;
            env.block_on(call.step.reopen()).map_err(journal)?;
            let before = RecordedPreState::from_recorded(effect, items).map_or_else(|| call.observe(), Ok)?;
            call.send(&before, send)
        }
    }
}

/// A call that changes the account, at its step of the journal.
struct JournaledCall<'a> {
    env: &'a RunEnv,
    step: Step,
    call: &'a dyn WriteCall,
    /// The state before the call, where the caller knows it.
    known: Option<PreState>,
    prior: PriorCall,
}

/// Whether an earlier attempt recorded a refusal, so that the call took no effect.
fn was_refused(env: &RunEnv, row: &StepRow) -> ScriptResult<bool> {
    if row.state != StepState::Failed {
        return Ok(false);
    }
    let run = env.journal.run().unwrap_or_default();
    let recorded = RecordedJson::new(run, &row.step, "answer", row.answer.clone());
    let earlier: ScriptError = env.decode(&recorded, "the error of a call, as JSON")?;
    Ok(!earlier.in_doubt)
}

impl JournaledCall<'_> {
    fn send(&self, before: &RecordedPreState, send: SendOnce<'_>) -> ScriptResult<CallOutcome> {
        let Self { env, step, call, prior, .. } = self;
        // If the state before is unknown, each follower of the call may be changed.
        let changes = before.items.as_ref().map_or_else(|| call.count_followers(), Vec::len);
        let items = before.items.as_deref().unwrap_or_default();
        let reserved = env.policy.limits.reserve_all(changes);
        hit("call-intent");
        let outcome = match &reserved {
            Ok(()) => send(),
            Err(limit) => Err(env.limit_error(limit)),
        };
        hit("call-made");
        match &outcome {
            Ok(_) => self.update_caches(),
            Err(_) => self.invalidate_caches(),
        }
        let took_no_effect = match &outcome {
            Ok(_) => false,
            // With several requests some may have taken effect, and one request may have for some of its openids.
            Err(error) => ScriptError::find_in(error).is_some_and(|error| {
                !error.in_doubt && call.requests() == 1 && error.errcode != Some(SOME_OPENIDS_FAILED)
            }),
        };
        if took_no_effect && reserved.is_ok() {
            env.policy.limits.release(changes);
        }
        let written = env.block_on(async {
            if outcome.is_ok() && !items.is_empty() {
                step.outcome(0, &Unresolved::default(), &[]).await?;
            }
            // A refused call leaves nothing to undo, unless an earlier attempt may have made it.
            if took_no_effect && *prior == PriorCall::Settled {
                if !items.is_empty() {
                    let unresolved = Unresolved { in_doubt: Vec::new(), not_sent: items.to_vec() };
                    step.outcome(0, &unresolved, &[]).await?;
                }
                step.clear_effect().await?;
            }
            Ok(())
        });
        written.map_err(|error| env.journal_error(&error))?;
        self.record_outcome(&outcome, before.effect.as_ref())?;
        outcome
    }

    /// What the call changes of the blacklist, which the run keeps a copy of.
    fn blacklist_change(&self) -> Option<ChangedFollowers<'_>> {
        self.call.followers().filter(|followers| followers.change.is_of_blacklist())
    }

    /// Does in the run's caches what the call has done to the account.
    fn update_caches(&self) {
        if let Some(ChangedFollowers { change, openids }) = self.blacklist_change() {
            self.env.block_on(self.env.blacklist.update(change, openids));
        }
    }

    /// Drops from the run's caches what a failed call may have changed.
    fn invalidate_caches(&self) {
        if self.blacklist_change().is_some() {
            self.env.block_on(self.env.blacklist.invalidate());
        }
    }

    fn record_outcome(
        &self,
        outcome: &ScriptResult<CallOutcome>,
        effect: Option<&RecordedEffect>,
    ) -> ScriptResult<()> {
        let Self { env, step, call, prior, .. } = self;
        let written = env.block_on(async {
            match (outcome, effect) {
                (Ok(CallOutcome::Raced(_)), _) => step.clear_effect().await.map(drop),
                (Ok(CallOutcome::Made(answer)), Some(effect)) => {
                    let completed = call.complete(effect.clone(), answer).map_err(|error| {
                        env.journal.park(JournalError::UnusableAnswer {
                            step: step.at().to_owned(),
                            what: call.spec().name.to_owned(),
                            reason: error.to_string(),
                        })
                    })?;
                    if completed == *effect { Ok(()) } else { step.change(&completed).await.map(drop) }
                }
                (Ok(CallOutcome::Made(_)), None) | (Err(_), _) => Ok(()),
            }
        });
        written.map_err(|error| env.journal_error(&error))?;
        record(env, step, outcome, *prior)
    }

    /// Resolves a call that an earlier attempt left in flight. Returns its answer if it took effect, `None` if it is to be
    /// sent: it did not take effect, or it is idempotent. If the account does not show which, the run parks until a person
    /// decides.
    fn resolve(
        &self,
        recorded: IncompleteCall,
        row: &StepRow,
        accepts: Accepts<'_>,
    ) -> ScriptResult<Option<Value>> {
        let Self { env, step, call, .. } = self;
        let (at, what) = (|| step.at().to_owned(), || row.label.clone());
        let park = |error| Err(env.journal_error(&env.journal.park(error)));
        let mut asked = Asked::Nothing;
        loop {
            asked = match recorded.action(asked) {
                CallAction::Send => return Ok(None),
                CallAction::Answer(answer) => return Ok(Some(answer)),
                CallAction::AskAccount => Asked::Account(env.observe(call.resolve(&env.observer()?))?),
                CallAction::AskPerson => {
                    Asked::Person(env.journal.resolution().map(|decided| usable(decided, accepts)))
                }
                CallAction::Park => return park(JournalError::InDoubt { step: at(), what: what() }),
                CallAction::ParkUnusable(reason) => {
                    return park(JournalError::UnusableAnswer { step: at(), what: what(), reason });
                }
            };
        }
    }

    /// Takes the write lock on what the call changes.
    fn lock(&self) -> ScriptResult<()> {
        let Some(lock) = self.call.lock() else { return Ok(()) };
        match self.env.lock(&lock) {
            Ok(()) => Ok(()),
            Err(error) => self.refuse(error).map(drop),
        }
    }

    /// Reads the state before the call and records it. If it can't be read, the call can't be undone.
    fn observe(&self) -> ScriptResult<RecordedPreState> {
        let Self { env, step, call, known, .. } = self;
        if !env.journal.is_recording() {
            return Ok(RecordedPreState::default());
        }
        let observed = match known {
            Some(known) => Ok(known.clone()),
            None => match env.observer() {
                Err(error) => Err(error),
                Ok(account) => match env.block_on(call.observe(&account)) {
                    // Unlike a call that failed, this is an answer: the state before is what the platform keeps back.
                    Err(error @ ObserveError::Details(_)) => {
                        return self.refuse(env.observe_error(&error).raise());
                    }
                    observed => observed.map_err(|error| env.observe_error(&error).raise()),
                },
            },
        };
        if env.calls.cancel.is_cancelled() {
            observed?;
            return Ok(RecordedPreState::default());
        }
        let is_observed = observed.is_ok();
        let PreState { effect, items } =
            observed.unwrap_or_else(|_| PreState::new(RecordedEffect::Other(call.spec().name.to_owned())));
        let Some(effect) = effect else { return Ok(RecordedPreState::default()) };
        // It could not be undone without the secret.
        let of_effect = json!(effect);
        let remarks = items.iter().filter_map(|item| match item {
            ChangeItem::Remark { old, .. } => Some(old.as_str()),
            ChangeItem::Openid(_) => None,
        });
        for text in texts_of(&of_effect).into_iter().chain(remarks) {
            let refused = env.refuse_secret(&format!("{}: what it would overwrite", call.spec().name), text);
            if let Err(error) = refused {
                return self.refuse(error);
            }
        }
        let written = env.block_on(async {
            let recorded = step.change(&effect).await?;
            let durable = if items.is_empty() { recorded } else { step.intent(0, &items).await? };
            durable.wait().await
        });
        written.map_err(|error| env.journal_error(&error))?;
        Ok(RecordedPreState { effect: Some(effect), items: is_observed.then_some(items) })
    }

    /// Records that the call is not sent.
    fn refuse(&self, error: Box<EvalAltResult>) -> ScriptResult<RecordedPreState> {
        let refused = Err(error);
        self.record_outcome(&refused, None)?;
        refused.map(|_| RecordedPreState::default())
    }
}

/// Every text in a value, names of fields among them.
fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| [vec![name.as_str()], texts_of(value)].concat()).collect()
        }
        Value::Array(entries) => entries.iter().flat_map(texts_of).collect(),
        Value::String(text) => vec![text],
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// What tells the call from every other of its endpoint. It is durable: see `StepIdentity::new`.
fn durable_text(endpoint: &str, request: &str) -> String {
    if request.len() <= MAX_DURABLE_REQUEST {
        return format!("{endpoint}({request})");
    }
    let start: String = request.chars().take(80).collect();
    format!("{endpoint}({start}… {} bytes, {})", request.len(), fingerprint([request]))
}

/// The call as people read it.
fn label(endpoint: &str, request: &str) -> String {
    if request.len() <= MAX_SHOWN_REQUEST {
        return format!("{endpoint}({request})");
    }
    let start: String = request.chars().take(80).collect();
    format!("{endpoint}({start}… {} bytes)", request.len())
}

/// Whether a call in doubt that replay did not reach took effect. A filter like `u.remark == ""` skips a follower whose
/// remark was set by the call, so the script may never reach it again; the account itself is asked.
pub(crate) fn took_effect(env: &RunEnv, row: &StepRow) -> ScriptResult<bool> {
    let effect = recorded_effect(env, row)?;
    let items = recorded_items(env, &row.step, effect.as_ref())?;
    let mut shown = None;
    loop {
        match unreached_action(row.kind, effect.as_ref(), &items, shown) {
            UnreachedAction::Look(change) => {
                shown = Some(env.observe(change.took_effect(&items, &env.observer()?))?);
            }
            UnreachedAction::Confirm => return Ok(true),
            UnreachedAction::Park => return Ok(false),
        }
    }
}

/// A person's decision, or why the answer in it can't be used.
fn usable(decided: Resolution, accepts: Accepts<'_>) -> Result<Resolution, String> {
    match decided {
        Resolution::Retry => Ok(Resolution::Retry),
        Resolution::Completed(answer) => match accepts(&answer) {
            Ok(()) => Ok(Resolution::Completed(answer)),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// The followers in the intents that an earlier attempt recorded for a call with this effect.
fn recorded_items(
    env: &RunEnv,
    step: &str,
    effect: Option<&RecordedEffect>,
) -> ScriptResult<Vec<ChangeItem>> {
    let change = match effect {
        Some(RecordedEffect::Change(change)) => *change,
        Some(
            RecordedEffect::CreateTag { .. }
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_),
        )
        | None => return Ok(Vec::new()),
    };
    let (Some(store), Some(run)) = (env.journal.store(), env.journal.run()) else { return Ok(Vec::new()) };
    let rows = env.block_on(store.batches_from(run, step, 0));
    let rows = rows.map_err(|error| env.journal_error(&error.into()))?;
    let mut items = Vec::new();
    for row in &rows {
        items.extend(read_items(row, change.items()).map_err(|error| env.journal_error(&error.into()))?);
    }
    Ok(items)
}
