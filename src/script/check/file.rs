//! A file under check: its bodies, its nodes, and problems with their positions in it.

use crate::{
    base::{Diagnostic, SourceSpan},
    script::source::{
        cases::{self, Cases},
        named_source::NamedSource,
        program::Program,
    },
};
use rhai::{AST, ASTFlags, Expr, FnCallExpr, ImmutableString, Position};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One file of a program under check.
pub(super) struct File<'a> {
    pub(super) program: &'a Program,
    /// `None` for the script itself.
    pub(super) path: Option<&'a str>,
    pub(super) ast: &'a AST,
    /// The constants of its cases, once they are asked for.
    cases: OnceCell<Cases>,
}

impl<'a> File<'a> {
    pub(super) const fn new(program: &'a Program, path: Option<&'a str>, ast: &'a AST) -> Self {
        Self { program, path, ast, cases: OnceCell::new() }
    }

    pub(super) fn text(&self) -> &str {
        self.program.text_of(self.path).unwrap_or_default()
    }

    /// The constants of the cases of each `switch`, by its position.
    pub(super) fn cases(&self) -> &Cases {
        self.cases.get_or_init(|| cases::in_text(self.text()))
    }

    pub(super) fn span_at(&self, position: Position) -> Option<SourceSpan> {
        self.program.span_at(self.path, None, position)
    }
}

/// What to do about a problem.
enum Hint {
    Text(Option<String>),
    /// It takes long to be found, and only problems that are shown need it.
    Later(Box<dyn FnOnce() -> Option<String>>),
}

/// A problem with its position, by which problems are sorted. A file may have thousands: the line is looked up for those that are
/// shown.
pub(super) struct Problem {
    position: Position,
    message: String,
    hint: Hint,
    source: Option<Arc<NamedSource>>,
    pub(super) is_usage: bool,
}

impl Problem {
    pub(super) fn new(file: &File, position: Position, message: String, hint: Option<String>) -> Self {
        Self::with(file, position, message, Hint::Text(hint))
    }

    /// A problem whose hint is looked for when it is shown.
    pub(super) fn hinted_later(
        file: &File,
        position: Position,
        message: String,
        hint: impl FnOnce() -> Option<String> + 'static,
    ) -> Self {
        Self::with(file, position, message, Hint::Later(Box::new(hint)))
    }

    fn with(file: &File, position: Position, message: String, hint: Hint) -> Self {
        let source = file.program.source_of(file.path).map(Arc::clone);
        Self { position, message, hint, source, is_usage: false }
    }

    /// The problem as it is shown.
    pub(super) fn diagnostic(self) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.message)
            .at(self.source.as_ref().and_then(|source| source.span_at(self.position)));
        diagnostic.hint = match self.hint {
            Hint::Text(hint) => hint,
            Hint::Later(find) => find(),
        };
        diagnostic
    }
}

/// The first problems of a file by their positions. Of the others only the places are kept.
pub(super) struct Problems {
    most: usize,
    /// By position, and in the order in which they were found there.
    first: BTreeMap<(Position, usize), Problem>,
    others: BTreeSet<Position>,
    found: usize,
}

impl Problems {
    /// Keeps this many problems.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, first: BTreeMap::new(), others: BTreeSet::new(), found: 0 }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        let position = problem.position;
        let is_behind = |(last, _): &(Position, usize)| position >= *last;
        if self.first.len() >= self.most
            && self.first.last_key_value().is_none_or(|(last, _)| is_behind(last))
        {
            self.others.insert(position);
            return;
        }
        // What several cases of a `switch` lead to is seen once for each of them.
        let mut here = self.first.range((position, 0)..=(position, usize::MAX));
        if here.any(|(_, known)| known.message == problem.message) {
            return;
        }
        self.first.insert((position, self.found), problem);
        self.found += 1;
        if self.first.len() > self.most
            && let Some(((last, _), _)) = self.first.pop_last()
        {
            self.others.insert(last);
        }
    }

    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            self.push(problem);
        }
    }

    /// The first problems in order, and at how many places there are others.
    pub(super) fn into_shown(self) -> (Vec<Problem>, usize) {
        let mut others = self.others;
        for (position, _) in self.first.keys() {
            others.remove(position);
        }
        (self.first.into_values().collect(), others.len())
    }
}

/// The constant text of an expression.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

/// `root.a(…).b(…)` as its root and its links.
pub(super) fn chain(expr: &Expr) -> (&Expr, Vec<&Expr>) {
    let Expr::Dot(dot, ..) = expr else { return (expr, Vec::new()) };
    let mut links = Vec::new();
    let mut rest = &dot.rhs;
    while let Expr::Dot(dot, ..) = rest {
        links.push(&dot.lhs);
        rest = &dot.rhs;
    }
    links.push(rest);
    (&dot.lhs, links)
}

/// `u.tags[0]` reads `tags` first.
pub(super) fn first_of(expr: &Expr) -> &Expr {
    match expr {
        Expr::Index(index, ..) => first_of(&index.lhs),
        expr => expr,
    }
}

pub(super) fn is_variable(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Variable(variable, ..) if variable.1 == name && variable.2.is_empty())
}

/// A step of an access, `root.field[index].method(…)`.
#[derive(Clone, Copy)]
pub(super) enum Link<'a> {
    Field(&'a ImmutableString, Position),
    Index(&'a Expr),
    Method(&'a FnCallExpr, Position),
}

/// An access as its root and its links.
pub(super) fn access(expr: &Expr) -> (&Expr, Vec<Link<'_>>) {
    let (Expr::Dot(pair, options, _) | Expr::Index(pair, options, _)) = expr else {
        return (expr, Vec::new());
    };
    let mut links = Vec::new();
    let (mut is_index, mut is_last) = (matches!(expr, Expr::Index(..)), options.contains(ASTFlags::BREAK));
    let mut rest = &pair.rhs;
    loop {
        let next = match rest {
            Expr::Dot(pair, options, _) | Expr::Index(pair, options, _) if !is_last => Some((pair, options)),
            _ => None,
        };
        let link = next.map_or(rest, |(pair, _)| &pair.lhs);
        links.push(match link {
            _ if is_index => Link::Index(link),
            Expr::Property(name, position) => Link::Field(&name.2, *position),
            Expr::MethodCall(call, position) => Link::Method(call, *position),
            other => Link::Index(other),
        });
        let Some((pair, options)) = next else { return (&pair.lhs, links) };
        (is_index, is_last) = (matches!(rest, Expr::Index(..)), options.contains(ASTFlags::BREAK));
        rest = &pair.rhs;
    }
}
