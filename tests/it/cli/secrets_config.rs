//! The AppSecret in a configuration file: mistakes there are reported without it.
#![cfg(unix)]

use crate::cli::secrets::{LIST, SECRET, all_output, assert_hidden, mpscript};
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
