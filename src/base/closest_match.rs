//! Suggests the name that a misspelt one was probably meant to be.

use super::typed_sign::in_ascii;

/// Candidates less similar than this (normalized Damerau-Levenshtein, 1 is equal) are not suggested.
const MIN_SIMILARITY: f64 = 0.6;

/// The candidate that `name` was probably meant to be; full-width letters count as their ASCII twins.
pub fn closest_match<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ascii = in_ascii(name);
    let name = ascii.as_deref().unwrap_or(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
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
}
