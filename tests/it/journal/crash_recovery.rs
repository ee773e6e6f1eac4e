//! Runs that are killed again and again, with everything going wrong at the platform, until they have ended: the
//! account is then as a run without any fault would have left it.
//!
//! `MPSCRIPT_KILLS=200 cargo test --test it crash_recovery -- --nocapture` kills so often on each store; three of four times
//! at a point of the journal, else at any instant.

use crate::fixtures::{
    program::{Finished, Folder, TIMEOUT},
    runs::{newest_run, on_each_store},
    sandbox_process::SandboxProcess,
};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Kills on each store, unless `MPSCRIPT_KILLS` says otherwise.
const KILLS: u32 = 4;

const FOLLOWERS: &str = "50000";

/// Several ends, a loop with calls, and calls of every kind of resending.
const SCRIPT: &str = r#"
let card = card::general_card(#{logo_url: "http://mmbiz.qpic.cn/x/0", brand_name: "微信餐厅", color: "Color010",
    notice: "出示此券", description: "仅限堂食", quantity: 500, title: "礼品卡", fixed_term: 365});
let made = tag::create("逐个");
print(card::create(card).card_id.len() > 0);
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
    Folder::with(SCRIPT).shop(&sandbox.url(), "").env("MPSCRIPT_QUOTA_MINUTE", "300ms")
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

/// Kills a run until it has ended, at most `most` times; returns how often it was killed.
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

#[test]
fn repeatedly_killed_run_leaves_the_same_account_state() {
    let wanted = std::env::var("MPSCRIPT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("MPSCRIPT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(98_765);
    let expected = {
        let sandbox = sandbox();
        let finished = folder(&sandbox).run(&["run", "script.rhai", "--quiet"]);
        assert_eq!(finished.success(), "true\n4000 2500\n");
        sandbox.world()
    };
    on_each_store(|with_store| {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut kills, mut runs) = (0, 0);
        let since = Instant::now();
        while kills < wanted {
            let max = random.u32(4..=14).min(wanted - kills);
            kills += one_run(with_store, &mut random, max, &expected);
            runs += 1;
        }
        println!("{kills} kills of {runs} runs in {} s", since.elapsed().as_secs());
    });
}
