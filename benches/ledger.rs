//! What counting a call costs: two million increments from eight tasks, written to a store as they are made.
//!
//! `cargo bench --bench ledger` prints nanoseconds an increment, the writes, and the machine's load.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on may panic, and prints"
)]

use mpscript::{
    api::quota::Reset,
    base::{Clock, Stopwatch},
    client::Ledger,
    store::Store,
};

const TASKS: u32 = 8;
const EACH: u32 = 250_000;
const PATHS: [&str; 4] = ["/cgi-bin/user/get", "/cgi-bin/tags/get", "/cgi-bin/user/info", "/card/create"];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap();
        let ledger = Ledger::new(store, "bench".to_owned(), Clock::system(), Reset::MIDNIGHT);
        ledger.start_writer();
        let watch = Stopwatch::start();
        let tasks = (0..TASKS).map(|task| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    ledger.count(PATHS[((task + number) % 4) as usize], 1);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let elapsed = watch.elapsed();
        ledger.write().await.unwrap();
        let each = elapsed.as_nanos() / u128::from(TASKS * EACH);
        println!(
            "{} increments from {TASKS} tasks: {each} ns each, {} writes",
            TASKS * EACH,
            ledger.writes()
        );
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load: {}", load.trim());
}
