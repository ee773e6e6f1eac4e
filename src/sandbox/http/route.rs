//! From a declaration to a route: what is checked of every call before its own rules are asked.

use crate::{
    api::{Credential, Endpoint, FieldKind, Method, Permission, Spec, media::File, wire},
    for_each_endpoint,
    sandbox::world::{
        api_error::Refusal,
        options::AccountKind,
        switches::{ESCAPED_NAMES, STRING_TAGID},
        world::World,
    },
};
use serde_json::{Value, json};
use std::{collections::HashMap, net::IpAddr};

/// The sandbox's half of an endpoint: its own rules. What the declaration says (credential,
/// rights, quota, the list's bound) has been checked already.
pub(crate) trait Simulate: Endpoint {
    /// Does the call to the world.
    fn simulate(self, world: &mut World) -> Result<Self::Answer, Refusal>;
}

/// A call as it came.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: String,
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The file of an upload.
    pub file: Option<File>,
    pub peer: IpAddr,
}

impl Call {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the call names this openid, in its query or in its body.
    pub(crate) fn names(&self, openid: &str) -> bool {
        let quoted = format!("\"{openid}\"");
        self.query.iter().any(|(_, value)| value == openid)
            || self.body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    }
}

impl Call {
    /// Takes an openid out of the body's `openid_list`.
    pub(crate) fn leave_out(&mut self, openid: &str) {
        if let Ok(mut body) = serde_json::from_slice::<Value>(&self.body)
            && let Some(list) = body.get_mut("openid_list").and_then(Value::as_array_mut)
        {
            list.retain(|entry| entry != openid);
            self.body = body.to_string().into_bytes();
        }
    }

    /// Whether the body's `openid_list` has anybody left.
    pub(crate) fn names_anybody(&self) -> bool {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| body.get("openid_list").and_then(Value::as_array).map(|list| !list.is_empty()))
            .unwrap_or(true)
    }
}

type Handler = fn(&mut World, &Call) -> Result<Vec<u8>, Refusal>;

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

/// Checks a call by its declaration, does it, and spells the answer.
fn serve<E: Simulate>(world: &mut World, call: &Call) -> Result<Vec<u8>, Refusal> {
    let spec = E::SPEC;
    match (spec.method, call.method.as_str()) {
        (Method::Get, "GET" | "HEAD") | (Method::Post | Method::Upload, "POST") => {}
        (Method::Get, _) => return Err(Refusal::gateway(43001)),
        (Method::Post | Method::Upload, _) => return Err(Refusal::gateway(43002)),
    }
    if spec.credential == Credential::AccessToken {
        let token = call.query("access_token").filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Refusal::gateway(41001))?;
        world.tokens.check(token, world.now())?;
    }
    let is_allowed = match (spec.permission, world.options.account_kind) {
        (Permission::Any, _) | (_, AccountKind::Service | AccountKind::Test) => true,
        (Permission::Certified, kind) => kind == AccountKind::Subscription,
        (Permission::CertifiedService, _) => false,
    };
    if !is_allowed {
        return Err(Refusal::gateway(48001));
    }
    let now = world.now();
    world.usage.take(spec, now, &world.options, &world.switches)?;
    let mut body = match spec.method {
        Method::Get => None,
        Method::Post => Some(read_body(spec, world, &call.body)?),
        Method::Upload => {
            let file = call.file.as_ref().ok_or_else(|| Refusal::new(41005))?;
            Some(spec.fields.iter().map(|field| (field.name.to_owned(), json!(file))).collect())
        }
    };
    if let Credential::AppSecret { grant_type } | Credential::AppId { grant_type } = spec.credential {
        check_app(spec, grant_type, world, call, body.as_ref())?;
    }
    check_numbers(spec, world, body.as_mut())?;
    check_list(spec, body.as_ref())?;
    let request: E = wire::decode(&call.query, body).map_err(|_| Refusal::new(47001))?;
    request.simulate(world).map(|answer| wire::encode_answer::<E>(&answer))
}

fn read_body(spec: &Spec, world: &World, bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::gateway(44002));
    }
    let has_escapes = spec.path.contains("/tags/") && bytes.windows(2).any(|window| window == b"\\u");
    let body = match world.switches.get(ESCAPED_NAMES) {
        "40033" if has_escapes => return Err(Refusal::new(40033)),
        // The escape's own backslash is escaped, so that the name holds it letter by letter.
        "literal" if has_escapes => {
            serde_json::from_str(&String::from_utf8_lossy(bytes).replace("\\u", "\\\\u"))
        }
        _ => serde_json::from_slice(bytes),
    };
    body.map_err(|_| Refusal::new(47001))
}

/// The checks of whoever proves the AppID or the AppSecret, in the platform's order.
fn check_app(
    spec: &Spec,
    grant_type: &str,
    world: &World,
    call: &Call,
    body: Option<&Value>,
) -> Result<(), Refusal> {
    let given = |name: &str| match spec.method {
        Method::Get => call.query(name),
        Method::Post | Method::Upload => body.and_then(|body| body.get(name)).and_then(Value::as_str),
    };
    let given = |name: &str| given(name).filter(|value| !value.is_empty());
    let appid = given("appid").ok_or_else(|| Refusal::gateway(41002))?;
    if appid != world.options.appid {
        return Err(Refusal::gateway(40013));
    }
    if given("grant_type") != Some(grant_type) {
        return Err(Refusal::gateway(40002));
    }
    if matches!(spec.credential, Credential::AppId { .. }) {
        return Ok(());
    }
    let secret = given("secret").ok_or_else(|| Refusal::gateway(41004))?;
    if secret != world.options.secret {
        return Err(Refusal::gateway(40125));
    }
    let whitelist = &world.options.ip_whitelist;
    // The whitelist guards the account's token, not the exchange of a person's code.
    let is_guarded = !spec.path.starts_with("/sns/");
    if is_guarded && !whitelist.is_empty() && !whitelist.contains(&call.peer) {
        let text = format!("invalid ip {0} ipv6 ::ffff:{0}, not in whitelist", call.peer);
        return Err(Refusal::gateway(40164).text(text));
    }
    Ok(())
}

/// A number that came as a string is refused, or read, as the switch says.
fn check_numbers(spec: &Spec, world: &World, body: Option<&mut Value>) -> Result<(), Refusal> {
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
            *value = Value::from(number.ok_or_else(|| Refusal::new(47001))?);
        }
    }
    Ok(())
}

/// A list that is empty or too long is refused with the declared errcode.
fn check_list(spec: &Spec, body: Option<&Value>) -> Result<(), Refusal> {
    let Some(limit) = spec.list else { return Ok(()) };
    let length = body.and_then(|body| body.get(limit.field)).and_then(Value::as_array).map_or(0, Vec::len);
    if length == 0 || length > limit.most { Err(Refusal::new(limit.errcode)) } else { Ok(()) }
}
