//! Rows that can't be decoded, on SQLite and on PostgreSQL: what needs one parks, waits or is stale, and says which row it
//! is; nothing is overwritten, and everything else fires on.

use crate::fixtures::daemon::{DaemonFixture, MINUTE, every_minute};
use mpscript::store::{
    AutomationId, Fire, FireState, ReportedFailure, RunPayload, RunRecord, RunState, StartedBy, Statement,
    StoreTime,
};
use std::{
    fs,
    slice::{from_mut, from_ref},
    time::Duration,
};

/// Works with a folder of these automations, on each store.
fn on_each_store(automations: &[(&str, &str)], work: impl Fn(&DaemonFixture)) {
    let fixtures = [Some(DaemonFixture::of(automations)), DaemonFixture::on_postgres(automations)];
    fixtures.iter().flatten().for_each(work);
}

/// Changes rows as a damaged disk or a foreign program might have.
fn damage(fixture: &DaemonFixture, sql: &'static str) {
    assert_eq!(fixture.wait(fixture.store().execute(Statement::new(sql))), Ok(1), "{sql}");
}

/// The texts of a query's first column.
fn texts(fixture: &DaemonFixture, sql: &'static str) -> Vec<String> {
    let rows = fixture.wait(fixture.store().query(Statement::new(sql))).expect("the store works");
    rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect()
}

/// A claimed fire as a dead process has left it.
fn left(fixture: &DaemonFixture, automation: &str) {
    let now = fixture.now();
    let instant = now - Duration::from_secs(1);
    let fire = Fire::claimed(fixture.id(automation), "every 1m", instant, "gone".to_owned(), now);
    assert_eq!(fixture.wait(fixture.store().insert_fires(from_ref(&fire))), Ok(vec![true]));
}

#[test]
fn damaged_fire_does_not_keep_others_from_being_adopted() {
    let (bad, good) = (every_minute("", "print(\"坏\")"), every_minute("", "print(\"好\")"));
    on_each_store(&[("坏.rhai", &bad), ("好.rhai", &good)], |fixture| {
        let mut daemon = fixture.daemon();
        left(fixture, "坏");
        left(fixture, "好");
        damage(
            fixture,
            "UPDATE mpscript_fire SET kind = '一时' WHERE automation = '坏' AND state = 'claimed'",
        );
        let key = format!("{}, every 1m, ", fixture.id("坏"));
        for _ in 0..2 {
            fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
        }
        assert_eq!(fixture.states("好"), ["done"], "{}", fixture.log.text());
        let log = fixture.log.text();
        let reported: Vec<&str> = log.lines().filter(|line| line.contains("一时")).collect();
        assert_eq!(reported.len(), 1, "{log}");
        assert!(
            reported[0].starts_with(&format!(
                ": what needs this row waits, all else continues: `kind` in row `{key}"
            )),
            "{log}"
        );
        let kept = "SELECT kind || ' ' || state FROM mpscript_fire WHERE automation = '坏' AND kind = '一时'";
        assert_eq!(texts(fixture, kept), ["一时 claimed"]);
        // The step was not taken for an outage of the store.
        assert_eq!(daemon.stats().snapshot().readiness_error(), None);
    });
}

/// A claimed failure hook as a dead process has left it.
fn left_hook(fixture: &DaemonFixture, automation: &str) {
    let now = fixture.now();
    let instant = now - Duration::from_secs(1);
    let failed = Fire::claimed(fixture.id(automation), "every 1m", instant, "gone".to_owned(), now);
    let failure = ReportedFailure {
        message: "没有表格".to_owned(),
        state: FireState::Failed,
        run: String::new(),
        handler: "run".to_owned(),
        scheduled: "2026-11-30T09:00:00+08:00".to_owned(),
    };
    let hook = Fire::failure_hook(&failed, failure, "gone".to_owned(), now);
    assert_eq!(fixture.wait(fixture.store().insert_fires(from_ref(&hook))), Ok(vec![true]));
}

/// An automation that prints the failure that it hears of.
fn hears() -> String {
    format!("{}\nfn on_failure(ctx, error) {{ print(`heard ${{error}}`) }}", every_minute("", ""))
}

#[test]
fn failure_hook_left_by_a_dead_process_is_called_with_its_failure() {
    on_each_store(&[("听.rhai", &hears())], |fixture| {
        let mut daemon = fixture.daemon();
        left_hook(fixture, "听");
        fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
        let heard = "heard #{\"handler\": \"run\", \"message\": \"没有表格\", \"run\": \"\", \"scheduled\": \
                     \"2026-11-30T09:00:00+08:00\", \"state\": \"failed\"}";
        assert!(fixture.log.text().contains(heard), "{}", fixture.log.text());
    });
}

#[test]
fn failure_hook_of_an_earlier_version_is_called_with_its_failure() {
    on_each_store(&[("听.rhai", &hears())], |fixture| {
        let mut daemon = fixture.daemon();
        left_hook(fixture, "听");
        damage(
            fixture,
            "UPDATE mpscript_fire SET reason = '{\"message\":\"旧的\",\"state\":\"failed\",\"run\":\"\",\
             \"handler\":\"run\",\"scheduled\":\"\"}' WHERE kind = 'failure_hook'",
        );
        fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
        assert!(fixture.log.text().contains("\"message\": \"旧的\""), "{}", fixture.log.text());
    });
}

#[test]
fn failure_hook_whose_failure_cannot_be_decoded_is_left_as_it_is() {
    on_each_store(&[("听.rhai", &hears()), ("好.rhai", &every_minute("", "print(\"好\")"))], |fixture| {
        let mut daemon = fixture.daemon();
        left_hook(fixture, "听");
        left(fixture, "好");
        damage(fixture, "UPDATE mpscript_fire SET reason = '半' WHERE kind = 'failure_hook'");
        for _ in 0..2 {
            fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
        }
        assert_eq!(fixture.states("好"), ["done"], "{}", fixture.log.text());
        let error = format!(
            "what needs this row waits, all else continues: `reason` in row `{}, failure of every 1m, ",
            fixture.id("听")
        );
        assert_eq!(fixture.log.text().matches(&error).count(), 1, "{}", fixture.log.text());
        let kept = "SELECT state || ' ' || reason FROM mpscript_fire WHERE kind = 'failure_hook'";
        assert_eq!(texts(fixture, kept), ["claimed 半"]);
    });
}

#[test]
fn damaged_run_does_not_keep_others_from_starting() {
    on_each_store(&[("好.rhai", &every_minute("", "print(\"好\")"))], |fixture| {
        let run =
            RunRecord::started("aaaaaa", StartedBy::Command, fixture.now(), StoreTime::new(fixture.now()));
        assert_eq!(fixture.wait(fixture.store().add_run(&run, &RunPayload::default())), Ok(true));
        damage(fixture, "UPDATE mpscript_run SET started_by = '某人' WHERE id = 'aaaaaa'");
        let mut daemon = fixture.daemon();
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        assert_eq!(fixture.states("好"), ["done"], "{}", fixture.log.text());
        assert_eq!(texts(fixture, "SELECT state FROM mpscript_run WHERE id = 'aaaaaa'"), ["running"]);
    });
}

#[test]
fn damaged_record_makes_its_automation_stale_until_it_is_mended() {
    let (bad, good) = (every_minute("", "print(\"坏\")"), every_minute("", "print(\"好\")"));
    on_each_store(&[("坏.rhai", &bad), ("好.rhai", &good)], |fixture| {
        drop(fixture.daemon());
        damage(fixture, "UPDATE mpscript_automation SET served_version = '半' WHERE name = '坏'");
        let mut daemon = fixture.daemon();
        let error = format!(
            "坏: STALE: `served_version` in row `{}` of mpscript_automation can't be read: expected one of `current` \
             `last_good` `nothing`, found `半`",
            fixture.id("坏")
        );
        assert_eq!(fixture.log.text().matches(&error).count(), 1, "{}", fixture.log.text());
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        assert_eq!(
            (fixture.states("坏"), fixture.states("好")),
            (vec![], vec!["done"]),
            "{}",
            fixture.log.text()
        );
        // It is looked at again at each scan, and reported once.
        fixture.scan(&mut daemon).expect("the store works");
        assert_eq!(fixture.log.text().matches(&error).count(), 1, "{}", fixture.log.text());
        let kept = "SELECT served_version FROM mpscript_automation WHERE name = '坏'";
        assert_eq!(texts(fixture, kept), ["半"]);
        damage(fixture, "UPDATE mpscript_automation SET served_version = 'current' WHERE name = '坏'");
        fixture.scan(&mut daemon).expect("the store works");
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        assert!(fixture.log.text().contains("坏: 坏"), "{}", fixture.log.text());
    });
}

#[test]
fn damaged_fire_of_an_adopted_record_does_not_make_its_automation_stale() {
    on_each_store(&[("日报.rhai", &every_minute("", "print(\"日报\")"))], |fixture| {
        drop(fixture.daemon());
        // As a version wrote it that did not know the accounts of automations.
        damage(
            fixture,
            "INSERT INTO mpscript_automation (account, name, folder, since, paused_until, state, served_version,
             load_error, served_at, confirmed_at, last_good_source, served_as)
             SELECT '', name, folder, since, paused_until, state, served_version, load_error, served_at, confirmed_at,
             last_good_source, served_as FROM mpscript_automation",
        );
        let (id, now) = (AutomationId::new("", "日报"), fixture.now());
        let fire = Fire::claimed(id, "every 1m", now - MINUTE, "gone".to_owned(), now);
        assert_eq!(fixture.wait(fixture.store().insert_fires(from_ref(&fire))), Ok(vec![true]));
        damage(fixture, "UPDATE mpscript_fire SET state = '半' WHERE account = ''");
        let mut daemon = fixture.daemon();
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        assert_eq!(fixture.states("日报"), ["done"], "{}", fixture.log.text());
    });
}

#[test]
fn damaged_record_of_another_folder_does_not_keep_fires_from_being_adopted() {
    on_each_store(&[("好.rhai", &every_minute("", "print(\"好\")"))], |fixture| {
        let other = fixture.jobs().with_file_name("other");
        fs::create_dir_all(&other).expect("a folder can be made");
        fs::write(other.join("坏.rhai"), every_minute("", "")).expect("a file can be written");
        let mut daemon = fixture.daemon_of("other");
        fixture.scan(&mut daemon).expect("the store works");
        daemon.release_lease().expect("the store works");
        drop(daemon);
        damage(fixture, "UPDATE mpscript_automation SET served_version = '半' WHERE name = '坏'");
        let mut daemon = fixture.daemon();
        left(fixture, "好");
        fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
        assert_eq!(fixture.states("好"), ["done"], "{}", fixture.log.text());
    });
}

/// Damages the run of a fire that waits to be retried, and gives the fire's reason once it is closed as parked.
fn reason_of_parked_fire(fixture: &DaemonFixture, sql: &'static str) -> (String, RunState, String) {
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    let fire = fixture.fires("坏").remove(0);
    assert_eq!(fire.state, FireState::Running, "it waits for its retry");
    damage(fixture, sql);
    fixture.advance_and_settle(Duration::from_secs(15), from_mut(&mut daemon));
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    let fires = fixture.fires("好");
    assert!(fires.iter().all(|fire| fire.state == FireState::Done), "{fires:?}");
    let closed = fixture.fires("坏").remove(0);
    assert_eq!(closed.state, FireState::Parked, "{}", fixture.log.text());
    let state = fixture.wait(fixture.store().run_state(&fire.run)).expect("the store works");
    (closed.reason.note().to_owned(), state.expect("it is recorded"), fire.run)
}

#[test]
fn run_with_damaged_options_or_source_is_parked() {
    let bad = every_minute(", retries: 3, overlap: \"queue\"", "throw \"坏了\"");
    let automations = [("坏.rhai", bad.as_str()), ("好.rhai", &every_minute("", "print(\"好\")"))];
    let options = "UPDATE mpscript_run SET options = '{' WHERE state = 'error'";
    let source = "UPDATE mpscript_source SET text = '{'
                  WHERE id = (SELECT r.source_id FROM mpscript_run r WHERE r.state = 'error')";
    for (sql, column, expected) in [
        (options, "options", "a run's options as JSON"),
        (source, "source_id", "a script and its imports as JSON"),
    ] {
        on_each_store(&automations, |fixture| {
            let (reason, state, run) = reason_of_parked_fire(fixture, sql);
            let error = format!(
                "`{column}` in row `{run}` of mpscript_run can't be read: expected {expected}, found JSON that ends too \
                 early (line 1, column 1)"
            );
            assert_eq!((reason.as_str(), state), (error.as_str(), RunState::Parked));
            let record = fixture.wait(fixture.store().run(&run)).expect("the store works");
            assert_eq!(record.expect("it is recorded").note, error);
        });
    }
}

#[test]
fn fire_whose_run_cannot_be_decoded_is_parked() {
    let bad = every_minute(", retries: 3, overlap: \"queue\"", "throw \"坏了\"");
    on_each_store(&[("坏.rhai", &bad), ("好.rhai", &every_minute("", "print(\"好\")"))], |fixture| {
        let sql = "UPDATE mpscript_run SET started_by = '某人' WHERE state = 'error'";
        let (reason, state, run) = reason_of_parked_fire(fixture, sql);
        let error = format!("`started_by` in row `{run}` of mpscript_run can't be read: expected one of");
        assert!(reason.starts_with(&error), "{reason}");
        assert_eq!(state, RunState::Error);
    });
}
