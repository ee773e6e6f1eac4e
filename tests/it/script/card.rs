//! Cards: their fields are held to the manual before anything is sent, and by the sandbox; the
//! builders put everything in its place.

use crate::fixtures::{
    account::{Account, errcode},
    card::{PICTURE, member_card, member_card_with, member_card_with_four_custom_fields},
    program::run_on,
};
use mpscript::{
    api::card::{self, Card, Rule, TYPES, check},
    sandbox::{Options, Switches},
};
use serde_json::{Map, Value, json};
use std::fs;

const CREATE: &str = "/card/create";

/// The manual's own sample: a coupon of 2014.
fn sample() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/card.create.request.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn faults(card: &Value) -> Vec<(String, i64)> {
    let card: Card = serde_json::from_value(card.clone()).unwrap();
    check(&card).into_iter().map(|fault| (fault.to_string(), fault.errcode)).collect()
}

#[test]
fn valid_card_has_no_fault() {
    assert_eq!(faults(&member_card()), []);
    assert_eq!(faults(&sample()["card"]), []);
    // 27 bytes of nine Chinese characters are allowed, and what is not known here is kept.
    assert_eq!(faults(&member_card_with("base_info.title", json!("一二三四五六七八九"))), []);
    assert_eq!(faults(&member_card_with("base_info.from_2027", json!({"any": ["thing"]}))), []);
}

/// Where a value is put, the fault that it is, and the errcode that the platform answers to it.
type Case = ((&'static str, Value), &'static str, i64);

fn faults_of_base_info() -> Vec<Case> {
    let long = format!("{PICTURE}{}", "x".repeat(128));
    vec![
        (("base_info", Value::Null), "`member_card.base_info` is missing", 41011),
        (("base_info", json!("x")), "`member_card.base_info` must be a map", 47001),
        (("base_info.title", Value::Null), "`member_card.base_info.title` is missing", 41011),
        (
            ("base_info.title", json!("一二三四五六七八九十")),
            "`member_card.base_info.title` has 30 bytes, and 27 are the most (9 Chinese characters)",
            45021,
        ),
        (("base_info.title", json!("")), "`member_card.base_info.title` is required and is blank", 41011),
        (
            ("base_info.logo_url", json!("\u{3000}")),
            "`member_card.base_info.logo_url` is required and is blank",
            41011,
        ),
        (("base_info.color", json!(" ")), "`member_card.base_info.color` is required and is blank", 41011),
        (("base_info.notice", json!(5)), "`member_card.base_info.notice` must be a string", 47001),
        (
            ("base_info.color", json!("Color011")),
            "`member_card.base_info.color` can't be `Color011`; did you mean `Color101`?",
            40076,
        ),
        (
            ("base_info.color", json!("#63b359")),
            "`member_card.base_info.color` can't be `#63b359`; it is one of Color010, Color020, Color030, Color040, \
             Color050, Color060, Color070, Color080, Color081, Color082, Color090, Color100, Color101, Color102",
            40076,
        ),
        (
            ("base_info.code_type", json!("CODE_TYPE_QR")),
            "`member_card.base_info.code_type` can't be `CODE_TYPE_QR`; did you mean `CODE_TYPE_QRCODE`?",
            40072,
        ),
        (
            ("base_info.logo_url", json!("https://example.com/logo.png")),
            "`member_card.base_info.logo_url` is no picture's address: media::upload_image(\"logo.png\").url gives one",
            40141,
        ),
        (
            ("base_info.logo_url", json!(long)),
            "`member_card.base_info.logo_url` is longer than 128 bytes",
            40009,
        ),
        (
            ("base_info.sku.quantity", json!(100_000_001)),
            "`member_card.base_info.sku.quantity` is from 0 to 100000000",
            40122,
        ),
        (
            ("base_info.sku.quantity", json!(0)),
            "`member_card.base_info.sku.quantity` is 1 at the least, unless codes are deposited \
             (get_custom_code_mode)",
            40122,
        ),
        (
            ("base_info.get_custom_code_mode", json!("GET_CUSTOM_CODE_MODE_DEPOSIT")),
            "`member_card.base_info.sku.quantity` must be 0 with get_custom_code_mode",
            40122,
        ),
        (("base_info.can_share", json!(1)), "`member_card.base_info.can_share` must be true or false", 47001),
        (
            ("base_info.location_id_list", json!(["1"])),
            "`member_card.base_info.location_id_list[0]` must be an integer",
            40072,
        ),
    ]
}

fn faults_of_dates_and_of_the_type() -> Vec<Case> {
    let dates = |dates: Value| ("base_info.date_info", dates);
    vec![
        (dates(json!({})), "`member_card.base_info.date_info.type` is missing", 41011),
        (
            dates(json!({"type": "DATE_TYPE_FIX_TERMS", "fixed_term": 1, "fixed_begin_term": 0})),
            "`member_card.base_info.date_info.type` can't be `DATE_TYPE_FIX_TERMS`; did you mean \
             `DATE_TYPE_FIX_TERM`?",
            40079,
        ),
        (
            dates(json!({"type": "DATE_TYPE_FIX_TERM", "fixed_begin_term": 0})),
            "`member_card.base_info.date_info.fixed_term` is missing",
            41011,
        ),
        (
            dates(json!({"type": "DATE_TYPE_FIX_TERM", "fixed_term": 0, "fixed_begin_term": 0})),
            "`member_card.base_info.date_info.fixed_term` is 1 at the least",
            40100,
        ),
        (
            dates(json!({"type": "DATE_TYPE_FIX_TIME_RANGE", "begin_timestamp": 2, "end_timestamp": 2})),
            "`member_card.base_info.date_info.end_timestamp` must be after begin_timestamp",
            40100,
        ),
        (
            dates(json!({"type": "DATE_TYPE_FIX_TIME_RANGE", "begin_timestamp": "2026", "end_timestamp": 2})),
            "`member_card.base_info.date_info.begin_timestamp` must be a whole number (times are Unix seconds)",
            40079,
        ),
        (
            dates(
                json!({"type": "DATE_TYPE_FIX_TIME_RANGE", "begin_timestamp": 1_795_898_350_000_i64, "end_timestamp": 1_799_898_350_i64}),
            ),
            "`member_card.base_info.date_info.begin_timestamp` looks like milliseconds; the platform wants seconds: \
             1795898350",
            40079,
        ),
        (
            dates(
                json!({"type": "DATE_TYPE_FIX_TERM", "fixed_term": 1, "fixed_begin_term": 0, "end_timestamp": 1_799_898_350_000_i64}),
            ),
            "`member_card.base_info.date_info.end_timestamp` looks like milliseconds; the platform wants seconds: \
             1799898350",
            40079,
        ),
        (
            dates(json!({"type": " "})),
            "`member_card.base_info.date_info.type` is required and is blank",
            41011,
        ),
        (("prerogative", json!("")), "`member_card.prerogative` is required and is blank", 41011),
        (("prerogative", Value::Null), "`member_card.prerogative` is missing", 41011),
        (("supply_bonus", json!("yes")), "`member_card.supply_bonus` must be true or false", 47001),
        (
            ("advanced_info", json!({"time_limit": [{"type": "MONDY"}]})),
            "`member_card.advanced_info.time_limit[0].type` can't be `MONDY`; did you mean `MONDAY`?",
            40150,
        ),
        (
            ("advanced_info", json!({"business_service": ["BIZ_SERVICE_WIFI"]})),
            "`member_card.advanced_info.business_service[0]` can't be `BIZ_SERVICE_WIFI`; did you mean \
             `BIZ_SERVICE_FREE_WIFI`?",
            40150,
        ),
    ]
}

#[test]
fn card_fault_has_the_errcode_the_sandbox_answers() {
    let account = Account::of(3);
    let cases = faults_of_base_info().into_iter().chain(faults_of_dates_and_of_the_type());
    for ((at, value), message, code) in cases {
        let card = member_card_with(at, value);
        assert_eq!(faults(&card), [(format!("{message} ({code})"), code)]);
        assert_eq!(errcode(&account.tell(CREATE, json!({"card": card}))), code, "{message}");
    }
    let four = member_card_with_four_custom_fields();
    assert_eq!(
        faults(&four),
        [("`member_card` has more than three custom fields (40124)".to_owned(), 40124)]
    );
    assert_eq!(errcode(&account.tell(CREATE, json!({"card": four}))), 40124);
    let unknown = json!({"card_type": "MEMBERCARD", "membercard": {}});
    assert_eq!(
        faults(&unknown),
        [("`card_type` can't be `MEMBERCARD`; did you mean `MEMBER_CARD`? (40071)".to_owned(), 40071)]
    );
    assert_eq!(errcode(&account.tell(CREATE, json!({"card": unknown}))), 40071);
    assert_eq!(
        errcode(&account.tell(CREATE, json!({"card": member_card_with("note", json!({"x": null}))}))),
        47001
    );
}

/// A card of the platform's that is good until this second.
fn until(end: i64) -> Value {
    member_card_with(
        "base_info.date_info",
        json!({"type": "DATE_TYPE_FIX_TIME_RANGE", "begin_timestamp": 1, "end_timestamp": end}),
    )
}

#[test]
fn ended_card_has_the_errcode_the_sandbox_answers() {
    let account = Account::of(3);
    let ended = until(1_472_724_261);
    let fault = card::ended(&serde_json::from_value(ended.clone()).unwrap(), 1_472_724_261).unwrap();
    assert_eq!(
        (fault.to_string(), fault.errcode),
        ("`member_card.base_info.date_info.end_timestamp` has passed (40100)".to_owned(), 40100)
    );
    assert_eq!(errcode(&account.tell(CREATE, json!({"card": ended}))), 40100);
}

#[test]
fn card_ends_by_the_clock_of_the_sandbox() {
    let account = Account::of(3);
    let card = json!({"card": until(4_102_415_999)});
    assert_eq!(errcode(&account.tell(CREATE, card.clone())), 0);
    account.control("clock", json!({"advance": "100years"}));
    account.renew();
    assert_eq!(errcode(&account.tell(CREATE, card)), 40100);
}

#[test]
fn ended_card_stops_the_script_before_the_call() {
    let account = Account::of(3);
    for arguments in [&[][..], &["--dry-run"]] {
        let script = format!(
            "card::create(card::movie_ticket(#{{{COMMON}, begin_timestamp: 1, end_timestamp: 1472724261}}))"
        );
        let message = run_on(&account, &script, arguments).0.failure(1);
        let error =
            "error: card::create: `movie_ticket.base_info.date_info.end_timestamp` has passed (40100)\n";
        assert!(message.starts_with(error), "{message}");
    }
    assert_eq!(account.get("/__sandbox/cards").json(), json!([]));
}

#[test]
fn misspelt_card_field_is_reported_and_unknown_one_kept() {
    let account = Account::of(3);
    let create = |fields: &str| {
        let script = format!(
            "let fields = #{{{COMMON}, fixed_term: 1, {fields}}}; \
             print(card::create(card::meeting_ticket(fields)).card_id.len())"
        );
        run_on(&account, &script, &[]).0
    };
    let first = |fields: &str| create(fields).failure(1).lines().next().unwrap().to_owned();
    let error = "error: card::create: `meeting_ticket";
    // What may be left out may be one that the platform has added: it is sent, with a word to the person.
    let sent = create("meeting_detail: \"x\", service_phon: \"1\"");
    let warning = "warning: card::create: `service_phon` is sent as it is; did you mean `service_phone`?\n";
    assert_eq!((sent.out.as_str(), sent.err.as_str()), ("28\n", warning));
    assert_eq!(
        first("meeting_detial: \"x\""),
        format!("{error}.meeting_detail` is missing; did you mean it by `meeting_detial`? (41011)")
    );
    let wrong = create("meeting_detail: \"x\", base_info: 5").failure(1);
    assert!(wrong.starts_with("error: card::meeting_ticket: base_info must be a map\n"), "{wrong}");
    let both = create("meeting_detail: \"x\", begin_timestamp: 1").failure(1);
    assert!(both.starts_with("error: card::meeting_ticket takes fixed_term (days"), "{both}");
    assert_eq!(create("meeting_detail: \"x\", of_2027: 1, center_app: 2").success(), "28\n");
}

#[test]
fn card_fault_stops_the_script_before_any_call() {
    let account = Account::of(3);
    let script = "card::create(card::movie_ticket(#{title: \"一二三四五六七八九十\", quantity: 1}))";
    let message = run_on(&account, script, &[]).0.failure(1);
    assert_eq!(
        message,
        "error: card::create: `movie_ticket.base_info.logo_url` is missing (41011)
 --> script.rhai:1:7
  |
1 | card::create(card::movie_ticket(#{title: \"一二三四五六七八九十\", quantity: 1}))
  |       ^^^^^^
  |
  = note: `movie_ticket.base_info.brand_name` is missing (41011)
  = note: `movie_ticket.base_info.title` has 30 bytes, and 27 are the most (9 Chinese characters) (45021)
  = note: `movie_ticket.base_info.color` is missing (41011)
  = note: `movie_ticket.base_info.notice` is missing (41011)
  = note: `movie_ticket.base_info.description` is missing (41011)
  = note: `movie_ticket.base_info.date_info` is missing: fixed_term: 30 (days), or begin_timestamp and end_timestamp (Unix seconds), with a builder (41011)
  = hint: nothing was sent; the number is what the platform would have answered
"
    );
    assert_eq!(account.get("/__sandbox/cards").json(), json!([]));
}

/// A builder's argument with every field that its type has, and what all cards have.
const COMMON: &str = "logo_url: \"http://mmbiz.qpic.cn/mmbiz_png/x/0\", brand_name: \"微信餐厅\", \
                      title: \"卡券\", color: \"Color010\", notice: \"出示\", description: \"说明\", quantity: 5";

#[test]
fn every_card_type_has_a_builder() {
    let account =
        Account::with(Options { followers: 3, switches: Switches::of_2020(), ..Options::default() });
    let own = [
        ("groupon", "deal_detail: \"双人火锅\", fixed_term: 30"),
        ("cash", "reduce_cost: 1000, fixed_term: 30"),
        ("discount", "discount: 30, fixed_term: 30"),
        ("gift", "gift: \"音乐木盒\", fixed_term: 30"),
        ("general_coupon", "default_detail: \"优惠\", fixed_term: 30, fixed_begin_term: 1"),
        ("member_card", "prerogative: \"双倍积分\""),
        ("general_card", "begin_timestamp: 1, end_timestamp: 4102415999"),
        ("meeting_ticket", "meeting_detail: \"三号厅\", fixed_term: 1"),
        ("scenic_ticket", "ticket_class: \"平日全票\", fixed_term: 1"),
        ("movie_ticket", "detail: \"周六场\", fixed_term: 1"),
        ("boarding_pass", "from: \"成都\", to: \"广州\", flight: \"CE123\", fixed_term: 1"),
    ];
    let names: Vec<String> = TYPES.iter().map(|of| of.name.to_lowercase()).collect();
    assert_eq!(own.map(|(name, _)| name.to_owned()).as_slice(), names);
    let lines = own.map(|(name, fields)| {
        format!("print(card::create(card::{name}(#{{{COMMON}, {fields}, of_2027: [1]}})).card_id.len());")
    });
    let script = lines.join("\n");
    assert_eq!(run_on(&account, &script, &[]).0.success(), "28\n".repeat(TYPES.len()));
    let cards = account.get("/__sandbox/cards").json();
    for (card, of) in cards.as_array().unwrap().iter().zip(TYPES) {
        let card = &card["card"];
        let base_info = &card[of.name.to_lowercase()]["base_info"];
        assert_eq!((&card["card_type"], &base_info["of_2027"]), (&json!(of.name), &json!([1])));
        assert_eq!(base_info["sku"], json!({"quantity": 5}));
    }
}

#[test]
fn builder_knows_every_field_of_its_type() {
    let account = Account::of(3);
    let name = |rule: &Rule| rule.name.to_owned();
    for of in TYPES {
        let fields: Vec<String> = of.fields.iter().map(name).collect();
        let map: Map<String, Value> = fields.iter().map(|field| (field.clone(), json!("x"))).collect();
        let literal = format!("#{}", Value::Object(map));
        let object = of.name.to_lowercase();
        let script = format!("print(card::{object}({literal}).{object}.keys())");
        let printed = run_on(&account, &script, &[]).0.success();
        for field in fields {
            assert!(printed.contains(&format!("\"{field}\"")), "{object}: {field} is not in {printed}");
        }
    }
}

#[test]
fn coupon_is_refused_today_and_created_by_the_rules_of_2020() {
    let today = Account::of(3);
    assert_eq!(errcode(&today.tell(CREATE, sample())), 40071);
    for other in [45160, 48001] {
        today.control("switches", json!({"coupon_errcode": other}));
        assert_eq!(errcode(&today.tell(CREATE, sample())), other);
    }
    let of_2020 =
        Account::with(Options { followers: 3, switches: Switches::of_2020(), ..Options::default() });
    let made = of_2020.tell(CREATE, sample());
    assert_eq!((errcode(&made), made["card_id"].as_str().unwrap().len()), (0, 28), "{made}");
    let kept = of_2020.get("/__sandbox/cards").json();
    assert_eq!(kept[0]["card"], sample()["card"]);
}

#[test]
fn caught_card_fault_has_the_platform_s_errcode() {
    let account = Account::of(3);
    let script = "try { card::create(#{card_type: \"CASH\"}) } catch (e) { print(`${e.errcode} ${e.endpoint} ${e.errmsg}`) }";
    assert_eq!(run_on(&account, script, &[]).0.success(), "41011 card::create `cash` is missing (41011)\n");
}

#[test]
fn card_value_without_json_form_is_refused() {
    let account = Account::of(3);
    let refused = |field: &str| {
        let script = format!("card::create(#{{card_type: \"CASH\", cash: #{{x: [{field}]}}}})");
        run_on(&account, &script, &[]).0.failure(1).lines().next().unwrap().to_owned()
    };
    let error = "error: card::create: `card` can't be sent: `cash.x[0]` is";
    assert_eq!(refused("token::stable()"), format!("{error} a Token"));
    assert_eq!(refused("|x| x"), format!("{error} a closure"));
    assert_eq!(refused("0.0 / 0.0"), format!("{error} no finite number"));
    let deep = "let m = []; for i in 0..4000 { m = [m]; } qrcode::create(\"QR_SCENE\", #{scene: m})";
    let message = run_on(&account, deep, &[]).0.failure(1);
    assert!(
        message.contains("`action_info` can't be sent: `scene` is nested more than 64 levels deep"),
        "{message}"
    );
    let deep = "let m = []; for i in 0..4000 { m = [m]; } print(#{m: m}.to_json().len())";
    let message = run_on(&account, deep, &[]).0.failure(1);
    assert!(message.contains("to_json: `m` is nested more than 64 levels deep"), "{message}");
}

#[test]
fn null_field_of_a_card_is_left_out() {
    let account = Account::of(3);
    let script = format!(
        "card::create(card::member_card(#{{{COMMON}, prerogative: \"双倍积分\", sub_title: (), x: [#{{y: ()}}]}}))"
    );
    run_on(&account, &script, &[]).0.success();
    let card = account.get("/__sandbox/cards").json();
    let base_info = &card[0]["card"]["member_card"]["base_info"];
    assert_eq!((base_info.get("sub_title"), &base_info["x"]), (None, &json!([{}])));
}
