//! The operations on values that inference has found in a program, for the checks to judge.

use crate::script::host::value_type::{MapType, ValueType};
use rhai::{Expr, FnCallExpr, Position};

/// An expression's value, as far as it is known.
#[derive(Clone, Default)]
pub(super) struct Typed {
    pub value_type: ValueType,
    /// The name of the variable or of the field.
    pub name: Option<String>,
    /// How it is written, if that is with names alone: `u.qr_scene`.
    pub path: Option<String>,
    /// The kind of value that it is a field of.
    pub owner: Option<&'static str>,
    /// The method that gave it.
    pub given_by: Option<String>,
}

/// An operand as it is written.
#[derive(Clone)]
pub(super) struct Operand<'a> {
    pub typed: Typed,
    pub expr: Option<&'a Expr>,
}

/// How a field is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldUse {
    Read,
    Set,
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallStyle {
    /// `f(a)`.
    Plain,
    /// `a.f()`.
    Method,
}

/// What is done with values.
pub(super) enum Observed<'a> {
    Comparison {
        left: Operand<'a>,
        right: Operand<'a>,
        position: Position,
    },
    Membership {
        list: Operand<'a>,
        wanted: Operand<'a>,
        position: Position,
    },
    Field {
        of: &'a ValueType,
        name: &'a str,
        used: FieldUse,
        position: Position,
    },
    /// A key of a map that never has it.
    AbsentKey {
        of: &'a MapType,
        name: &'a str,
        position: Position,
    },
    Method {
        of: &'a Typed,
        call: &'a FnCallExpr,
        closure: Option<usize>,
        position: Position,
    },
    /// A call of a function of the engine. A method has what it is called on as its first argument.
    Call {
        module: &'a str,
        name: &'a str,
        given: &'a [Operand<'a>],
        style: CallStyle,
        position: Position,
    },
    /// A closure or a function of the file that is called with this number of arguments at the most, and has another number of
    /// parameters.
    Arity {
        caller: &'a str,
        given: usize,
        has: usize,
        position: Position,
    },
    /// A text with `${` in it, and the variables that are in scope there.
    Text {
        text: &'a str,
        in_scope: &'a [String],
        position: Position,
    },
    /// A value that a call gives to a statement, and nothing uses.
    Dropped {
        value: &'a ValueType,
        call: &'a FnCallExpr,
        position: Position,
    },
    Switch {
        on: Typed,
        position: Position,
    },
}

/// Is called with the number of a file and what is done there.
pub(super) type Observer<'a> = &'a mut dyn FnMut(usize, Observed<'_>);
