//! What operators give.

use crate::script::host::value_type::ValueType;
use rhai::Token;

/// Whether an operator compares.
pub(super) const fn is_comparison(operator: &Token) -> bool {
    use Token::{EqualsTo, GreaterThan, GreaterThanEqualsTo, LessThan, LessThanEqualsTo, NotEqualsTo};
    matches!(
        operator,
        EqualsTo | NotEqualsTo | LessThan | LessThanEqualsTo | GreaterThan | GreaterThanEqualsTo
    )
}

/// What an operator of two operands gives.
pub(super) fn calculate(operator: &Token, left: &ValueType, right: &ValueType) -> ValueType {
    use ValueType::{Flag, Float, Integer, Text, Undetermined, Unknown};
    match (operator, left, right) {
        (operator, ..) if is_comparison(operator) => Flag,
        (Token::In | Token::NotIn, ..) => Flag,
        (Token::Plus, Text, _) | (Token::Plus, _, Text) => Text,
        (Token::ExclusiveRange | Token::InclusiveRange, ..) => Unknown,
        (_, Integer, Integer) => Integer,
        (_, Integer | Float, Integer | Float) => Float,
        (_, Undetermined, _) | (_, _, Undetermined) => Undetermined,
        _ => Unknown,
    }
}
