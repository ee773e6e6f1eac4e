//! What a script itself says that its runs may do: `limits` in its literal `const automation`.

use super::program::Program;
use crate::base::{Diagnostic, read_share};
use rhai::{Dynamic, Expr, Map, Stmt};

/// The limits that a script sets itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Changes at the most.
    pub changes: Option<u64>,
    /// Failures at the most, in a thousandth of a per cent.
    pub errors: Option<u32>,
}

impl Program {
    /// The limits of `const automation = #{limits: #{changes: 50000, errors: "1%"}}`, read without running anything.
    ///
    /// # Errors
    /// When they are there and can't be read: a limit that is not heeded would be worse than none.
    pub fn own_limits(&self) -> Result<OwnLimits, Diagnostic> {
        let wrong = |message: String| {
            Err(Diagnostic::new(format!("{}: {message}", self.name))
                .hint("write limits: #{changes: 50000, errors: \"1%\"}, both or one of them"))
        };
        let Some(automation) = self.automation() else { return Ok(OwnLimits::default()) };
        let Some(limits) = automation.get("limits") else { return Ok(OwnLimits::default()) };
        let Ok(limits) = limits.as_map_ref() else { return wrong("`limits` is no map".to_owned()) };
        let mut own = OwnLimits::default();
        for (name, value) in limits.iter() {
            match name.as_str() {
                "changes" => match value.as_int().ok().and_then(|count| u64::try_from(count).ok()) {
                    Some(count) => own.changes = Some(count),
                    None => return wrong("`changes` is no whole number from 0".to_owned()),
                },
                "errors" => match value.as_immutable_string_ref().ok().and_then(|share| read_share(&share)) {
                    Some(share) => own.errors = Some(share),
                    None => return wrong("`errors` is no share like \"1%\"".to_owned()),
                },
                other => return wrong(format!("there is no limit `{other}`")),
            }
        }
        Ok(own)
    }

    /// The literal `const automation`, if there is one.
    fn automation(&self) -> Option<Map> {
        self.ast.statements().iter().find_map(|statement| match statement {
            Stmt::Var(variable, ..) if variable.0.name == "automation" => {
                literal(&variable.1)?.try_cast::<Map>()
            }
            _ => None,
        })
    }
}

/// The value of an expression that is one already.
fn literal(expression: &Expr) -> Option<Dynamic> {
    expression.get_literal_value(None)
}
