//! Compensations: the functions that undo scripts call beside terminal operations. Each is one step of the journal and
//! reads the account itself, so that an interrupted undo reaches the same steps again, whatever it has done already.

use super::{
    dry_run,
    recorded_call::{CallOutcome, PriorCall, ReachedCall, reach, record},
};
use crate::{
    api::{
        Resend,
        errcode::{
            FOREIGN_OPENID, INVALID_OPENID, INVALID_TAG_ID, INVALID_TAG_NAME, NOT_SUBSCRIBED, SYSTEM_TAG,
            TAG_NAME_TOO_LONG, TOO_MANY_FOLLOWERS_OF_TAG, TOO_MANY_TAGS, TOO_MANY_TAGS_OF_FOLLOWER,
            UNSUBSCRIBED, USER_LIMITED,
        },
        tag::{Delete, Update},
    },
    bulk::{Effect, JournalError, RecordedEffect, Step, StepIdentity, Target, hit},
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

/// What becomes of a compensation, once the account has been looked at.
enum Verdict {
    /// Its call is made; a dry run says this instead.
    Due { preview: String },
    /// There is nothing left to undo, or nothing that may be undone.
    NotDue,
}

/// Makes the one call of a compensation, if the account shows that it is due. `find` gives the call, and `judge` decides by
/// the effect that it would have. Lock, effect and rules are those that the call's endpoint declares: a dry run rehearses it
/// like any other call, and the recorded effect lets the undo itself be undone.
fn compensate<E: Effect>(
    env: &RunEnv,
    identity: &StepIdentity,
    find: impl FnOnce() -> ScriptResult<Option<E>>,
    judge: impl FnOnce(&RecordedEffect) -> ScriptResult<Verdict>,
) -> ScriptResult<()> {
    let observed = |call: &E| env.observe(Effect::observe(call, &env.observer()?)).map(|state| state.effect);
    if let Some(dry_run) = &env.policy.dry {
        let Some(call) = find()? else { return Ok(()) };
        return match observed(&call)?.map(|effect| judge(&effect)).transpose()? {
            Some(Verdict::Due { preview }) => {
                dry_run::rehearse(env, dry_run, &call)?;
                env.io.output.print(&preview);
                Ok(())
            }
            Some(Verdict::NotDue) | None => Ok(()),
        };
    }
    run_step_once(env, identity, |step| {
        let Some(call) = find()? else { return Ok(()) };
        if let Some(lock) = Effect::lock(&call) {
            env.lock(&lock)?;
        }
        let Some(effect) = observed(&call)? else { return Ok(()) };
        match judge(&effect)? {
            Verdict::Due { .. } => send(env, step, &effect, &call),
            Verdict::NotDue => Ok(()),
        }
    })
}

/// Sends the call of a compensation, once its effect is recorded.
fn send<E: Effect>(env: &RunEnv, step: &Step, effect: &RecordedEffect, call: &E) -> ScriptResult<()> {
    let client = env.client()?;
    let written = env.block_on(async { step.change(effect).await?.wait().await });
    written.map_err(|error| env.journal_error(&error))?;
    hit("call-intent");
    let called = env.call(client.call(call)).map(drop);
    hit("call-made");
    // A refused call had no effect.
    let is_refused = |error: &EvalAltResult| ScriptError::find_in(error).is_some_and(|error| !error.in_doubt);
    if called.as_ref().is_err_and(|error| is_refused(error)) {
        env.block_on(step.clear_effect()).map_err(|error| env.journal_error(&error))?;
    }
    called
}

fn restore_tag_name(env: &RunEnv, id: i64, from: &str, to: &str) -> ScriptResult<()> {
    let durable_text = format!("restore_tag_name({id}, {from:?}, {to:?})");
    let label = format!("{RESTORE_TAG_NAME}({id}, {}, {})", json!(from), json!(to));
    let identity = StepIdentity::new(StepKind::Call(EffectKind::RestoreTagName), &durable_text, label);
    let call = || Ok(Some(Update { id, name: from.to_owned() }));
    let has_name_of_run = |effect: &RecordedEffect| match effect {
        RecordedEffect::RenameTag { from: present, .. } if present == to => {
            Ok(Verdict::Due { preview: format!("the tag `{to}` would be called `{from}` again") })
        }
        RecordedEffect::RenameTag { .. }
        | RecordedEffect::CreateTag { .. }
        | RecordedEffect::DeleteTag { .. }
        | RecordedEffect::Change(_)
        | RecordedEffect::Other(_) => Ok(Verdict::NotDue),
    };
    compensate(env, &identity.on(Some(Target::TagId(id))), call, has_name_of_run)
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

    /// The tag's id; `None` where no tag has the name.
    fn find(self, env: &RunEnv) -> ScriptResult<Option<i64>> {
        Ok(match self {
            Self::Known { id, .. } => Some(id),
            Self::Named(name) | Self::NamedWithZero(name) => {
                env.tags()?.into_iter().find(|tag| tag.name == name).map(|tag| tag.id)
            }
        })
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
    let call = || Ok(unwanted.find(env)?.map(|id| Delete { id }));
    let has_no_follower = |effect: &RecordedEffect| {
        let (id, name) = match effect {
            RecordedEffect::DeleteTag { id, name } => (id, name),
            RecordedEffect::CreateTag { .. }
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::Change(_)
            | RecordedEffect::Other(_) => return Ok(Verdict::NotDue),
        };
        if env.observe(env.observer()?.count_members(*id))? > 0 {
            let stays = if env.policy.dry.is_some() { "would stay" } else { "stays" };
            env.io.output.print(&format!("the tag `{name}` {stays}: there are followers who have it"));
            return Ok(Verdict::NotDue);
        }
        let preview = format!("the tag `{name}` would be deleted unless a follower has it by then");
        Ok(Verdict::Due { preview })
    };
    compensate(env, &unwanted.identity(), call, has_no_follower)
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
