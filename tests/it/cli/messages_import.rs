//! The whole message for each import that can't be followed.

use crate::fixtures::program::{Folder, assert_message, assert_refused};

#[test]
fn missing_import_is_reported() {
    assert_refused(
        "import \"lib/labels\" as labels;",
        "\
error: can't read the import `lib/labels` (./lib/labels.rhai): No such file or directory (os error 2)
 --> script.rhai:1:1
  |
1 | import \"lib/labels\" as labels;
  | ^^^^^^
  |
  = hint: imports are looked for beside the script
",
    );
}

#[test]
fn circular_imports_are_reported() {
    let folder = Folder::with("import \"lib/甲\" as a;")
        .file("lib/甲.rhai", "import \"lib/乙\" as b;")
        .file("lib/乙.rhai", "\nimport \"lib/甲\" as a;");
    let expected = "\
error: imports go in a circle: lib/甲 → lib/乙 → lib/甲
 --> ./lib/乙.rhai:2:1
  |
2 | import \"lib/甲\" as a;
  | ^^^^^^
  |
  = hint: move what both need into a third file
";
    assert_message(&folder, expected);
}

#[test]
fn script_importing_itself_is_reported() {
    let folder = Folder::with("import \"script\" as me;");
    let expected = "\
error: imports go in a circle: script → script
 --> ./script.rhai:1:1
  |
1 | import \"script\" as me;
  | ^^^^^^
  |
  = hint: move what both need into a third file
";
    assert_message(&folder, expected);
}

#[test]
fn import_outside_the_folder_is_refused() {
    for path in ["../secret", "/etc/passwd", "lib/../../secret"] {
        let expected = format!(
            "\
error: the import `{path}` leads out of the script's folder
 --> script.rhai:1:1
  |
1 | import \"{path}\" as x;
  | ^^^^^^
  |
  = hint: imports are looked for beside the script: import \"lib/NAME\" as NAME;
"
        );
        assert_refused(&format!("import \"{path}\" as x;"), &expected);
    }
}

#[test]
#[cfg(unix)]
fn import_through_a_link_outside_the_folder_is_refused() {
    let outside = Folder::new().file("x.rhai", "fn f() { 1 }");
    let folder = Folder::with("import \"lib/x\" as x;");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("lib")).expect("a link can be made");
    let expected = "\
error: the import `lib/x` leads out of the script's folder through a link
 --> script.rhai:1:1
  |
1 | import \"lib/x\" as x;
  | ^^^^^^
  |
  = hint: imports are looked for beside the script: import \"lib/NAME\" as NAME;
";
    assert_message(&folder, expected);
}

#[test]
fn dynamic_import_path_is_refused() {
    assert_refused(
        "let name = \"lib/x\";\nimport name as x;",
        "\
error: an import's path must be a literal string
 --> script.rhai:2:1
  |
2 | import name as x;
  | ^^^^^^
  |
  = hint: write import \"lib/NAME\" as NAME;
",
    );
}
