//! Text from elsewhere without the characters that control a terminal, end a line, or reorder what is read.

use std::borrow::Cow;

/// Whether a character does something instead of being shown: controls (ESC, bell, those of C1), line separators, and the
/// marks that turn the direction of writing.
#[must_use]
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is a blank, of another alphabet or of no width.
#[must_use]
pub fn is_blank(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// The text on one line: line ends and tabs become blanks, whatever else is unprintable `�`.
#[must_use]
pub fn plain_line(text: &str) -> Cow<'_, str> {
    replaced(text, |char| match char {
        '\n' | '\r' | '\t' => Some(' '),
        char if is_unprintable(char) => Some(char::REPLACEMENT_CHARACTER),
        _ => None,
    })
}

/// The text with its lines and tabs, and `�` for whatever else is unprintable.
#[must_use]
pub fn plain_text(text: &str) -> Cow<'_, str> {
    replaced(text, |char| {
        (is_unprintable(char) && !matches!(char, '\n' | '\t')).then_some(char::REPLACEMENT_CHARACTER)
    })
}

fn replaced(text: &str, replacement: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|char| replacement(char).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| replacement(char).unwrap_or(char)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_no_control_and_no_line_end() {
        let text = "甲\u{1b}]0;x\u{7}\n\u{202e}乙\u{9b}2J\t丙";
        assert_eq!(plain_line(text), "甲\u{fffd}]0;x\u{fffd} \u{fffd}乙\u{fffd}2J 丙");
    }

    #[test]
    fn text_keeps_lines_and_tabs() {
        assert_eq!(plain_text("甲\n\t乙\r\u{1b}[2J"), "甲\n\t乙\u{fffd}\u{fffd}[2J");
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(plain_line("老客户 👨‍👩‍👧"), Cow::Borrowed(_)));
    }
}
