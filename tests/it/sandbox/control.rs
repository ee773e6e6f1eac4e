//! The sandbox's control routes: statistics, clock, followers who come and go, revoking, reset.

use crate::fixtures::{
    account::{
        Account, JSON, errcode, ok, request, request_to, stable_token_request, token_of, token_target,
    },
    paths::ATTACH,
};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options, Sandbox};
use serde_json::{Value, json};
use std::{
    io::{BufRead, Write},
    time::{SystemTime, UNIX_EPOCH},
};

fn stats(account: &Account) -> Value {
    account.get("/__sandbox/stats").json()
}

fn subscribe(account: &Account, openid: &str, subscribe: u8) {
    account.control("followers", json!({"openid": openid, "subscribe": subscribe}));
}

fn info(account: &Account, openid: &str) -> Value {
    account.ask("/cgi-bin/user/info", &format!("&openid={openid}"))
}

#[test]
fn stats_count_calls_by_method_and_path_and_tokens_issued() {
    let account = Account::of(3);
    account.renew();
    account.tag("广东");
    account.tag("北京");
    account.ask("/cgi-bin/tags/get", "");
    account.get("/cgi-bin/tags/get");
    account.get("/cgi-bin/nothing");
    let expected = json!({
        "calls": {"GET /cgi-bin/token": 2, "POST /cgi-bin/tags/create": 2, "GET /cgi-bin/tags/get": 2},
        "full_minutes": 0,
        "max_in_flight": 1,
        "tokens_issued": 2,
    });
    assert_eq!(stats(&account), expected);
}

#[test]
fn stats_report_the_maximum_of_concurrent_calls() {
    let account = Account::of(3);
    account.control("faults", json!({"path": "/cgi-bin/tags/get", "delay": "50ms"}));
    let call = request("GET", &account.target("/cgi-bin/tags/get", ""), &[], b"");
    let mut connections = [account.connect(), account.connect(), account.connect()];
    for connection in &mut connections {
        connection.get_mut().write_all(&call).expect("the request can be sent");
    }
    for connection in &mut connections {
        let mut line = String::new();
        connection.read_line(&mut line).expect("there is an answer");
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    }
    assert_eq!(stats(&account)["max_in_flight"], 3);
}

#[test]
fn clock_starts_at_system_time_and_advances() {
    let account = Account::of(3);
    let system = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        i64::try_from(since).expect("it is long before the end of time")
    };
    for (by, seconds) in [("0s", 0), ("1day 2h", 26 * 3600)] {
        let before = system() + seconds;
        let now = account.advance(by);
        let after = system() + seconds;
        assert!((before..=after).contains(&now), "{now} is not from {before} to {after}");
    }
    for bad in [json!({"advance": "soon"}), json!({"advance": 5}), json!({"advance": "-1h"}), json!({})] {
        account.refused_control("clock", bad);
    }
}

#[test]
fn clock_advanced_past_the_end_of_time_still_runs() {
    let account = Account::of(3);
    for _ in 0..3 {
        account.control("clock", json!({"advance": "500000000000years"}));
        account.renew();
        assert_eq!(errcode(&account.ask("/cgi-bin/tags/get", "")), 0);
        assert_eq!(errcode(&account.get("/cgi-bin/tags/get").json()), 41001);
    }
}

#[test]
fn revoke_invalidates_every_token_at_once() {
    let account = Account::of(3);
    let classic = account.renew();
    let request = stable_token_request(false);
    let stable = || token_of(&account.post("/cgi-bin/stable_token", &request).json());
    let first = stable();
    account.control("tokens/revoke", json!({}));
    assert_eq!((account.errcode_with(&classic), account.errcode_with(&first)), (40001, 40001));
    let second = stable();
    assert_ne!(second, first);
    assert_eq!(account.errcode_with(&second), 0);
    assert_eq!(account.errcode_with(&account.renew()), 0);
}

#[test]
fn resubscribed_follower_has_no_tags() {
    let account = Account::of(10);
    let openids = account.openids();
    let tagid = account.tag("老客户");
    let body = json!({"openid_list": openids[3..5], "tagid": tagid});
    assert_eq!(account.tell(ATTACH, body), ok());
    let before = info(&account, &openids[3]);

    subscribe(&account, &openids[3], 0);
    assert_eq!(info(&account, &openids[3]), json!({"subscribe": 0, "openid": openids[3], "tagid_list": []}));
    let page = account.ask("/cgi-bin/user/get", "");
    assert_eq!((&page["total"], &page["count"]), (&json!(9), &json!(9)));
    assert!(!account.openids().contains(&openids[3]));
    let members = json!({"count": 1, "data": {"openid": [openids[4]]}, "next_openid": openids[4]});
    assert_eq!(account.tell("/cgi-bin/user/tag/get", json!({"tagid": tagid})), members);

    let now = account.advance("1h");
    subscribe(&account, &openids[3], 1);
    let then = account.advance("0s");
    let after = info(&account, &openids[3]);
    assert_eq!((&after["subscribe"], &after["tagid_list"]), (&json!(1), &json!([])));
    // It is the last time that they began to follow.
    let since = after["subscribe_time"].as_i64().expect("it is a number");
    assert!((now..=then).contains(&since), "{since} is not from {now} to {then}");
    assert_ne!(after["subscribe_time"], before["subscribe_time"]);
    assert_eq!(account.ask("/cgi-bin/user/get", "")["total"], 10);
}

#[test]
fn resubscribed_follower_keeps_tags_with_the_switch() {
    let account = Account::of(10);
    account.control("switches", json!({"tags_after_refollow": "kept"}));
    let openid = account.openids().remove(3);
    let tagid = account.tag("老客户");
    assert_eq!(account.tell(ATTACH, json!({"openid_list": [openid], "tagid": tagid})), ok());
    subscribe(&account, &openid, 0);
    subscribe(&account, &openid, 1);
    assert_eq!(account.tags_of(&openid), json!([tagid]));
}

#[test]
fn subscribe_change_of_an_unknown_openid_is_refused() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    for bad in [
        json!({"openid": "bad", "subscribe": 0}),
        json!({"openid": openid}),
        json!({"openid": openid, "subscribe": 2}),
        json!({"openid": openid, "subscribe": "0"}),
        json!({"subscribe": 0}),
    ] {
        account.refused_control("followers", bad);
    }
    assert_eq!(account.ask("/cgi-bin/user/get", "")["total"], 3);
}

#[test]
fn reset_restores_the_initial_world() {
    let account = Account::of(10);
    let openids = account.openids();
    let before = info(&account, &openids[0]);
    let switches = account.get("/__sandbox/switches").json();
    let tagid = account.tag("广东");
    account.tell(ATTACH, json!({"openid_list": openids[..1], "tagid": tagid}));
    account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openids[0], "remark": "老客户"}));
    subscribe(&account, &openids[1], 0);
    account.control("switches", json!({"user_get_order": "newest_first", "tags_quota": 1}));
    account.control("faults", json!({"path": "/cgi-bin/user/get", "errcode": -1}));
    let turned = account.advance("30days");
    let token = account.renew();

    account.control("reset", json!({}));
    assert_eq!(
        stats(&account),
        json!({"calls": {}, "full_minutes": 0, "max_in_flight": 0, "tokens_issued": 0})
    );
    assert_eq!(account.errcode_with(&token), 40001);
    assert!(account.advance("0s") < turned - 29 * 24 * 3600);
    assert_eq!(account.get("/__sandbox/switches").json(), switches);
    account.renew();
    assert_eq!(account.openids(), openids);
    assert_eq!(info(&account, &openids[0]), before);
    let starred = json!([{"id": 2, "name": "星标组", "count": 1}]);
    assert_eq!(account.ask("/cgi-bin/tags/get", "")["tags"], starred);
    assert_eq!(account.tag("广东"), tagid);
}

#[test]
fn reset_restores_the_daily_quota() {
    let quotas = [("/cgi-bin/user/get".to_owned(), 1)].into();
    let account = Account::with(Options { followers: 3, quotas, ..Options::default() });
    let list = || errcode(&account.ask("/cgi-bin/user/get", ""));
    assert_eq!((list(), list()), (0, 45009));
    account.control("reset", json!({}));
    account.renew();
    assert_eq!((list(), list()), (0, 45009));
}

#[test]
fn control_route_lists_tags_without_a_token() {
    let account = Account::without_token(Options { followers: 3, ..Options::default() });
    assert_eq!(account.get("/__sandbox/tags").json(), json!([{"id": 2, "name": "星标组", "count": 0}]));
    // Control calls are no calls of the platform.
    assert_eq!(stats(&account)["calls"], json!({}));
}

#[test]
fn unknown_control_route_is_404_and_lists_the_routes() {
    let account = Account::of(3);
    let answers = [
        account.get("/__sandbox/nothing"),
        account.get("/__sandbox/reset"),
        account.post("/__sandbox/stats", &json!({})),
    ];
    for answer in answers {
        assert_eq!(answer.status, 404);
        assert!(
            answer.json()["routes"].as_array().is_some_and(|routes| routes.contains(&json!("GET stats")))
        );
    }
    let broken =
        account.attempt(&request("POST", "/__sandbox/clock", JSON, b"{")).expect("there is an answer");
    assert_eq!(broken.status, 400);
    assert_eq!(account.get("/cgi-bin/nothing").status, 404);
}

#[test]
fn control_call_with_empty_body_is_accepted() {
    let account = Account::of(3);
    let answer =
        account.attempt(&request("POST", "/__sandbox/tokens/revoke", &[], b"")).expect("there is an answer");
    assert_eq!((answer.status, answer.json()), (200, json!({"ok": true})));
    assert_eq!(errcode(&account.ask("/cgi-bin/tags/get", "")), 40001);
}

#[test]
fn configured_appid_and_secret_are_required() {
    let (appid, secret) = ("wx1234567890abcdef", "0123456789abcdef0123456789abcdef");
    let account = Account::without_token(Options {
        followers: 3,
        appid: appid.to_owned(),
        secret: secret.to_owned(),
        ..Options::default()
    });
    assert_eq!(errcode(&account.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json()), 40013);
    assert_eq!(account.get(&token_target(appid, secret)).json()["expires_in"], 7200);
}

#[test]
fn scenes_with_more_followers_than_the_account_are_refused() {
    let options = Options { followers: 10, scenes: vec![(1, 6), (2, 5)], ..Options::default() };
    let refusal = Sandbox::start(options).err().expect("it is refused").to_string();
    assert_eq!(refusal, "the scenes have 11 followers together, but the account has only 10");
}

/// The status of a request with this Host and these headers.
fn status(account: &Account, host: &str, headers: &[(&str, &str)], method: &str, target: &str) -> u16 {
    account.attempt(&request_to(host, method, target, headers, b"")).expect("there is an answer").status
}

#[test]
fn reset_by_a_page_of_another_site_is_refused() {
    let account = Account::of(3);
    account.tag("广东");
    for origin in ["http://evil.example", "https://evil.example:8443", "null"] {
        assert_eq!(status(&account, "127.0.0.1", &[("Origin", origin)], "POST", "/__sandbox/reset"), 403);
    }
    assert_eq!(stats(&account)["calls"]["POST /cgi-bin/tags/create"], 1, "it is the same world");
    let own = [("Origin", "http://localhost:5173")];
    assert_eq!(status(&account, "127.0.0.1", &own, "POST", "/__sandbox/reset"), 200);
}

#[test]
fn foreign_host_is_refused_on_every_route() {
    let account = Account::of(3);
    let calls = stats(&account);
    for target in [
        "/__sandbox/stats",
        "/__sandbox/enter?openid=x",
        "/connect/oauth2/authorize",
        "/connect/oauth2/authorize/decide",
        "/cgi-bin/tags/get",
        "/nothing",
    ] {
        assert_eq!(status(&account, "evil.example", &[], "GET", target), 421, "{target}");
    }
    assert_eq!(status(&account, "evil.example", &[], "POST", "/__sandbox/reset"), 421);
    assert_eq!(stats(&account), calls);
}

#[test]
fn platforms_own_host_is_answered() {
    let account = Account::of(3);
    for host in ["api.weixin.qq.com", "sh.api.weixin.qq.com", "open.weixin.qq.com", "localhost:8765"] {
        assert_eq!(status(&account, host, &[], "GET", "/__sandbox/stats"), 200, "{host}");
    }
}

#[test]
fn allowed_host_is_answered() {
    let allowed_hosts = vec!["sandbox.example.com".to_owned()];
    let account = Account::with(Options { followers: 3, allowed_hosts, ..Options::default() });
    assert_eq!(status(&account, "sandbox.example.com", &[], "GET", "/__sandbox/stats"), 200);
}
