//! `--report FILE`: as JSON, as a table, as a page.

use crate::{
    fixtures::{
        account::Account,
        paths::ATTACH,
        prerequisites,
        program::{Finished, Folder, run_on},
        runs::on_each_store,
        sandbox_process::SandboxProcess,
    },
    sandbox::browser::{Driver, complaints},
};
use fantoccini::{Client, Locator, error::CmdError};
use mpscript::sandbox::Options;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use url::Url;

fn run(folder: &Folder, account: &Account, arguments: &[&str]) -> Finished {
    let url = format!("http://{}", account.address());
    folder.run(&[&["run", "script.rhai", "--base-url", &url], arguments].concat())
}

fn text(folder: &Folder, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).expect("the report is there")
}

#[test]
fn csv_report_has_a_line_per_failed_or_changed_openid() {
    on_each_store(|with_store| {
        let account = Account::of(10);
        let openids = account.openids();
        let unknown = "-1-2-HYPERLINK";
        let script = format!(
            "openids({}).tag(\"@展台\");
             let tag = tag::create(\"乙\").id;
             tag::attach(tag, [\"{}\"]);
             openids([\"{}\"]).remark(|u| \"老客户\");",
            json!([openids[0], unknown, openids[1]]),
            openids[2],
            openids[3]
        );
        let folder = with_store(Folder::with(&script).account());
        let finished = run(&folder, &account, &["--report", "report.CSV"]);
        assert_eq!(finished.code, Some(3), "{}", finished.err);
        let table = text(&folder, "report.CSV");
        let mut lines: Vec<String> = table.split("\r\n").map(str::to_owned).collect();
        // The request's id is another each time.
        let failed = &mut lines[1];
        let rid = failed.rsplit(',').next().unwrap().to_owned();
        assert!(rid.split('-').count() == 3, "{table}");
        *failed = failed.replace(&rid, "RID");
        let tag = account.get("/__sandbox/tags").json();
        let tag = tag.as_array().unwrap().iter().find(|tag| tag["name"] == "乙").unwrap()["id"].clone();
        let expected = [
            "\u{feff}openid,operation,target,outcome,errcode,errmsg,rid".to_owned(),
            "'-1-2-HYPERLINK,tag,'@展台,failed,40003,invalid openid,RID".to_owned(),
            format!("{},tag,'@展台,changed,,,", openids[0]),
            format!("{},tag,'@展台,changed,,,", openids[1]),
            format!("{},tag::attach,{tag},changed,,,", openids[2]),
            format!("{},remark,,changed,,,", openids[3]),
            String::new(),
        ];
        assert_eq!(lines, expected);
    });
}

#[test]
fn csv_report_of_a_dry_run_has_samples() {
    let account = Account::of(30);
    let folder = Folder::with("openids_from(\"a.csv\").tag(\"甲\");").account();
    let folder = folder.file("a.csv", account.openids()[..3].join("\n"));
    run(&folder, &account, &["--dry-run", "--report", "report.csv"]);
    let mut expected = "\u{feff}openid,operation,target,outcome,errcode,errmsg,rid\r\n".to_owned();
    for openid in &account.openids()[..3] {
        expected.push_str(&format!("{openid},tag,甲,would change,,,\r\n"));
    }
    assert_eq!(text(&folder, "report.csv"), expected);
}

#[test]
fn csv_report_names_every_changed_openid_once() {
    let sandbox = SandboxProcess::start(&["--followers", "12500"]);
    let folder = Folder::with("followers().tag(\"甲\");").account();
    sandbox.run(&folder, &["--report", "report.csv"]).success();
    let table = text(&folder, "report.csv");
    let mut changed: Vec<&str> = table.lines().filter(|line| line.ends_with(",tag,甲,changed,,,")).collect();
    assert_eq!(Some(changed.len() as u64), sandbox.tagged("甲"));
    assert_eq!(changed.len(), table.lines().count() - 1);
    changed.sort_unstable();
    changed.dedup();
    assert_eq!(Some(changed.len() as u64), sandbox.tagged("甲"));
}

#[test]
fn csv_report_includes_changes_before_the_interruption() {
    let sandbox = SandboxProcess::start(&["--followers", "900"]);
    let folder = Folder::with("followers().take(850).tag(\"甲\");").account();
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-outcome:9");
    let killed = sandbox.run(&folder, &["--in-flight", "2", "--report", "report.csv"]);
    assert_eq!((killed.code, text(&folder, "report.csv").lines().count()), (None, 1), "{}", killed.err);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    let runs: Value = serde_json::from_str(&folder.run(&["runs", "--json"]).success()).unwrap();
    let run = runs[0]["id"].as_str().unwrap();
    folder.run(&["resume", run, "--quiet", "--report", "report.csv"]).success();
    let table = text(&folder, "report.csv");
    let changed = table.lines().filter(|line| line.ends_with(",tag,甲,changed,,,")).count();
    assert_eq!((changed, sandbox.tagged("甲")), (850, Some(850)));
}

fn sum(report: &Value, name: &str) -> u64 {
    let slots = report["timeline"]["slots"].as_array().expect("there was a call");
    slots.iter().map(|slot| slot[name].as_u64().unwrap()).sum()
}

#[test]
fn timeline_counts_every_call() {
    let account = Account::of(1_200);
    account.control("faults", json!({"path": ATTACH, "errcode": -1, "times": 2}));
    account.control("faults", json!({"path": "/cgi-bin/user/info/batchget", "status": 502, "times": 1}));
    let (finished, report) = run_on(&account, "followers().tag(\"老客户\");", &[]);
    finished.success();
    let calls: BTreeMap<String, u64> = serde_json::from_value(report["calls"].clone()).unwrap();
    assert_eq!((sum(&report, "calls"), sum(&report, "failed")), (calls.values().sum(), 3), "{report}");
    assert_eq!(report["timeline"]["slot_ms"], 1_000);
    for slot in report["timeline"]["slots"].as_array().unwrap() {
        assert!(slot["mean_ms"].as_u64() <= slot["max_ms"].as_u64(), "{report}");
    }
    // Nothing was called: nothing is drawn.
    let folder = Folder::with("print(1);");
    folder.run(&["run", "script.rhai", "--sandbox", "--report", "report.json"]).success();
    assert_eq!(folder.json("report.json").get("timeline"), None);
}

#[test]
fn html_report_shows_the_outcome_escaped() {
    let account = Account::of(2_000);
    let mut openids = account.openids();
    openids[7] = "oUNKNOWN".to_owned();
    let script = format!("openids({}).tag(\"A&B \\\"<i>甲</i>\\\"\");", json!(openids));
    let folder = Folder::with(&script).account();
    let finished = run(&folder, &account, &["--report", "report.html"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let page = text(&folder, "report.html");
    for part in [
        "<html lang=\"zh-CN\">",
        "<h1>script.rhai</h1>",
        "<span class=\"state bad\">done, with failures</span>",
        "<th class=\"deep0\">listed</th><td class=\"number\">2,000</td>",
        "<th class=\"deep2\">changed</th><td class=\"number\">1,997</td>",
        "<th class=\"deep2\">failed</th><td class=\"number\">3</td>",
        "<h3>tag `A&amp;B &quot;&lt;i&gt;甲&lt;/i&gt;&quot;`</h3>",
        "<code>oUNKNOWN</code>",
        "<td>40003</td>",
        &format!("<code>POST {ATTACH}</code>"),
        "<rect class=\"done\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for absent in ["<script", "<i>", "http://", "https://", "url("] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    let refused = run(&folder, &account, &["--report", "absent/report.html"]).failure(2);
    assert!(refused.contains("can't write the report "), "{refused}");
}

#[test]
fn report_replaces_a_report_and_an_empty_file() {
    let folder = Folder::with("followers().take(1).tag(\"甲\");");
    for name in ["report.json", "report", "report.csv", "report.html"] {
        fs::write(folder.path().join(name), "").expect("a file can be written");
        // The second one replaces the first, of another form.
        for script in ["1 + 1", "followers().take(1).tag(\"甲\")"] {
            let finished = folder.run(&["run", "-e", script, "--sandbox", "-q", "--report", name]);
            assert_eq!(finished.code, Some(0), "{name}: {}", finished.err);
        }
        assert!(!text(&folder, name).is_empty(), "{name}");
    }
    fs::copy(folder.path().join("report.html"), folder.path().join("report.json")).expect("it can be copied");
    folder.run(&["run", "script.rhai", "--sandbox", "--report", "report.json"]).success();
    assert_eq!(folder.json("report.json")["changed"], 1);
}

#[test]
fn report_over_a_foreign_file_leaves_the_file() {
    for (name, content) in [
        ("data.json", "{\n  \"state\": \"open\"\n}\n"),
        ("名单.csv", "openid,remark\r\noabc,甲\r\n"),
        ("page.html", "<!doctype html>\n<p>mpscript\n"),
        ("notes", "mpscript\n"),
    ] {
        let folder = Folder::with("throw \"坏了\";").file(name, content);
        let refused = folder.run(&["run", "script.rhai", "--sandbox", "--report", name]).failure(2);
        assert!(refused.contains("a file is there that is no report"), "{refused}");
        assert!(refused.contains("hint: move it away, or give the report another name"), "{refused}");
        assert_eq!(text(&folder, name), content);
    }
}

#[test]
fn report_over_the_store_leaves_the_store() {
    let folder = Folder::with("print(1);").env("MPSCRIPT_STORE", "store.json");
    folder.run(&["run", "script.rhai", "--sandbox"]).success();
    for name in ["store.json", "store.json-wal"] {
        let refused = folder.run(&["run", "script.rhai", "--sandbox", "--report", name]);
        assert_eq!(refused.code, Some(2), "{name}: {}", refused.err);
    }
    assert!(fs::read(folder.path().join("store.json")).expect("it is there").starts_with(b"SQLite format 3"));
    assert_eq!(folder.run(&["runs"]).success().lines().count(), 1);
}

#[test]
fn report_over_a_secret_leaves_the_secret() {
    let config = "[accounts.shop]\nappid = \"wx1\"\nsecret_file = \"secret.json\"\n";
    let folder = Folder::with("print(1);").file("mpscript.toml", config).file("secret.json", "");
    let refused = folder.run(&["run", "script.rhai", "--sandbox", "--report", "secret.json"]).failure(2);
    assert!(refused.contains("the store, the configuration, secrets"), "{refused}");
    assert_eq!(text(&folder, "secret.json"), "");
}

#[test]
fn report_of_a_run_that_does_not_start_leaves_the_report_before_it() {
    let folder = Folder::with("print(1);");
    folder.run(&["run", "script.rhai", "--sandbox", "--report", "report.json"]).success();
    let before = text(&folder, "report.json");
    folder.run(&["run", "script.rhai", "--account", "无", "--report", "report.json"]).failure(2);
    assert_eq!(text(&folder, "report.json"), before);
}

async fn look(browser: &Client, page: &Url) -> Result<(), CmdError> {
    browser.set_window_size(1_100, 2_000).await?;
    browser.goto(page.as_str()).await?;
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(screenshots.join("report.png"), browser.screenshot().await?)?;
    let bars = browser.find_all(Locator::Css("#chart svg rect.done:not(.swatch)")).await?;
    assert!(bars.len() >= 2, "{}", bars.len());
    for bar in &bars {
        let (_, _, width, height) = bar.rectangle().await?;
        assert!(width >= 1.0 && height >= 1.0, "{width} {height}");
    }
    let failed = browser.find_all(Locator::Css("#chart svg rect.failed:not(.swatch)")).await?;
    assert!(!failed.is_empty());
    for line in ["mean", "max"] {
        let path = browser.find(Locator::Css(&format!("#chart svg path.{line}"))).await?;
        assert!(path.rectangle().await?.2 > 100.0);
    }
    assert_eq!(browser.find(Locator::Css("h3")).await?.text().await?, "tag `<b>老客户</b>&“店”`");
    // Nothing is wider than the window, however narrow.
    browser.set_window_size(500, 900).await?;
    let width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.execute(width, Vec::new()).await?, json!(0));
    fs::write(screenshots.join("report-narrow.png"), browser.screenshot().await?)?;
    assert_eq!(complaints(browser).await?, Vec::<String>::new());
    Ok(())
}

#[test]
fn html_report_is_readable_in_a_browser() {
    let Some(driver) = Driver::start() else {
        return prerequisites::missing("chromium");
    };
    let latency = Duration::from_millis(40);
    let account = Account::with(Options { followers: 3_000, latency, ..Options::default() });
    let mut openids = account.openids();
    for openid in openids.iter_mut().step_by(900) {
        *openid = format!("{}_", &openid[..27]);
    }
    account.control("faults", json!({"path": ATTACH, "delay": "500ms", "every": 29}));
    account.control("faults", json!({"path": ATTACH, "errcode": -1, "times": 3}));
    let script = format!(
        "openids({}).tag(\"<b>老客户</b>&“店”\");
         print(followers().filter(|u| u.sex == 1).count());
         followers().sample(40).remark(|u| \"抽样\");",
        json!(openids)
    );
    let folder = Folder::with(&script).account();
    let finished = run(&folder, &account, &["--report", "report.html", "--in-flight", "3"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let page = Url::from_file_path(folder.path().join("report.html")).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let browser = driver.browser(profile.path()).await;
        let looked = look(&browser, &page).await;
        browser.close().await.expect("the browser closes");
        looked.expect("the browser does what it is told");
    });
}
