//! A dry run: it makes every call that reads and none that writes, and reports what would change.

use crate::fixtures::{
    account::{Account, ok},
    card::{literal, member_card},
    program::{Folder, counts, project, run_on},
};
use mpscript::api::{self, CallKind, InDryRun};
use serde_json::json;
use std::fs;

/// What the sandbox was called with: `"METHOD path"`.
fn called(account: &Account) -> Vec<String> {
    let stats = account.get("/__sandbox/stats").json();
    stats["calls"].as_object().expect("calls are counted").keys().cloned().collect()
}

/// One call of each endpoint that writes, with arguments that the platform would take.
const WRITES: [(&str, &str); 12] = [
    ("tag::create", "tag::create(\"广东\")"),
    ("tag::update", "tag::update(tag::create(\"甲\"), \"乙\")"),
    ("tag::delete", "tag::delete(tag::create(\"丙\"))"),
    ("tag::attach", "tag::attach(tag::create(\"丁\"), [OPENID])"),
    ("tag::detach", "tag::detach(tag::create(\"戊\"), [OPENID])"),
    ("blacklist::add", "blacklist::add([OPENID])"),
    ("blacklist::remove", "blacklist::remove([OPENID])"),
    ("user::remark", "user::remark(OPENID, \"客户\")"),
    ("media::upload_image", "print(media::upload_image(\"logo.png\").url)"),
    ("card::create", "print(card::create(CARD).card_id)"),
    ("qrcode::create", "print(qrcode::create(\"QR_SCENE\", #{scene: #{scene_id: 7}}).ticket)"),
    ("quota::clear", "quota::clear()"),
];

/// One call of each of the others, and whether a dry run sends it.
const OTHERS: [(&str, &str, bool); 18] = [
    ("token::get", "token::get()", false),
    ("token::stable", "token::stable(true)", false),
    ("user::list", "user::list()", true),
    ("user::info", "user::info(OPENID)", true),
    ("user::batch", "user::batch([OPENID])", true),
    ("tag::list", "tag::list()", true),
    ("tag::members", "tag::members(2)", true),
    ("tag::of", "tag::of(OPENID)", true),
    ("blacklist::list", "blacklist::list()", true),
    ("oauth::exchange", "oauth::exchange(CODE)", false),
    ("oauth::refresh", "oauth::refresh(\"96_x\")", false),
    ("oauth::userinfo", "oauth::userinfo(\"96_x\", OPENID)", true),
    ("oauth::check", "oauth::check(\"96_x\", OPENID)", true),
    ("quota::get", "quota::get(\"/cgi-bin/user/get\")", true),
    ("rid::get", "rid::get(\"5e7d4f6a-2b3c4d5e-6f708192\")", true),
    ("network::callback_ip", "network::callback_ip()", true),
    ("network::api_ip", "network::api_ip()", true),
    ("network::check", "network::check(\"all\", \"DEFAULT\")", true),
];

#[test]
fn dry_run_sends_what_an_endpoint_declares() {
    let account = Account::of(3);
    let openid = json!(account.openids()[0]).to_string();
    let code = account.control("oauth/code", json!({"scope": "snsapi_userinfo"}))["code"].to_string();
    for spec in api::all().into_iter().filter(|spec| spec.kind == CallKind::Read) {
        let (_, call, is_sent) =
            OTHERS.into_iter().find(|(name, ..)| *name == spec.name).expect("it has its call here");
        assert_eq!(spec.in_dry_run == InDryRun::Sent, is_sent, "{}", spec.name);
        let count = || account.get("/__sandbox/stats").json()["calls"][spec.call()].as_u64().unwrap_or(0);
        let before = count();
        // The token that the client needs for itself is fetched by another endpoint.
        let script = call.replace("OPENID", &openid).replace("CODE", &code);
        let (finished, report) = run_on(&account, &format!("print({script})"), &["--dry-run"]);
        let of_client = u64::from(spec.name == "token::stable" && report["calls"][spec.call()] == 1);
        assert_eq!(count() - before > of_client, is_sent, "{}: {}", spec.name, finished.err);
        assert_eq!(report["would_call"][spec.call()] == 1, !is_sent, "{}: {}", spec.name, finished.err);
    }
    for spec in api::all().into_iter().filter(|spec| spec.kind == CallKind::Write) {
        assert_eq!(spec.in_dry_run, InDryRun::NotSent, "{}", spec.name);
    }
}

#[test]
fn code_that_a_dry_run_was_given_can_be_exchanged_later() {
    let account = Account::of(3);
    let code = account.control("oauth/code", json!({"scope": "snsapi_userinfo"}))["code"].to_string();
    let script = format!(
        "let grant = oauth::exchange({code}); oauth::check(grant.access_token, grant.openid);
         print(oauth::userinfo(oauth::refresh(grant.refresh_token).access_token, grant.openid).openid == grant.openid);
         user::remark(grant.openid, user::info(grant.openid).remark ?? \"会员\");"
    );
    let (dry, _) = run_on(&account, &script, &["--dry-run"]);
    assert_eq!((dry.code, dry.out.as_str()), (Some(0), "true\n"), "{}", dry.err);
    let (real, _) = run_on(&account, &format!("print(oauth::exchange({code}).scope)"), &[]);
    assert_eq!(real.success(), "snsapi_userinfo\n");
}

#[test]
fn dry_run_calls_no_write_endpoint() {
    let writes: Vec<&str> =
        api::all().into_iter().filter(|spec| spec.kind == CallKind::Write).map(|spec| spec.name).collect();
    let mut covered: Vec<&str> = WRITES.iter().map(|(name, _)| *name).collect();
    covered.sort_unstable();
    let mut wanted = writes.clone();
    wanted.sort_unstable();
    assert_eq!(covered, wanted, "every endpoint that writes has its call here");
    let account = Account::of(3);
    let openid = json!(account.openids()[0]).to_string();
    let url = format!("http://{}", account.address());
    let logo = fs::read(project("scripts/logo.png")).expect("the picture is there");
    for (name, call) in WRITES {
        let script = call.replace("OPENID", &openid).replace("CARD", &literal(&member_card()));
        let folder = Folder::with(&script).file("logo.png", &logo).account();
        let finished =
            folder.run(&["run", "script.rhai", "--base-url", &url, "--dry-run", "--report", "r.json"]);
        assert_eq!(finished.code, Some(0), "{name}: {}", finished.err);
        let spec = api::all().into_iter().find(|spec| spec.name == name).expect("it is declared");
        let call = format!("{} {}", spec.method.as_str(), spec.path);
        assert_eq!(folder.json("r.json")["would_call"][&call], 1, "{name}");
        assert!(finished.err.contains(&format!("of {call} would be made")), "{name}: {}", finished.err);
    }
    let script = format!(
        "followers().tag(\"新\"); followers().untag(\"星标组\"); followers().block(); blacklisted().unblock();
         followers().remark(|u| \"客户\"); followers().each(|u| user::remark(u, \"逐\"));
         api::post(\"/cgi-bin/menu/create\", #{{}}); api::post(\"/cgi-bin/tags/create\", #{{tag: #{{name: {openid}}}}});"
    );
    let (finished, report) = run_on(&account, &script, &["--dry-run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(report["would_call"]["POST /cgi-bin/menu/create"], 1);
    let called = called(&account);
    for spec in api::all().into_iter().filter(|spec| spec.kind == CallKind::Write) {
        let call = format!("{} {}", spec.method.as_str(), spec.path);
        assert!(!called.contains(&call), "{call}");
    }
    assert!(!called.contains(&"POST /cgi-bin/menu/create".to_owned()));
}

#[test]
fn dry_run_renews_no_token_by_force() {
    let account = Account::of(3);
    let script = "print(token::get()); print(token::stable(true)); print(user::list().count);";
    let fetched = || account.get("/__sandbox/stats").json()["calls"]["GET /cgi-bin/token"].clone();
    let before = fetched();
    let (finished, report) = run_on(&account, script, &["--dry-run"]);
    assert_eq!(finished.out, "***\n***\n3\n");
    assert_eq!(
        report["would_call"],
        json!({"GET /cgi-bin/token": 1, "POST /cgi-bin/stable_token": 1}),
        "{}",
        finished.err
    );
    assert_eq!(fetched(), before);
}

#[test]
fn dry_run_reports_what_would_change() {
    let account = Account::of(2_000);
    let script = "let t = tag::create(\"名单\");
         print(tag::list().filter(|t| t.name == \"名单\")[0].id == t.id);
         print(members(t).count());
         tag::update(t, \"新名单\"); tag::attach(tag::create(\"别的\"), followers().to_array().map(|u| u.openid));
         print(followers().filter(|u| u.sex == 0).take(120).tag(\"新名单\").changed);
         tag::delete(t); print(tag::list().len());";
    let (finished, report) = run_on(&account, script, &["--dry-run"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "true\n0\n120\n2\n"), "{}", finished.err);
    let end = &report["operations"][2];
    let samples: Vec<&str> =
        end["samples"].as_array().into_iter().flatten().filter_map(|one| one.as_str()).collect();
    // 1,998 openids in the call (two of the 2,000 have left, for whom it would be refused), and the 120 of the job.
    let expected = format!(
        "dry run: nothing was changed
         120 followers would be changed by tag `新名单`, as
             {}
           2 calls of POST /cgi-bin/tags/create would be made
           1 call  of POST /cgi-bin/tags/delete would be made
          43 calls of POST /cgi-bin/tags/members/batchtagging would be made
           1 call  of POST /cgi-bin/tags/update would be made
",
        samples.join("\n             ")
    );
    assert_eq!(finished.err, expected);
    let (short, _) =
        run_on(&account, "qrcode::create(\"QR_SCENE\", #{scene: #{scene_id: 7}});", &["--dry-run"]);
    assert!(
        short.err.ends_with("1 call  of POST /cgi-bin/qrcode/create would be made (100,000 left today)\n")
    );
    assert_eq!((&report["dry_run"], &report["state"]), (&json!(true), &json!("done")));
    assert_eq!(counts(end, ["matched", "changed", "already", "failed"]), [120, 120, 0, 0]);
    let openids = account.openids();
    assert_eq!(end["samples"].as_array().map(Vec::len), Some(5));
    assert!(openids.contains(&end["samples"][0].as_str().expect("an openid is a text").to_owned()));
    let tags = account.get("/__sandbox/tags").json();
    assert_eq!(tags.as_array().map(Vec::len), Some(1), "{tags}");
}

#[test]
fn dry_run_refuses_what_the_platform_would_refuse() {
    let account = Account::of(3);
    for (script, says) in [
        ("tag::create(\"星标组\")", "45157"),
        ("tag::create(\"一二三四五六七八九十一\")", "45158"),
        ("tag::update(2, \"名\")", "45058"),
        ("tag::delete(4711)", "45159"),
        ("tag::create(\" \")", "45157"),
        ("let none = []; tag::attach(2, none)", "40032"),
        ("let none = []; blacklist::add(none)", "40032"),
        ("blacklist::remove([\"abc\"])", "40003"),
        ("tag::detach(2, [\"abc\"])", "40003"),
        ("user::remark(\"abc\", \"甲\")", "40003"),
        ("tag::attach(4711, [\"o\"])", "45159"),
        ("followers().take(1).each(|u| user::remark(u, \"一二三四五六七八九十\"))", "40092"),
    ] {
        let (finished, _) = run_on(&account, script, &["--dry-run"]);
        assert_eq!(finished.code, Some(1), "{script}");
        assert!(
            finished.err.contains(says) && finished.err.contains("this is a dry run"),
            "{}",
            finished.err
        );
    }
}

#[test]
fn dry_run_names_openids_that_would_be_refused() {
    let account = Account::of(5);
    let script = "followers().remark(|u| if u.sex == 9 { () } else { \"一二三四五六七八九十\" });";
    let (finished, report) = run_on(&account, script, &["--dry-run", "--quiet"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let end = &report["operations"][0];
    assert_eq!((counts(end, ["matched", "changed"]), &end["failed"][0]["errcode"]), ([5, 0], &json!(40092)));
    // A tag that only the dry run has made has no members that could be asked for.
    let openids = json!(account.openids());
    let script = format!("let t = tag::create(\"新\"); openids({openids}).tag(t);");
    let (finished, report) = run_on(&account, &script, &["--dry-run", "--quiet"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(counts(&report, ["changed"]), [5]);
}

#[test]
fn dry_run_is_recorded_and_cannot_be_resumed() {
    let account = Account::of(3);
    let url = format!("http://{}", account.address());
    let folder = Folder::with("followers().tag(\"新\"); throw \"坏了\"").account();
    assert_eq!(folder.run(&["run", "script.rhai", "--base-url", &url, "--dry-run"]).code, Some(1));
    let runs = folder.run(&["runs"]).success();
    assert!(runs.trim_end().ends_with("error               script.rhai (dry run)"), "{runs}");
    let run = runs.split(' ').next().unwrap_or_default();
    let message = folder.run(&["resume", run]).failure(2);
    assert!(message.contains("was a dry run"), "{message}");
}

/// A follower who has twenty tags, `旧` among them.
fn follower_with_20_tags(account: &Account) -> String {
    let openid = account.openids()[0].clone();
    account.fill_tags(&openid, "旧");
    openid
}

/// The exit codes of a script that runs dry, then live.
fn exit_codes(account: &Account, script: &str, arguments: &[&str]) -> [Option<i32>; 2] {
    let dry = run_on(account, script, &[arguments, &["--dry-run"]].concat()).0.code;
    [dry, run_on(account, script, arguments).0.code]
}

#[test]
fn job_that_tags_a_full_follower_after_an_untag_succeeds_dry_as_live() {
    let account = Account::of(3);
    let openid = json!([follower_with_20_tags(&account)]);
    let script = format!("openids({openid}).untag(\"旧\"); openids({openid}).tag(\"新\");");
    assert_eq!(exit_codes(&account, &script, &[]), [Some(0); 2]);
}

#[test]
fn call_that_tags_a_full_follower_after_an_untag_succeeds_dry_as_live() {
    let account = Account::of(3);
    let openid = json!([follower_with_20_tags(&account)]);
    let script = format!(
        "tag::detach(tag::list().filter(|t| t.name == \"旧\")[0], {openid});
         tag::attach(tag::create(\"新\"), {openid});"
    );
    assert_eq!(exit_codes(&account, &script, &[]), [Some(0); 2]);
}

#[test]
fn followers_whom_a_dry_run_has_tagged_already_have_the_tag() {
    let account = Account::of(20);
    let script = "followers().take(10).tag(\"甲\"); print(followers().take(12).tag(\"甲\").already);";
    assert_eq!(run_on(&account, script, &["--dry-run"]).0.out, "10\n");
}

#[test]
fn refused_follower_uses_nothing_of_the_change_limit_dry_as_live() {
    let account = Account::of(20);
    follower_with_20_tags(&account);
    let script = "followers().take(10).tag(\"庚\"); followers().take(1).remark(|u| \"客户\");";
    assert_eq!(exit_codes(&account, script, &["--max-changes", "10"]), [Some(3); 2]);
}

#[test]
fn call_that_sets_the_present_remark_uses_nothing_of_the_change_limit() {
    let account = Account::of(3);
    let openid = &account.openids()[0];
    let remark = json!({"openid": openid, "remark": "客户"});
    assert_eq!(account.tell("/cgi-bin/user/info/updateremark", remark), ok());
    let (finished, _) =
        run_on(&account, &format!("user::remark(\"{openid}\", \"客户\");"), &["--max-changes", "0"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
}
