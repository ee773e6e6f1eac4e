//! The store: one contract that SQLite and PostgreSQL both pass, and what a broken one says.
//!
//! One file because it is one contract, which each of its functions holds a part of on both databases.

use crate::fixtures::postgres::{PASSWORD, cluster};
use mpscript::{
    base::{Clock, EpochMs, Secret},
    store::{LeaseKey, LeaseKind, Spent, Statement, Store, StoreError, StoreTime, TokenRecord, Usage},
};
use std::{ffi::OsStr, fs, future::Future, path::Path, time::Duration};
use tempfile::TempDir;

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the system gives a runtime").block_on(work)
}

/// Where a store is opened, again and again.
pub(super) enum Place {
    File(TempDir),
    Server(Secret),
}

impl Place {
    pub(super) async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::File(folder) => Store::sqlite(&folder.path().join("state/store.sqlite3")).await,
            Self::Server(url) => Store::postgres(url).await,
        }
    }
}

/// Does something on an empty store of each kind that this machine has.
pub(super) fn on_each<F: Future<Output = ()>>(contract: impl Fn(Place) -> F) {
    run(contract(Place::File(tempfile::tempdir().expect("there is room for a folder"))));
    if let Some(cluster) = cluster() {
        run(contract(Place::Server(cluster.database())));
    }
}

fn record(token: &str, generation: i64) -> TokenRecord {
    TokenRecord {
        token: Secret::new(token),
        expires_at: EpochMs::new(7_200_000),
        generation,
        renewed_by: "here/1".to_owned(),
        renewed_at: EpochMs::new(1),
    }
}

#[test]
fn saved_token_is_replaced_only_by_a_newer_generation() {
    on_each(async |place| {
        let store = place.open().await.unwrap();
        assert!(store.token("a", "stable").await.unwrap().is_none());
        assert!(store.save_token("a", "stable", &record("first", 1)).await.unwrap());
        assert!(store.save_token("a", "stable", &record("third", 3)).await.unwrap());
        assert!(!store.save_token("a", "stable", &record("second", 2)).await.unwrap());
        assert!(!store.save_token("a", "stable", &record("third too", 3)).await.unwrap());
        store.close().await;
        let kept = place.open().await.unwrap().token("a", "stable").await.unwrap().unwrap();
        assert_eq!(
            (kept.token.reveal(), kept.generation, kept.expires_at),
            ("third", 3, EpochMs::new(7_200_000))
        );
        assert_eq!((kept.renewed_by.as_str(), kept.renewed_at), ("here/1", EpochMs::new(1)));
        // Another kind and another account have their own.
        let store = place.open().await.unwrap();
        assert!(store.token("a", "classic").await.unwrap().is_none());
        assert!(store.token("b", "stable").await.unwrap().is_none());
    });
}

#[test]
fn lease_has_one_owner_until_it_expires() {
    on_each(async |place| {
        let (one, other) = (place.open().await.unwrap(), place.open().await.unwrap());
        let (at, ms) = (|ms: i64| StoreTime::new(EpochMs::new(ms)), Duration::from_millis);
        let token = LeaseKey::new(LeaseKind::Token, "a");
        let another = LeaseKey::new(LeaseKind::Start, "a");
        assert!(one.acquire_lease(&token, "one", at(100), ms(100)).await.unwrap());
        assert!(!other.acquire_lease(&token, "other", at(150), ms(100)).await.unwrap());
        assert!(one.acquire_lease(&token, "one", at(150), ms(150)).await.unwrap(), "its owner prolongs it");
        assert!(!other.acquire_lease(&token, "other", at(299), ms(101)).await.unwrap());
        assert!(other.acquire_lease(&token, "other", at(300), ms(100)).await.unwrap(), "it has ended");
        one.release_lease(&token, "one").await.unwrap();
        assert!(
            !one.acquire_lease(&token, "one", at(301), ms(99)).await.unwrap(),
            "it was not theirs to give back"
        );
        other.release_lease(&token, "other").await.unwrap();
        assert!(one.acquire_lease(&token, "one", at(302), ms(98)).await.unwrap());
        assert!(other.acquire_lease(&another, "other", at(302), ms(98)).await.unwrap());
    });
}

#[test]
fn lease_written_by_a_clock_ahead_holds_nothing_up() {
    on_each(async |place| {
        let store = place.open().await.unwrap();
        let at = |secs: i64| StoreTime::new(EpochMs::new(secs * 1_000));
        let ttl = Duration::from_secs(8);
        let start = LeaseKey::new(LeaseKind::Start, "每日");
        assert!(store.acquire_lease(&start, "死者", at(3_600), ttl).await.unwrap());
        assert!(store.acquire_lease(&start, "活者", at(10), ttl).await.unwrap());
        // Clocks that differ a little leave a lease with its owner.
        assert!(!store.acquire_lease(&start, "又一个", at(1), ttl).await.unwrap());
    });
}

#[test]
fn time_of_a_servers_store_is_what_the_server_shows() {
    let Some(cluster) = cluster() else { return };
    run(async {
        let store = Store::postgres(&cluster.database()).await.unwrap();
        let shown = async || {
            let sql = "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)";
            let rows = store.query(Statement::new(sql)).await.unwrap();
            StoreTime::new(EpochMs::new(rows[0].integer(0).unwrap()))
        };
        let clock = Clock::system();
        let before = shown().await;
        let first = store.time(&clock).await.unwrap();
        // Continued by the monotonic clock.
        let second = store.time(&clock).await.unwrap();
        let shown = [before, first, second, shown().await];
        assert!(shown.is_sorted(), "{shown:?}");
    });
}

#[test]
fn time_of_a_store_advances_with_the_clock_of_a_test() {
    on_each(async |place| {
        let (store, clock, hour) = (place.open().await.unwrap(), Clock::system(), Duration::from_hours(1));
        let before = store.time(&clock).await.unwrap();
        clock.advance(hour);
        assert_eq!(store.time(&clock).await.unwrap().since(before).as_secs() / 60, 60);
    });
}

#[test]
fn budget_is_shared_and_counted_per_period() {
    on_each(async |place| {
        let (one, other) = (place.open().await.unwrap(), place.open().await.unwrap());
        for store in [&one, &other, &one] {
            assert!(store.take_from_budget("force", 5, 3).await.unwrap());
        }
        assert!(!other.take_from_budget("force", 5, 3).await.unwrap());
        assert_eq!(one.used_of_budget("force", 5).await.unwrap(), 3);
        assert!(other.take_from_budget("force", 6, 3).await.unwrap());
        assert_eq!(one.used_of_budget("force", 5).await.unwrap(), 0, "what is over is forgotten");
        assert!(one.take_from_budget("renew", 5, 1).await.unwrap());
    });
}

fn spent(endpoint: &str, day: i64, calls: i64) -> Spent {
    Spent { endpoint: endpoint.to_owned(), day, calls }
}

#[test]
fn concurrent_ledger_writes_add_up() {
    on_each(async |place| {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let store = place.open().await.unwrap();
            tasks.spawn(async move {
                for _ in 0..20 {
                    // Two lines in another order each time: they must not deadlock.
                    let mut lines = vec![spent("/user/get", 7, 1), spent("/tags/get", 7, 2)];
                    lines.rotate_left(number % 2);
                    lines.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
                    store.add_to_ledger("a", &lines).await.unwrap();
                }
                store.close().await;
            });
        }
        tasks.join_all().await;
        let store = place.open().await.unwrap();
        store.add_to_ledger("a", &[spent("/user/get", 7, -1), spent("/user/get", 8, 5)]).await.unwrap();
        store.add_to_ledger("b", &[spent("/user/get", 7, 1000)]).await.unwrap();
        store.mark_exhausted("a", "/tags/get", 7).await.unwrap();
        store.mark_exhausted("a", "/tags/new", 7).await.unwrap();
        let usage =
            |endpoint: &str, used, is_exhausted| Usage { endpoint: endpoint.to_owned(), used, is_exhausted };
        assert_eq!(
            store.usage("a", 7).await.unwrap().into_iter().flatten().collect::<Vec<_>>(),
            [usage("/tags/get", 320, true), usage("/tags/new", 0, true), usage("/user/get", 159, false)]
        );
        store.clear_exhausted("a", 7).await.unwrap();
        assert!(store.usage("a", 7).await.unwrap().iter().flatten().all(|usage| !usage.is_exhausted));
    });
}

#[test]
fn transaction_is_atomic() {
    on_each(async |place| {
        let store = place.open().await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        let add = || {
            Statement::new("UPDATE mpscript_ledger SET used = used + 1 WHERE account = $1 AND endpoint = $2")
                .with("a")
                .with("/x")
        };
        let of_nobody = Statement::new("UPDATE mpscript_ledger SET used = 9 WHERE account = $1")
            .with("nobody")
            .expecting(1);
        let error = store.transaction(vec![add(), of_nobody]).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
        let broken = Statement::new("UPDATE mpscript_ledger SET no_such_column = 1");
        assert!(store.transaction(vec![add(), broken]).await.is_err());
        let used = async || store.usage_of("a", "/x", 1).await.unwrap().map(|usage| usage.used);
        assert_eq!(used().await, Some(0));
        store.transaction(vec![add().expecting(1), add()]).await.unwrap();
        assert_eq!(used().await, Some(2));
    });
}

#[test]
fn concurrent_opens_create_the_tables_once() {
    on_each(async |place| {
        let (a, b, c, d) = tokio::join!(place.open(), place.open(), place.open(), place.open());
        for store in [a, b, c, d] {
            store.unwrap().mark_exhausted("a", "/x", 1).await.unwrap();
        }
    });
}

#[test]
fn store_of_a_newer_version_is_refused_untouched() {
    on_each(async |place| {
        let store = place.open().await.unwrap();
        store.save_token("a", "stable", &record("kept", 1)).await.unwrap();
        store.execute(Statement::new("UPDATE mpscript_schema SET version = 99")).await.unwrap();
        let error = place.open().await.unwrap_err();
        let place_name = store.location().to_owned();
        assert_eq!(error, StoreError::Newer { location: place_name.clone(), found: 99, known: 16 });
        assert_eq!(
            error.to_string(),
            format!("the store {place_name} is of version 99, and this mpscript knows versions up to 16")
        );
        assert!(!error.to_string().contains(PASSWORD));
        assert_eq!(store.token("a", "stable").await.unwrap().unwrap().token.reveal(), "kept");
    });
}

#[cfg(unix)]
#[test]
fn store_file_and_folder_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store.sqlite3");
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let mut files: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let modes: Vec<_> = files.iter().map(|file| (file.file_name().unwrap(), mode(file))).collect();
        // Its write-ahead log and the index of that are beside it.
        let expected = ["store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal"].map(OsStr::new);
        assert_eq!(modes, expected.map(|name| (name, 0o600)));
    });
}

#[cfg(unix)]
#[test]
fn store_file_readable_by_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let error = run(Store::sqlite(&path)).unwrap_err();
    assert_eq!(error.to_string(), format!("the store {} can be read by others", path.display()));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    run(Store::sqlite(&path)).unwrap();
}

#[test]
fn remote_store_without_tls_is_refused() {
    for mode in ["disable", "allow", "prefer"] {
        let url = Secret::new(format!("postgres://mpscript:{PASSWORD}@db.invalid/state?sslmode={mode}"));
        let error = run(Store::postgres(&url)).unwrap_err().to_string();
        let expected = "can't be opened: its sslmode would send tokens in clear text; use verify-full";
        assert!(error.contains(expected) && !error.contains(PASSWORD), "{error}");
    }
}

#[test]
fn locked_postgres_table_fails_with_locked() {
    let Some(cluster) = cluster() else { return };
    run(async {
        let url = cluster.database();
        let store = Store::postgres(&url).await.unwrap();
        let options: sqlx::postgres::PgConnectOptions = url.reveal().parse().unwrap();
        let mut other: sqlx::PgConnection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query("BEGIN").execute(&mut other).await.unwrap();
        sqlx::query("LOCK TABLE mpscript_token").execute(&mut other).await.unwrap();
        let error = store.token("a", "stable").await.unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
        assert!(store.token("a", "stable").await.unwrap().is_none());
    });
}

#[test]
fn postgres_limits_idle_transactions_to_10_seconds() {
    let Some(cluster) = cluster() else { return };
    run(async {
        let store = Store::postgres(&cluster.database()).await.unwrap();
        let rows = store.query(Statement::new("SHOW idle_in_transaction_session_timeout")).await.unwrap();
        assert_eq!(rows[0].text(0), Some("10s"));
    });
}

#[test]
fn foreign_file_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    fs::write(&path, "my diary\n".repeat(500)).unwrap();
    let error = run(Store::sqlite(&path)).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is no store of mpscript, or is damaged", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "my diary\n".repeat(500));
    let folder_error = run(Store::sqlite(folder.path())).unwrap_err();
    assert!(matches!(folder_error, StoreError::Unreachable { .. }), "{folder_error}");
}

#[test]
fn store_locked_by_another_process_fails_with_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut other: sqlx::SqliteConnection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
        let error = store.mark_exhausted("a", "/x", 1).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the store {} is locked by another process", path.display()));
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
    });
}

/// Limits a store to the pages that it has, or to as many as any store may have. SQLite's limit is one of a connection.
async fn limit_pages(store: &Store, sql: &'static str) {
    store.query(Statement::new(sql)).await.unwrap();
}

fn large_row(number: i64) -> Statement {
    let sql =
        "INSERT INTO mpscript_output (run, attempt, number, printed_at, text) VALUES ('长', 1, $1, 0, $2)";
    Statement::new(sql).with(number).with("满".repeat(200_000).as_str())
}

#[test]
fn store_that_was_full_works_once_there_is_room() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap();
        limit_pages(&store, "PRAGMA max_page_count = 1").await;
        let error = store.transaction(vec![large_row(1)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        limit_pages(&store, "PRAGMA max_page_count = 4294967294").await;
        assert_eq!(store.transaction(vec![large_row(1), large_row(2)]).await, Ok(vec![1, 1]));
    });
}

/// What a store says after something was done to the folder of its file.
fn error_after(change: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let path = state.join("store.sqlite3");
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        change(&state);
        let error = store.mark_exhausted("a", "/y", 1).await.unwrap_err();
        assert!(error.is_final(), "{error}");
        error.to_string().replace(&path.display().to_string(), "PATH")
    })
}

const REPLACED: &str = "the store PATH was deleted or replaced while it was in use";

#[test]
fn deleted_store_fails_with_replaced() {
    let delete = |state: &Path| fs::remove_file(state.join("store.sqlite3")).unwrap();
    assert_eq!(error_after(delete), REPLACED);
}

#[test]
fn store_in_a_deleted_folder_fails_with_replaced() {
    assert_eq!(error_after(|state| fs::remove_dir_all(state).unwrap()), REPLACED);
}

#[test]
fn store_replaced_by_a_copy_fails_with_replaced() {
    let replace = |state: &Path| {
        fs::copy(state.join("store.sqlite3"), state.join("copy")).unwrap();
        fs::rename(state.join("copy"), state.join("store.sqlite3")).unwrap();
    };
    assert_eq!(error_after(replace), REPLACED);
}

#[test]
fn store_without_its_log_fails_with_replaced() {
    let delete = |state: &Path| fs::remove_file(state.join("store.sqlite3-wal")).unwrap();
    assert_eq!(error_after(delete), REPLACED);
}

#[test]
fn store_overwritten_by_another_fails_with_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let another = folder.path().join("another");
    closed_store(&another);
    let overwrite = |state: &Path| fs::copy(&another, state.join("store.sqlite3")).unwrap();
    assert_eq!(error_after(|state| assert!(overwrite(state) > 0)), REPLACED);
}

#[test]
fn emptied_store_fails_with_replaced() {
    let empty = |state: &Path| drop(fs::File::create(state.join("store.sqlite3")).unwrap());
    assert_eq!(error_after(empty), REPLACED);
}

#[test]
fn truncated_store_fails_with_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    closed_store(&path);
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4_096).unwrap();
        let error = store.mark_exhausted("a", "/y", 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    });
}

#[test]
fn store_overwritten_by_an_older_copy_of_itself_fails_with_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["store", "copy"].map(|name| folder.path().join(name));
    closed_store(&path);
    fs::copy(&path, &copy).unwrap();
    run(async {
        // It grows.
        let store = Store::sqlite(&path).await.unwrap();
        store.transaction((1..=3).map(large_row).collect()).await.unwrap();
        store.close().await;
        let store = Store::sqlite(&path).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        fs::copy(&copy, &path).unwrap();
        let error = store.mark_exhausted("a", "/y", 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    });
}

#[test]
fn copy_that_has_overwritten_a_store_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["store", "copy"].map(|name| folder.path().join(name));
    closed_store(&copy);
    let bytes = fs::read(&copy).unwrap();
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
        fs::copy(&copy, &path).unwrap();
        store.mark_exhausted("a", "/y", 1).await.unwrap_err();
        store.close().await;
    });
    // The log of the store that was there would have been applied to the copy.
    assert!(!folder.path().join("store-wal").exists());
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn store_that_others_write_and_vacuum_stays_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    run(async {
        let store = Store::sqlite(&path).await.unwrap();
        let other = Store::sqlite(&path).await.unwrap();
        for round in 0..5 {
            other.transaction((1..=9).map(|row| large_row(9 * round + row)).collect()).await.unwrap();
            store.mark_exhausted("a", "/x", round).await.unwrap();
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            other.query(Statement::new(sql)).await.unwrap();
            store.mark_exhausted("b", "/x", round).await.unwrap();
        }
        other.execute(Statement::new("DELETE FROM mpscript_token")).await.unwrap();
        for sql in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            other.query(Statement::new(sql)).await.unwrap();
            store.mark_exhausted("c", "/x", 1).await.unwrap();
        }
        other.close().await;
        store.mark_exhausted("d", "/x", 1).await.unwrap();
        store.close().await;
    });
}

/// Makes a store, and closes it.
fn closed_store(path: &Path) {
    run(async {
        let store = Store::sqlite(path).await.unwrap();
        store.mark_exhausted("b", "/x", 1).await.unwrap();
        store.close().await;
    });
}

#[test]
fn hint_moves_a_store_away_only_when_it_is_damaged() {
    let error = run(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap();
        store.execute(Statement::new("UPDATE mpscript_ledger SET no_such_column = 1")).await.unwrap_err()
    });
    assert_eq!(error.hint(), "try again; the store was left as it is");
}

#[test]
fn unreachable_server_is_reported_without_its_password() {
    let url = Secret::new(format!("postgres://mpscript:{PASSWORD}@127.0.0.1:9/state"));
    let error = run(Store::postgres(&url)).unwrap_err().to_string();
    assert!(error.starts_with("the store postgres://127.0.0.1:9/state can't be opened: "), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
    let error =
        run(Store::postgres(&Secret::new(format!("postgres://{PASSWORD}@:x/")))).unwrap_err().to_string();
    assert!(error.contains("it is no URL like postgres://") && !error.contains(PASSWORD), "{error}");
    if let Some(cluster) = cluster() {
        let url = cluster.database();
        let wrong = Secret::new(url.reveal().replace(PASSWORD, "another"));
        let error = run(Store::postgres(&wrong)).unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("password authentication failed"), "{error}");
    }
}
