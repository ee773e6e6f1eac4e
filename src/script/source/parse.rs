//! Parses a text, and answers questions about it without running it.

use super::{
    named_source::NamedSource,
    parse_trace::ParseTrace,
    syntax_error::{DECLARE_IT, explain_syntax},
    undeclared::undeclared,
};
use crate::{
    base::{Diagnostic, TypedSign},
    script::host::{
        catalog::{SOURCES, STAGES},
        error::ScriptFailure,
        limits::set_limits,
        modules::modules,
        stdlib::stages,
    },
};
use rhai::{
    AST, ASTNode, Engine, Expr, LexError, Module, OptimizationLevel, ParseErrorType, Position, Stmt, Token,
};
use std::collections::BTreeSet;

/// Characters that look like a closing quotation mark.
const QUOTATION_MARKS: &str = "“”„‟＂";

thread_local! {
    /// One for each thread: the REPL parses at each key press, and creating a parser is slow.
    static PARSER: Engine = lenient_parser();
}

/// Whether a text can be evaluated as it stands.
#[must_use]
pub fn is_script(text: &str) -> bool {
    PARSER.with(|engine| engine.compile(text).is_ok())
}

/// Whether a text is an expression that only reads: nothing is called, declared or set. What makes an audience and narrows it
/// down calls nothing.
#[must_use]
pub fn is_pure_expression(text: &str) -> bool {
    let Ok(ast) = PARSER.with(|engine| engine.compile(text)) else { return false };
    let is_expression = matches!(ast.statements(), [Stmt::Expr(_) | Stmt::FnCall(..)]);
    let is_lazy = |name: &String| {
        let name = name.as_str();
        SOURCES.contains(&name) || STAGES.contains(&name) || stages().iter().any(|(stage, _)| *stage == name)
    };
    is_expression && called_names(&ast).iter().all(is_lazy)
}

/// The variables that an expression uses and does not declare; `None` if the text is no expression.
pub(crate) fn variables_of(expression: &str) -> Option<BTreeSet<String>> {
    let ast = PARSER.with(|engine| engine.compile_expression(expression)).ok()?;
    let mut variables = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::Variable(variable, ..))) = path.last()
            && variable.0.is_none()
        {
            variables.insert(variable.1.to_string());
        }
        true
    });
    Some(variables)
}

/// The functions of a text that declares functions and nothing else, with the number of their parameters.
#[must_use]
pub fn declared_functions(text: &str) -> Vec<(String, usize)> {
    let Ok(ast) = PARSER.with(|engine| engine.compile(text)) else { return Vec::new() };
    if ast.statements().iter().any(|statement| !matches!(statement, Stmt::Noop(_))) {
        return Vec::new();
    }
    let functions = ast.iter_functions().filter(|function| !function.name.contains('$'));
    functions.map(|function| (function.name.to_owned(), function.params.len())).collect()
}

/// The names of what a program calls.
pub(crate) fn called_names(ast: &AST) -> BTreeSet<String> {
    // Operators are calls too; their names have no letters.
    calls(ast)
        .into_iter()
        .map(|(_, name)| name)
        .filter(|name| name.starts_with(char::is_alphabetic))
        .collect()
}

/// The calls of a program: modules with names.
pub(crate) fn calls(ast: &AST) -> Vec<(Option<String>, String)> {
    let mut calls = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(
            ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
            | ASTNode::Stmt(Stmt::FnCall(call, _)),
        ) = path.last()
        {
            let module = call.namespace.path.first().map(|module| module.name.to_string());
            calls.push((module, call.name.to_string()));
        }
        true
    });
    calls
}

/// Whether more input may complete a text: its error lies past its last character, or a back-tick string is not closed.
/// A comment that is not closed may be, too.
#[must_use]
pub fn is_incomplete(text: &str) -> bool {
    PARSER.with(|engine| {
        let error = match engine.compile(text) {
            Ok(ast) => return open_comment(&ast, text).is_some(),
            Err(error) => error,
        };
        let (line, column) = (error.position().line(), error.position().position());
        let is_past_the_end = error.position().is_none() || {
            let last = text.lines().count();
            let end = text.lines().last().map_or(0, |line| line.trim_end().chars().count());
            line.is_some_and(|line| {
                line > last || (line == last && column.is_some_and(|column| column > end))
            })
        };
        match error.err_type() {
            ParseErrorType::UnexpectedEOF => true,
            // A text between double quotes ends with its line, one between back-ticks does not.
            ParseErrorType::BadInput(LexError::UnterminatedString) => {
                let begun = line.and_then(|line| text.lines().nth(line - 1));
                begun.zip(column).and_then(|(begun, column)| begun.chars().nth(column - 1)) != Some('"')
            }
            ParseErrorType::BadInput(_) => false,
            _ => is_past_the_end,
        }
    })
}

/// An engine that only parses. It optimizes nothing away, so that checks see unreachable branches too.
pub(crate) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    ParseTrace::record(&mut engine);
    set_limits(&mut engine);
    // An undeclared variable or module is an error before anything runs.
    engine.set_strict_variables(true);
    for module in modules() {
        engine.register_static_module(module, Module::new().into());
    }
    engine
}

/// A parser that accepts undeclared variables: whether they exist is known at run time.
pub(crate) fn lenient_parser() -> Engine {
    let mut engine = parser();
    engine.set_strict_variables(false);
    engine
}

pub(crate) fn compile(engine: &Engine, source: &NamedSource) -> Result<AST, ScriptFailure> {
    let text = &*source.text;
    let mut ast = engine.compile(text).or_else(|error| {
        let kind = error.err_type();
        let (mut diagnostic, position) = explain_syntax(kind, error.position(), Some(text));
        if let ParseErrorType::VariableUndefined(_) = kind {
            match lenient_parser().compile(text) {
                // `eval` may declare variables that the parser doesn't see.
                Ok(ast) if calls_eval(&ast) => return Ok(ast),
                // What is in scope there is known once the whole file is parsed.
                Ok(ast) if diagnostic.hint.as_deref() == Some(DECLARE_IT) => {
                    let found = undeclared(&ast).into_iter().find(|found| found.position == position);
                    diagnostic.hint = found.map(|found| found.hint).or(diagnostic.hint);
                }
                _ => {}
            }
        }
        let diagnostic = open_text(kind, position, text).unwrap_or(diagnostic);
        Err(ScriptFailure::in_script(diagnostic.at(source.span_at(position))))
    })?;
    if let Some(begun) = open_comment(&ast, text) {
        let diagnostic = Diagnostic::new("a comment is not closed").hint("close it with */");
        return Err(ScriptFailure::in_script(diagnostic.at(source.span_at(begun))));
    }
    ast.set_source(source.name.as_str());
    Ok(ast)
}

/// Where a comment begins that is not closed, in the text that was parsed last. To the engine such a comment ends with the
/// text, and what was meant to follow it would not run. Comments nest: each that is opened needs its own end.
fn open_comment(ast: &AST, text: &str) -> Option<Position> {
    let is_blank = ast.statements().is_empty() && ast.iter_functions().next().is_none();
    let rest = if is_blank {
        text
    } else {
        ParseTrace::with_last(|trace| trace.last().and_then(|(token, begun)| after(text, token, begun)))?
    };
    let mut open = Vec::new();
    let mut signs = rest.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        match (sign, signs.peek().map(|(_, next)| *next)) {
            ('/', Some('/')) if open.is_empty() => {
                signs.find(|(_, sign)| *sign == '\n');
            }
            ('/', Some('*')) => {
                open.push(at);
                signs.next();
            }
            ('*', Some('/')) if open.pop().is_some() => {
                signs.next();
            }
            _ => {}
        }
    }
    let before = text.get(..text.len() - rest.len() + open.first()?)?;
    let (line, column) =
        (before.lines().count(), before.lines().last().map_or(0, |line| line.chars().count()));
    let (line, column) =
        if before.is_empty() || before.ends_with('\n') { (line + 1, 0) } else { (line, column) };
    Some(Position::new(line.try_into().ok()?, (column + 1).try_into().ok()?))
}

/// What follows a token that begins at a position; a text literal may hold the signs of comments.
fn after<'a>(text: &'a str, token: &Token, begun: Position) -> Option<&'a str> {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(begun.line()? - 1).map(str::len).sum();
    let line = lines.next()?;
    let column =
        line.char_indices().nth(begun.position()?.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let rest = text.get(before + column..)?;
    if !matches!(token, Token::StringConstant(_) | Token::InterpolatedString(_) | Token::CharConstant(_)) {
        return Some(rest);
    }
    // What follows the last `${…}` of a text begins with no mark.
    let mark = rest.chars().next().filter(|sign| matches!(sign, '"' | '\'')).unwrap_or('`');
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, sign)| {
        let is_end = *sign == mark && !is_escaped;
        is_escaped = *sign == '\\' && !is_escaped && mark != '`';
        is_end
    });
    rest.get(end?.0 + 1..)
}

/// A text that is not closed because another sign stands for its quotation mark.
fn open_text(kind: &ParseErrorType, position: Position, text: &str) -> Option<Diagnostic> {
    let ParseErrorType::BadInput(LexError::UnterminatedString) = kind else { return None };
    let line = text.lines().nth(position.line()? - 1)?;
    let sign = line.chars().skip(position.position()?).find(|char| QUOTATION_MARKS.contains(*char))?;
    let sign = TypedSign::new(sign)?.describe();
    Some(Diagnostic::new("a text is not closed").hint(format!("is it meant to end here? {sign}")))
}

/// Whether a program calls `eval`, which may declare what can't be seen.
pub(crate) fn calls_eval(ast: &AST) -> bool {
    let mut calls_eval = false;
    ast.walk(&mut |path: &[ASTNode]| {
        calls_eval |= match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => {
                call.name == "eval"
            }
            _ => false,
        };
        !calls_eval
    });
    calls_eval
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn declaring(count: usize) -> Result<AST, ScriptFailure> {
        let mut text = String::new();
        for number in 0..count {
            writeln!(text, "let 变量{number} = 1;").expect("a text takes everything");
        }
        compile(&parser(), &NamedSource { name: "多.rhai".to_owned(), text: text.into() })
    }

    #[test]
    fn file_of_two_thousand_declarations_is_parsed() {
        assert!(declaring(2_000).is_ok());
    }

    fn open_comment_of(text: &str) -> Option<(usize, usize)> {
        let source = NamedSource { name: "注.rhai".to_owned(), text: text.into() };
        let span = compile(&parser(), &source).err()?.diagnostic.span?;
        Some((span.line, span.column))
    }

    #[test]
    fn comment_that_is_not_closed_is_refused_where_it_begins() {
        assert_eq!(open_comment_of("print(1); // 说明 /*\nprint(2);\n/* 注\nprint(3);"), Some((3, 1)));
    }

    #[test]
    fn comment_whose_nested_comment_alone_is_closed_is_refused_where_it_begins() {
        assert_eq!(open_comment_of("print(1); /* 注 /* 内 */\nprint(2);"), Some((1, 11)));
    }

    #[test]
    fn comment_alone_that_is_not_closed_is_refused() {
        assert_eq!(open_comment_of("/* 注"), Some((1, 1)));
    }

    #[test]
    fn sign_of_a_comment_in_the_last_text_is_accepted() {
        assert_eq!(open_comment_of("\"it's /* b\""), None);
    }

    #[test]
    fn nested_comment_that_is_closed_is_accepted() {
        assert_eq!(open_comment_of("print(1); /* 注 /* 内 */ */\nprint(2);"), None);
    }

    #[test]
    fn file_of_too_many_declarations_is_refused_at_the_first_of_them() {
        let diagnostic = declaring(100_000).expect_err("there are too many").diagnostic;
        assert_eq!(diagnostic.message, "more than 2000 variables and constants are declared");
        assert_eq!(diagnostic.span.map(|span| span.line), Some(2_001));
    }

    /// Why a text is refused.
    fn refusal(text: String) -> Option<String> {
        let source = NamedSource { name: "长.rhai".to_owned(), text: text.into() };
        compile(&parser(), &source).err().map(|failure| failure.diagnostic.message)
    }

    fn many(count: usize, part: impl Fn(usize) -> String) -> String {
        (0..count).map(part).collect()
    }

    #[test]
    fn function_of_too_many_parameters_is_refused() {
        let parameters = |count| many(count, |number| format!("甲{number}, "));
        let message = "a function has more than 100 parameters";
        assert_eq!(refusal(format!("fn 函数({}) {{ 1 }}", parameters(101))).as_deref(), Some(message));
        assert_eq!(refusal(format!("let 函数 = |{}| 1;", parameters(101))).as_deref(), Some(message));
        assert_eq!(refusal(format!("fn 函数({}) {{ [] }}", parameters(100))), None);
    }

    #[test]
    fn list_of_many_names_is_no_list_of_parameters() {
        let names = many(2_000, |_| "甲, ".to_owned());
        assert_eq!(refusal(format!("let 甲 = 1; print([1 | 甲, 甲]); let 列表 = [{names}];")), None);
    }

    #[test]
    fn file_of_too_many_keys_is_refused() {
        let map = |count| format!("#{{ {} }}", many(count, |number| format!("键{number}: 1, ")));
        let message = "more than 5000 keys of maps are written out: read a table from a file";
        assert_eq!(refusal(map(5_001)).as_deref(), Some(message));
        assert_eq!(refusal(format!("[{}, {}]", map(2_000), map(3_001))).as_deref(), Some(message));
        assert_eq!(refusal(map(2_000)), None);
    }

    #[test]
    fn file_of_too_many_words_is_refused() {
        let message = "this is too long: it has more than 200000 words and signs";
        assert_eq!(refusal("甲(1);".repeat(50_000)).as_deref(), Some(message));
        assert_eq!(refusal("1;".repeat(90_000)), None);
    }
}
