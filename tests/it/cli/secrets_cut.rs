//! A secret within a text that is cut or wrapped: a part of it could not be masked any more.

use crate::{
    cli::secrets::{LIST, SECRET, assert_hidden},
    fixtures::{
        program::Folder,
        raw_server::{Act, RawServer, answer},
    },
};
use mpscript::sandbox::DEFAULT_APPID;
use serde_json::json;

/// A folder whose environment has the AppSecret.
fn folder() -> Folder {
    Folder::new().env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET)
}

/// The secret lies at each column where a renderer may cut a long line.
#[test]
fn secret_at_the_cut_of_a_long_line_is_masked() {
    let mut folder = folder();
    let mut files = Vec::new();
    for shift in 0..200 {
        let name = format!("{shift}.rhai");
        let (left, right) = ("文".repeat(shift), "b".repeat(150));
        let text = format!(
            "let s = \"{SECRET}{left}\"; nosuch_variable_here; let t = \"{}{SECRET}{right}\";",
            "a".repeat(shift)
        );
        folder = folder.file(&name, text);
        files.push(name);
    }
    let mut arguments = vec!["check"];
    arguments.extend(files.iter().map(String::as_str));
    let said = folder.run(&arguments).failure(1);
    assert_eq!(said.matches("there is no variable `nosuch_variable_here`").count(), 200);
    assert_hidden("line", &said, [SECRET]);
}

#[test]
fn secret_in_a_wrapped_cell_of_a_session_is_masked() {
    let lines: Vec<String> =
        (0..96).map(|shift| format!("[#{{列: \"{}{SECRET}\"}}]\n", "x".repeat(shift))).collect();
    let finished = folder().run_with_input(&["repl", "--sandbox"], &lines.concat());
    assert_eq!((finished.code, finished.out.matches("***").count()), (Some(0), 96), "{}", finished.out);
    // A wrapped secret has blanks and line ends between its parts.
    let parts: String = finished.out.split_whitespace().collect();
    assert_hidden("cell", &format!("{}{parts}", finished.out), [SECRET]);
}

#[test]
fn secret_in_a_cut_value_of_a_session_s_variable_is_masked() {
    let variables: Vec<String> =
        (0..80).map(|shift| format!("let v{shift} = \"{}{SECRET}\"\n", "x".repeat(shift))).collect();
    let finished = folder().run_with_input(&["repl", "--sandbox"], &(variables.concat() + ":vars\n"));
    assert!(finished.code == Some(0) && finished.out.contains("xxx***\n"), "{}", finished.out);
    assert_hidden("variables", &finished.out, [SECRET]);
}

#[test]
fn secret_in_a_cut_message_of_a_token_service_is_masked() {
    for shift in (270..=300).chain(580..=600).step_by(10) {
        let said = json!({"error": format!("{}{SECRET}", "x".repeat(shift))}).to_string();
        let service = RawServer::start(move |_| Act::Answer(answer("502 Bad Gateway", "", &said)));
        let config = format!(
            "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\ntoken_url = \"http://{}\"\ntoken_key_env = \"KEY\"\n\
             base_url = \"http://127.0.0.1:1\"\n",
            service.address()
        );
        let folder = Folder::new().file("mpscript.toml", config).env("KEY", SECRET);
        let said = folder.run(&["run", "-e", LIST]);
        assert!(said.err.contains("answered with status 502 xxx"), "{}", said.err);
        assert_hidden("message", &said.err, [SECRET]);
    }
}
