//! Keys that a map never has: of a map that the program writes out, or of an answer whose keys are declared.

use super::file::{Link, access};
use crate::{
    base::closest_match,
    script::{
        host::value_type::{Keys, MapType},
        source::body::{Body, Node},
    },
};
use rhai::{ASTFlags, Expr, Stmt, Token};
use std::collections::BTreeSet;

/// How a program deals with keys that may be missing.
#[derive(Default)]
pub(super) struct KeyHabits {
    /// The texts that it has, each of which may be a key.
    texts: BTreeSet<String>,
    /// The keys of which it asks if they are there: `map.key == ()`, `map.key ?? 5`.
    asked: BTreeSet<String>,
    /// Whether it asks anywhere if a value is missing, so that a map without a key may be meant.
    asks_for_absence: bool,
}

impl KeyHabits {
    /// What these bodies do.
    pub(super) fn of<'a>(bodies: impl Iterator<Item = &'a Body>) -> Self {
        let mut habits = Self::default();
        for body in bodies {
            body.walk(&mut |node| habits.note(&node));
        }
        habits
    }

    fn note(&mut self, node: &Node) {
        match node {
            Node::Expr(Expr::StringConstant(text, _)) => self.texts.extend([text.to_string()]),
            Node::Expr(Expr::Coalesce(parts, _)) => parts.iter().for_each(|part| self.ask(part)),
            Node::Stmt(Stmt::Switch(switch, _)) => self.ask(&switch.0),
            Node::Expr(Expr::FnCall(call, _)) => {
                let compares = matches!(call.op_token, Some(Token::EqualsTo | Token::NotEqualsTo));
                let with_unit = call.args.iter().any(|operand| matches!(operand, Expr::Unit(_)));
                if (compares && with_unit) || call.name == "type_of" {
                    call.args.iter().for_each(|operand| self.ask(operand));
                }
            }
            Node::Expr(expr @ (Expr::Dot(_, flags, _) | Expr::Index(_, flags, _))) => {
                self.asks_for_absence |= flags.contains(ASTFlags::NEGATED);
                for pair in access(expr).1.windows(2) {
                    if let [Link::Field(name, _), Link::Method(call, _)] = pair
                        && call.name == "type_of"
                    {
                        self.asks_for_absence = true;
                        self.asked.extend([name.to_string()]);
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes that the program asks if a value is there.
    fn ask(&mut self, expr: &Expr) {
        self.asks_for_absence = true;
        if let Some(Link::Field(name, _)) = access(expr).1.last() {
            self.asked.extend([name.to_string()]);
        }
    }

    /// Whether reading this key of a map is a mistake: the map never has it.
    pub(super) fn is_mistake(&self, map: &MapType, key: &str) -> bool {
        if map.fields.contains_key(key) || self.texts.contains(key) || self.asked.contains(key) {
            return false;
        }
        match map.keys {
            Keys::Open => false,
            Keys::Declared => true,
            Keys::Written => !self.asks_for_absence || nearest(map, key).is_some(),
        }
    }
}

/// The key of a map that another was probably meant to be.
pub(super) fn nearest<'a>(map: &'a MapType, key: &str) -> Option<&'a str> {
    closest_match(key, map.fields.keys().map(String::as_str))
}
