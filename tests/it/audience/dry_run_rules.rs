//! Every rule of every write endpoint: a dry run refuses what the platform would refuse, with the same errcode.

use crate::fixtures::{
    account::{Account, FOREIGN, errcode, ok},
    card::{PICTURE, literal, member_card, member_card_with, member_card_with_four_custom_fields},
    program::Folder,
};
use mpscript::api::{self, CallKind, FieldKind, Spec};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One call that breaks one rule: the endpoint, the call and the errcode.
type Case = (&'static str, &'static str, i64);

/// Codes that are no rule of an endpoint: a busy platform, tokens, quotas, rights and the transport. They may come at
/// any call, and a dry run makes none.
const NOT_RULES: &[i64] =
    &[-1, 40001, 41001, 41005, 42001, 43002, 44002, 45009, 45011, 45169, 48001, 61016, 268_487_001];

/// A body whose JSON is not of the declared form. A script's arguments have the declared types before there is a body, so
/// it is a rule only where an argument is a map, which may hold anything.
const MALFORMED_BODY: i64 = 47001;

/// Rules that depend on what no call reads and no document says, so that a dry run can't know.
const NOT_READABLE: &[(&str, i64)] = &[
    // How often quotas were set back this month, and how many permanent codes there are.
    ("quota::clear", 48006),
    ("qrcode::create", 45029),
    // Whether a person's account is limited.
    ("tag::attach", 50002),
    ("blacklist::add", 50002),
    // The request carries no AppID.
    ("user::remark", 40013),
    // The platform's choice to do a part of a call.
    ("tag::attach", 45171),
    ("tag::detach", 45171),
    // Which code a picture's format is refused with.
    ("media::upload_image", 40005),
    ("media::upload_image", 40113),
    // Which fault of a card is refused with the code of QR codes, and which fault of `sku` with 40070: what the manual says
    // of `sku` is its quantity (40122) and that it must be there (41011).
    ("card::create", 40053),
    ("card::create", 40070),
    // Which words and pictures the platform's filter holds to be spam.
    ("card::create", 40151),
    // Which categories the account has in the console.
    ("card::create", 45160),
];

/// Codes that the endpoint's page leaves out and that of its counterpart (`tag::attach`, `blacklist::add`) has: both take
/// openids alike.
const UNDOCUMENTED: &[(&str, i64)] = &[("blacklist::remove", 49003), ("tag::detach", 50005)];

/// A cash coupon with every field that it must have.
const COUPON: &str = "#{logo_url: \"http://mmbiz.qpic.cn/mmbiz_png/x/0\", brand_name: \"微信餐厅\", title: \"卡券\", \
                      color: \"Color010\", notice: \"出示\", description: \"说明\", quantity: 5, reduce_cost: 1000, \
                      fixed_term: 30}";

/// What needs nothing but a tag (`TAG`, called 广东) and a follower (`OPENID`).
const CASES: &[Case] = &[
    ("tag::create", "tag::create(\"一二三四五六七八九十x\")", 45158),
    ("tag::create", "tag::create(\"\")", 45157),
    ("tag::create", "tag::create(\" \")", 45157),
    ("tag::create", "tag::create(\"未分组\")", 45157),
    ("tag::create", "tag::create(\"黑名单\")", 45157),
    ("tag::create", "tag::create(\"星标组\")", 45157),
    ("tag::create", "tag::create(\"广东\")", 45157),
    ("tag::create", "followers().take(1).tag(\"黑名单\")", 45157),
    ("tag::update", "tag::update(0, \"新名\")", 45058),
    ("tag::update", "tag::update(2, \"黑名单\")", 45058),
    ("tag::update", "tag::update(4711, \"一二三四五六七八九十x\")", 45159),
    ("tag::update", "tag::update(TAG, \"一二三四五六七八九十x\")", 45158),
    ("tag::update", "tag::update(TAG, \"黑名单\")", 45157),
    ("tag::update", "tag::update(TAG, \"\")", 45157),
    ("tag::update", "tag::update(TAG, \"广东\")", 45157),
    ("tag::update", "tag::update(TAG, \"北京\")", 45157),
    ("tag::delete", "tag::delete(1)", 45058),
    ("tag::delete", "tag::delete(2)", 45058),
    ("tag::delete", "tag::delete(4711)", 45159),
    ("tag::attach", "tag::attach(4711, [OPENID].filter(|o| false))", 40032),
    ("tag::attach", "tag::attach(4711, [\"oABC\"])", 45159),
    ("tag::attach", "tag::attach(TAG, [OPENID, \"oABC\"])", 40003),
    ("tag::detach", "tag::detach(TAG, [OPENID].filter(|o| false))", 40032),
    ("tag::detach", "tag::detach(4711, [OPENID])", 45159),
    ("tag::detach", "tag::detach(TAG, [OPENID, \"oABC\"])", 40003),
    ("user::remark", "user::remark(\"oABC\", \"一二三四五六七八九十\")", 40003),
    ("user::remark", "user::remark(OPENID, \"一二三四五六七八九十\")", 40092),
    ("user::remark", "user::remark(OPENID, \"一二三四五六七八九十x\")", 40092),
    ("blacklist::add", "blacklist::add([OPENID].filter(|o| false))", 40032),
    ("blacklist::add", "blacklist::add([OPENID, \"oABC\"])", 40003),
    ("blacklist::remove", "blacklist::remove([OPENID].filter(|o| false))", 40032),
    ("blacklist::remove", "blacklist::remove([\"oABC\"])", 40003),
    ("media::upload_image", "media::upload_image(\"note.txt\")", 40137),
    ("media::upload_image", "media::upload_image(\"large.png\")", 40009),
    ("media::upload_image", "media::upload_image(\"empty.png\")", 40009),
    ("card::create", "card::create(card::cash(COUPON))", 40071),
    ("qrcode::create", "qrcode::create(\"QR\", #{scene: #{scene_id: 1}})", 40052),
    ("qrcode::create", "qrcode::create(\"QR_SCENE\", #{scene: #{scene_id: 0}})", 40053),
    ("qrcode::create", "qrcode::create(\"QR_LIMIT_SCENE\", #{scene: #{scene_id: 100001}})", 40053),
    ("qrcode::create", "qrcode::create(\"QR_STR_SCENE\", #{scene: #{scene_str: \"\"}})", 40053),
    ("qrcode::create", "qrcode::create(\"QR_SCENE\", #{scene: #{scene_id: 1}}, 2592001)", 40053),
    ("quota::clear", "quota::clear(\"wx0000000000000000\")", 40013),
];

/// The errcodes that calls end with; 0 for one that is made.
fn errcodes(account: &Account, calls: &[String], arguments: &[&str]) -> Vec<i64> {
    let lines: Vec<String> = calls
        .iter()
        .map(|call| format!("try {{ {call}; print(0); }} catch (e) {{ print(e.errcode ?? e.message); }}\n"))
        .collect();
    let script = lines.concat();
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![0; 1 << 20]].concat();
    let folder =
        Folder::with(&script).file("note.txt", "甲").file("large.png", png).file("empty.png", "").account();
    let url = format!("http://{}", account.address());
    let finished = folder.run(&[&["run", "script.rhai", "--base-url", &url, "--quiet"], arguments].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    // A file that is not sent has no errcode of its own: its message names the platform's.
    let named = |line: &str| line.rsplit_once('(')?.1.strip_suffix(')')?.parse().ok();
    finished.out.lines().map(|line| line.parse().ok().or_else(|| named(line)).unwrap_or(-1)).collect()
}

/// Each call ends with its errcode, rehearsed and then live.
fn assert_same_both_ways(account: &Account, cases: &[Case], setup: &[(&str, String)]) {
    let call =
        |call: &str| setup.iter().fold(call.to_owned(), |call, (name, value)| call.replace(name, value));
    let calls: Vec<String> = cases.iter().map(|(_, text, _)| call(text)).collect();
    for arguments in [&["--dry-run"][..], &[]] {
        let found = errcodes(account, &calls, arguments);
        for ((call, (_, _, errcode)), found) in calls.iter().zip(cases).zip(found) {
            assert_eq!(found, *errcode, "{call} with {arguments:?}");
        }
    }
}

#[test]
fn call_that_breaks_a_rule_has_the_same_errcode_dry_and_live() {
    let account = Account::of(30);
    let openids = account.openids();
    let tag = account.tag("广东");
    account.tag("北京");
    let setup =
        [("OPENID", json!(openids[0]).to_string()), ("TAG", tag.to_string()), ("COUPON", COUPON.to_owned())];
    assert_same_both_ways(&account, CASES, &setup);
}

/// What depends on whom an openid names.
const PEOPLE: &[Case] = &[
    ("tag::attach", "tag::attach(TAG, [OPENID, FOREIGN])", 49003),
    ("tag::attach", "tag::attach(TAG, [OPENID, GONE])", 50005),
    ("tag::attach", "tag::attach(TAG, [OPENID, FULL])", 45059),
    ("tag::attach", "tag::attach(TAG, [FULL, GONE])", 50005),
    ("tag::detach", "tag::detach(TAG, [OPENID, FOREIGN])", 49003),
    ("tag::detach", "tag::detach(TAG, [OPENID, GONE, \"oABC\"])", 50005),
    ("tag::detach", "tag::detach(TAG, [FULL])", 0),
    ("user::remark", "user::remark(FOREIGN, \"甲\")", 40003),
    ("user::remark", "user::remark(GONE, \"一二三四五六七八九十\")", 43004),
    ("blacklist::add", "blacklist::add([OPENID, GONE])", 40003),
    ("blacklist::add", "blacklist::add([GONE, FOREIGN])", 49003),
    ("blacklist::remove", "blacklist::remove([OPENID, FOREIGN])", 49003),
    ("blacklist::remove", "blacklist::remove([OPENID, GONE])", 0),
];

#[test]
fn call_on_the_wrong_people_has_the_same_errcode_dry_and_live() {
    let account = Account::of(30);
    let openids = account.openids();
    let (gone, full) = (&openids[1], &openids[2]);
    let tag = account.tag("广东");
    for number in 0..20 {
        let tagid = account.tag(&format!("门店{number}"));
        let attach = json!({"tagid": tagid, "openid_list": [full]});
        assert_eq!(account.tell("/cgi-bin/tags/members/batchtagging", attach), ok());
    }
    account.control("followers", json!({"openid": gone, "subscribe": 0}));
    let setup = [
        ("OPENID", json!(openids[0]).to_string()),
        ("GONE", json!(gone).to_string()),
        ("FULL", json!(full).to_string()),
        ("FOREIGN", json!(FOREIGN).to_string()),
        ("TAG", tag.to_string()),
    ];
    assert_same_both_ways(&account, PEOPLE, &setup);
}

/// What depends on how many tags there are, and how many have one.
const NUMBERS: &[Case] = &[
    ("tag::create", "tag::create(\"多一个\")", 45056),
    ("tag::create", "followers().take(1).tag(\"多一个\")", 45056),
    ("tag::delete", "tag::delete(TAG)", 45057),
];

#[test]
fn call_over_a_limit_has_the_same_errcode_dry_and_live() {
    let account = Account::of(100_200);
    let tag = account.tag("全体").to_string();
    let url = format!("http://{}", account.address());
    let folder = Folder::with(&format!("followers().tag({tag})")).account();
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url, "--quiet"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    let tags = account.ask("/cgi-bin/tags/get", "");
    // A hundred of them have left.
    assert_eq!(tags["tags"][1]["count"], 100_100, "{tags}");
    for number in 1..100 {
        account.tag(&format!("门店{number}"));
    }
    assert_same_both_ways(&account, NUMBERS, &[("TAG", tag)]);
}

/// Cards that break one rule each, with the errcode.
fn broken_cards() -> Vec<(Value, i64)> {
    let dates = |begin: i64, end: i64| json!({"type": "DATE_TYPE_FIX_TIME_RANGE", "begin_timestamp": begin, "end_timestamp": end});
    let base_info = |field: &str, value: Value| member_card_with(&format!("base_info.{field}"), value);
    let mut in_all_locations = base_info("location_id_list", json!([1]));
    in_all_locations["member_card"]["base_info"]["use_all_locations"] = json!(true);
    let mut unknown_type = member_card();
    unknown_type["card_type"] = json!("CARD");
    vec![
        (base_info("logo_url", json!(format!("{PICTURE}{}", "x".repeat(128)))), 40009),
        (unknown_type, 40071),
        (base_info("code_type", json!("CODE_TYPE_QR")), 40072),
        (base_info("location_id_list", json!(["一店"])), 40072),
        (in_all_locations, 40072),
        (base_info("color", json!("#63b359")), 40076),
        (base_info("date_info", json!({"type": "DATE_TYPE_FOR_EVER"})), 40079),
        (base_info("date_info", dates(1_795_898_350_000, 1_799_898_350_000)), 40079),
        (base_info("date_info", dates(2, 2)), 40100),
        // It has passed.
        (base_info("date_info", dates(1, 2)), 40100),
        (base_info("sku", json!({"quantity": 0})), 40122),
        (base_info("sku", json!({"quantity": 100_000_001})), 40122),
        (member_card_with_four_custom_fields(), 40124),
        (base_info("logo_url", json!("https://example.com/logo.png")), 40141),
        (base_info("get_limit", json!(0)), 40150),
        (member_card_with("advanced_info", json!({"business_service": ["BIZ_SERVICE_WIFI"]})), 40150),
        (base_info("title", Value::Null), 41011),
        (json!({"card_type": "MEMBER_CARD"}), 41011),
        (base_info("title", json!("一二三四五六七八九十")), 45021),
        (base_info("notice", json!(5)), 47001),
    ]
}

/// A script function holds a card to its rules before it sends it, so the sandbox is asked without one as well.
#[test]
fn card_that_breaks_a_rule_has_the_same_errcode_dry_live_and_in_the_sandbox() {
    let account = Account::of(3);
    let (cards, expected): (Vec<Value>, Vec<i64>) = broken_cards().into_iter().unzip();
    let calls: Vec<String> = cards.iter().map(|card| format!("card::create({})", literal(card))).collect();
    for arguments in [&["--dry-run"][..], &[]] {
        assert_eq!(errcodes(&account, &calls, arguments), expected, "{arguments:?}");
    }
    let answered = |card: &Value| errcode(&account.tell("/card/create", json!({"card": card})));
    assert_eq!(cards.iter().map(answered).collect::<Vec<i64>>(), expected);
}

/// What all cases show: the endpoints with the errcodes.
fn shown() -> BTreeSet<(&'static str, i64)> {
    let calls = CASES.iter().chain(PEOPLE).chain(NUMBERS).map(|(name, _, errcode)| (*name, *errcode));
    let cards = broken_cards().into_iter().map(|(_, errcode)| ("card::create", errcode));
    calls.chain(cards).filter(|(_, errcode)| *errcode != 0).collect()
}

/// Whether the code is of a rule of the endpoint's own arguments.
fn is_rule(spec: &Spec, errcode: i64) -> bool {
    let takes_a_map = spec.fields.iter().any(|field| field.kind == FieldKind::Map);
    !NOT_RULES.contains(&errcode) && (errcode != MALFORMED_BODY || takes_a_map)
}

fn write_endpoints() -> impl Iterator<Item = &'static Spec> {
    api::all().into_iter().filter(|spec| spec.kind == CallKind::Write)
}

#[test]
fn every_documented_errcode_of_a_write_endpoint_has_its_case() {
    let shown = shown();
    for spec in write_endpoints() {
        for errcode in spec.errors.iter().filter(|errcode| is_rule(spec, **errcode)) {
            let is_readable = !NOT_READABLE.contains(&(spec.name, *errcode));
            let has_case = shown.contains(&(spec.name, *errcode));
            assert_eq!(has_case, is_readable, "{}: {errcode} has one case, or one reason", spec.name);
        }
    }
}

#[test]
fn every_errcode_of_a_case_or_a_reason_is_documented_or_named_as_undocumented() {
    let documented: BTreeSet<(&str, i64)> =
        write_endpoints().flat_map(|spec| spec.errors.iter().map(|errcode| (spec.name, *errcode))).collect();
    let undocumented: Vec<(&str, i64)> = shown().difference(&documented).copied().collect();
    assert_eq!(undocumented, UNDOCUMENTED);
    let reasons: BTreeSet<(&str, i64)> = NOT_READABLE.iter().copied().collect();
    assert_eq!(reasons.difference(&documented).copied().collect::<Vec<_>>(), []);
}
