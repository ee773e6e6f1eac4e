//! Reads which file imports which, from `use` lines and paths in the code, with re-exports resolved.

use std::collections::{BTreeMap, BTreeSet};

/// A module as its path from the crate: `["bulk", "journal", "replay"]`.
pub(crate) type Module = Vec<String>;

/// The files of `src/` as modules, and what each imports.
pub(crate) struct Imports {
    /// The text of every module without comments and unit tests.
    texts: BTreeMap<Module, String>,
    /// The folders' doors: modules whose file is a `mod.rs`.
    doors: BTreeSet<Module>,
    /// `pub use`: the name it is known by, and what it stands for.
    re_exports: BTreeMap<Module, Module>,
}

/// The module of `src/bulk/journal/replay.rs`; a folder's door, `mod.rs`, is the folder itself.
fn module_of(path: &str) -> Option<Module> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut module: Module = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    let is_root = module.len() == 1 && ["lib", "main"].contains(&module[0].as_str());
    (!is_root).then_some(module)
}

/// The text without comments, and as far as its unit tests, on whichever systems those run.
fn code(text: &str) -> String {
    let text = text.split("\nmod tests {\n").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// `a::{b, c::d}` as `[a, b]` and `[a, c, d]`; an alias counts as what it stands for.
fn paths_of(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some((before, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|name| name.trim().to_owned()).collect()];
    };
    let prefix: Module =
        before.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut entries) = (0, vec![String::new()]);
    for char in group.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if char == ',' && depth == 0 {
            entries.push(String::new());
        } else if let Some(entry) = entries.last_mut() {
            entry.push(char);
        }
    }
    let entries = entries.iter().filter(|entry| !entry.trim().is_empty());
    entries.flat_map(|entry| paths_of(entry)).map(|path| [prefix.clone(), path].concat()).collect()
}

/// The `use` statements of a text: whether each is public, and its tree.
fn uses(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut at_line_start = true;
    while let Some(line_end) = rest.find('\n') {
        let line = rest[..line_end].trim_start();
        let visible = line.strip_prefix("pub").map(|line| {
            let line = line.trim_start();
            line.strip_prefix('(')
                .and_then(|line| line.split_once(')'))
                .map_or(line, |(_, line)| line)
                .trim_start()
        });
        if at_line_start
            && visible.unwrap_or(line).starts_with("use ")
            && let Some(end) = rest.find(';')
        {
            let statement = &rest[..end];
            let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
            found.push((visible.is_some(), tree.to_owned()));
            rest = &rest[end + 1..];
            at_line_start = false;
            continue;
        }
        rest = &rest[line_end + 1..];
        at_line_start = true;
    }
    found
}

/// A text without its `use` statements.
fn without_uses(text: &str) -> String {
    uses(text).iter().fold(text.to_owned(), |text, (_, tree)| text.replace(&format!("use {tree};"), ""))
}

/// Paths in the code outside `use` statements: they may begin with `crate`, `super`, `self` or a child module.
fn inline_paths(text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("::") {
        let start = text[..at].rfind(|char| !is_name(char)).map_or(0, |before| before + 1);
        if start == at || text[..start].ends_with(':') {
            continue;
        }
        let rest = &text[start..];
        let end = rest.find(|char: char| !is_name(char) && char != ':').unwrap_or(rest.len());
        found.push(rest[..end].split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect());
    }
    found
}

const fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// The type of a line that opens a block of inherent methods.
pub(crate) fn inherent_type(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl").filter(|rest| rest.starts_with([' ', '<']))?;
    let head = rest
        .strip_prefix('<')
        .map_or(rest, |generic| generic.split_once("> ").map_or(generic, |(_, head)| head));
    let name = head.trim_start().split(|char| !is_name(char)).next();
    name.filter(|_| !head.contains(" for "))
}

/// The inherent methods in a text: the type and the name of each.
fn methods(text: &str) -> Vec<(&str, &str)> {
    let (mut of, mut found) = (None, Vec::new());
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            of = inherent_type(line);
        }
        let opens = line.strip_prefix("    ").filter(|line| !line.starts_with(' '));
        let name = opens.and_then(|line| line.split_once("fn "));
        let name = name.and_then(|(_, name)| name.split(|char| !is_name(char)).next());
        found.extend(of.zip(name));
    }
    found
}

/// Whether a text declares a type of this name.
fn declares(text: &str, name: &str) -> bool {
    let kinds = ["struct ", "enum "].into_iter();
    kinds
        .flat_map(|kind| text.split(kind).skip(1))
        .any(|rest| rest.split(|char| !is_name(char)).next() == Some(name))
}

/// The type of a line that opens a block of its methods, inherent or of a trait.
fn block_type(line: &str) -> Option<&str> {
    match line.split_once(" for ") {
        Some((head, of)) if head.starts_with("impl") => of.split(|char| !is_name(char)).next(),
        Some(_) | None => inherent_type(line),
    }
}

/// The variables that a text binds to what a path of the type gives, or to a literal of it: `let x = Type::new()`,
/// `let x = Self { … }`.
fn bound<'a>(text: &'a str, of: &str) -> Vec<&'a str> {
    let (mut is_in_block, mut found) = (false, Vec::new());
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            is_in_block = block_type(line) == Some(of);
        }
        let Some(binding) = line.trim_start().strip_prefix("let ") else { continue };
        let Some((name, value)) = binding.split_once(" = ") else { continue };
        let written = value.split(|char| !is_name(char)).next().unwrap_or_default();
        let is_of_type = written == of || (is_in_block && written == "Self");
        let name = name.strip_prefix("mut ").unwrap_or(name);
        if is_of_type && ["::", " {"].iter().any(|next| value[written.len()..].starts_with(next)) {
            found.extend(name.chars().all(is_name).then_some(name));
        }
    }
    found
}

/// Whether a text calls a method of a type: by its path, or on a variable or a field that the text declares with the type or
/// binds to a value of it.
fn calls(text: &str, of: &str, method: &str) -> bool {
    let ends = |at: usize| text[at..].chars().next().is_none_or(|char| !is_name(char));
    let declared = [": ", ": &", ": &mut "].into_iter().flat_map(|sign| {
        let written = format!("{sign}{of}");
        let places = text.match_indices(&written).filter(|(at, _)| ends(at + written.len()));
        let names =
            places.map(|(at, _)| &text[text[..at].rfind(|char| !is_name(char)).map_or(0, |at| at + 1)..at]);
        names.filter(|name| !name.is_empty()).map(|name| format!("{name}.{method}(")).collect::<Vec<_>>()
    });
    let bound = bound(text, of).into_iter().map(|name| format!("{name}.{method}("));
    let own = methods(text).iter().any(|(own, _)| *own == of).then(|| format!("self.{method}("));
    let called = declared.chain(bound).chain(own).chain([format!("{of}::{method}(")]).collect::<Vec<_>>();
    called.iter().any(|call| text.match_indices(call).any(|(at, _)| !text[..at].ends_with(is_name)))
}

impl Imports {
    /// Of these files: paths from the top of the project, and their texts.
    pub(crate) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut texts, mut doors) = (BTreeMap::new(), BTreeSet::new());
        for (path, text) in files {
            let Some(module) = module_of(path) else { continue };
            if path.ends_with("/mod.rs") {
                doors.insert(module.clone());
            }
            texts.insert(module, code(text));
        }
        let mut imports = Self { texts, doors, re_exports: BTreeMap::new() };
        let mut re_exports = BTreeMap::new();
        for (own, text) in &imports.texts {
            for (_, tree) in uses(text).into_iter().filter(|(is_public, _)| *is_public) {
                for path in paths_of(&tree) {
                    let name = path.last().cloned().unwrap_or_default();
                    if let Some(path) = imports.absolute(own, &path) {
                        re_exports.insert([own.clone(), vec![name]].concat(), path);
                    }
                }
            }
        }
        imports.re_exports = re_exports;
        imports
    }

    /// A path as the module `own` writes it, from the crate on; `None` for other crates.
    fn absolute(&self, own: &[String], path: &[String]) -> Option<Module> {
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([own, &path[1..]].concat()),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                Some([&own[..own.len().checked_sub(ups)?], &path[ups..]].concat())
            }
            child => {
                let module = [own, &[child.to_owned()]].concat();
                self.texts.contains_key(&module).then(|| [own, path].concat())
            }
        }
    }

    /// The file that a path leads to in the end.
    fn file_of(&self, path: &[String], depth: u32) -> Option<Module> {
        for length in (1..=path.len()).rev() {
            let start = &path[..length];
            if self.texts.contains_key(start) {
                return Some(start.to_vec());
            }
            if let Some(target) = self.re_exports.get(start).filter(|_| depth < 8) {
                return self.file_of(&[target, &path[length..]].concat(), depth + 1);
            }
        }
        None
    }

    /// What files other than doors re-export, as `module: path`. A macro of the file's own is none: `use` is what gives
    /// it a path.
    pub(crate) fn re_exports_outside_doors(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (own, text) in self.texts.iter().filter(|(own, _)| !self.doors.contains(*own)) {
            let public = uses(text).into_iter().filter(|(is_public, _)| *is_public);
            for path in public.flat_map(|(_, tree)| paths_of(&tree)) {
                let is_own_macro = path.len() == 1 && text.contains(&format!("macro_rules! {} {{", path[0]));
                if !is_own_macro {
                    found.push(format!("{}: {}", own.join("/"), path.join("::")));
                }
            }
        }
        found
    }

    /// The files of its own floor that a module imports. Neither opening a child module nor re-exporting from it is an
    /// import where the module is a door, which stands before the files of its folder.
    fn of(&self, own: &Module) -> BTreeSet<Module> {
        let text = &self.texts[own];
        let statements = uses(text);
        let is_door = self.doors.contains(own);
        let imported = statements.iter().filter(|(is_public, _)| !(*is_public && is_door));
        let used = imported.flat_map(|(_, tree)| paths_of(tree));
        let paths =
            used.chain(inline_paths(&without_uses(text))).filter_map(|path| self.absolute(own, &path));
        let files = paths.filter_map(|path| self.file_of(&path, 0));
        files.filter(|file| file != own && file[0] == own[0]).collect()
    }

    /// The files of its own floor whose methods a module calls without an import of them: those of a type that stands in
    /// another file.
    fn called_by(&self, own: &Module) -> BTreeSet<Module> {
        let text = &self.texts[own];
        let others = self.texts.iter().filter(|(file, _)| *file != own && file[0] == own[0]);
        let called = others.filter(|(_, other)| {
            let of_others = methods(other).into_iter().filter(|(of, _)| !declares(other, of));
            of_others.into_iter().any(|(of, method)| calls(text, of, method))
        });
        called.map(|(file, _)| file.clone()).collect()
    }

    /// The circles of files inside a floor, each with its files in order: there is a way from each to each other.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let graph: BTreeMap<&Module, BTreeSet<Module>> =
            self.texts.keys().map(|own| (own, &self.of(own) | &self.called_by(own))).collect();
        let reachable = |from: &Module| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = next.pop() {
                for other in &graph[&module] {
                    if seen.insert(other.clone()) {
                        next.push(other.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            graph.keys().map(|own| (*own, reachable(own))).collect();
        let mut circles = BTreeSet::new();
        for (own, others) in &reached {
            let circle: BTreeSet<String> = others
                .iter()
                .filter(|other| reached[other].contains(*own))
                .map(|module| module.join("/"))
                .collect();
            if circle.len() > 1 {
                circles.insert(circle.into_iter().collect::<Vec<String>>());
            }
        }
        circles.into_iter().collect()
    }
}

#[test]
fn paths_of_nested_tree_are_listed_one_by_one() {
    let paths: Vec<String> =
        paths_of("super::{a::{B, c::D}, e as f}").iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["super::a::B", "super::a::c::D", "super::e"]);
}

#[test]
fn circle_of_two_files_is_found() {
    let one = "use super::b::Two;\npub struct One;\n";
    let two = "use crate::bulk::a::One;\npub struct Two;\n";
    let imports =
        Imports::new([("src/bulk/a.rs", one), ("src/bulk/b.rs", two), ("src/bulk/mod.rs", "mod a;\n")]);
    assert_eq!(imports.circles(), [["bulk/a", "bulk/b"]]);
}

#[test]
fn circle_through_methods_apart_from_their_type_is_found() {
    let model = "pub enum Change {\n}\n";
    let effect = "use super::{a::Change, b::DryRun};\nimpl Change {\n    fn kind() {}\n\n    pub fn spec(self) {}\n}\n";
    let dry_run = "use super::a::Change;\npub fn count(change: Change) {\n    change.spec();\n}\n";
    let files = [("src/bulk/a.rs", model), ("src/bulk/b.rs", dry_run), ("src/bulk/c.rs", effect)];
    assert_eq!(Imports::new(files).circles(), [["bulk/b", "bulk/c"]]);
}

#[test]
fn circle_through_a_variable_bound_to_its_own_type_is_found() {
    for (binding, block) in [
        ("Self::of()", "impl Store"),
        ("Self { path }", "impl Store"),
        ("Self::of()", "impl From<Path> for Store"),
        ("Store::of()", "impl Other"),
    ] {
        let store = format!(
            "pub struct Store;\n{block} {{\n    fn open() {{\n        let mut store = {binding};\n        store.migrate();\n    }}\n}}\n"
        );
        let migrate = "use super::a::Store;\nimpl Store {\n    pub fn migrate(&self) {}\n}\n";
        let files = [("src/store/a.rs", store.as_str()), ("src/store/b.rs", migrate)];
        assert_eq!(Imports::new(files).circles(), [["store/a", "store/b"]], "{block}: {binding}");
    }
}

#[test]
fn variable_bound_to_another_type_calls_no_method_of_this_one() {
    let store = "pub struct Store;\nimpl Other {\n    fn open() {\n        let other = Self::of();\n        other.migrate();\n    }\n}\n";
    let migrate = "use super::a::Store;\nimpl Store {\n    pub fn migrate(&self) {}\n}\n";
    let files = [("src/store/a.rs", store), ("src/store/b.rs", migrate)];
    assert_eq!(Imports::new(files).circles(), Vec::<Vec<String>>::new());
}

#[test]
fn method_of_the_same_name_on_another_type_is_no_import() {
    let model = "pub enum Change {\n}\n";
    let effect = "use super::{a::Change, b::DryRun};\nimpl Change {\n    fn kind() {}\n\n    pub fn spec(self) {}\n}\n";
    let dry_run = "use super::a::Change;\npub fn count(change: Change, call: Call) {\n    call.spec();\n}\n";
    let files = [("src/bulk/a.rs", model), ("src/bulk/b.rs", dry_run), ("src/bulk/c.rs", effect)];
    assert_eq!(Imports::new(files).circles(), Vec::<Vec<String>>::new());
}

#[test]
fn circle_through_a_path_of_a_door_into_its_child_is_found() {
    let door = "mod a;\npub struct Two;\npub fn make() { a::One::of(Two); }\n";
    let one = "use super::Two;\npub struct One(Two);\n";
    let imports = Imports::new([("src/bulk/a.rs", one), ("src/bulk/mod.rs", door)]);
    assert_eq!(imports.circles(), [["bulk", "bulk/a"]]);
}

#[test]
fn circle_through_a_re_export_is_found() {
    let door = "mod a;\nmod b;\npub use a::One;\npub(crate) use b::Two;\n";
    let one = "use super::Two;\npub struct One(Two);\n";
    let two = "pub struct Two;\npub fn make() -> crate::bulk::One { todo() }\n";
    let imports = Imports::new([("src/bulk/a.rs", one), ("src/bulk/b.rs", two), ("src/bulk/mod.rs", door)]);
    assert_eq!(imports.circles(), [["bulk/a", "bulk/b"]]);
}

#[test]
fn re_export_of_a_file_that_is_no_door_is_an_import() {
    let one = "pub use super::b::Two;\npub struct One;\n";
    let two = "use super::a::One;\npub struct Two;\n";
    let imports = Imports::new([("src/bulk/a.rs", one), ("src/bulk/b.rs", two)]);
    assert_eq!(imports.circles(), [["bulk/a", "bulk/b"]]);
}

#[test]
fn re_export_outside_a_door_is_found() {
    let one = "pub(super) use crate::api::callback::Keys as CallbackKeys;\npub struct One;\n";
    let imports = Imports::new([("src/bulk/a.rs", one), ("src/bulk/mod.rs", "mod a;\npub use a::One;\n")]);
    assert_eq!(imports.re_exports_outside_doors(), ["bulk/a: crate::api::callback::Keys"]);
}

#[test]
fn macro_of_its_own_that_a_file_names_is_no_re_export() {
    let one = "macro_rules! two {\n    () => {};\n}\npub(super) use two;\n";
    let imports = Imports::new([("src/bulk/a.rs", one)]);
    assert_eq!(imports.re_exports_outside_doors(), [""; 0]);
}

#[test]
fn import_in_a_comment_or_a_unit_test_is_none() {
    let one = "use super::b::Two;\n";
    let two = "// use super::a::One;\n#[cfg(test)]\nmod tests {\n    use crate::bulk::a::One;\n}\n";
    let imports = Imports::new([("src/bulk/a.rs", one), ("src/bulk/b.rs", two)]);
    assert_eq!(imports.circles(), Vec::<Vec<String>>::new());
}
