//! Makes script functions of the declarations of endpoints.

use super::{argument::read_argument, signature::signature};
use crate::{
    api::{
        Batched, Endpoint, FieldKind, Reads, Spec, WireSecret, Writes,
        answer::{Empty, OpenidPage},
        blacklist,
        card::{self, Created},
        media::{self, Uploaded},
        network::{self, IpList, NetworkReport},
        oauth::{self, Grant, Profile},
        qrcode::{self, Ticket},
        quota::{self, Quotas},
        rid::{self, RidInfo},
        tag::{self, Tag, TagIds, Tags},
        token::{self, Token},
        user::{self, User, Users},
    },
    base::Secret,
    bulk::{Effect, call_chunked},
    for_each_endpoint,
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult, at_position},
            stdlib,
            value::{Follower, OpaqueToken, to_dynamic},
        },
        writes::journaled_call::call_journaled,
    },
};
use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FnNamespace, FuncRegistration, Module, NativeCallContext,
    Position, RhaiFunc, Shared,
};
use serde_json::{Map, Value, json};
use std::{any::TypeId, collections::BTreeMap, sync::Arc};

/// An answer as a script sees it: the platform's field names, typed where it pays.
trait ToScript {
    /// Its type in a script.
    const KIND: &'static str;
    /// What it holds, for the reference.
    const GIVES: &'static str;
    fn to_script(self) -> Dynamic;
}

impl ToScript for Empty {
    const KIND: &'static str = "()";
    const GIVES: &'static str = "nothing";
    fn to_script(self) -> Dynamic {
        Dynamic::UNIT
    }
}

impl ToScript for Token {
    const KIND: &'static str = "Token";
    const GIVES: &'static str = "a `Token`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(OpaqueToken::from(self))
    }
}

impl ToScript for Grant {
    const KIND: &'static str = "Grant";
    const GIVES: &'static str = "a `Grant`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(self)
    }
}

/// Answers that are maps to a script, field by field.
macro_rules! maps {
    ($($answer:ty: $gives:literal),* $(,)?) => {
        $( impl ToScript for $answer {
            const KIND: &'static str = "Map";
            const GIVES: &'static str = $gives;
            fn to_script(self) -> Dynamic {
                to_dynamic(&self)
            }
        } )*
    };
}

maps! {
    OpenidPage: "a map: `total`, `count`, `data.openid` (no `data` when the page is empty), `next_openid`",
    Profile: "a map: `openid`, `nickname`, `headimgurl`, `sex`, `province`, `city`, `country`, `privilege`, `unionid`",
    Ticket: "a map: `ticket`, `expire_seconds`, `url`",
    NetworkReport: "a map: `dns` and `ping`, each an array of maps",
    Uploaded: "a map: `url`",
}

impl ToScript for Created {
    const KIND: &'static str = "Map";
    const GIVES: &'static str = "a map: `card_id`";
    fn to_script(self) -> Dynamic {
        to_dynamic(&json!({"card_id": self.card_id}))
    }
}

impl ToScript for User {
    const KIND: &'static str = "User";
    const GIVES: &'static str = "a `User`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(Follower(Arc::new(self)))
    }
}

impl ToScript for Users {
    const KIND: &'static str = "Array";
    const GIVES: &'static str = "an array of `User`";
    fn to_script(self) -> Dynamic {
        self.user_info_list.into_iter().map(User::to_script).collect::<Array>().into()
    }
}

impl ToScript for Tag {
    const KIND: &'static str = "Tag";
    const GIVES: &'static str = "a `Tag`";
    fn to_script(self) -> Dynamic {
        Dynamic::from(self)
    }
}

impl ToScript for Tags {
    const KIND: &'static str = "Array";
    const GIVES: &'static str = "an array of `Tag`";
    fn to_script(self) -> Dynamic {
        self.tags.into_iter().map(Tag::to_script).collect::<Array>().into()
    }
}

impl ToScript for Quotas {
    const KIND: &'static str = "Map";
    const GIVES: &'static str = "a map: `quota` with `daily_limit`, `used` and `remain`; `rate_limit` with `call_count` and `refresh_second`";
    fn to_script(self) -> Dynamic {
        let mut map = Map::new();
        map.insert("quota".to_owned(), json!(self.quota));
        map.extend(self.rate_limit.map(|limit| ("rate_limit".to_owned(), json!(limit))));
        to_dynamic(&map)
    }
}

impl ToScript for RidInfo {
    const KIND: &'static str = "Map";
    const GIVES: &'static str =
        "a map: `invoke_time`, `cost_in_ms`, `request_url`, `request_body`, `response_body`, `client_ip`";
    fn to_script(self) -> Dynamic {
        to_dynamic(&self.request)
    }
}

impl ToScript for IpList {
    const KIND: &'static str = "Array";
    const GIVES: &'static str = "an array of addresses";
    fn to_script(self) -> Dynamic {
        self.ip_list.into_iter().map(Dynamic::from).collect::<Array>().into()
    }
}

impl ToScript for TagIds {
    const KIND: &'static str = "Array";
    const GIVES: &'static str = "an array of ids";
    fn to_script(self) -> Dynamic {
        self.tagid_list.into_iter().map(Dynamic::from).collect::<Array>().into()
    }
}

/// How an endpoint is called from a script: as one call, or split into calls of the platform's maximum size.
trait Callable: Endpoint {
    /// Checks the request before anything is sent or recorded.
    fn check(&self) -> Result<(), Box<EvalAltResult>> {
        Ok(())
    }

    /// Checks what passes with time, given in Unix seconds, just before the request is sent: what the journal answers was
    /// in time.
    fn check_at(&self, _now: i64) -> Result<(), Box<EvalAltResult>> {
        Ok(())
    }

    fn call_from_script(self, env: &RunEnv) -> Result<Self::Answer, Box<EvalAltResult>>;
}

macro_rules! called_as_it_is {
    ($($endpoint:ty),* $(,)?) => {
        $( impl Callable for $endpoint {
            fn call_from_script(self, env: &RunEnv) -> Result<Self::Answer, Box<EvalAltResult>> {
                let client = env.client()?;
                env.call(client.call(&self))
            }
        } )*
    };
}

macro_rules! called_in_parts {
    ($($endpoint:ty),* $(,)?) => {
        $( impl Callable for $endpoint {
            fn call_from_script(self, env: &RunEnv) -> Result<Self::Answer, Box<EvalAltResult>> {
                let client = env.client()?;
                env.block_on(call_chunked(client, env.calls.in_flight, self)).map_err(|split| {
                    let error = env.call_error(&split.error);
                    if split.parts == 1 {
                        return error.raise();
                    }
                    let (failed, parts, most) = (split.failed, split.parts, Self::MAX_ITEMS);
                    error.note(format!("{failed} of {parts} calls of up to {most} were not done; the others were")).raise()
                })
            }
        } )*
    };
}

called_as_it_is! {
    user::List, user::Info, user::Remark, tag::Create, tag::Update,
    tag::Delete, tag::Of, blacklist::List, oauth::Refresh, oauth::Userinfo, oauth::Check,
    media::UploadImage, qrcode::Create, quota::Get, rid::Get, network::CallbackIp, network::ApiIp, network::Check,
}
called_in_parts!(user::Batch, tag::Attach, tag::Detach, blacklist::Add, blacklist::Remove);

impl Callable for token::Get {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Token> {
        let client = env.client()?;
        renew_token(env, Self::SPEC, || env.call(client.call(&self)))
    }
}

impl Callable for token::Stable {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Token> {
        let client = env.client()?;
        if self.force_refresh == Some(true) {
            return renew_token(env, Self::SPEC, || env.call(client.call(&self)));
        }
        env.call(client.call(&self))
    }
}

/// Renews a token that voids the one of other programs. That changes the account: a dry run gives a placeholder.
fn renew_token(env: &RunEnv, spec: &Spec, send: impl FnOnce() -> ScriptResult<Token>) -> ScriptResult<Token> {
    /// As of a real one, in seconds.
    const TTL: i64 = 7_200;
    let Some(dry_run) = &env.policy.dry else {
        env.confirm_write()?;
        return send();
    };
    dry_run.would_call(spec, 1);
    Ok(Token { access_token: WireSecret(Secret::new("dry-run")), expires_in: TTL })
}

impl Callable for tag::List {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Tags> {
        // In a dry run with the changes that it would have made.
        Ok(Tags { tags: env.tags()? })
    }
}

impl Callable for tag::Members {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<OpenidPage> {
        // The platform knows nothing of a tag that only a dry run has created.
        if env.policy.dry.as_ref().is_some_and(|dry_run| dry_run.is_placeholder(self.tagid)) {
            return Ok(OpenidPage::default());
        }
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

impl Callable for oauth::Exchange {
    fn call_from_script(self, env: &RunEnv) -> Result<Grant, Box<EvalAltResult>> {
        let client = env.client()?;
        env.call(client.exchange(&self))
    }
}

impl Callable for card::Create {
    fn check(&self) -> Result<(), Box<EvalAltResult>> {
        refuse_card(&card::check(&self.card))?;
        for (field, near) in card::suspects(&self.card) {
            tracing::warn!("{}: `{field}` is sent as it is; did you mean `{near}`?", Self::SPEC.name);
        }
        Ok(())
    }

    fn check_at(&self, now: i64) -> Result<(), Box<EvalAltResult>> {
        refuse_card(card::ended(&self.card, now).as_slice())
    }

    fn call_from_script(self, env: &RunEnv) -> Result<Created, Box<EvalAltResult>> {
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

fn refuse_card(faults: &[card::Fault]) -> Result<(), Box<EvalAltResult>> {
    let [first, others @ ..] = faults else { return Ok(()) };
    let name = card::Create::SPEC.name;
    let error = ScriptError::usage(
        format!("{name}: {first}"),
        "nothing was sent; the number is what the platform would have answered",
    );
    let error = ScriptError {
        errcode: Some(first.errcode),
        errmsg: first.to_string(),
        endpoint: name.to_owned(),
        ..error
    };
    Err(others.iter().rev().fold(error, |error, fault| error.note(fault.to_string())).raise())
}

impl Callable for quota::Clear {
    fn call_from_script(self, env: &RunEnv) -> Result<Empty, Box<EvalAltResult>> {
        let client = env.client()?;
        let appid = self.appid.unwrap_or_else(|| client.appid().to_owned());
        env.call(client.call(&Self { appid: Some(appid) }))
    }
}

/// Makes a module of each area: `user::info`, `tag::attach`.
pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    let mut areas: BTreeMap<&'static str, Module> = BTreeMap::new();
    macro_rules! bind_all {
        ($($endpoint:path),* $(,)?) => { $( bind::<$endpoint>(&mut areas, env); )* };
    }
    for_each_endpoint!(bind_all);
    crate::script::functions::oauth::register(engine, areas.entry("oauth").or_default(), env);
    for (area, mut module) in areas {
        stdlib::join(engine, area, &mut module);
        engine.register_static_module(area, module.into());
    }
}

fn bind<E>(areas: &mut BTreeMap<&'static str, Module>, env: &Arc<RunEnv>)
where
    E: Dispatch<<E as Endpoint>::Mode>,
    E::Answer: ToScript,
{
    let spec = E::SPEC;
    let (area, name) = spec.name.split_once("::").unwrap_or(("", spec.name));
    let module = areas.entry(area).or_default();
    let required = spec.fields.iter().take_while(|field| field.required).count();
    // One function for each number of arguments, since those at the end may be left out.
    for given in required..=spec.fields.len() {
        let env = Arc::clone(env);
        let call = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let at = context.map_or(Position::NONE, |context| context.call_position());
            let fields = spec.fields.iter().zip(args.iter()).map(|(field, arg)| {
                read_argument(&env, spec, field, arg).map(|value| (field.name.to_owned(), value))
            });
            let request = fields.collect::<Result<Map<_, _>, _>>().and_then(|fields| {
                let fields = Value::Object(fields);
                let request = serde_json::from_value::<E>(fields.clone()).map_err(|error| {
                    ScriptError::usage(format!("{}: {error}", spec.name), signature(spec))
                })?;
                Ok((request, fields))
            });
            let called = request
                .map_err(ScriptError::raise)
                .and_then(|(request, fields)| request.dispatch(&env, &fields));
            at_position(at, called.map(ToScript::to_script))
        };
        FuncRegistration::new(name)
            .with_namespace(FnNamespace::Internal)
            .with_params_info(
                spec.fields
                    .iter()
                    .take(given)
                    .map(|field| format!("{}: {}", field.name, kind_in_rhai(field.kind)))
                    .chain([E::Answer::KIND.to_owned()]),
            )
            .with_comments(spec.doc.lines().map(|line| format!("///{line}")))
            .set_into_module_raw(
                module,
                vec![TypeId::of::<Dynamic>(); given],
                RhaiFunc::Pure {
                    func: Shared::new(call),
                    has_context: true,
                    is_pure: true,
                    is_volatile: true,
                },
            );
    }
}

/// Calls an endpoint by its mode. A write endpoint without an `Effect` does not compile where it is bound.
trait Dispatch<Mode>: Callable {
    fn dispatch(self, env: &RunEnv, fields: &Value) -> ScriptResult<Self::Answer>;
}

impl<E: Callable + Endpoint<Mode = Reads>> Dispatch<Reads> for E {
    fn dispatch(self, env: &RunEnv, _fields: &Value) -> ScriptResult<Self::Answer> {
        self.call_from_script(env)
    }
}

impl<E: Callable + Effect> Dispatch<Writes> for E {
    fn dispatch(self, env: &RunEnv, fields: &Value) -> ScriptResult<Self::Answer> {
        self.check()?;
        let check_now = || self.check_at(env.io.clock.now_secs());
        if env.policy.dry.is_some() {
            check_now()?;
        }
        call_journaled(env, &self, fields, &|| {
            check_now()?;
            self.clone().call_from_script(env).map(|answer| json!(answer))
        })
    }
}

/// What an endpoint's function returns, for the reference.
pub(crate) fn gives(spec: &Spec) -> &'static str {
    macro_rules! table {
        ($($endpoint:path),* $(,)?) => {
            [$( (<$endpoint as Endpoint>::SPEC.name, <<$endpoint as Endpoint>::Answer as ToScript>::GIVES) ),*]
        };
    }
    let table = for_each_endpoint!(table);
    table.into_iter().find(|(name, _)| *name == spec.name).map_or("", |(_, gives)| gives)
}

/// The type of a parameter, as the engine names it.
const fn kind_in_rhai(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text | FieldKind::File => "String",
        FieldKind::Integer => "int",
        FieldKind::Flag => "bool",
        FieldKind::Token => "Token",
        FieldKind::Map => "Map",
        FieldKind::TextList | FieldKind::IntegerList | FieldKind::UserList => "Array",
    }
}
