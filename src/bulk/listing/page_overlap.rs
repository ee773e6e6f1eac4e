//! Drops from a page what it repeats within itself, and what the page before it had.
//!
//! Pages further back are not compared: the openids of five million followers, or their hashes, would have to be kept. A
//! resumed run knows the last two openids before its checkpoint, not the whole page: an overlap that goes further back is
//! listed twice.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
};

/// Hashes of openids. They are not hashed again.
type Hashes = HashSet<u64, BuildHasherDefault<HashOfHash>>;

/// The hasher of what is a hash already.
#[derive(Default)]
struct HashOfHash(u64);

impl Hasher for HashOfHash {
    fn write(&mut self, bytes: &[u8]) {
        unreachable!("{} bytes are no hash: only u64 is hashed", bytes.len());
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The page before, as hashes of its openids: a full one takes 0.2 MB. Two openids of neighbouring pages have the same hash
/// once in 10^11 pages, and then the second one counts as missing.
#[derive(Default)]
pub(super) struct PageOverlap {
    hasher: RandomState,
    before: Hashes,
}

impl PageOverlap {
    /// Knows these openids of the page before.
    pub(super) fn after<'a>(openids: impl IntoIterator<Item = &'a str>) -> Self {
        let hasher = RandomState::new();
        let before = openids.into_iter().map(|openid| hasher.hash_one(openid)).collect();
        Self { hasher, before }
    }

    /// Drops the repetitions, and remembers the page. An empty page is not remembered.
    pub(super) fn drop_repeated(&mut self, openids: &mut Vec<String>) {
        if openids.is_empty() {
            return;
        }
        let mut page = Hashes::with_capacity_and_hasher(openids.len(), BuildHasherDefault::default());
        openids.retain(|openid| {
            let hash = self.hasher.hash_one(openid.as_str());
            page.insert(hash) && !self.before.contains(&hash)
        });
        self.before = page;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_of(overlap: &mut PageOverlap, page: &[&str]) -> Vec<String> {
        let mut openids: Vec<String> = page.iter().map(|openid| (*openid).to_owned()).collect();
        overlap.drop_repeated(&mut openids);
        openids
    }

    #[test]
    fn openid_of_the_page_before_is_dropped() {
        let mut overlap = PageOverlap::default();
        assert_eq!(new_of(&mut overlap, &["o1", "o2", "o1"]), ["o1", "o2"]);
        assert_eq!(new_of(&mut overlap, &["o2", "o3"]), ["o3"]);
        assert_eq!(new_of(&mut overlap, &["o2", "o3"]), [""; 0]);
        assert_eq!(new_of(&mut overlap, &["o3", "o4"]), ["o4"]);
    }

    #[test]
    fn empty_page_is_not_compared_with() {
        let mut overlap = PageOverlap::after(["o1"]);
        assert_eq!(new_of(&mut overlap, &[]), [""; 0]);
        assert_eq!(new_of(&mut overlap, &["o1", "o2"]), ["o2"]);
    }
}
