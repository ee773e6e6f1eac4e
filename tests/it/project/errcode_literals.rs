//! An errcode is named once, in `src/api/errcode.rs`: elsewhere it has its name, and only the lists that were transcribed from
//! the endpoints' pages have numbers.

use super::architecture::sources;
use mpscript::api::errcode;

/// Where the names are.
const NAMES: &str = "src/api/errcode.rs";

/// A migration knows the codes of its version.
const MIGRATIONS: &str = "src/store/migrate";

/// An endpoint's documented codes.
const TRANSCRIBED: &str = "errors: &[";

/// The text with blanks in the place of comments, texts and characters, line by line the same.
fn without_texts(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            let hashes = kept.len() - kept.trim_end_matches('#').len();
            if kept.trim_end_matches('#').ends_with('r') { raw(rest, hashes) } else { quoted(rest, '"') }
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        kept.extend(rest[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    kept
}

/// How long a text between quotes is, with them.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            char if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The same of a raw text, `r#"…"#`, from its quote to the one with this many hashes.
fn raw(text: &str, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    text[1..].find(&end).map_or(text.len(), |at| 1 + at + end.len())
}

/// A character between quotes, and no lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// The errcodes that the code of a file has as numbers, with their lines; unit tests show what comes out, so they may.
fn literals(text: &str) -> Vec<(usize, i64)> {
    let code = without_texts(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
    let mut found = Vec::new();
    let mut is_transcribed = false;
    for (number, line) in code.lines().enumerate() {
        is_transcribed |= line.contains(TRANSCRIBED);
        let words = line.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let digits = words.map(|word| word.replace('_', "")).filter_map(|word| word.parse().ok());
        let codes = digits.filter(|code| errcode::meaning(*code).is_some());
        found.extend(codes.filter(|_| !is_transcribed).map(|code| (number + 1, code)));
        is_transcribed &= !line.contains(']');
    }
    found
}

#[test]
fn errcode_outside_its_file_has_its_name() {
    let others = sources().into_iter().filter(|(path, _)| path != NAMES && !path.starts_with(MIGRATIONS));
    let found: Vec<String> = others
        .flat_map(|(path, text)| {
            literals(&text).into_iter().map(move |(line, code)| format!("{path}:{line}: {code}"))
        })
        .collect();
    assert_eq!(found, Vec::<String>::new(), "src/api/errcode.rs has the names");
}

#[test]
fn errcode_in_code_is_found_and_one_in_a_text_is_not() {
    let text = r##"
        // 40001 in a comment
        let refused = [40003, 45_159, other(47001)]; // 40001
        let words = "40001 \" 40001"; let raw = r#"40001 " 40001"#;
        let (quote, lifetime): (char, &'static str) = ('"', "40001"); let next = ['\'', x40001, 40002];
        errors: &[-1, 40001,
            41001],
        let last = 268_487_001;
        #[cfg(test)]
"##;
    let text = format!("{text}#[cfg(test)]\nmod tests {{ 40001 }}");
    let expected = [(3, 40003), (3, 45159), (3, 47001), (5, 40002), (8, 268_487_001)];
    assert_eq!(literals(&text), expected);
}
