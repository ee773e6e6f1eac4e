//! A folder whose files are edited without an end while it is served: no fire is lost or doubled, no run sees two versions,
//! and the daemon stays.

use crate::{
    daemon::metrics::{get, measured},
    fixtures::{
        program::Folder,
        runs::{fires_of, id_of},
        sandbox_process::SandboxProcess,
    },
};
use mpscript::{
    base::{Clock, EpochMs, Stopwatch},
    run::runtime,
    store::FireState,
};
use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

const AUTOMATIONS: usize = 50;

const LIBRARIES: usize = 5;

const EDITS: usize = 1_000;

/// Between fires of an automation.
const EVERY: Duration = Duration::from_secs(10);

/// A file that is read while it is replaced may be seen together with what another held so long ago.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// It says its version and its library's, before and after a while.
fn automation(at: usize, version: usize) -> String {
    let library = at % LIBRARIES;
    format!(
        "import \"lib/part{library}\" as part;\n\
         const automation = #{{ on: [ #{{ every: \"10s\" }} ], overlap: \"queue\", catch_up: \"all\" }};\n\
         fn mine() {{ {version} }}\n\
         fn run(ctx) {{\n    let before = `${{mine()}} ${{part::version()}}`;\n    sleep(0.2);\n    \
         print(`versions ${{before}} ${{mine()}} ${{part::version()}}`);\n}}"
    )
}

fn library(version: usize) -> String {
    format!("fn version() {{ {version} }}")
}

fn now() -> EpochMs {
    Clock::system().now()
}

/// When each version of a file was written.
#[derive(Default)]
struct History(BTreeMap<usize, EpochMs>);

impl History {
    /// From when to when it was what the file held.
    fn of(&self, version: usize) -> (EpochMs, EpochMs) {
        let from = *self.0.get(&version).unwrap_or_else(|| panic!("{version} was never written"));
        (from, self.0.range(version + 1..).next().map_or(EpochMs::MAX, |(_, until)| *until))
    }
}

/// Saves a file as one of the ways in which that is done.
fn save(path: &Path, text: &str, way: u32) {
    if way == 0 {
        fs::write(path, text).expect("it can be written");
        return;
    }
    let beside = path.with_extension("tmp~");
    fs::write(&beside, text).expect("it can be written");
    fs::rename(&beside, path).expect("it can be moved");
}

#[test]
fn thousand_edits_lose_no_fire_and_mix_no_revisions() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let mut folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3");
    for at in 0..LIBRARIES {
        folder = folder.file(&format!("jobs/lib/part{at}.rhai"), library(0));
    }
    for at in 0..AUTOMATIONS {
        folder = folder.file(&format!("jobs/job{at:02}.rhai"), automation(at, 0));
    }
    let path = |name: &str| folder.path().join("jobs").join(name);
    let mut mains: Vec<History> =
        (0..AUTOMATIONS).map(|_| History([(0, EpochMs::default())].into())).collect();
    let mut parts: Vec<History> = (0..LIBRARIES).map(|_| History([(0, EpochMs::default())].into())).collect();
    let (daemon, place) = measured(&folder, &sandbox);
    daemon.wait_for("job49: live");
    let mut random = fastrand::Rng::with_seed(815);
    for edit in 1..=EDITS {
        assert!(daemon.is_alive());
        if edit % 100 == 0 {
            assert_eq!(
                (get(&place, "GET", "/healthz").1, get(&place, "GET", "/readyz").1),
                ("ok\n".into(), "ok\n".into())
            );
        }
        let way = random.u32(0..3);
        match random.u32(0..10) {
            0 => {
                let at = random.usize(0..LIBRARIES);
                parts[at].0.insert(edit, now());
                save(&path(&format!("lib/part{at}.rhai")), &library(edit), way);
            }
            // Broken: the last good version keeps running until the file is saved once more.
            1 => {
                let at = random.usize(0..AUTOMATIONS);
                let broken = ["let a = ;", "const automation = #{ on: [] };", "", "fn run() { unknown() }"];
                save(&path(&format!("job{at:02}.rhai")), broken[random.usize(0..broken.len())], way);
            }
            _ => {
                let at = random.usize(0..AUTOMATIONS);
                mains[at].0.insert(edit, now());
                save(&path(&format!("job{at:02}.rhai")), &automation(at, edit), way);
            }
        }
        thread::sleep(Duration::from_millis(random.u64(5..80)));
    }
    // In the end all is well, and runs so.
    for (at, history) in mains.iter_mut().enumerate() {
        history.0.insert(EDITS + 1, now());
        save(&path(&format!("job{at:02}.rhai")), &automation(at, EDITS + 1), 1);
    }
    let last = format!("versions {}", EDITS + 1);
    let since = Stopwatch::start();
    while daemon.stdout().matches(&last).count() < AUTOMATIONS {
        assert!(since.elapsed() < Duration::from_mins(3), "{}", daemon.stdout());
        thread::sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
    assert!(!folder.run(&["ls"]).out.contains("STALE"));
    // What each run has seen was there together, once, and all along.
    let mut printed: BTreeMap<String, usize> = BTreeMap::new();
    for line in finished.out.lines().filter(|line| line.contains(": versions ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., name, run, _, main, part, main_after, part_after] = words.as_slice() else {
            panic!("{line}")
        };
        assert_eq!((main, part), (main_after, part_after), "{line}");
        *printed.entry(run.trim_end_matches(':').to_owned()).or_default() += 1;
        let at: usize = name.trim_start_matches("job").parse().expect("a number");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let (main, part) = (mains[at].of(number(main)), parts[at % LIBRARIES].of(number(part)));
        assert!(main.0 < part.1 + MAX_DELAY && part.0 < main.1 + MAX_DELAY, "{line}");
    }
    assert!(printed.values().all(|count| *count == 1), "a run was made twice");
    let runtime = runtime().expect("the system gives threads");
    runtime.block_on(async {
        let store = folder.store().await;
        for at in 0..AUTOMATIONS {
            let mut fires = fires_of(&store, &id_of(&store, &format!("job{at:02}")).await).await;
            fires.reverse();
            assert_eq!(fires.remove(0).state, FireState::Armed);
            for pair in fires.windows(2) {
                assert_eq!(pair[1].scheduled_at.since(pair[0].scheduled_at), EVERY, "{pair:?}");
            }
            // The newest one may have been running when the daemon was stopped: of that nothing is known.
            let (_, ended) = fires.split_last().expect("it has fired");
            assert!(ended.iter().all(|fire| fire.state == FireState::Done), "{fires:?}");
            let runs = ended.iter().filter(|fire| printed.contains_key(&fire.run)).count();
            assert_eq!(runs, ended.len(), "each fire has its run");
        }
        store.close().await;
    });
}
