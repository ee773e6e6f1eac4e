//! What is purged of runs by hand and lines of sessions, what is kept however old it is, and which clock is trusted.

use super::contract::{Place, on_each};
use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};
use mpscript::{
    base::{EpochMs, Secret},
    client::purge_budgets,
    store::{
        LeaseKey, LeaseKind, RunPayload, RunRecord, RunState, SeenDay, Spent, StartedBy, Statement, Store,
        StoreTime, TokenRecord,
    },
};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// Records a run of the first day in this state.
async fn add(store: &Store, id: &str, state: RunState, change: impl Fn(RunRecord) -> RunRecord) {
    let instant = EpochMs::new(1_000);
    let record =
        RunRecord { state, ..RunRecord::started(id, StartedBy::Command, instant, StoreTime::new(instant)) };
    assert_eq!(store.add_run(&change(record), &RunPayload::default()).await, Ok(true));
}

fn undo_of(run: &'static str) -> impl Fn(RunRecord) -> RunRecord {
    move |record| RunRecord { undoes: run.to_owned(), ..record }
}

async fn execute(store: &Store, sql: &'static str) {
    store.execute(Statement::new(sql)).await.unwrap();
}

async fn left(store: &Store) -> Vec<String> {
    let runs = store.runs("", 100).await.unwrap();
    let mut ids: Vec<String> = runs.into_iter().map(|run| run.unwrap().id).collect();
    ids.sort();
    ids
}

#[test]
fn runs_by_hand_are_purged_once_they_are_old() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        for (id, state) in [
            ("done", RunState::Done),
            ("failed", RunState::Error),
            ("interrupted", RunState::Interrupted),
            ("paused", RunState::Paused),
        ] {
            add(&store, id, state, |record| record).await;
        }
        let young = |record| RunRecord { heartbeat_at: StoreTime::new(EpochMs::new(5_000)), ..record };
        add(&store, "resumed", RunState::Interrupted, young).await;
        let line = |record| RunRecord { started_by: StartedBy::Session, ..record };
        add(&store, "line", RunState::Done, line).await;
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(5_000)).await, Ok(4));
        assert_eq!(left(&store).await, ["line", "resumed"]);
        assert_eq!(store.purge_session_lines(EpochMs::new(5_000)).await, Ok(1));
        assert_eq!(left(&store).await, ["resumed"]);
    });
}

#[test]
fn runs_that_wait_for_a_decision_are_not_purged() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        add(&store, "call", RunState::Error, |record| record).await;
        add(&store, "batch", RunState::Interrupted, |record| record).await;
        add(&store, "parked", RunState::Parked, |record| record).await;
        add(&store, "running", RunState::Running, |record| record).await;
        add(&store, "unknown", RunState::Error, |record| record).await;
        add(&store, "job", RunState::Error, |record| record).await;
        execute(
            &store,
            "INSERT INTO mpscript_step (run, step, seq, label, state, effect, checkpoint, answer, kind, effect_kind)
             VALUES ('call', '1', 1, '卡券', 'begun', '{}', '', '', 'call:card_create', 'irreversible'),
                 ('unknown', '1', 1, '印章', 'begun', '{}', '', '', 'stamp', 'irreversible'),
                 ('job', '1', 1, '标签', 'begun', '{}', '', '', 'terminal:tag', 'tag_attached')",
        )
        .await;
        execute(
            &store,
            "INSERT INTO mpscript_batch
                 (run, step, number, items, size, pending, unresolved, failed, failures, in_doubt)
             VALUES ('batch', '1', 1, '', 50, 50, '', '', 0, 50)",
        )
        .await;
        // The batches of a job tell whether it is in doubt.
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(5_000)).await, Ok(1));
        assert_eq!(left(&store).await, ["batch", "call", "parked", "running", "unknown"]);
    });
}

#[test]
fn run_whose_undo_can_be_resumed_is_not_purged() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        add(&store, "first", RunState::Done, |record| record).await;
        add(&store, "second", RunState::Done, |record| record).await;
        add(&store, "undo of first", RunState::Parked, undo_of("first")).await;
        let young = |record| RunRecord {
            heartbeat_at: StoreTime::new(EpochMs::new(5_000)),
            ..undo_of("second")(record)
        };
        add(&store, "undo of second", RunState::Interrupted, young).await;
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(5_000)).await, Ok(0));
    });
}

#[test]
fn completed_undo_is_purged_after_the_run_that_it_undid() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        add(&store, "done", RunState::Done, |record| record).await;
        add(&store, "undo", RunState::Done, undo_of("done")).await;
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(5_000)).await, Ok(1));
        assert_eq!(left(&store).await, ["undo"]);
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(5_000)).await, Ok(1));
    });
}

#[test]
fn days_of_the_ledger_before_one_are_purged() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        for day in [19_999, 20_000] {
            let spent = Spent { endpoint: "/cgi-bin/user/get".to_owned(), day, calls: 3 };
            store.add_to_ledger("甲", &[spent]).await.unwrap();
        }
        store.purge_ledger(20_000).await.unwrap();
        let left =
            [store.usage("甲", 19_999).await.unwrap().len(), store.usage("甲", 20_000).await.unwrap().len()];
        assert_eq!(left, [0, 1]);
    });
}

/// A token that expires at this instant.
fn token_until(expires_at: i64) -> TokenRecord {
    TokenRecord {
        token: Secret::new("96_token"),
        expires_at: EpochMs::new(expires_at),
        generation: 1,
        renewed_by: "甲/1".to_owned(),
        renewed_at: EpochMs::default(),
    }
}

#[test]
fn tokens_of_accounts_that_are_not_called_any_more_are_purged_with_their_estimates() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        for (account, expires_at) in [("gone", 4_999), ("used", 5_000)] {
            store.save_token(account, "stable", &token_until(expires_at)).await.unwrap();
            store.save_audience_size(account, "followers", 7).await.unwrap();
        }
        store.save_audience_size("run", "followers", 7).await.unwrap();
        add(&store, "k3f9xz", RunState::Done, |record| RunRecord { account: "run".to_owned(), ..record })
            .await;
        store.purge_tokens(EpochMs::new(5_000)).await.unwrap();
        store.purge_audience_sizes().await.unwrap();
        let mut left = Vec::new();
        for account in ["gone", "used", "run"] {
            let size = store.audience_size(account, "followers").await.unwrap();
            left.push((store.tokens(account).await.unwrap().len(), size));
        }
        assert_eq!(left, [(0, None), (1, Some(7)), (0, Some(7))]);
    });
}

#[test]
fn budgets_of_earlier_periods_are_purged() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        let now = EpochMs::default() + 20_000 * DAY;
        let (minute, today) = (20_000 * 24 * 60, 20_000);
        let budgets = [
            ("renew stable gone", minute - 1),
            ("renew stable used", minute),
            ("force stable gone", today - 1),
            ("force stable used", today),
        ];
        for (name, period) in budgets {
            assert_eq!(store.take_from_budget(name, period, 20).await, Ok(true));
        }
        purge_budgets(&store, now).await.unwrap();
        let mut used = Vec::new();
        for (name, period) in budgets {
            used.push(store.used_of_budget(name, period).await.unwrap());
        }
        assert_eq!(used, [0, 1, 0, 1]);
    });
}

#[test]
fn expired_leases_are_purged_and_write_locks_are_not() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        let ttl = Duration::from_secs(1);
        for (kind, acquired_at) in
            [(LeaseKind::ForcedRenewal, 1_000), (LeaseKind::Serving, 2_000), (LeaseKind::Daemon, 9_000)]
        {
            let lease = LeaseKey::new(kind, "甲");
            assert_eq!(
                store.acquire_lease(&lease, "甲/1", StoreTime::new(EpochMs::new(acquired_at)), ttl).await,
                Ok(true)
            );
        }
        execute(
            &store,
            "INSERT INTO mpscript_lease (kind, name, owner, expires_at) VALUES ('write', '甲', 'k3f9xz', 0)",
        )
        .await;
        assert_eq!(store.purge_leases(StoreTime::new(EpochMs::new(5_000))).await, Ok(2));
        let owner = store.lease_owner(&LeaseKey::new(LeaseKind::Write, "甲")).await;
        assert_eq!(owner, Ok(Some("k3f9xz".to_owned())));
    });
}

#[test]
fn day_counts_as_past_after_use_on_seven_later_days() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        let day = |number| EpochMs::default() + number * DAY;
        for number in 10..17 {
            assert_eq!(store.see_day(day(number)).await, Ok(SeenDay { is_new: true, trusted_now: None }));
        }
        let seen = SeenDay { is_new: true, trusted_now: Some(day(10)) };
        assert_eq!(store.see_day(day(17)).await, Ok(seen));
        assert_eq!(store.see_day(day(17)).await, Ok(SeenDay { is_new: false, ..seen }));
        // A clock that is a year ahead is one day more, and forgotten by the right one.
        assert_eq!(store.see_day(day(382)).await, Ok(SeenDay { is_new: true, trusted_now: Some(day(11)) }));
        assert_eq!(store.see_day(day(18)).await, Ok(SeenDay { is_new: true, trusted_now: Some(day(11)) }));
    });
}

/// Records the days before now as seen, and a run of long ago.
fn used_for_years(folder: &Folder) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("the system gives a runtime").block_on(async {
        let store = folder.store().await;
        add(&store, "aaaaaa", RunState::Done, |record| record).await;
        let today = mpscript::base::Clock::system().now();
        for number in (1..9).rev() {
            store.see_day(today - number * DAY).await.expect("the store works");
        }
        store.close().await;
    });
}

#[test]
fn run_by_hand_purges_those_that_the_configuration_does_not_keep() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let arguments =
        |url: &str| ["run", "-e", "tag::list().len()", "--quiet", "--base-url", url].map(str::to_owned);
    for (keep_runs, runs) in [("1h", 1), ("100years", 2)] {
        let folder = Folder::new()
            .account()
            .env("MPSCRIPT_STORE", "store.sqlite3")
            .file("mpscript.toml", format!("keep_runs = \"{keep_runs}\"\n"));
        used_for_years(&folder);
        let arguments = arguments(&sandbox.url());
        folder.run(&arguments.each_ref().map(String::as_str)).success();
        assert_eq!(folder.run(&["runs"]).success().lines().count(), runs, "{keep_runs}");
    }
}

#[test]
fn span_without_a_unit_is_refused_in_the_configuration() {
    let folder = Folder::new().account().file("mpscript.toml", "keep_sessions = \"90\"\n");
    let error = folder.run(&["config"]).failure(2);
    assert!(error.contains("mpscript.toml, line 1: write a number with its unit here, as in 90d"), "{error}");
}
