//! Every script of `scripts/` runs and does what its head says.

use crate::fixtures::program::project;
use mpscript::api::card::TYPES;
use std::{collections::BTreeSet, fs, process::Command};

/// Runs a script of the folder on a sandbox, from the top of the project.
fn printed(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mpscript"))
        .args(["run", &format!("scripts/{script}"), "--sandbox"])
        .args(arguments)
        .current_dir(project("."))
        // Not into the records of the user who runs the tests.
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("MPSCRIPT_STORE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a line says before what is new in every run.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split_once("&state=").map_or(line, |(before, _)| before)).collect()
}

#[test]
fn every_script_is_run_by_a_test() {
    let run = BTreeSet::from(
        ["cards.rhai", "segments.rhai", "tag_qr_scene.rhai", "walkthrough.rhai"].map(str::to_owned),
    );
    let present: BTreeSet<String> = fs::read_dir(project("scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "rhai"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(present, run);
}

#[test]
fn tag_qr_scene_tags_the_scene_s_followers() {
    assert!(printed("tag_qr_scene.rhai", &[]).contains("\n      changed            1,234\n"));
}

#[test]
fn cards_creates_or_is_refused_each_type() {
    let text = printed("cards.rhai", &[]);
    let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(": ").unwrap()).collect();
    let names: BTreeSet<&str> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TYPES.iter().map(|of| of.name).collect());
    for (name, shown) in lines {
        let is_coupon = TYPES.iter().any(|of| of.name == name && of.is_coupon);
        assert_eq!(shown == "40071 invalid card type", is_coupon, "{text}");
        assert_eq!(shown.len() == 28 && shown.starts_with('p'), !is_coupon, "{text}");
    }
}

#[test]
fn walkthrough_covers_the_whole_platform() {
    let text = printed("walkthrough.rhai", &[]);
    let lines = lines(&text);
    assert_eq!(
        lines[..7],
        [
            "token: ***, good for 7200 seconds",
            "followers: 10000",
            "a follower came by ADD_SCENE_PAID; ten at once: 10",
            "tagged: 1234 of 10000",
            "their page: 1234, one of them has [100]",
            "remark: 老客户",
            "blacklisted: 3",
        ]
    );
    let link = "the page to open: http://127.0.0.1:";
    let query = "/connect/oauth2/authorize?appid=wx5a2db0c5a9d0b0c5&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback\
                 &response_type=code&scope=snsapi_userinfo";
    assert!(lines[7].starts_with(link) && lines[7].ends_with(query), "{}", lines[7]);
    assert_eq!(lines[8], "authorized: 小明, for 7200 seconds");
    assert!(lines[9].starts_with("card: p") && lines[9].len() == 34, "{}", lines[9]);
    assert_eq!(lines.len(), 10, "{text}");
}

#[test]
fn segments_are_counted_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed("segments.rhai", &["--param", &format!("folder={}", folder.path().display())]);
    let (channels, rest) = text.split_once("written: ").unwrap();
    let rows: Vec<Vec<&str>> = channels.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["name", "count", "share"]);
    assert!(rows.iter().any(|row| row[0] == "ADD_SCENE_QR_CODE"), "{text}");
    let counts: Vec<u64> = rows[1..].iter().map(|row| row[1].parse().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 9_990);
    assert!(counts.is_sorted_by(|a, b| a >= b), "{text}");
    let lines: Vec<&str> = rest.lines().collect();
    assert_eq!(lines[0], "1234");
    let searched =
        lines[1].strip_prefix("by search: ").and_then(|rest| rest.split_once(", starred ")).unwrap();
    let [others, starred] = [searched.0, searched.1].map(|count| count.parse::<u64>().unwrap());
    assert!(others > 0 && starred < others, "{text}");
    assert_eq!(lines[2..], ["tag 试用: 100 changed of 100 matched (10000 listed)", "from the file: 1234"]);
    let table = fs::read_to_string(folder.path().join("扫码关注者.csv")).unwrap();
    assert_eq!(table.lines().count(), 1_235);
    assert!(table.starts_with("\u{feff}openid,subscribe_time,remark\r\n"));
}
