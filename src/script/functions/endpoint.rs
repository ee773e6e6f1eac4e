//! Makes script functions of the declarations of endpoints.

use super::{answers::ToScript, argument::read_argument, signature::signature};
use crate::{
    api::{
        Batched, Consumes, Endpoint, FieldKind, InDryRun, Reads, Spec, WireSecret, Writes,
        answer::{Empty, OpenidPage},
        blacklist,
        card::{self, Created},
        media, network,
        oauth::{self, Grant, Profile},
        qrcode, quota, rid,
        tag::{self, Tags},
        token::{self, Token},
        user::{self, User},
    },
    base::Secret,
    bulk::{DryRun, Effect, call_chunked},
    for_each_endpoint,
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult, at_position},
            stdlib,
            value_type::ValueType,
        },
        writes::{journaled_call::call_journaled, tag_name::check_spelling},
    },
};
use rhai::{
    Dynamic, Engine, EvalAltResult, FnNamespace, FuncRegistration, Module, NativeCallContext, Position,
    RhaiFunc, Shared,
};
use serde_json::{Map, Value, json};
use std::{any::TypeId, collections::BTreeMap, sync::Arc};

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
                    let (failed, parts, max) = (split.failed, split.parts, Self::MAX_ITEMS);
                    error.note(format!("{failed} of {parts} calls of up to {max} were not done; the others were")).raise()
                })
            }
        } )*
    };
}

called_as_it_is! {
    user::List, user::Remark, tag::Delete, tag::Of, blacklist::List, oauth::Refresh,
    media::UploadImage, qrcode::Create, quota::Get, rid::Get, network::CallbackIp, network::ApiIp, network::Check,
}
called_in_parts!(user::Batch, tag::Attach, tag::Detach, blacklist::Add, blacklist::Remove);

/// An endpoint that uses something up, and what a dry run answers in its place.
trait Consuming: Callable {
    fn placeholder(&self) -> Self::Answer;
}

impl Callable for token::Get {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Token> {
        // The tokens of other programs end with it.
        env.confirm_write()?;
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

impl Callable for token::Stable {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Token> {
        if self.force_refresh == Some(true) {
            env.confirm_write()?;
        }
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

/// The life of a placeholder, as of a real token, in seconds.
const TTL: i64 = 7_200;

fn placeholder_secret() -> WireSecret {
    WireSecret(Secret::new(DryRun::SECRET))
}

fn placeholder_grant() -> Grant {
    Grant {
        access_token: placeholder_secret(),
        expires_in: TTL,
        refresh_token: placeholder_secret(),
        openid: DryRun::OPENID.to_owned(),
        scope: oauth::BASE.to_owned(),
        unionid: None,
        is_snapshotuser: None,
    }
}

impl Consuming for token::Get {
    fn placeholder(&self) -> Token {
        Token { access_token: placeholder_secret(), expires_in: TTL }
    }
}

impl Consuming for token::Stable {
    fn placeholder(&self) -> Token {
        Token { access_token: placeholder_secret(), expires_in: TTL }
    }
}

impl Consuming for oauth::Exchange {
    fn placeholder(&self) -> Grant {
        placeholder_grant()
    }
}

impl Consuming for oauth::Refresh {
    fn placeholder(&self) -> Grant {
        placeholder_grant()
    }
}

/// Whether a token comes from an exchange that a dry run has not made.
fn is_placeholder(env: &RunEnv, token: &WireSecret) -> bool {
    env.policy.dry.is_some() && token.0.reveal() == DryRun::SECRET
}

impl Callable for oauth::Userinfo {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Profile> {
        if is_placeholder(env, &self.access_token) {
            return Ok(Profile { openid: self.openid, ..Profile::default() });
        }
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

impl Callable for oauth::Check {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<Empty> {
        if is_placeholder(env, &self.access_token) {
            return Ok(Empty::default());
        }
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

impl Callable for user::Info {
    fn call_from_script(self, env: &RunEnv) -> ScriptResult<User> {
        // The platform knows nothing of a person whose code a dry run has not exchanged.
        if env.policy.dry.is_some() && self.openid == DryRun::OPENID {
            return Ok(User { openid: Some(self.openid), ..User::default() });
        }
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

macro_rules! named_by_scripts {
    ($($endpoint:ty),* $(,)?) => {
        $( impl Callable for $endpoint {
            fn check(&self) -> Result<(), Box<EvalAltResult>> {
                check_spelling(&self.name)
            }

            fn call_from_script(self, env: &RunEnv) -> Result<Self::Answer, Box<EvalAltResult>> {
                let client = env.client()?;
                env.call(client.call(&self))
            }
        } )*
    };
}

named_by_scripts!(tag::Create, tag::Update);

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
        let faults = card::check(&self.card);
        let is_incomplete = faults.iter().any(|fault| fault.problem == card::Problem::Missing);
        let undeclared = if is_incomplete { card::undeclared(&self.card) } else { Vec::new() };
        refuse_card(&faults, &undeclared)?;
        for (field, near) in card::suspects(&self.card) {
            tracing::warn!("{}: `{field}` is sent as it is; did you mean `{near}`?", Self::SPEC.name);
        }
        Ok(())
    }

    fn check_at(&self, now: i64) -> Result<(), Box<EvalAltResult>> {
        refuse_card(card::ended(&self.card, now).as_slice(), &[])
    }

    fn call_from_script(self, env: &RunEnv) -> Result<Created, Box<EvalAltResult>> {
        let client = env.client()?;
        env.call(client.call(&self))
    }
}

/// `undeclared` are names of the card of which one may have been meant for a field that is missing.
fn refuse_card(faults: &[card::Fault], undeclared: &[String]) -> Result<(), Box<EvalAltResult>> {
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
    let error = match undeclared {
        [] => error,
        names => error.note(format!("it has what is no declared field: `{}`", names.join("`, `"))),
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

impl<E: Consuming + Endpoint<Mode = Consumes>> Dispatch<Consumes> for E {
    fn dispatch(self, env: &RunEnv, fields: &Value) -> ScriptResult<Self::Answer> {
        let is_consumed = match Self::SPEC.in_dry_run {
            InDryRun::Sent => false,
            InDryRun::NotSent => true,
            InDryRun::NotSentWith(flag) => fields[flag] == true,
        };
        match &env.policy.dry {
            Some(dry_run) if is_consumed => {
                dry_run.would_call(Self::SPEC, 1);
                Ok(self.placeholder())
            }
            _ => self.call_from_script(env),
        }
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

/// The types that the functions of endpoints return, by the endpoints' names.
pub(crate) fn shapes() -> BTreeMap<&'static str, ValueType> {
    macro_rules! table {
        ($($endpoint:path),* $(,)?) => {
            [$( (<$endpoint as Endpoint>::SPEC.name, <<$endpoint as Endpoint>::Answer as ToScript>::SHAPE) ),*]
        };
    }
    let table = for_each_endpoint!(table);
    table.into_iter().map(|(name, shape)| (name, ValueType::declared(shape))).collect()
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
