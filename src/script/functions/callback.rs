//! `callback::…`: what a script does with a push of the platform, and the `Message` that it holds.

use crate::{
    api::callback::{self, Error, EventScene, FIELDS, Keys, Reply},
    base::{Setting, closest_match, millis_as_secs},
    script::host::{
        env::RunEnv,
        error::{ScriptError, at_position},
        modules::CALLBACK,
        register::described,
        value::{compact, describe_type, to_dynamic, to_json, unsendable},
    },
};
use rhai::{Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext};
use std::sync::Arc;

/// A pushed message in a script.
#[derive(Clone, Debug)]
pub(crate) struct Message(Arc<callback::Message>);

type Result<T> = std::result::Result<T, ScriptError>;

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    register_message(engine);
    let mut module = Module::new();
    register_received(&mut module, env);
    register_sent(&mut module, env);
    engine.register_static_module(CALLBACK, module.into());
}

/// What reads a push: its signature, its envelope, its message.
fn register_received(module: &mut Module, env: &Arc<RunEnv>) {
    let keys = Arc::clone(env);
    function(&VERIFY, &["signature: String", "timestamp: String", "nonce: String", "bool"]).set_into_module(
        module,
        move |at: NativeCallContext, signature: Dynamic, timestamp: Dynamic, nonce: Dynamic| {
            let verify = || {
                let (timestamp, nonce) = (digits(&VERIFY, 1, &timestamp)?, digits(&VERIFY, 2, &nonce)?);
                Ok(keys_of(&keys)?.verify(&timestamp, &nonce, &text(&VERIFY, 0, &signature)?))
            };
            at_call(&at, verify())
        },
    );

    let keys = Arc::clone(env);
    function(
        &DECRYPT,
        &["xml: String", "msg_signature: String", "timestamp: String", "nonce: String", "String"],
    )
    .set_into_module(
        module,
        move |at: NativeCallContext, xml: Dynamic, signature: Dynamic, timestamp: Dynamic, nonce: Dynamic| {
            let decrypt = || {
                let (xml, signature) = (text(&DECRYPT, 0, &xml)?, text(&DECRYPT, 1, &signature)?);
                let (timestamp, nonce) = (digits(&DECRYPT, 2, &timestamp)?, digits(&DECRYPT, 3, &nonce)?);
                let opened = keys_of(&keys)?.open(xml.as_bytes(), &signature, &timestamp, &nonce);
                // The platform passes on what the follower typed, invalid UTF-8 included.
                opened.map(|xml| String::from_utf8_lossy(&xml).into_owned()).map_err(|error| fault(&error))
            };
            at_call(&at, decrypt())
        },
    );

    function(&PARSE, &["xml: String", "Message"]).set_into_module(
        module,
        |at: NativeCallContext, xml: Dynamic| {
            let parse = || {
                let message = callback::Message::parse(text(&PARSE, 0, &xml)?.as_bytes());
                message.map(|message| Message(Arc::new(message))).map_err(|error| fault(&error))
            };
            at_call(&at, parse())
        },
    );
}

/// What makes the answer to a push: the reply, and its envelope.
fn register_sent(module: &mut Module, env: &Arc<RunEnv>) {
    let here = Arc::clone(env);
    function(&ENCRYPT, &["xml: String", "String"]).set_into_module(
        module,
        move |at: NativeCallContext, xml: Dynamic| {
            let encrypt = || {
                let nonce = u64::from_be_bytes(random()?) % 10_000_000_000;
                seal(&here, &xml, here.io.clock.now_secs(), &nonce.to_string())
            };
            at_call(&at, encrypt())
        },
    );
    let here = Arc::clone(env);
    function(&ENCRYPT, &["xml: String", "timestamp: int", "nonce: String", "String"]).set_into_module(
        module,
        move |at: NativeCallContext, xml: Dynamic, timestamp: Dynamic, nonce: Dynamic| {
            let encrypt = || {
                let given = digits(&ENCRYPT, 1, &timestamp)?;
                let timestamp = given.parse().map_err(|_| {
                    ScriptError::usage(
                        "callback::encrypt: `timestamp` must be Unix seconds",
                        ENCRYPT.signature(),
                    )
                })?;
                if let Some(seconds) = millis_as_secs(timestamp) {
                    let message = format!(
                        "callback::encrypt: `timestamp` {given} looks like milliseconds, and it takes seconds"
                    );
                    return Err(ScriptError::usage(message, format!("write {seconds}, or / 1000")));
                }
                seal(&here, &xml, timestamp, &digits(&ENCRYPT, 2, &nonce)?)
            };
            at_call(&at, encrypt())
        },
    );

    let here = Arc::clone(env);
    function(&REPLY, &["message: Message", "fields: Map", "String"]).set_into_module(
        module,
        move |at: NativeCallContext, message: Dynamic, fields: Dynamic| {
            let reply = || {
                let message =
                    message.read_lock::<Message>().ok_or_else(|| wrong(&REPLY, 0, "a Message", &message))?;
                let reply = read_reply(&fields)?;
                reply.to_xml(&message.0, here.io.clock.now_secs()).map_err(|error| fault(&error))
            };
            at_call(&at, reply())
        },
    );
}

/// A function of the module as help and hints show it.
struct Shape {
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
}

impl Shape {
    fn signature(&self) -> String {
        format!("it is {CALLBACK}::{}({})", self.name, self.parameters.join(", "))
    }
}

const VERIFY: Shape = Shape {
    name: "verify",
    parameters: &["signature", "timestamp", "nonce"],
    doc: "Whether a request to the developer's URL is the platform's: `true` or `false`.

        The three are the query's texts. Source: 接入概述.

        ```rhai
        print(callback::verify(\"f21891de399b4e33a1a93c9a7b8a8fffb5a443ff\", \"1410685589\", \"test\"));
        ```",
};
const DECRYPT: Shape = Shape {
    name: "decrypt",
    parameters: &["xml", "msg_signature", "timestamp", "nonce"],
    doc: "Opens an encrypted push: the body, and three texts of the query. Gives the message's XML.

        An error when the signature is another, or the message is for another AppID.
        Source: 消息加解密说明.

        ```rhai
        let sealed = callback::encrypt(\"<xml><MsgType>text</MsgType></xml>\", 1409304348, \"xxxxxx\");
        let signature = sealed.split(\"<MsgSignature><![CDATA[\")[1].split(\"]]>\")[0];
        print(callback::decrypt(sealed, signature, \"1409304348\", \"xxxxxx\"));
        ```",
};
const ENCRYPT: Shape = Shape {
    name: "encrypt",
    parameters: &["xml", "timestamp", "nonce"],
    doc: "Encrypts a reply's XML and gives the body of the answer.

        `timestamp` (Unix seconds) and `nonce` may be left out together: now, and random digits.
        Source: 消息加解密说明.

        ```rhai
        print(callback::encrypt(\"<xml><MsgType>text</MsgType></xml>\").len());
        ```",
};
const PARSE: Shape = Shape {
    name: "parse",
    parameters: &["xml"],
    doc: "Reads a pushed XML: a `Message` with the platform's field names.

        A field that did not come is `()`; `scene` is the QR code's scene. At most 64 KiB.
        Source: 接收普通消息, 接收事件推送.

        ```rhai
        let m = callback::parse(\"<xml><MsgType>event</MsgType><Event>SCAN</Event><EventKey>98765</EventKey></xml>\");
        print(m.scene);
        ```",
};
const REPLY: Shape = Shape {
    name: "reply",
    parameters: &["message", "fields"],
    doc: "A passive reply to a message, as XML.

        Text up to 2048 bytes of UTF-8, 1 to 8 articles. Source: 被动回复用户消息.

        ```rhai
        let m = callback::parse(\"<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>\");
        print(callback::reply(m, #{MsgType: \"text\", Content: \"你好\"}));
        ```",
};

fn function(shape: &Shape, parameters: &[&str]) -> FuncRegistration {
    described(shape.name, parameters, shape.doc)
}

/// Adds the position of the call to an error: the engine adds none for functions of modules.
fn at_call<T>(context: &NativeCallContext, result: Result<T>) -> std::result::Result<T, Box<EvalAltResult>> {
    at_position(context.call_position(), result.map_err(ScriptError::raise))
}

fn keys_of(env: &RunEnv) -> Result<&Keys> {
    env.calls.callback.as_ref().ok_or_else(|| {
        ScriptError::configuration(
            "no server callback is configured",
            format!(
                "set MPSCRIPT_CALLBACK_TOKEN and MPSCRIPT_AES_KEY (设置与开发 > 基本配置 > 服务器配置 shows them), \
                 name variables that are set by callback_token_env and aes_key_env of the account in \
                 mpscript.toml, or try it with {}",
                env.io.setting_names.of(Setting::Sandbox)
            ),
        )
    })
}

/// A fault in a push, its keys or a reply to it, as a script error.
fn fault(error: &Error) -> ScriptError {
    let hint = match error {
        Error::Encrypted => {
            "callback::decrypt(xml, msg_signature, timestamp, nonce) gives the XML to parse".to_owned()
        }
        Error::NoAesKey => {
            "set MPSCRIPT_AES_KEY (设置与开发 > 基本配置 > 服务器配置 shows it), or a variable that \
                            aes_key_env of the account in mpscript.toml names"
                .to_owned()
        }
        error => error.hint().unwrap_or_default(),
    };
    match error {
        Error::NoAesKey | Error::AesKey { .. } => ScriptError::configuration(error.to_string(), hint),
        error => ScriptError::usage(error.to_string(), hint),
    }
}

fn wrong(shape: &Shape, parameter: usize, wanted: &str, given: &Dynamic) -> ScriptError {
    let (name, parameter, given) = (shape.name, shape.parameters[parameter], describe_type(given));
    ScriptError::usage(
        format!("{CALLBACK}::{name}: `{parameter}` must be {wanted}, not {given}"),
        shape.signature(),
    )
}

fn text(shape: &Shape, parameter: usize, given: &Dynamic) -> Result<String> {
    given.clone().into_string().map_err(|_| wrong(shape, parameter, "a string", given))
}

/// A parameter of the query, which a script may have as a text or as an integer.
fn digits(shape: &Shape, parameter: usize, given: &Dynamic) -> Result<String> {
    match given.as_int() {
        Ok(number) => Ok(number.to_string()),
        Err(_) => {
            given.clone().into_string().map_err(|_| wrong(shape, parameter, "a string or an integer", given))
        }
    }
}

fn seal(env: &RunEnv, xml: &Dynamic, timestamp: i64, nonce: &str) -> Result<String> {
    let xml = text(&ENCRYPT, 0, xml)?;
    keys_of(env)?.seal(&xml, timestamp, nonce, random()?).map_err(|error| fault(&error))
}

/// Cryptographically secure random bytes.
fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| ScriptError::usage(format!("the system gives no random bytes: {error}"), ""))?;
    Ok(bytes)
}

fn read_reply(given: &Dynamic) -> Result<Reply> {
    if !given.is_map() {
        return Err(wrong(&REPLY, 1, "a map, as in #{MsgType: \"text\", Content: \"…\"}", given));
    }
    if let Some(reason) = unsendable(given) {
        let message = format!("{CALLBACK}::{}: `fields` can't be sent: {reason}", REPLY.name);
        return Err(ScriptError::usage(message, "give texts, numbers, true or false, arrays and maps"));
    }
    let fields = to_json(given);
    let fields = fields.as_object().cloned().unwrap_or_default();
    Reply::from_fields(&fields).map_err(|error| fault(&error))
}

fn register_message(engine: &mut Engine) {
    engine.register_type_with_name::<Message>("Message");
    for field in FIELDS {
        engine.register_get(field.name, move |push: &mut Message| {
            push.0.get(field.name).map_or(Dynamic::UNIT, |value| to_dynamic(&value))
        });
    }
    engine
        .register_get("scene", |push: &mut Message| scene(push))
        .register_indexer_get(field_by_name)
        .register_fn("to_string", |push: &mut Message| compact(&*push.0))
        .register_fn("to_debug", |push: &mut Message| compact(&*push.0));
}

/// The QR code's scene: a number as a number, so that it compares with a follower's `qr_scene`.
fn scene(push: &Message) -> Dynamic {
    match push.0.scene() {
        Some(EventScene::Id(id)) => i64::from(id).into(),
        Some(EventScene::Str(text)) => text.to_owned().into(),
        None => Dynamic::UNIT,
    }
}

/// `m["name"]`, and `m.name` for a field that is not declared: one that the platform has
/// added since is found, any other name is a mistake.
fn field_by_name(push: &mut Message, name: &str) -> std::result::Result<Dynamic, Box<EvalAltResult>> {
    if name == "scene" {
        return Ok(scene(push));
    }
    if let Some(value) = push.0.get(name) {
        return Ok(to_dynamic(&value));
    }
    let names = || FIELDS.iter().map(|field| field.name).chain(["scene"]);
    if names().any(|known| known == name) {
        return Ok(Dynamic::UNIT);
    }
    let hint = closest_match(name, names()).map_or_else(
        || "print the message to see the fields that it has".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(ScriptError::usage(format!("a message has no field `{name}`"), hint).raise())
}
