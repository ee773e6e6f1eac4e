//! The daemon: every fire runs once and is recorded.
//!
//! One file because all of it is the life of a fire, on one fixture and one turned clock.

use crate::fixtures::{
    account::Account,
    daemon::{DaemonFixture, MINUTE, every_minute, id_for},
    program::TIMEOUT,
    raw_server::{RawServer, ok},
};
use mpscript::{
    base::EpochMs,
    run::daemon::Daemon,
    sandbox::DEFAULT_APPID,
    store::{AutomationId, Fire, FireState, ScanChange, Statement},
};
use std::{
    collections::BTreeSet,
    slice::from_mut,
    thread,
    time::{Duration, Instant},
};

#[test]
fn each_fire_runs_once_with_its_context_and_state() {
    let run =
        "ctx.state.n = (ctx.state?.n ?? 0) + 1; print(`${ctx.state.n} ${ctx.scheduled} ${ctx.trigger}`);";
    let daily = "const automation = #{ on: [ #{ cron: \"30 9 * * *\", handler: \"morning\" } ], params: #{ tag: \"早\" } };\n\
                 fn morning(ctx, p) { followers().take(3).tag(p.tag); print(ctx.scheduled) }";
    let fixture = DaemonFixture::of(&[("tick.rhai", &every_minute("", run)), ("daily.rhai", daily)]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(Duration::from_secs(30), &mut daemons);
    assert_eq!(fixture.states("tick"), Vec::<String>::new());
    for _ in 0..3 {
        fixture.advance_and_settle(MINUTE, &mut daemons);
    }
    assert_eq!(fixture.states("tick"), ["done"; 3]);
    let fires = fixture.fires("tick");
    assert!(
        fires.iter().all(|fire| fire.scheduled_at.get() % 60_000 == 0 && !fire.run.is_empty()),
        "{fires:?}"
    );
    let output = fixture.log.text();
    assert!(output.contains("tick: 3 ") && output.contains("every 1m"), "{output}");
    // To half a minute past the next half past nine in Shanghai.
    let since_morning = fixture.now() - Duration::from_mins(90);
    let to_morning = since_morning.until_next_period(Duration::from_hours(24)) + Duration::from_secs(30);
    fixture.advance_and_settle(to_morning, &mut daemons);
    let daily = fixture.fires("daily");
    assert_eq!(daily.len(), 1, "{daily:?}");
    assert_eq!((daily[0].state.as_str(), daily[0].reason.note()), ("done", "3 changed"));
    assert!(fixture.log.text().contains("T09:30:00+08:00"), "{}", fixture.log.text());
}

#[test]
fn fires_missed_during_downtime_follow_catch_up() {
    let hourly = |policy: &str| {
        format!("const automation = #{{ on: [ #{{ every: \"1h\" }} ], catch_up: {policy} }};\nfn run() {{ }}")
    };
    let fixture = DaemonFixture::of(&[
        ("none.rhai", &hourly("\"none\"")),
        ("latest.rhai", &hourly("\"latest\"")),
        ("all.rhai", &hourly("#{ policy: \"all\", within: \"150m\" }")),
    ]);
    let to_the_hour = fixture.now().until_next_period(Duration::from_hours(1)) + Duration::from_secs(5);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(to_the_hour, &mut daemons);
    drop(daemons);
    // Four fires later, and half an hour after the last of them.
    fixture.advance(Duration::from_mins(4 * 60 + 30));
    let mut daemons = [fixture.daemon()];
    fixture.settle(&mut daemons);
    assert_eq!(fixture.states("none"), ["done", "missed", "missed", "missed", "missed"]);
    assert_eq!(fixture.states("latest"), ["done", "missed", "missed", "missed", "done"]);
    assert_eq!(fixture.states("all"), ["done", "missed", "missed", "done", "done"]);
    let fires = fixture.fires("all");
    let reason = fires[1].reason.note();
    assert!(reason.contains("older than 2h 30m"), "{reason}");
    // A dead daemon without open fires changes nothing.
    fixture.advance_and_settle(Duration::from_mins(31), &mut daemons);
    assert_eq!(fixture.states("latest").len(), 6);
}

#[test]
fn fire_during_a_run_follows_the_overlap_policy() {
    let slow = |overlap: &str| {
        format!(
            "const automation = #{{ on: [ #{{ every: \"5s\" }} ], overlap: \"{overlap}\" }};\n\
             fn run(ctx) {{ if ctx.scheduled_at % 10 == 5 {{ sleep(1) }} }}"
        )
    };
    for (overlap, states) in [
        ("forbid", vec!["done", "skipped"]),
        ("queue", vec!["done", "done"]),
        ("parallel", vec!["done", "done"]),
        ("replace", vec!["stopped", "done"]),
    ] {
        let fixture = DaemonFixture::of(&[("slow.rhai", &slow(overlap))]);
        let mut daemons = [fixture.daemon()];
        fixture.advance(Duration::from_secs(4));
        fixture.step_until_logged(&mut daemons[0], "slow: started by");
        fixture.advance(Duration::from_secs(5));
        fixture.settle(&mut daemons);
        assert_eq!(fixture.states("slow"), states, "{overlap}:\n{}", fixture.log.text());
    }
}

#[test]
fn timed_out_run_is_stopped_and_failed_run_is_retried() {
    let fixture = DaemonFixture::of(&[
        ("long.rhai", &every_minute(", timeout: \"30s\"", "while true { }")),
        (
            "flaky.rhai",
            &every_minute(
                ", retries: 2",
                "followers().take(5).tag(\"甲\"); if param(\"x\", 1) == 1 { throw \"坏了\" }",
            ),
        ),
        (
            "heard.rhai",
            "const automation = #{ on: [ #{ every: \"1m\" } ] };\nfn run() { throw \"坏了\" }\n\
             fn on_failure(ctx, error) { print(`heard ${error.message} of ${error.handler}`); tag::create(\"出错\") }",
        ),
    ]);
    let mut daemons = [fixture.daemon()];
    fixture.advance(MINUTE);
    fixture.step_until_logged(&mut daemons[0], "坏了; retried in 10s");
    fixture.step_until_logged(&mut daemons[0], "heard 坏了 of run");
    fixture.advance(Duration::from_secs(5));
    for _ in 0..6 {
        // Advancing the clock at once would make the process miss its heartbeats.
        thread::sleep(Duration::from_millis(1_100));
        daemons[0].step().expect("the store works");
        fixture.advance(Duration::from_secs(4));
    }
    fixture.settle(&mut daemons);
    assert_eq!(fixture.states("long"), ["timed_out"]);
    assert_eq!(fixture.fires("long")[0].reason.note(), "it took longer than 30s");
    assert_eq!(fixture.states("heard"), ["done", "failed"], "who heard of it, and what of");
    // The second try after ten seconds, the third after twenty more; the tag was put on once.
    fixture.advance_and_settle(Duration::from_secs(1), &mut daemons);
    assert!(fixture.log.text().contains("resumed, attempt 2"), "{}", fixture.log.text());
    fixture.advance_and_settle(Duration::from_secs(21), &mut daemons);
    assert_eq!(fixture.states("flaky")[0], "failed", "{}", fixture.log.text());
    assert_eq!(fixture.log.text().matches("resumed, attempt 3").count(), 1);
}

#[test]
fn reload_replaces_each_file_and_marks_a_broken_one_stale() {
    let fixture = DaemonFixture::of(&[
        ("one.rhai", &every_minute("", "print(\"one 1\")")),
        (
            "two.rhai",
            "import \"lib/words\" as words;\nconst automation = #{ on: [ #{ every: \"1m\" } ] };\nfn run() { print(words::say()) }",
        ),
        ("lib/words.rhai", "fn say() { \"two 1\" }"),
        ("plain.rhai", "print(\"no automation\");"),
    ]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    // One file is broken, so its last good version keeps running; the other file's import has changed.
    fixture.write("one.rhai", "const automation = #{ on: [ #{ cron: \"0 24 * * *\" } ] };\nfn run() { }");
    fixture.write("lib/words.rhai", "fn say() { \"two 2\" }");
    fixture.scan(&mut daemons[0]).expect("the store works");
    let output = fixture.log.text();
    assert!(output.contains("one: STALE: one.rhai:1:38: hour `24` is not in 0 to 23"), "{output}");
    assert!(output.contains("the last good version keeps running"), "{output}");
    fixture.advance_and_settle(MINUTE, &mut daemons);
    assert_eq!(fixture.log.text().matches("one: one 1").count(), 2, "{}", fixture.log.text());
    assert!(fixture.log.text().contains("two: two 2"), "{}", fixture.log.text());
    let record = fixture.record("one");
    assert!(record.load_error.contains("hour `24`"), "{}", record.load_error);
    // Mended, with another trigger: the old one is no more, the new one begins now.
    fixture.write(
        "one.rhai",
        "const automation = #{ on: [ #{ every: \"2m\" } ] };\nfn run() { print(\"one 2\") }",
    );
    std::fs::remove_file(fixture.jobs().join("two.rhai")).expect("it is there");
    fixture.scan(&mut daemons[0]).expect("the store works");
    let record = fixture.record("one");
    assert_eq!(record.load_error, "");
    let (ones, twos) = (fixture.fires("one").len(), fixture.fires("two").len());
    for _ in 0..2 {
        fixture.advance_and_settle(MINUTE, &mut daemons);
    }
    assert!(fixture.log.text().contains("two: removed"), "{}", fixture.log.text());
    assert_eq!((fixture.fires("one").len(), fixture.fires("two").len()), (ones + 1, twos));
    // A trigger that comes back has missed nothing while it was away.
    fixture.write("two.rhai", &every_minute("", "print(\"two 3\")"));
    fixture.scan(&mut daemons[0]).expect("the store works");
    fixture.advance_and_settle(MINUTE, &mut daemons);
    assert_eq!(fixture.fires("two").len(), twos + 1, "{:?}", fixture.fires("two"));
}

#[test]
fn daemon_that_has_not_scanned_the_folder_adopts_no_fire() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"ran\")"))]);
    drop(fixture.daemon());
    let (now, second) = (fixture.now(), Duration::from_secs(1));
    let claimed = Fire::claimed(fixture.id("job"), "every 1m", now - second, "gone".to_owned(), now);
    assert_eq!(fixture.wait(fixture.store().insert_fires(&[claimed])).expect("the store works"), [true]);
    let mut elsewhere = fixture.daemon_of("other");
    let mut early = fixture.daemon_of("jobs");
    fixture.scan(&mut elsewhere).expect("the store works");
    for daemon in [&mut elsewhere, &mut early] {
        daemon.step().expect("the store works");
        daemon.step().expect("the store works");
    }
    assert_eq!(fixture.states("job"), ["claimed"]);
    fixture.scan(&mut early).expect("the store works");
    fixture.settle(from_mut(&mut early));
    assert_eq!(fixture.states("job"), ["done"], "{}", fixture.log.text());
}

#[test]
fn clock_jump_is_logged_and_loses_no_fire() {
    let fixture = DaemonFixture::of(&[("tick.rhai", &every_minute("", "print(1)"))]);
    let mut daemon = fixture.daemon();
    let jumps =
        |fixture: &DaemonFixture| fixture.log.text().matches("ahead of the time that has passed").count();
    daemon.step().expect("the store works");
    assert_eq!(jumps(&fixture), 0);
    fixture.advance(Duration::from_hours(2));
    daemon.step().expect("the store works");
    assert!(fixture.log.text().contains(": the clock is 2h ahead"), "{}", fixture.log.text());
    fixture.reset_clock();
    fixture.settle(from_mut(&mut daemon));
    assert!(fixture.log.text().contains(": the clock was set back by 2h"), "{}", fixture.log.text());
    assert_eq!(jumps(&fixture), 1);
    // Nothing fires a second time, and nothing is lost.
    assert_eq!(fixture.fires("tick").len(), 120);
}

/// A daemon whose clock was ahead by ten minutes, long enough for fires, and is right again.
fn after_a_wrong_clock(fixture: &DaemonFixture) -> Daemon {
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(Duration::from_mins(10), from_mut(&mut daemon));
    fixture.reset_clock();
    daemon
}

#[test]
fn interval_continues_while_the_clock_is_set_back() {
    let job = "const automation = #{ on: [ #{ every: \"1s\" } ] };\nfn run() { print(\"滴答\") }";
    let fixture = DaemonFixture::of(&[("tick.rhai", job)]);
    let mut daemon = after_a_wrong_clock(&fixture);
    let fired = fixture.fires("tick").len();
    fixture.step_until(&mut daemon, |_| fixture.fires("tick").len() >= fired + 2);
}

#[test]
fn interval_continues_after_a_restart_with_a_clock_set_back() {
    let job = "const automation = #{ on: [ #{ every: \"1s\" } ] };\nfn run() { print(\"滴答\") }";
    let fixture = DaemonFixture::of(&[("tick.rhai", job)]);
    drop(after_a_wrong_clock(&fixture));
    let fired = fixture.fires("tick").len();
    let mut daemon = fixture.daemon();
    fixture.step_until(&mut daemon, |_| fixture.fires("tick").len() >= fired + 2);
}

#[test]
fn cron_fire_missed_by_a_wrong_clock_runs_when_the_right_one_reaches_it() {
    let job = "const automation = #{ on: [ #{ cron: \"* * * * *\" } ] };\nfn run() { print(\"每分\") }";
    let of = |fixture: DaemonFixture| {
        let mut daemon = after_a_wrong_clock(&fixture);
        let ran =
            |fixture: &DaemonFixture| fixture.states("job").iter().filter(|state| **state == "done").count();
        assert_eq!((fixture.states("job").len(), ran(&fixture)), (10, 1));
        daemon.step().expect("the store works");
        // To the last of the instants that were recorded, which has run.
        for _ in 0..11 {
            fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        }
        assert_eq!((fixture.states("job").len(), ran(&fixture)), (11, 11), "{}", fixture.log.text());
    };
    of(DaemonFixture::of(&[("job.rhai", job)]));
    if let Some(fixture) = DaemonFixture::on_postgres(&[("job.rhai", job)]) {
        of(fixture);
    }
}

#[test]
fn daemon_is_not_ready_while_its_clock_is_set_back() {
    let fixture = DaemonFixture::of(&[("tick.rhai", &every_minute("", "print(1)"))]);
    let mut daemon = after_a_wrong_clock(&fixture);
    daemon.step().expect("the store works");
    let error = daemon.stats().snapshot().readiness_error().unwrap_or_default();
    assert!(error.starts_with("the clock was set back: it shows its earlier time in "), "{error}");
    fixture.advance(Duration::from_mins(11));
    fixture.settle(from_mut(&mut daemon));
    assert_eq!(daemon.stats().snapshot().readiness_error(), None);
}

#[test]
fn run_that_cannot_start_calls_on_failure() {
    let job = "const automation = #{ on: [ #{ every: \"1m\" } ], account: \"now and then\" };\nfn run() { }\n\
               fn on_failure(ctx, error) { print(\"heard\") }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    assert_eq!(fixture.states("job"), ["done", "failed"], "{}", fixture.log.text());
    assert_eq!(fixture.fires("job")[1].reason.note(), "its AppSecret does not come");
    assert!(fixture.log.text().contains("job: heard"), "{}", fixture.log.text());
}

#[test]
fn paused_automation_skips_fires_with_a_reason() {
    let fixture = DaemonFixture::of(&[("tick.rhai", &every_minute("", "print(1)"))]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    let until = Some(fixture.now() + Duration::from_secs(90));
    assert!(
        fixture.wait(fixture.store().pause_automation(&fixture.id("tick"), until)).expect("the store works")
    );
    for _ in 0..3 {
        fixture.advance_and_settle(MINUTE, &mut daemons);
    }
    assert_eq!(fixture.states("tick"), ["done", "skipped", "done", "done"]);
    assert_eq!(fixture.fires("tick")[1].reason.note(), "the automation is paused");
}

#[test]
fn several_daemons_on_one_store_run_each_fire_once() {
    let automations: Vec<(String, String)> = (0..6)
        .map(|at| (format!("job{at}.rhai"), every_minute("", "ctx.state.n = (ctx.state?.n ?? 0) + 1;")))
        .collect();
    let automations: Vec<(&str, &str)> =
        automations.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let offices = [Some(DaemonFixture::of(&automations)), DaemonFixture::on_postgres(&automations)];
    for fixture in offices.into_iter().flatten() {
        let mut daemons = [fixture.daemon(), fixture.daemon(), fixture.daemon()];
        for _ in 0..5 {
            fixture.advance(MINUTE);
            thread::scope(|scope| {
                for daemon in &mut daemons {
                    scope.spawn(|| {
                        for _ in 0..5 {
                            daemon.step().expect("the store works");
                        }
                    });
                }
            });
            fixture.settle(&mut daemons);
        }
        for at in 0..6 {
            let name = format!("job{at}");
            assert_eq!(fixture.states(&name), ["done"; 5], "{}", fixture.log.text());
            assert_eq!(fixture.record(&name).state, "{\"n\":5}");
        }
        assert_eq!(fixture.log.text().matches("started by").count(), 30);
    }
}

#[test]
fn run_left_at_shutdown_is_resumed_by_the_next_daemon() {
    let run = "followers().tag(\"甲\"); sleep(1); print(\"end\")";
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", run))]);
    let mut first = fixture.daemon();
    fixture.advance(MINUTE);
    fixture.step_until_logged(&mut first, "job: started by");
    first.begin_shutdown();
    fixture.step_until(&mut first, |daemon| daemon.active_runs() == 0);
    first.release_lease().expect("the store works");
    assert_eq!(fixture.states("job"), ["running"]);
    let mut second = fixture.daemon();
    fixture.advance(Duration::from_secs(3));
    fixture.step_until_logged(&mut second, "job: end");
    fixture.settle(from_mut(&mut second));
    assert_eq!(fixture.states("job"), ["done"]);
    assert_eq!(fixture.log.text().matches("job: end").count(), 1);
}

#[test]
fn success_requests_the_ping_address() {
    let server = RawServer::in_turn([ok("ok")]);
    let ping = format!(", ping: \"http://{}/ping-path\"", server.address());
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute(&ping, "print(1)"))]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    let since = Instant::now();
    while server.exchanges().is_empty() && since.elapsed() < TIMEOUT {
        thread::sleep(Duration::from_millis(2));
    }
    assert!(server.exchanges()[0].request.starts_with("GET /ping-path "), "{}", fixture.log.text());
}

/// An automation that runs at one in the morning, UTC.
const DAILY: &str = "const automation = #{ on: [ #{ cron: \"0 9 * * *\" } ] };\nfn run(ctx) { tag::list(); }";

/// Advances the clocks to the next midnight, UTC, where a day of the retention begins: whole days later a purge is due and no
/// fire.
fn to_midnight(fixture: &DaemonFixture) {
    fixture.advance(fixture.now().until_next_period(Duration::from_hours(24)) + Duration::from_secs(1));
}

/// How many fires of an automation are done.
fn done(fixture: &DaemonFixture, automation: &str) -> usize {
    fixture.states(automation).into_iter().filter(|state| *state == "done").count()
}

#[test]
fn retention_keeps_recent_fires_and_some_of_each_outcome() {
    let fixture = DaemonFixture::of(&[("daily.rhai", DAILY)]);
    to_midnight(&fixture);
    let mut daemon = fixture.daemon().with_retention(Duration::from_hours(30 * 24));
    fixture.days(60, &mut daemon);
    let fires = fixture.fires("daily");
    // Thirty days, and seven more: a day counts as past after seven later days of use.
    assert_eq!(fires.len(), 37);
    let runs = fixture.wait(fixture.store().runs("", 1_000)).expect("the store works");
    assert_eq!(runs.len(), fires.len());
    // After a long pause nothing is young; twenty of the outcome are still there.
    fixture.advance(Duration::from_hours(40 * 24));
    fixture.days(8, &mut daemon);
    assert_eq!(done(&fixture, "daily"), 20);
    // Leases of dead processes are purged.
    drop(daemon);
    fixture.advance(Duration::from_hours(48));
    fixture.settle(&mut [fixture.daemon()]);
    let leases = Statement::new("SELECT name FROM mpscript_lease WHERE kind = 'daemon'");
    assert_eq!(fixture.wait(fixture.store().query(leases)).expect("the store works").len(), 1);
}

#[test]
fn all_of_a_sandbox_that_no_daemon_serves_is_purged() {
    let fixture = DaemonFixture::of(&[("daily.rhai", DAILY)]);
    let gone = Account::of(10);
    let mut other = fixture.daemon_with("jobs", &gone, &[]);
    fixture.scan(&mut other).expect("the store works");
    fixture.days(2, &mut other);
    other.release_lease().expect("the store works");
    drop(other);
    let recorded = |account: &Account| {
        let id = id_for(account, "daily");
        let record = fixture.wait(fixture.store().automation(&id)).expect("the store works");
        let runs = fixture.wait(fixture.store().runs("", 1_000)).expect("the store works");
        let runs = runs.into_iter().filter(|run| run.as_ref().expect("it can be read").account == id.account);
        (record.is_some(), fixture.fires_of(&id).is_empty(), runs.count() == 0)
    };
    let mut daemon = fixture.daemon().with_retention(Duration::from_hours(10 * 24));
    // It is kept as long as by default, although this daemon keeps its own for a shorter time.
    fixture.days(80, &mut daemon);
    assert_eq!(recorded(&gone), (true, false, false));
    fixture.days(20, &mut daemon);
    assert_eq!(recorded(&gone), (false, true, true), "{}", fixture.log.text());
    assert_eq!(recorded(&fixture.sandbox), (true, false, false));
}

#[test]
fn fires_of_an_account_that_no_daemon_serves_are_purged_and_its_state_is_kept() {
    let fixture = DaemonFixture::of(&[("daily.rhai", DAILY)]);
    let shop = AutomationId {
        account: format!("{DEFAULT_APPID} https://api.weixin.qq.com"),
        name: "daily".to_owned(),
    };
    let (store, hour) = (fixture.store(), Duration::from_hours(1));
    let served = ScanChange::Served { id: shop.clone(), source: String::new(), served_as: String::new() };
    let fires: Vec<Fire> = (1..=30)
        .map(|count| {
            let at = fixture.now() - hour * count;
            let claimed = Fire::claimed(shop.clone(), "cron", at, "店/1".to_owned(), at);
            Fire { state: FireState::Done, ..claimed }
        })
        .collect();
    fixture.wait(store.record_scan("/srv/jobs", &[served], &fires, fixture.now())).expect("the store works");
    let mut daemon = fixture.daemon().with_retention(Duration::from_hours(10 * 24));
    fixture.days(80, &mut daemon);
    assert_eq!(fixture.fires_of(&shop).len(), 30);
    fixture.days(20, &mut daemon);
    assert_eq!(fixture.fires_of(&shop).len(), 20);
    assert_eq!(fixture.wait(store.automation(&shop)).map(|record| record.is_some()), Ok(true));
}

#[test]
fn clock_a_year_ahead_purges_nothing() {
    let fixture = DaemonFixture::of(&[("daily.rhai", DAILY)]);
    to_midnight(&fixture);
    let mut daemon = fixture.daemon().with_retention(Duration::from_hours(90 * 24));
    fixture.days(40, &mut daemon);
    assert_eq!(done(&fixture, "daily"), 40);
    // One purges at its start, and with each step.
    fixture.advance(Duration::from_hours(365 * 24));
    let mut later = fixture.daemon().with_retention(Duration::from_hours(90 * 24));
    fixture.settle(from_mut(&mut daemon));
    fixture.settle(from_mut(&mut later));
    fixture.days(3, &mut later);
    assert_eq!(done(&fixture, "daily"), 43);
}

#[test]
fn work_refused_by_the_store_is_done_later() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute(", overlap: \"queue\"", "print(\"ran\")"))]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    // The store fails while a fire is claimed and files change.
    let lock = |sql: &'static str| fixture.wait(fixture.store().execute(Statement::new(sql)));
    lock("ALTER TABLE mpscript_fire RENAME TO away").expect("it can be renamed");
    fixture.write("new.rhai", &every_minute("", "print(\"new\")"));
    assert!(fixture.scan(&mut daemons[0]).is_err());
    fixture.advance(MINUTE);
    assert!(daemons[0].step().is_err());
    lock("ALTER TABLE away RENAME TO mpscript_fire").expect("it can be renamed");
    fixture.advance_and_settle(Duration::from_secs(3), &mut daemons);
    fixture.advance_and_settle(MINUTE, &mut daemons);
    assert_eq!(fixture.states("job"), ["done", "done", "done"], "{}", fixture.log.text());
    assert_eq!(fixture.states("new"), ["done"], "{}", fixture.log.text());
}

#[test]
fn fires_of_more_automations_than_one_transaction_takes_all_run() {
    let names: Vec<String> = (0..120).map(|number| format!("日报{number:03}")).collect();
    let job = every_minute("", "print(\"ran\")");
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.rhai"), job.clone())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let fixture = DaemonFixture::of(&files);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    let states: BTreeSet<_> = names.iter().map(|name| fixture.states(name)).collect();
    assert_eq!(states, BTreeSet::from([vec!["done"]]), "{}", fixture.log.text());
}

#[test]
fn skipped_fire_that_the_store_does_not_take_is_skipped_later() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"ran\")"))]);
    let mut daemons = [fixture.daemon()];
    let job = fixture.id("job");
    fixture.wait(fixture.store().pause_automation(&job, Some(EpochMs::MAX))).expect("the store works");
    let execute = |sql: &'static str| fixture.wait(fixture.store().execute(Statement::new(sql)));
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON mpscript_fire WHEN NEW.state = 'skipped' \
                  BEGIN SELECT RAISE(ABORT, '满'); END";
    execute(refuse).expect("it can be created");
    fixture.advance(MINUTE);
    assert!(daemons[0].step().is_err());
    execute("DROP TRIGGER refuse").expect("it can be dropped");
    fixture.advance_and_settle(Duration::from_secs(3), &mut daemons);
    assert_eq!(fixture.states("job"), ["skipped"], "{}", fixture.log.text());
}

#[test]
fn claimed_fire_missing_from_memory_is_adopted() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"ran\")"))]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(MINUTE, &mut daemons);
    // As if its answer had been lost: claimed by this process, which does not know it.
    let done = fixture.fires("job").remove(0);
    let claimed = Fire { state: FireState::Claimed, run: String::new(), ..done.clone() };
    assert!(fixture.wait(fixture.store().compare_and_set_fire(&done, &claimed)).expect("the store works"));
    fixture.advance_and_settle(Duration::from_secs(3), &mut daemons);
    assert_eq!(fixture.states("job"), ["done"], "{}", fixture.log.text());
    assert_eq!(fixture.log.text().matches("ran").count(), 2);
}

#[test]
fn run_waiting_for_retry_is_replaced_by_a_later_fire() {
    let job = "const automation = #{ on: [ #{ every: \"5s\" } ], overlap: \"replace\", retries: 3 };\n\
               fn run(ctx) { if ctx.scheduled_at % 10 == 5 { throw \"坏了\" } }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemons = [fixture.daemon()];
    fixture.advance_and_settle(Duration::from_secs(5), &mut daemons);
    assert_eq!(fixture.states("job"), ["running"], "{}", fixture.log.text());
    fixture.advance_and_settle(Duration::from_secs(5), &mut daemons);
    assert_eq!(fixture.states("job"), ["stopped", "done"], "{}", fixture.log.text());
    assert_eq!(fixture.fires("job")[0].reason.note(), "replaced by a later fire");
}

#[test]
fn automation_without_parameter_value_or_emptied_is_stale() {
    let needs = "const automation = #{ on: [ #{ every: \"1m\" } ], params: #{ n: #{ type: \"int\" } } };\nfn run() { }";
    let fixture =
        DaemonFixture::of(&[("needs.rhai", needs), ("job.rhai", &every_minute("", "print(\"ran\")"))]);
    let mut daemons = [fixture.daemon()];
    assert!(
        fixture.log.text().contains("needs: STALE: parameter `n` has no value"),
        "{}",
        fixture.log.text()
    );
    fixture.write("job.rhai", "");
    fixture.scan(&mut daemons[0]).expect("the store works");
    assert!(
        fixture.log.text().contains("job: STALE: no `const automation` any more"),
        "{}",
        fixture.log.text()
    );
    fixture.advance_and_settle(MINUTE, &mut daemons);
    assert_eq!(fixture.states("job"), ["done"]);
}
