//! The client's token: fetched once, renewed once, and never requested in an endless loop.

use crate::fixtures::{
    account::{Account, stable_token_request, token_of},
    client::{ClientFixture, fault, hint, reached, sandbox, sandbox_of},
    paths::{GET_LIST_TAGS, LIST_TAGS, POST_STABLE_TOKEN},
    raw_server::{self, RawServer},
};
use mpscript::{
    api::{tag::List, token::Stable},
    client::{CallError, DEFAULT_IN_FLIGHT},
    sandbox::{AccountKind, DEFAULT_SECRET, Options},
};
use serde_json::json;
use std::time::Duration;

const STABLE_PATH: &str = "/cgi-bin/stable_token";

/// The most token calls that a platform gets which refuses every token: the first fetch, and two
/// renewals that ask for the present token and then for another one by force.
const MAX_TOKEN_CALLS: u64 = 5;

fn tokens_issued(account: &Account) -> u64 {
    account.get("/__sandbox/stats").json()["tokens_issued"].as_u64().expect("it is a count")
}

/// The stable token as another program gets it.
fn stable(account: &Account, force_refresh: bool) -> String {
    token_of(&account.post(STABLE_PATH, &stable_token_request(force_refresh)).json())
}

#[test]
fn cold_start_of_20_calls_makes_one_token_call() {
    let (account, fixture) = sandbox();
    for answer in fixture.at_once(20, &List {}) {
        answer.expect("the call succeeds");
    }
    assert_eq!((tokens_issued(&account), reached(&account, &Stable::default())), (1, 1));
    assert_eq!(
        (reached(&account, &List {}), fixture.tried(GET_LIST_TAGS), fixture.tried(POST_STABLE_TOKEN)),
        (20, 20, 1)
    );
}

#[test]
fn token_revoked_during_calls_is_renewed_once() {
    let (account, fixture) = sandbox_of(Options { latency: Duration::from_millis(5), ..Options::default() });
    let mut calls = fixture.begin(200, &List {});
    fixture.wait(async {
        for _ in 0..50 {
            calls.join_next().await.expect("there are more").expect("no panic").expect("the call succeeds");
        }
    });
    account.control("tokens/revoke", json!({}));
    for answer in fixture.wait(calls.join_all()) {
        answer.expect("the call succeeds");
    }
    assert_eq!((tokens_issued(&account), fixture.tried(POST_STABLE_TOKEN)), (2, 2));
    assert!(fixture.tried(GET_LIST_TAGS) > 200, "some call met the revoked token");
}

#[test]
fn concurrent_refusals_renew_the_token_once() {
    let (account, fixture) = sandbox();
    fixture.call(&List {}).expect("the call succeeds");
    account.control("tokens/revoke", json!({}));
    for answer in fixture.at_once(32, &List {}) {
        answer.expect("the call succeeds");
    }
    assert_eq!((tokens_issued(&account), fixture.tried(POST_STABLE_TOKEN)), (2, 2));
    assert!(fixture.tried(GET_LIST_TAGS) > 1 + 32, "several calls met the revoked token");
}

#[test]
fn token_renewed_by_another_program_is_adopted() {
    let (account, fixture) = sandbox();
    fixture.call(&List {}).expect("the call succeeds");
    let theirs = stable(&account, true);
    fixture.call(&List {}).expect("the call succeeds");
    assert_eq!(account.errcode_with(&theirs), 0);
    assert_eq!(stable(&account, false), theirs);
    assert_eq!(fixture.tried(POST_STABLE_TOKEN), 2);
}

#[test]
fn expired_token_is_renewed_and_the_call_retried() {
    let (account, fixture) = sandbox();
    fixture.call(&List {}).expect("the call succeeds");
    // Only the sandbox's clock: the client's own lags behind and takes the token for good.
    account.advance("2h");
    fixture.call(&List {}).expect("the call succeeds");
    assert_eq!((reached(&account, &List {}), tokens_issued(&account)), (3, 2), "one call met 42001");
}

#[test]
fn expiring_token_is_renewed_before_a_call_is_refused() {
    let (account, fixture) = sandbox();
    fixture.call(&List {}).expect("the call succeeds");
    let first = stable(&account, false);

    // Not yet: the platform would only give the same one.
    fixture.clock.advance(Duration::from_secs(6_890));
    account.advance("6890s");
    fixture.call(&List {}).expect("the call succeeds");
    assert_eq!(fixture.tried(POST_STABLE_TOKEN), 1);

    fixture.clock.advance(Duration::from_secs(30));
    account.advance("30s");
    assert_eq!(account.errcode_with(&first), 0, "the first token has not ended yet");
    let before = reached(&account, &List {});
    for answer in fixture.at_once(10, &List {}) {
        answer.expect("the call succeeds");
    }
    assert_ne!(stable(&account, false), first);
    assert_eq!((reached(&account, &List {}) - before, fixture.tried(POST_STABLE_TOKEN)), (10, 2));
}

#[test]
fn token_lasts_no_longer_when_the_clock_is_set_back() {
    let (account, fixture) = sandbox();
    fixture.clock.advance(Duration::from_hours(24));
    fixture.call(&List {}).expect("the call succeeds");
    fixture.clock.reset();
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.client.token_life().max(7_199), 7_199, "no longer than what the platform gave");
    // It is renewed when the platform issues a new one, as with a right clock.
    fixture.clock.advance(Duration::from_secs(6_920));
    account.advance("6921s");
    fixture.call(&List {}).expect("the call succeeds");
    assert_eq!((fixture.tried(POST_STABLE_TOKEN), reached(&account, &List {})), (2, 2));
}

#[test]
fn call_whose_tokens_are_always_refused_makes_five_token_calls() {
    let (account, fixture) = sandbox();
    fault(&account, LIST_TAGS, json!({"errcode": 40001}));
    let error = fixture.fail(&List {});
    assert_eq!(error.errcode(), Some(40001), "{error}");
    // With the first token, and with the one that a renewal by force gave.
    assert_eq!((tokens_issued(&account), reached(&account, &List {})), (MAX_TOKEN_CALLS, 2));
}

#[test]
fn concurrent_refused_calls_share_at_most_five_token_calls() {
    let (account, fixture) = sandbox();
    fault(&account, LIST_TAGS, json!({"errcode": 40001}));
    for error in fixture.fail_at_once(32, &List {}) {
        assert_eq!(error.errcode(), Some(40001), "{error}");
    }
    let issued = tokens_issued(&account);
    assert!(issued <= MAX_TOKEN_CALLS, "{issued} token calls");

    // Nor do those that come later ask again at once.
    for error in fixture.fail_at_once(32, &List {}) {
        assert_eq!(error.errcode(), Some(40001), "{error}");
    }
    assert_eq!(tokens_issued(&account), issued);
}

#[test]
fn refused_new_tokens_are_fetched_at_most_three_times() {
    let mut number = 0;
    let server = RawServer::start(move |request| {
        if request.contains(STABLE_PATH) {
            number += 1;
            return raw_server::token(&format!("96_{number}"));
        }
        raw_server::ok(r#"{"errcode":40001,"errmsg":"invalid credential"}"#)
    });
    let fixture = ClientFixture::of(server.address());
    let error = fixture.fail(&List {});
    assert_eq!(error.errcode(), Some(40001), "{error}");
    assert_eq!(
        server.calls(),
        [
            POST_STABLE_TOKEN,
            GET_LIST_TAGS,
            POST_STABLE_TOKEN,
            GET_LIST_TAGS,
            POST_STABLE_TOKEN,
            GET_LIST_TAGS
        ]
    );
}

/// Fails with one token call, alone and for twenty callers who wait for it.
fn fails_with_one_token_call(options: Options, secret: &str) -> CallError {
    let account = Account::without_token(options);
    let alone = ClientFixture::with(account.address(), secret, DEFAULT_IN_FLIGHT);
    let error = alone.fail(&List {});
    assert_eq!((reached(&account, &Stable::default()), alone.tried(POST_STABLE_TOKEN)), (1, 1), "{error}");

    let together = ClientFixture::with(account.address(), secret, DEFAULT_IN_FLIGHT);
    for shared in together.fail_at_once(20, &List {}) {
        assert_eq!(shared.to_string(), error.to_string());
    }
    assert_eq!((reached(&account, &Stable::default()), together.tried(POST_STABLE_TOKEN)), (2, 1), "{error}");
    assert_eq!((tokens_issued(&account), reached(&account, &List {})), (0, 0));
    error
}

#[test]
fn wrong_app_secret_fails_at_once_with_a_hint() {
    let error = fails_with_one_token_call(Options::default(), "wrong");
    assert_eq!(error.errcode(), Some(40125));
    assert!(error.is_configuration());
    assert_eq!(error.to_string(), "token::stable was refused: 40125 invalid appsecret (无效的 AppSecret)");
    let hint = hint(&error).expect("there is something to do");
    assert!(hint.contains("AppSecret"), "{hint}");
}

#[test]
fn address_outside_the_whitelist_fails_at_once_and_is_named() {
    let whitelist = vec!["192.0.2.7".parse().expect("it is an address")];
    let error =
        fails_with_one_token_call(Options { ip_whitelist: whitelist, ..Options::default() }, DEFAULT_SECRET);
    assert_eq!(error.errcode(), Some(40164));
    assert!(error.is_configuration());
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    let hint = hint(&error).expect("there is something to do");
    assert!(hint.contains("IP白名单"), "{hint}");
}

#[test]
fn missing_right_costs_one_call() {
    let (account, fixture) =
        sandbox_of(Options { account_kind: AccountKind::Uncertified, ..Options::default() });
    let error = fixture.fail(&List {});
    assert_eq!(error.errcode(), Some(48001), "{error}");
    assert!(error.is_configuration());
    assert_eq!((reached(&account, &List {}), tokens_issued(&account)), (1, 1));
}

#[test]
fn token_endpoint_refusing_with_40001_is_not_retried() {
    let (account, fixture) = sandbox();
    fault(&account, STABLE_PATH, json!({"errcode": 40001}));
    let error = fixture.fail(&List {});
    assert_eq!((error.errcode(), reached(&account, &Stable::default())), (Some(40001), 1));
    assert!(error.is_configuration());
    let hint = hint(&error).expect("there is something to do");
    assert!(hint.contains("AppSecret"), "{hint}");
}

#[test]
fn failed_token_fetch_does_not_block_the_next() {
    let (account, fixture) = sandbox();
    fault(&account, STABLE_PATH, json!({"errcode": 45009, "times": 1}));
    let error = fixture.fail(&List {});
    assert_eq!(error.errcode(), Some(45009), "{error}");
    fixture.call(&List {}).expect("the call succeeds");
    assert_eq!(reached(&account, &Stable::default()), 2);
}
