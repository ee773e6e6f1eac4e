//! The AppSecret in a configuration file: mistakes there are reported without it.
#![cfg(unix)]

use crate::{
    cli::secrets::{LIST, SECRET, all_output, assert_hidden, mpscript},
    fixtures::program::Folder,
};
use mpscript::sandbox::DEFAULT_APPID;
use std::{fs, os::unix::fs::PermissionsExt, thread};
use tempfile::TempDir;

/// What a run says to a configuration with this text and these rights.
fn output_with_configuration(text: &str, mode: u32) -> String {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("mpscript.toml");
    fs::write(&path, text).expect("the file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("rights can be set");
    let mut command = mpscript(folder.path());
    command.args(["run", "--verbose", "-e", LIST, "--base-url", "http://127.0.0.1:1"]);
    all_output(command, folder.path())
}

#[test]
fn configuration_readable_by_others_is_refused() {
    let text = format!("[accounts.main]\nappid = \"wx1\"\nsecret = \"{SECRET}\"\n");
    for mode in [0o644, 0o640, 0o604] {
        let output = output_with_configuration(&text, mode);
        assert!(output.contains("exit status: 2") && output.contains("others can read it"), "{output}");
        assert_hidden("readable", &output, [SECRET]);
    }
}

#[test]
fn invalid_configuration_never_shows_the_secret() {
    let entry = |lines: &str| format!("[accounts.main]\nappid = \"wx1\"\n{lines}\n");
    let texts = [
        // The line is broken.
        entry(&format!("secret = \"{SECRET}")),
        entry(&format!("secret = {SECRET}")),
        entry(&format!("secret = '{SECRET}\"")),
        entry(&format!("secret \"{SECRET}\"")),
        entry(&format!("secret: \"{SECRET}\"")),
        entry(&format!("secret = \"{SECRET}\" \"x\"")),
        entry(&format!("secret = \"{SECRET}\\q\"")),
        entry(SECRET),
        entry(&format!("\"{SECRET}\"")),
        entry(&format!("secret = \"{SECRET}\"\nsecret = \"{SECRET}\"")),
        // The line is TOML, and means something else.
        entry(&format!("secret = [\"{SECRET}\"]")),
        entry(&format!("secret = {{ text = \"{SECRET}\" }}")),
        entry(&format!("secrets = \"{SECRET}\"")),
        entry(&format!("{SECRET} = \"secret\"")),
        entry(&format!("secret_env = \"{SECRET}\"")),
        entry(&format!("secret_file = \"{SECRET}\"")),
        entry(&format!("secret = \"{SECRET}\"\nsecret_env = \"{SECRET}\"")),
        format!("[accounts]\nappid = \"wx1\"\nsecret = \"{SECRET}\"\n"),
        format!("[accounts]\nmain = \"{SECRET}\"\n"),
        format!("accounts = \"{SECRET}\"\n"),
        format!("appid = \"wx1\"\nsecret = \"{SECRET}\"\n"),
    ];
    thread::scope(|scope| {
        for text in texts {
            scope.spawn(move || {
                let output = output_with_configuration(&text, 0o600);
                assert!(output.contains("exit status: 2"), "{text}{output}");
                assert_hidden(&text, &output, [SECRET]);
            });
        }
    });
    let output = output_with_configuration(&entry(&format!("secrets = \"{SECRET}\"")), 0o600);
    assert!(
        output.contains("line 3: unknown field `secrets`, expected one of `appid`, `secret`"),
        "{output}"
    );
    // A secret of digits only, without quotes, is a number to TOML.
    let output = output_with_configuration(&entry("secret = 7312495068817"), 0o600);
    assert!(output.contains("exit status: 2") && output.contains("line 3"), "{output}");
    assert_hidden("number", &output, ["7312495068817"]);
}

/// A script that can't be compiled, with the AppSecret in the line that is shown.
fn uncompilable() -> String {
    format!("let s = \"{SECRET}\"; nosuch_variable_here\n")
}

const NOT_COMPILED: &str = "there is no variable `nosuch_variable_here`";

/// A folder whose environment has the AppSecret.
fn folder_of_the_account() -> Folder {
    Folder::new().env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET)
}

#[test]
fn compile_error_of_run_and_check_shows_no_secret() {
    let folder = folder_of_the_account().file("群发.rhai", uncompilable());
    for command in ["run", "check"] {
        let said = folder.run(&[command, "群发.rhai"]).failure(1);
        assert!(said.contains(NOT_COMPILED) && said.contains("let s = \"***\""), "{said}");
        assert_hidden(command, &said, [SECRET]);
    }
}

#[test]
fn error_of_a_file_that_ls_lists_shows_no_secret() {
    let folder = folder_of_the_account().file("jobs/群发.rhai", uncompilable());
    let finished = folder.run(&["ls", "--dir", "jobs"]);
    let said = format!("{}{}", finished.out, finished.err);
    assert!(said.contains(NOT_COMPILED) && said.contains("let s = \"***\""), "{said}");
    assert_hidden("ls", &said, [SECRET]);
}

#[test]
fn compile_error_of_a_watched_script_shows_no_secret() {
    let folder = folder_of_the_account().file("群发.rhai", uncompilable());
    let watch = folder.start(&["watch", "群发.rhai"]);
    watch.wait_for("it ended with code 1");
    let said = format!("{}{}", watch.stdout(), watch.stderr());
    assert!(said.contains(NOT_COMPILED) && said.contains("let s = \"***\""), "{said}");
    assert_hidden("watch", &said, [SECRET]);
}

#[test]
fn line_of_a_served_file_that_can_t_be_compiled_shows_no_secret() {
    let folder = folder_of_the_account().file("jobs/群发.rhai", uncompilable());
    let daemon = folder.start(&["serve", "jobs", "--base-url", "http://127.0.0.1:1"]);
    daemon.wait_for(NOT_COMPILED);
    assert_hidden("serve", &format!("{}{}", daemon.stdout(), daemon.stderr()), [SECRET]);
}

/// A configuration of the account `one`, and of another, whose secret is given by these lines.
fn configuration_of_two(folder: Folder, lines: &str) -> Folder {
    let text = format!(
        "default = \"one\"\n[accounts.one]\nappid = \"wx1\"\nsecret = \"5a2db0c5-of-the-first\"\n\
         [accounts.two]\nappid = \"wx2\"\n{lines}\n"
    );
    let folder = folder.file("mpscript.toml", text);
    let path = folder.path().join("mpscript.toml");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("rights can be set");
    folder
}

#[test]
fn run_on_one_account_shows_no_secret_of_another() {
    let folder = Folder::new().file("二.secret", SECRET).env("SECOND", SECRET).file(
        "说.rhai",
        format!("print(\"print {SECRET}\"); debug(\"debug {SECRET}\"); throw \"throw {SECRET}\""),
    );
    let lines = [
        format!("secret = \"{SECRET}\""),
        "secret_env = \"SECOND\"".to_owned(),
        "secret_file = \"二.secret\"".to_owned(),
    ];
    let mut folder = folder;
    for lines in lines {
        folder = configuration_of_two(folder, &lines);
        let finished = folder.run(&["run", "说.rhai"]);
        let said = format!("{}{}", finished.out, finished.err);
        for way in ["print ***", "debug ***", "throw ***"] {
            assert!(said.contains(way), "{lines}: {said}");
        }
        assert_hidden(&lines, &said, [SECRET]);
    }
}
