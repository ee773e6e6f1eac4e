//! Words and signs of other languages, and what to write instead.

use super::parse_trace::ParseTrace;
use rhai::{LexError, ParseErrorType, Position, Token};

/// Words, and the hint for each of them.
const WORDS: &[(&[&str], &str)] = &[
    (&["null", "Null", "NULL", "nil", "Nil", "undefined", "None", "none", "nullptr", "void"], "write `()`"),
    (&["True", "TRUE"], "write `true`"),
    (&["False", "FALSE"], "write `false`"),
    (&["var", "val", "auto", "local", "my"], "write `let`"),
    (&["mut"], "leave it out: every `let` can be changed"),
    (&["static"], "write `const`"),
    (&["function", "func", "fun", "def", "sub", "proc"], "write `fn`, as in fn name(x) { … }"),
    (&["lambda"], "a closure is written |x| …"),
    (&["pub", "public", "protected"], "leave it out: every function that is not `private` can be imported"),
    (&["elif", "elsif", "elseif", "elseIf"], "write `else if`"),
    (&["unless"], "write `if !(…)`"),
    (&["then", "begin", "end", "endif"], "blocks are written in braces: if x { … }"),
    (&["foreach"], "write `for`, as in for x in list { … }"),
    (&["of"], "write `in`, as in for x in list { … }"),
    (&["and"], "write `&&`"),
    (&["or"], "write `||`"),
    (&["not"], "write `!`, or `!in` for what is not in a list"),
    (&["xor"], "write `^`"),
    (&["is", "eq"], "write `==`"),
    (&["match", "case"], "write switch x { 1 => …, _ => … }"),
    (&["raise"], "write `throw`"),
    (&["except", "rescue"], "write catch (e) { … }"),
    (&["finally"], "there is none: write it after the `try`"),
    (&["typeof", "instanceof"], "write type_of(x) == \"array\""),
    (&["async", "await"], "leave it out: a call gives its result when it is done"),
    (&["new"], "leave it out: a map is #{ name: 1 }"),
    (&["class", "struct", "enum", "interface"], "there are none: a map is #{ name: 1 }"),
    (&["delete", "del"], "write map.remove(\"name\") or list.remove(0)"),
    (&["pass"], "an empty block is { }"),
    (&["echo", "printf", "console"], "write print(x)"),
    (&["use", "require", "include", "from"], "write import \"lib/NAME\" as NAME;"),
    (&["self", "super"], "there are none; a method's own value is `this`"),
];

/// Functions and methods of other languages, and the hint for each of them.
const FUNCTIONS: &[(&[&str], &str)] = &[
    (&["length", "size", "strlen"], "write x.len()"),
    (&["isEmpty", "empty", "is_null"], "write x.is_empty(), or x == ()"),
    (
        &["includes", "has", "hasOwnProperty", "has_key", "contains_key", "in_array"],
        "write `in`, as in if x in list { … }",
    ),
    (&["append", "add", "push_back", "concat"], "write list.push(x), or list += other"),
    (&["toUpperCase", "upper", "uppercase", "to_uppercase"], "write text.to_upper()"),
    (&["toLowerCase", "lower", "lowercase", "to_lowercase"], "write text.to_lower()"),
    (&["strip", "trimmed"], "text.trim() removes the blanks at both ends of a variable's text"),
    (&["startsWith", "startswith", "has_prefix"], "write text.starts_with(\"…\")"),
    (&["endsWith", "endswith", "has_suffix"], "write text.ends_with(\"…\")"),
    (&["indexOf"], "write list.index_of(x)"),
    (&["forEach", "each_with_index", "enumerate"], "write for (x, i) in list { … }"),
    (&["slice", "substring", "substr"], "write text.sub_string(from, count), or list.extract(from, count)"),
    (&["join", "implode"], "write list.reduce(|all, x| if all == () { `${x}` } else { `${all}, ${x}` })"),
    (&["toString", "str", "repr", "string", "String"], "write `${x}`, or x.to_string()"),
    (&["parseInt", "int", "Number", "atoi"], "write parse_int(text)"),
    (&["parseFloat", "float", "double"], "write parse_float(text)"),
    (&["sprintf", "format"], "a text with values in it is written between back-ticks: `… ${x} …`"),
    (&["items", "entries"], "write for name in map.keys() { … map[name] … }"),
    (&["isinstance", "typeOf"], "write type_of(x) == \"array\""),
    (&["println", "puts", "console_log", "log_info"], "write print(x)"),
    (
        &["input", "readline", "prompt"],
        "a script asks nothing while it runs: param(\"name\") is given before",
    ),
    (&["exit", "quit", "die"], "write return, or throw \"…\" for an error"),
];

/// Signs, and the hint for each of them.
const SIGNS: &[(&[&str], &str)] = &[
    (&["==="], "write `==`"),
    (&["!==", "<>"], "write `!=`"),
    (&[":="], "write `=`"),
    (&["++"], "write `x += 1`"),
    (&["--"], "write `x -= 1`; a comment begins with `//`"),
    (&["?"], "write if x { 1 } else { 2 }"),
    (&["#"], "a comment begins with `//`, and a map with `#{`"),
    (&["(*", "*)"], "write /* … */"),
    (&["# {"], "write `#{`"),
    (&["->", "<-"], "leave it out: what a function gives has no type"),
    (&["::<"], "leave it out: there are no types"),
    (&["..."], "write `..` for a range, or `list + other`"),
    (&["|>", "<|"], "write x.f()"),
    (&["!."], "write `.`"),
    (&[":;"], "write `::`"),
    (&["~"], "there is no such operator"),
    (&["$"], "leave it out: a variable's name is written alone, and `${…}` only between back-ticks"),
    (&["@"], "leave it out"),
];

fn hint_of(known: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    known.iter().find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint)
}

/// What to write instead of a name that does not exist, if it is a word of other languages.
pub(crate) fn hint_for_word(word: &str) -> Option<&'static str> {
    hint_of(WORDS, word)
}

/// What to write instead of a function that does not exist, if it is one of other languages.
pub(super) fn hint_for_foreign_function(name: &str) -> Option<&'static str> {
    hint_of(FUNCTIONS, name)
}

/// The message and the hint for a syntax error that comes from the syntax of another language.
pub(crate) fn explain_foreign(
    kind: &ParseErrorType,
    position: Position,
    trace: &ParseTrace,
) -> Option<(String, &'static str)> {
    let (before, at) = trace.around(position);
    let previous = before.first().copied();
    // `if 1 === 1`, `if 1 is 1`: the error is at the condition.
    let next = trace.after(position).filter(|_| matches!(kind, ParseErrorType::MismatchedType(..)));
    let sign = match kind {
        ParseErrorType::BadInput(LexError::ImproperSymbol(sign, _))
        | ParseErrorType::UnknownOperator(sign)
        | ParseErrorType::Reserved(sign) => Some(sign.as_str()),
        _ if next.is_some() => match next {
            Some(Token::Reserved(sign)) => Some(sign.as_str()),
            Some(Token::LexError(error)) => match &**error {
                LexError::ImproperSymbol(sign, _) => Some(sign.as_str()),
                _ => None,
            },
            _ => None,
        },
        _ if at == Some(&Token::GreaterThan) && previous == Some(&Token::LessThan) => Some("<>"),
        _ => None,
    };
    if let Some((sign, hint)) = sign.and_then(|sign| Some((sign, hint_of(SIGNS, sign)?))) {
        return Some((no_such(sign), hint));
    }
    match kind {
        ParseErrorType::Reserved(word) => return explain_reserved(word, previous),
        ParseErrorType::VariableUndefined(word) => {
            return explain_undefined(word, previous, trace.after(position));
        }
        _ => {}
    }
    // A word that is a name to the parser, which stops at it or at the next one.
    let previous = previous.filter(|_| {
        use Token::{Const, Equals, Fn, If, LeftBrace, Let, Return, RightBrace, SemiColon, Throw};
        matches!(
            before.get(1),
            None | Some(SemiColon | LeftBrace | RightBrace | Equals | Let | Const | Fn | If | Return | Throw)
        )
    });
    for token in at.into_iter().chain(previous).chain(next) {
        if let Token::Identifier(word) | Token::Reserved(word) = token
            && let Some(hint) = hint_for_word(word)
        {
            return Some((no_such(word), hint));
        }
    }
    explain_by_place(kind, &before, at)
}

/// A reserved word: as a key, as a function without its brackets, or as a word of another language.
fn explain_reserved(word: &str, previous: Option<&Token>) -> Option<(String, &'static str)> {
    const FUNCTIONS: [&str; 6] = ["print", "debug", "eval", "type_of", "call", "curry"];
    let reserved = || format!("`{word}` is a reserved word");
    match previous {
        Some(Token::Period | Token::Elvis) => Some((reserved(), "as a key it is written map[\"NAME\"]")),
        Some(Token::MapStart) => Some((reserved(), "as a key it is written in quotes: #{ \"NAME\": 1 }")),
        // It is declared here, so another name is the way.
        Some(Token::Let | Token::Const | Token::Fn | Token::For) => None,
        _ if FUNCTIONS.contains(&word) => {
            let message = format!("`{word}` is a function, and its arguments are written in brackets");
            Some((message, "write print(x)"))
        }
        _ => Some((no_such(word), hint_for_word(word)?)),
    }
}

/// A name that does not exist: a word of another language, or a piece of its syntax.
fn explain_undefined(
    word: &str,
    previous: Option<&Token>,
    next: Option<&Token>,
) -> Option<(String, &'static str)> {
    if let Some(hint) = hint_for_word(word) {
        return Some((no_such(word), hint));
    }
    match (previous, next) {
        (Some(Token::Import), _) => {
            Some(("what is imported is a file's name".to_owned(), "write import \"lib/NAME\" as NAME;"))
        }
        // `f"…"`
        (_, Some(Token::StringConstant(_))) if word.len() == 1 => {
            Some((no_such(word), "a text with values in it is written between back-ticks: `… ${x} …`"))
        }
        (Some(Token::LeftBrace), Some(Token::Colon)) => Some((MAP.0.to_owned(), MAP.1)),
        (_, Some(Token::DoubleArrow)) => Some((no_such("=>"), "a closure is written |x| …")),
        _ => None,
    }
}

const MAP: (&str, &str) = ("a map begins with `#{`", "write #{ name: 1 }");

/// Explains a syntax error by the tokens around it.
fn explain_by_place(
    kind: &ParseErrorType,
    before: &[&Token],
    at: Option<&Token>,
) -> Option<(String, &'static str)> {
    let found = match (kind, before, at) {
        (ParseErrorType::BadInput(LexError::MalformedChar(_)), ..) => {
            ("a text is written between double quotes", "`'` is around a single character: 'a'")
        }
        (
            ParseErrorType::MissingToken(..),
            [Token::StringConstant(_), Token::LeftBrace, ..],
            Some(Token::Colon),
        ) => MAP,
        (_, [Token::Identifier(_), Token::Let | Token::Const, ..], Some(Token::Colon)) => {
            ("variables have no types", "write let x = 1;")
        }
        (ParseErrorType::MissingToken(_, place), _, Some(Token::Colon | Token::Equals))
            if place.contains("parameters of function") =>
        {
            ("parameters have no types and no defaults", "write fn name(x) { … }")
        }
        (ParseErrorType::VariableExpected, [Token::LeftParen, Token::For, ..], _) => {
            ("a loop goes through a list or a range", "write for i in 0..3 { … }")
        }
        (ParseErrorType::MissingToken(..), [Token::Catch, ..], Some(Token::Identifier(_))) => {
            ("the error's name is written in brackets", "write catch (e) { … }")
        }
        (ParseErrorType::MissingToken(token, place), ..)
            if token == "{" && place.contains("statement block") =>
        {
            ("a block is written in braces", "write if x { … } else { … }")
        }
        _ => return None,
    };
    Some((found.0.to_owned(), found.1))
}

/// What is wrong with a word of another language, in words.
pub(super) fn no_such(word: &str) -> String {
    format!("there is no `{word}` in scripts")
}
