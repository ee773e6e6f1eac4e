//! The AppSecret in a configuration file: mistakes there are told without it.
#![cfg(unix)]

use crate::cli::secrets::{LIST, SECRET, assert_hidden, mpscript, said};
use std::{fs, os::unix::fs::PermissionsExt, thread};
use tempfile::TempDir;

/// What a run says to a configuration with this text and these rights.
fn said_to_configuration(text: &str, mode: u32) -> String {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("mpscript.toml");
    fs::write(&path, text).expect("the file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("rights can be set");
    let mut command = mpscript(folder.path());
    command.args(["run", "--verbose", "-e", LIST, "--base-url", "http://127.0.0.1:1"]);
    said(command, folder.path())
}

#[test]
fn configuration_readable_by_others_is_refused() {
    let text = format!("[accounts.main]\nappid = \"wx1\"\nsecret = \"{SECRET}\"\n");
    for mode in [0o644, 0o640, 0o604] {
        let said = said_to_configuration(&text, mode);
        assert!(said.contains("exit status: 2") && said.contains("others can read it"), "{said}");
        assert_hidden("readable", &said, [SECRET]);
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
                let said = said_to_configuration(&text, 0o600);
                assert!(said.contains("exit status: 2"), "{text}{said}");
                assert_hidden(&text, &said, [SECRET]);
            });
        }
    });
    let said = said_to_configuration(&entry(&format!("secrets = \"{SECRET}\"")), 0o600);
    assert!(said.contains("line 3: unknown field `secrets`, expected one of `appid`, `secret`"), "{said}");
    // A secret of digits only, without quotes, is a number to TOML.
    let said = said_to_configuration(&entry("secret = 7312495068817"), 0o600);
    assert!(said.contains("exit status: 2") && said.contains("line 3"), "{said}");
    assert_hidden("number", &said, ["7312495068817"]);
}
