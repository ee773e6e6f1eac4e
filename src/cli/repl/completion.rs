//! What can be completed at the cursor, and the signature of the call that is being typed.

use super::{
    lexer::{Kind, is_of_word, open_call, tokenize},
    names::{COMMANDS, CompletionNames},
};
use crate::script::docs::{KEYWORDS, TextArgument};

/// What can be completed at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// These words, each in place of the text from this byte on.
    Words(usize, Vec<String>),
    /// The name of a file.
    File,
    /// Nothing, so that the Tab is a character like another, as in code that is pasted.
    Tab,
}

/// What can be completed at the end of `line`, which is cut at the cursor.
pub(super) fn complete(line: &str, known: &CompletionNames) -> Completion {
    if line.starts_with(':') {
        return complete_command(line);
    }
    let tokens = tokenize(line, known);
    match tokens.last() {
        Some((range, Kind::Text)) if is_open_text(&line[range.clone()]) => {
            return complete_text(line, range.start, known);
        }
        Some((_, Kind::Comment)) => return Completion::Tab,
        _ => {}
    }
    let start = line
        .rfind(|char| !is_of_word(char))
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, begun) = line.split_at(start);
    if is_no_place_for_names(before, begun) {
        return Completion::Tab;
    }
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
    if found.iter().all(|name| name == begun) {
        return Completion::Tab;
    }
    Completion::Words(start, found)
}

/// Whether no name is being typed that could be completed: at the beginning of a line and after a blank or a sign, in a
/// name that is being declared, and after a keyword.
fn is_no_place_for_names(before: &str, begun: &str) -> bool {
    if begun.is_empty() {
        return !before.ends_with(['(', '.']) && !before.ends_with("::");
    }
    let is_member = before.ends_with('.') || before.ends_with("::");
    let word_before = before.trim_end().rsplit(|char| !is_of_word(char)).next().unwrap_or_default();
    let is_declared = before.ends_with(char::is_whitespace) && ["let", "const", "fn"].contains(&word_before);
    !is_member && (is_declared || KEYWORDS.contains(&begun))
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
            _ => Completion::Tab,
        };
    }
    let names = COMMANDS.iter().filter_map(|(command, _)| command.split(' ').next());
    Completion::Words(0, names.filter(|name| name.starts_with(line)).map(str::to_owned).collect())
}

fn complete_text(line: &str, start: usize, known: &CompletionNames) -> Completion {
    let before = line[..start].trim_end();
    let begun = &line[start + 1..];
    let argument = match open_call(before) {
        Some(call) => {
            known.words.functions.iter().find(|word| word.name == call).and_then(|word| word.text_argument)
        }
        None if before.ends_with("import") => Some(TextArgument::File),
        None => None,
    };
    match argument {
        Some(TextArgument::File) => Completion::File,
        Some(TextArgument::Tag) => {
            let quote = &line[start..=start];
            let tags = known.tags.iter().filter(|tag| tag.starts_with(begun));
            Completion::Words(start + 1, tags.map(|tag| format!("{tag}{quote}")).collect())
        }
        None => Completion::Tab,
    }
}

/// The members of the value before a dot.
fn of_value(before: &str, known: &CompletionNames) -> Vec<String> {
    let of_audience = || {
        let words = known.words.functions.iter().filter(|word| word.is_of_audience);
        words.map(|word| format!("{}(", word.name))
    };
    let before = before.trim_end();
    // The type of a call's result is unknown; most return an audience.
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

/// The signature of the function whose arguments are being typed.
pub(super) fn signature_at(line: &str, known: &CompletionNames) -> Option<String> {
    let name = open_call(line)?;
    if let Some((_, signature)) = known.functions.iter().find(|(known, _)| known == name) {
        return Some(signature.clone());
    }
    let word = known.words.functions.iter().find(|word| word.name == name)?;
    word.signatures.first().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Variable, docs::words};
    use std::sync::Arc;

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
            Completion::Tab => vec!["\t".to_owned()],
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
        assert!(completed("print(").contains(&"followers(".to_owned()));
    }

    #[test]
    fn tab_where_nothing_is_completed_is_a_character() {
        for line in [
            "",
            "\t",
            "fn f(x) {\n",
            "fn f(x) {\n\t",
            "let a = 1;",
            "let m = #{\n\tfollowing:",
            "let",
            "return",
            "fn f(x) { x }\nif",
            "let follo",
            "const a",
            "fn m",
            "zzz",
            "booth.zzz",
            "all  ",
            "// follo",
            "1 /* follo",
            "print(\"老",
            "let s = \"a",
            ":quota ",
        ] {
            assert_eq!(completed(line), ["\t"], "{line:?}");
        }
    }

    #[test]
    fn unfinished_call_shows_its_parameters() {
        assert_eq!(signature_at("mine(1, ", &known()).as_deref(), Some("mine(a, b)"));
    }
}
