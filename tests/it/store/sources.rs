//! Sources: kept once, however many runs name them, and as long as one does.

use super::contract::{Place, on_each, run};
use crate::fixtures::postgres::cluster;
use mpscript::{
    base::EpochMs,
    store::{RunEnd, RunPayload, RunRecord, RunState, StartedBy, Statement, Store, StoreTime},
};
use sqlx::{Connection, Executor};

const SOURCE: &str = "{\"name\":\"每日.rhai\",\"text\":\"tag::list()\",\"imports\":[]}";
const OTHER: &str = "{\"name\":\"每周.rhai\",\"text\":\"tag::list()\",\"imports\":[]}";

/// Records a run of this source, by hand on an automation's handler, which has ended.
async fn add(store: &Store, id: &str, source: &str) {
    let record = RunRecord::started(id, StartedBy::Automation, EpochMs::default(), StoreTime::default());
    let payload = RunPayload { source: source.to_owned(), ..RunPayload::default() };
    assert_eq!(store.add_run(&record, &payload).await, Ok(true));
    let now = EpochMs::new(1_000);
    let (state, saved_state) = (RunState::Done, None);
    let end = RunEnd { run: id, attempt: 1, state, note: "", report: "", now, saved_state };
    assert_eq!(store.end_run(&end).await, Ok(true));
}

async fn sources(store: &Store) -> Vec<String> {
    let rows = store.query(Statement::new("SELECT text FROM mpscript_source ORDER BY text")).await.unwrap();
    rows.iter().filter_map(|row| row.text(0)).map(str::to_owned).collect()
}

#[test]
fn source_of_several_runs_is_kept_once() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        for (id, source) in [("aaaaaa", SOURCE), ("bbbbbb", SOURCE), ("cccccc", OTHER)] {
            add(&store, id, source).await;
        }
        assert_eq!(sources(&store).await, [OTHER, SOURCE]);
        assert_eq!(store.run_payload("bbbbbb").await.unwrap().source, SOURCE);
    });
}

#[test]
fn source_is_deleted_with_the_last_run_that_names_it() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        for (id, source) in [("aaaaaa", SOURCE), ("bbbbbb", SOURCE), ("cccccc", OTHER)] {
            add(&store, id, source).await;
        }
        store.delete_run("aaaaaa").await.unwrap();
        assert_eq!(sources(&store).await, [OTHER, SOURCE]);
        store.delete_run("bbbbbb").await.unwrap();
        assert_eq!(sources(&store).await, [OTHER]);
    });
}

#[test]
fn source_whose_runs_are_purged_is_deleted() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        add(&store, "aaaaaa", SOURCE).await;
        add(&store, "bbbbbb", SOURCE).await;
        assert_eq!(store.purge_runs_by_hand(EpochMs::new(2_000)).await, Ok(2));
        assert_eq!(sources(&store).await, [""; 0]);
    });
}

#[test]
fn run_of_a_taken_id_leaves_no_source() {
    on_each(async |place: Place| {
        let store = place.open().await.unwrap();
        add(&store, "aaaaaa", SOURCE).await;
        let record =
            RunRecord::started("aaaaaa", StartedBy::Command, EpochMs::default(), StoreTime::default());
        let payload = RunPayload { source: OTHER.to_owned(), ..RunPayload::default() };
        assert_eq!(store.add_run(&record, &payload).await, Ok(false));
        assert_eq!(sources(&store).await, [SOURCE]);
    });
}

/// Whether the server has a statement that waits for a lock.
async fn has_waiting(store: &Store) -> bool {
    let waiting = "SELECT datname FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    !store.query(Statement::new(waiting)).await.unwrap().is_empty()
}

#[test]
fn source_that_a_run_names_while_its_last_run_is_deleted_is_kept() {
    let Some(cluster) = cluster() else { return };
    run(async {
        let url = cluster.database();
        let store = Store::postgres(&url).await.unwrap();
        add(&store, "aaaaaa", SOURCE).await;
        // A process between the two statements that record a run.
        let mut other = sqlx::PgConnection::connect(url.reveal()).await.unwrap();
        other.execute("BEGIN").await.unwrap();
        let insert = "INSERT INTO mpscript_source (id, text) SELECT id, text FROM mpscript_source
            ON CONFLICT (id) DO UPDATE SET text = excluded.text WHERE 1 = 0";
        other.execute(insert).await.unwrap();
        let deleting = tokio::spawn({
            let store = store.clone();
            async move { store.delete_run("aaaaaa").await }
        });
        while !has_waiting(&store).await {
            tokio::task::yield_now().await;
        }
        let insert =
            "INSERT INTO mpscript_run SELECT 'bbbbbb', account, script, state, dry_run, started_at, ended_at,
            heartbeat_at, owner, attempt, undoes, note, stop_requested, source_id, options, report, started_by
            FROM mpscript_run";
        other.execute(insert).await.unwrap();
        other.execute("COMMIT").await.unwrap();
        deleting.await.unwrap().unwrap();
        assert_eq!(store.run("aaaaaa").await, Ok(None));
        assert_eq!(store.run_payload("bbbbbb").await.unwrap().source, SOURCE);
    });
}
