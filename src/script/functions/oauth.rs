//! Web authorization in scripts: the page's address, and what a code is exchanged for.

use crate::{
    api::oauth::{Authorize, Grant, REFRESH_LIFE, USERINFO},
    base::closest_match,
    script::host::{
        env::RunEnv,
        error::{ScriptError, at_position},
        register::described,
        value::OpaqueToken,
        value_type::DeclaredField,
    },
};
use rhai::{Dynamic, Engine, EvalAltResult, Map, Module, NativeCallContext};
use std::{iter, sync::Arc};

/// Length of a generated state, in letters and digits.
const STATE: usize = 32;

pub(crate) fn register(engine: &mut Engine, module: &mut Module, env: &Arc<RunEnv>) {
    engine
        .register_type_with_name::<Grant>("Grant")
        .register_get("access_token", |grant: &mut Grant| OpaqueToken {
            secret: grant.access_token.0.clone(),
            expires_in: grant.expires_in,
        })
        .register_get("refresh_token", |grant: &mut Grant| OpaqueToken {
            secret: grant.refresh_token.0.clone(),
            expires_in: REFRESH_LIFE,
        })
        .register_get("expires_in", |grant: &mut Grant| grant.expires_in)
        .register_get("openid", |grant: &mut Grant| grant.openid.clone())
        .register_get("scope", |grant: &mut Grant| grant.scope.clone())
        .register_get("unionid", |grant: &mut Grant| {
            grant.unionid.clone().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("is_snapshotuser", |grant: &mut Grant| {
            grant.is_snapshotuser.map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_fn("to_string", |grant: &mut Grant| format!("{} ({})", grant.openid, grant.scope))
        .register_fn("to_debug", |grant: &mut Grant| format!("{} ({})", grant.openid, grant.scope));
    let env = Arc::clone(env);
    described("authorize_url", &["options: Map", "String"], AUTHORIZE_URL).set_into_module(
        module,
        move |at: NativeCallContext, options: Map| {
            at_position(at.call_position(), authorize_url(&env, &options))
        },
    );
}

/// The fields of what a person has authorized.
pub(crate) const GRANT_FIELDS: &[DeclaredField] = &[
    ("access_token", "Token", "The person's token."),
    ("refresh_token", "Token", "What renews it, for thirty days."),
    ("expires_in", "int", "Seconds until the token ends."),
    ("openid", "String", "Who it is."),
    ("scope", "String", "What was authorized: `snsapi_base` or `snsapi_userinfo`."),
    (
        "unionid",
        "String",
        "Their id across the accounts of one Open Platform account, for `snsapi_userinfo`.",
    ),
    ("is_snapshotuser", "int", "1 for a made-up person of the snapshot page."),
];

const AUTHORIZE_URL: &str = "The address of the page that a person authorizes on. Nothing is called.

    Takes `redirect_uri` (on the 网页授权域名 of the console), `scope` (`snsapi_userinfo` when left out) and
    `state` (letters and digits, 128 bytes at the most; made when left out). The person comes back to
    `redirect_uri` with `code` and `state`.

    ```rhai
    print(oauth::authorize_url(#{redirect_uri: \"https://www.example.com/back\", scope: \"snsapi_base\"}));
    ```";

fn authorize_url(env: &RunEnv, options: &Map) -> Result<String, Box<EvalAltResult>> {
    let usage = |message: String| {
        let hint = "for example oauth::authorize_url(#{redirect_uri: \"https://www.example.com/back\", \
                    scope: \"snsapi_base\"})";
        ScriptError::usage(format!("oauth::authorize_url: {message}"), hint).raise()
    };
    let mut authorize = Authorize {
        scope: USERINFO.to_owned(),
        state: iter::repeat_with(fastrand::alphanumeric).take(STATE).collect(),
        ..Authorize::default()
    };
    for (name, value) in options {
        let field = match name.as_str() {
            "redirect_uri" => &mut authorize.redirect_uri,
            "scope" => &mut authorize.scope,
            "state" => &mut authorize.state,
            other => {
                let near = closest_match(other, ["redirect_uri", "scope", "state"]);
                let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
                return Err(usage(format!(
                    "there is no option `{other}`{near}; it takes redirect_uri, scope and state"
                )));
            }
        };
        let text =
            value.as_immutable_string_ref().map_err(|_| usage(format!("`{name}` must be a string")))?;
        text.as_str().clone_into(field);
    }
    let client = env.client()?;
    authorize.url(&client.pages(), client.appid()).map_err(|error| usage(error.to_string()))
}
