//! Comparisons and memberships that can never be true: a field of a follower against a value whose kind is known, because
//! it is written out, a parameter, or a variable that only ever holds such values.

use super::{
    calls::own,
    file::{Body, File, Node, Problem, chain, is_variable},
};
use crate::{
    api::{FieldKind, user::FIELDS},
    base::millis_as_secs,
    script::{HANDLER, source::parameters},
};
use rhai::{Expr, FnCallExpr, Position, Stmt, Token};
use std::collections::BTreeMap;

/// The field that is a time.
const SUBSCRIBE_TIME: &str = "subscribe_time";

/// What an expression is known to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Float,
    Flag,
    Texts,
    Integers,
}

impl Kind {
    const fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Flag => "true or false",
            Self::Texts => "an array of strings",
            Self::Integers => "an array of integers",
        }
    }

    /// The kind of a list's entries.
    const fn entry(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Integers => Some(Self::Integer),
            _ => None,
        }
    }

    /// Whether a field can be equal to a value of this kind, or be below or above it.
    const fn fits(self, field: FieldKind) -> bool {
        match field {
            FieldKind::Text => matches!(self, Self::Text),
            FieldKind::Integer => matches!(self, Self::Integer | Self::Float),
            FieldKind::IntegerList => matches!(self, Self::Integers),
            _ => true,
        }
    }
}

/// What a file's variables are known to hold. Names are compared, not variables: one that is anywhere set to another kind,
/// or given by a caller, is unknown.
pub(super) struct Kinds {
    variables: BTreeMap<String, Option<Kind>>,
    /// What the handlers' second parameter holds, by its name and key.
    params: BTreeMap<(String, String), Kind>,
    has_own_param: bool,
}

impl Kinds {
    pub(super) fn new(file: &File, bodies: &[Body], captured: &BTreeMap<String, usize>) -> Self {
        let has_own_param = own(file.ast).iter().any(|(name, _)| name == "param");
        let mut known =
            Self { variables: BTreeMap::new(), params: handler_params(file, bodies), has_own_param };
        // A variable may be set from one that is only found later, so this repeats until nothing is added.
        loop {
            let next = known.read(bodies, captured);
            if next == known.variables {
                return known;
            }
            known.variables = next;
        }
    }

    fn read(&self, bodies: &[Body], captured: &BTreeMap<String, usize>) -> BTreeMap<String, Option<Kind>> {
        let mut kinds: BTreeMap<String, Option<Kind>> = BTreeMap::new();
        let mut set = |name: &str, kind: Option<Kind>| {
            kinds
                .entry(name.to_owned())
                .and_modify(|known| *known = known.filter(|_| *known == kind))
                .or_insert(kind);
        };
        for body in bodies {
            for name in body.own_parameters(captured) {
                set(name, None);
            }
            body.walk(&mut |node| match node {
                Node::Stmt(Stmt::Var(variable, ..)) => set(&variable.0.name, self.of(&variable.1)),
                Node::Stmt(Stmt::Assignment(assignment)) => {
                    if let Expr::Variable(name, ..) = &assignment.1.lhs {
                        let is_plain = !assignment.0.is_op_assignment();
                        set(&name.1, self.of(&assignment.1.rhs).filter(|_| is_plain));
                    }
                }
                Node::Stmt(Stmt::For(of, _)) => {
                    set(&of.0.name, self.of(&of.2.expr).and_then(Kind::entry));
                    if let Some(counter) = &of.1 {
                        set(&counter.name, Some(Kind::Integer));
                    }
                }
                Node::Stmt(Stmt::TryCatch(caught, _)) => {
                    if let Expr::Variable(name, ..) = &caught.expr {
                        set(&name.1, None);
                    }
                }
                _ => {}
            });
        }
        kinds
    }

    /// What an expression is known to give.
    fn of(&self, expr: &Expr) -> Option<Kind> {
        match expr {
            Expr::StringConstant(..) | Expr::InterpolatedString(..) => Some(Kind::Text),
            Expr::IntegerConstant(..) => Some(Kind::Integer),
            Expr::FloatConstant(..) => Some(Kind::Float),
            Expr::BoolConstant(..) => Some(Kind::Flag),
            Expr::Array(entries, _) => {
                let first = self.of(entries.first()?)?;
                let is_uniform = entries.iter().all(|entry| self.of(entry) == Some(first));
                match first {
                    Kind::Text if is_uniform => Some(Kind::Texts),
                    Kind::Integer if is_uniform => Some(Kind::Integers),
                    _ => None,
                }
            }
            Expr::Variable(variable, ..) if is_plain_or_global(&variable.2) => {
                self.variables.get(variable.1.as_str()).copied().flatten()
            }
            Expr::FnCall(call, _) if call.namespace.is_empty() => self.of_call(call),
            Expr::Dot(..) => match chain(expr) {
                (Expr::Variable(map, ..), links) => match links.as_slice() {
                    [Expr::Property(key, _)] => {
                        self.params.get(&(map.1.to_string(), key.2.to_string())).copied()
                    }
                    [.., Expr::MethodCall(call, _)] if call.name == "to_string" => Some(Kind::Text),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn of_call(&self, call: &FnCallExpr) -> Option<Kind> {
        match (call.name.as_str(), call.args.as_slice()) {
            ("param", [_]) if !self.has_own_param => Some(Kind::Text),
            ("param", [_, default]) if !self.has_own_param => self.of(default),
            ("parse_int" | "tag_id" | "unix_time", _) => Some(Kind::Integer),
            ("to_string", _) => Some(Kind::Text),
            _ => None,
        }
    }

    /// What is wrong with a comparison or a membership, `follower` being the name of a follower.
    pub(super) fn problem(&self, file: &File, expr: &Expr, follower: &str) -> Option<Problem> {
        match expr {
            Expr::FnCall(call, position) => {
                let [left, right] = call.args.as_slice() else { return None };
                if is_comparison(call) {
                    let field = |expr| field_of(expr, follower);
                    return match (field(left), field(right)) {
                        (Some(field), None) => self.mismatch(file, field, right, follower, *position),
                        (None, Some(field)) => self.mismatch(file, field, left, follower, *position),
                        _ => None,
                    };
                }
                // `x in list` is a call of `contains`, with the list first.
                (call.name == "contains")
                    .then(|| self.missing(file, (left, &[]), right, follower, *position))
                    .flatten()
            }
            Expr::Dot(..) => {
                let (root, links) = chain(expr);
                let (last, before) = links.split_last()?;
                let Expr::MethodCall(call, position) = last else { return None };
                let is_membership = ["contains", "index_of"].contains(&call.name.as_str());
                let [wanted] = call.args.as_slice() else { return None };
                is_membership
                    .then(|| self.missing(file, (root, before), wanted, follower, *position))
                    .flatten()
            }
            _ => None,
        }
    }

    /// `u.qr_scene == "98765"`: a number is never equal to a text.
    fn mismatch(
        &self,
        file: &File,
        (kind, field): (FieldKind, &str),
        other: &Expr,
        follower: &str,
        position: Position,
    ) -> Option<Problem> {
        if let (SUBSCRIBE_TIME, Expr::IntegerConstant(number, _)) = (field, other)
            && let Some(seconds) = millis_as_secs(*number)
        {
            let message = format!("`{field}` is in seconds, and this compares it with milliseconds");
            return Some(Problem::new(file, position, message, Some(format!("write {seconds}"))));
        }
        let given = self.of(other).filter(|given| !given.fits(kind))?;
        let hint = match (kind, other) {
            (FieldKind::Integer, Expr::StringConstant(text, _)) if text.parse::<i64>().is_ok() => {
                format!("write {text} without quotes")
            }
            (FieldKind::Text, Expr::IntegerConstant(number, _)) => format!("write \"{number}\" in quotes"),
            (FieldKind::Integer, Expr::FnCall(call, _)) if call.name == "param" => {
                "give it a number as its default: param(\"NAME\", 0)".to_owned()
            }
            (FieldKind::Integer, Expr::Variable(variable, ..)) if given == Kind::Text => {
                let name = variable.1.as_str();
                format!("write parse_int({name}); a parameter with a number as its default is a number")
            }
            (FieldKind::IntegerList, _) if given == Kind::Integer => {
                format!("write {follower}.{field}.contains(ID)")
            }
            (FieldKind::Text | FieldKind::Integer, _) if given.entry().is_some() => {
                format!("write {follower}.{field} in LIST")
            }
            _ => format!("compare it with {}", kind.describe()),
        };
        let message =
            format!("`{field}` is {}, and this compares it with {}", kind.describe(), given.describe());
        Some(Problem::new(file, position, message, Some(hint)))
    }

    /// `"VIP" in u.tagid_list`, `["98765"].contains(u.qr_scene)`: a list that never holds what it is asked for. The list is
    /// given as its root and links.
    fn missing(
        &self,
        file: &File,
        (root, links): (&Expr, &[&Expr]),
        wanted: &Expr,
        follower: &str,
        position: Position,
    ) -> Option<Problem> {
        let (list, property) = match (root, links) {
            (list, []) => match chain(list) {
                (root, links) if is_variable(root, follower) => match links.as_slice() {
                    [Expr::Property(property, _)] => (list, Some(property.2.as_str())),
                    _ => return None,
                },
                _ => (list, None),
            },
            (root, [Expr::Property(property, _)]) if is_variable(root, follower) => {
                (root, Some(property.2.as_str()))
            }
            _ => return None,
        };
        if let Some(name) = property {
            let field = FIELDS.iter().find(|field| field.name == name)?;
            let given = self.of(wanted)?;
            if field.kind != FieldKind::IntegerList || matches!(given, Kind::Integer | Kind::Float) {
                return None;
            }
            let tag = match wanted {
                Expr::StringConstant(tag, _) => format!("{tag:?}"),
                _ => "NAME".to_owned(),
            };
            let message = format!("`{name}` never has {} in it", given.describe());
            let hint = format!("it holds ids: with_tag({tag}), or tag_id({tag}) in {follower}.{name}");
            return Some(Problem::new(file, position, message, Some(hint)));
        }
        let (kind, field) = field_of(wanted, follower)?;
        let entry = self.of(list).and_then(Kind::entry).filter(|entry| !entry.fits(kind))?;
        let message = format!("`{field}` is {}, and this list has {} only", kind.describe(), plural(entry));
        let hint = match entry {
            Kind::Text => "write the numbers without quotes".to_owned(),
            _ => "write the texts in quotes".to_owned(),
        };
        Some(Problem::new(file, position, message, Some(hint)))
    }
}

fn plural(kind: Kind) -> &'static str {
    if kind == Kind::Text { "strings" } else { "integers" }
}

/// The second parameter of the automation's handlers, with the kinds of its keys.
fn handler_params(file: &File, bodies: &[Body]) -> BTreeMap<(String, String), Kind> {
    let mut params = BTreeMap::new();
    let (None, Ok(Some(automation))) = (file.path, file.program.automation()) else { return params };
    let handlers = automation.triggers.iter().map(|trigger| trigger.handler.as_str());
    let handlers: Vec<&str> = handlers.chain([HANDLER]).collect();
    for body in bodies {
        let is_handler = body.name.as_deref().is_some_and(|name| handlers.contains(&name));
        let Some(given) = body.parameters.get(1).filter(|_| is_handler) else { continue };
        for (name, parameter) in &automation.params {
            let kind = match parameter.kind {
                parameters::Kind::Int => Kind::Integer,
                parameters::Kind::Float => Kind::Float,
                parameters::Kind::Bool => Kind::Flag,
                parameters::Kind::Text => Kind::Text,
            };
            params.insert((given.clone(), name.clone()), kind);
        }
    }
    // Another function may have a parameter of this name for something else.
    let is_of_others = |name: &String| {
        let others = bodies.iter().filter(|body| {
            body.name.as_deref().is_some_and(|name| !name.contains('$') && !handlers.contains(&name))
        });
        others.flat_map(|body| &body.parameters).any(|parameter| parameter == name)
    };
    params.retain(|(name, _), _| !is_of_others(name));
    params
}

fn is_plain_or_global(namespace: &rhai::Namespace) -> bool {
    namespace.is_empty() || matches!(namespace.path.as_slice(), [only] if only.name == "global")
}

fn is_comparison(call: &FnCallExpr) -> bool {
    use Token::{EqualsTo, GreaterThan, GreaterThanEqualsTo, LessThan, LessThanEqualsTo, NotEqualsTo};
    matches!(
        call.op_token,
        Some(EqualsTo | NotEqualsTo | LessThan | LessThanEqualsTo | GreaterThan | GreaterThanEqualsTo)
    )
}

/// The field, if an expression is a field of the follower and nothing more.
fn field_of(expr: &Expr, follower: &str) -> Option<(FieldKind, &'static str)> {
    let (root, links) = chain(expr);
    let [Expr::Property(property, _)] = links.as_slice() else { return None };
    let field = FIELDS.iter().find(|field| is_variable(root, follower) && property.2 == field.name)?;
    Some((field.kind, field.name))
}
