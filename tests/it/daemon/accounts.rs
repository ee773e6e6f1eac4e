//! Several accounts on one store: fires, states, pauses and triggers of each stay apart.

use crate::fixtures::{
    account::Account,
    daemon::{DaemonFixture, MINUTE, every_minute, id_for},
    program::{Folder, TIMEOUT},
    runs::{on_each_store, records_named},
    sandbox_process::SandboxProcess,
};
use mpscript::{base::EpochMs, run::runtime, store::FireState};
use std::{fs, slice::from_mut, time::Instant};

/// Counts its runs in its state.
fn counter(more: &str) -> String {
    every_minute(more, "ctx.state.n = (ctx.state?.n ?? 0) + 1;")
}

/// On SQLite, and on PostgreSQL where there is one.
fn on_each_fixture(automations: &[(&str, &str)], work: impl Fn(&DaemonFixture)) {
    work(&DaemonFixture::of(automations));
    if let Some(fixture) = DaemonFixture::on_postgres(automations) {
        work(&fixture);
    }
}

/// How many fires an account's automation has, that all of them are done, and the state of the last.
#[track_caller]
fn assert_fired(fixture: &DaemonFixture, account: &Account, name: &str, count: usize) {
    let id = id_for(account, name);
    let states: Vec<&str> = fixture.fires_of(&id).into_iter().map(|fire| fire.state.as_str()).collect();
    assert_eq!(states, vec!["done"; count], "{}", fixture.log.text());
    let record = fixture.wait(fixture.store().automation(&id)).expect("the store works");
    assert_eq!(record.expect("it is served").state, format!("{{\"n\":{count}}}"));
}

#[test]
fn two_accounts_and_a_sandbox_on_one_store_fire_once_each_for_an_hour() {
    on_each_fixture(&[("计数.rhai", &counter(""))], |fixture| {
        let (booth, trial) = (Account::of(10), Account::of(10));
        let mut daemons = [
            fixture.daemon(),
            fixture.daemon_with("jobs", &booth, &[]),
            fixture.daemon_with("jobs", &trial, &[]),
        ];
        for daemon in &mut daemons {
            fixture.scan(daemon).expect("the store works");
        }
        for _ in 0..60 {
            fixture.advance_and_settle(MINUTE, &mut daemons);
        }
        for account in [&fixture.sandbox, &booth, &trial] {
            assert_fired(fixture, account, "计数", 60);
        }
    });
}

#[test]
fn automation_that_names_two_accounts_fires_once_for_each() {
    let automation = counter(", account: [\"总店\", \"展台\"]");
    on_each_fixture(&[("计数.rhai", &automation)], |fixture| {
        let booth = Account::of(10);
        let mut daemon = fixture.daemon_with("jobs", &fixture.sandbox, &[("展台", &booth)]);
        fixture.scan(&mut daemon).expect("the store works");
        for _ in 0..3 {
            fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        }
        assert_fired(fixture, &fixture.sandbox, "计数", 3);
        assert_fired(fixture, &booth, "计数", 3);
        let log = fixture.log.text();
        assert_eq!(log.matches("计数 (展台): started by").count(), 3, "{log}");
    });
}

#[test]
fn pause_of_one_account_leaves_the_other() {
    let automation = counter(", account: [\"总店\", \"展台\"]");
    let fixture = DaemonFixture::of(&[("计数.rhai", &automation)]);
    let booth = Account::of(10);
    let mut daemon = fixture.daemon_with("jobs", &fixture.sandbox, &[("展台", &booth)]);
    fixture.scan(&mut daemon).expect("the store works");
    let until = Some(EpochMs::MAX);
    let id = id_for(&booth, "计数");
    assert!(fixture.wait(fixture.store().pause_automation(&id, until)).expect("the store works"));
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_fired(&fixture, &fixture.sandbox, "计数", 1);
    assert_eq!(fixture.fires_of(&id)[0].reason.note(), "the automation is paused");
}

#[test]
fn account_that_the_file_names_no_longer_is_not_served() {
    let fixture = DaemonFixture::of(&[("计数.rhai", &counter(", account: [\"总店\", \"展台\"]"))]);
    let booth = Account::of(10);
    let mut daemon = fixture.daemon_with("jobs", &fixture.sandbox, &[("展台", &booth)]);
    fixture.scan(&mut daemon).expect("the store works");
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    fixture.write("计数.rhai", &counter(", account: \"总店\""));
    fixture.scan(&mut daemon).expect("the store works");
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_fired(&fixture, &fixture.sandbox, "计数", 2);
    assert_fired(&fixture, &booth, "计数", 1);
    let last = fixture.wait(fixture.store().last_fires(&id_for(&booth, "计数"))).expect("the store works");
    assert_eq!(last[0].state.as_str(), "disarmed");
}

#[test]
fn open_fire_of_another_account_is_not_adopted() {
    let fixture = DaemonFixture::of(&[("计数.rhai", &counter(""))]);
    let booth = Account::of(10);
    let mut other = fixture.daemon_with("jobs", &booth, &[]);
    fixture.scan(&mut other).expect("the store works");
    fixture.advance(MINUTE);
    other.step().expect("the store works");
    other.release_lease().expect("the store works");
    drop(other);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE * 2, from_mut(&mut daemon));
    let open = fixture.wait(fixture.store().open_fires()).expect("the store works");
    assert!(open.iter().flatten().all(|fire| fire.automation == id_for(&booth, "计数")), "{open:?}");
    assert!(!open.is_empty(), "{}", fixture.log.text());
}

#[test]
fn run_by_hand_works_on_the_account_that_the_daemon_serves() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        let job = "const automation = #{ on: [ #{ cron: \"0 0 1 1 *\" } ] };\nfn run(ctx) { tag::create(\"手工\"); }";
        let folder = with_store(Folder::new().account().file("jobs/手工.rhai", job));
        let daemon = folder.start(&["serve", "jobs", "--base-url", &sandbox.url()]);
        daemon.wait_for("手工: live");
        let since = Instant::now();
        while !folder.run(&["ls"]).out.contains("live") {
            assert!(since.elapsed() < TIMEOUT, "it is never served");
        }
        let finished = folder.run(&["run", "手工"]);
        let says = format!("at {}, which 手工 is served for", sandbox.url());
        assert!(finished.code == Some(0) && finished.err.contains(&says), "{}", finished.err);
        assert_eq!(sandbox.tagged("手工"), Some(0));
    });
}

#[test]
fn daemons_that_are_given_two_accounts_serve_one_folder_side_by_side() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let accounts = "[accounts.shop]\nappid = \"wx1\"\nsecret_env = \"S\"\n\
                    [accounts.booth]\nappid = \"wx2\"\nsecret_env = \"S\"\n";
    let says = |text: &str| {
        format!("const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\nfn run() {{ print(\"{text}\") }}")
    };
    let folder = Folder::new().env("S", "0123456789abcdef").env("MPSCRIPT_STORE", "store.sqlite3");
    let folder = folder.file("mpscript.toml", accounts).file("jobs/计数.rhai", says("第一版"));
    let daemons = ["shop", "booth"].map(|account| {
        let daemon = folder.start(&["serve", "jobs", "--account", account, "--base-url", &sandbox.url()]);
        daemon.wait_for("计数: live");
        daemon
    });
    fs::write(folder.path().join("jobs/计数.rhai"), says("第二版")).expect("a file can be written");
    for daemon in &daemons {
        daemon.wait_for("第二版");
    }
    let listed = folder.run(&["ls"]).success();
    for account in ["shop (wx1 at", "booth (wx2 at"] {
        assert!(listed.lines().any(|line| line.contains("live") && line.contains(account)), "{listed}");
    }
    let by_hand = folder.run(&["run", "计数"]).failure(2);
    assert!(by_hand.contains("计数 is served for several accounts: shop (wx1 at"), "{by_hand}");
    let states = runtime().expect("the system gives threads").block_on(async {
        let store = folder.store().await;
        let mut states = Vec::new();
        for record in records_named(&store, "计数").await {
            states.extend(store.last_fires(&record.id).await.expect("the store works"));
        }
        store.close().await;
        states
    });
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(states.iter().all(|last| last.state != FireState::Disarmed), "{states:?}");
}

#[test]
fn unconfigured_accounts_fail_alone_with_the_reason() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = |more: &str| {
        format!(
            "const automation = #{{ on: [ #{{ every: \"1s\" }} ]{more} }};\nfn run(ctx) {{ print(\"滴答\") }}"
        )
    };
    let strange = ", account: [\"?\", \"?展台\", \"展台\", \"a b\"]";
    let folder = Folder::new()
        .shop(&sandbox.url(), "")
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("jobs/怪.rhai", job(strange))
        .file("jobs/好.rhai", job(", account: \"shop\""));
    let daemon = folder.start(&["serve", "jobs"]);
    for name in ["?", "?展台", "展台", "a b"] {
        daemon.wait_for(&format!("怪 ({name}): failed: "));
        assert!(daemon.stdout().contains(&format!("has no account `{name}`")), "{}", daemon.stdout());
    }
    let before = daemon.stdout().matches(": 滴答\n").count();
    let since = Instant::now();
    while daemon.stdout().matches(": 滴答\n").count() < before + 2 {
        assert!(since.elapsed() < TIMEOUT, "the other does not fire: {}", daemon.stdout());
    }
    let (mut listed, since) = (String::new(), Instant::now());
    // Each fires every second, so the last fire of one may not have failed yet.
    while listed.matches("last failed").count() != 4 {
        assert!(since.elapsed() < TIMEOUT, "{listed}");
        listed = folder.run(&["ls"]).success();
    }
    assert!(listed.contains("account ?展台"), "{listed}");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn automation_is_stale_while_the_configuration_of_its_account_cannot_be_read() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new()
        .shop(&sandbox.url(), "")
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("jobs/好.rhai", every_minute(", account: \"shop\"", "print(\"好\")"));
    let configuration = folder.path().join("mpscript.toml");
    let good = fs::read_to_string(&configuration).expect("it is there");
    let daemon = folder.start(&["serve", "jobs"]);
    daemon.wait_for("好: live");
    fs::write(&configuration, format!("{good}\nappid = \n")).expect("a file can be written");
    let new = every_minute(", account: \"booth\"", "print(\"新\")");
    fs::write(folder.path().join("jobs/新.rhai"), new).expect("a file can be written");
    daemon.wait_for("新: STALE: ");
    let refused = daemon.stdout();
    assert!(refused.contains("mpscript.toml, line ") && refused.contains("; it does not run"), "{refused}");
    let booth = format!(
        "{good}\n[accounts.booth]\nappid = \"wx2\"\nsecret_env = \"BOOTH_SECRET\"\nbase_url = \"{}\"\n",
        sandbox.url()
    );
    fs::write(&configuration, booth).expect("a file can be written");
    daemon.signal("HUP");
    daemon.wait_for("新: live");
    let listed = folder.run(&["ls"]);
    assert!(!listed.out.contains("?booth") && listed.out.contains("新"), "{listed:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}
