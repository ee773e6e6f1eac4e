//! Follows types through a program: from values, declared results and fields, over variables, parameters and results of
//! functions, to where they are compared or where their fields are read. A place has one type or none that is known: what is
//! not followed is never refused.
//!
//! One file because statements, expressions and calls are gone through by functions that call each other.

use super::{
    definitions::{Bindings, Definitions, FunctionKey, Place, ValueUse, of_parameter},
    file::{Link, access, literal},
    observed::{CallStyle, FieldUse, Observed, Observer, Operand, Typed},
    operators::{calculate, is_comparison},
};
use crate::script::{
    host::{
        catalog::STAGES,
        stdlib,
        value_type::{Keys, ValueType},
    },
    source::{
        body::Body,
        closures::{MUTATORS, closure_name},
    },
};
use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt, SwitchCasesCollection, Token};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// Methods of an audience whose closure is given a follower.
pub(super) const FOLLOWER_CLOSURES: [&str; 4] = ["filter", "each", "remark", "count_by"];

/// Methods of an array whose closure is given an entry and its number.
const ENTRY_CLOSURES: [&str; 10] =
    ["all", "drain", "extract", "filter", "find", "find_map", "index_of", "map", "retain", "some"];

/// Methods of an array whose closure is given two entries.
const PAIR_CLOSURES: [&str; 3] = ["dedup", "sort", "sort_by"];

/// Methods of an array that give some of its entries as an array.
const PARTS: [&str; 4] = ["drain", "extract", "filter", "retain"];

/// Methods that change an array and put nothing new into it.
const REARRANGING: [&str; 14] = [
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "pop",
    "remove",
    "retain",
    "reverse",
    "shift",
    "sort",
    "sort_by",
    "sort_desc",
    "truncate",
];

/// Methods of an array that give an entry of it.
const ENTRIES: [&str; 5] = ["find", "get", "pop", "remove", "shift"];

/// How often a program is gone through. Each round adds what the last one found; one that needs more is not checked.
const ROUNDS: usize = 32;

/// How much is looked at in these rounds: expressions, each with the variables that are in scope and the functions of its file.
/// A program that needs more is not checked.
const MAX_WORK: usize = 50_000_000;

/// Finds the types of a program, and tells what is done with them.
pub(super) fn observe(definitions: &Definitions, observer: Observer) {
    let mut inference = Inference {
        definitions,
        bindings: Bindings::new(definitions),
        constants: BTreeMap::new(),
        scope: Vec::new(),
        file: 0,
        function: None,
        work: 0,
        observer: None,
    };
    for (place, value) in &definitions.given {
        inference.bindings.set(place, value);
    }
    if inference.settle() {
        inference.open_what_is_not_called();
        if inference.settle() {
            inference.observer = Some(observer);
            inference.program();
        }
    }
}

/// A link of an access that begins with a variable.
#[derive(Clone, Copy)]
struct LinkPlace<'p> {
    variable: &'p Place,
    /// How many links are before it.
    depth: usize,
}

/// What a function of a file is called on, as a method.
#[derive(Clone, Copy)]
struct Receiver<'r> {
    value_type: &'r ValueType,
    /// Where the value is, if an access of a variable gave it.
    at: Option<LinkPlace<'r>>,
}

struct Inference<'a> {
    definitions: &'a Definitions,
    bindings: Bindings<'a>,
    /// The constants of files, which functions see as `global::NAME`.
    constants: BTreeMap<(usize, String), Place>,
    /// The variables that are in scope, the innermost last.
    scope: Vec<(String, Place)>,
    file: usize,
    function: Option<FunctionKey>,
    /// What was looked at so far.
    work: usize,
    observer: Option<Observer<'a>>,
}

impl<'a> Inference<'a> {
    /// Goes through the program until nothing is added. Gives whether that came.
    fn settle(&mut self) -> bool {
        for _ in 0..ROUNDS {
            self.bindings.is_changed = false;
            self.program();
            if !self.bindings.is_changed || self.work > MAX_WORK {
                break;
            }
        }
        !self.bindings.is_changed
    }

    /// What the program calls nowhere may be called with anything.
    fn open_what_is_not_called(&mut self) {
        for (file, definitions) in self.definitions.files.iter().enumerate() {
            for body in &definitions.bodies {
                let Some(name) = body.name.clone() else { continue };
                let key = FunctionKey { file, name, parameters: body.parameters.len() };
                let parameters = (0..key.parameters).map(|index| Place::Parameter(key.clone(), index));
                for place in parameters.chain([Place::This(key.clone())]) {
                    if self.bindings.get(&place) == ValueType::Undetermined {
                        self.bindings.set(&place, &ValueType::Unknown);
                    }
                }
            }
        }
    }

    fn program(&mut self) {
        for (number, file) in self.definitions.files.iter().enumerate() {
            self.file = number;
            // Closures are gone through where they are made.
            for body in file.bodies.iter().filter(|body| !body.is_closure()) {
                self.scope.clear();
                self.body(body, 0);
            }
        }
    }

    /// Goes through a body, whose first parameters may be variables that are in scope.
    fn body(&mut self, body: &'a Body, captured: usize) {
        let key = body.name.as_ref().map(|name| self.key(name, body.parameters.len()));
        let depth = self.scope.len();
        for (index, name) in body.parameters.iter().enumerate().skip(captured) {
            if let Some(key) = &key {
                self.scope.push((name.clone(), Place::Parameter(key.clone(), index)));
            }
        }
        let outer = std::mem::replace(&mut self.function, key.clone());
        let last = if key.is_some() { ValueUse::Taken } else { self.definitions.files[self.file].last_value };
        let result = self.statements(&body.statements, last);
        if let Some(key) = key {
            self.bindings.set(&Place::Result(key), &result);
        }
        self.function = outer;
        self.scope.truncate(depth);
    }

    fn key(&self, name: &str, parameters: usize) -> FunctionKey {
        FunctionKey { file: self.file, name: name.to_owned(), parameters }
    }

    fn observe(&mut self, observed: Observed) {
        if let Some(observer) = &mut self.observer {
            observer(self.file, observed);
        }
    }

    /// Goes through a block. Gives the type of its value.
    fn statements(&mut self, statements: &'a [Stmt], last_value: ValueUse) -> ValueType {
        let depth = self.scope.len();
        let mut last = ValueType::Unit;
        for (number, statement) in statements.iter().enumerate() {
            let is_last = number + 1 == statements.len();
            last = self.statement(statement, if is_last { last_value } else { ValueUse::Dropped });
        }
        self.scope.truncate(depth);
        last
    }

    fn statement(&mut self, statement: &'a Stmt, used: ValueUse) -> ValueType {
        match statement {
            Stmt::Expr(expr) => {
                let value = self.infer(expr);
                if let (ValueUse::Dropped, Some((call, position))) = (used, last_call(expr)) {
                    self.observe(Observed::Dropped { value: &value, call, position });
                }
                return value;
            }
            Stmt::FnCall(call, position) => {
                let value = self.call(call, *position);
                if used == ValueUse::Dropped {
                    self.observe(Observed::Dropped { value: &value, call, position: *position });
                }
                return value;
            }
            Stmt::Block(block) => return self.statements(block.statements(), used),
            Stmt::If(flow, _) => {
                self.infer(&flow.expr);
                let then = self.statements(flow.body.statements(), used);
                return self.either(&then, flow.branch.statements(), used);
            }
            Stmt::Switch(switch, position) => return self.switch(&switch.0, &switch.1, *position),
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.infer(&flow.expr);
                self.statements(flow.body.statements(), ValueUse::Dropped);
                // A `break` may give a value.
                return ValueType::Unknown;
            }
            Stmt::For(of, _) => {
                let entry = self.infer_entry(&of.2.expr);
                let depth = self.scope.len();
                self.declare(&of.0.name, of.0.pos, &entry);
                if let Some(counter) = &of.1 {
                    self.declare(&counter.name, counter.pos, &ValueType::Integer);
                }
                self.statements(of.2.body.statements(), ValueUse::Dropped);
                self.scope.truncate(depth);
                return ValueType::Unknown;
            }
            Stmt::Var(variable, flags, _) => {
                let value = self.infer(&variable.1);
                let place = self.declare(&variable.0.name, variable.0.pos, &value);
                if self.function.is_none() && flags.contains(ASTFlags::CONSTANT) {
                    self.constants.insert((self.file, variable.0.name.to_string()), place);
                }
            }
            Stmt::Assignment(assignment) => {
                let value = self.infer(&assignment.1.rhs);
                let operator = assignment.0.get_op_assignment_info().map(|info| info.4);
                self.assign(&assignment.1.lhs, &value, operator);
            }
            Stmt::TryCatch(flow, _) => {
                self.statements(flow.body.statements(), used);
                let depth = self.scope.len();
                if let Expr::Variable(name, _, position) = &flow.expr {
                    let caught = if self.definitions.throws_values {
                        ValueType::Unknown
                    } else {
                        ValueType::Record("Error")
                    };
                    self.declare(&name.1, *position, &caught);
                }
                self.statements(flow.branch.statements(), used);
                self.scope.truncate(depth);
            }
            Stmt::Return(Some(expr), flags, _) => {
                let value = self.infer(expr);
                match self.function.clone() {
                    Some(key) if !flags.contains(ASTFlags::BREAK) => {
                        self.bindings.set(&Place::Result(key), &value);
                    }
                    _ => self.bindings.escape(&value),
                }
            }
            Stmt::BreakLoop(Some(expr), ..) => {
                let value = self.infer(expr);
                self.bindings.escape(&value);
                return ValueType::Unknown;
            }
            _ => {}
        }
        ValueType::Unit
    }

    fn either(&mut self, then: &ValueType, otherwise: &'a [Stmt], used: ValueUse) -> ValueType {
        let otherwise = self.statements(otherwise, used);
        let both = then.or(&otherwise);
        if both == ValueType::Unknown {
            self.bindings.escape(then);
            self.bindings.escape(&otherwise);
        }
        both
    }

    fn switch(&mut self, on: &'a Expr, cases: &'a SwitchCasesCollection, position: Position) -> ValueType {
        let on = self.typed(on);
        self.observe(Observed::Switch { on, position });
        let mut result = ValueType::Undetermined;
        for case in &cases.expressions {
            self.infer(&case.lhs);
            let value = self.infer(&case.rhs);
            self.bindings.escape(&value);
            result = result.or(&value);
        }
        result
    }

    fn declare(&mut self, name: &str, at: Position, value: &ValueType) -> Place {
        let place = Place::Variable { file: self.file, at, name: name.to_owned() };
        self.bindings.set(&place, value);
        self.scope.push((name.to_owned(), place.clone()));
        place
    }

    fn assign(&mut self, target: &'a Expr, value: &ValueType, operator: Option<&Token>) {
        let (root, links) = access(target);
        let place = self.place(root);
        let value = match (&place, operator, links.as_slice()) {
            (Some(place), Some(operator), []) => calculate(operator, &self.bindings.get(place), value),
            (_, Some(_), _) => ValueType::Unknown,
            (_, None, _) => value.clone(),
        };
        if links.is_empty() {
            match &place {
                Some(place) => self.bindings.set(place, &value),
                None => self.bindings.escape(&value),
            }
            return;
        }
        self.bindings.escape(&value);
        let mut before = self.typed(root);
        let (last, first) = (links[links.len() - 1], &links[..links.len() - 1]);
        for link in first {
            before = self.link(&before, *link, None);
        }
        match last {
            Link::Field(name, position) => {
                let of = &before.value_type;
                self.observe(Observed::Field { of, name, used: FieldUse::Set, position });
            }
            Link::Index(index) => {
                self.infer(index);
            }
            Link::Method(..) => {}
        }
        let Some(place) = place else { return };
        match (self.bindings.get(&place), last) {
            (ValueType::Map(mut map), Link::Field(name, _)) if first.is_empty() => {
                let before = map.fields.get(name.as_str());
                let after = match (before, map.keys) {
                    (Some(field), _) => Some(field.or(&value)),
                    (None, Keys::Written | Keys::Declared) => Some(value),
                    // What another key held before is not known.
                    (None, Keys::Open) => None,
                };
                map.fields.extend(after.map(|value| (name.to_string(), value.flat())));
                self.bindings.put(&place, ValueType::Map(map));
            }
            (ValueType::Map(_) | ValueType::List(_), _) => self.bindings.set(&place, &ValueType::Unknown),
            _ => {}
        }
    }

    /// The place of a variable, or of what a function is called on.
    fn place(&self, expr: &Expr) -> Option<Place> {
        match expr {
            Expr::Variable(variable, ..) if variable.2.is_empty() => {
                let name = variable.1.as_str();
                self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, place)| place.clone())
            }
            Expr::Variable(variable, ..) => match variable.2.path.as_slice() {
                [module] if module.name == "global" => {
                    self.constants.get(&(self.file, variable.1.to_string())).cloned()
                }
                _ => None,
            },
            Expr::ThisPtr(_) => self.function.clone().map(Place::This),
            _ => None,
        }
    }

    fn infer(&mut self, expr: &'a Expr) -> ValueType {
        self.typed(expr).value_type
    }

    /// The same of what is kept or passed where it is not followed.
    fn infer_given_away(&mut self, expr: &'a Expr) -> ValueType {
        let value = self.infer(expr);
        self.bindings.escape(&value);
        value
    }

    fn infer_entry(&mut self, of: &'a Expr) -> ValueType {
        if let Expr::FnCall(call, _) = of
            && matches!(call.op_token, Some(Token::ExclusiveRange | Token::InclusiveRange))
        {
            self.infer(of);
            return ValueType::Integer;
        }
        self.infer(of).entry()
    }

    fn typed(&mut self, expr: &'a Expr) -> Typed {
        self.work += 1 + self.scope.len() + self.definitions.files[self.file].bodies.len();
        let value_type = match expr {
            Expr::Unit(_) => ValueType::Unit,
            Expr::StringConstant(text, position) => {
                if text.contains("${") {
                    let names: Vec<String> = self.scope.iter().map(|(name, _)| name.clone()).collect();
                    self.observe(Observed::Text { text, in_scope: &names, position: *position });
                }
                ValueType::Text
            }
            Expr::IntegerConstant(..) => ValueType::Integer,
            Expr::FloatConstant(..) => ValueType::Float,
            Expr::BoolConstant(..) => ValueType::Flag,
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.infer_given_away(part);
                }
                ValueType::Text
            }
            Expr::DynamicConstant(value, _) => match closure_name(expr) {
                Some(name) => self.closure(name),
                None => ValueType::of_value(value),
            },
            Expr::Array(entries, _) => {
                let entries: Vec<ValueType> =
                    entries.iter().map(|entry| self.infer_given_away(entry)).collect();
                ValueType::list(entries.into_iter())
            }
            Expr::Map(map, _) => {
                let entries: Vec<(String, ValueType)> = map
                    .0
                    .iter()
                    .map(|(key, value)| (key.name.to_string(), self.infer_given_away(value)))
                    .collect();
                ValueType::map(entries.into_iter())
            }
            Expr::Variable(variable, ..) => {
                let value_type = match self.place(expr) {
                    Some(place) => self.bindings.get(&place),
                    None if variable.2.is_empty() => self.function_named(&variable.1),
                    None => ValueType::Unknown,
                };
                let name = Some(variable.1.to_string());
                return Typed { value_type, path: name.clone(), name, ..Typed::default() };
            }
            Expr::ThisPtr(_) => {
                let place = self.place(expr);
                let value_type = place.map_or(ValueType::Unknown, |place| self.bindings.get(&place));
                let name = Some("this".to_owned());
                return Typed { value_type, path: name.clone(), name, ..Typed::default() };
            }
            Expr::Stmt(block) => self.statements(block.statements(), ValueUse::Taken),
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(..) | Expr::Index(..) => return self.chain(expr),
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                for part in parts.iter() {
                    self.infer(part);
                }
                ValueType::Flag
            }
            Expr::Coalesce(parts, _) => {
                let values: Vec<ValueType> = parts.iter().map(|part| self.infer_given_away(part)).collect();
                values.iter().fold(ValueType::Undetermined, |all, value| all.or(value))
            }
            _ => ValueType::Unknown,
        };
        Typed { value_type, ..Typed::default() }
    }

    fn function_named(&self, name: &str) -> ValueType {
        let is_own = self.definitions.files[self.file].functions(name).next().is_some();
        if is_own { ValueType::Function(self.file, name.to_owned()) } else { ValueType::Unknown }
    }

    /// Goes through a closure where it is made.
    fn closure(&mut self, name: String) -> ValueType {
        let file = &self.definitions.files[self.file];
        let captured = file.captured.get(&name).copied().unwrap_or_default();
        let bodies: Vec<&Body> = file.functions(&name).filter(|body| body.is_closure()).collect();
        for body in bodies {
            self.body(body, captured);
        }
        ValueType::Function(self.file, name)
    }

    fn chain(&mut self, expr: &'a Expr) -> Typed {
        let (root, links) = access(expr);
        let mut value = self.typed(root);
        let place = self.place(root);
        for (depth, link) in links.into_iter().enumerate() {
            let before = value;
            value = self.link(&before, link, place.as_ref().map(|variable| LinkPlace { variable, depth }));
        }
        value
    }

    /// What a link of an access gives.
    fn link(&mut self, before: &Typed, link: Link<'a>, at: Option<LinkPlace<'_>>) -> Typed {
        let of = &before.value_type;
        match link {
            Link::Field(name, position) => {
                self.observe(Observed::Field { of, name, used: FieldUse::Read, position });
                if let ValueType::Map(map) = of
                    && self.definitions.key_habits.is_mistake(map, name)
                {
                    self.observe(Observed::AbsentKey { of: map, name, position });
                }
                let owner = match of {
                    ValueType::Record(record) => Some(*record),
                    _ => None,
                };
                let path = before.path.as_ref().map(|path| format!("{path}.{name}"));
                let value_type = self.field(of, name);
                Typed { value_type, name: Some(name.to_string()), path, owner, given_by: None }
            }
            Link::Index(index) => {
                self.infer_given_away(index);
                let value_type = match (of, literal(index)) {
                    (ValueType::Record(_) | ValueType::Map(_), Some(name)) => self.field(of, name),
                    (ValueType::List(_) | ValueType::Undetermined, _) => of.entry(),
                    _ => ValueType::Unknown,
                };
                Typed { value_type, ..Typed::default() }
            }
            Link::Method(call, position) => {
                let value_type = self.method(before, call, position, at);
                Typed { value_type, given_by: Some(call.name.to_string()), ..Typed::default() }
            }
        }
    }

    fn field(&self, of: &ValueType, name: &str) -> ValueType {
        match of {
            ValueType::Undetermined => ValueType::Undetermined,
            ValueType::Map(map) => map.fields.get(name).cloned().unwrap_or(ValueType::Unknown),
            ValueType::Record(record) => {
                self.definitions.fields.get(&(*record, name)).cloned().unwrap_or(ValueType::Unknown)
            }
            _ => ValueType::Unknown,
        }
    }

    /// What a function of the engine returns, if all that take this value return the same.
    fn returned(&self, module: &str, name: &str, arguments: usize, on: Option<&ValueType>) -> ValueType {
        let key = (module.to_owned(), name.to_owned(), arguments);
        let known = self.definitions.returns.get(&key).map_or(&[][..], Vec::as_slice);
        // One that is declared for just this type is the one that is called.
        let is_declared = on.is_some_and(|on| on.is_certain() && known.iter().any(|(takes, _)| takes == on));
        let fits = |takes: &ValueType| match on {
            Some(on) if is_declared => takes == on,
            Some(on) => takes.takes(on),
            None => true,
        };
        let mut fitting = known.iter().filter(|(takes, _)| fits(takes));
        let Some((_, first)) = fitting.next() else { return ValueType::Unknown };
        if fitting.all(|(_, gives)| gives == first) { first.clone() } else { ValueType::Unknown }
    }

    fn method(
        &mut self,
        on: &Typed,
        call: &'a FnCallExpr,
        position: Position,
        at: Option<LinkPlace<'_>>,
    ) -> ValueType {
        let of = &on.value_type;
        let arguments: Vec<Typed> = call.args.iter().map(|argument| self.typed(argument)).collect();
        let given: Vec<ValueType> = arguments.iter().map(|typed| typed.value_type.clone()).collect();
        let name = call.name.as_str();
        match (name, of) {
            (_, ValueType::Undetermined) => return ValueType::Undetermined,
            ("call", ValueType::Function(..)) => {
                self.observe_arity(name, of, given.len()..=given.len(), position);
                return self.bindings.give(of, &given);
            }
            ("curry", ValueType::Function(..)) => {
                self.bindings.escape(of);
                return ValueType::Unknown;
            }
            ("type_of", _) => {
                if let Some(at) = at {
                    self.leave_open(at.variable);
                }
                return ValueType::Text;
            }
            _ => {}
        }
        let definitions = self.definitions;
        if definitions.files[self.file].has_function(name, given.len()) {
            return self.call_own(
                &self.key(name, given.len()),
                Some(Receiver { value_type: of, at }),
                &given,
            );
        }
        let is_held =
            matches!(of, ValueType::Unknown | ValueType::Map(_)) && definitions.holders.contains(name);
        if self.observer.is_some() && !is_held {
            let receiver = Operand { typed: on.clone(), expr: None };
            let arguments = arguments.iter().cloned().zip(&call.args);
            let arguments = arguments.map(|(typed, expr)| Operand { typed, expr: Some(expr) });
            let given: Vec<Operand> = std::iter::once(receiver).chain(arguments).collect();
            self.observe(Observed::Call {
                module: "",
                name,
                given: &given,
                style: CallStyle::Method,
                position,
            });
        }
        self.observe_method(on, call, arguments, position);
        if let Some(LinkPlace { variable, depth }) = at {
            self.mutate(name, variable, depth, &given);
        }
        match (of, name) {
            (ValueType::Audience, _) if STAGES.contains(&name) || stdlib::is_stage(name, given.len()) => {
                ValueType::Audience
            }
            (ValueType::List(_), _) if PARTS.contains(&name) => of.clone(),
            (ValueType::List(_), _) if ENTRIES.contains(&name) => of.entry(),
            (ValueType::List(_), "map") => {
                let entry =
                    given.first().map_or(ValueType::Unknown, |closure| self.bindings.result_of(closure));
                ValueType::list(std::iter::once(entry))
            }
            (ValueType::Map(map), "get") => {
                let key = call.args.first().and_then(literal).and_then(|key| map.fields.get(key));
                key.cloned().unwrap_or(ValueType::Unknown)
            }
            _ if is_held => ValueType::Unknown,
            _ => self.returned("", name, given.len() + 1, Some(of)),
        }
    }

    /// Gives the closures of a method what it calls them with, and tells what the method is.
    fn observe_method(&mut self, on: &Typed, call: &'a FnCallExpr, given: Vec<Typed>, position: Position) {
        let (of, name) = (&on.value_type, call.name.as_str());
        let entry = of.entry();
        let arguments = match of {
            ValueType::Audience if FOLLOWER_CLOSURES.contains(&name) => vec![entry],
            ValueType::List(_) if ENTRY_CLOSURES.contains(&name) => {
                vec![entry, ValueType::Integer]
            }
            ValueType::List(_) if PAIR_CLOSURES.contains(&name) => {
                vec![entry.clone(), entry]
            }
            _ => Vec::new(),
        };
        for typed in &given {
            if arguments.is_empty() {
                self.bindings.escape(&typed.value_type);
            } else {
                self.bindings.give(&typed.value_type, &arguments);
            }
        }
        let own = given.first().filter(|_| given.len() == 1).map(|typed| &typed.value_type);
        let closure = own.and_then(|own| self.other_arity(own, 1..=1));
        if let (Some(own), ValueType::List(_)) = (own, of) {
            // What the entry is may also be `this`.
            let takes = match name {
                name if PAIR_CLOSURES.contains(&name) => Some(2..=2),
                name if ENTRY_CLOSURES.contains(&name) => Some(0..=2),
                "for_each" => Some(0..=1),
                _ => None,
            };
            if let Some(takes) = takes {
                self.observe_arity(name, own, takes, position);
            }
        }
        self.observe(Observed::Method { of: on, call, closure, position });
        if let ("contains" | "index_of", [wanted], Ok([typed])) =
            (name, call.args.as_slice(), <[Typed; 1]>::try_from(given))
        {
            let list = Operand { typed: on.clone(), expr: None };
            let wanted = Operand { typed, expr: Some(wanted) };
            self.observe(Observed::Membership { list, wanted, position });
        }
    }

    /// The number of parameters of a closure or a function of the file, if it takes none of these numbers of arguments.
    fn other_arity(&self, function: &ValueType, given: RangeInclusive<usize>) -> Option<usize> {
        let ValueType::Function(file, name) = function else { return None };
        let file = &self.definitions.files[*file];
        let captured = file.captured.get(name).copied().unwrap_or_default();
        let counts = file.functions(name).map(|body| body.parameters.len().saturating_sub(captured));
        let counts: Vec<usize> = counts.collect();
        counts.first().copied().filter(|_| !counts.iter().any(|count| given.contains(count)))
    }

    fn observe_arity(
        &mut self,
        caller: &str,
        function: &ValueType,
        given: RangeInclusive<usize>,
        position: Position,
    ) {
        let wanted = *given.end();
        if let Some(has) = self.other_arity(function, given) {
            self.observe(Observed::Arity { caller, given: wanted, has, position });
        }
    }

    /// Notes what a function of the engine does to a variable, or to a part of it, that it is called on.
    fn mutate(&mut self, name: &str, place: &Place, depth: usize, given: &[ValueType]) {
        let is_list = depth == 0 && matches!(self.bindings.get(place), ValueType::List(_));
        match (name, given) {
            // The function that is called may change it, as `this`.
            ("call" | "for_each", _) => self.change(place, depth),
            (name, _) if !MUTATORS.contains(&name) || (is_list && REARRANGING.contains(&name)) => {}
            ("push", [entry]) | ("insert", [_, entry]) if is_list => {
                self.bindings.set(place, &ValueType::list(std::iter::once(entry.clone())));
            }
            ("append", [ValueType::List(_)]) if is_list => self.bindings.set(place, &given[0]),
            _ => self.change(place, depth),
        }
    }

    /// Treats a variable, or a part of it, as of unknown type: the script looks at its type itself with `type_of`.
    fn leave_open(&mut self, place: &Place) {
        self.bindings.set(place, &ValueType::Unknown);
    }

    /// Notes that a variable, or a part of it, is changed by a function.
    fn change(&mut self, place: &Place, depth: usize) {
        let changed = match (self.bindings.get(place), depth) {
            (ValueType::List(_), 0) => ValueType::List(Box::new(ValueType::Unknown)),
            (ValueType::Map(_) | ValueType::List(_), _) => ValueType::Unknown,
            _ => return,
        };
        self.bindings.set(place, &changed);
    }

    /// Calls a function of a file, on a value if it is called as a method.
    fn call_own(&mut self, key: &FunctionKey, on: Option<Receiver<'_>>, given: &[ValueType]) -> ValueType {
        for (index, value) in given.iter().enumerate() {
            self.bindings.set(&Place::Parameter(key.clone(), index), &of_parameter(value));
        }
        if let Some(Receiver { value_type, at }) = on {
            let this = Place::This(key.clone());
            self.bindings.set(&this, &of_parameter(value_type));
            // The function may change what it is called on.
            match at {
                Some(LinkPlace { variable, depth: 0 }) => {
                    let after = self.bindings.get(&this);
                    self.bindings.set(variable, &after);
                }
                Some(LinkPlace { variable, depth }) => self.change(variable, depth),
                None => {}
            }
        }
        self.bindings.get(&Place::Result(key.clone()))
    }

    fn call(&mut self, call: &'a FnCallExpr, position: Position) -> ValueType {
        let name = call.name.as_str();
        if let ("curry", [closure, captured @ ..]) = (name, call.args.as_slice()) {
            for variable in captured {
                self.infer(variable);
            }
            let function = self.infer(closure);
            // What the parser writes for a closure's captures. Any other leaves fewer parameters to be given.
            if closure_name(closure).is_some() {
                return function;
            }
            self.bindings.escape(&function);
            return ValueType::Unknown;
        }
        if let ("Fn", [named]) = (name, call.args.as_slice()) {
            self.infer(named);
            let Some(name) = literal(named) else { return self.any_function() };
            return self.function_named(name);
        }
        let given: Vec<Typed> = call.args.iter().map(|argument| self.typed(argument)).collect();
        let types: Vec<ValueType> = given.iter().map(|typed| typed.value_type.clone()).collect();
        if let [module] = call.namespace.path.as_slice() {
            if !self.definitions.files[self.file].imports.contains_key(module.name.as_str()) {
                self.observe_call(&module.name, call, &given, position);
            }
            return self.call_in_module(&module.name, name, &types);
        }
        if let ("call", [function, arguments @ ..]) = (name, types.as_slice())
            && matches!(function, ValueType::Function(..))
        {
            self.observe_arity(name, function, arguments.len()..=arguments.len(), position);
            return self.bindings.give(function, arguments);
        }
        if call.op_token.is_none() && self.definitions.files[self.file].has_function(name, types.len()) {
            return self.call_own(&self.key(name, types.len()), None, &types);
        }
        if call.op_token.is_none() && call.namespace.is_empty() {
            self.observe_call("", call, &given, position);
        }
        self.observe_operator(call, given, position);
        for value in &types {
            self.bindings.escape(value);
        }
        match (name, call.args.first(), types.as_slice()) {
            ("type_of", Some(of), [_]) => {
                // `type_of(m.list[0])` tells the types of a part apart.
                if let Some(place) = self.place(access(of).0) {
                    self.leave_open(&place);
                }
            }
            // A part of a variable is given as a copy.
            (_, Some(first), [_, given @ ..]) => {
                if let Some(place) = self.place(first) {
                    self.mutate(name, &place, 0, given);
                }
            }
            _ => {}
        }
        match (&call.op_token, types.as_slice()) {
            (Some(operator), [left, right]) => calculate(operator, left, right),
            (Some(Token::Bang), _) => ValueType::Flag,
            (Some(_), [operand]) => operand.clone(),
            (None, [_]) if name == "param" => ValueType::Text,
            (None, [_, default]) if name == "param" => default.clone(),
            _ => self.returned("", name, types.len(), types.first()),
        }
    }

    fn observe_call(&mut self, module: &str, call: &'a FnCallExpr, given: &[Typed], position: Position) {
        if self.observer.is_none() {
            return;
        }
        let given = given.iter().cloned().zip(&call.args);
        let given: Vec<Operand> = given.map(|(typed, expr)| Operand { typed, expr: Some(expr) }).collect();
        let (name, style) = (call.name.as_str(), CallStyle::Plain);
        self.observe(Observed::Call { module, name, given: &given, style, position });
    }

    /// A function whose name is only known at run time.
    fn any_function(&mut self) -> ValueType {
        let names = self.definitions.files[self.file].bodies.iter().filter_map(|body| body.name.clone());
        for name in names.filter(|name| !name.contains('$')) {
            self.bindings.escape(&ValueType::Function(self.file, name));
        }
        ValueType::Unknown
    }

    fn observe_operator(&mut self, call: &'a FnCallExpr, given: Vec<Typed>, position: Position) {
        let ([left_expr, right_expr], Ok([left, right])) =
            (call.args.as_slice(), <[Typed; 2]>::try_from(given))
        else {
            return;
        };
        let left = Operand { typed: left, expr: Some(left_expr) };
        let right = Operand { typed: right, expr: Some(right_expr) };
        if call.op_token.as_ref().is_some_and(is_comparison) {
            self.observe(Observed::Comparison { left, right, position });
        } else if call.name == "contains" {
            // `x in list` is a call of `contains`, with the list first.
            self.observe(Observed::Membership { list: left, wanted: right, position });
        }
    }

    fn call_in_module(&mut self, module: &str, name: &str, given: &[ValueType]) -> ValueType {
        match self.definitions.files[self.file].imports.get(module) {
            Some(&Some(file)) => {
                let key = FunctionKey { file, name: name.to_owned(), parameters: given.len() };
                self.call_own(&key, None, given)
            }
            Some(None) => {
                for value in given {
                    self.bindings.escape(value);
                }
                ValueType::Unknown
            }
            None => {
                for value in given {
                    self.bindings.escape(value);
                }
                self.returned(module, name, given.len(), None)
            }
        }
    }
}

/// The call that gives the value of an expression.
fn last_call(expr: &Expr) -> Option<(&FnCallExpr, Position)> {
    match expr {
        Expr::FnCall(call, position) => Some((call, *position)),
        Expr::Dot(..) => match access(expr).1.last()? {
            Link::Method(call, position) => Some((call, *position)),
            Link::Field(..) | Link::Index(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{engine::reference::reference_engine, host::catalog::functions};
    use std::collections::BTreeSet;

    #[test]
    fn registered_methods_of_an_audience_with_a_closure_give_it_a_follower() {
        let mut functions = functions(&reference_engine());
        functions.retain(|function| {
            function.on() == ValueType::Audience && function.signature.contains("closure")
        });
        functions.retain(|function| !stdlib::is_stage(&function.name, function.arguments - 1));
        let registered: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(registered, BTreeSet::from(FOLLOWER_CLOSURES));
    }
}
