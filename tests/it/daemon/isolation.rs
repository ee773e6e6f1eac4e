//! `mpscript serve` beside scripts that end, fill or hang their processes: each harms its own run only.

use super::metrics::{get, measured, measured_with};
use crate::fixtures::{
    daemon::DaemonFixture,
    postgres::is_root,
    processes::{signal, wait_for_child},
    program::{Folder, Running, TIMEOUT},
    runs::{fires_of, id_of},
    sandbox_process::SandboxProcess,
};
use mpscript::{
    base::{EpochMs, ProcessId},
    run::runtime,
    sandbox::DEFAULT_SECRET,
    store::FireState,
};
use std::{fs, process::Command, slice::from_mut, thread, time::Duration, time::Instant};

/// An automation that fires each second.
fn every_second(more: &str, run: &str) -> String {
    format!("const automation = #{{ on: [ #{{ every: \"1s\" }} ]{more} }};\nfn run(ctx) {{ {run} }}")
}

fn folder() -> Folder {
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3");
    folder.file("jobs/healthy.rhai", every_second("", "print(\"well\")"))
}

fn serve(folder: &Folder, sandbox: &SandboxProcess, more: &[&str]) -> Running {
    folder.start(&[&["serve", "jobs", "--base-url", &sandbox.url()], more].concat())
}

/// The most memory that a process has taken, in MiB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.and_then(|kib| kib.parse::<u64>().ok()).expect("a process has a peak") / 1024
}

/// The states of the fires of an automation whose daemon has ended, and until when it is paused.
fn fires_and_pause(folder: &Folder, automation: &str) -> (Vec<FireState>, Option<EpochMs>) {
    runtime().expect("the system gives threads").block_on(async {
        let store = folder.store().await;
        let id = id_of(&store, automation).await;
        let mut fires = fires_of(&store, &id).await;
        fires.retain(|fire| !fire.state.is_marker());
        let record = store.automation(&id).await.expect("the store works").expect("it is served");
        store.close().await;
        (fires.into_iter().map(|fire| fire.state).collect(), record.paused_until)
    })
}

/// No fire of the healthy automation has failed, and it is not paused. One that comes while the last one still runs is
/// skipped, which is left to time, so that the states of the fires are bounded and not counted.
#[track_caller]
fn assert_healthy(folder: &Folder, log: &str) {
    let (fires, paused_until) = fires_and_pause(folder, "healthy");
    let is_well = |state: &FireState| [FireState::Done, FireState::Skipped].contains(state);
    // The newest may have been running at the end.
    assert!(fires.iter().skip(1).all(is_well) && paused_until.is_none(), "{fires:?} {log}");
    assert!(fires.iter().filter(|state| **state == FireState::Done).count() >= 2, "{fires:?} {log}");
}

/// Errors of a script that are longer than a line to the daemon may be are errors of the script, and not of its process.
#[test]
fn script_error_of_megabytes_fails_its_fire_and_pauses_nothing() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let cases = [
        ("抛出", "throw s", "… 1783617 more bytes"),
        ("抛出控制", "let c = \"\\x01\"; c.pad(1_800_000, \"\\x01\"); throw c", "… 1783616 more bytes"),
        ("路径", "api::get(s)", "api::get: `path` is 1800000 bytes long, and an address has room for 8192"),
        ("表格", "openids_from(s).count()", "can't read openids from `信信"),
        ("标签", "followers().tag(s)", "信信"),
        (
            "换码",
            "oauth::exchange(s)",
            "oauth::exchange: `code` is 1800000 bytes long, and an address has room for 8192",
        ),
        ("查询", "api::get(\"/cgi-bin/menu/get\", #{a: s})", "api::get: `a` is 1800000 bytes long"),
    ];
    let mut folder = folder();
    for (name, script, _) in cases {
        let script = format!("let s = \"信\"; s.pad(600_000, \"信\"); {script}");
        folder = folder.file(&format!("jobs/{name}.rhai"), every_second("", &script));
    }
    let daemon = serve(&folder, &sandbox, &[]);
    let since = Instant::now();
    let failures = |name: &str| {
        let log = daemon.stdout();
        let of_it =
            log.lines().filter(|line| line.contains(&format!(" {name} ")) && line.contains(": failed: "));
        of_it.map(str::to_owned).collect::<Vec<_>>()
    };
    for (name, _, reason) in cases {
        while failures(name).is_empty() {
            assert!(since.elapsed() < TIMEOUT, "{name} does not fail: {}", daemon.stdout());
            thread::sleep(Duration::from_millis(20));
        }
        let line = &failures(name)[0];
        assert!(line.contains(reason) && line.len() < 64 << 10, "{name}: {} bytes: {line:.300}", line.len());
    }
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert!(!finished.out.contains("its process was killed"));
    for (name, ..) in cases {
        let (fires, paused_until) = fires_and_pause(&folder, name);
        assert!(fires.contains(&FireState::Failed) && paused_until.is_none(), "{name}: {fires:?}");
    }
}

#[test]
fn automation_whose_process_dies_five_times_is_paused_and_no_other() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder =
        folder().file("jobs/guilty.rhai", every_second("", "print(`begins ${ctx.run}`); sleep(3600)"));
    let daemon = serve(&folder, &sandbox, &[]);
    let runtime = runtime().expect("the system gives threads");
    for deaths in 1..=5 {
        let since = Instant::now();
        while daemon.stdout().matches(": begins ").count() < deaths {
            assert!(since.elapsed() < TIMEOUT, "no attempt {deaths}: {}", daemon.stdout());
            thread::sleep(Duration::from_millis(5));
        }
        let out = daemon.stdout();
        let run = out.split(": begins ").nth(1).and_then(|rest| rest.get(..6)).expect("it was printed");
        let owner = runtime.block_on(async {
            let store = folder.store().await;
            let record = store.run(run).await.expect("the store works").expect("it is recorded");
            store.close().await;
            record.owner
        });
        signal(owner.parse::<ProcessId>().expect("a process owns it").pid, "KILL");
    }
    daemon.wait_for("died 5 times while it was running; the automation is paused: mpscript unpause guilty");
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.out);
    assert_healthy(&folder, &finished.out);
}

#[test]
fn deadly_scripts_leave_the_daemon_and_the_healthy_automation_well() {
    const DEADLY: [(&str, &str); 4] = [
        ("nested", "let a = []; for i in 0..100000 { let b = a; a = []; let f = || b; a = [f]; }"),
        ("double", "let s = \"x\"; loop { s += s; }"),
        ("endless", "loop { try { loop { } } catch { } }"),
        ("state", "let s = \"x\"; s.pad(20000000, \"y\"); ctx.state.s = s"),
    ];
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = DEADLY.into_iter().fold(folder(), |folder, (name, run)| {
        folder.file(&format!("jobs/{name}.rhai"), every_second(", timeout: \"3s\"", run))
    });
    let daemon = serve(&folder, &sandbox, &["--run-memory", "256MiB", "--grace", "5s"]);
    let has_ended = |name: &str| {
        let is_end = |line: &str| ["has died", "failed", "timed_out"].iter().any(|end| line.contains(end));
        daemon.stdout().lines().any(|line| line.contains(&format!(" {name} ")) && is_end(line))
    };
    for (name, _) in DEADLY {
        let since = Instant::now();
        while !has_ended(name) {
            assert!(since.elapsed() < TIMEOUT, "{name} goes on: {}", daemon.stdout());
            thread::sleep(Duration::from_millis(20));
        }
    }
    let peak = peak_memory(daemon.id());
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.out);
    assert!(peak < 100, "the daemon took {peak} MiB");
    assert_healthy(&folder, &finished.out);
}

#[test]
#[cfg(target_os = "linux")]
fn run_that_takes_more_and_more_memory_fails_with_an_error() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = every_second(
        "",
        "let s = \"x\"; for i in 0..20 { s += s; } let all = []; loop { let t = s; t += \"y\"; all.push(t); sleep(0.005); }",
    );
    let folder = Folder::new().account().file("jobs/grows.rhai", job);
    let daemon = serve(&folder, &sandbox, &["--run-memory", "256MiB"]);
    daemon.wait_for("the script has taken more than 192 MiB of memory, three quarters of --run-memory");
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert!(!finished.out.contains("has died"), "{}", finished.out);
}

#[test]
fn killed_process_of_a_run_is_replaced_by_another_attempt() {
    let sandbox = SandboxProcess::start(&["--followers", "2000", "--latency", "40ms"]);
    let job = every_second(
        ", overlap: \"forbid\"",
        "let r = followers().tag(\"甲\"); print(`all ${r.changed + r.already}`)",
    );
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &["--in-flight", "2"]);
    sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
    signal(wait_for_child(&daemon), "KILL");
    daemon.wait_for("its process has died (signal: 9 (SIGKILL))");
    daemon.wait_for("resumed, attempt 2");
    daemon.wait_for(": all ");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
    assert_eq!(sandbox.tagged("甲").map(|tagged| tagged >= 1_990), Some(true));
}

#[test]
fn processes_of_runs_end_with_their_killed_daemon() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = every_second("", "print(\"begins\"); sleep(3600)");
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": begins");
    let child = wait_for_child(&daemon);
    daemon.signal("KILL");
    let since = Instant::now();
    let is_alive = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while is_alive() {
        assert!(since.elapsed() < TIMEOUT, "it outlives its daemon");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn process_that_does_not_hear_its_timeout_is_killed() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = every_second(", timeout: \"1s\"", "print(\"begins\"); sleep(3600)");
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &["--grace", "1s"]);
    daemon.wait_for(": begins");
    signal(wait_for_child(&daemon), "STOP");
    daemon.wait_for("timed_out: it took longer than 1s");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn run_stopped_by_a_command_ends_in_its_process() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = every_second("", "print(`begins ${ctx.run}`); sleep(3600)");
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": begins ");
    let out = daemon.stdout();
    let run = out.split(": begins ").nth(1).and_then(|rest| rest.get(..6)).expect("it was printed");
    assert_eq!(folder.run(&["stop", run]).code, Some(0));
    daemon.wait_for("stopped on request");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn parallel_runs_that_never_end_leave_room_for_others() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let endless = every_second(", overlap: \"parallel\", max_parallel: 2", "sleep(3600)");
    let folder = folder().file("jobs/endless.rhai", endless);
    let daemon = serve(&folder, &sandbox, &["--max-parallel", "6", "--grace", "5s"]);
    daemon.wait_for("skipped: 2 of its runs are running (max_parallel: 2)");
    let before = daemon.stdout().matches(": well").count();
    let since = Instant::now();
    while daemon.stdout().matches(": well").count() < before + 3 {
        assert!(since.elapsed() < TIMEOUT, "the healthy one waits: {}", daemon.stdout());
        thread::sleep(Duration::from_millis(20));
    }
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

/// A number in the `stat` of a thread, by its place after the name: the state has the first.
const PRIORITY: usize = 16;
const POLICY: usize = 38;

/// The policy of a thread that gets only what no other thread of the machine wants (`SCHED_IDLE`).
const IDLE: i32 = 5;

/// A number of each of a process's threads, those of its scripts or the others.
fn of_threads(process: u32, of_scripts: bool, place: usize) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs").filter_map(Result::ok);
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    let number = |stat: String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        ((name == "script") == of_scripts).then(|| rest.split(' ').nth(place)?.parse().ok()).flatten()
    };
    stats.filter_map(number).collect()
}

/// The script of a run computes without end: waits until a number of its thread is this.
#[track_caller]
fn wait_for_endless_script(check: impl FnOnce(u32), place: usize, expected: i32) {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new()
        .account()
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("jobs/endless.rhai", every_second("", "loop { }"));
    let daemon = serve(&folder, &sandbox, &["--grace", "1s"]);
    let run = wait_for_child(&daemon);
    let since = Instant::now();
    while of_threads(run, true, place) != [expected] {
        assert!(since.elapsed() < TIMEOUT, "it is {:?}", of_threads(run, true, place));
        thread::sleep(Duration::from_millis(100));
    }
    check(run);
    daemon.signal("TERM");
    daemon.finish();
}

#[test]
fn script_that_computes_without_end_gets_the_lowest_priority() {
    let keep_theirs = |run| {
        let others = of_threads(run, false, PRIORITY);
        assert!(others.iter().all(|priority| *priority < 10), "threads that may hold the store: {others:?}");
    };
    wait_for_endless_script(keep_theirs, PRIORITY, 19);
}

#[test]
fn script_that_computes_without_end_gives_way_to_all_others() {
    wait_for_endless_script(|_| {}, POLICY, IDLE);
}

#[test]
fn run_prints_ten_mebibytes_at_the_most() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = every_second("", "let s = \"\"; s.pad(100000, \"微\"); for i in 0..300 { print(s) }");
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for("were not printed: a run prints 10 MiB at the most");
    let peak = peak_memory(daemon.id());
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
    assert!(peak < 100, "the daemon took {peak} MiB");
}

#[test]
fn large_state_fails_the_run_with_its_size() {
    let job = every_second("", "let s = \"\"; s.pad(2000000, \"x\"); ctx.state.s = s");
    let fixture = DaemonFixture::of(&[("job.rhai", &job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(Duration::from_secs(1), from_mut(&mut daemon));
    let text = fixture.log.text();
    assert!(text.contains("ctx.state is 2000008 bytes as JSON, and 1048576 are kept"), "{text}");
}

#[test]
fn record_of_a_done_run_keeps_no_large_state() {
    let job = every_second("", "let s = \"\"; s.pad(100000, \"微\"); ctx.state.s = s");
    let fixture = DaemonFixture::of(&[("job.rhai", &job)]);
    let mut daemon = fixture.daemon();
    for _ in 0..3 {
        fixture.advance_and_settle(Duration::from_secs(1), from_mut(&mut daemon));
    }
    let options =
        |run: &str| fixture.wait(fixture.store().run_payload(run)).expect("the store works").options;
    let sizes: Vec<usize> = fixture.fires("job").iter().map(|fire| options(&fire.run).len()).collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size < 4_096), "{sizes:?}");
}

#[test]
fn process_of_a_run_has_no_secret_but_can_exchange_a_code() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let script = "let code = api::post(\"/__sandbox/oauth/code\", #{scope: \"snsapi_base\"}).code;\n\
                  print(`openid ${oauth::exchange(code).openid}`);\n\
                  try { oauth::exchange(\"x\") } catch (e) { print(`errcode ${e.errcode}`) }\n\
                  sleep(3600)";
    let job = every_second("", script);
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let daemon = serve(&folder, &sandbox, &["--grace", "5s"]);
    daemon.wait_for(": openid o");
    daemon.wait_for(": errcode 40029");
    let child = wait_for_child(&daemon);
    // Only root can read the environment of a process that can't be dumped.
    let environment = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
    let arguments = fs::read(format!("/proc/{child}/cmdline")).expect("it runs");
    for text in [environment, arguments].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        assert!(!text.contains(DEFAULT_SECRET) && !text.contains("MPSCRIPT_"), "{text}");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

/// Waits until the daemon says this of its readiness.
#[track_caller]
fn wait_for_readiness(place: &str, status: &str, words: &str) {
    let since = Instant::now();
    loop {
        let (line, body) = get(place, "GET", "/readyz");
        if line.contains(status) && body.contains(words) {
            return;
        }
        assert!(since.elapsed() < TIMEOUT, "{line} {body}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn run_without_a_thread_waits_and_the_daemon_is_not_ready() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", every_second("", "print(\"跑\")"));
    // Less than the stack of the script's thread.
    let (daemon, place) = measured_with(&folder, &sandbox, &["--run-memory", "8MiB"]);
    daemon.wait_for("no thread for the script: ");
    wait_for_readiness(&place, " 503 ", "a run can't start: no thread for the script: ");
    daemon.wait_for(", attempt 2");
    assert!(!daemon.stdout().contains(": failed"), "{}", daemon.stdout());
}

/// Leaves a process so few descriptors that it can accept a connection, but start no process; `None` ends the limit.
fn limit_descriptors(process: &Running, left: Option<usize>) {
    let open = || -> Vec<usize> {
        let folder = fs::read_dir(format!("/proc/{}/fd", process.id())).expect("root may read it");
        folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    };
    let limit = left.map_or(4_096, |left| {
        let open = open();
        let free = |limit: usize| limit - open.iter().filter(|number| **number < limit).count();
        (0..4_096).find(|limit| free(*limit) == left).expect("a process has fewer open files")
    });
    let limit = format!("--nofile={limit}:4096");
    let done = Command::new("prlimit").args(["--pid", &process.id().to_string(), &limit]).status();
    assert!(done.expect("there is a prlimit").success());
}

#[test]
fn fire_without_a_process_waits_until_the_system_gives_one() {
    if !is_root() {
        eprintln!("not tested: only root may count the descriptors of another process");
        return;
    }
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let script = "const automation = #{ on: [ #{ every: \"10s\" } ] };\nfn run() { print(\"跑\") }";
    let folder = Folder::new().account().file("jobs/tick.rhai", script);
    let (daemon, place) = measured(&folder, &sandbox);
    daemon.wait_for("info  tick: live");
    limit_descriptors(&daemon, Some(2));
    daemon.wait_for("error tick: it waits: the system gives it no process: ");
    wait_for_readiness(&place, " 503 ", "a run can't start: the system gives it no process: ");
    limit_descriptors(&daemon, None);
    daemon.wait_for(": 跑\n");
    wait_for_readiness(&place, " 200 ", "ok");
}
