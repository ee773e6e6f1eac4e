//! Calls that change the account, one at a time: each is written down before it is sent with what the way back
//! needs, and answers from the journal when the run is gone through again.

use super::{dry, env::Env, error::PlatformError, walk::ScriptResult};
use crate::{
    api::{
        Endpoint, Resend, Spec,
        tag::{self, Tag},
        user,
    },
    base::digest,
    bulk::{
        Begun, Change, Deed, Item, JournalError, Known, Source, Step, StepRow, Verdict, call_in_parts,
        ensure_tag, find_tag, pass,
    },
    client::Client,
};
use serde_json::{Value, json};

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
            let items = before(env, &step, spec, request)?;
            send(env, &step, spec, request, &items, call)
        }
        Begun::Open(step, row) => {
            claim(env, &step, spec, request)?;
            if let Some(answer) = settle(env, &step, spec, request, &row)? {
                end(env, &step, spec, request, &Ok(answer.clone()))?;
                return Ok(answer);
            }
            env.wait(step.again(&what)).map_err(journal)?;
            let items = if row.change.is_empty() {
                before(env, &step, spec, request)?
            } else {
                // What was before the first try counts.
                items_of(env, &step)?
            };
            send(env, &step, spec, request, &items, call)
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
    items: &[Item],
    call: &dyn Fn() -> ScriptResult<Value>,
) -> ScriptResult<Value> {
    pass("call-intent");
    let answer = call();
    pass("call-made");
    if answer.is_ok() && !items.is_empty() {
        env.wait(step.outcome(0, &[], &[])).map_err(|error| env.journal_error(&error))?;
    }
    end(env, step, spec, request, &answer)?;
    answer
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
                Some(error) => step.failed(&error.write()).await.map(drop),
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

/// Looks at what is so before the call, and writes down what it will change.
fn before(env: &Env, step: &Step, spec: &Spec, request: &Value) -> ScriptResult<Vec<Item>> {
    if !env.journal.is_kept() {
        return Ok(Vec::new());
    }
    let client = env.client()?;
    let openids = || -> Vec<String> {
        let list = request["openid_list"].as_array();
        list.into_iter().flatten().filter_map(|openid| openid.as_str().map(str::to_owned)).collect()
    };
    let id = request["id"].as_i64().unwrap_or_default();
    let name_of = |id: i64| -> String {
        let tags = env.tags().unwrap_or_default();
        tags.into_iter().find(|tag| tag.id == id).map(|tag| tag.name).unwrap_or_default()
    };
    let (deed, items) = match spec.name {
        "tag::attach" | "tag::detach" => {
            let tagid = request["tagid"].as_i64().unwrap_or_default();
            let attach = spec.name == "tag::attach";
            let users = details(env, client, &openids());
            let changed = users.iter().filter(|user| {
                let has_it = user.tagid_list.as_ref().is_some_and(|tags| tags.contains(&tagid));
                has_it != attach
            });
            let items = changed.filter_map(|user| user.openid.clone()).map(Item::Openid).collect();
            let change = if attach { Change::Attach(tagid) } else { Change::Detach(tagid) };
            (Deed::Change(change), items)
        }
        "user::remark" => {
            let (openid, new) = (text(request, "openid"), text(request, "remark"));
            let old = details(env, client, std::slice::from_ref(&openid));
            let old = old.into_iter().next().and_then(|user| user.remark);
            let items = old.map(|old| Item::Remark(openid, new, old)).into_iter().collect();
            (Deed::Change(Change::Remark), items)
        }
        "blacklist::add" | "blacklist::remove" => {
            let add = spec.name == "blacklist::add";
            let openids = openids();
            let listed = env.wait(async {
                let known =
                    Known::list(client, env.in_flight, Source::Blacklisted, &env.scratch_folder).await?;
                known.among(&openids).await
            });
            let items = match listed {
                Ok(listed) => openids
                    .into_iter()
                    .filter(|openid| listed.contains(openid) != add)
                    .map(Item::Openid)
                    .collect(),
                Err(_) => Vec::new(),
            };
            (Deed::Change(if add { Change::Block } else { Change::Unblock }), items)
        }
        // What it is called is known when it is there.
        "tag::create" => return Ok(Vec::new()),
        "tag::update" => (Deed::RenameTag { id, from: name_of(id), to: text(request, "name") }, Vec::new()),
        "tag::delete" => (Deed::DeleteTag { id, name: name_of(id) }, Vec::new()),
        name => (Deed::Other(name.to_owned()), Vec::new()),
    };
    let written = env.wait(async {
        let known = step.change(&deed).await?;
        let durable = if items.is_empty() { known } else { step.intent(0, &items).await? };
        durable.wait().await
    });
    written.map_err(|error| env.journal_error(&error))?;
    Ok(items)
}

/// The details of people; those whose details can't be had are left out, and are not taken back either.
fn details(env: &Env, client: &Client, openids: &[String]) -> Vec<user::User> {
    if openids.is_empty() {
        return Vec::new();
    }
    let refs = |openids: &[String]| {
        openids.iter().map(|openid| user::UserRef { openid: openid.clone(), lang: None }).collect()
    };
    let request = user::Batch { user_list: refs(openids) };
    match env.wait(call_in_parts(client, env.in_flight, request)) {
        Ok(users) => users.user_info_list,
        Err(_) => Vec::new(),
    }
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
