//! One token for all processes: what clients that share a store do with it.

use crate::fixtures::{
    account::Account,
    client::{ClientFixture, reached},
    paths::{GET_LIST_TAGS, POST_STABLE_TOKEN},
};
use mpscript::{
    api::{
        tag::List,
        token::{Get, Stable},
    },
    client::TokenMode,
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::Statement,
};
use serde_json::json;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

/// A sandbox, and a place for a store.
fn shared() -> (Account, TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("store.sqlite3");
    (Account::without_token(mpscript::sandbox::Options { followers: 3, ..Default::default() }), folder, path)
}

fn stable(account: &Account, path: &std::path::Path) -> ClientFixture {
    ClientFixture::sharing(account.address(), path, TokenMode::Stable)
}

#[test]
fn second_client_takes_the_token_from_the_store() {
    let (account, _folder, path) = shared();
    for _ in 0..3 {
        stable(&account, &path).call(&List {}).expect("the call succeeds");
    }
    assert_eq!((reached(&account, &Stable::default()), reached(&account, &List {})), (1, 3));
}

#[test]
fn newer_token_in_the_store_is_used_without_renewal() {
    let (account, _folder, path) = shared();
    let (one, other) = (stable(&account, &path), stable(&account, &path));
    one.call(&List {}).expect("the call succeeds");
    other.call(&List {}).expect("the call succeeds");
    account.control("tokens/revoke", json!({}));
    other.call(&List {}).expect("it renews the token");
    let fetched = reached(&account, &Stable::default());
    // The first one still holds the revoked token, meets 40001, and finds the new one in the store.
    one.call(&List {}).expect("the call succeeds");
    assert_eq!(reached(&account, &Stable::default()), fetched);
    assert_eq!(one.tried(GET_LIST_TAGS), 3);
}

#[test]
fn token_in_the_store_lasts_no_longer_when_the_clock_is_set_back() {
    let (account, _folder, path) = shared();
    let first = stable(&account, &path);
    first.clock.advance(Duration::from_hours(24));
    first.call(&List {}).expect("the call succeeds");
    first.clock.reset();
    // The clock of the second client shows the day before the token was fetched.
    let second = stable(&account, &path);
    second.call(&List {}).expect("the call succeeds");
    for client in [&first, &second] {
        assert_eq!(client.client.token_life().max(7_200), 7_200, "no longer than what the platform gave");
    }
    for client in [&first, &second] {
        client.clock.advance(Duration::from_secs(6_920));
    }
    account.advance("6920s");
    for client in [&first, &second] {
        client.call(&List {}).expect("the call succeeds");
    }
    let tried = [&first, &second].map(|client| client.tried(POST_STABLE_TOKEN));
    assert_eq!(tried, [2, 0], "one renews it, and the other takes it from the store");
}

#[test]
fn sandbox_at_another_address_has_its_own_token() {
    let (account, _folder, path) = shared();
    let other = Account::without_token(mpscript::sandbox::Options { followers: 3, ..Default::default() });
    stable(&account, &path).call(&List {}).expect("the call succeeds");
    stable(&other, &path).call(&List {}).expect("the call succeeds");
    assert_eq!((reached(&account, &Stable::default()), reached(&other, &Stable::default())), (1, 1));
}

#[test]
fn expiring_token_is_renewed_by_one_client_only() {
    let (account, _folder, path) = shared();
    let (one, other) = (stable(&account, &path), stable(&account, &path));
    for fixture in [&one, &other] {
        fixture.call(&List {}).expect("the call succeeds");
    }
    let until = Duration::from_secs(7_200 - 200);
    account.advance("7000s");
    for fixture in [&one, &other] {
        fixture.clock.advance(until);
    }
    for answer in one.at_once(20, &List {}).into_iter().chain(other.at_once(20, &List {})) {
        answer.expect("the call succeeds");
    }
    assert_eq!(reached(&account, &Stable::default()), 2);
    assert_eq!(
        (one.tried(GET_LIST_TAGS), other.tried(GET_LIST_TAGS)),
        (21, 21),
        "no call met a token that had ended"
    );
}

#[test]
fn failing_store_keeps_the_token_in_memory() {
    let (account, _folder, path) = shared();
    let fixture = stable(&account, &path);
    fixture.wait(async {
        let store = mpscript::store::Store::sqlite(&path).await.expect("the store opens");
        store.execute(Statement::new("DROP TABLE mpscript_token")).await.expect("a table can be dropped");
        store.execute(Statement::new("DROP TABLE mpscript_budget")).await.expect("a table can be dropped");
    });
    for answer in fixture.at_once(32, &List {}) {
        answer.expect("the call succeeds");
    }
    account.control("tokens/revoke", json!({}));
    for answer in fixture.at_once(32, &List {}) {
        answer.expect("the call succeeds");
    }
    assert_eq!(reached(&account, &Stable::default()), 2);
}

#[test]
fn forced_renewals_are_limited_to_20_a_day_for_all_clients() {
    let (account, _folder, path) = shared();
    account.control("faults", json!({"path": "/cgi-bin/tags/get", "errcode": 40001}));
    let mut forced = Vec::new();
    for round in 0..30_u32 {
        let fixture = stable(&account, &path);
        // Within one day, Beijing time, whenever this runs: seconds pass for the spacing of thirty.
        let second = i64::from(round) * 40;
        let to_noon = 12 * 3600 - (fixture.clock.now_secs() + 8 * 3600).rem_euclid(24 * 3600);
        let ahead = to_noon.rem_euclid(24 * 3600) + second;
        fixture.clock.advance(Duration::from_secs(ahead.unsigned_abs()));
        fixture.fail(&List {});
        forced.push(fixture.wait(fixture.client.forced_today()).expect("the store can be read").0);
    }
    assert_eq!(forced[..3], [1, 2, 3]);
    assert_eq!(forced.last(), Some(&20), "{forced:?}");
}

#[test]
fn refused_classic_token_is_fetched_again_once() {
    let (account, _folder, path) = shared();
    let fixture = || ClientFixture::sharing(account.address(), &path, TokenMode::Classic);
    for _ in 0..3 {
        fixture().call(&List {}).expect("the call succeeds");
    }
    assert_eq!((reached(&account, &Get {}), reached(&account, &Stable::default())), (1, 0));
    account.control("tokens/revoke", json!({}));
    fixture().call(&List {}).expect("it fetches another");
    assert_eq!(reached(&account, &Get {}), 2);
}

#[test]
fn impossible_token_expiry_is_refused() {
    let (account, folder, _) = shared();
    for (store, life, is_refused) in
        [("a", "0", true), ("b", "-5", true), ("c", "9223372036854775807", false)]
    {
        let command = format!("echo '{{\"access_token\":\"96_abc\",\"expires_in\":{life}}}'");
        let mode = TokenMode::External(mpscript::client::External::Command(command));
        let fixture = ClientFixture::sharing(account.address(), &folder.path().join(store), mode);
        let error = fixture.fail(&List {}).to_string();
        assert_eq!(error.contains("has ended already"), is_refused, "{error}");
    }
    let endless = TokenMode::External(mpscript::client::External::Command("yes".to_owned()));
    let fixture = ClientFixture::sharing(account.address(), &folder.path().join("d"), endless);
    assert!(fixture.fail(&List {}).to_string().contains("the token's command prints no token"));
}

#[test]
fn platform_hosts_share_one_identity() {
    use mpscript::client::BaseUrl;
    let identity = |url: &str| BaseUrl::parse(url).expect("it is a URL").identity();
    assert_eq!(identity("https://sh.api.weixin.qq.com"), "https://api.weixin.qq.com");
    assert_eq!(identity("https://api.weixin.qq.com/"), "https://api.weixin.qq.com");
    assert_eq!(identity("http://127.0.0.1:8765"), "http://127.0.0.1:8765");
}

#[test]
fn external_token_is_read_and_never_fetched() {
    let (account, folder, _) = shared();
    let token = || {
        let target = crate::fixtures::account::token_target(DEFAULT_APPID, DEFAULT_SECRET);
        crate::fixtures::account::token_of(&account.get(&target).json())
    };
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{}\n", token())).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let of_file = TokenMode::External(mpscript::client::External::File(file.clone()));
    let asked = folder.path().join("asked");
    let command = format!("cat >> {0}; echo asked >> {0}; cat {1}", asked.display(), file.display());
    let of_command = TokenMode::External(mpscript::client::External::Command(command));
    for (store, mode) in [("file", of_file), ("command", of_command)] {
        let path = folder.path().join(store);
        let fixture = ClientFixture::sharing(account.address(), &path, mode.clone());
        fixture.call(&List {}).expect("the call succeeds");
        let before = std::fs::read_to_string(&file).unwrap();
        account.control("tokens/revoke", json!({}));
        // The same token again is none.
        assert_eq!(fixture.fail(&List {}).errcode(), Some(40001));
        std::fs::write(&file, token()).unwrap();
        let again = ClientFixture::sharing(account.address(), &path, mode);
        again.call(&List {}).expect("the new one is taken");
        assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    }
    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(asked.starts_with("asked\n"), "nothing is stale the first time: {asked}");
    assert!(asked.lines().any(|line| line.len() > 30), "the refused token is on its standard input: {asked}");
    assert_eq!(reached(&account, &Stable::default()), 0);
}
