//! Lexes a half-typed line, for colours, completion and hints. It works on text alone; the names that exist come from
//! `CompletionNames`.

use crate::script::{
    Variable,
    docs::{KEYWORDS, Words},
    is_incomplete,
};
use std::{ops::Range, sync::Arc};

/// The names that exist at this moment.
#[derive(Clone, Default)]
pub(super) struct CompletionNames {
    /// The names of the reference.
    pub words: Arc<Words>,
    /// The session's variables.
    pub variables: Vec<Variable>,
    /// Its functions, with their parameters.
    pub functions: Vec<(String, String)>,
    /// The names of its imports.
    pub modules: Vec<String>,
    /// The account's tags.
    pub tags: Vec<String>,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Comment,
    Text,
    Number,
    Keyword,
    Call,
    /// A call of a function that does not exist.
    Unknown,
    Plain,
}

/// Commands of the session, with what they do.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    (":help", "these commands"),
    (":vars", "the variables and their values"),
    (":time LINE", "evaluates a line and shows how long it took"),
    (":more", "the next rows of the last list"),
    (":load FILE", "evaluates a file here: its declarations stay"),
    (":run FILE", "runs a file as a script of its own"),
    (":edit", "opens the last line in $EDITOR, and evaluates what is saved"),
    (":save FILE", "writes the lines that succeeded as a script; with --automation as one for the daemon"),
    (
        ":undo",
        "undoes the last line: its variables, and after a confirmation what it changed on the account; repeat it for \
         earlier lines",
    ),
    (
        ":watch FILE",
        "runs a script in the background, and reruns it whenever it is saved; its output appears above the line",
    ),
    (":serve FOLDER", "serves a folder of automations in the background"),
    (":stop", "stops what is running in the background"),
    (":dry on|off", "turns on or off that lines change nothing and show what they would change"),
    (":account NAME", "switches to another account; without a name, shows the current one"),
    (":quota", "today's calls, and how many are left"),
    (":runs", "the recorded runs, newest first"),
    (":history", "the last typed lines"),
    (":reset", "forgets variables, functions and imports"),
    (":quit", "leaves, as Ctrl-D does"),
    ("?", "the reference; ?tag::attach one entry, ?45009 an errcode, ??NAME a function's source"),
];

/// Functions whose text is a file's name.
const OF_FILES: &[&str] = &["openids_from", "write_csv", "upload_image", "import"];

/// Functions whose text is a tag's name.
const OF_TAGS: &[&str] = &["tag", "untag", "members", "with_tag", "without_tag", "tag_id"];

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The tokens of a line, in order and without gaps.
pub(super) fn tokenize(line: &str, known: &CompletionNames) -> Vec<(Range<usize>, Kind)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut last_word = "";
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let (length, kind) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Kind::Comment)
        } else if rest.starts_with("/*") {
            (comment_length(rest).unwrap_or(rest.len()), Kind::Comment)
        } else if ['"', '`', '\''].contains(&first) {
            (text_length(rest, first), Kind::Text)
        } else if first.is_ascii_digit() {
            let end = rest.find(|char: char| !is_of_word(char) && char != '.');
            (end.unwrap_or(rest.len()), Kind::Number)
        } else if is_of_word(first) {
            let length = rest.find(|char| !is_of_word(char)).unwrap_or(rest.len());
            let word = &rest[..length];
            let kind = kind_of_word(word, &line[..at], &rest[length..], last_word, known);
            last_word = word;
            (length, kind)
        } else {
            (first.len_utf8(), Kind::Plain)
        };
        tokens.push((at..at + length, kind));
        at += length;
    }
    tokens
}

/// The length in bytes of a comment, which may be nested; `None` if it is not closed.
fn comment_length(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// Whether a line is continued by the next one.
pub(super) fn is_unfinished(line: &str) -> bool {
    is_incomplete(line) || has_open_comment(line)
}

fn has_open_comment(line: &str) -> bool {
    let tokens = tokenize(line, &CompletionNames::default());
    let last =
        tokens.last().filter(|(_, kind)| *kind == Kind::Comment).map(|(range, _)| &line[range.clone()]);
    last.is_some_and(|comment| comment.starts_with("/*") && comment_length(comment).is_none())
}

/// The length in bytes of a text literal, up to the end of the line if it is not closed.
fn text_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        if char == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = char == '\\' && !is_escaped && quote != '`';
    }
    rest.len()
}

fn kind_of_word(word: &str, before: &str, after: &str, last_word: &str, known: &CompletionNames) -> Kind {
    if KEYWORDS.contains(&word) {
        return Kind::Keyword;
    }
    if !after.trim_start().starts_with('(') {
        return Kind::Plain;
    }
    if let Some(before) = before.strip_suffix("::") {
        let module = before.rsplit(|char| !is_of_word(char)).next().unwrap_or_default();
        // The members of an import are unknown here.
        let is_there = module == "global"
            || known.modules.iter().any(|known| known == module)
            || before.contains(&format!(" as {module}"))
            || known.words.known.contains(&format!("{module}::{word}"));
        return if is_there { Kind::Call } else { Kind::Unknown };
    }
    let is_declared = last_word == "fn" || known.functions.iter().any(|(name, _)| name == word);
    let is_here = before.contains(&format!("fn {word}"));
    if is_declared || is_here || known.words.known.contains(word) { Kind::Call } else { Kind::Unknown }
}

/// The bracket at the cursor, else the one before it, and its counterpart.
pub(super) fn pair_at(
    line: &str,
    position: usize,
    tokens: &[(Range<usize>, Kind)],
) -> Option<(usize, usize)> {
    let brackets: Vec<(usize, char)> = tokens
        .iter()
        .filter(|(range, kind)| *kind == Kind::Plain && range.len() == 1)
        .filter_map(|(range, _)| Some((range.start, line[range.clone()].chars().next()?)))
        .filter(|(_, char)| "()[]{}".contains(*char))
        .collect();
    let here = brackets.iter().position(|(at, _)| *at == position);
    let here = here.or_else(|| brackets.iter().position(|(at, _)| at + 1 == position))?;
    let is_open = |char: char| "([{".contains(char);
    let mut depth = 0_i32;
    let step = |depth: &mut i32, char: char| {
        *depth += if is_open(char) { 1 } else { -1 };
        *depth == 0
    };
    let (at, first) = brackets[here];
    let other = if is_open(first) {
        brackets[here..].iter().find(|(_, char)| step(&mut depth, *char))
    } else {
        brackets[..=here].iter().rev().find(|(_, char)| step(&mut depth, *char))
    };
    other.map(|(other, _)| (at, *other))
}

/// The name, with its module, of the call whose arguments the cursor is in.
pub(super) fn open_call(line: &str) -> Option<&str> {
    let tokens = tokenize(line, &CompletionNames::default());
    let mut depth = 0_i32;
    for (range, _) in tokens.iter().rev().filter(|(_, kind)| *kind == Kind::Plain) {
        match &line[range.clone()] {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" if depth > 0 => depth -= 1,
            "(" => {
                let before = line[..range.start].trim_end();
                let start = before
                    .rfind(|char| !is_of_word(char) && char != ':')
                    .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
                return Some(before[start..].trim_start_matches(':')).filter(|name| !name.is_empty());
            }
            // In a closure or a block within the call, only calls made there count.
            "{" => return None,
            _ => {}
        }
    }
    None
}

/// The signature of the function whose arguments are being typed.
pub(super) fn signature_at(line: &str, known: &CompletionNames) -> Option<String> {
    let name = open_call(line)?;
    if let Some((_, signature)) = known.functions.iter().find(|(known, _)| known == name) {
        return Some(signature.clone());
    }
    let word = known.words.functions.iter().find(|word| word.name == name)?;
    word.signatures.first().cloned()
}

/// What can be completed at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// These words, each in place of the text from this byte on.
    Words(usize, Vec<String>),
    /// The name of a file.
    File,
}

/// What can be completed at the end of `line`, which is cut at the cursor.
pub(super) fn complete(line: &str, known: &CompletionNames) -> Completion {
    if line.starts_with(':') {
        return complete_command(line);
    }
    let tokens = tokenize(line, known);
    if let Some((range, Kind::Text)) = tokens.last()
        && is_open_text(&line[range.clone()])
    {
        return complete_text(line, range.start, known);
    }
    let start = line
        .rfind(|char| !is_of_word(char))
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, begun) = line.split_at(start);
    let mut found: Vec<String> = if let Some(before) = before.strip_suffix("::") {
        let module = before.rsplit(|char| !is_of_word(char)).next().unwrap_or_default();
        let of_module = known
            .words
            .functions
            .iter()
            .filter_map(|word| word.name.strip_prefix(module)?.strip_prefix("::"));
        of_module.map(|name| format!("{name}(")).collect()
    } else if let Some(before) = before.strip_suffix('.') {
        let mut found = of_value(before, known);
        // Methods of lists and texts are functions of the language.
        if found.is_empty() && !begun.is_empty() {
            found.extend(of_language(known));
        }
        found
    } else if begun.is_empty() {
        everything(known)
    } else {
        everything(known).into_iter().chain(of_language(known)).collect()
    };
    found.retain(|name| name.starts_with(begun));
    found.sort();
    found.dedup();
    Completion::Words(start, found)
}

/// The language's own functions.
fn of_language(known: &CompletionNames) -> impl Iterator<Item = String> {
    let is_own = |name: &str| known.words.functions.iter().all(|word| word.name != name);
    let names = known.words.known.iter().filter(move |name| !name.contains("::") && is_own(name));
    names.map(|name| format!("{name}("))
}

/// How a completion is shown in the list of them: a function with its parameters.
pub(super) fn shown_as(line: &str, word: &str, known: &CompletionNames) -> String {
    let Some(name) = word.strip_suffix('(') else { return word.trim_end_matches(['"', '`']).to_owned() };
    let module = line.strip_suffix("::").map(|before| before.rsplit(|char| !is_of_word(char)).next());
    let full = module.flatten().map_or_else(|| name.to_owned(), |module| format!("{module}::{name}"));
    if let Some((_, signature)) = known.functions.iter().find(|(known, _)| *known == full) {
        return signature.clone();
    }
    let entry = known.words.functions.iter().find(|word| word.name == full);
    entry.and_then(|entry| entry.signatures.first()).cloned().unwrap_or_else(|| name.to_owned())
}

fn is_open_text(text: &str) -> bool {
    let quote = text.chars().next().unwrap_or('"');
    text.len() == 1 || !text.ends_with(quote) || text.ends_with("\\\"")
}

fn complete_command(line: &str) -> Completion {
    if let Some((command, _)) = line.split_once(' ') {
        return match command {
            ":load" | ":run" | ":save" | ":watch" | ":serve" => Completion::File,
            ":dry" => Completion::Words(":dry ".len(), vec!["on".to_owned(), "off".to_owned()]),
            _ => Completion::Words(line.len(), Vec::new()),
        };
    }
    let names = COMMANDS.iter().filter_map(|(command, _)| command.split(' ').next());
    Completion::Words(0, names.filter(|name| name.starts_with(line)).map(str::to_owned).collect())
}

fn complete_text(line: &str, start: usize, known: &CompletionNames) -> Completion {
    let before = line[..start].trim_end();
    let begun = &line[start + 1..];
    let call = open_call(before).unwrap_or(if before.ends_with("import") { "import" } else { "" });
    let call = call.rsplit("::").next().unwrap_or_default();
    if OF_FILES.contains(&call) {
        return Completion::File;
    }
    if OF_TAGS.contains(&call) {
        let quote = &line[start..=start];
        let tags = known.tags.iter().filter(|tag| tag.starts_with(begun)).map(|tag| format!("{tag}{quote}"));
        return Completion::Words(start + 1, tags.collect());
    }
    Completion::Words(line.len(), Vec::new())
}

/// The members of the value before a dot.
fn of_value(before: &str, known: &CompletionNames) -> Vec<String> {
    let of_audience = || {
        let words = known.words.functions.iter().filter(|word| word.is_of_audience);
        words.map(|word| format!("{}(", word.name))
    };
    let before = before.trim_end();
    // Most calls return an audience.
    if before.ends_with(')') {
        return of_audience().collect();
    }
    let name = |text: &str| text.rsplit(|char| !is_of_word(char)).next().unwrap_or_default().to_owned();
    if let Some((list, _)) = before.strip_suffix(']').and_then(|before| before.rsplit_once('[')) {
        let list = known.variables.iter().rev().find(|variable| variable.name == name(list));
        // Lists within other values are not looked up.
        return list.map(|list| list.fields_of_entries.clone()).unwrap_or_default();
    }
    let name = name(before);
    let is_of_another = before.strip_suffix(name.as_str()).is_some_and(|before| before.ends_with('.'));
    if is_of_another || name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) {
        return Vec::new();
    }
    match known.variables.iter().rev().find(|variable| variable.name == name) {
        Some(variable) if variable.is_audience => of_audience().collect(),
        Some(variable) => variable.fields.clone(),
        // Not a variable, so the parameter of a closure: a follower.
        None => crate::api::user::FIELDS.iter().map(|field| field.name.to_owned()).collect(),
    }
}

fn everything(known: &CompletionNames) -> Vec<String> {
    let functions =
        known.words.functions.iter().filter(|word| !word.is_of_audience && !word.name.contains("::"));
    let modules = known.words.modules.iter().chain(&known.modules).map(|module| format!("{module}::"));
    let functions = functions.map(|word| format!("{}(", word.name));
    let own = known.functions.iter().map(|(name, _)| format!("{name}("));
    let variables = known.variables.iter().map(|variable| variable.name.clone());
    let keywords = KEYWORDS.iter().map(|word| (*word).to_owned());
    variables.chain(own).chain(functions).chain(modules).chain(keywords).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::docs::words;

    fn known() -> CompletionNames {
        let variable = |name: &str, fields: &[&str], is_audience| Variable {
            name: name.to_owned(),
            kind: String::new(),
            value: String::new(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            fields_of_entries: Vec::new(),
            is_audience,
            is_constant: false,
        };
        CompletionNames {
            words: Arc::new(words()),
            variables: vec![variable("booth", &["scene", "size"], false), variable("all", &[], true)],
            functions: vec![("mine".to_owned(), "mine(a, b)".to_owned())],
            modules: vec!["shop".to_owned()],
            tags: vec!["老客户".to_owned(), "老板".to_owned(), "会员".to_owned()],
        }
    }

    fn completed(line: &str) -> Vec<String> {
        match complete(line, &known()) {
            Completion::Words(_, words) => words,
            Completion::File => vec!["(a file)".to_owned()],
        }
    }

    #[test]
    fn completion_context_at_the_cursor_is_found() {
        assert_eq!(completed("follo"), ["followers("]);
        assert!(completed("tag::a").contains(&"attach(".to_owned()));
        assert_eq!(completed("booth.s"), ["scene", "size"]);
        assert!(completed("followers().filter(|u| u.qr_s").contains(&"qr_scene".to_owned()));
        assert!(completed("all.cou").contains(&"count(".to_owned()));
        assert!(completed("followers().t").contains(&"take(".to_owned()));
        assert_eq!(completed("followers().tag(\"老"), ["老客户\"", "老板\""]);
        assert_eq!(completed("openids_from(\"a"), ["(a file)"]);
        assert_eq!(completed("import \"l"), ["(a file)"]);
        assert_eq!(completed(":d"), [":dry"]);
        assert_eq!(completed(":load a"), ["(a file)"]);
        assert_eq!(completed("print(\"老"), Vec::<String>::new());
    }

    #[test]
    fn unfinished_call_shows_its_parameters() {
        assert_eq!(signature_at("mine(1, ", &known()).as_deref(), Some("mine(a, b)"));
        assert_eq!(open_call("tag::attach(t, [a"), Some("tag::attach"));
        assert_eq!(open_call("tag::attach(t, f(x), "), Some("tag::attach"));
        assert_eq!(open_call("print(\"(\""), Some("print"));
        assert_eq!(open_call("f(1)"), None);
    }

    #[test]
    fn unknown_names_are_marked() {
        let known = known();
        let unknown = |line: &str| -> Vec<String> {
            let tokens = tokenize(line, &known).into_iter();
            tokens
                .filter(|(_, kind)| *kind == Kind::Unknown)
                .map(|(range, _)| line[range].to_owned())
                .collect()
        };
        assert_eq!(unknown("folowers().count()"), ["folowers"]);
        assert_eq!(
            unknown("mine(1, 2); shop::buy(3); tag::list(); [1].len(); print(\"nix()\") // nix()"),
            Vec::<String>::new()
        );
        assert_eq!(unknown("fn neu(a) { a } neu(1)"), Vec::<String>::new());
        assert_eq!(unknown("if (true) { 备注() }"), ["备注"]);
    }

    #[test]
    fn unfinished_input_is_distinguished_from_an_error() {
        for line in
            ["f(", "let m = #{", "if x {", "`a", "`a ${x} b", "/* a", "/* a /* b */", "1 + 1 /*", "let x ="]
        {
            assert!(is_unfinished(line), "{line}");
        }
        let whole = [
            "1",
            "\"a",
            "f)",
            "'`'; \"a",
            "// `\nlet x = \"a",
            "`/*`",
            "\"/*\"",
            "/* a /* b */ */ 1",
            "`${x}/*`",
        ];
        for line in whole {
            assert!(!is_unfinished(line), "{line}");
        }
    }

    #[test]
    fn brackets_are_matched_outside_of_strings() {
        let line = "f(\")\", [1])";
        let tokens = tokenize(line, &CompletionNames::default());
        assert_eq!(pair_at(line, 1, &tokens), Some((1, 10)));
        assert_eq!(pair_at(line, 11, &tokens), Some((10, 1)));
        assert_eq!(pair_at(line, 4, &tokens), None);
    }
}
