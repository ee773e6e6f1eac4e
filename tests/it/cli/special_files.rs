//! Pipes, devices, folders and giants in the place of a file that is read: an error at once.
#![cfg(unix)]

use crate::fixtures::{
    program::{self, Folder},
    terminal::Terminal,
};
use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, symlink},
};

/// Makes a file of a kind at a name in a folder.
type Make = fn(&Folder, &str);

/// What a file may turn out to be, with what is said of it. A giant has no blocks on the disk.
const KINDS: [(Make, &str); 4] = [
    (make_pipe, "it is no regular file"),
    (make_device, "it is no regular file"),
    (make_folder, "it is a folder"),
    (make_giant, "bytes"),
];

fn make_pipe(folder: &Folder, name: &str) {
    program::make_pipe(&folder.path().join(name));
}

fn make_device(folder: &Folder, name: &str) {
    symlink("/dev/zero", folder.path().join(name)).expect("a link can be made");
}

fn make_folder(folder: &Folder, name: &str) {
    fs::create_dir(folder.path().join(name)).expect("a folder can be made");
}

fn make_giant(folder: &Folder, name: &str) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let giant = options.open(folder.path().join(name)).expect("a file can be made");
    giant.set_len(64 << 30).expect("it can be sparse");
}

#[track_caller]
fn assert_error(folder: &Folder, arguments: &[&str], input: &str, code: i32, start: &str, reason: &str) {
    let finished = folder.run_with_input(arguments, input);
    assert_eq!(finished.code, Some(code), "{}", finished.err);
    assert!(finished.err.contains(start) && finished.err.contains(reason), "{}", finished.err);
}

#[test]
fn key_file_of_another_kind_is_refused() {
    for (make, reason) in KINDS {
        let folder = Folder::new();
        make(&folder, "key");
        assert_error(&folder, &["token", "serve", "--key-file", "key"], "", 2, "can't read ", reason);
    }
}

#[test]
fn link_out_of_a_checked_folder_is_not_read() {
    let folder = Folder::new().file("钥匙", "密文0123").file("jobs/lib/一.rhai", "print(1);");
    symlink("../钥匙", folder.path().join("jobs/k.rhai")).expect("a link can be made");
    symlink("lib/一.rhai", folder.path().join("jobs/一.rhai")).expect("a link can be made");
    let finished = folder.run(&["check", "jobs"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "jobs/一.rhai: ok\n"));
    assert!(finished.err.contains("k.rhai is a link that leads out of the folder"), "{}", finished.err);
    assert!(!finished.err.contains("密文"), "{}", finished.err);
}

#[test]
fn script_that_is_named_may_be_a_link() {
    let folder = Folder::new().file("jobs/一.rhai", "print(1);").file("钥匙", "");
    fs::create_dir(folder.path().join("else")).expect("a folder can be made");
    symlink("../jobs/一.rhai", folder.path().join("else/一.rhai")).expect("a link can be made");
    assert_eq!(folder.run(&["check", "else/一.rhai"]).success(), "else/一.rhai: ok\n");
}

#[test]
fn configuration_of_another_kind_is_refused() {
    for (make, reason) in KINDS {
        let folder = Folder::new();
        make(&folder, "mpscript.toml");
        assert_error(&folder, &["config"], "", 2, "mpscript.toml: ", reason);
    }
}

#[test]
fn named_configuration_of_another_kind_is_refused() {
    for (make, reason) in KINDS {
        let folder = Folder::new();
        make(&folder, "店铺.toml");
        assert_error(&folder, &["config", "--config", "店铺.toml"], "", 2, "店铺.toml: ", reason);
    }
}

#[test]
fn secret_file_of_another_kind_is_refused() {
    for (make, reason) in KINDS {
        let config = "[accounts.shop]\nappid = \"wx1\"\nsecret_file = \"密钥\"\n";
        let folder = Folder::new().file("mpscript.toml", config);
        make(&folder, "密钥");
        let arguments = ["run", "-e", "tag::list()", "--base-url", "http://127.0.0.1:1"];
        assert_error(&folder, &arguments, "", 2, "can't read secret_file of account `shop`: ", reason);
    }
}

#[test]
fn token_file_of_another_kind_is_refused() {
    for (make, reason) in KINDS {
        let config = "[accounts.shop]\nappid = \"wx1\"\ntoken_file = \"令牌\"\n";
        let folder = Folder::new().file("mpscript.toml", config);
        make(&folder, "令牌");
        let arguments = ["run", "-e", "tag::list()", "--base-url", "http://127.0.0.1:1"];
        assert_error(&folder, &arguments, "", 2, "the token's file ", reason);
    }
}

#[test]
fn store_of_another_kind_is_refused() {
    for (make, reason) in &KINDS[..3] {
        let folder = Folder::new();
        make(&folder, "store");
        assert_error(&folder, &["runs", "--store", "store"], "", 2, "can't be opened: ", reason);
    }
}

#[test]
fn session_loads_and_runs_no_file_of_another_kind() {
    for (make, reason) in KINDS {
        let folder = Folder::new();
        make(&folder, "客户.rhai");
        for line in [":load 客户.rhai\n", ":run 客户.rhai\n"] {
            assert_error(&folder, &["repl", "--sandbox"], line, 2, "can't read 客户.rhai: ", reason);
        }
    }
}

#[test]
fn watched_script_beside_a_pipe_runs_again() {
    let folder = Folder::new().file("展台.rhai", "print(");
    make_pipe(&folder, "管.rhai");
    let watch = folder.start(&["watch", "展台.rhai", "--sandbox", "--quiet"]);
    watch.wait_for("it ended with code 1");
    fs::write(folder.path().join("展台.rhai"), "print(\"好\");").expect("it can be written");
    watch.wait_for("好");
}

#[test]
fn session_whose_history_is_a_pipe_starts() {
    let folder = Folder::new().file(".local/state/mpscript/x", "");
    make_pipe(&folder, ".local/state/mpscript/history");
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    assert!(terminal.screen().contains("the history can't be stored in"), "{}", terminal.screen());
}
