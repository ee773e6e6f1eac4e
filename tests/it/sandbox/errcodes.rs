//! Every errcode of the platform's document of 2020 can be provoked in a sandbox by a plain HTTP
//! client: by a rule, by a switch, or by a fault where the platform's own reason can't be had.

use crate::fixtures::{
    account::{Account, FOREIGN, errcode, ok, token_target},
    paths::{ATTACH, CREATE_TAG},
};
use mpscript::sandbox::{AccountKind, DEFAULT_APPID, DEFAULT_SECRET, Options};
use serde_json::{Value, json};

/// A code, how it comes about, and a call that does.
struct Case {
    code: i64,
    how: &'static str,
    provoke: fn(&Account) -> Value,
}

const fn case(code: i64, how: &'static str, provoke: fn(&Account) -> Value) -> Case {
    Case { code, how, provoke }
}

/// What the API answers.
const CALLS: &[Case] = &[
    case(-1, "fault: POST /__sandbox/faults {\"path\": …, \"errcode\": -1}", |account| {
        account.control("faults", json!({"path": "/cgi-bin/tags/get", "errcode": -1, "times": 1}));
        account.ask("/cgi-bin/tags/get", "")
    }),
    case(0, "rule: a write that is in order", |account| {
        let openid = &account.openids()[0];
        account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openid, "remark": "pangzi"}))
    }),
    case(40001, "rule: a token that was never issued", |account| {
        account.get("/cgi-bin/tags/get?access_token=50_nonsense").json()
    }),
    case(40002, "rule: another grant_type", |account| {
        account
            .get(&format!("/cgi-bin/token?grant_type=x&appid={DEFAULT_APPID}&secret={DEFAULT_SECRET}"))
            .json()
    }),
    case(40003, "rule: an openid that is none", |account| account.ask("/cgi-bin/user/info", "&openid=x")),
    case(40009, "rule: a picture of 1 MB", |account| {
        let head =
            "--B\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\n\r\n\u{1}PNG";
        let body = [head.as_bytes(), &vec![0; 1 << 20], b"\r\n--B--\r\n"].concat();
        let headers = [("Content-Type", "multipart/form-data; boundary=B")];
        let target = account.target("/cgi-bin/media/uploadimg", "");
        account.attempt(&crate::fixtures::account::request("POST", &target, &headers, &body)).unwrap().json()
    }),
    case(40013, "rule: another account's AppID", |account| {
        account.get(&token_target("wx0", DEFAULT_SECRET)).json()
    }),
    case(40029, "rule: a code that was never issued", |account| {
        let target = "/sns/oauth2/access_token?grant_type=authorization_code&code=x";
        account.get(&format!("{target}&appid={DEFAULT_APPID}&secret={DEFAULT_SECRET}")).json()
    }),
    case(40032, "rule: 51 openids", |account| {
        let openids = &account.openids()[..51];
        account.tell(ATTACH, json!({"openid_list": openids, "tagid": 2}))
    }),
    case(40164, "rule: --ip-whitelist without this address", |_| {
        let ip_whitelist = vec![[10, 0, 0, 1].into()];
        let account = Account::without_token(Options { followers: 1, ip_whitelist, ..Options::default() });
        account.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json()
    }),
    case(45056, "rule: the 101st tag", |_| {
        let account = Account::of(1);
        for number in 0..100 {
            account.tag(&format!("标签{number}"));
        }
        account.tell(CREATE_TAG, json!({"tag": {"name": "多一个"}}))
    }),
    case(45057, "rule: a tag of 100,001 followers is deleted", |_| {
        let account = Account::of(100_200);
        let tagid = account.tag("全体");
        let openids = account.openids();
        let openids: Vec<&String> = openids.iter().filter(|openid| !is_gone(&account, openid)).collect();
        for chunk in openids[..100_001].chunks(50) {
            assert_eq!(account.tell(ATTACH, json!({"openid_list": chunk, "tagid": tagid})), ok());
        }
        account.tell("/cgi-bin/tags/delete", json!({"tag": {"id": tagid}}))
    }),
    case(45058, "rule: 星标组 is renamed", |account| {
        account.tell("/cgi-bin/tags/update", json!({"tag": {"id": 2, "name": "粉丝"}}))
    }),
    case(45059, "rule: the 21st tag of a follower", |_| {
        let account = Account::of(1);
        let openids = account.openids();
        let attach = |number: usize| {
            let tagid = account.tag(&format!("标签{number}"));
            account.tell(ATTACH, json!({"openid_list": openids, "tagid": tagid}))
        };
        (0..20).for_each(|number| assert_eq!(attach(number), ok()));
        attach(20)
    }),
    case(45157, "rule: a second tag by one name", |account| {
        account.tell(CREATE_TAG, json!({"tag": {"name": "广东"}}));
        account.tell(CREATE_TAG, json!({"tag": {"name": "广东"}}))
    }),
    case(45158, "rule: a tag's name of 31 bytes", |account| {
        account.tell(CREATE_TAG, json!({"tag": {"name": "一二三四五六七八九十x"}}))
    }),
    case(45159, "rule: a tag that does not exist", |account| {
        account.tell(ATTACH, json!({"openid_list": &account.openids()[..1], "tagid": 9999}))
    }),
    case(49003, "rule: an openid of another account", |account| {
        account.tell(ATTACH, json!({"openid_list": [FOREIGN], "tagid": 2}))
    }),
];

/// `user/get` lists some who have left.
fn is_gone(account: &Account, openid: &str) -> bool {
    // Asking for each would be a hundred thousand calls: the world of this seed has one in a thousand.
    thread_local!(static GONE: std::cell::RefCell<Option<std::collections::HashSet<String>>> = const { std::cell::RefCell::new(None) });
    GONE.with_borrow_mut(|gone| {
        gone.get_or_insert_with(|| {
            let openids = account.openids();
            let page = |chunk: &[String]| {
                let list: Vec<Value> = chunk.iter().map(|openid| json!({"openid": openid})).collect();
                account.tell("/cgi-bin/user/info/batchget", json!({"user_list": list}))
            };
            openids
                .chunks(100)
                .flat_map(|chunk| page(chunk)["user_info_list"].as_array().unwrap().clone())
                .filter(|user| user["subscribe"] == 0)
                .map(|user| user["openid"].as_str().unwrap().to_owned())
                .collect()
        })
        .contains(openid)
    })
}

/// What the authorize page shows: a code, how it comes about, options, a switch, and the link's query.
struct PageCase {
    code: u32,
    how: &'static str,
    kind: AccountKind,
    switches: &'static [(&'static str, &'static str)],
    /// What is taken out of a link that is in order, and what comes in its place.
    change: (&'static str, &'static str),
}

const fn page(code: u32, how: &'static str, change: (&'static str, &'static str)) -> PageCase {
    PageCase { code, how, kind: AccountKind::Service, switches: &[], change }
}

const PAGES: &[PageCase] = &[
    page(10003, "rule: redirect_uri on another domain", ("127.0.0.1", "example.com")),
    PageCase {
        switches: &[("authorize_page", "10004")],
        ..page(10004, "switch: authorize_page=10004", ("", ""))
    },
    PageCase {
        kind: AccountKind::Subscription,
        ..page(10005, "rule: --account-kind subscription", ("", ""))
    },
    PageCase {
        kind: AccountKind::Test,
        ..page(10006, "rule: --account-kind test, and a person who does not follow", ("", ""))
    },
    PageCase {
        switches: &[("authorize_page", "10009")],
        ..page(10009, "switch: authorize_page=10009", ("", ""))
    },
    page(10010, "rule: no scope", ("snsapi_base", "")),
    page(10011, "rule: no redirect_uri", ("http%3A%2F%2F127.0.0.1%2Fback", "")),
    page(10012, "rule: no appid", (DEFAULT_APPID, "")),
    PageCase {
        switches: &[("empty_state", "10013")],
        ..page(10013, "switch: empty_state=10013, no state", ("abc", ""))
    },
    PageCase {
        switches: &[("authorize_page", "10015")],
        ..page(10015, "switch: authorize_page=10015", ("", ""))
    },
    page(10016, "rule: another AppID", (DEFAULT_APPID, "wx0000000000000000")),
];

/// Every code that the document's tables name.
const DOCUMENT: [i64; 18] = [
    -1, 0, 40001, 40002, 40003, 40009, 40013, 40029, 40032, 40164, 45056, 45057, 45058, 45059, 45157, 45158,
    45159, 49003,
];
const DOCUMENT_PAGE: [u32; 11] =
    [10003, 10004, 10005, 10006, 10009, 10010, 10011, 10012, 10013, 10015, 10016];

#[test]
fn every_documented_errcode_can_be_provoked() {
    assert_eq!(CALLS.iter().map(|case| case.code).collect::<Vec<_>>(), DOCUMENT);
    let account = Account::of(60);
    for case in CALLS {
        let answer = (case.provoke)(&account);
        assert_eq!(errcode(&answer), case.code, "{}: {answer}", case.how);
    }
}

#[test]
fn every_authorize_page_error_can_be_provoked() {
    assert_eq!(PAGES.iter().map(|case| case.code).collect::<Vec<_>>(), DOCUMENT_PAGE);
    let link = format!(
        "appid={DEFAULT_APPID}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback&response_type=code&scope=snsapi_base&state=abc"
    );
    for case in PAGES {
        let account = Account::with(Options { followers: 60, account_kind: case.kind, ..Options::default() });
        for (name, value) in case.switches {
            account.control("switches", json!({*name: value}));
        }
        let openid = account.openids()[0].clone();
        account.control("followers", json!({"openid": openid, "subscribe": 0}));
        let query = link.replace(case.change.0, if case.change.0.is_empty() { "" } else { case.change.1 });
        let query = if case.change.0.is_empty() { link.clone() } else { query };
        let cookies = format!("sandbox_openid={openid}");
        let target = format!("/connect/oauth2/authorize?{query}");
        let request = crate::fixtures::account::request("GET", &target, &[("Cookie", &cookies)], b"");
        let answer = account.attempt(&request).unwrap();
        let shown = format!("<b id=\"code\">{}</b>", case.code);
        assert!(answer.text().contains(&shown), "{}: {}", case.how, answer.text());
    }
}
