//! Calls that change the account, one at a time: each is written down before it is sent with what the way back
//! needs, and answers from the journal when the run is gone through again.

use super::{
    dry,
    env::Env,
    error::{PlatformError, limit_reached},
    walk::ScriptResult,
};
use crate::{
    api::{
        Batched, Endpoint, Resend, Spec, blacklist,
        tag::{self, Tag},
        user,
    },
    base::digest,
    bulk::{
        Begun, Change, Deed, Item, JournalError, Pending, Step, StepRow, Verdict, call_in_parts, ensure_tag,
        find_tag, pass,
    },
};
use serde_json::{Value, json};

/// The openids that every call takes at the least; a longer list may be cut into several.
const IN_ONE_CALL: usize = blacklist::Add::MOST;

/// The longest request that is written down as it is; a longer one is told by its digest.
const LONGEST: usize = 400;

/// Makes a call that changes the account, unless it was made before.
pub(super) fn make(
    env: &Env,
    spec: &'static Spec,
    request: &Value,
    call: &dyn Fn() -> ScriptResult<Value>,
) -> ScriptResult<Value> {
    if let Some(dry) = &env.dry {
        return dry::answer(env, dry, spec, request);
    }
    env.may_write()?;
    let journal = |error: JournalError| env.journal_error(&error);
    let what = in_words(spec, &fit_to_keep(env, request));
    match env.wait(env.journal.begin(&what)).map_err(journal)? {
        Begun::Done(answer) => Ok(answer),
        Begun::Failed(error) => Err(PlatformError::read(error).raise()),
        Begun::New(step, durable) => {
            claim(env, &step, spec, request)?;
            env.wait(durable.wait()).map_err(journal)?;
            let looked = before(env, &step, spec, request)?;
            send(env, &step, spec, request, looked.as_deref(), call)
        }
        Begun::Open(step, row) => {
            claim(env, &step, spec, request)?;
            if let Some(answer) = settle(env, &step, spec, request, &row)? {
                end(env, &step, spec, request, &Ok(answer.clone()))?;
                return Ok(answer);
            }
            env.wait(step.again(&what)).map_err(journal)?;
            let looked = if row.change.is_empty() {
                before(env, &step, spec, request)?
            } else {
                // What was before the first try counts.
                Some(items_of(env, &step)?)
            };
            send(env, &step, spec, request, looked.as_deref(), call)
        }
    }
}

/// Makes a tag, which nobody has yet.
pub(super) fn make_tag(env: &Env, name: &str) -> ScriptResult<Tag> {
    let made = make(env, tag::Create::SPEC, &json!({"name": name}), &|| {
        let client = env.client()?;
        env.wait_for_call(ensure_tag(client, name)).map(|tag| json!(tag))
    })?;
    Ok(serde_json::from_value(made).unwrap_or_default())
}

fn send(
    env: &Env,
    step: &Step,
    spec: &'static Spec,
    request: &Value,
    looked: Option<&[Item]>,
    call: &dyn Fn() -> ScriptResult<Value>,
) -> ScriptResult<Value> {
    // Where it is not known who is so already, everybody may be changed.
    let changes = looked.map_or_else(|| named(request).len(), <[Item]>::len);
    let items = looked.unwrap_or_default();
    let taken = env.limits.take_all(changes).map_err(|limit| limit_reached(&limit));
    pass("call-intent");
    let answer = taken.and_then(|()| call());
    pass("call-made");
    match spec.name {
        "blacklist::add" | "blacklist::remove" if answer.is_ok() => {
            env.blacklist.has_changed(env, &named(request), spec.name == "blacklist::add");
        }
        "blacklist::add" | "blacklist::remove" => env.blacklist.forget(),
        _ => {}
    }
    let is_certain = match &answer {
        Ok(_) => true,
        Err(error) => PlatformError::within(error).is_some_and(|error| !error.is_unsure),
    };
    // A longer list was sent in parts, some of which may have been done.
    let is_whole = answer.is_ok() || items.len() <= IN_ONE_CALL;
    if is_certain && is_whole {
        if answer.is_err() {
            env.limits.give_back(changes);
        }
        let written = env.wait(async {
            if !items.is_empty() {
                let unmade = if answer.is_ok() { Vec::new() } else { items.to_vec() };
                step.outcome(0, &Pending { unsure: Vec::new(), unmade }, &[]).await?;
            }
            // What was refused did nothing that could be taken back, or could not be.
            if answer.is_err() { step.changed_nothing().await.map(drop) } else { Ok(()) }
        });
        written.map_err(|error| env.journal_error(&error))?;
    }
    end(env, step, spec, request, &answer)?;
    answer
}

/// The openids that a request names.
fn named(request: &Value) -> Vec<String> {
    let list = request["openid_list"].as_array().into_iter().flatten();
    let one = request["remark"].as_str().and(request["openid"].as_str());
    list.filter_map(Value::as_str).chain(one).map(str::to_owned).collect()
}

/// Writes down what a call came to.
fn end(
    env: &Env,
    step: &Step,
    spec: &Spec,
    request: &Value,
    answer: &ScriptResult<Value>,
) -> ScriptResult<()> {
    let written = env.wait(async {
        match answer {
            Ok(answer) => {
                if spec.name == tag::Create::SPEC.name {
                    let (id, name) = (answer["id"].as_i64().unwrap_or_default(), text(request, "name"));
                    step.change(&Deed::CreateTag { id, name }).await?;
                }
                step.done(&fit_to_keep(env, answer)).await?.wait().await
            }
            Err(error) => match PlatformError::within(error) {
                Some(error) => step.failed(&fit_to_keep(env, &error.write())).await.map(drop),
                None => Ok(()),
            },
        }
    });
    written.map_err(|error| env.journal_error(&error))
}

/// What is to be done with a call that an earlier attempt has begun: nothing more, if it is known to have taken
/// effect; else it is made again where that does no harm, and where it does a person is asked.
fn settle(
    env: &Env,
    step: &Step,
    spec: &'static Spec,
    request: &Value,
    row: &StepRow,
) -> ScriptResult<Option<Value>> {
    let earlier = serde_json::from_str(&row.answer).map(PlatformError::read).ok();
    let was_refused = row.state == "failed" && earlier.is_some_and(|error| !error.is_unsure);
    if was_refused || spec.resend == Resend::Idempotent {
        return Ok(None);
    }
    if spec.resend == Resend::VerifyFirst {
        let client = env.client()?;
        let id = request["id"].as_i64().unwrap_or_default();
        let done = json!({"errcode": 0, "errmsg": "ok"});
        match spec.name {
            "tag::create" => {
                let found = env.wait_for_call(find_tag(client, &text(request, "name")))?;
                return Ok(found.map(|tag| json!({"id": tag.id, "name": tag.name})));
            }
            "tag::update" => {
                let is_so = env.tags()?.iter().any(|tag| tag.id == id && tag.name == text(request, "name"));
                return Ok(is_so.then_some(done));
            }
            "tag::delete" => {
                let is_there = env.tags()?.iter().any(|tag| tag.id == id);
                return Ok((!is_there).then_some(done));
            }
            _ => {}
        }
    }
    match env.journal.verdict() {
        Some(Verdict::Again) => Ok(None),
        Some(Verdict::Done(answer)) => Ok(Some(answer)),
        None => {
            let unsure = JournalError::Unsure { step: step.at().to_owned(), what: row.what.clone() };
            Err(env.journal_error(&env.journal.park(unsure)))
        }
    }
}

/// What may be written down of a request or an answer: `***` stands for whatever is called a token or a secret, and
/// for those that are known. A run that is gone through again finds that in their place.
fn fit_to_keep(env: &Env, value: &Value) -> Value {
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
        Value::String(text) => match &env.client {
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
    let digest = digest([text.as_str()]);
    let start: String = text.chars().take(80).collect();
    format!("{}({start}… {} bytes, {digest})", spec.name, text.len())
}

/// No other run writes the same tag meanwhile.
fn claim(env: &Env, step: &Step, spec: &Spec, request: &Value) -> ScriptResult<()> {
    let claimed = match spec.name {
        "tag::attach" | "tag::detach" => env.claim(&format!("tag {}", request["tagid"])),
        "tag::update" | "tag::delete" => env.claim(&format!("tag {}", request["id"])),
        "tag::create" => env.claim(&format!("the tag `{}`", text(request, "name"))),
        "blacklist::add" | "blacklist::remove" => env.claim("the blacklist"),
        _ => Ok(()),
    };
    if let Err(error) = claimed {
        let refused = Err(error);
        end(env, step, spec, request, &refused)?;
        return refused.map(drop);
    }
    Ok(())
}

fn text(request: &Value, field: &str) -> String {
    request[field].as_str().unwrap_or_default().to_owned()
}

/// Looks at what is so before the call, and writes down what it will change. Where that can't be known, the call can't
/// be taken back.
fn before(env: &Env, step: &Step, spec: &Spec, request: &Value) -> ScriptResult<Option<Vec<Item>>> {
    if !env.journal.is_kept() {
        return Ok(None);
    }
    let seen = look(env, spec, request);
    if env.cancel.is_cancelled() {
        return seen.map(|(_, items)| Some(items));
    }
    let is_seen = seen.is_ok();
    let (deed, items) = seen.unwrap_or_else(|_| {
        let deed = Deed::Other(format!("{}, of which it could not be seen what was so before", spec.name));
        (deed, Vec::new())
    });
    let written = env.wait(async {
        let known = step.change(&deed).await?;
        let durable = if items.is_empty() { known } else { step.intent(0, &items).await? };
        durable.wait().await
    });
    written.map_err(|error| env.journal_error(&error))?;
    Ok(is_seen.then_some(items))
}

/// What a call is about to do, and to whom of those who are not so already.
fn look(env: &Env, spec: &Spec, request: &Value) -> ScriptResult<(Deed, Vec<Item>)> {
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
            (Deed::Change(change), changed.filter_map(|user| user.openid).map(Item::Openid).collect())
        }
        "user::remark" => {
            let (openid, new) = (text(request, "openid"), text(request, "remark"));
            let user = details(env, std::slice::from_ref(&openid))?.into_iter().next();
            let old = user.and_then(|user| user.remark);
            (
                Deed::Change(Change::Remark),
                old.map(|old| Item::Remark(openid, new, old)).into_iter().collect(),
            )
        }
        "blacklist::add" | "blacklist::remove" => {
            let add = spec.name == "blacklist::add";
            let openids = named(request);
            let listed = env.blacklist.among(env, &openids)?;
            let items = openids.into_iter().filter(|openid| listed.contains(openid) != add).map(Item::Openid);
            (Deed::Change(if add { Change::Block } else { Change::Unblock }), items.collect())
        }
        "tag::create" => (Deed::CreateTag { id: 0, name: text(request, "name") }, Vec::new()),
        "tag::update" => (Deed::RenameTag { id, from: name_of(id)?, to: text(request, "name") }, Vec::new()),
        "tag::delete" => (Deed::DeleteTag { id, name: name_of(id)? }, Vec::new()),
        name => (Deed::Other(name.to_owned()), Vec::new()),
    })
}

/// The details of people.
fn details(env: &Env, openids: &[String]) -> ScriptResult<Vec<user::User>> {
    if openids.is_empty() {
        return Ok(Vec::new());
    }
    let refs = openids.iter().map(|openid| user::UserRef { openid: openid.clone(), lang: None });
    let request = user::Batch { user_list: refs.collect() };
    let users = env.wait(call_in_parts(env.client()?, env.in_flight, request));
    Ok(users.map_err(|split| PlatformError::of(&split.error).raise())?.user_info_list)
}

/// What an earlier attempt has written down of a call.
fn items_of(env: &Env, step: &Step) -> ScriptResult<Vec<Item>> {
    let (Some(store), Some(run)) = (env.journal.store(), env.journal.run()) else { return Ok(Vec::new()) };
    let rows = env.wait(store.batches_from(run, step.at(), 0));
    let rows = rows.map_err(|error| env.journal_error(&error.into()))?;
    Ok(rows
        .iter()
        .flat_map(|row| serde_json::from_str::<Vec<Item>>(&row.items).unwrap_or_default())
        .collect())
}
