//! Texts that a script gives as openids: what could be none is refused before any call.

use crate::fixtures::{
    account::Account,
    paths::{ATTACH, BATCH_INFO},
    program::Folder,
};

/// What a script says that is refused, after it has called nothing but the token.
#[track_caller]
fn refused(script: &str) -> String {
    let account = Account::of(3);
    let folder =
        Folder::with(script).file("名单.csv", "openid,姓名\noABC,张三\n13800138000,李四\n").account();
    let url = format!("http://{}", account.address());
    let message = folder.run(&["run", "script.rhai", "--base-url", &url]).failure(1);
    let calls = account.get("/__sandbox/stats").json()["calls"].clone();
    let calls: Vec<&String> = calls.as_object().expect("calls are counted").keys().collect();
    assert!(calls.iter().all(|call| call.ends_with("token")), "{script}: {calls:?}");
    message
}

#[test]
fn phone_number_in_the_place_of_an_openid_is_refused() {
    for call in [
        "user::info(\"13800138000\")",
        "user::remark(\"13800138000\", \"张三\")",
        "tag::of(\"13800138000\")",
        "oauth::userinfo(\"96_x\", \"13800138000\")",
        "user::batch([\"oABC\", \"13800138000\"])",
        "user::batch([#{openid: \"13800138000\", lang: \"zh_CN\"}])",
        "tag::attach(2, [\"oABC\", \"13800138000\"])",
        "tag::detach(2, [\"13800138000\"])",
        "blacklist::add([\"13800138000\"])",
        "blacklist::remove([\"13800138000\"])",
        "openids([\"oABC\", \"13800138000\"]).tag(\"会员\")",
    ] {
        let message = refused(call);
        assert!(message.contains("is no openid, but what looks like a phone number"), "{call}: {message}");
        assert!(!message.lines().next().unwrap_or_default().contains("13800138000"), "{call}: {message}");
    }
}

#[test]
fn entry_that_is_no_openid_is_named_by_its_number() {
    let message = refused("openids([\"oABC\", \"oDEF \"]).count()");
    let reason =
        "error: openids: entry 2 is no openid, but a text with other characters than A-Z a-z 0-9 _ -\n";
    assert!(message.starts_with(reason), "{message}");
}

#[test]
fn empty_openid_is_refused() {
    assert!(
        refused("user::info(\"\")")
            .starts_with("error: user::info: `openid` is no openid, but an empty text\n")
    );
}

#[test]
fn phone_number_in_a_table_is_refused() {
    let message = refused("openids_from(\"名单.csv\").tag(\"会员\")");
    let reason = "line 3 has no openid, but what looks like a phone number\n";
    assert!(message.contains(reason), "{message}");
}

#[test]
fn short_text_that_could_be_an_openid_is_sent() {
    let account = Account::of(3);
    let folder = Folder::with("openids([\"oABC\"]).tag(2);").account();
    let url = format!("http://{}", account.address());
    assert_eq!(folder.run(&["run", "script.rhai", "--base-url", &url]).code, Some(3));
    let calls = account.get("/__sandbox/stats").json()["calls"].clone();
    assert_eq!(
        (calls[format!("POST {BATCH_INFO}")].as_u64(), calls[format!("POST {ATTACH}")].as_u64()),
        (None, Some(1))
    );
}
