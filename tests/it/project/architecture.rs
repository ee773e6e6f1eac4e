//! The floors: a module imports only lower ones, and each folder says what it must never know.
//!
//! One file because each test asks something else of the same sources.

use super::imports::{Imports, inherent_type};
use mpscript::{api, script::docs, store};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

/// The floors from the highest to the lowest; `client` and `sandbox` share one and may not meet.
const FLOORS: [&[&str]; 8] = [
    &["cli"],
    &["run"],
    &["script"],
    &["bulk"],
    &["client", "sandbox"],
    &["store"],
    &["api"],
    &["base", "host"],
];

/// A crate's name that only some folders may write.
const KEPT_TO: [(&str, &[&str]); 7] = [
    ("sqlx::", &["src/store/driver.rs", "src/store/postgres.rs", "src/store/sqlite.rs"]),
    ("rhai::", &["src/script/"]),
    ("clap", &["src/cli/"]),
    ("reqwest::", &["src/client/transport.rs"]),
    ("quick_xml", &["src/api/callback/xml.rs"]),
    ("cbc::", &["src/api/callback/envelope.rs"]),
    ("thread_priority", &["src/run/runner/child/confine.rs"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every source file with its path from the top and its text.
pub(super) fn sources() -> Vec<(String, String)> {
    texts(&["src"])
}

/// Every Rust file under these folders with its path from the top and its text.
fn texts(folders: &[&str]) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(&top.join(folder)))
        .map(|path| {
            let name = path.strip_prefix(top).unwrap().display().to_string();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    sources.sort();
    sources
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The module directly under `src/` that a path names.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split(['/', '.']).next().unwrap_or_default()
}

/// The modules that a file names after `crate::`, alone or in braces.
fn imported(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut is_first = true;
            for char in group.chars() {
                match char {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        modules.push(std::mem::take(&mut word));
                        is_first = true;
                    }
                    ':' => is_first = false,
                    char if depth == 0 && is_first && (char.is_alphanumeric() || char == '_') => {
                        word.push(char);
                    }
                    _ => {}
                }
            }
            modules.push(word);
        } else {
            modules.push(rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect());
        }
    }
    modules
}

#[test]
fn import_groups_and_paths_are_read() {
    assert_eq!(imported("use crate::base::Clock;"), ["base"]);
    assert_eq!(
        imported("use crate::{\n    api::{Spec, wire::{Head, Outgoing}},\n    base::Secret,\n};"),
        ["api", "base", ""]
    );
}

#[test]
fn import_from_a_higher_floor_is_refused() {
    let mut seen = 0;
    for (path, text) in sources() {
        let own = module_of(&path);
        let Some(own_floor) = floor(own) else { continue };
        for module in imported(&text) {
            let Some(other_floor) = floor(&module) else { continue };
            seen += 1;
            assert!(
                module == own || other_floor > own_floor || (own == "host" && module == "base"),
                "{path} is on floor {own} and imports {module}"
            );
        }
    }
    assert!(seen > 100, "the imports were read: {seen}");
}

#[test]
fn relative_path_does_not_leave_its_floor() {
    for (path, text) in sources() {
        let inside = path.trim_start_matches("src/").trim_end_matches("/mod.rs");
        let depth = inside.split('/').count();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!text.contains(&"super::".repeat(depth)), "{path} climbs out of its floor by `super::`");
    }
}

#[test]
fn every_floor_says_what_it_must_never_know() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{path} opens with what it is for");
        assert!(
            ["src/lib.rs", "src/main.rs"].contains(&path.as_str()) || floor(module_of(&path)).is_some(),
            "{path} stands on no floor"
        );
        let is_door = path.ends_with("/mod.rs") && path.matches('/').count() == 2;
        if is_door {
            assert!(text.contains("ust never know"), "{path} says what it must never know");
        }
    }
}

#[test]
fn crate_outside_its_place_is_refused() {
    for (path, text) in sources() {
        for (name, places) in KEPT_TO {
            let names_it =
                text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(name));
            let belongs = places.iter().any(|place| path.starts_with(place));
            assert!(!names_it || belongs, "{path} names {name}");
        }
    }
}

#[test]
fn process_environment_is_read_by_the_host_only() {
    for (path, text) in sources() {
        let reads = [
            "env::current_dir",
            "std::env::var",
            "std::env::args",
            "io::stdout()",
            "io::stderr()",
            "io::stdin()",
        ];
        if path != "src/host.rs" {
            for word in reads {
                assert!(!text.contains(word), "{path} reads {word}");
            }
        }
        let clocks = ["SystemTime::now", "Instant::now"];
        if path != "src/base/clock.rs" {
            for word in clocks {
                assert!(!text.contains(word), "{path} reads {word}");
            }
        }
    }
}

#[test]
fn files_of_a_floor_form_no_circle() {
    let sources = sources();
    let imports = Imports::new(sources.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(imports.circles(), Vec::<Vec<String>>::new());
}

#[test]
fn only_a_door_re_exports() {
    let sources = sources();
    let imports = Imports::new(sources.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(imports.re_exports_outside_doors(), Vec::<String>::new());
}

/// The name of the type that a line defines. A `type` inside an `impl` or a `trait` belongs to that.
fn defined_type(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let item = match item.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => item.strip_prefix("pub ").unwrap_or(item),
    };
    let (keyword, rest) = item.split_once(' ')?;
    let defines = match keyword {
        "struct" | "enum" | "trait" | "union" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let name = rest.split(|char: char| !char.is_alphanumeric()).next()?;
    (defines && name.starts_with(char::is_uppercase)).then_some(name)
}

/// The types that several places of one layer define, each with its files. Definitions under `cfg` are one type.
fn repeated_types<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut types: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (path, text) in sources {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let attributes =
                lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
            let is_conditional = attributes.into_iter().any(|line| line.trim_start().starts_with("#[cfg("));
            if let Some(name) = defined_type(line).filter(|_| !is_conditional) {
                types.entry((module_of(path), name)).or_default().push(path);
            }
        }
    }
    let repeated = types.into_iter().filter(|(_, paths)| paths.len() > 1);
    repeated.map(|((layer, name), paths)| format!("{layer}: {name} in {}", paths.join(", "))).collect()
}

#[test]
fn no_type_name_occurs_twice_in_a_layer() {
    let sources = sources();
    let repeated = repeated_types(sources.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(repeated, Vec::<String>::new());
}

#[test]
fn type_name_used_twice_in_a_layer_is_found() {
    let sources = [
        ("src/run/甲.rs", "pub(super) struct Order {"),
        ("src/run/乙.rs", "fn read() {\n    enum Order {"),
        ("src/cli/甲.rs", "struct Order;"),
        ("src/run/丙.rs", "#[cfg(unix)]\nstruct Held;\n#[cfg(windows)]\nstruct Held;"),
        (
            "src/run/丁.rs",
            "impl Iterator for A {\n    type Item = u8;\n}\nimpl Iterator for B {\n    type Item = u8;",
        ),
    ];
    assert_eq!(repeated_types(sources), ["run: Order in src/run/甲.rs, src/run/乙.rs"]);
}

/// A folder whose types have their methods in one file each: methods of one type in several files are a circle that no
/// import shows.
const WHOLE_TYPES: &str = "src/run/daemon/";

/// The types with inherent methods in several of these files, with the files.
fn divided_types<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in files {
        for (_, line) in code_lines(text) {
            if let Some(name) = inherent_type(line) {
                types.entry(name).or_default().insert(path);
            }
        }
    }
    types.retain(|_, files| files.len() > 1);
    types
}

#[test]
fn methods_of_a_type_of_the_daemon_stand_in_one_file() {
    let sources = sources();
    let daemon = sources.iter().filter(|(path, _)| path.starts_with(WHOLE_TYPES));
    let divided = divided_types(daemon.map(|(path, text)| (path.as_str(), text.as_str())));
    assert_eq!(divided, BTreeMap::new());
}

#[test]
fn type_with_methods_in_two_files_is_found() {
    let files = [
        (
            "一.rs",
            "impl Daemon {\n}\nimpl<'a> Planner<'a> {\n}\nimpl Drop for Running {\n}\nimpl Running {\n}",
        ),
        ("二.rs", "impl<'a> Planner<'a> {\n}\nimpl Drop for Daemon {\n}\n// impl Running {\nimpl Queue {\n}"),
    ];
    let expected = BTreeMap::from([("Planner", BTreeSet::from(["一.rs", "二.rs"]))]);
    assert_eq!(divided_types(files.into_iter()), expected);
}

/// The lines of a file that are no comment, with their numbers, as far as its unit tests.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("\nmod tests {\n").next().unwrap_or_default();
    code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Lines under these folders that hold one of these texts, as `path:line`.
fn lines_with(folders: &[&str], words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if !folders.contains(&module_of(&path)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    found
}

#[test]
fn command_line_names_no_endpoint_path() {
    let paths: Vec<String> = api::all().iter().map(|spec| spec.path.to_owned()).collect();
    let prefixes = ["/cgi-bin/", "/card/", "/sns/"].map(str::to_owned);
    assert_eq!(lines_with(&["cli"], &[paths, prefixes.to_vec()].concat()), Vec::<String>::new());
}

#[test]
fn command_line_names_no_field_or_text_of_an_answer() {
    let words = ["\"errcode\":", "\"errmsg\":", "\\\"errcode\\\"", "invalid ip", "not in whitelist"];
    assert_eq!(lines_with(&["cli"], &words.map(str::to_owned)), Vec::<String>::new());
}

#[test]
fn no_floor_below_scripts_names_a_script_function() {
    let specs = api::all();
    let declared = specs.iter().map(|spec| format!("\"{}\"", spec.name));
    let helpers = ["changed_by(", "delete_tag_if_empty(", "restore_tag_name(", "\"print("].map(str::to_owned);
    let words: Vec<String> = declared.chain(helpers).collect();
    // A migration knows the old form of what it converts, and that form named functions.
    let mut found = lines_with(&["bulk", "client", "sandbox", "store", "base"], &words);
    found.retain(|line| !line.starts_with("src/store/migrate"));
    assert_eq!(found, Vec::<String>::new());
}

/// Flags that a floor below the command line may name: a folder or a file, the flag, and the reason.
const NAMED_FLAGS: [(&str, &str, &str); 3] = [
    (
        "src/script/",
        "--param",
        "`param(…)` is the script's side of this flag: its errors and its reference name both",
    ),
    ("src/script/audience/audience.rs", "--dry-run", "the reference shows a command as an example"),
    (
        "src/sandbox/world/switches.rs",
        "--minute-limit",
        "the reference of a switch compares it with the flag",
    ),
];

/// The flags in a line: `--`, and a word that begins there.
fn flags(line: &str) -> Vec<&str> {
    let is_word = |char: char| char.is_ascii_lowercase() || char == '-';
    let flag = |(at, _): (usize, &str)| {
        let rest = &line[at + 2..];
        let begins = !line[..at].ends_with(|char: char| char.is_ascii_alphanumeric() || char == '-');
        let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        (begins && rest.starts_with(|char: char| char.is_ascii_lowercase())).then(|| &line[at..at + 2 + end])
    };
    line.match_indices("--").filter_map(flag).collect()
}

#[test]
fn flags_of_a_line_are_read() {
    assert_eq!(flags("make fewer calls (--in-flight), or --store=文件"), ["--in-flight", "--store"]);
    assert_eq!(flags("SELECT 1 -- xn--czrs0t.example ---- x--"), [""; 0]);
}

/// Messages of lower floors refer to a `Setting`; the command line gives it the name of its flag.
#[test]
fn only_the_command_line_names_a_flag() {
    let mut found = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        NAMED_FLAGS.iter().map(|(place, flag, _)| (*place, *flag)).collect();
    for (path, text) in sources().into_iter().filter(|(path, _)| module_of(path) != "cli") {
        for (number, line) in code_lines(&text) {
            for flag in flags(line) {
                let named =
                    NAMED_FLAGS.iter().find(|(place, named, _)| path.starts_with(place) && *named == flag);
                match named {
                    Some((place, flag, _)) => {
                        unused.remove(&(*place, *flag));
                    }
                    None => found.push(format!("{path}:{}: {flag}", number + 1)),
                }
            }
        }
    }
    assert_eq!((found, unused), (Vec::new(), BTreeSet::new()));
}

/// It may show a call as an example, within a sentence; scripts are made and names are known by the floor of scripts.
#[test]
fn command_line_names_no_script_function() {
    let names: Vec<String> = docs::entries().iter().map(docs::Entry::full_name).collect();
    // `--param` is an option of the command line as well.
    let alone = names.iter().filter(|name| *name != "param").map(|name| format!("\"{name}\""));
    let called = names.iter().map(|name| format!("\"{name}("));
    let words: Vec<String> = alone.chain(called).collect();
    assert_eq!(lines_with(&["cli"], &words), Vec::<String>::new());
}

#[test]
fn statements_of_the_store_do_not_look_into_json() {
    let looks = ["LIKE '%\"", "LIKE '{", "LIKE '[", "LIKE '%:"].map(str::to_owned);
    // They hold JSON, which is written and read as it is.
    let columns = "effect checkpoint answer items unresolved failed options report served_as reason";
    let comparisons = columns.split(' ').flat_map(|column| {
        [".", " AND ", " OR ", "WHERE ", "("].into_iter().flat_map(move |before| {
            ["= $", "<> $", "LIKE ", "IN ("].map(|comparison| format!("{before}{column} {comparison}"))
        })
    });
    assert_eq!(lines_with(&["store"], &looks), Vec::<String>::new());
    let mut found = lines_with(&["store"], &comparisons.collect::<Vec<String>>());
    // A migration knows the form of what it converts.
    found.retain(|line| !line.starts_with("src/store/migrate"));
    assert_eq!(found, Vec::<String>::new());
}

/// A word of an enum in a statement comes from the enum's declaration, so that one that is renamed leaves no query behind.
#[test]
fn statements_name_no_word_of_a_stored_enum() {
    fn literals<T: Display>(all: &[T]) -> Vec<String> {
        all.iter().map(|word| format!("'{word}'")).collect()
    }
    let words = [
        literals(store::StepState::ALL),
        literals(store::RecordedKind::ALL),
        literals(store::RunState::ALL),
        literals(store::StartedBy::ALL),
        literals(store::FireState::ALL),
        literals(store::FireKind::ALL),
        literals(store::LeaseKind::ALL),
        literals(store::ServedVersion::ALL),
        vec!["'call:".to_owned(), "'terminal:".to_owned()],
    ];
    let mut found = lines_with(&["store", "bulk", "script", "run", "cli"], &words.concat());
    // A migration knows the words of its version.
    found.retain(|line| !line.starts_with("src/store/migrate"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_durable_type_is_untagged() {
    let durable = ["store", "bulk", "script", "run", "cli", "client"];
    assert_eq!(lines_with(&durable, &["serde(untagged".to_owned()]), Vec::<String>::new());
}

/// The one file that opens files to read them: it waits for no pipe, and bounds what it takes.
const READER: &str = "src/base/regular_file.rs";

/// What reads something else than a file: the output of a command.
const OTHER_READ: (&str, &str) = ("src/cli/config/secret.rs", "stdout.take(MAX_LENGTH).read_to_string(");

#[test]
fn files_are_opened_for_reading_in_one_place() {
    let words = ["fs::read(", "read_to_string(", "File::open(", ".read(true)"];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in code_lines(&text) {
            let is_other = path == OTHER_READ.0 && line.contains(OTHER_READ.1);
            if path != READER && !is_other && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// A file may be as long as its one subject needs; past this many lines its head says why it is one file.
const LONG: usize = 500;

#[test]
fn long_file_says_in_its_head_why_it_is_one() {
    for (path, text) in texts(&["src", "tests", "benches"]) {
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let lines = text.lines().count();
        assert!(lines <= LONG || head.contains("One file because"), "{path} has {lines} lines and no reason");
    }
}
