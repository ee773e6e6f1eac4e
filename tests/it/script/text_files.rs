//! Scripts as editors of every system write them.

use crate::fixtures::program::Folder;

fn output_of(script: impl Into<Vec<u8>>) -> String {
    Folder::new().file("script.rhai", script.into()).run(&["run", "script.rhai", "--sandbox"]).success()
}

#[test]
fn script_with_a_byte_order_mark_runs() {
    assert_eq!(output_of("\u{feff}print(\"展台\");"), "展台\n");
}

#[test]
fn script_in_utf_16_runs() {
    let bytes: Vec<u8> = "\u{feff}print(\"展台\");".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(output_of(bytes), "展台\n");
}

#[test]
fn interpreter_line_is_skipped_and_counted() {
    let folder = Folder::with("#!/usr/bin/env -S mpscript run\nprint(xyz);\n");
    let refused = folder.run(&["run", "script.rhai", "--sandbox"]).failure(1);
    assert!(refused.contains("--> script.rhai:2:7"), "{refused}");
}

#[test]
fn script_in_gbk_is_refused_with_what_to_do() {
    let folder = Folder::new().file("script.rhai", b"print(\"\xce\xa2\xd0\xc5\");");
    let refused = folder.run(&["run", "script.rhai", "--sandbox"]);
    assert!(refused.err.contains("it is not UTF-8 text: save it as UTF-8"), "{}", refused.err);
}

#[test]
fn piped_script_with_a_byte_order_mark_runs() {
    for command in ["run", "check"] {
        let finished =
            Folder::new().run_with_input(&[command, "-"], "\u{feff}#!/usr/bin/env -S mpscript run\n1 + 1");
        assert_eq!(finished.code, Some(0), "{command}: {}", finished.err);
    }
}

#[test]
fn piped_script_that_is_too_long_is_refused() {
    let text = format!("//{}", "长".repeat(400_000));
    let message = Folder::new().run_with_input(&["check", "-"], &text).failure(1);
    assert!(message.contains("standard input is no script: it is longer than 1048576 bytes"), "{message}");
}

#[test]
fn first_piped_line_that_names_the_program_is_skipped() {
    let lines = "#!/usr/bin/env -S mpscript repl\n1 + 1\n";
    assert_eq!(Folder::new().run_with_input(&["repl", "--sandbox"], lines).success(), "2\n");
}

#[test]
fn first_piped_line_with_a_byte_order_mark_is_read() {
    let folder = Folder::new();
    assert_eq!(folder.run_with_input(&["repl", "--sandbox"], "\u{feff}1 + 1\n").success(), "2\n");
}
