//! Spans of time in whole milliseconds, as JSON has them: `#[serde(with = "crate::base::millis")]`.

use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

/// How many milliseconds it has, saturating.
#[must_use]
pub fn count(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Without what is less than a millisecond, so that it is the same when it is read again.
#[must_use]
pub fn whole(span: Duration) -> Duration {
    Duration::from_millis(count(span))
}

/// Writes a number of milliseconds.
///
/// # Errors
/// When the serializer fails.
pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(count(*span))
}

/// Reads a number of milliseconds.
///
/// # Errors
/// When it is no whole number from 0 on.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    struct Span(#[serde(with = "super")] Duration);

    #[test]
    fn span_is_a_number_of_milliseconds_in_json() {
        let written = serde_json::to_string(&Span(Duration::from_micros(1_604_999)));
        assert_eq!(written.expect("it has a JSON form"), "1604");
        let read: Span = serde_json::from_str("1604").expect("it decodes");
        assert_eq!(read.0, whole(Duration::from_micros(1_604_999)));
    }

    #[test]
    fn longest_span_saturates() {
        assert_eq!(count(Duration::MAX), u64::MAX);
    }
}
