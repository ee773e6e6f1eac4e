//! The main job against a sandbox process of its own: how much faster it is with calls in flight
//! together, how many calls it makes, and what memory it takes.
//!
//!     cargo bench --bench main_job
//!
//! Times are ratios of runs of this one command; call counts and memory are held to their bounds. Of runs that are
//! compared the quickest counts: whatever else the machine does makes a run longer, never shorter.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod harness;

use harness::{Job, Outcome, Sandbox, peak};
use std::{
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Runs of each configuration; the fastest one counts.
const ATTEMPTS: usize = 3;

/// The least speed-up of concurrent calls over sequential ones.
const MIN_RATIO: f64 = 10.0;

/// Where the processors are too slow for that speed-up: the most time that the job may take, as a multiple of its time
/// with answers that have no latency.
const MAX_RATIO_TO_NO_LATENCY: f64 = 2.0;

/// The most memory by which a million followers may exceed a hundred thousand.
const MAX_GROWTH_KIB: u32 = 30 * 1024;

/// The most memory of a sandbox of a million followers.
const MAX_SANDBOX_KIB: u32 = 400 * 1024;

/// Runs the main script against a fresh sandbox; the sandbox's memory, and how long its start took.
fn run(followers: u32, latency: &str, in_flight: &str) -> Outcome<(Job, u32, Duration)> {
    let begin = Instant::now();
    let sandbox = Sandbox::start(followers, latency, &[])?;
    let started_in = begin.elapsed();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tag_qr_scene.rhai");
    let job = Job::run(&sandbox, &[script.as_os_str(), "--in-flight".as_ref(), in_flight.as_ref()])?;
    Ok((job, peak(sandbox.id()), started_in))
}

/// The quickest of some runs of the job.
fn quickest(followers: u32, latency: &str, in_flight: &str) -> Outcome<Job> {
    let (mut best, ..) = run(followers, latency, in_flight)?;
    for _ in 1..ATTEMPTS {
        let (job, ..) = run(followers, latency, in_flight)?;
        if job.seconds < best.seconds {
            best = job;
        }
    }
    Ok(best)
}

/// Prints the calls of a job beside their bounds; says whether all are within.
fn calls(job: &Job, followers: u32) -> bool {
    let matched = job.report["matched"].as_u64().unwrap_or_default();
    let bounds = [
        ("POST /cgi-bin/stable_token", 1),
        ("GET /cgi-bin/user/get", u64::from(followers.div_ceil(10_000)) + 1),
        ("POST /cgi-bin/user/info/batchget", u64::from(followers.div_ceil(100))),
        ("GET /cgi-bin/tags/get", 1),
        ("POST /cgi-bin/tags/create", 1),
        ("POST /cgi-bin/tags/members/batchtagging", matched.div_ceil(50)),
        // What is left of the day is asked for each of the three that take many calls.
        ("POST /cgi-bin/openapi/quota/get", 3),
    ];
    println!("\n{followers} followers, {matched} matched: calls and their bounds");
    let mut within = true;
    let made = job.report["calls"].as_object().cloned().unwrap_or_default();
    for (call, count) in &made {
        let count = count.as_u64().unwrap_or(u64::MAX);
        let bound = bounds.iter().find(|(known, _)| known == call).map_or(0, |(_, bound)| *bound);
        within &= count <= bound;
        println!("  {call:<44}{count:>7}  at most {bound}");
    }
    within && !made.is_empty()
}

fn bench() -> Outcome<bool> {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine: {}", load.trim());

    let (one, ..) = run(100_000, "20ms", "1")?;
    let many = quickest(100_000, "20ms", "32")?;
    let small = quickest(100_000, "0ms", "32")?;
    let ratio = one.seconds / many.seconds;
    let latency_ratio = many.seconds / small.seconds;
    println!("\n100000 followers, 20 ms an answer");
    println!("  --in-flight 1   {:>7.2} s", one.seconds);
    println!("  --in-flight 32  {:>7.2} s", many.seconds);
    println!("  ratio           {ratio:>7.1}   at least {MIN_RATIO}");
    println!("the same with no answer to wait for");
    println!("  --in-flight 32  {:>7.2} s", small.seconds);
    println!(
        "  ratio           {latency_ratio:>7.1}   at most {MAX_RATIO_TO_NO_LATENCY}, where that above is missed"
    );
    let mut good = calls(&many, 100_000);

    let (large, sandbox_kib, started_in) = run(1_000_000, "0ms", "32")?;
    good &= calls(&large, 1_000_000);
    let growth = large.peak_kib.saturating_sub(small.peak_kib);
    println!("\npeak memory of the client");
    println!("  at   100000 followers  {:>7} KiB", small.peak_kib);
    println!("  at  1000000 followers  {:>7} KiB in {:.2} s", large.peak_kib, large.seconds);
    println!("  growth                 {growth:>7} KiB, at most {MAX_GROWTH_KIB}");
    println!("\nsandbox of 1000000 followers");
    println!("  ready in               {:>7.2} s", started_in.as_secs_f64());
    println!("  peak memory            {sandbox_kib:>7} KiB, at most {MAX_SANDBOX_KIB}");
    good &= growth <= MAX_GROWTH_KIB && sandbox_kib <= MAX_SANDBOX_KIB;
    good &= ratio >= MIN_RATIO || latency_ratio <= MAX_RATIO_TO_NO_LATENCY;
    Ok(good)
}

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("\nsomething is out of its bounds");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("\nthe bench did not run: {error}");
            ExitCode::FAILURE
        }
    }
}
