//! Runs that are killed again and again, by hand and in a daemon, with everything going wrong at the platform, until they
//! have ended: the account is then as a run without any fault would have left it.
//!
//! `MPSCRIPT_KILLS=200 cargo test --test it crash_recovery -- --nocapture` kills so often on each store. Runs by
//! hand are killed at a point of the journal three of four times, else at any instant; a daemon and the processes of its
//! runs at any instant.

use crate::fixtures::{
    processes::{children, signal, wait_for_child},
    program::{Finished, Folder, Running, TIMEOUT},
    runs::{newest_run, on_each_store, on_store, records_named},
    sandbox_process::SandboxProcess,
};
use serde_json::{Value, json};
use std::{
    io::{Write, stdout},
    thread,
    time::{Duration, Instant},
};

/// Kills on each store, unless `MPSCRIPT_KILLS` says otherwise.
const KILLS: u32 = 4;

const FOLLOWERS: &str = "50000";

/// A call that must not be made twice.
const CARD: &str = r#"
let card = card::general_card(#{logo_url: "http://mmbiz.qpic.cn/x/0", brand_name: "微信餐厅", color: "Color010",
    notice: "出示此券", description: "仅限堂食", quantity: 500, title: "礼品卡", fixed_term: 365});
let made = tag::create("逐个");
print(card::create(card).card_id.len() > 0);
"#;

/// Several ends, a loop with calls, and calls of every other kind of resending; `made` is a tag.
const CHANGES: &str = r#"
let tagged = followers().from_scene(98765).tag("展台").changed;
followers().filter(|u| u.qr_scene == 4711).each(|u| { tag::attach(made, [u]); user::remark(u, "逐个"); });
tag::update(made, "逐一");
followers().from_scene(98765).take(1500).untag("展台");
followers().filter(|u| u.qr_scene == 4712).remark(|u| `客户${u.openid.sub_string(24)}`);
followers().filter(|u| u.qr_scene == 4712).block();
print(`${tagged} ${members("展台").count()}`);
"#;

/// The faults of the platform, one line each.
fn faults(sandbox: &SandboxProcess) {
    let attach = "/cgi-bin/tags/members/batchtagging";
    let details = "/cgi-bin/user/info/batchget";
    for fault in [
        json!({"path": details, "errcode": -1, "every": 97}),
        json!({"path": details, "status": 502, "every": 131}),
        json!({"path": details, "drop": "before", "every": 151}),
        json!({"path": attach, "errcode": -1, "every": 17}),
        json!({"path": attach, "drop": "after", "every": 19}),
        json!({"path": attach, "drop": "before", "every": 23}),
        json!({"path": attach, "status": 502, "every": 29}),
        json!({"path": attach, "errcode": 45011, "every": 61}),
        json!({"path": "/cgi-bin/user/info/updateremark", "drop": "after", "every": 7}),
        json!({"path": "/cgi-bin/tags/members/batchblacklist", "errcode": -1, "every": 3}),
        json!({"path": "/cgi-bin/user/get", "errcode": -1, "every": 5}),
    ] {
        sandbox.control("faults", &fault);
    }
}

fn sandbox() -> SandboxProcess {
    SandboxProcess::start(&[
        "--followers",
        FOLLOWERS,
        "--scene",
        "98765=4000",
        "--scene",
        "4711=60",
        "--scene",
        "4712=40",
        "--latency",
        "4ms",
    ])
}

fn folder(sandbox: &SandboxProcess) -> Folder {
    // The platform's minute is as long as this says.
    Folder::with(&[CARD, CHANGES].concat()).shop(&sandbox.url(), "").env("MPSCRIPT_QUOTA_MINUTE", "300ms")
}

/// Where a process is to die.
enum Death {
    /// When it passes a point of the journal for so many times.
    Point(&'static str, u32),
    /// After so long.
    After(Duration),
}

fn death(random: &mut fastrand::Rng) -> Death {
    if random.u32(0..4) == 0 {
        return Death::After(Duration::from_millis(random.u64(50..3_000)));
    }
    let points = [
        ("batch-intent", 20),
        ("batch-call", 20),
        ("batch-outcome", 20),
        ("checkpoint", 3),
        ("call-intent", 30),
        ("call-made", 30),
    ];
    let (point, max) = points[random.usize(..points.len())];
    Death::Point(point, random.u32(1..=max))
}

/// Starts or resumes the run and kills it; what it left behind if it ended by itself.
fn live(folder: &Folder, arguments: &[&str], death: &Death) -> Option<Finished> {
    // At one point there is the next process's own word for it.
    let point = match death {
        Death::Point(name, number) => format!("{name}:{number}"),
        Death::After(_) => String::new(),
    };
    let running = folder.start_with(arguments, &[("MPSCRIPT_FAIL_POINT", &point)]);
    if let Death::After(time) = death {
        let since = Instant::now();
        while since.elapsed() < *time && running.is_alive() {
            thread::sleep(Duration::from_millis(1));
        }
        if running.is_alive() {
            running.signal("KILL");
        }
    }
    let finished = running.finish();
    finished.code.is_some().then_some(finished)
}

/// Kills a run until it has ended, at most `max` times; returns how often it was killed.
fn one_run(with_store: fn(Folder) -> Folder, random: &mut fastrand::Rng, max: u32, expected: &Value) -> u32 {
    let sandbox = sandbox();
    faults(&sandbox);
    let folder = with_store(folder(&sandbox));
    let (mut kills, mut revoked) = (0, 0);
    let mut arguments = vec!["run".to_owned(), "script.rhai".to_owned()];
    arguments.extend(["--quiet", "--in-flight", "6"].map(str::to_owned));
    let mut listed = 0;
    let finished = loop {
        let death = if kills < max { death(random) } else { Death::After(TIMEOUT) };
        if revoked < 3 && random.u32(0..4) == 0 {
            revoked += 1;
            sandbox.control("tokens/revoke", &json!({}));
        }
        let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let before = sandbox.calls("GET /cgi-bin/user/get");
        let ended = live(&folder, &given, &death);
        listed = listed.max(sandbox.calls("GET /cgi-bin/user/get") - before);
        let Some(run) = newest_run(&folder)["id"].as_str().map(str::to_owned) else {
            // It died before it was recorded: nothing was done, and it is started from scratch.
            kills += 1;
            continue;
        };
        arguments = ["resume", run.as_str(), "--quiet"].map(str::to_owned).to_vec();
        match ended {
            None => kills += 1,
            // It is parked at the call that must not be made twice: look whether it was made.
            Some(finished) if finished.code == Some(5) => {
                assert!(finished.err.contains("must not be done twice"), "{}", finished.err);
                let cards = sandbox.get("/__sandbox/cards");
                match cards.as_array().and_then(|cards| cards.first()) {
                    None => arguments.extend(["--resolve", "retry"].map(str::to_owned)),
                    Some(card) => {
                        let answer = json!({"card_id": card["card_id"]}).to_string();
                        arguments.extend(["--resolve", "completed", "--answer", &answer].map(str::to_owned));
                    }
                }
            }
            Some(finished) => break finished,
        }
    };
    assert_eq!(finished.code, Some(0), "{} {}", finished.out, finished.err);
    assert_eq!(&sandbox.world(), expected, "after {kills} kills: {} {}", finished.out, finished.err);
    assert_eq!(finished.out.lines().last(), Some("4000 2500"));
    // Made once each, whatever happened.
    assert_eq!(sandbox.get("/__sandbox/cards").as_array().map(Vec::len), Some(1));
    // Five ends of five pages, and no attempt lists more than those and what was refused of it.
    assert!(listed <= 5 * 5 * 5 / 4 + 1, "{listed} pages in one attempt");
    let all = sandbox.calls("GET /cgi-bin/user/get");
    assert!(all <= u64::from(5 * 5 + 3 * kills) * 5 / 4 + 1, "{all} pages in all, after {kills} kills");
    kills
}

/// The account after a run of `script.rhai` without any fault.
fn undisturbed(folder: impl FnOnce(&SandboxProcess) -> Folder, printed: &str) -> Value {
    let sandbox = sandbox();
    let finished = folder(&sandbox).run(&["run", "script.rhai", "--quiet"]);
    assert_eq!(finished.success(), printed);
    sandbox.world()
}

/// Works on each store until so many processes were killed, and prints how many. `work` is given the most that it may kill,
/// and says how many it has killed.
fn kill_on_each_store(work: impl Fn(fn(Folder) -> Folder, &mut fastrand::Rng, u32) -> u32) {
    let wanted = std::env::var("MPSCRIPT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("MPSCRIPT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(98_765);
    on_each_store(|with_store| {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut kills, mut runs) = (0, 0);
        let since = Instant::now();
        while kills < wanted {
            let max = random.u32(4..=14).min(wanted - kills);
            kills += work(with_store, &mut random, max);
            runs += 1;
        }
        let _ = writeln!(stdout(), "{kills} kills of {runs} runs in {} s", since.elapsed().as_secs());
    });
}

#[test]
fn repeatedly_killed_run_leaves_the_same_account_state() {
    let expected = undisturbed(folder, "true\n4000 2500\n");
    kill_on_each_store(|with_store, random, max| one_run(with_store, random, max, &expected));
}

/// What a daemon runs, each second until the work was done once.
fn automation() -> String {
    format!(
        "const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\n\
         fn run(ctx) {{ if ctx.state?.done ?? false {{ return; }} let made = tag::create(\"逐个\"); {CHANGES} \
         ctx.state.done = true; }}"
    )
}

/// The most processes of one run that are killed while their daemon lives: an automation whose processes die five times in
/// a row is paused.
const MAX_DEATHS: u32 = 4;

/// Kills a daemon or the process of its run until the run has ended, `max` times; returns how often.
fn one_run_of_a_daemon(
    with_store: fn(Folder) -> Folder,
    random: &mut fastrand::Rng,
    max: u32,
    expected: &Value,
) -> u32 {
    let sandbox = sandbox();
    faults(&sandbox);
    let folder = with_store(folder(&sandbox)).file("jobs/逐个.rhai", automation());
    let start = || folder.start(&["serve", "jobs", "--in-flight", "6"]);
    let done = || {
        on_store(&folder, async |store| {
            let records = records_named(store, "逐个").await;
            records.iter().any(|record| record.state == r#"{"done":true}"#)
        })
    };
    // The next fire would repeat the work of a failed run from its beginning.
    let assert_unfailed = |daemon: &Running| {
        let log = daemon.stdout();
        assert!(!log.contains(": failed"), "{log}");
    };
    let mut daemon = start();
    let (mut kills, mut deaths) = (0, 0);
    while kills < max && !done() {
        let child = (deaths < MAX_DEATHS && random.bool()).then(|| wait_for_child(&daemon));
        thread::sleep(Duration::from_millis(random.u64(50..3_000)));
        match child {
            // It may have ended, and another one may have been started.
            Some(child) if children(&daemon).contains(&child) => {
                signal(child, "KILL");
                deaths += 1;
            }
            Some(_) => continue,
            None => {
                daemon.signal("KILL");
                assert_unfailed(&daemon);
                daemon = start();
            }
        }
        kills += 1;
    }
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < TIMEOUT, "it does not end after {kills} kills: {}", daemon.stdout());
        assert_unfailed(&daemon);
        thread::sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(0), "{} {}", finished.out, finished.err);
    assert_eq!(&sandbox.world(), expected, "after {kills} kills: {} {}", finished.out, finished.err);
    kills
}

#[test]
fn repeatedly_killed_daemon_and_processes_of_runs_leave_the_same_account_state() {
    let script = ["let made = tag::create(\"逐个\");", CHANGES].concat();
    let undisturbed_folder = |sandbox: &SandboxProcess| folder(sandbox).file("script.rhai", script.as_str());
    let expected = undisturbed(undisturbed_folder, "4000 2500\n");
    kill_on_each_store(|with_store, random, max| one_run_of_a_daemon(with_store, random, max, &expected));
}
