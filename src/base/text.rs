//! Small things about words and numbers that several floors show.

use sha1::{Digest, Sha1};

/// Names further apart than this share of their length are not suggested for each other.
const LEAST_LIKENESS: f64 = 0.6;

/// The candidate that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Short letters by which texts are known again.
#[must_use]
pub fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sha1 = Sha1::new();
    for text in texts {
        sha1.update(text.as_bytes());
        sha1.update([0]);
    }
    let mut hex = String::new();
    for byte in sha1.finalize().iter().take(8) {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

/// A share like `1%` in a thousandth of a per cent.
#[must_use]
pub fn read_share(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim().parse::<f64>().ok().filter(|n| (0.0..=100.0).contains(n))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100,000")]
    Some((number * 1_000.0).round() as u32)
}

/// A count with commas: `1,234,567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name_and_another_word_does_not() {
        assert_eq!(nearest("folowers", ["followers", "members"]), Some("followers"));
        assert_eq!(nearest("banana", ["followers", "members"]), None);
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
