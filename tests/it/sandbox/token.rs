//! Tokens of the sandbox: who gets one, how long it works, what replaces it.

use crate::fixtures::account::{Account, errcode, stable_token_request, token_of, token_target};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options};
use serde_json::Value;

fn account() -> Account {
    Account::without_token(Options { followers: 3, ..Options::default() })
}

/// Asks for the stable token.
fn stable(account: &Account, force_refresh: bool) -> Value {
    account.post("/cgi-bin/stable_token", &stable_token_request(force_refresh)).json()
}

fn stable_token(account: &Account, force_refresh: bool) -> String {
    token_of(&stable(account, force_refresh))
}

/// Fields of a request for a token.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// The same fields to both endpoints: as a query, and as a body.
fn both(account: &Account, fields: Fields<'_>) -> [Value; 2] {
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let classic = account.get(&format!("/cgi-bin/token?{}", query.join("&"))).json();
    let body = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    [classic, account.post("/cgi-bin/stable_token", &Value::Object(body)).json()]
}

#[test]
fn token_is_number_and_base64url_and_lasts_two_hours() {
    let account = account();
    let answer = account.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json();
    assert_eq!(answer["expires_in"], 7200);
    assert_eq!(answer.as_object().expect("it is an object").len(), 2);
    let token = token_of(&answer);
    let (number, rest) = token.split_once('_').expect("a token begins with a number");
    assert!(number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty(), "{token}");
    assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
    assert_eq!(token.len(), 136, "{token}");
    assert_eq!(account.errcode_with(&token), 0);
}

#[test]
fn wrong_credential_is_named_by_both_endpoints() {
    const GRANT: (&str, &str) = ("grant_type", "client_credential");
    const APPID: (&str, &str) = ("appid", DEFAULT_APPID);
    const SECRET: (&str, &str) = ("secret", DEFAULT_SECRET);
    const OTHER_APPID: (&str, &str) = ("appid", "wx0000000000000000");
    let cases: [(Fields<'_>, i64, &str); 9] = [
        (&[GRANT, SECRET], 41002, "appid missing"),
        (&[GRANT, APPID], 41004, "appsecret missing"),
        (&[APPID, SECRET], 40002, "invalid grant_type"),
        (&[("grant_type", "authorization_code"), APPID, SECRET], 40002, "invalid grant_type"),
        (&[GRANT, OTHER_APPID, SECRET], 40013, "invalid appid"),
        // A wrong secret is 40125 in practice, not 40001.
        (&[GRANT, APPID, ("secret", "00000000000000000000000000000000")], 40125, "invalid appsecret"),
        // The AppID is looked at before the grant_type and the secret.
        (&[OTHER_APPID], 40013, "invalid appid"),
        (&[OTHER_APPID, ("secret", "wrong")], 40013, "invalid appid"),
        (&[], 41002, "appid missing"),
    ];
    let account = account();
    for (fields, expected, text) in cases {
        for answer in both(&account, fields) {
            assert_eq!(errcode(&answer), expected, "{fields:?}");
            let errmsg = answer["errmsg"].as_str().expect("there is a message");
            assert!(errmsg.starts_with(&format!("{text} rid: ")), "{errmsg}");
        }
    }
    assert_eq!(both(&account, &[GRANT, APPID, SECRET]).map(|answer| errcode(&answer)), [0, 0]);
}

#[test]
fn address_outside_the_whitelist_is_40164() {
    let elsewhere = "116.25.45.231".parse().expect("it is an address");
    let account =
        Account::without_token(Options { followers: 3, ip_whitelist: vec![elsewhere], ..Options::default() });
    let answer = account.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json();
    assert_eq!((errcode(&answer), errcode(&stable(&account, false))), (40164, 40164));
    let errmsg = answer["errmsg"].as_str().expect("there is a message");
    let expected = "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ";
    assert!(errmsg.starts_with(expected), "{errmsg}");

    let here = "127.0.0.1".parse().expect("it is an address");
    Account::with(Options { followers: 3, ip_whitelist: vec![elsewhere, here], ..Options::default() });
}

#[test]
fn expired_token_is_42001() {
    let account = account();
    let token = account.renew();
    account.advance("1h59m");
    assert_eq!(account.errcode_with(&token), 0);
    account.advance("1m");
    let answer = account.ask("/cgi-bin/tags/get", "");
    assert_eq!(errcode(&answer), 42001);
    assert!(
        answer["errmsg"].as_str().is_some_and(|text| text.starts_with("access_token expired rid: ")),
        "{answer}"
    );
}

#[test]
fn replaced_token_works_for_five_more_minutes() {
    let account = account();
    let old = account.renew();
    let new = account.renew();
    assert_ne!(old, new);
    account.advance("4m50s");
    assert_eq!((account.errcode_with(&old), account.errcode_with(&new)), (0, 0));
    account.advance("10s");
    assert_eq!((account.errcode_with(&old), account.errcode_with(&new)), (40001, 0));
}

#[test]
fn stable_token_is_renewed_five_minutes_before_expiry() {
    let account = account();
    let issued = account.advance("0s");
    let first = stable(&account, false);
    let issued_by = account.advance("0s");
    assert_eq!(first["expires_in"], 7200);
    let old = token_of(&first);
    let before = account.advance("1h54m");
    let later = stable(&account, false);
    assert_eq!(token_of(&later), old);
    let left = later["expires_in"].as_i64().expect("it is a number");
    let expected = issued + 7_200 - account.advance("0s")..=issued_by + 7_200 - before;
    assert!(expected.contains(&left), "{left} seconds are left, not {expected:?}");

    account.advance("1m");
    let renewed = stable(&account, false);
    let new = token_of(&renewed);
    assert_ne!(new, old);
    assert_eq!(renewed["expires_in"], 7200);
    account.advance("4m50s");
    assert_eq!((account.errcode_with(&old), account.errcode_with(&new)), (0, 0));
    account.advance("10s");
    assert_eq!(account.errcode_with(&old), 40001);
    assert_eq!(stable_token(&account, false), new);
}

#[test]
fn classic_and_stable_token_are_independent() {
    let account = account();
    let stable_one = stable_token(&account, false);
    account.renew();
    let classic = account.renew();
    account.advance("6m");
    assert_eq!((account.errcode_with(&stable_one), stable_token(&account, false)), (0, stable_one.clone()));

    let forced = stable_token(&account, true);
    assert_eq!(account.errcode_with(&stable_one), 40001);
    account.advance("6m");
    assert_eq!((account.errcode_with(&classic), account.errcode_with(&forced)), (0, 0));
}

#[test]
fn forced_refresh_replaces_the_token_once_in_30_seconds() {
    let account = account();
    let first = stable_token(&account, false);
    let second = stable_token(&account, true);
    assert_ne!(first, second);
    assert_eq!((account.errcode_with(&first), account.errcode_with(&second)), (40001, 0));

    account.advance("20s");
    assert_eq!(stable_token(&account, true), second);
    account.advance("10s");
    let third = stable_token(&account, true);
    assert_ne!(third, second);
    assert_eq!((account.errcode_with(&second), account.errcode_with(&third)), (40001, 0));
}

#[test]
fn forced_refresh_near_expiry_replaces_the_token_at_once() {
    let account = account();
    let old = stable_token(&account, false);
    account.advance("1h56m");
    let new = stable_token(&account, true);
    assert_ne!(new, old);
    assert_eq!((account.errcode_with(&old), account.errcode_with(&new)), (40001, 0));
    account.advance("20s");
    assert_eq!(stable_token(&account, true), new);
}

#[test]
fn forced_refresh_works_20_times_a_day() {
    let account = account();
    let mut present = stable_token(&account, false);
    for time in 1..=20 {
        account.advance("31s");
        let next = stable_token(&account, true);
        assert_ne!(next, present, "refresh {time}");
        present = next;
    }
    account.advance("31s");
    assert_eq!(stable_token(&account, true), present);

    account.advance("1day");
    let fresh = stable_token(&account, false);
    account.advance("31s");
    assert_ne!(stable_token(&account, true), fresh);
}
