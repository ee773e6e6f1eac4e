//! The spelling of a tag's name that a script gives to a tag. The platform takes blanks and control characters that no one
//! sees, so that two tags look the same.

use crate::{
    base::{is_blank, is_unprintable},
    script::host::error::{ScriptError, ScriptResult},
};

/// Refuses a name with blanks at its ends or control characters; one of blanks only is left to the platform's rule.
pub(crate) fn check_spelling(name: &str) -> ScriptResult<()> {
    let trimmed = name.trim_matches(is_blank);
    let problem = match name.chars().find(|char| is_unprintable(*char)) {
        _ if trimmed.is_empty() => return Ok(()),
        Some(control) => format!("has the control character U+{:04X} in it", u32::from(control)),
        None if trimmed != name => "has a blank at its end or beginning".to_owned(),
        None => return Ok(()),
    };
    let shown: String = trimmed.chars().filter(|char| !is_unprintable(*char)).collect();
    Err(ScriptError::usage(format!("the name of the tag, {name:?}, {problem}"), format!("write {shown:?}"))
        .raise())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_as_it_is_seen_is_accepted() {
        for name in ["VIP", "老 客户", "❤️", "👨‍👩‍👧", "QR 98765", "ＶＩＰ", " ", ""] {
            assert!(check_spelling(name).is_ok(), "{name:?}");
        }
    }
}
