//! The project's own documents: what they name is there, and the architecture can be read in twenty minutes.

use std::{fs, path::Path};

/// Documents for people who work on the code.
fn documents() -> Vec<(String, String)> {
    let mut paths =
        ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/security.md"].map(str::to_owned).to_vec();
    for folder in ["docs/adr", "docs/dev"] {
        let entries = fs::read_dir(folder).expect("the folder is there");
        paths.extend(entries.map(|entry| entry.expect("it can be listed").path().display().to_string()));
    }
    paths.sort();
    let read = |path: String| (path.clone(), fs::read_to_string(path).expect("it can be read"));
    paths.into_iter().map(read).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether a path of the project exists; `<area>` stands for any name.
fn exists(path: &str) -> bool {
    path.contains(['<', '{', '*', '…', 'N']) || Path::new(path).exists()
}

#[test]
fn documents_name_files_that_exist() {
    let folders = ["src/", "tests/", "docs/", "benches/", "scripts/", "stdlib/", "deploy/", ".ci/"];
    let floors = ["cli/", "run/", "script/", "bulk/", "client/", "sandbox/", "store/", "api/", "base/"];
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for word in quoted(&text).filter(|word| !word.contains(' ')) {
            let is_path = folders.iter().any(|folder| word.starts_with(folder));
            let is_inside = floors.iter().any(|floor| word.starts_with(floor))
                && (word.ends_with('/') || Path::new(word).extension().is_some_and(|end| end == "rs"));
            let is_missing = (is_path && !exists(word)) || (is_inside && !exists(&format!("src/{word}")));
            if is_missing && document != "README.md" {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn architecture_has_at_most_2000_words() {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("it is there");
    // As `wc -w` counts.
    let words = text.split_whitespace().count();
    assert!(words <= 2_000, "{words} words");
}

/// The file that a test's module path leads to: an integration test, or the unit tests of a source file.
fn file_of(module: &str) -> String {
    let path = module.replace("::", "/");
    [format!("tests/it/{path}.rs"), format!("src/{path}.rs"), format!("src/{path}/mod.rs")]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| panic!("no file for {module}"))
}

#[test]
fn each_invariant_names_a_test_that_exists() {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("it is there");
    let chapter = text.split("### Invariants").nth(1).expect("there are invariants");
    let chapter = chapter.split("\n#").next().unwrap_or_default();
    let numbered: Vec<&str> =
        chapter.split("\n\n").filter(|part| part.starts_with("1.")).flat_map(str::lines).collect();
    assert!(numbered.len() >= 8, "{} invariants", numbered.len());
    let entries = numbered.join(" ");
    let tests: Vec<&str> = quoted(&entries).filter(|word| word.contains("::")).collect();
    assert!(tests.len() >= 8, "{tests:?}");
    assert_tests_exist(&tests);
}

#[track_caller]
fn assert_tests_exist(tests: &[&str]) {
    for test in tests {
        let (module, name) = test.rsplit_once("::").expect("it has a module");
        let file = file_of(module);
        let source = fs::read_to_string(&file).expect("it can be read");
        assert!(source.contains(&format!("fn {name}(")), "{file} has no test {name}");
    }
}

#[test]
fn each_promise_of_security_names_a_test_that_exists() {
    let text = fs::read_to_string("docs/security.md").expect("it is there");
    let chapter = text.split("## Promises").nth(1).expect("there are promises");
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let is_promise =
        |line: &str| line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    let mut promises: Vec<String> = Vec::new();
    for line in chapter.lines() {
        match promises.last_mut() {
            Some(promise) if line.starts_with("   ") => promise.push_str(line),
            _ if is_promise(line) => promises.push(line.to_owned()),
            _ => {}
        }
    }
    assert!(promises.len() >= 16, "{} promises", promises.len());
    for promise in &promises {
        let tests: Vec<&str> = quoted(promise).filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty(), "no test holds: {promise}");
        assert_tests_exist(&tests);
    }
}

#[test]
fn record_of_a_decision_has_at_most_450_words() {
    for entry in fs::read_dir("docs/adr").expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        let words = fs::read_to_string(&path).expect("it is text").split_whitespace().count();
        assert!(words <= 450, "{} has {words} words: it is one page", path.display());
    }
}

#[test]
fn index_of_decisions_lists_every_record() {
    let index = fs::read_to_string("docs/adr/README.md").expect("it is there");
    for entry in fs::read_dir("docs/adr").expect("the folder is there") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("it is UTF-8");
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name} is not in the index");
    }
}
