//! Every automation of `scripts/automations/` does what its head says, on a clock that is turned.

use crate::fixtures::{account::Account, daemon::DaemonFixture, program::project};
use mpscript::{run::daemon::Daemon, sandbox::Options};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

fn text(name: &str) -> String {
    fs::read_to_string(project(&format!("scripts/automations/{name}.rhai"))).expect("it is there")
}

/// An account with forty followers of scene 98765, and a daemon that serves this automation.
fn served(name: &str, text: &str) -> (DaemonFixture, Daemon) {
    let options = Options { followers: 300, scenes: vec![(98_765, 40)], ..Options::default() };
    let fixture = DaemonFixture::with(&[(&format!("{name}.rhai"), text)], Account::with(options));
    let daemon = fixture.daemon();
    (fixture, daemon)
}

fn tags(fixture: &DaemonFixture) -> Value {
    fixture.sandbox.renew();
    let listed = fixture.sandbox.ask("/cgi-bin/tags/get", "");
    let tags = listed["tags"].as_array().expect("there are tags").clone();
    tags.into_iter()
        .map(|tag| (tag["name"].as_str().unwrap_or_default().to_owned(), tag["count"].clone()))
        .collect()
}

#[test]
fn every_automation_is_run_by_a_test() {
    let run = BTreeSet::from(
        ["booth_every_morning", "tag_hygiene", "unblock_after_30_days", "weekly_growth"].map(str::to_owned),
    );
    let present: BTreeSet<String> = fs::read_dir(project("scripts/automations"))
        .expect("it is there")
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(present, run);
}

#[test]
fn booth_every_morning_tags_new_followers_daily() {
    let (fixture, mut daemon) = served("booth", &text("booth_every_morning"));
    fixture.days(1, &mut daemon);
    assert_eq!(tags(&fixture)["展台"], 40);
    assert!(fixture.log.text().contains("展台: 40 new, 0 had it"), "{}", fixture.log.text());
    fixture.days(1, &mut daemon);
    assert!(fixture.log.text().contains("展台: 0 new, 40 had it"), "{}", fixture.log.text());
}

#[test]
fn weekly_growth_reports_new_followers() {
    let text = text("weekly_growth").replace("2026-01-01", "2020-01-01");
    let (fixture, mut daemon) = served("growth", &text);
    fixture.days(14, &mut daemon);
    let output = fixture.log.text();
    assert!(output.contains("300 new from 2020-01-01 to ") && output.contains("0 new from 20"), "{output}");
    let files: Vec<_> = fs::read_dir(fixture.jobs())
        .expect("it is there")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let lines: Vec<usize> =
        files.iter().map(|file| fs::read_to_string(file).expect("it can be read").lines().count()).collect();
    assert_eq!(lines.iter().max(), Some(&301), "{lines:?}");
}

#[test]
fn unblock_after_30_days_unblocks_then() {
    let (fixture, mut daemon) = served("free", &text("unblock_after_30_days"));
    let openids = fixture.sandbox.openids();
    fixture.sandbox.tell("/cgi-bin/tags/members/batchblacklist", json!({"openid_list": &openids[..5]}));
    let blocked = || {
        fixture.sandbox.renew();
        fixture.sandbox.tell("/cgi-bin/tags/members/getblacklist", json!({}))["total"].as_u64()
    };
    fixture.days(29, &mut daemon);
    assert_eq!(blocked(), Some(5), "{}", fixture.log.text());
    fixture.days(3, &mut daemon);
    assert_eq!(blocked(), Some(0), "{}", fixture.log.text());
    assert!(fixture.log.text().contains("5 are free again"), "{}", fixture.log.text());
}

#[test]
fn tag_hygiene_names_and_deletes_empty_tags() {
    let text = text("tag_hygiene").replace("init: false", "init: true").replace("init: 100", "init: 3");
    let (fixture, mut daemon) = served("tags", &text);
    for name in ["空的", "有人", "也空"] {
        fixture.sandbox.tag(name);
    }
    let members =
        json!({"openid_list": &fixture.sandbox.openids()[..3], "tagid": fixture.sandbox.tag("会员")});
    fixture.sandbox.tell("/cgi-bin/tags/members/batchtagging", members);
    fixture.days(17, &mut daemon);
    let output = fixture.log.text();
    assert!(output.contains("空的: nobody has it") && output.contains("4 of 3 tags are taken"), "{output}");
    fixture.days(17, &mut daemon);
    assert!(fixture.log.text().contains("空的: deleted, nobody has it"), "{}", fixture.log.text());
    assert_eq!((tags(&fixture)["会员"].as_u64(), tags(&fixture)["空的"].as_u64()), (Some(3), None));
}
