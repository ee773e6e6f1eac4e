//! The sandbox's QR codes: the four kinds, their limits, and the people who scan them.

use crate::fixtures::account::{Account, errcode};
use serde_json::{Value, json};

fn create(account: &Account, action_name: &str, scene: &Value, expire_seconds: Option<i64>) -> Value {
    let mut body = json!({"action_name": action_name, "action_info": {"scene": scene}});
    if let Some(seconds) = expire_seconds {
        body["expire_seconds"] = json!(seconds);
    }
    account.tell("/cgi-bin/qrcode/create", body)
}

fn details(account: &Account, openid: &Value) -> Value {
    account.ask("/cgi-bin/user/info", &format!("&openid={}", openid.as_str().unwrap()))
}

#[test]
fn each_kind_of_code_has_its_scene_and_expiry() {
    let account = Account::of(3);
    let number = || json!({"scene_id": 123});
    let text = || json!({"scene_str": "展台-09"});
    for (action, scene, expires) in [
        ("QR_SCENE", number(), json!(60)),
        ("QR_STR_SCENE", text(), json!(60)),
        ("QR_LIMIT_SCENE", number(), Value::Null),
        ("QR_LIMIT_STR_SCENE", text(), Value::Null),
    ] {
        let code = create(&account, action, &scene, None);
        assert_eq!(code["expire_seconds"], expires, "{action}: {code}");
        assert!(code["ticket"].as_str().unwrap().starts_with("gQH4"), "{code}");
        assert!(code["url"].as_str().unwrap().starts_with("http://weixin.qq.com/q/"), "{code}");
    }
    assert_eq!(create(&account, "QR_SCENE", &number(), Some(2_592_000))["expire_seconds"], 2_592_000);
}

#[test]
fn code_outside_its_limits_is_refused() {
    let account = Account::of(3);
    for (action, scene, seconds, code) in [
        ("QR_OTHER", json!({"scene_id": 1}), None, 40052),
        ("", json!({"scene_id": 1}), None, 40052),
        ("QR_SCENE", json!({"scene_id": 0}), None, 40053),
        ("QR_SCENE", json!({"scene_id": 4_294_967_296_i64}), None, 40053),
        ("QR_SCENE", json!({"scene_str": "展台"}), None, 40053),
        ("QR_SCENE", json!({"scene_id": 1}), Some(2_592_001), 40053),
        ("QR_LIMIT_SCENE", json!({"scene_id": 100_001}), None, 40053),
        ("QR_STR_SCENE", json!({"scene_str": ""}), None, 40053),
        ("QR_STR_SCENE", json!({"scene_str": "台".repeat(65)}), None, 40053),
    ] {
        assert_eq!(errcode(&create(&account, action, &scene, seconds)), code, "{action} {scene}");
    }
    assert_eq!(errcode(&create(&account, "QR_STR_SCENE", &json!({"scene_str": "台".repeat(64)}), None)), 0);
}

#[test]
fn scan_subscribes_with_the_code_s_scene() {
    let account = Account::of(3);
    let code = create(&account, "QR_SCENE", &json!({"scene_id": 55_555}), None);
    let scanner = account.control("scan", json!({"ticket": code["ticket"]}))["openid"].clone();
    let seen = details(&account, &scanner);
    assert_eq!((&seen["subscribe"], &seen["qr_scene"]), (&json!(1), &json!(55_555)));
    assert_eq!(seen["subscribe_scene"], "ADD_SCENE_QR_CODE");
    assert_eq!(account.ask("/cgi-bin/user/get", "")["total"], 4);
    let other = account.control("scan", json!({"scene": "展台-09"}))["openid"].clone();
    assert_eq!(details(&account, &other)["qr_scene_str"], "展台-09");
    // A follower stays who they are.
    let first = json!(account.openids()[0]);
    let before = details(&account, &first);
    account.control("scan", json!({"scene": 7, "openid": first}));
    assert_eq!(details(&account, &first), before);
    // Who had left comes back by the code.
    account.control("followers", json!({"openid": first, "subscribe": 0}));
    account.control("scan", json!({"scene": 7, "openid": first}));
    assert_eq!(details(&account, &first)["qr_scene"], 7);
}

#[test]
fn scan_of_an_expired_or_unknown_code_is_refused() {
    let account = Account::of(3);
    let code = create(&account, "QR_SCENE", &json!({"scene_id": 1}), Some(60));
    account.advance("60s");
    let refused = account.refused_control("scan", json!({"ticket": code["ticket"]}));
    assert!(refused.contains("has expired"), "{refused}");
    assert!(account.refused_control("scan", json!({"ticket": "nonsense"})).contains("no code"));
    assert!(account.refused_control("scan", json!({"scene": 0})).contains("from 1 to"));
    assert!(account.refused_control("scan", json!({})).contains("give {\"ticket\""));
}
