//! Repairs answers that are almost JSON.
//!
//! The platform passes nicknames and remarks through as they were typed: raw control characters,
//! bytes that are not UTF-8, halves of surrogate pairs. `serde_json` refuses all three, so an
//! answer that does not parse is repaired and parsed again.

/// The same text as valid JSON: inside strings, raw control characters are escaped, bytes that
/// are not UTF-8 and lone surrogates become U+FFFD. Everything else stays.
#[must_use]
pub fn repair(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut repaired = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    let mut in_string = false;
    while let Some(char) = rest.next() {
        match char {
            '"' => {
                in_string = !in_string;
                repaired.push(char);
            }
            '\\' if in_string => rest = escape(rest, &mut repaired),
            '\0'..='\x1f' if in_string => {
                repaired.push_str("\\u");
                repaired.push_str(&format!("{:04x}", u32::from(char)));
            }
            _ => repaired.push(char),
        }
    }
    repaired.into_bytes()
}

/// Copies the escape after a backslash that was just read, repaired if necessary.
fn escape<'a>(mut rest: std::str::Chars<'a>, repaired: &mut String) -> std::str::Chars<'a> {
    let whole = rest.clone();
    match rest.next() {
        Some('u') => {}
        Some(char @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
            repaired.push('\\');
            repaired.push(char);
            return rest;
        }
        // A backslash that starts no escape is literal.
        _ => {
            repaired.push_str("\\\\");
            return whole;
        }
    }
    let Some((unit, after)) = unit(rest.as_str()) else {
        repaired.push_str("\\\\");
        return whole;
    };
    let low =
        || after.strip_prefix("\\u").and_then(self::unit).filter(|(low, _)| (0xDC00..0xE000).contains(low));
    match unit {
        0xD800..0xDC00 => {
            if let Some((low, after)) = low() {
                repaired.push_str(&format!("\\u{unit:04x}\\u{low:04x}"));
                after.chars()
            } else {
                repaired.push('\u{FFFD}');
                after.chars()
            }
        }
        0xDC00..0xE000 => {
            repaired.push('\u{FFFD}');
            after.chars()
        }
        _ => {
            repaired.push_str(&format!("\\u{unit:04x}"));
            after.chars()
        }
    }
}

/// The four hexadecimal digits that `text` begins with, and what follows them.
fn unit(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_slice, json};

    fn repaired(bytes: &[u8]) -> Value {
        from_slice(&repair(bytes)).unwrap()
    }

    #[test]
    fn invalid_characters_in_json_are_repaired() {
        assert_eq!(repaired(b"{\"a\":\"x\x01\ny\"}"), json!({"a": "x\u{1}\ny"}));
        assert_eq!(repaired(b"{\"a\":\"\xe5\xb9\xbf\xe4\"}"), json!({"a": "广\u{FFFD}"}));
        assert_eq!(repaired(br#"{"a":"\ud83d!"}"#), json!({"a": "\u{FFFD}!"}));
        assert_eq!(repaired(br#"{"a":"\ude00"}"#), json!({"a": "\u{FFFD}"}));
        assert_eq!(repaired(br#"{"a":"\q"}"#), json!({"a": "\\q"}));
    }

    #[test]
    fn valid_json_is_unchanged_by_repair() {
        let good = br#"{"a\"b":"\ud83d\ude00 \/ \n \u0041 \\","c":[1, 2],
            "d":null}"#;
        assert_eq!(repaired(good), from_slice::<Value>(good).unwrap());
    }
}
