//! `mpscript serve` as a process: its log, its files, its signals, and what becomes of its runs when it dies.
//!
//! One file because each test starts the same daemon and looks at it from outside.

use super::metrics::{get, measured};
use crate::fixtures::{
    postgres::{PASSWORD, cluster},
    program::{Folder, Running, TIMEOUT, make_pipe},
    runs::{fires_of, id_of, on_each_store},
    sandbox_process::SandboxProcess,
};
use mpscript::{
    run::runtime,
    sandbox::DEFAULT_SECRET,
    store::{Fire, FireState},
};
use serde_json::Value;
use sqlx::{ConnectOptions, Executor, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use std::{
    fs::{self, Permissions},
    io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

fn tick(says: &str) -> String {
    format!("const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\nfn run(ctx) {{ print(\"{says}\") }}")
}

fn serve(folder: &Folder, sandbox: &SandboxProcess, more: &[&str]) -> Running {
    folder.start(&[&["serve", "jobs", "--base-url", &sandbox.url()], more].concat())
}

#[test]
fn saved_file_is_live_at_once_and_broken_one_is_stale() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("one"));
    let path = |name: &str| -> PathBuf { folder.path().join("jobs").join(name) };
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": one\n");
    // As an editor saves: a new file in the old one's place.
    fs::write(path(".tick.rhai.swp"), tick("two")).expect("it can be written");
    fs::rename(path(".tick.rhai.swp"), path("tick.rhai")).expect("it can be moved");
    daemon.wait_for(": two\n");
    fs::write(path("tick.rhai"), "let a = ;").expect("it can be written");
    daemon.wait_for("error tick: STALE: tick.rhai:1:9: ");
    let listed = folder.run(&["ls"]);
    assert!(listed.out.starts_with("tick ") && listed.out.contains(" STALE "), "{}", listed.out);
    fs::write(path("tick.rhai"), tick("three")).expect("it can be written");
    daemon.wait_for(": three\n");
    // A folder that is made and filled at once, and a file that is no script.
    fs::create_dir_all(path("lib")).expect("a folder can be made");
    fs::write(path("lib/x.rhai"), "fn say() { \"four\" }").expect("it can be written");
    fs::write(path("notes.txt"), "x").expect("it can be written");
    let with_import = "import \"lib/x\" as x;\nconst automation = #{ on: [ #{ every: \"1s\" } ] };\nfn run() { print(x::say()) }";
    fs::write(path("other.rhai"), with_import).expect("it can be written");
    daemon.wait_for(": four\n");
    fs::remove_file(path("tick.rhai")).expect("it is there");
    daemon.wait_for("info  tick: removed");
    daemon.signal("HUP");
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(finished.out.ends_with("info  stopped\n"), "{}", finished.out);
    assert!(!finished.out.contains(DEFAULT_SECRET) && !finished.err.contains(DEFAULT_SECRET));
    assert_eq!(folder.run(&["next", "-n", "1"]).success().matches("other").count(), 1);
    let why = folder.run(&["why", "tick"]).success();
    assert!(why.contains("disarmed") && why.contains("armed ") && why.contains("done "), "{why}");
}

#[test]
fn daemon_whose_store_was_deleted_ends_with_an_error() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder =
        Folder::new().account().env("MPSCRIPT_STORE", "state/store").file("jobs/tick.rhai", tick("滴答"));
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": 滴答\n");
    fs::remove_dir_all(folder.path().join("state")).expect("it is there");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(2), "{}", finished.out);
    let error = "state/store was deleted or replaced while it was in use";
    assert!(finished.err.contains(error) && finished.out.contains(error), "{}", finished.err);
    assert!(!folder.path().join("state").exists());
}

#[test]
fn daemon_whose_store_was_overwritten_ends_and_the_copy_can_be_used() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store").file("jobs/tick.rhai", tick("滴答"));
    let another = Folder::with("print(\"另一个\")").account().env("MPSCRIPT_STORE", "store");
    sandbox.start_run(&another, &[]).finish();
    // Its log is copied into the file when it is closed.
    let runtime = runtime().expect("the system gives threads");
    runtime.block_on(async { another.store().await.close().await });
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": 滴答\n");
    fs::copy(another.path().join("store"), folder.path().join("store")).expect("it can be copied");
    let finished = daemon.finish();
    assert_eq!(finished.code, Some(2), "{}", finished.out);
    assert!(finished.err.contains("was deleted or replaced while it was in use"), "{}", finished.err);
    assert!(folder.run(&["runs"]).success().contains("done"));
}

#[test]
fn run_whose_store_was_replaced_ends_with_an_error() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "100ms"]);
    let folder = Folder::with("print(\"开始\"); followers().each(|u| sleep(1))").account();
    let folder = folder.env("MPSCRIPT_STORE", "store");
    let run = sandbox.start_run(&folder, &["--in-flight", "1"]);
    run.wait_for("开始");
    fs::copy(folder.path().join("store"), folder.path().join("copy")).expect("it can be copied");
    fs::rename(folder.path().join("copy"), folder.path().join("store")).expect("it can be moved");
    let finished = run.finish();
    assert!(finished.err.contains("was deleted or replaced while it was in use"), "{}", finished.err);
    assert_ne!(finished.code, Some(0));
}

/// Adds something to the folder of a daemon whose automation fires: it fires on and can be stopped, and `ls` says this.
#[track_caller]
fn assert_survives(add: impl FnOnce(&Path), stale: &str) {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("滴答"));
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": 滴答\n");
    add(&folder.path().join("jobs"));
    daemon.wait_for("error 怪: STALE: ");
    let before = daemon.stdout().matches(": 滴答\n").count();
    let since = Instant::now();
    while daemon.stdout().matches(": 滴答\n").count() < before + 3 {
        assert!(since.elapsed() < TIMEOUT, "it fires no more: {}", daemon.stdout());
        thread::sleep(Duration::from_millis(20));
    }
    let listed = folder.run(&["ls"]);
    assert!(listed.out.contains(" STALE ") && listed.err.contains(stale), "{}{}", listed.out, listed.err);
    daemon.signal("TERM");
    // A scan that can't be ended would keep it from ending.
    let finished = daemon.finish();
    assert!(finished.code == Some(0) && finished.out.ends_with("info  stopped\n"), "{}", finished.out);
}

#[test]
fn named_pipe_in_the_folder_is_stale_and_delays_nothing() {
    assert_survives(|folder| make_pipe(&folder.join("怪.rhai")), "can't read 怪.rhai: it is no regular file");
}

#[test]
fn import_of_a_named_pipe_is_stale_and_delays_nothing() {
    let add = |folder: &Path| {
        make_pipe(&folder.join("管.rhai"));
        let job = "import \"管\" as x;\nconst automation = #{ on: [] };\nfn run() { }";
        fs::write(folder.join("怪.rhai"), job).expect("it can be written");
    };
    assert_survives(add, "can't read the import `管` (./管.rhai): it is no regular file");
}

#[test]
fn link_to_an_endless_device_is_stale_and_delays_nothing() {
    let add = |folder: &Path| symlink("/dev/zero", folder.join("怪.rhai")).expect("a link can be made");
    assert_survives(add, "怪.rhai is a link that leads out of the folder");
}

#[test]
fn automation_of_a_folder_that_can_not_be_listed_is_paused_and_explained() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("滴答"));
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for(": 滴答\n");
    daemon.signal("TERM");
    daemon.finish();
    fs::rename(folder.path().join("jobs"), folder.path().join("moved")).expect("it can be moved");
    for command in ["pause", "unpause", "why"] {
        assert!(!folder.run(&[command, "tick", "--dir", "jobs"]).success().is_empty(), "{command}");
    }
}

#[test]
fn sparse_giant_is_stale_and_delays_nothing() {
    let add = |folder: &Path| {
        let giant = fs::File::create(folder.join("怪.rhai")).expect("it can be written");
        giant.set_len(5 << 30).expect("it takes no room");
    };
    assert_survives(add, "can't read 怪.rhai: ");
}

#[test]
fn json_log_names_automation_and_run() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("一行\\n二行"));
    let daemon = serve(&folder, &sandbox, &["--log", "json"]);
    daemon.wait_for("\"done\"");
    daemon.signal("INT");
    let out = daemon.finish().out;
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let printed = lines.iter().find(|line| line["text"] == "一行\n二行").expect("it was printed");
    assert_eq!((&printed["automation"], &printed["level"]), (&"tick".into(), &"info".into()));
    assert!(printed["run"].as_str().is_some_and(|run| run.len() == 6), "{printed}");
}

#[test]
fn unservable_arguments_are_refused_before_start() {
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("x"));
    for (arguments, says) in [
        (&["serve", "missing"][..], "missing is not a folder"),
        (&["serve", "jobs", "--sandbox"], "a daemon needs a platform that keeps running without it"),
        (&["serve", "jobs", "--account", "missing"], "missing"),
        (&["ls"], "no folder has been served with the store"),
        (&["why", "tick", "--dir", "jobs"], "there is no automation `tick`"),
        (&["next", "tock", "--dir", "jobs"], "did you mean `tick`?"),
        (&["run", "tock"], "can't read tock"),
        (&["run", "tock", "--dir", "jobs"], "nor an automation of that name in "),
        (&["why", "tick.rhai", "--dir", "jobs"], "there is no automation `tick`"),
        (&["serve", "jobs", "--metrics", "x"], "write an address and a port, as in 127.0.0.1:9464"),
        (&["serve", "jobs", "--grace", "5"], "write a number with its unit, as in 20ms, 30s or 2h"),
        (&["watch", "jobs"], "jobs is a folder"),
    ] {
        let output = folder.run(arguments);
        assert!(output.code == Some(2) && output.err.contains(says), "{arguments:?}: {}", output.err);
    }
    let listed = folder.run(&["ls", "--dir", "jobs"]);
    assert!(listed.out.contains("not served") && listed.out.contains("never fired"), "{}", listed.out);
    assert!(listed.err.starts_with("warning: no daemon is running, so nothing fires: "), "{}", listed.err);
    let folder = Folder::new().file("jobs/tick.rhai", tick("x"));
    let output = folder.run(&["serve", "jobs"]);
    assert!(output.code == Some(2) && output.err.contains("no account is configured"), "{}", output.err);
}

#[test]
fn file_that_broke_unnoticed_is_listed_with_its_last_good_version() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run() { }";
    let folder = Folder::new().account().file("jobs/日报.rhai", job);
    let daemon = serve(&folder, &sandbox, &[]);
    let since = Instant::now();
    // It is announced as served just after it is live.
    while !folder.run(&["ls"]).out.contains(" live ") {
        assert!(since.elapsed() < TIMEOUT, "it is never served");
    }
    daemon.signal("STOP");
    fs::write(folder.path().join("jobs/日报.rhai"), "let a = ;").expect("it can be written");
    let listed = folder.run(&["ls"]);
    assert!(listed.out.contains("the last good version keeps running"), "{}", listed.out);
}

#[test]
fn run_of_a_killed_daemon_is_resumed_by_another() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "40ms"]);
        let job = "const automation = #{ on: [ #{ every: \"1s\" } ], overlap: \"forbid\" };\n\
                   fn run(ctx) { let r = followers().tag(\"甲\"); print(`all ${r.changed + r.already}`) }";
        let folder = with_store(Folder::new().account().file("jobs/job.rhai", job));
        let one = serve(&folder, &sandbox, &["--in-flight", "2"]);
        sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
        let other = serve(&folder, &sandbox, &["--in-flight", "8"]);
        other.wait_for("job: live");
        one.signal("KILL");
        drop(one);
        other.wait_for("resumed, attempt 2");
        other.wait_for(": all ");
        other.wait_for(": done");
        other.signal("TERM");
        assert_eq!(other.finish().code, Some(0));
        // Three of the three thousand have left.
        assert_eq!(sandbox.tagged("甲"), Some(2_997));
        // Each fire has its line, and one end.
        let why = folder.run(&["why", "job"]).success();
        assert!(why.contains(" done "), "{why}");
        assert!(!why.contains(" failed "), "{why}");
    });
}

#[test]
fn failing_store_is_logged_and_loses_no_fire() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        // A run that takes longer than a second, or that has met the lock, delays the next fire, which waits for it.
        let waits = "const automation = #{ on: [ #{ every: \"1s\" } ], overlap: \"queue\", catch_up: \"all\" };\n\
                     fn run() { }";
        let folder = with_store(Folder::new().account().file("jobs/tick.rhai", waits));
        let daemon = serve(&folder, &sandbox, &[]);
        daemon.wait_for(": done");
        let runtime = runtime().expect("the system gives threads");
        runtime.block_on(while_store_is_locked(&folder, || {
            daemon.wait_for("error the store failed and is retried until it works: the store ");
            // The next try fails, too.
            thread::sleep(Duration::from_secs(8));
        }));
        daemon.wait_for("info  the store works again, after ");
        let done = || daemon.stdout().matches(": done").count();
        let (before, since) = (done(), Instant::now());
        while done() == before {
            assert!(since.elapsed() < TIMEOUT, "it fires no more: {}", daemon.stdout());
            thread::sleep(Duration::from_millis(20));
        }
        daemon.signal("TERM");
        let ended = daemon.finish();
        assert_eq!(ended.code, Some(0));
        assert_eq!(ended.out.matches("error the store failed and is").count(), 1, "{}", ended.out);
        runtime.block_on(async {
            let store = folder.store().await;
            let fires = fires_of(&store, &id_of(&store, "tick").await).await;
            // The newest first; the oldest is the row that the trigger was armed with.
            let (armed, fires) = fires.split_last().expect("it has fired");
            assert_eq!(armed.state, FireState::Armed);
            for pair in fires.windows(2) {
                assert_eq!(
                    pair[0].scheduled_at.since(pair[1].scheduled_at),
                    Duration::from_secs(1),
                    "{pair:?}"
                );
            }
            // The newest were running or waiting when the daemon was stopped.
            let mut ended = fires.iter().skip_while(|fire| is_open(fire));
            assert!(ended.all(|fire| fire.state == FireState::Done), "{fires:#?}");
            store.close().await;
        });
    });
}

/// Does something while the store is locked.
async fn while_store_is_locked(folder: &Folder, work: impl FnOnce()) {
    let place = folder.store_place();
    if place.starts_with("postgres://") {
        let options: PgConnectOptions = place.parse().expect("it is a URL");
        let mut holder = options.connect().await.expect("it is there");
        holder.execute("BEGIN; LOCK TABLE mpscript_fire").await.expect("nothing else locks it");
        work();
        holder.execute("COMMIT").await.expect("it holds it");
    } else {
        let options = SqliteConnectOptions::new().filename(folder.path().join(place));
        let mut holder = options.connect().await.expect("it is there");
        holder.execute("BEGIN IMMEDIATE").await.expect("no process holds it for long");
        work();
        holder.execute("COMMIT").await.expect("it holds it");
    }
}

/// Whether no process holds the SQLite write lock; a server ends the transaction of a stopped process by itself.
async fn is_free(folder: &Folder) -> bool {
    let place = folder.store_place();
    let options =
        SqliteConnectOptions::new().filename(folder.path().join(place)).busy_timeout(Duration::ZERO);
    place.starts_with("postgres://")
        || options.connect().await.expect("it is there").execute("BEGIN IMMEDIATE").await.is_ok()
}

/// Whether a fire is not completed.
fn is_open(fire: &Fire) -> bool {
    matches!(fire.state, FireState::Claimed | FireState::Running)
}

/// Stops a process at a moment in which it does not hold the SQLite lock: no other process could release it.
fn suspend(process: &Running, folder: &Folder) {
    let runtime = runtime().expect("the system gives threads");
    for _ in 0..200 {
        process.signal("STOP");
        thread::sleep(Duration::from_millis(50));
        if runtime.block_on(is_free(folder)) {
            return;
        }
        process.signal("CONT");
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it holds the store all the time");
}

#[test]
fn processes_share_fires_while_one_is_killed_and_one_stopped() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "300", "--latency", "20ms"]);
        // What its runs keep counts them: each fire in it once.
        let count = "const automation = #{ on: [ #{ every: \"1s\" } ], overlap: \"queue\" };\n\
                     fn run(ctx) { followers().take(300).tag(\"甲\"); sleep(0.3); ctx.state.n = (ctx.state?.n ?? 0) + 1 }";
        let folder = with_store(Folder::new().account().file("jobs/count.rhai", count));
        let start = || {
            let daemon = serve(&folder, &sandbox, &[]);
            daemon.wait_for("count: live");
            daemon
        };
        let (sleeper, killed, other) = (start(), start(), start());
        for daemon in [&sleeper, &killed] {
            daemon.wait_for("started by");
        }
        killed.signal("KILL");
        drop(killed);
        suspend(&sleeper, &folder);
        // Longer than a lease lasts: its fires are adopted.
        thread::sleep(Duration::from_secs(11));
        other.wait_for_any(&["resumed, attempt", "adopted before its run started", ": done"]);
        sleeper.signal("CONT");
        thread::sleep(Duration::from_secs(3));
        for daemon in [sleeper, other] {
            daemon.signal("TERM");
            assert_eq!(daemon.finish().code, Some(0));
        }
        // What they left unfinished is completed.
        let last = start();
        let number = format!("/{} ", last.id());
        let is_left = |fire: &Fire| is_open(fire) && !fire.owner.contains(&number);
        let runtime = runtime().expect("the system gives threads");
        runtime.block_on(async {
            let store = folder.store().await;
            let since = Instant::now();
            loop {
                let open = store.open_fires().await.expect("the store works");
                let is_seen_through = !open.iter().flatten().any(is_left);
                let fires = fires_of(&store, &id_of(&store, "count").await).await;
                if is_seen_through && fires.iter().filter(|fire| fire.state == FireState::Done).count() >= 10
                {
                    break;
                }
                assert!(since.elapsed() < TIMEOUT, "what they left is not adopted: {fires:#?}");
                thread::sleep(Duration::from_millis(100));
            }
            last.signal("TERM");
            assert_eq!(last.finish().code, Some(0));
            let mut fires = fires_of(&store, &id_of(&store, "count").await).await;
            fires.reverse();
            assert_eq!(fires.remove(0).state, FireState::Armed);
            for pair in fires.windows(2) {
                assert_eq!(
                    pair[1].scheduled_at.since(pair[0].scheduled_at),
                    Duration::from_secs(1),
                    "{pair:?}"
                );
            }
            let done = fires.iter().filter(|fire| fire.state == FireState::Done).count();
            // Fires that were due while no daemon was running are recorded as missed.
            let missed = fires.iter().filter(|fire| fire.state == FireState::Missed).count();
            let open = fires.iter().filter(|fire| is_open(fire)).count();
            assert!(done >= 10, "{fires:#?}");
            // How many fires are still open at the end is left to time; none has failed or was skipped.
            assert_eq!(done + open + missed, fires.len(), "{fires:#?}");
            assert!(!fires.iter().any(is_left), "{fires:#?}");
            let record = store
                .automation(&id_of(&store, "count").await)
                .await
                .expect("the store works")
                .expect("it is served");
            assert_eq!(record.state, format!("{{\"n\":{done}}}"), "{fires:#?}");
            store.close().await;
        });
    });
}

/// Forwards what comes to a port, to another one. Open connections end with the test.
fn forward(from: TcpListener, to: u16) {
    thread::spawn(move || {
        for client in from.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let clone = |stream: &TcpStream| stream.try_clone().expect("there are descriptors");
            for (mut one, mut other) in [(clone(&client), clone(&server)), (server, client)] {
                thread::spawn(move || {
                    let _ = io::copy(&mut one, &mut other);
                    let _ = other.shutdown(Shutdown::Write);
                });
            }
        }
    });
}

/// A folder whose store is a database of the cluster, behind a port at which nothing listens yet.
fn behind_a_closed_port() -> Option<(Folder, u16)> {
    let cluster = cluster()?;
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let url = cluster.database().reveal().replace(&format!(":{}/", cluster.port()), &format!(":{port}/"));
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("滴答"));
    Some((folder.env("MPSCRIPT_STORE", &url), port))
}

#[test]
fn daemon_that_begins_without_its_database_serves_when_it_comes() {
    let Some((folder, port)) = behind_a_closed_port() else { return };
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let (daemon, place) = measured(&folder, &sandbox);
    daemon.wait_for("error the store failed and is retried until it works: the store postgres://127.0.0.1:");
    let (status, why) = get(&place, "GET", "/readyz");
    assert!(status.contains(" 503 ") && why.contains("the store failed: "), "{status} {why}");
    assert!(get(&place, "GET", "/healthz").0.contains(" 200 "));
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free still");
    forward(listener, cluster().expect("it is there").port());
    daemon.wait_for(": 滴答\n");
    daemon.wait_for("info  the store works again, after ");
    assert!(get(&place, "GET", "/readyz").0.contains(" 200 "));
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn daemon_that_waits_for_its_database_can_be_stopped() {
    let Some((folder, _)) = behind_a_closed_port() else { return };
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for("the store failed and is retried until it works");
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert!(finished.code == Some(0) && finished.out.ends_with("info  stopped\n"), "{}", finished.out);
}

#[test]
fn daemon_with_a_wrong_password_of_its_database_ends_at_once() {
    let Some(cluster) = cluster() else { return };
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let url = cluster.database().reveal().replace(PASSWORD, "wrong");
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("滴答")).env("MPSCRIPT_STORE", &url);
    let finished = serve(&folder, &sandbox, &[]).finish();
    assert_eq!(finished.code, Some(2), "{}", finished.out);
    let hint = "check the server's address, name and password in MPSCRIPT_STORE";
    assert!(
        finished.err.contains("password authentication failed") && finished.err.contains(hint),
        "{}",
        finished.err
    );
}

#[test]
fn daemon_that_begins_while_its_store_is_locked_serves_later() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", tick("滴答"));
    let folder = folder.file("store.sqlite3", "").env("MPSCRIPT_STORE", "store.sqlite3");
    let path = folder.path().join("store.sqlite3");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    let runtime = runtime().expect("the system gives threads");
    let mut holder = runtime.block_on(async {
        let mut holder = SqliteConnectOptions::new().filename(&path).connect().await.expect("it is there");
        holder.execute("BEGIN EXCLUSIVE").await.expect("no other process has it");
        holder
    });
    let daemon = serve(&folder, &sandbox, &[]);
    daemon.wait_for("error the store failed and is retried until it works: the store ");
    runtime.block_on(async { holder.execute("COMMIT").await.expect("it holds it") });
    daemon.wait_for(": 滴答\n");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}
