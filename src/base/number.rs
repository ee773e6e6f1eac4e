//! Numbers as people read and write them: thousands separators, percentages.

/// Parses a percentage like `1%` into thousandths of a per cent.
#[must_use]
pub fn parse_percent(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim().parse::<f64>().ok().filter(|n| (0.0..=100.0).contains(n))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100,000")]
    Some((number * 1_000.0).round() as u32)
}

/// The last second of ten digits, in the year 2286.
const LAST_SECOND: u64 = 9_999_999_999;

/// A time that was given in milliseconds where Unix seconds belong, in seconds: it has more than ten digits.
#[must_use]
pub const fn millis_as_secs(time: i64) -> Option<i64> {
    if time.unsigned_abs() > LAST_SECOND { Some(time / 1_000) } else { None }
}

/// A count with commas: `1,234,567`.
#[must_use]
pub fn with_thousands(count: u64) -> String {
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
    fn counts_are_grouped_by_thousands() {
        assert_eq!(with_thousands(0), "0");
        assert_eq!(with_thousands(999), "999");
        assert_eq!(with_thousands(1_234_567), "1,234,567");
    }
}
