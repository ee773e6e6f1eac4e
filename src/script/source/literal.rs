//! A constant written out in a script, with the position of each part: read without running anything.

use super::program::Program;
use crate::base::{Diagnostic, closest_match};
use rhai::{Dynamic, Expr, Position};

/// A value written out in a script, with its position.
#[derive(Clone, Debug)]
pub(crate) struct Literal {
    pub position: Position,
    pub value: LiteralValue,
}

/// The value of a literal, with the positions of its parts.
#[derive(Clone, Debug)]
pub(crate) enum LiteralValue {
    Map(Vec<(String, Position, Literal)>),
    Array(Vec<Literal>),
    Plain(Dynamic),
}

impl Literal {
    /// Reads a constant expression. Of another the error is the position of the part that would have to be evaluated.
    pub(crate) fn read(expression: &Expr) -> Result<Self, Position> {
        let position = expression.start_position();
        let value = match expression {
            Expr::Map(map, _) => {
                let entries = map
                    .0
                    .iter()
                    .map(|(name, value)| Ok((name.name.to_string(), name.pos, Self::read(value)?)));
                LiteralValue::Map(entries.collect::<Result<_, Position>>()?)
            }
            Expr::Array(entries, _) => {
                LiteralValue::Array(entries.iter().map(Self::read).collect::<Result<_, Position>>()?)
            }
            plain => LiteralValue::Plain(plain.get_literal_value(None).ok_or(position)?),
        };
        Ok(Self { position, value })
    }

    /// Its value, without positions.
    pub(crate) fn value(&self) -> Dynamic {
        match &self.value {
            LiteralValue::Map(entries) => {
                let entries = entries.iter().map(|(name, _, value)| (name.as_str().into(), value.value()));
                Dynamic::from_map(entries.collect())
            }
            LiteralValue::Array(entries) => Dynamic::from_array(entries.iter().map(Self::value).collect()),
            LiteralValue::Plain(value) => value.clone(),
        }
    }

    pub(crate) fn as_text(&self) -> Option<String> {
        match &self.value {
            LiteralValue::Plain(value) => {
                value.clone().into_immutable_string().ok().map(|text| text.to_string())
            }
            _ => None,
        }
    }

    pub(crate) fn as_count(&self) -> Option<u64> {
        match &self.value {
            LiteralValue::Plain(value) => value.as_int().ok().and_then(|count| u64::try_from(count).ok()),
            _ => None,
        }
    }
}

/// Makes the errors of a literal, each with its position.
#[derive(Clone, Copy)]
pub(crate) struct LiteralErrors<'a>(pub &'a Program);

impl LiteralErrors<'_> {
    pub(crate) fn error_at(
        self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::new(message).hint(hint).at(self.0.span_at(None, None, at))
    }

    /// The entries of a map whose keys are known.
    pub(crate) fn entries<'l>(
        self,
        what: &str,
        literal: &'l Literal,
        known: &[&str],
    ) -> Result<Vec<(&'l str, &'l Literal)>, Diagnostic> {
        let LiteralValue::Map(entries) = &literal.value else {
            let message = format!("{what} is no map");
            return Err(self.error_at(literal.position, message, format!("#{{ {}: … }}", known[0])));
        };
        for (name, position, _) in entries {
            if !known.contains(&name.as_str()) {
                let hint = closest_match(name, known.iter().copied()).map_or_else(
                    || format!("it can have {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(self.error_at(*position, format!("{what} has no `{name}`"), hint));
            }
        }
        Ok(entries.iter().map(|(name, _, value)| (name.as_str(), value)).collect())
    }
}
