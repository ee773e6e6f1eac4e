//! Texts that look the same and are not.

use super::typed_sign::is_invisible;
use unicode_normalization::UnicodeNormalization;

/// The text as far as the eye distinguishes it: characters composed, full-width forms narrow (NFKC), without blanks and
/// what can't be seen.
#[must_use]
pub fn as_seen(text: &str) -> String {
    text.nfkc().filter(|char| !char.is_whitespace() && !is_invisible(*char)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_blanks_and_composition_are_not_seen() {
        for twin in ["VIP ", " V\u{3000}IP", "ＶＩＰ", "V\u{200b}IP", "VIP\n"] {
            assert_eq!(as_seen(twin), "VIP", "{twin:?}");
        }
        assert_eq!(as_seen("cafe\u{301}"), as_seen("caf\u{e9}"));
        assert_ne!(as_seen("vip"), as_seen("VIP"));
    }
}
