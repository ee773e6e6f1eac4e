//! Parses a text, and answers questions about it without running it.

use super::{named_source::NamedSource, syntax_error::explain_syntax};
use crate::script::host::{error::ScriptFailure, limits::set_limits, modules::modules};
use rhai::{
    AST, ASTNode, Engine, Expr, LexError, Module, OptimizationLevel, ParseError, ParseErrorType, Stmt, Token,
};
use std::{cell::Cell, collections::BTreeSet};

/// The most variables and constants that a file declares. At each name the parser looks through those that are declared
/// before it: 100,000 of them, in a file of 1 MiB, would take it a minute.
const MAX_DECLARATIONS: usize = 2_000;

thread_local! {
    /// What the text that this thread parses has declared so far.
    static DECLARATIONS: Cell<usize> = const { Cell::new(0) };

    /// Kept: the REPL parses at each key press, and making a parser each time would be slow.
    static PARSER: Engine = lenient_parser();
}

/// Whether a text can be evaluated as it stands.
#[must_use]
pub fn is_script(text: &str) -> bool {
    PARSER.with(|engine| parse(engine, text).is_ok())
}

/// Whether a text is an expression that only reads: nothing is called, declared or set.
#[must_use]
pub fn is_pure_expression(text: &str) -> bool {
    let Ok(ast) = PARSER.with(|engine| parse(engine, text)) else { return false };
    let is_expression = matches!(ast.statements(), [Stmt::Expr(_) | Stmt::FnCall(..)]);
    is_expression && called_names(&ast).is_empty()
}

/// The functions of a text that declares functions and nothing else, with the number of their parameters.
#[must_use]
pub fn declared_functions(text: &str) -> Vec<(String, usize)> {
    let Ok(ast) = PARSER.with(|engine| parse(engine, text)) else { return Vec::new() };
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
/// The engine accepts an unclosed comment, so the REPL's lexer checks for that.
#[must_use]
pub fn is_incomplete(text: &str) -> bool {
    PARSER.with(|engine| {
        let Err(error) = parse(engine, text) else { return false };
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

/// Parses a text. Everything is parsed through this.
fn parse(engine: &Engine, text: &str) -> Result<AST, ParseError> {
    DECLARATIONS.set(0);
    engine.compile(text)
}

/// Counts the declarations, and ends the parsing at one too many.
fn count_declarations(token: Token) -> Token {
    if matches!(token, Token::Let | Token::Const) {
        let count = DECLARATIONS.get() + 1;
        DECLARATIONS.set(count);
        if count > MAX_DECLARATIONS {
            let message = format!("more than {MAX_DECLARATIONS} variables and constants are declared");
            return Token::LexError(LexError::Runtime(message).into());
        }
    }
    token
}

/// An engine that only parses. It optimizes nothing away, so that checks see unreachable branches too.
pub(crate) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    set_limits(&mut engine);
    // An undeclared variable or module is an error before anything runs.
    engine.set_strict_variables(true);
    #[expect(
        deprecated,
        reason = "not deprecated, but marked so as what may change with the engine's version"
    )]
    engine.on_parse_token(|token, _, _| count_declarations(token));
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
    let text = source.text.as_str();
    let mut compiled = parse(engine, text);
    if compiled.as_ref().is_err_and(|error| matches!(error.err_type(), ParseErrorType::VariableUndefined(_)))
    {
        // `eval` may declare variables that the parser doesn't see.
        compiled = parse(&lenient_parser(), text).ok().filter(calls_eval).map_or(compiled, Ok);
    }
    let mut ast = compiled.map_err(|error| {
        let span = source.span_at(error.position());
        ScriptFailure::in_script(explain_syntax(error.err_type(), span))
    })?;
    ast.set_source(source.name.as_str());
    Ok(ast)
}

fn calls_eval(ast: &AST) -> bool {
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
        compile(&parser(), &NamedSource { name: "多.rhai".to_owned(), text })
    }

    #[test]
    fn file_of_two_thousand_declarations_is_parsed() {
        assert!(declaring(2_000).is_ok());
    }

    #[test]
    fn file_of_too_many_declarations_is_refused_at_the_first_of_them() {
        let diagnostic = declaring(100_000).expect_err("there are too many").diagnostic;
        assert_eq!(diagnostic.message, "more than 2000 variables and constants are declared");
        assert_eq!(diagnostic.span.map(|span| span.line), Some(2_001));
    }
}
