//! Numbers as people read and write them: thousands separators, percentages.

/// Parses a percentage like `1%` into thousandths of a per cent.
#[must_use]
pub fn parse_percent(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim().parse::<f64>().ok().filter(|n| (0.0..=100.0).contains(n))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100,000")]
    Some((number * 1_000.0).round() as u32)
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
