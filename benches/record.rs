//! What recording a run costs: a thousand runs of one script of 20 KB with its imports.
//!
//! `cargo bench --bench record` prints the time and the bytes of the store a run, and the machine's load. The store is a
//! file; with `MPSCRIPT_BENCH_STORE=postgres://…` it is that database, which must be empty.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on may panic, and prints"
)]

use mpscript::{
    base::{EpochMs, Secret, Stopwatch},
    store::{RunPayload, RunRecord, StartedBy, Statement, Store, StoreTime},
};

const RUNS: u32 = 1_000;

/// The bytes of the store, without what is free in it.
const SQLITE_BYTES: &str = "SELECT (p.page_count - f.freelist_count) * s.page_size
    FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
const POSTGRES_BYTES: &str = "SELECT CAST(SUM(pg_total_relation_size(oid)) AS BIGINT) FROM pg_class
    WHERE relkind = 'r' AND relname LIKE 'mpscript%'";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = std::env::var("MPSCRIPT_BENCH_STORE").ok();
        let store = match &server {
            Some(url) => Store::postgres(&Secret::new(url.clone())).await.unwrap(),
            None => Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap(),
        };
        // Databases compress what repeats.
        let mut random = fastrand::Rng::with_seed(1);
        let line = |_| format!("followers().filter(|u| u.qr_scene == {}).tag(\"老客户\");\n", random.u64(..));
        let payload = RunPayload { source: (0..250).map(line).collect(), ..RunPayload::default() };
        let watch = Stopwatch::start();
        for number in 0..RUNS {
            let run = RunRecord::started(
                &format!("r{number}"),
                StartedBy::Command,
                EpochMs::new(1),
                StoreTime::new(EpochMs::new(1)),
            );
            store.add_run(&run, &payload).await.unwrap();
        }
        let each = watch.elapsed().as_micros() / u128::from(RUNS);
        let bytes = if server.is_some() { POSTGRES_BYTES } else { SQLITE_BYTES };
        let bytes =
            store.query(Statement::new(bytes)).await.unwrap()[0].integer(0).unwrap() / i64::from(RUNS);
        println!("{RUNS} runs: {each} µs and {bytes} bytes each");
        store.close().await;
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load: {}", load.trim());
}
