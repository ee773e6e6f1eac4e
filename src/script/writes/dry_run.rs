//! What a dry run answers in the platform's place.

use crate::{
    api::{
        Endpoint, Spec, Violation, card, errcode, qrcode, quota,
        tag::{
            Tag,
            rules::{check_create, check_delete, check_exists, check_rename, check_taggable},
        },
        user::rules::{Holder, check_remark, check_unblock, is_openid},
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
    let done = json!({"errcode": 0, "errmsg": "ok"});
    let listed = |field: &str, most: usize| {
        let count = request[field].as_array().map_or(0, Vec::len);
        u64::try_from(count.div_ceil(most)).unwrap_or(u64::MAX)
    };
    let mut calls = 1;
    let answer = match spec.name {
        "tag::create" => {
            let (name, tags) = (name(), env.tags()?);
            obey(spec, check_create(&name, names(&tags)))?;
            json!(dry.make_tag(&name))
        }
        "tag::update" => {
            let (name, tags) = (name(), env.tags()?);
            obey(spec, check_rename(id(), &name, names(&tags)))?;
            dry.rename_tag(id(), &name);
            done
        }
        "tag::delete" => {
            let tag = env.tags()?.into_iter().find(|tag| tag.id == id());
            let followers = tag.map(|tag| tag.count.unwrap_or_default().unsigned_abs());
            obey(spec, check_delete(id(), followers))?;
            dry.delete_tag(id());
            done
        }
        "tag::attach" | "tag::detach" => {
            let id = request["tagid"].as_i64().unwrap_or_default();
            obey(spec, check_list(spec, request))?;
            obey(spec, check_exists(id, env.tags()?.iter().map(|tag| tag.id)))?;
            obey(spec, holders(request).into_iter().try_for_each(check_taggable))?;
            calls = listed("openid_list", Change::Attach(id).batch_size());
            done
        }
        "user::remark" => {
            let holder = holder(request["openid"].as_str().unwrap_or_default());
            obey(spec, check_remark(holder, request["remark"].as_str().unwrap_or_default()))?;
            done
        }
        "blacklist::add" | "blacklist::remove" => {
            obey(spec, check_list(spec, request))?;
            obey(spec, check_unblock(holders(request).into_iter()))?;
            calls = listed("openid_list", Change::Block.batch_size());
            done
        }
        "card::create" => {
            obey(spec, decode::<card::Create>(request).check_kind())?;
            json!({"errcode": 0, "errmsg": "ok", "card_id": "dry-run"})
        }
        "media::upload_image" => json!({"url": "http://mmbiz.qpic.cn/dry-run/0"}),
        "quota::clear" => {
            let mut request = decode::<quota::Clear>(request);
            let own = env.client()?.appid();
            request.appid.get_or_insert_with(|| own.to_owned());
            obey(spec, request.check(own))?;
            done
        }
        "qrcode::create" => {
            obey(spec, decode::<qrcode::Create>(request).check().map(drop))?;
            json!({"ticket": "dry-run", "expire_seconds": 60, "url": "http://weixin.qq.com/q/dry-run"})
        }
        _ => done,
    };
    dry.would_call(spec, calls);
    Ok(answer)
}

/// What a call that only reads answers where the platform knows nothing of what the dry run has "done".
pub(crate) fn read(env: &RunEnv, spec: &Spec, request: &Value) -> ScriptResult<Option<Value>> {
    let Some(dry) = &env.policy.dry else { return Ok(None) };
    match spec.name {
        "tag::list" => Ok(Some(json!({"tags": env.tags()?}))),
        "tag::members" if request["tagid"].as_i64().is_some_and(|id| dry.is_placeholder(id)) => {
            Ok(Some(json!({"count": 0})))
        }
        _ => Ok(None),
    }
}

/// A list is cut into calls, so that it can only be too short.
fn check_list(spec: &Spec, request: &Value) -> Result<(), Violation> {
    let Some(limit) = spec.list else { return Ok(()) };
    let entries = request[limit.field].as_array().map_or(0, Vec::len);
    limit.check(entries.min(limit.most))
}

fn decode<E: Endpoint>(request: &Value) -> E {
    serde_json::from_value(request.clone()).unwrap_or_default()
}

fn names(tags: &[Tag]) -> impl Iterator<Item = (i64, &str)> + Clone {
    tags.iter().map(|tag| (tag.id, tag.name.as_str()))
}

/// Whom an openid names, by its form.
fn holder(openid: &str) -> Holder {
    if is_openid(openid) { Holder::Follower } else { Holder::Malformed }
}

fn holders(request: &Value) -> Vec<Holder> {
    let openids = request["openid_list"].as_array().into_iter().flatten();
    openids.map(|openid| holder(openid.as_str().unwrap_or_default())).collect()
}

fn obey(spec: &Spec, checked: Result<(), Violation>) -> ScriptResult<()> {
    checked.map_err(|violation| refused(spec, violation.errcode()).raise())
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
