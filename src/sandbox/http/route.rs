//! Makes a route of every declaration, with the checks of every call that precede its endpoint's own rules.

use crate::{
    api::{Credential, Endpoint, FieldKind, Method, Permission, Spec, errcode, ip_whitelist, wire},
    for_each_endpoint,
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            call::Call,
            options::AccountKind,
            switches::{ESCAPED_NAMES, STRING_TAGID},
            world::World,
        },
    },
};
use serde_json::{Value, json};
use std::collections::HashMap;

type Handler = fn(&mut World, &Call) -> Result<Vec<u8>, ApiError>;

/// A path's declaration and what serves it.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub spec: &'static Spec,
    pub handler: Handler,
}

/// Every path of the platform. An endpoint without a [`Simulate`] does not compile here.
pub(crate) fn routes() -> HashMap<&'static str, Route> {
    macro_rules! table {
        ($($endpoint:path),* $(,)?) => {
            HashMap::from([$( (
                <$endpoint as Endpoint>::SPEC.path,
                Route { spec: <$endpoint as Endpoint>::SPEC, handler: serve::<$endpoint> },
            ) ),*])
        };
    }
    for_each_endpoint!(table)
}

/// Checks a call by its declaration, executes it, and encodes the answer.
fn serve<E: Simulate>(world: &mut World, call: &Call) -> Result<Vec<u8>, ApiError> {
    let spec = E::SPEC;
    match (spec.method, call.method.as_str()) {
        (Method::Get, "GET" | "HEAD") | (Method::Post | Method::Upload, "POST") => {}
        (Method::Get, _) => return Err(ApiError::gateway(errcode::REQUIRES_GET)),
        (Method::Post | Method::Upload, _) => return Err(ApiError::gateway(errcode::REQUIRES_POST)),
    }
    if spec.credential == Credential::AccessToken {
        let token = call.query("access_token").filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| ApiError::gateway(errcode::ACCESS_TOKEN_MISSING))?;
        world.tokens.check(token, world.now())?;
    }
    let is_allowed = match (spec.permission, world.options.account_kind) {
        (Permission::Any, _) | (_, AccountKind::Service | AccountKind::Test) => true,
        (Permission::Certified, kind) => kind == AccountKind::Subscription,
        (Permission::CertifiedService, _) => false,
    };
    if !is_allowed {
        return Err(ApiError::gateway(errcode::API_UNAUTHORIZED));
    }
    let now = world.now();
    world.usage.take(spec, now, &world.options, &world.switches)?;
    let mut body = match spec.method {
        Method::Get => None,
        Method::Post => Some(read_body(spec, world, &call.body)?),
        Method::Upload => {
            let file = call.file.as_ref().ok_or_else(|| ApiError::new(errcode::MEDIA_DATA_MISSING))?;
            Some(spec.fields.iter().map(|field| (field.name.to_owned(), json!(file))).collect())
        }
    };
    if let Credential::AppSecret { grant_type } | Credential::AppId { grant_type } = spec.credential {
        check_app(spec, grant_type, world, call, body.as_ref())?;
    }
    check_numbers(spec, world, body.as_mut())?;
    check_list(spec, body.as_ref())?;
    let request: E = wire::decode(&call.query, body).map_err(|_| ApiError::new(errcode::MALFORMED_BODY))?;
    request.simulate(world).map(|answer| wire::encode_answer::<E>(&answer))
}

fn read_body(spec: &Spec, world: &World, bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::gateway(errcode::EMPTY_BODY));
    }
    let has_escapes = spec.path.contains("/tags/") && bytes.windows(2).any(|window| window == b"\\u");
    let body = match world.switches.get(ESCAPED_NAMES) {
        "40033" if has_escapes => return Err(ApiError::new(errcode::INVALID_CHARSET)),
        // The escape's own backslash is escaped, so that the name holds it letter by letter.
        "literal" if has_escapes => {
            serde_json::from_str(&String::from_utf8_lossy(bytes).replace("\\u", "\\\\u"))
        }
        _ => serde_json::from_slice(bytes),
    };
    body.map_err(|_| ApiError::new(errcode::MALFORMED_BODY))
}

/// The checks of calls with AppID or AppSecret, in the platform's order.
fn check_app(
    spec: &Spec,
    grant_type: &str,
    world: &World,
    call: &Call,
    body: Option<&Value>,
) -> Result<(), ApiError> {
    let given = |name: &str| match spec.method {
        Method::Get => call.query(name),
        Method::Post | Method::Upload => body.and_then(|body| body.get(name)).and_then(Value::as_str),
    };
    let given = |name: &str| given(name).filter(|value| !value.is_empty());
    let appid = given("appid").ok_or_else(|| ApiError::gateway(errcode::APPID_MISSING))?;
    if appid != world.options.appid {
        return Err(ApiError::gateway(errcode::INVALID_APPID));
    }
    if given("grant_type") != Some(grant_type) {
        return Err(ApiError::gateway(errcode::INVALID_GRANT_TYPE));
    }
    if matches!(spec.credential, Credential::AppId { .. }) {
        return Ok(());
    }
    let secret = given("secret").ok_or_else(|| ApiError::gateway(errcode::APPSECRET_MISSING))?;
    if secret != world.options.secret {
        return Err(ApiError::gateway(errcode::INVALID_APPSECRET));
    }
    let whitelist = &world.options.ip_whitelist;
    // The whitelist guards the account's token, not the exchange of a person's code.
    let is_guarded = !spec.path.starts_with("/sns/");
    if is_guarded && !whitelist.is_empty() && !whitelist.contains(&call.peer) {
        let text = ip_whitelist::refusal_text(call.peer);
        return Err(ApiError::gateway(errcode::IP_NOT_IN_WHITELIST).text(text));
    }
    Ok(())
}

/// Rejects or reads a number that arrived as a string, by the switch.
fn check_numbers(spec: &Spec, world: &World, body: Option<&mut Value>) -> Result<(), ApiError> {
    let Some(body) = body else { return Ok(()) };
    let fields = match spec.envelope {
        Some(envelope) => match body.get_mut(envelope) {
            Some(fields) => fields,
            None => return Ok(()),
        },
        None => body,
    };
    for field in spec.fields.iter().filter(|field| field.kind == FieldKind::Integer) {
        let Some(value) = fields.get_mut(field.name) else { continue };
        if let Some(text) = value.as_str() {
            let number = text.parse::<i64>().ok().filter(|_| world.switches.is(STRING_TAGID, "accept"));
            *value = Value::from(number.ok_or_else(|| ApiError::new(errcode::MALFORMED_BODY))?);
        }
    }
    Ok(())
}

/// Rejects a list that is empty or too long with the declared errcode.
fn check_list(spec: &Spec, body: Option<&Value>) -> Result<(), ApiError> {
    let Some(limit) = spec.list else { return Ok(()) };
    let length = body.and_then(|body| body.get(limit.field)).and_then(Value::as_array).map_or(0, Vec::len);
    if length == 0 || length > limit.max { Err(ApiError::new(limit.errcode)) } else { Ok(()) }
}
