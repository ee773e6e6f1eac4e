//! Calls that change the account, one at a time: each is written down before it is sent with what the way back
//! needs, and answers from the journal when the run is gone through again.

use super::{blacklist_cache::unknown, dry_run};
use crate::{
    api::{
        Batched, Endpoint, Resend, Spec, blacklist,
        errcode::SOME_OPENIDS_FAILED,
        tag::{self, Tag},
        user,
    },
    base::fingerprint,
    bulk::{
        Change, ChangeItem, JournalError, RecordedEffect, Replay, Resolution, Step, StepIdentity, StepRow,
        Unresolved, call_chunked, ensure_tag, find_tag, hit, read_items,
    },
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult, limit_reached},
    },
    store::{EffectKind, StepKind, StepState},
};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The openids that every call takes at the least; a longer list may be cut into several.
const IN_ONE_CALL: usize = blacklist::Add::MOST;

/// What an answer has beside a tag that somebody else had made.
const WAS_THERE: &str = "was_there";

/// The longest request that is written down as it is; a longer one is told by its digest.
const LONGEST: usize = 400;

/// Makes a call that changes the account, unless it was made before.
pub(crate) fn make(
    env: &RunEnv,
    spec: &'static Spec,
    request: &Value,
    call: &dyn Fn() -> ScriptResult<Value>,
) -> ScriptResult<Value> {
    make_looked_for(env, spec, request, false, call)
}

/// The same, where it may be known that the tag which it makes is not there.
fn make_looked_for(
    env: &RunEnv,
    spec: &'static Spec,
    request: &Value,
    is_new: bool,
    call: &dyn Fn() -> ScriptResult<Value>,
) -> ScriptResult<Value> {
    if let Some(dry) = &env.policy.dry {
        return dry_run::answer(env, dry, spec, request);
    }
    env.confirm_write()?;
    let journal = |error: JournalError| env.journal_error(&error);
    let text = in_words(spec, &fit_to_keep(env, request));
    let tag = request["tagid"].as_i64().or(request["id"].as_i64());
    let identity = StepIdentity::new(StepKind::Call(effect_kind(spec)), text).on(None, tag);
    match env.block_on(env.journal.begin(&identity, spec.resend)).map_err(journal)? {
        Replay::Completed(answer) => Ok(answer),
        // A call is no loop, which alone can be abandoned.
        Replay::Abandoned => Ok(Value::Null),
        Replay::Failed(error) => Err(ScriptError::from_json(error).raise()),
        Replay::Fresh(step, durable) => {
            let making = Making { env, step, spec, request, is_new, may_be_made: false };
            making.claim()?;
            env.block_on(durable.wait()).map_err(journal)?;
            let looked = making.before()?;
            making.send(&looked, call)
        }
        Replay::Incomplete(step, row) => {
            // What was sent and not refused may have taken effect.
            let may_be_made = !row.effect.is_empty() && !was_refused(&row);
            let making = Making { env, step, spec, request, is_new, may_be_made };
            making.claim()?;
            if let Some(answer) = making.settle(&row)? {
                making.end(&Ok(answer.clone()), true)?;
                return Ok(answer);
            }
            env.block_on(making.step.reopen()).map_err(journal)?;
            let looked = making.looked_before(&row)?;
            making.send(&looked, call)
        }
    }
}

/// Makes a tag, which nobody has yet; says whether somebody else has made it since it was looked for.
pub(crate) fn make_tag(env: &RunEnv, name: &str) -> ScriptResult<(Tag, bool)> {
    let made = make_looked_for(env, tag::Create::SPEC, &json!({"name": name}), true, &|| {
        let client = env.client()?;
        let (tag, was_there) = env.call(ensure_tag(client, name))?;
        let mut made = json!(tag);
        if was_there {
            made[WAS_THERE] = json!(true);
        }
        Ok(made)
    })?;
    let was_there = made[WAS_THERE] == true;
    Ok((serde_json::from_value(made).unwrap_or_default(), was_there))
}

/// A call that changes the account, at its place in the journal.
struct Making<'a> {
    env: &'a RunEnv,
    step: Step,
    spec: &'static Spec,
    request: &'a Value,
    /// The tag that it makes was looked for, and is not there.
    is_new: bool,
    /// An earlier attempt has sent it, and may have had it done.
    may_be_made: bool,
}

/// What was so before a call.
#[derive(Default)]
struct Looked {
    /// Those whom it changes; `None` where that is not known.
    items: Option<Vec<ChangeItem>>,
    /// It makes a tag that was not there.
    makes_tag: bool,
}

/// Whether an earlier attempt was told that nothing was done.
fn was_refused(row: &StepRow) -> bool {
    let earlier = serde_json::from_str(&row.answer).map(ScriptError::from_json).ok();
    row.state == StepState::Failed && earlier.is_some_and(|error| !error.is_unsure)
}

impl Making<'_> {
    fn send(&self, looked: &Looked, call: &dyn Fn() -> ScriptResult<Value>) -> ScriptResult<Value> {
        let Self { env, step, spec, request, may_be_made, .. } = self;
        // Where it is not known who is so already, everybody may be changed.
        let changes = looked.items.as_ref().map_or_else(|| named(request).len(), Vec::len);
        let items = looked.items.as_deref().unwrap_or_default();
        let taken = env.policy.limits.reserve_all(changes);
        hit("call-intent");
        let answer = match &taken {
            Ok(()) => call(),
            Err(limit) => Err(limit_reached(limit)),
        };
        hit("call-made");
        match spec.name {
            "blacklist::add" | "blacklist::remove" if answer.is_ok() => {
                let blocks = spec.name == "blacklist::add";
                env.block_on(env.blacklist.update(&named(request), blocks));
            }
            "blacklist::add" | "blacklist::remove" => env.block_on(env.blacklist.invalidate()),
            _ => {}
        }
        let has_done_nothing = match &answer {
            Ok(_) => false,
            // A longer list was sent in parts, some of which may have been done; so may some of one.
            Err(error) => ScriptError::find_in(error).is_some_and(|error| {
                let is_whole = named(request).len() <= IN_ONE_CALL;
                !error.is_unsure && is_whole && error.errcode != Some(SOME_OPENIDS_FAILED)
            }),
        };
        if has_done_nothing && taken.is_ok() {
            env.policy.limits.release(changes);
        }
        let written = env.block_on(async {
            if answer.is_ok() && !items.is_empty() {
                step.outcome(0, &Unresolved::default(), &[]).await?;
            }
            // What was refused did nothing that could be taken back, unless an earlier try did.
            if has_done_nothing && !may_be_made {
                if !items.is_empty() {
                    let pending = Unresolved { in_doubt: Vec::new(), not_sent: items.to_vec() };
                    step.outcome(0, &pending, &[]).await?;
                }
                step.clear_effect().await?;
            }
            Ok(())
        });
        written.map_err(|error| env.journal_error(&error))?;
        self.end(&answer, looked.makes_tag)?;
        answer
    }

    /// Writes down what a call came to.
    fn end(&self, answer: &ScriptResult<Value>, has_made_tag: bool) -> ScriptResult<()> {
        let Self { env, step, spec, request, may_be_made, .. } = self;
        let written = env.block_on(async {
            match answer {
                Ok(answer) => {
                    if answer[WAS_THERE] == true {
                        step.clear_effect().await?;
                    } else if spec.name == tag::Create::SPEC.name && has_made_tag {
                        let (id, name) = (answer["id"].as_i64().unwrap_or_default(), text(request, "name"));
                        step.change(&RecordedEffect::CreateTag { id, name }).await?;
                    }
                    step.done(&fit_to_keep(env, answer)).await?.wait().await
                }
                Err(error) => match ScriptError::find_in(error) {
                    Some(error) => {
                        let error = ScriptError { is_unsure: error.is_unsure || *may_be_made, ..error };
                        step.failed(&fit_to_keep(env, &error.to_json())).await.map(drop)
                    }
                    None => Ok(()),
                },
            }
        });
        written.map_err(|error| env.journal_error(&error))
    }

    /// What is to be done with a call that an earlier attempt has begun: nothing more, if it is known to have taken
    /// effect; else it is made again where that does no harm, and where it does a person is asked.
    fn settle(&self, row: &StepRow) -> ScriptResult<Option<Value>> {
        let Self { env, step, spec, request, may_be_made, .. } = self;
        if !may_be_made || spec.resend == Resend::Idempotent {
            return Ok(None);
        }
        if spec.resend == Resend::VerifyFirst {
            let client = env.client()?;
            let id = request["id"].as_i64().unwrap_or_default();
            let done = json!({"errcode": 0, "errmsg": "ok"});
            match spec.name {
                "tag::create" => {
                    let found = env.call(find_tag(client, &text(request, "name")))?;
                    return Ok(found.map(|tag| json!({"id": tag.id, "name": tag.name})));
                }
                "tag::update" => {
                    let name = text(request, "name");
                    return Ok(env
                        .tags()?
                        .iter()
                        .any(|tag| tag.id == id && tag.name == name)
                        .then_some(done));
                }
                "tag::delete" => {
                    let is_there = env.tags()?.iter().any(|tag| tag.id == id);
                    return Ok((!is_there).then_some(done));
                }
                _ => {}
            }
        }
        match env.journal.resolution() {
            Some(Resolution::Retry) => Ok(None),
            Some(Resolution::Completed(answer)) => Ok(Some(answer)),
            None => {
                let unsure = JournalError::InDoubt { step: step.at().to_owned(), what: row.label.clone() };
                Err(env.journal_error(&env.journal.park(unsure)))
            }
        }
    }

    /// No other run writes the same tag meanwhile.
    fn claim(&self) -> ScriptResult<()> {
        let Self { env, request, .. } = self;
        let claimed = match self.spec.name {
            "tag::attach" | "tag::detach" => env.lock(&format!("tag {}", request["tagid"])),
            "tag::update" | "tag::delete" => env.lock(&format!("tag {}", request["id"])),
            "tag::create" => env.lock(&format!("the tag `{}`", text(request, "name"))),
            "blacklist::add" | "blacklist::remove" => env.lock("the blacklist"),
            _ => Ok(()),
        };
        if let Err(error) = claimed {
            let refused = Err(error);
            self.end(&refused, false)?;
            return refused.map(drop);
        }
        Ok(())
    }

    /// What was so before the first try of a call that is tried again.
    fn looked_before(&self, row: &StepRow) -> ScriptResult<Looked> {
        let deed = recorded_effect(self.env, row)?;
        match deed {
            Some(RecordedEffect::Change(_)) => {
                let items = items_of(self.env, self.step.at())?;
                // Where nobody was written down it was not sent, or nobody needed it.
                if items.is_empty() {
                    self.before()
                } else {
                    Ok(Looked { items: Some(items), makes_tag: false })
                }
            }
            Some(deed) => {
                Ok(Looked { items: None, makes_tag: matches!(deed, RecordedEffect::CreateTag { .. }) })
            }
            None => self.before(),
        }
    }

    /// Looks at what is so before the call, and writes down what it will change. Where that can't be known, the call
    /// can't be taken back.
    fn before(&self) -> ScriptResult<Looked> {
        let Self { env, step, spec, request, .. } = self;
        if !env.journal.is_recording() {
            return Ok(Looked::default());
        }
        let seen = look(env, spec, request, self.is_new);
        if env.calls.cancel.is_cancelled() {
            seen?;
            return Ok(Looked::default());
        }
        let is_seen = seen.is_ok();
        let (deed, items) = seen.unwrap_or_else(|_| {
            let deed = RecordedEffect::Other(format!(
                "{}, of which it could not be seen what was so before",
                spec.name
            ));
            (Some(deed), Vec::new())
        });
        let Some(deed) = deed else { return Ok(Looked::default()) };
        let written = env.block_on(async {
            let known = step.change(&deed).await?;
            let durable = if items.is_empty() { known } else { step.intent(0, &items).await? };
            durable.wait().await
        });
        written.map_err(|error| env.journal_error(&error))?;
        let makes_tag = matches!(deed, RecordedEffect::CreateTag { .. });
        Ok(Looked { items: is_seen.then_some(items), makes_tag })
    }
}

/// The openids that a request names.
fn named(request: &Value) -> Vec<String> {
    let list = request["openid_list"].as_array().into_iter().flatten();
    let one = request["remark"].as_str().and(request["openid"].as_str());
    list.filter_map(Value::as_str).chain(one).map(str::to_owned).collect()
}

/// What may be written down of a request or an answer: `***` stands for whatever is called a token or a secret, and
/// for those that are known. A run that is gone through again finds that in their place.
fn fit_to_keep(env: &RunEnv, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let is_secret = ["token", "secret"].iter().any(|word| name.to_lowercase().contains(word));
                let kept = match value {
                    Value::String(_) if is_secret => json!("***"),
                    value => fit_to_keep(env, value),
                };
                (name.clone(), kept)
            });
            Value::Object(fields.collect())
        }
        Value::Array(entries) => entries.iter().map(|entry| fit_to_keep(env, entry)).collect(),
        Value::String(text) => match &env.calls.client {
            Ok(client) => json!(client.mask(text)),
            Err(_) => value.clone(),
        },
        _ => value.clone(),
    }
}

/// The call in words by which it is known again.
fn in_words(spec: &Spec, request: &Value) -> String {
    let text = request.to_string();
    if text.len() <= LONGEST {
        return format!("{}({text})", spec.name);
    }
    let digest = fingerprint([text.as_str()]);
    let start: String = text.chars().take(80).collect();
    format!("{}({start}… {} bytes, {digest})", spec.name, text.len())
}

fn text(request: &Value, field: &str) -> String {
    request[field].as_str().unwrap_or_default().to_owned()
}

/// What a call is about to do, if it is anything, and to whom of those who are not so already.
fn look(
    env: &RunEnv,
    spec: &Spec,
    request: &Value,
    is_new: bool,
) -> ScriptResult<(Option<RecordedEffect>, Vec<ChangeItem>)> {
    let id = request["id"].as_i64().unwrap_or_default();
    let name_of = |id: i64| -> ScriptResult<String> {
        let tags = env.tags()?;
        Ok(tags.into_iter().find(|tag| tag.id == id).map(|tag| tag.name).unwrap_or_default())
    };
    Ok(match spec.name {
        "tag::attach" | "tag::detach" => {
            let tagid = request["tagid"].as_i64().unwrap_or_default();
            let attach = spec.name == "tag::attach";
            let users = details(env, &named(request))?;
            let changed = users.into_iter().filter(|user| {
                let has_it = user.tagid_list.as_ref().is_some_and(|tags| tags.contains(&tagid));
                has_it != attach
            });
            let change = if attach { Change::Attach(tagid) } else { Change::Detach(tagid) };
            (
                Some(RecordedEffect::Change(change)),
                changed.filter_map(|user| user.openid).map(ChangeItem::Openid).collect(),
            )
        }
        "user::remark" => {
            let (openid, new) = (text(request, "openid"), text(request, "remark"));
            let user = details(env, std::slice::from_ref(&openid))?.into_iter().next();
            let old = user.and_then(|user| user.remark);
            (
                Some(RecordedEffect::Change(Change::Remark)),
                old.map(|old| ChangeItem::Remark(openid, new, old)).into_iter().collect(),
            )
        }
        "blacklist::add" | "blacklist::remove" => {
            let add = spec.name == "blacklist::add";
            let openids = named(request);
            let listed = blacklisted_of(env, &openids)?;
            let items =
                openids.into_iter().filter(|openid| listed.contains(openid) != add).map(ChangeItem::Openid);
            (Some(RecordedEffect::Change(if add { Change::Block } else { Change::Unblock })), items.collect())
        }
        "tag::create" => {
            let name = text(request, "name");
            // One that is there is not made, whatever becomes of the call.
            let is_there = !is_new && env.tags()?.iter().any(|tag| tag.name == name);
            ((!is_there).then_some(RecordedEffect::CreateTag { id: 0, name }), Vec::new())
        }
        "tag::update" => (
            Some(RecordedEffect::RenameTag { id, from: name_of(id)?, to: text(request, "name") }),
            Vec::new(),
        ),
        "tag::delete" => (Some(RecordedEffect::DeleteTag { id, name: name_of(id)? }), Vec::new()),
        name => (Some(RecordedEffect::Other(name.to_owned())), Vec::new()),
    })
}

/// Those of these openids that are on the blacklist.
fn blacklisted_of(env: &RunEnv, openids: &[String]) -> ScriptResult<HashSet<String>> {
    let client = env.client()?;
    let listed = env.blacklist.intersect(client, env.calls.in_flight, &env.io.scratch_folder, openids);
    env.block_on(listed).map_err(unknown)
}

/// The details of people.
fn details(env: &RunEnv, openids: &[String]) -> ScriptResult<Vec<user::User>> {
    if openids.is_empty() {
        return Ok(Vec::new());
    }
    let refs = openids.iter().map(|openid| user::UserRef { openid: openid.clone(), lang: None });
    let request = user::Batch { user_list: refs.collect() };
    let users = env.block_on(call_chunked(env.client()?, env.calls.in_flight, request));
    Ok(users.map_err(|split| ScriptError::from_call(&split.error).raise())?.user_info_list)
}

/// Whether a call that was cut off, and does not come again, was made all the same: whom it was for may be so already, and
/// then the script had no reason to come to it again.
pub(crate) fn has_taken_effect(env: &RunEnv, row: &StepRow) -> ScriptResult<bool> {
    // A job within the loop may have had more people than it had asked for by then.
    let is_call = matches!(row.kind, StepKind::Call(_));
    let Some(RecordedEffect::Change(change)) = recorded_effect(env, row)? else { return Ok(false) };
    let items = items_of(env, &row.step)?;
    // Where nobody is written down it was not sent.
    if !is_call || items.is_empty() {
        return Ok(false);
    }
    let openids: Vec<String> = items.iter().map(|item| item.openid().to_owned()).collect();
    match change {
        Change::Block | Change::Unblock => {
            env.block_on(env.blacklist.invalidate());
            let listed = blacklisted_of(env, &openids)?;
            Ok(openids.iter().all(|openid| listed.contains(openid) == (change == Change::Block)))
        }
        Change::Attach(_) | Change::Detach(_) | Change::Remark => {
            let users = details(env, &openids)?;
            let is_so = |item: &ChangeItem| {
                let user = users.iter().find(|user| user.openid.as_deref() == Some(item.openid()));
                user.is_some_and(|user| match change {
                    Change::Remark => user.remark.as_deref() == Some(item.remark_change().new.as_str()),
                    Change::Attach(id) | Change::Detach(id) => {
                        let has_it = user.tagid_list.as_ref().is_some_and(|tags| tags.contains(&id));
                        has_it == matches!(change, Change::Attach(_))
                    }
                    Change::Block | Change::Unblock => false,
                })
            };
            Ok(items.iter().all(is_so))
        }
    }
}

/// What an earlier attempt has written down of a call.
fn items_of(env: &RunEnv, at: &str) -> ScriptResult<Vec<ChangeItem>> {
    let (Some(store), Some(run)) = (env.journal.store(), env.journal.run()) else { return Ok(Vec::new()) };
    let rows = env.block_on(store.batches_from(run, at, 0));
    let rows = rows.map_err(|error| env.journal_error(&error.into()))?;
    let mut items = Vec::new();
    for row in &rows {
        items.extend(read_items(row).map_err(|error| env.journal_error(&error.into()))?);
    }
    Ok(items)
}

/// The effect that an earlier attempt recorded of a call.
fn recorded_effect(env: &RunEnv, row: &StepRow) -> ScriptResult<Option<RecordedEffect>> {
    let run = env.journal.run().unwrap_or_default();
    RecordedEffect::read(run, row).map_err(|error| env.journal_error(&error.into()))
}

/// The kind of a write endpoint.
fn effect_kind(spec: &Spec) -> EffectKind {
    match spec.name {
        "tag::create" => EffectKind::TagCreate,
        "tag::update" => EffectKind::TagUpdate,
        "tag::delete" => EffectKind::TagDelete,
        "tag::attach" => EffectKind::TagAttach,
        "tag::detach" => EffectKind::TagDetach,
        "user::remark" => EffectKind::UserRemark,
        "blacklist::add" => EffectKind::BlacklistAdd,
        "blacklist::remove" => EffectKind::BlacklistRemove,
        "media::upload_image" => EffectKind::MediaUploadImage,
        "card::create" => EffectKind::CardCreate,
        "qrcode::create" => EffectKind::QrcodeCreate,
        "quota::clear" => EffectKind::QuotaClear,
        _ => EffectKind::Undeclared,
    }
}
