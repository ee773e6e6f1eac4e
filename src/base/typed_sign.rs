//! Characters that an input method writes where ASCII is meant: full-width signs, typographic quotation marks, and blanks
//! that can't be seen.

/// Signs that are not full-width forms of ASCII, with what they are typed for.
const TWINS: &[(&str, &str)] = &[
    ("“”„‟″〝〞「」『』｢｣«»", "\""),
    ("‘’‚‛′", "'"),
    ("。｡﹒", "."),
    ("、､﹐﹑", ","),
    ("﹔", ";"),
    ("﹕︰", ":"),
    ("﹖", "?"),
    ("﹗", "!"),
    ("【〔〖", "["),
    ("】〕〗", "]"),
    ("﹙", "("),
    ("﹚", ")"),
    ("﹛", "{"),
    ("﹜", "}"),
    ("《〈﹤", "<"),
    ("》〉﹥", ">"),
    ("﹦", "="),
    ("﹢", "+"),
    ("‐‑‒–—―−﹘﹣", "-"),
    ("×﹡∗", "*"),
    ("÷∕⁄", "/"),
    ("﹪", "%"),
    ("﹠", "&"),
    ("￤¦∣", "|"),
    ("﹟", "#"),
    ("﹫", "@"),
    ("￥¥﹩", "$"),
    ("￣〜∼", "~"),
    ("·´‵", "`"),
    ("≠", "!="),
    ("≤≦⩽", "<="),
    ("≥≧⩾", ">="),
    ("⇒", "=>"),
    ("…", ".."),
];

/// A character that is typed where ASCII is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedSign {
    char: char,
    twin: Twin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twin {
    /// The ASCII character of the same shape.
    Narrow(char),
    /// What the sign is typed for.
    Signs(&'static str),
    /// Looks like a space.
    Space,
    /// Can't be seen at all.
    Nothing,
}

impl TypedSign {
    /// The character as such a sign.
    #[must_use]
    pub fn new(char: char) -> Option<Self> {
        let twin = match char {
            '\u{ff01}'..='\u{ff5e}' => {
                Twin::Narrow(char::from(u8::try_from(u32::from(char) - 0xff01 + 0x21).ok()?))
            }
            '\t' | '\n' | '\x0c' | '\r' | ' '..='~' => return None,
            _ if is_invisible(char) => Twin::Nothing,
            _ if char.is_whitespace() => Twin::Space,
            _ => Twin::Signs(TWINS.iter().find(|(signs, _)| signs.contains(char))?.1),
        };
        Some(Self { char, twin })
    }

    /// What to write instead; nothing for what can't be seen.
    fn replacement(self) -> String {
        match self.twin {
            Twin::Narrow(char) => char.to_string(),
            Twin::Signs(signs) => signs.to_owned(),
            Twin::Space => " ".to_owned(),
            Twin::Nothing => String::new(),
        }
    }

    /// What the sign is, and what to write instead: ``full-width `（` (U+FF08): write `(` ``.
    #[must_use]
    pub fn describe(self) -> String {
        let Self { char, twin } = self;
        let point = format!("U+{:04X}", u32::from(char));
        match twin {
            Twin::Nothing => format!("invisible {point}{}: remove it", name(char)),
            Twin::Space => format!("invisible {point}{}: write a plain space", name(char)),
            Twin::Narrow(_) | Twin::Signs(_) => {
                // The fonts of Chinese text show these as wide as a Chinese character.
                let is_wide = matches!(char, '\u{3001}'..='\u{303f}' | '\u{ff01}'..='\u{ffe6}');
                let kind = if is_wide { "full-width" } else { "typographic" };
                let replacement = self.replacement();
                // A text is not written between these.
                let or = if replacement == "'" { ", or `\"` around a text" } else { "" };
                format!("{kind} `{char}` ({point}): write `{replacement}`{or}")
            }
        }
    }
}

/// A name or a number as it would be in ASCII, if some of its characters are such signs: `ｐrint` is `print`.
#[must_use]
pub fn in_ascii(text: &str) -> Option<String> {
    text.chars().any(|char| TypedSign::new(char).is_some()).then(|| {
        let replaced = text
            .chars()
            .map(|char| TypedSign::new(char).map_or_else(|| char.to_string(), TypedSign::replacement));
        replaced.collect()
    })
}

/// Marks of width nothing, fillers, and controls.
pub(super) fn is_invisible(char: char) -> bool {
    let is_line_end = matches!(char, '\u{85}' | '\u{2028}' | '\u{2029}');
    (char.is_control() && !is_line_end)
        || matches!(
            char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The name of the characters that are met most, in brackets.
fn name(char: char) -> &'static str {
    match char {
        '\u{a0}' => " (no-break space)",
        '\u{3000}' => " (ideographic space)",
        '\u{200b}' => " (zero-width space)",
        '\u{200c}' | '\u{200d}' => " (zero-width joiner)",
        '\u{feff}' => " (byte order mark)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(char: char) -> String {
        TypedSign::new(char).map_or_else(|| "plain".to_owned(), TypedSign::describe)
    }

    #[test]
    fn every_full_width_form_has_its_ascii_twin() {
        let wide = "（）【】｛｝［］＋－＊／＜＞％＆～＝！；，：。、｜“”？＠＃＄＾＿｀＂＼０９ａＺ";
        let narrow = "()[]{}[]+-*/<>%&~=!;,:.,|\"\"?@#$^_`\"\\09aZ";
        assert_eq!(in_ascii(wide).as_deref(), Some(narrow));
    }

    #[test]
    fn sign_is_described_with_its_code_point() {
        assert_eq!(described('（'), "full-width `（` (U+FF08): write `(`");
        assert_eq!(described('。'), "full-width `。` (U+3002): write `.`");
        assert_eq!(described('“'), "typographic `“` (U+201C): write `\"`");
        assert_eq!(described('‘'), "typographic `‘` (U+2018): write `'`, or `\"` around a text");
    }

    #[test]
    fn what_can_not_be_seen_is_described_by_its_number() {
        assert_eq!(described('\u{3000}'), "invisible U+3000 (ideographic space): write a plain space");
        assert_eq!(described('\u{a0}'), "invisible U+00A0 (no-break space): write a plain space");
        assert_eq!(described('\u{200b}'), "invisible U+200B (zero-width space): remove it");
        assert_eq!(described('\u{feff}'), "invisible U+FEFF (byte order mark): remove it");
    }

    #[test]
    fn words_and_pictures_are_no_signs() {
        for char in "展台aé九😀\t\n".chars() {
            assert_eq!(described(char), "plain", "{char:?}");
        }
        assert_eq!(in_ascii("展台 1"), None);
    }
}
