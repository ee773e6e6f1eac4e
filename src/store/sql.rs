//! Statements that are put together when the program is compiled: a word of an enum comes from its declaration, so that one
//! that is renamed leaves no query behind.

/// Joins a constant list of texts to one constant text.
macro_rules! join {
    ($parts:expr) => {{
        const PARTS: &[&str] = $parts;
        const BYTES: [u8; $crate::store::sql::length(PARTS)] = $crate::store::sql::joined(PARTS);
        const TEXT: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            // Texts that are joined are a text.
            Err(_) => unreachable!(),
        };
        TEXT
    }};
}
pub(super) use join;

/// Joins constant texts to one constant text.
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {
        $crate::store::sql::join!(&[$($part),+])
    };
}
pub(super) use sql;

/// The words of a stored enum, each after a prefix, as a list of literals of SQL.
macro_rules! words {
    ($prefix:expr, $of:ty) => {{
        const WORDS: &[$of] = <$of>::ALL;
        const LIST: [&str; 4 * WORDS.len()] = {
            let (mut list, mut at) = ([""; 4 * WORDS.len()], 0);
            while at < WORDS.len() {
                list[4 * at] = if at == 0 { "'" } else { ", '" };
                list[4 * at + 1] = $prefix;
                list[4 * at + 2] = WORDS[at].as_str();
                list[4 * at + 3] = "'";
                at += 1;
            }
            list
        };
        $crate::store::sql::join!(&LIST)
    }};
}
pub(super) use words;

/// The word of a stored enum's variant, as a literal of SQL.
macro_rules! word {
    ($variant:expr) => {
        $crate::store::sql::sql!("'", $variant.as_str(), "'")
    };
}
pub(super) use word;

pub(super) const fn length(parts: &[&str]) -> usize {
    let (mut length, mut at) = (0, 0);
    while at < parts.len() {
        length += parts[at].len();
        at += 1;
    }
    length
}

pub(super) const fn joined<const LENGTH: usize>(parts: &[&str]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (mut written, mut at) = (0, 0);
    while at < parts.len() {
        let part = parts[at].as_bytes();
        let mut byte = 0;
        while byte < part.len() {
            bytes[written] = part[byte];
            written += 1;
            byte += 1;
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[derive(Clone, Copy)]
    enum Word {
        Running,
        Done,
    }

    impl Word {
        const ALL: &[Self] = &[Self::Running, Self::Done];

        const fn as_str(self) -> &'static str {
            match self {
                Self::Running => "进行中",
                Self::Done => "完成",
            }
        }
    }

    #[test]
    fn words_of_an_enum_are_a_list_of_literals() {
        assert_eq!(words!("run:", Word), "'run:进行中', 'run:完成'");
    }

    #[test]
    fn parts_are_joined_in_their_order() {
        const COLUMN: &str = "state";
        assert_eq!(
            sql!("WHERE ", COLUMN, " = ", word!(Word::Running), " ORDER BY 1"),
            "WHERE state = '进行中' ORDER BY 1"
        );
    }
}
