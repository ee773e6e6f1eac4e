//! Comparisons and memberships that can never be true: a field of a follower against a value whose kind is known, because
//! of what is written in the file (`known_values.rs`) or of the value that a closure has captured.

use super::file::{Node, chain, is_variable, show};
use crate::{
    api::{FieldKind, user::FIELDS},
    base::millis_as_secs,
};
use rhai::{
    AST, ASTNode, Dynamic, Expr, FnCallExpr, Map, Module, Position, ScriptFuncDef, Shared, Stmt, Token,
};
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
    pub(super) const fn entry(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Integers => Some(Self::Integer),
            _ => None,
        }
    }

    /// The kind of a value, if it is one of these.
    pub(super) fn of_value(value: &Dynamic) -> Option<Self> {
        let all =
            |array: &[Dynamic], is_one: fn(&Dynamic) -> bool| !array.is_empty() && array.iter().all(is_one);
        match value.flatten_clone() {
            text if text.is_string() => Some(Self::Text),
            number if number.is_int() => Some(Self::Integer),
            number if number.is_float() => Some(Self::Float),
            flag if flag.is_bool() => Some(Self::Flag),
            list => {
                let list = list.read_lock::<rhai::Array>()?;
                if all(&list, Dynamic::is_string) {
                    Some(Self::Texts)
                } else {
                    all(&list, Dynamic::is_int).then_some(Self::Integers)
                }
            }
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
#[derive(Default)]
pub(super) struct Kinds {
    pub(super) variables: BTreeMap<String, Option<Kind>>,
    /// What maps hold, by the variable's name and the key.
    pub(super) fields: BTreeMap<(String, String), Kind>,
    /// What functions return, by their names and numbers of arguments.
    pub(super) returns: BTreeMap<(String, usize), Kind>,
    pub(super) has_own_param: bool,
}

/// A comparison or a membership that is never true.
pub(crate) struct NeverTrue {
    pub(crate) position: Position,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Kinds {
    /// What one variable is known to hold by its value.
    fn of_captured(name: &str, value: &Dynamic) -> Option<Self> {
        let mut kinds = Self::default();
        if let Some(map) = value.read_lock::<Map>() {
            for (key, value) in map.iter() {
                let kind = Kind::of_value(value);
                kinds.fields.extend(kind.map(|kind| ((name.to_owned(), key.to_string()), kind)));
            }
        } else {
            kinds.variables.insert(name.to_owned(), Some(Kind::of_value(value)?));
        }
        Some(kinds)
    }

    /// What an expression is known to give.
    pub(super) fn of(&self, expr: &Expr) -> Option<Kind> {
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
                (Expr::Variable(map, ..), links) if is_plain_or_global(&map.2) => match links.as_slice() {
                    [Expr::Property(key, _)] => {
                        self.fields.get(&(map.1.to_string(), key.2.to_string())).copied()
                    }
                    links => self.of_method(links),
                },
                (_, links) => self.of_method(&links),
            },
            _ => None,
        }
    }

    fn of_call(&self, call: &FnCallExpr) -> Option<Kind> {
        match (call.name.as_str(), call.args.as_slice()) {
            ("param", [_]) if !self.has_own_param => Some(Kind::Text),
            ("param", [_, default]) if !self.has_own_param => self.of(default),
            (name, args) => self.returns.get(&(name.to_owned(), args.len())).copied(),
        }
    }

    /// What the last method of a chain returns.
    fn of_method(&self, links: &[&Expr]) -> Option<Kind> {
        let Some(Expr::MethodCall(call, _)) = links.last() else { return None };
        self.returns.get(&(call.name.to_string(), call.args.len() + 1)).copied()
    }

    /// What is wrong with a comparison or a membership, `follower` being the name of a follower.
    pub(super) fn problem(&self, expr: &Expr, follower: &str) -> Option<NeverTrue> {
        match expr {
            Expr::FnCall(call, position) => {
                let [left, right] = call.args.as_slice() else { return None };
                if is_comparison(call) {
                    let field = |expr| field_of(expr, follower);
                    return match (field(left), field(right)) {
                        (Some(field), None) => self.mismatch(field, right, follower, *position),
                        (None, Some(field)) => self.mismatch(field, left, follower, *position),
                        _ => None,
                    };
                }
                // `x in list` is a call of `contains`, with the list first.
                (call.name == "contains")
                    .then(|| self.missing((left, &[]), right, follower, *position))
                    .flatten()
            }
            Expr::Dot(..) => {
                let (root, links) = chain(expr);
                let (last, before) = links.split_last()?;
                let Expr::MethodCall(call, position) = last else { return None };
                let is_membership = ["contains", "index_of"].contains(&call.name.as_str());
                let [wanted] = call.args.as_slice() else { return None };
                is_membership.then(|| self.missing((root, before), wanted, follower, *position)).flatten()
            }
            _ => None,
        }
    }

    /// `u.qr_scene == "98765"`: a number is never equal to a text.
    fn mismatch(
        &self,
        (kind, field): (FieldKind, &str),
        other: &Expr,
        follower: &str,
        position: Position,
    ) -> Option<NeverTrue> {
        if let (SUBSCRIBE_TIME, Expr::IntegerConstant(number, _)) = (field, other)
            && let Some(seconds) = millis_as_secs(*number)
        {
            let message = format!("`{field}` is in seconds, and this compares it with milliseconds");
            return Some(NeverTrue { position, message, hint: format!("write {seconds}") });
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
        Some(NeverTrue { position, message, hint })
    }

    /// `"VIP" in u.tagid_list`, `["98765"].contains(u.qr_scene)`: a list that never holds what it is asked for. The list is
    /// given as its root and links.
    fn missing(
        &self,
        (root, links): (&Expr, &[&Expr]),
        wanted: &Expr,
        follower: &str,
        position: Position,
    ) -> Option<NeverTrue> {
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
            return Some(NeverTrue { position, message, hint });
        }
        let (kind, field) = field_of(wanted, follower)?;
        let entry = self.of(list).and_then(Kind::entry).filter(|entry| !entry.fits(kind))?;
        let message = format!("`{field}` is {}, and this list has {} only", kind.describe(), plural(entry));
        let hint = match entry {
            Kind::Text => "write the numbers without quotes".to_owned(),
            _ => "write the texts in quotes".to_owned(),
        };
        Some(NeverTrue { position, message, hint })
    }
}

/// What is never true in a closure of followers for the values that it captured. A variable that is used for anything but
/// such comparisons is passed over: the closure may tell the kinds apart.
pub(crate) fn never_true(closure: &Shared<ScriptFuncDef>, captured: &[Dynamic]) -> Option<NeverTrue> {
    let (names, own) = closure.params.split_at_checked(captured.len())?;
    let [follower] = own else { return None };
    let mut alone = Module::new();
    alone.set_script_fn(Shared::clone(closure));
    let body = AST::new_from_module(alone);
    let literals = Kinds { has_own_param: true, ..Kinds::default() };
    names.iter().zip(captured).find_map(|(name, value)| {
        let kinds = Kinds { has_own_param: true, ..Kinds::of_captured(name, value)? };
        let (mut uses, mut found, mut is_shadowed) = (0, Vec::new(), false);
        body.walk(&mut |path: &[ASTNode]| {
            show(path, &mut |node| match node {
                Node::Stmt(Stmt::Var(variable, ..)) => {
                    is_shadowed |= [name, follower].contains(&&variable.0.name);
                }
                Node::Stmt(Stmt::For(of, _)) => is_shadowed |= [name, follower].contains(&&of.0.name),
                Node::Expr(expr) => {
                    uses += usize::from(is_variable(expr, name));
                    if literals.problem(expr, follower).is_none() {
                        found.extend(kinds.problem(expr, follower));
                    }
                }
                Node::Stmt(_) => {}
            })
        });
        if is_shadowed || found.len() != uses { None } else { found.into_iter().next() }
    })
}

fn plural(kind: Kind) -> &'static str {
    if kind == Kind::Text { "strings" } else { "integers" }
}

pub(super) fn is_plain_or_global(namespace: &rhai::Namespace) -> bool {
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
