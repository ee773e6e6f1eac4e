//! `api::get` and `api::post`: every path of the platform, with the same token, retries and
//! redaction as the functions that are declared.

use super::argument::check_query_text;
use crate::{
    api::{CallKind, Method, undeclared, wire::Outgoing},
    bulk::Undeclared,
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, at_position},
            modules::RAW_API,
            register::described,
            value::{to_dynamic, to_json, unsendable},
        },
        writes::journaled_call::call_journaled,
    },
};
use rhai::{Dynamic, Engine, EvalAltResult, Map, Module, NativeCallContext};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    let mut module = Module::new();
    let here = Arc::clone(env);
    described("get", &["path: String", "Map"], GET).set_into_module(
        &mut module,
        move |at: NativeCallContext, path: &str| {
            at_position(at.call_position(), call(&here, Method::Get, path, &Outgoing::default()))
        },
    );
    let here = Arc::clone(env);
    described("get", &["path: String", "query: Map", "Map"], GET).set_into_module(
        &mut module,
        move |at: NativeCallContext, path: &str, query: Map| {
            at_position(
                at.call_position(),
                read_query(&query).and_then(|request| call(&here, Method::Get, path, &request)),
            )
        },
    );
    let here = Arc::clone(env);
    described("post", &["path: String", "body: Map", "Map"], POST).set_into_module(
        &mut module,
        move |at: NativeCallContext, path: &str, body: Map| {
            let body = Dynamic::from(body);
            let called = if let Some(reason) = unsendable(&body) {
                let hint = "give texts, numbers, true or false, arrays and maps";
                Err(ScriptError::usage(format!("api::post: `body` can't be sent: {reason}"), hint).raise())
            } else {
                let body = Some(to_json(&body));
                call(&here, Method::Post, path, &Outgoing { body, ..Outgoing::default() })
            };
            at_position(at.call_position(), called)
        },
    );
    engine.register_static_module(RAW_API, module.into());
}

const GET: &str = "Calls any path of the platform that is a GET and gives the answer as a map.

    `query` is a map of texts, numbers and flags; the access token is added. A path that is not known to read counts as a
    write that is never sent twice: a GET may change the account, as `/cgi-bin/menu/delete` does.

    ```rhai
    print(api::get(\"/cgi-bin/tags/get\").tags.len());
    ```";

const POST: &str = "Calls any path of the platform with a JSON body and gives the answer as a map.

    It counts as a write that is never sent twice, unless the path is declared or known to read.

    ```rhai
    let openid = user::list().data.openid[0];
    print(api::post(\"/cgi-bin/tags/getidlist\", #{openid: openid}).tagid_list);
    ```";

fn read_query(query: &Map) -> Result<Outgoing, Box<EvalAltResult>> {
    let query = query.iter().map(|(name, value)| {
        // The description of a value without a JSON form must not be sent in its place.
        let value = if unsendable(value).is_some() { Value::Null } else { to_json(value) };
        let text = match value {
            Value::String(text) => text,
            value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
            _ => {
                let message = format!("api::get: `{name}` must be a string, a number or true or false");
                return Err(
                    ScriptError::usage(message, "for example api::get(\"/cgi-bin/menu/get\", #{})").raise()
                );
            }
        };
        check_query_text(&format!("api::get: `{name}`"), &text).map_err(ScriptError::raise)?;
        Ok((name.to_string(), text))
    });
    Ok(Outgoing { query: query.collect::<Result<_, _>>()?, ..Outgoing::default() })
}

fn call(env: &RunEnv, method: Method, path: &str, request: &Outgoing) -> Result<Dynamic, Box<EvalAltResult>> {
    let name = if method == Method::Get { "get" } else { "post" };
    check_query_text(&format!("{RAW_API}::{name}: `path`"), path).map_err(ScriptError::raise)?;
    let spec = undeclared::spec(method, path).map_err(|error| {
        let hint = match error {
            undeclared::UndeclaredError::Path(_) => {
                "a path is written as in the platform's documents: /cgi-bin/menu/get"
            }
            _ => "",
        };
        ScriptError::usage(format!("{RAW_API}::{name}: {error}"), hint).raise()
    })?;
    let send = || {
        let client = env.client()?;
        env.call(client.call_any(spec, request.clone()))
    };
    let answer = match spec.kind {
        CallKind::Read => send()?,
        CallKind::Write => {
            let named = match method {
                Method::Get => json!({"path": path, "query": request.query}),
                Method::Post | Method::Upload => json!({"path": path, "body": request.body}),
            };
            call_journaled(env, &Undeclared { spec }, &named, &send)?
        }
    };
    Ok(to_dynamic(&answer))
}
