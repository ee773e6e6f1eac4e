//! Suggests the name that a misspelt one was probably meant to be.

use super::typed_sign::in_ascii;

/// Candidates less similar than this (normalized Damerau-Levenshtein, 1 is equal) are not suggested.
const MIN_SIMILARITY: f64 = 0.6;

/// Longer names are not compared: time and memory grow with the product of two lengths.
const MAX_CHARS: usize = 100;

/// The candidate that `name` was probably meant to be; full-width letters count as their ASCII twins.
pub fn closest_match<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ascii = in_ascii(name);
    let name = ascii.as_deref().unwrap_or(name);
    let length = name.chars().count();
    if length > MAX_CHARS {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| is_of_like_length(length, candidate.chars().count()))
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Whether names of these lengths can be similar enough: each character that one has more is a difference.
const fn is_of_like_length(one: usize, other: usize) -> bool {
    let (short, long) = if one < other { (one, other) } else { (other, one) };
    short * 10 >= long * 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typo_finds_its_name_and_another_word_does_not() {
        assert_eq!(closest_match("folowers", ["followers", "members"]), Some("followers"));
        assert_eq!(closest_match("ｆｏｌｌｏｗｅｒｓ", ["followers", "members"]), Some("followers"));
        assert_eq!(closest_match("banana", ["followers", "members"]), None);
    }

    #[test]
    fn very_long_name_is_compared_with_nothing() {
        let long = "关".repeat(MAX_CHARS + 1);
        assert_eq!(closest_match(&long, [long.as_str()]), None);
    }

    #[test]
    fn name_with_two_fifths_more_characters_is_still_found() {
        assert_eq!(closest_match("tagss__", ["tags"]), None);
        assert_eq!(closest_match("untag", ["tag"]), Some("tag"));
    }
}
