//! What a dry run answers in the platform's place.

use crate::{
    api::{
        Spec, errcode,
        tag::{MOST_TAGS, NAME_BYTES, STARRED, Tag},
        user::{REMARK_BYTES, is_of_openid_form},
    },
    bulk::{Change, DryRun},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
};
use serde_json::{Value, json};

/// The answer to a call that changes the account and is not made.
pub(crate) fn answer(
    env: &RunEnv,
    dry: &DryRun,
    spec: &'static Spec,
    request: &Value,
) -> ScriptResult<Value> {
    let id = || request["id"].as_i64().unwrap_or_default();
    let name = || request["name"].as_str().unwrap_or_default().to_owned();
    let refuse = |code: i64| Err(refused(spec, code).raise());
    let done = json!({"errcode": 0, "errmsg": "ok"});
    let listed = |field: &str, most: usize| {
        let count = request[field].as_array().map_or(0, Vec::len);
        u64::try_from(count.div_ceil(most)).unwrap_or(u64::MAX)
    };
    let mut calls = 1;
    let answer = match spec.name {
        "tag::create" | "tag::update" => {
            let (name, tags) = (name(), env.tags()?);
            let is_new = spec.name == "tag::create";
            if !is_new && (0..=STARRED).contains(&id()) {
                return refuse(45058);
            }
            if name.trim().is_empty() {
                return refuse(errcode::INVALID_TAG_NAME);
            }
            if name.len() > NAME_BYTES {
                return refuse(45158);
            }
            if tags.iter().any(|tag| tag.name == name && (is_new || tag.id != id())) {
                return refuse(45157);
            }
            if is_new && tags.len() > MOST_TAGS {
                return refuse(45056);
            }
            if is_new {
                json!(dry.make_tag(&name))
            } else {
                known(&tags, spec, id())?;
                dry.rename_tag(id(), &name);
                done
            }
        }
        "tag::delete" => {
            if (0..=STARRED).contains(&id()) {
                return refuse(45058);
            }
            known(&env.tags()?, spec, id())?;
            dry.delete_tag(id());
            done
        }
        "tag::attach" | "tag::detach" => {
            let id = request["tagid"].as_i64().unwrap_or_default();
            known(&env.tags()?, spec, id)?;
            if let Some(code) = fault_of_openids(request) {
                return refuse(code);
            }
            calls = listed("openid_list", Change::Attach(id).batch_size());
            done
        }
        "user::remark" if !request["openid"].as_str().is_some_and(is_of_openid_form) => {
            return refuse(errcode::INVALID_OPENID);
        }
        "user::remark" if request["remark"].as_str().is_some_and(|remark| remark.len() >= REMARK_BYTES) => {
            return refuse(errcode::INVALID_REMARK);
        }
        "blacklist::add" | "blacklist::remove" => {
            if let Some(code) = fault_of_openids(request) {
                return refuse(code);
            }
            calls = listed("openid_list", Change::Block.batch_size());
            done
        }
        "card::create" => json!({"errcode": 0, "errmsg": "ok", "card_id": "dry-run"}),
        "media::upload_image" => json!({"url": "http://mmbiz.qpic.cn/dry-run/0"}),
        "qrcode::create" => {
            json!({"ticket": "dry-run", "expire_seconds": 60, "url": "http://weixin.qq.com/q/dry-run"})
        }
        _ => done,
    };
    dry.would_call(spec, calls);
    Ok(answer)
}

/// What a call that only reads answers where the platform knows nothing of what the dry run has "done".
pub(crate) fn read(env: &RunEnv, spec: &Spec, request: &Value) -> ScriptResult<Option<Value>> {
    let Some(dry) = &env.dry else { return Ok(None) };
    match spec.name {
        "tag::list" => Ok(Some(json!({"tags": env.tags()?}))),
        "tag::members" if request["tagid"].as_i64().is_some_and(|id| dry.is_placeholder(id)) => {
            Ok(Some(json!({"count": 0})))
        }
        _ => Ok(None),
    }
}

/// Why the platform would refuse the openids of a request, whoever they are.
fn fault_of_openids(request: &Value) -> Option<i64> {
    let openids = request["openid_list"].as_array()?;
    let are_fit = openids.iter().all(|openid| openid.as_str().is_some_and(is_of_openid_form));
    match openids.len() {
        0 => Some(40032),
        _ => (!are_fit).then_some(errcode::INVALID_OPENID),
    }
}

fn known(tags: &[Tag], spec: &Spec, id: i64) -> ScriptResult<()> {
    if tags.iter().any(|tag| tag.id == id) { Ok(()) } else { Err(refused(spec, 45159).raise()) }
}

fn refused(spec: &Spec, code: i64) -> ScriptError {
    let errmsg = errcode::text(code).to_owned();
    let hint = "this is a dry run: the platform was not asked, but would answer so";
    ScriptError {
        errcode: Some(code),
        errmsg: errmsg.clone(),
        endpoint: spec.name.to_owned(),
        ..ScriptError::usage(format!("{}: {code} {errmsg}", spec.name), hint)
    }
}
