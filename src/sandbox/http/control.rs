//! The control routes under `/__sandbox/`: what a test or a curious person asks of the simulator
//! itself. JSON whatever the Content-Type; an empty body is an empty object.

use super::{push, shared::Shared};
use crate::{
    api::oauth::{BASE, USERINFO},
    base::fingerprint,
    sandbox::{
        rules::card,
        world::{
            call::Call,
            codes::Scene,
            faults::Faults,
            switches::{SWITCHES, Values},
            world::World,
        },
    },
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::atomic::Ordering};

/// Answers a control call with a status and a body.
pub(crate) async fn answer(shared: &Shared, path: &str, call: &Call) -> (u16, Value) {
    let body =
        if call.body.trim_ascii().is_empty() { Ok(json!({})) } else { serde_json::from_slice(&call.body) };
    let result = match (call.method.as_str(), path, body) {
        (_, _, Err(error)) => Err(format!("the body is not JSON: {error}")),
        ("GET", "", _) => Ok(json!({"routes": ROUTES})),
        ("GET", "stats", _) => Ok(stats(shared)),
        ("GET", "tags", _) => Ok(tags(&shared.world())),
        ("GET", "world", _) => Ok(state(&shared.world())),
        ("GET", "cards", _) => Ok(card::list(&shared.world().cards)),
        ("GET", "switches", _) => Ok(switches(&shared.world())),
        ("POST", "switches", Ok(body)) => set_switches(&mut shared.world(), &body),
        ("POST", "clock", Ok(body)) => turn_clock(&shared.world(), &body),
        ("POST", "faults", Ok(body)) => shared.world().faults.add(body).map(|()| json!({"ok": true})),
        ("POST", "faults/clear", Ok(_)) => {
            shared.world().faults = Faults::default();
            Ok(json!({"ok": true}))
        }
        ("POST", "followers", Ok(body)) => subscribe(&mut shared.world(), &body),
        ("POST", "oauth/code", Ok(body)) => oauth_code(&mut shared.world(), &body),
        ("POST", "push", Ok(body)) => push::answer(shared, body).await,
        ("POST", "scan", Ok(body)) => scan(&mut shared.world(), &body),
        ("POST", "tokens/revoke", Ok(_)) => {
            let mut world = shared.world();
            let now = world.now();
            world.tokens.revoke_all(now);
            Ok(json!({"ok": true}))
        }
        ("POST", "reset", Ok(_)) => {
            reset(shared);
            Ok(json!({"ok": true}))
        }
        _ => {
            return (
                404,
                json!({"error": format!("there is no {} /__sandbox/{path}", call.method), "routes": ROUTES}),
            );
        }
    };
    match result {
        Ok(body) => (200, body),
        Err(error) => (400, json!({"error": error})),
    }
}

/// Every control call with its body; a name that may be left out has a question mark.
const ROUTES: [&str; 18] = [
    "GET",
    "GET stats",
    "GET tags",
    "GET cards",
    "GET world",
    "GET switches",
    "GET enter?openid=…&from=menu",
    "POST switches {NAME: VALUE, …}",
    "POST clock {advance}",
    "POST faults {path, errcode | status | drop | body | delay, openid?, every?, times?}",
    "POST faults/clear",
    "POST followers {openid, subscribe}",
    "POST scan {ticket | scene, openid?}",
    "POST oauth/code {openid?, scope?}",
    "POST push {url, check: true}",
    "POST push {url, message?: {MsgType, Event?, …}, openid?, mode?: plain | compatible | safe, patience?: 5s}",
    "POST tokens/revoke",
    "POST reset",
];

fn stats(shared: &Shared) -> Value {
    let world = shared.world();
    json!({
        "calls": world.calls,
        "max_in_flight": shared.max_in_flight.load(Ordering::SeqCst),
        "tokens_issued": world.tokens.answers,
        "full_minutes": world.usage.full_minutes(),
    })
}

fn tags(world: &World) -> Value {
    world
        .tags
        .iter()
        .map(|(id, tag)| json!({"id": id, "name": tag.name, "count": tag.members.len()}))
        .collect()
}

/// What calls can change of the people, as digests: two worlds with equal digests are equal to every caller.
fn state(world: &World) -> Value {
    let tags: BTreeMap<&str, Value> = world
        .tags
        .values()
        .map(|tag| {
            let members = tag.members.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
            (
                tag.name.as_str(),
                json!({"count": tag.members.len(), "digest": fingerprint([members.as_str()])}),
            )
        })
        .collect();
    let mut remarks = String::new();
    let mut following = String::new();
    for (number, follower) in world.followers.iter().enumerate() {
        if let Some(remark) = follower.remark.as_deref().filter(|remark| !remark.is_empty()) {
            remarks.push_str(&format!("{number} {remark}\n"));
        }
        if follower.subscribed {
            following.push_str(&format!("{number} "));
        }
    }
    let blacklist = world.blacklist.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    json!({
        "tags": tags,
        "remarks": fingerprint([remarks.as_str()]),
        "blacklist": fingerprint([blacklist.as_str()]),
        "followers": fingerprint([following.as_str()]),
    })
}

/// Every switch with its setting, its default and what it can be.
fn switches(world: &World) -> Value {
    let describe = |values: &Values| match values {
        Values::OneOf(values) => json!(values),
        Values::UpTo(max) => json!({"from": 0, "to": max}),
    };
    let all: Map<String, Value> = SWITCHES
        .iter()
        .map(|switch| {
            let entry = json!({
                "value": world.switches.get(switch.name),
                "default": switch.default,
                "values": describe(&switch.values),
                "question": switch.question,
                "doc": switch.doc,
            });
            (switch.name.to_owned(), entry)
        })
        .collect();
    Value::Object(all)
}

/// `{"NAME": VALUE, …}`; all are set, or none.
fn set_switches(world: &mut World, body: &Value) -> Result<Value, String> {
    let settings = body.as_object().ok_or("give an object of names and values")?;
    let mut changed = world.switches.clone();
    for (name, value) in settings {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        changed.set(name, &value).map_err(|error| error.to_string())?;
    }
    world.switches = changed;
    Ok(switches(world))
}

/// `{"advance": "2h"}`.
fn turn_clock(world: &World, body: &Value) -> Result<Value, String> {
    let by = body.get("advance").and_then(Value::as_str).ok_or("give {\"advance\": \"2h\"}")?;
    let by = humantime::parse_duration(by).map_err(|error| format!("`{by}`: {error}"))?;
    world.clock.advance(by);
    Ok(json!({"now": world.now()}))
}

/// `{"openid": …, "subscribe": 0 or 1}`: a user leaves or comes back.
fn subscribe(world: &mut World, body: &Value) -> Result<Value, String> {
    const USAGE: &str = "give {\"openid\": \"…\", \"subscribe\": 0 or 1}";
    let openid = body.get("openid").and_then(Value::as_str).ok_or(USAGE)?;
    let subscribe = body.get("subscribe").and_then(Value::as_u64).filter(|value| *value < 2).ok_or(USAGE)?;
    let number = world.resolve_openid(openid)?;
    if subscribe == 1 {
        world.subscribe(number);
    } else {
        world.unsubscribe(number);
    }
    Ok(json!({"ok": true}))
}

/// `{"ticket": …}` or `{"scene": …}`, and `"openid"` for a particular user, who scans the
/// code, and follows if they did not.
fn scan(world: &mut World, body: &Value) -> Result<Value, String> {
    let scene = match (body.get("ticket"), body.get("scene")) {
        (Some(Value::String(ticket)), None) => world.scene_of(ticket)?,
        (None, Some(Value::String(text))) if !text.is_empty() => Scene::Text(text.clone()),
        (None, Some(Value::Number(number))) => number
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| *number > 0)
            .map(Scene::Number)
            .ok_or("a scene's number is from 1 to 4294967295")?,
        _ => {
            return Err("give {\"ticket\": \"…\"} or {\"scene\": 123}, and \"openid\" for a particular user"
                .to_owned());
        }
    };
    let number = match body.get("openid").and_then(Value::as_str) {
        Some(openid) => world.resolve_openid(openid)?,
        None => world.newcomer()?,
    };
    world.scan(number, scene);
    Ok(json!({"openid": world.openids.openid(number)}))
}

/// `{"openid": …, "scope": …}`: a code as if that person had authorized; the first follower when
/// none is named.
fn oauth_code(world: &mut World, body: &Value) -> Result<Value, String> {
    let scope = body.get("scope").and_then(Value::as_str).unwrap_or(USERINFO);
    if !World::is_scope(scope) {
        return Err(format!("scope is {BASE} or {USERINFO}, not `{scope}`"));
    }
    let number = match body.get("openid").and_then(Value::as_str) {
        Some(openid) => world.resolve_openid(openid)?,
        None if world.followers.is_empty() => world.newcomer()?,
        None => 0,
    };
    Ok(json!({"code": world.issue_code(number, scope)}))
}

/// The world as it was at the start, its clock and counters too.
fn reset(shared: &Shared) {
    let mut world = shared.world();
    world.clock.reset();
    let fresh = World::new(world.options.clone(), world.clock.clone());
    *world = fresh;
    shared.max_in_flight.store(0, Ordering::SeqCst);
}
