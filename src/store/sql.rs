//! Statements that are put together when the program is compiled: a word of an enum comes from its declaration, so that one
//! that is renamed leaves no query behind.

/// Joins constant texts to one constant text.
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&str] = &[$($part),+];
        const BYTES: [u8; $crate::store::sql::length(PARTS)] = $crate::store::sql::joined(PARTS);
        const TEXT: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            // Texts that are joined are a text.
            Err(_) => unreachable!(),
        };
        TEXT
    }};
}
pub(super) use sql;

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
    enum Word {
        Running,
    }

    impl Word {
        const fn as_str(&self) -> &'static str {
            match self {
                Self::Running => "进行中",
            }
        }
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
