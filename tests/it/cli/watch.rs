//! `mpscript watch`: a script runs again whenever it is saved, however that is done.

use crate::fixtures::{
    program::{Folder, Running, TIMEOUT},
    sandbox_process::SandboxProcess,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A folder with a script that is watched.
struct Desk {
    folder: Folder,
    watch: Running,
}

impl Desk {
    fn of(folder: Folder, before: &[&str], options: &[&str]) -> Self {
        let watch =
            folder.start(&[&["watch"], before, &["s.rhai", "--sandbox", "--quiet"], options].concat());
        Self { folder, watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it can be written");
    }

    /// Ends the loop as Ctrl-C does.
    #[track_caller]
    fn leave(self) -> String {
        self.watch.signal("TERM");
        let finished = self.watch.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        finished.out
    }
}

fn says(text: &str) -> String {
    format!("print(\"{text}\");")
}

#[test]
fn saved_script_runs_again_however_it_is_saved() {
    for before in [&[][..], &["--poll"]] {
        let desk = Desk::of(Folder::new().file("s.rhai", says("v0 ")), before, &[]);
        desk.watch.wait_for("v0 ");
        // In place, as most editors do without backups.
        desk.write("s.rhai", &says("v1 "));
        desk.watch.wait_for("v1 ");
        // An atomic save: a new file in the old one's place.
        desk.write("s.rhai.tmp", &says("v2 "));
        fs::rename(desk.path("s.rhai.tmp"), desk.path("s.rhai")).expect("it can be moved");
        desk.watch.wait_for("v2 ");
        // As vim does: the old one becomes the backup, then the new one is written.
        fs::rename(desk.path("s.rhai"), desk.path("s.rhai~")).expect("it can be moved");
        desk.write(".s.rhai.swp", "x");
        desk.write("s.rhai", &says("v3 "));
        fs::remove_file(desk.path("s.rhai~")).expect("it is there");
        desk.watch.wait_for("v3 ");
        // Deleted, and there again.
        fs::remove_file(desk.path("s.rhai")).expect("it is there");
        desk.watch.wait_for("can't read s.rhai");
        desk.write("s.rhai", &says("v4 "));
        desk.watch.wait_for("v4 ");
        // A link that leads elsewhere now.
        desk.write("a.rhai", &says("v5 "));
        symlink("a.rhai", desk.path("link")).expect("a link can be made");
        fs::rename(desk.path("link"), desk.path("s.rhai")).expect("it can be moved");
        desk.watch.wait_for("v5 ");
        desk.write("b.rhai", &says("v6 "));
        symlink("b.rhai", desk.path("link")).expect("a link can be made");
        fs::rename(desk.path("link"), desk.path("s.rhai")).expect("it can be moved");
        desk.watch.wait_for("v6 ");
        let out = desk.leave();
        for version in 0..=6 {
            assert_eq!(out.matches(&format!("v{version} ")).count(), 1, "{out}");
        }
    }
}

#[test]
fn only_changes_of_imported_files_rerun_the_script() {
    let folder = Folder::new().file("s.rhai", "import \"lib/x\" as x;\nprint(x::say());");
    let desk = Desk::of(folder, &[], &[]);
    desk.watch.wait_for("can't read the import `lib/x`");
    // A folder that is made and filled at once.
    fs::create_dir(desk.path("lib")).expect("a folder can be made");
    desk.write("lib/x.rhai", "fn say() { \"w1 \" }");
    desk.watch.wait_for("w1 ");
    desk.write("lib/x.rhai", "fn say() { \"w2 \" }");
    desk.watch.wait_for("w2 ");
    desk.write("other.rhai", &says("never"));
    desk.write("lib/notes.txt", "x");
    // The same text is no change. It is renamed into its place: one that is written there is empty for a moment.
    desk.write("lib/x.new", "fn say() { \"w2 \" }");
    fs::rename(desk.path("lib/x.new"), desk.path("lib/x.rhai")).expect("a file can be renamed");
    thread::sleep(Duration::from_millis(700));
    // What can't be compiled is shown, and what was good before is not run in its place.
    desk.write("lib/x.rhai", "fn say() { ");
    desk.watch.wait_for("lib/x.rhai:1:");
    desk.write("lib/x.rhai", "fn say() { \"w3 \" }");
    desk.watch.wait_for("w3 ");
    let out = desk.leave();
    assert_eq!(out.matches('w').count(), 3, "{out}");
}

#[test]
fn checkout_of_many_files_causes_one_run() {
    let folder =
        Folder::new().file("s.rhai", "import \"x\" as x; import \"y\" as y;\nprint(`${x::v()}${y::v()} `);");
    let folder = folder.file("x.rhai", "fn v() { 1 }").file("y.rhai", "fn v() { 1 }");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments).current_dir(folder.path());
        git.env("HOME", folder.path()).output().is_ok_and(|output| output.status.success())
    };
    assert!(
        git(&["init", "-q"])
            && git(&["add", "."])
            && git(&["commit", "-qm", "one"])
            && git(&["checkout", "-qb", "two"])
    );
    for name in ["x.rhai", "y.rhai"] {
        fs::write(folder.path().join(name), "fn v() { 2 }").expect("it can be written");
    }
    assert!(git(&["commit", "-qam", "two"]) && git(&["checkout", "-q", "-"]));
    let watch = folder.start(&["watch", "s.rhai", "--sandbox", "--quiet"]);
    watch.wait_for("11 ");
    assert!(git(&["checkout", "-q", "two"]));
    watch.wait_for("22 ");
    watch.signal("TERM");
    let out = watch.finish().out;
    assert_eq!(out, "11 \n22 \n");
}

#[test]
fn save_during_a_run_follows_on_busy() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "150ms"]);
    let job = "followers().tag(\"甲\"); print(\"完成\");";
    for on_busy in ["restart", "wait"] {
        let folder = Folder::new().account().file("s.rhai", job);
        let watch = folder.start(&[
            "watch",
            "--on-busy",
            on_busy,
            "s.rhai",
            "--base-url",
            &sandbox.url(),
            "--in-flight",
            "2",
        ]);
        let before = sandbox.calls("POST /cgi-bin/user/info/batchget");
        sandbox.wait_for_calls("POST /cgi-bin/user/info/batchget", before + 3);
        fs::write(folder.path().join("s.rhai"), says("新文本")).expect("it can be written");
        watch.wait_for("新文本");
        // The run that has said so may have its end still to write down.
        let runs = if on_busy == "wait" { 2 } else { 1 };
        let since = Instant::now();
        while watch.stderr().matches("watch: it ended well").count() < runs && since.elapsed() < TIMEOUT {
            thread::sleep(Duration::from_millis(20));
        }
        watch.signal("TERM");
        let finished = watch.finish();
        assert_eq!(finished.out.contains("完成"), on_busy == "wait", "{}{}", finished.out, finished.err);
        assert_eq!(finished.err.contains("stopped"), on_busy == "restart", "{}", finished.err);
    }
}

#[test]
fn invalid_watch_arguments_are_refused_at_once() {
    let folder = Folder::new().file("s.rhai", says("x"));
    let printed = folder.run(&["watch", "s.rhai", "--sandboxx"]);
    assert!(printed.code == Some(2) && printed.err.contains("--sandbox"), "{}", printed.err);
    let printed = folder.run(&["watch", "xyz.rhai", "--sandbox"]);
    assert!(
        printed.code == Some(2) && printed.err.contains("there is no xyz.rhai to watch"),
        "{}",
        printed.err
    );
    let printed = folder.run(&["watch", "xyz/s.rhai"]);
    assert!(
        printed.code == Some(2) && printed.err.contains("there is no folder of xyz/s.rhai"),
        "{}",
        printed.err
    );
}

#[test]
fn circular_links_do_not_hang_the_watch() {
    let folder = Folder::new().file("s.rhai", "let a = ;").file("lib/x.rhai", "fn say() { 1 }");
    symlink(folder.path(), folder.path().join("lib/round")).expect("a link can be made");
    let desk = Desk::of(folder, &["--poll"], &[]);
    desk.watch.wait_for("s.rhai:1:9");
    desk.write("s.rhai", &says("完成 "));
    desk.watch.wait_for("完成 ");
    desk.leave();
}
