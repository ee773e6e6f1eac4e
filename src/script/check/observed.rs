//! The operations on values that inference has found in a program, for the checks to judge.

use crate::script::host::value_type::ValueType;
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

/// What is done with values.
pub(super) enum Observed<'a> {
    Comparison { left: Operand<'a>, right: Operand<'a>, position: Position },
    Membership { list: Operand<'a>, wanted: Operand<'a>, position: Position },
    Field { of: &'a ValueType, name: &'a str, used: FieldUse, position: Position },
    Method { of: &'a Typed, call: &'a FnCallExpr, closure: Option<usize>, position: Position },
    Switch { on: Typed, position: Position },
}

/// Is called with the number of a file and what is done there.
pub(super) type Observer<'a> = &'a mut dyn FnMut(usize, Observed<'_>);
