//! Parses a text, and answers questions about it without running it.

use super::{named_source::NamedSource, parse_trace::ParseTrace, syntax_error::explain_syntax};
use crate::{
    base::{Diagnostic, TypedSign},
    script::host::{error::ScriptFailure, limits::set_limits, modules::modules},
};
use rhai::{AST, ASTNode, Engine, Expr, LexError, Module, OptimizationLevel, ParseErrorType, Position, Stmt};
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

/// Whether a text is an expression that only reads: nothing is called, declared or set.
#[must_use]
pub fn is_pure_expression(text: &str) -> bool {
    let Ok(ast) = PARSER.with(|engine| engine.compile(text)) else { return false };
    let is_expression = matches!(ast.statements(), [Stmt::Expr(_) | Stmt::FnCall(..)]);
    is_expression && called_names(&ast).is_empty()
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
/// The engine accepts an unclosed comment, so the REPL's lexer checks for that.
#[must_use]
pub fn is_incomplete(text: &str) -> bool {
    PARSER.with(|engine| {
        let Err(error) = engine.compile(text) else { return false };
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
    let text = source.text.as_str();
    let mut ast = engine.compile(text).or_else(|error| {
        let kind = error.err_type();
        let (diagnostic, position) = explain_syntax(kind, error.position());
        let is_undeclared = matches!(kind, ParseErrorType::VariableUndefined(_));
        // `eval` may declare variables that the parser doesn't see.
        let lenient = || lenient_parser().compile(text).ok().filter(calls_eval);
        let ast = if is_undeclared { lenient() } else { None };
        ast.ok_or_else(|| {
            let diagnostic = open_text(kind, position, text).unwrap_or(diagnostic);
            ScriptFailure::in_script(diagnostic.at(source.span_at(position)))
        })
    })?;
    ast.set_source(source.name.as_str());
    Ok(ast)
}

/// A text that is not closed because another sign stands for its quotation mark.
fn open_text(kind: &ParseErrorType, position: Position, text: &str) -> Option<Diagnostic> {
    let ParseErrorType::BadInput(LexError::UnterminatedString) = kind else { return None };
    let line = text.lines().nth(position.line()? - 1)?;
    let sign = line.chars().skip(position.position()?).find(|char| QUOTATION_MARKS.contains(*char))?;
    let sign = TypedSign::new(sign)?.describe();
    Some(Diagnostic::new("a text is not closed").hint(format!("is it meant to end here? {sign}")))
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
