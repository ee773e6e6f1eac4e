//! The key `account` of an automation: the accounts that it works on.

use super::literal::{Literal, LiteralErrors, LiteralValue};
use crate::base::Diagnostic;

/// The account that an automation works on, or several of them.
pub(super) fn read_accounts(errors: LiteralErrors, literal: &Literal) -> Result<Vec<String>, Diagnostic> {
    const WANTED: &str = "account: \"shop\", as mpscript.toml names it, or account: [\"shop\", \"booth\"]";
    let one = std::slice::from_ref(literal);
    let entries = if let LiteralValue::Array(entries) = &literal.value { entries } else { one };
    let mut accounts = Vec::new();
    for entry in entries {
        let name = entry.as_text().ok_or_else(|| {
            errors.error_at(entry.position, "`account` is no text, nor a list of texts", WANTED)
        })?;
        if name.trim().is_empty() || name.contains(char::is_control) {
            let message = "`account` has a name that is empty or has control characters";
            return Err(errors.error_at(entry.position, message, WANTED));
        }
        if accounts.contains(&name) {
            let message = format!("the account `{name}` is there twice");
            return Err(errors.error_at(entry.position, message, "leave one of them out"));
        }
        accounts.push(name);
    }
    if accounts.is_empty() {
        let hint = "leave `account` out for the account that mpscript serve is given";
        return Err(errors.error_at(literal.position, "`account` names no account", hint));
    }
    Ok(accounts)
}
