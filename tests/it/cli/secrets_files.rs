//! Files that hold secrets: no script reads them, and no message shows what is in them.
#![cfg(unix)]

use crate::{
    cli::secrets::{SECRET, all_output, assert_hidden, mpscript, recorded},
    fixtures::{
        prerequisites::missing,
        program::{Folder, Running},
        raw_server::{RawServer, token},
        sandbox_process::SandboxProcess,
    },
};
use mpscript::sandbox::DEFAULT_APPID;
use std::{
    fs,
    os::unix::{fs::PermissionsExt, fs::symlink, process::ExitStatusExt},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A folder whose configuration has its AppSecret in `shop.secret`, with a store beside it.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("there is room for a folder");
    let config = format!(
        "store = \"store.sqlite3\"\n[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\nsecret_file = \"shop.secret\"\n\
         base_url = \"http://127.0.0.1:1\"\n"
    );
    for (name, text) in [("mpscript.toml", config.as_str()), ("shop.secret", SECRET), ("service.key", SECRET)]
    {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("rights can be set");
    }
    folder
}

/// What a run says that reads openids from this file, which it must not.
#[track_caller]
fn assert_unreadable(folder: &TempDir, path: &str, reason: &str) {
    let mut command = mpscript(folder.path());
    let script = format!("openids_from({path:?}).write_csv(\"out.csv\")");
    command.env("MPSCRIPT_ENVIRONMENT", SECRET).args(["run", "--verbose", "-e", &script]);
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(reason), "{path}: {text}");
    assert_hidden(path, &text, [SECRET]);
    assert!(!folder.path().join("out.csv").exists(), "{path}");
}

const PROTECTED: &str = "scripts may not touch it";

#[test]
fn process_environment_is_not_read() {
    assert_unreadable(&folder(), "/proc/self/environ", PROTECTED);
}

#[test]
fn process_environment_behind_a_link_is_not_read() {
    let folder = folder();
    symlink("/proc/self/environ", folder.path().join("名单.csv")).expect("a link can be made");
    assert_unreadable(&folder, "名单.csv", PROTECTED);
}

#[test]
fn secret_file_is_not_read() {
    assert_unreadable(&folder(), "shop.secret", PROTECTED);
}

#[test]
fn secret_file_behind_a_hard_link_is_not_read() {
    let folder = folder();
    let path = |name| folder.path().join(name);
    fs::hard_link(path("shop.secret"), path("名单.csv")).expect("a link can be made");
    assert_unreadable(&folder, "名单.csv", PROTECTED);
}

#[test]
fn key_file_is_not_read() {
    assert_unreadable(&folder(), "service.key", PROTECTED);
}

#[test]
fn configuration_is_not_read() {
    assert_unreadable(&folder(), "mpscript.toml", PROTECTED);
}

#[test]
fn store_is_not_read() {
    assert_unreadable(&folder(), "store.sqlite3", PROTECTED);
}

#[test]
fn file_outside_of_the_folders_is_not_read() {
    let elsewhere = TempDir::new().expect("there is room for a folder");
    let path = elsewhere.path().join("secrets.csv");
    fs::write(&path, SECRET).expect("a file can be written");
    assert_unreadable(
        &folder(),
        &path.display().to_string(),
        "outside of the folders that the script may use",
    );
}

#[test]
fn parameter_with_a_slash_opens_the_folder_that_it_names_and_no_other() {
    let elsewhere = Folder::new().file("名单.csv", "oabc\n");
    let path = elsewhere.path().join("名单.csv");
    let folder = Folder::with(&format!("param(\"sep\"); print(openids_from({path:?}).count());"));
    let run =
        |given: &str| folder.run(&["run", "script.rhai", "--sandbox", "--param", &format!("sep={given}")]);
    for given in ["/", "//", "/var", "/etc", "年/月"] {
        let refused = run(given).failure(1);
        assert!(refused.contains("outside of the folders that the script may use"), "{given}: {refused}");
    }
    for given in [elsewhere.path(), &path] {
        assert_eq!(run(&given.display().to_string()).success(), "1\n");
    }
}

#[test]
fn pipe_is_not_waited_for() {
    let folder = folder();
    let made =
        Command::new("mkfifo").arg(folder.path().join("名单.csv")).status().expect("there is a mkfifo");
    assert!(made.success());
    assert_unreadable(&folder, "名单.csv", "it is no regular file");
}

#[test]
fn secret_is_not_uploaded_as_a_picture() {
    let folder = folder();
    let mut command = mpscript(folder.path());
    command.args(["run", "--verbose", "-e", "media::upload_image(\"shop.secret\")"]);
    let text = String::from_utf8(command.output().expect("the program starts").stderr).expect("it is UTF-8");
    assert!(text.contains("can't send `shop.secret`: scripts may not touch it"), "{text}");
}

#[test]
fn cell_of_a_file_is_not_shown() {
    let folder = folder();
    for text in [
        format!("secret=\"{SECRET}\"\n"),
        format!("openid\nsecret = '{SECRET}'\n"),
        format!("name,{SECRET}\n"),
        format!("oabc\n{SECRET},x\n"),
    ] {
        fs::write(folder.path().join("notes.txt"), &text).expect("a file can be written");
        assert_unreadable(&folder, "notes.txt", "can't read openids from `notes.txt`: ");
    }
}

#[test]
fn openid_that_holds_the_secret_is_masked() {
    let server = RawServer::start(|_| token("96_T0KEN-pelican-7d21e8b35a90cc41"));
    let folder = TempDir::new().expect("there is room for a folder");
    fs::write(folder.path().join("名单.csv"), format!("oabc\no{SECRET}x\n")).expect("a file can be written");
    let mut command = mpscript(folder.path());
    command.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET);
    command.args(["run", "-e", "openids_from(\"名单.csv\").write_csv(\"out.csv\")", "--base-url"]);
    command.arg(format!("http://{}", server.address()));
    assert!(command.status().expect("the program starts").success());
    let written = fs::read_to_string(folder.path().join("out.csv")).expect("it is written");
    assert_eq!(written, "\u{feff}openid\r\noabc\r\no***x\r\n");
}

/// A daemon that serves an automation which calls `openids_from` with this path, and has its AppSecret in the environment.
fn daemon_that_reads(path: &str) -> (Folder, SandboxProcess, Running) {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let automation = format!(
        "const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\n\
         fn run(ctx) {{ print(openids_from({path:?}).count()) }}"
    );
    let folder = Folder::new().account().file("jobs/read.rhai", automation).file("jobs/名单.csv", "oabc\n");
    let folder = folder.file("名单.csv", "oabc\n");
    let daemon = folder.start(&["serve", "jobs", "--base-url", &sandbox.url()]);
    (folder, sandbox, daemon)
}

#[test]
fn automation_reads_files_of_its_own_folder() {
    let (_folder, _sandbox, daemon) = daemon_that_reads("jobs/名单.csv");
    daemon.wait_for(": 1\n");
}

#[test]
fn automation_reads_no_other_file_of_the_daemon_s_folder() {
    let (_folder, _sandbox, daemon) = daemon_that_reads("名单.csv");
    daemon.wait_for("it is outside of the folders that the script may use");
}

#[test]
fn automation_does_not_read_the_environment_of_the_daemon() {
    let (folder, _sandbox, daemon) = daemon_that_reads("/proc/self/environ");
    daemon.wait_for(PROTECTED);
    daemon.signal("TERM");
    let finished = daemon.finish();
    let store = folder.path().join(".local/state/mpscript/store.sqlite3");
    let text = format!("{}{}{}", finished.out, finished.err, recorded(&store));
    assert_hidden("daemon", &text, [mpscript::sandbox::DEFAULT_SECRET]);
}

/// The processes that this one has started.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it is running");
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    children.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn process_of_a_run_has_no_secret_in_its_environment() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let automation = "const automation = #{ on: [ #{ every: \"1s\" } ] };\n\
                      fn run(ctx) { print(followers().count()); sleep(600) }";
    let folder = Folder::new().account().file("jobs/长.rhai", automation);
    let daemon = folder.start(&["serve", "jobs", "--base-url", &sandbox.url()]);
    daemon.wait_for(": 10\n");
    let children = children(daemon.id());
    assert!(!children.is_empty());
    for child in children {
        // Of another user's process it is not even readable.
        let environment = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        assert_hidden("environment", &text, [mpscript::sandbox::DEFAULT_SECRET]);
    }
}

/// Whether a process that runs these words dumps its memory when it is aborted.
fn dumps_core(words: &[&str]) -> bool {
    let folder = TempDir::new().expect("there is room for a folder");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).args(words);
    command.current_dir(folder.path()).env("HOME", folder.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("there is a shell");
    if words.len() > 2 {
        // The program's first line says that it has started.
        let mut line = String::new();
        let out = child.stdout.take().expect("it is a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it can be read");
    }
    let sent = Command::new("kill").args(["-s", "ABRT", &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
    child.wait().expect("it ends").core_dumped()
}

#[cfg(target_os = "linux")]
#[test]
fn aborted_process_leaves_no_core() {
    if !dumps_core(&["sleep", "60"]) {
        return missing("core dumps");
    }
    assert!(!dumps_core(&[env!("CARGO_BIN_EXE_mpscript"), "sandbox", "--listen", "127.0.0.1:0"]));
}

#[test]
fn output_of_a_run_that_is_refused_a_file_shows_no_secret() {
    let folder = folder();
    let mut command = mpscript(folder.path());
    command.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET);
    command.args(["run", "--report", "report.json", "-e", "openids_from(\"shop.secret\").tag(\"甲\")"]);
    fs::remove_file(folder.path().join("service.key")).expect("it is there");
    let hidden = folder.path().join("shop.secret");
    let output = all_output(command, folder.path());
    let without_the_file = output.replacen(&fs::read_to_string(hidden).expect("it is there"), "", 1);
    assert_hidden("refused", &without_the_file, [SECRET]);
}
