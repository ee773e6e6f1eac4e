//! Compensations: the functions that undo scripts call beside terminal operations. Each is one step of the journal and
//! reads the account itself, so that an interrupted undo reaches the same steps again, whatever it has done already.

use super::recorded_call::{CallOutcome, PriorCall, ReachedCall, reach, record};
use crate::{
    api::{
        Resend,
        errcode::{
            FOREIGN_OPENID, INVALID_OPENID, INVALID_TAG_ID, INVALID_TAG_NAME, NOT_SUBSCRIBED, SYSTEM_TAG,
            TAG_NAME_TOO_LONG, TOO_MANY_FOLLOWERS_OF_TAG, TOO_MANY_TAGS, TOO_MANY_TAGS_OF_FOLLOWER,
            UNSUBSCRIBED, USER_LIMITED,
        },
        tag::{Delete, Members, Tag, Update},
    },
    bulk::{JournalError, Lock, RecordedEffect, Step, StepIdentity, Target, hit},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
        register::described,
    },
    store::{EffectKind, StepKind},
};
use rhai::{Dynamic, Engine, EvalAltResult};
use serde_json::{Value, json};
use std::sync::Arc;

/// Refusals that no retry would change: the tag is deleted, can't be deleted or its name is taken; the follower has
/// unsubscribed or has twenty tags.
const PERMANENT_ERRORS: &[i64] = &[
    INVALID_OPENID,
    INVALID_TAG_NAME,
    NOT_SUBSCRIBED,
    TOO_MANY_TAGS,
    TOO_MANY_FOLLOWERS_OF_TAG,
    SYSTEM_TAG,
    TOO_MANY_TAGS_OF_FOLLOWER,
    TAG_NAME_TOO_LONG,
    INVALID_TAG_ID,
    FOREIGN_OPENID,
    USER_LIMITED,
    UNSUBSCRIBED,
];

/// Runs idempotent work as one step of the journal, which is recorded like a call; a replayed step that has completed is
/// skipped.
fn run_step_once(
    env: &RunEnv,
    identity: &StepIdentity,
    work: impl FnOnce(&Step) -> ScriptResult<()>,
) -> ScriptResult<()> {
    let journal = |error: JournalError| env.journal_error(&error);
    env.confirm_write()?;
    let step = match reach(env, identity, Resend::Idempotent, &|_| Ok(()))? {
        ReachedCall::Recorded(_) => return Ok(()),
        ReachedCall::Fresh(step, durable) => {
            env.block_on(durable.wait()).map_err(journal)?;
            step
        }
        ReachedCall::Incomplete(step, ..) => {
            env.block_on(step.reopen()).map_err(journal)?;
            step
        }
    };
    let outcome = work(&step).map(|()| CallOutcome::Made(Value::Null));
    // What an earlier attempt did is seen on the account: nothing is in doubt but what this one sent.
    record(env, &step, &outcome, PriorCall::Settled)?;
    outcome.map(drop)
}

/// Makes one call that changes a tag. Its effect is recorded before, so that the undo can itself be undone.
fn change(
    env: &RunEnv,
    step: &Step,
    effect: &RecordedEffect,
    call: impl FnOnce() -> ScriptResult<()>,
) -> ScriptResult<()> {
    let written = env.block_on(async { step.change(effect).await?.wait().await });
    written.map_err(|error| env.journal_error(&error))?;
    hit("call-intent");
    let called = call();
    hit("call-made");
    // A refused call had no effect.
    let is_refused = |error: &EvalAltResult| ScriptError::find_in(error).is_some_and(|error| !error.in_doubt);
    if called.as_ref().is_err_and(|error| is_refused(error)) {
        env.block_on(step.clear_effect()).map_err(|error| env.journal_error(&error))?;
    }
    called
}

fn restore_tag_name(env: &RunEnv, id: i64, from: &str, to: &str) -> ScriptResult<()> {
    let is_so = |tags: &[Tag]| tags.iter().any(|tag| tag.id == id && tag.name == to);
    if env.policy.dry.is_some() {
        if is_so(&env.tags()?) {
            env.io.output.print(&format!("the tag `{to}` would be called `{from}` again"));
        }
        return Ok(());
    }
    let durable_text = format!("restore_tag_name({id}, {from:?}, {to:?})");
    let label = format!("{RESTORE_TAG_NAME}({id}, {}, {})", json!(from), json!(to));
    let identity = StepIdentity::new(StepKind::Call(EffectKind::RestoreTagName), &durable_text, label);
    run_step_once(env, &identity.on(Some(Target::TagId(id))), |step| {
        env.lock(&Lock::Tag(id))?;
        if !is_so(&env.tags()?) {
            return Ok(());
        }
        let effect = RecordedEffect::RenameTag { id, from: to.to_owned(), to: from.to_owned() };
        change(env, step, &effect, || {
            let client = env.client()?;
            env.call(client.call(&Update { id, name: from.to_owned() })).map(drop)
        })
    })
}

/// A tag that is to be deleted, as a script names it.
#[derive(Clone, Copy)]
enum UnwantedTag<'a> {
    /// By its id; the name is for people.
    Known { id: i64, name: &'a str },
    /// By its name: a run that was interrupted while it created the tag does not know its id.
    Named(&'a str),
    /// By its name, with an id of 0: so wrote undo scripts of earlier versions.
    NamedWithZero(&'a str),
}

impl<'a> UnwantedTag<'a> {
    const fn new(id: i64, name: &'a str) -> Self {
        if id == 0 { Self::NamedWithZero(name) } else { Self::Known { id, name } }
    }

    const fn name(self) -> &'a str {
        match self {
            Self::Known { name, .. } | Self::Named(name) | Self::NamedWithZero(name) => name,
        }
    }

    fn is(self, tag: &Tag) -> bool {
        match self {
            Self::Known { id, .. } => tag.id == id,
            Self::Named(name) | Self::NamedWithZero(name) => tag.name == name,
        }
    }

    fn identity(self) -> StepIdentity {
        let (durable_text, label, target) = match self {
            Self::Known { id, name } => (
                format!("delete_tag_if_empty({id}, {name:?})"),
                format!("{DELETE_TAG_IF_EMPTY}({id}, {})", json!(name)),
                Target::TagId(id),
            ),
            Self::NamedWithZero(name) => (
                format!("delete_tag_if_empty(0, {name:?})"),
                format!("{DELETE_TAG_IF_EMPTY}({})", json!(name)),
                Target::Name(name.to_owned()),
            ),
            Self::Named(name) => (
                format!("delete_tag_if_empty({name:?})"),
                format!("{DELETE_TAG_IF_EMPTY}({})", json!(name)),
                Target::Name(name.to_owned()),
            ),
        };
        let kind = StepKind::Call(EffectKind::DeleteTagIfEmpty);
        StepIdentity::new(kind, &durable_text, label).on(Some(target))
    }
}

fn delete_tag_if_empty(env: &RunEnv, unwanted: UnwantedTag<'_>) -> ScriptResult<()> {
    let name = unwanted.name();
    if env.policy.dry.is_some() {
        env.io.output.print(&format!("the tag `{name}` would be deleted unless a follower has it by then"));
        return Ok(());
    }
    run_step_once(env, &unwanted.identity(), |step| {
        let Some(tag) = env.tags()?.into_iter().find(|tag| unwanted.is(tag)) else { return Ok(()) };
        env.lock(&Lock::Tag(tag.id))?;
        let client = env.client()?;
        let members = env.call(client.call(&Members { tagid: tag.id, next_openid: None }))?;
        if members.count > 0 {
            env.io.output.print(&format!("the tag `{}` stays: there are followers who have it", tag.name));
            return Ok(());
        }
        let effect = RecordedEffect::DeleteTag { id: tag.id, name: tag.name.clone() };
        change(env, step, &effect, || env.call(client.call(&Delete { id: tag.id })).map(drop))
    })
}

/// Reports that a step of the undo is skipped, if the platform refused it permanently; any other error ends the run.
fn skip_undo_step(env: &RunEnv, step: &str, error: &Dynamic) -> ScriptResult<()> {
    let Some(refused) = error.read_lock::<ScriptError>().map(|error| error.clone()) else {
        return Err(EvalAltResult::ErrorRuntime(error.clone(), rhai::Position::NONE).into());
    };
    if !refused.errcode.is_some_and(|code| PERMANENT_ERRORS.contains(&code)) {
        return Err(refused.raise());
    }
    env.io.board.skip_undo(format!("step {step}: {}", refused.message));
    Ok(())
}

/// The function that gives a tag its former name back.
pub(crate) const RESTORE_TAG_NAME: &str = "restore_tag_name";

/// The function that deletes a tag unless a follower has it.
pub(crate) const DELETE_TAG_IF_EMPTY: &str = "delete_tag_if_empty";

/// The compensations that change the account.
pub(crate) const COMPENSATIONS: [&str; 2] = [RESTORE_TAG_NAME, DELETE_TAG_IF_EMPTY];

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    let of = Arc::clone(env);
    described(RESTORE_TAG_NAME, &["id: int", "from: String", "to: String"], RESTORE_TAG_NAME_DOC)
        .register_into_engine(engine, move |id: i64, from: &str, to: &str| {
            restore_tag_name(&of, id, from, to)
        });
    let of = Arc::clone(env);
    described(DELETE_TAG_IF_EMPTY, &["id: int", "name: String"], DELETE_TAG_IF_EMPTY_DOC)
        .register_into_engine(engine, move |id: i64, name: &str| {
            delete_tag_if_empty(&of, UnwantedTag::new(id, name))
        });
    let of = Arc::clone(env);
    described(DELETE_TAG_IF_EMPTY, &["name: String"], DELETE_TAG_IF_EMPTY_BY_NAME_DOC)
        .register_into_engine(engine, move |name: &str| delete_tag_if_empty(&of, UnwantedTag::Named(name)));
    let of = Arc::clone(env);
    described("skip_undo_step", &["step: String", "error: ?"], SKIP_UNDO_STEP_DOC)
        .register_into_engine(engine, move |step: &str, error: Dynamic| skip_undo_step(&of, step, &error));
}

const RESTORE_TAG_NAME_DOC: &str =
    "Gives a tag the name back that it had before a run, `from`, if it is still called what the \
    run called it.

    `mpscript undo` is written with it.

    ```rhai
    let t = tag::create(\"新名\");
    restore_tag_name(t.id, \"旧名\", \"新名\");
    ```";

const DELETE_TAG_IF_EMPTY_DOC: &str = "Deletes a tag that no follower has, and reports one that stays.

    `mpscript undo` is written with it.

    ```rhai
    let t = tag::create(\"空的\");
    delete_tag_if_empty(t.id, \"空的\");
    ```";

const DELETE_TAG_IF_EMPTY_BY_NAME_DOC: &str =
    "The same for a tag whose id is not known: a run was interrupted while it created the tag.

    ```rhai
    tag::create(\"空的\");
    delete_tag_if_empty(\"空的\");
    ```";

const SKIP_UNDO_STEP_DOC: &str =
    "Reports that a step can't be undone, if the platform refused it permanently; any other error ends \
    the run.

    `mpscript undo` is written with it.

    ```rhai
    try { tag::delete(0); } catch (e) { skip_undo_step(\"3\", e); }
    ```";
