//! Openids that need no memory: a follower's number, scrambled so that it looks like the
//! platform's and can be read back.

use crate::api::user::rules::is_openid;

/// 28 characters: `o`, five that an account's openids share, 22 of the follower's own.
const LENGTH: usize = 28;
const SHARED: usize = 6;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes and reads the openids of one account.
#[derive(Clone, Debug)]
pub(crate) struct Openids {
    key: u64,
    shared: String,
}

impl Openids {
    pub(crate) fn new(seed: u64) -> Self {
        let key = scramble(seed ^ 0x6f70_656e_6964);
        let mut shared = String::from("o");
        push_characters(&mut shared, u128::from(key), SHARED - 1);
        Self { key, shared }
    }

    /// The openid of the follower with this number.
    pub(crate) fn openid(&self, number: u32) -> String {
        let own = scramble(u64::from(number) ^ self.key);
        let proof = scramble(own.wrapping_add(self.key));
        let mut openid = String::with_capacity(LENGTH);
        openid.push_str(&self.shared);
        push_characters(&mut openid, u128::from(own), 11);
        push_characters(&mut openid, u128::from(proof), 11);
        openid
    }

    /// The number of the follower with this openid, or why there is none.
    pub(crate) fn number(&self, openid: &str) -> Result<u32, NoFollower> {
        if !is_openid(openid) {
            return Err(NoFollower::Malformed);
        }
        let own = openid.as_bytes()[SHARED..SHARED + 11].iter().rev().fold(0_u128, |own, byte| {
            let digit = ALPHABET.iter().position(|letter| letter == byte).unwrap_or_default();
            own << 6 | digit as u128
        });
        u64::try_from(own)
            .ok()
            .and_then(|own| u32::try_from(unscramble(own) ^ self.key).ok())
            .filter(|number| self.openid(*number) == openid)
            .ok_or(NoFollower::Foreign)
    }
}

/// Why an openid has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFollower {
    /// It is not of an openid's form.
    Malformed,
    /// It belongs to another account, or to no user at all.
    Foreign,
}

/// Appends `count` characters that hold `bits`, the lowest first.
pub(crate) fn push_characters(text: &mut String, mut bits: u128, count: usize) {
    for _ in 0..count {
        text.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

const FIRST: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND: u64 = 0x94d0_49bb_1331_11eb;

/// The finalizer of splitmix64: a one-to-one map of 64-bit numbers.
pub(crate) const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(FIRST);
    z = (z ^ (z >> 27)).wrapping_mul(SECOND);
    z ^ (z >> 31)
}

const fn unscramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(inverse(SECOND));
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(inverse(FIRST));
    z ^ (z >> 30) ^ (z >> 60)
}

/// The number that undoes a multiplication by `odd` (Newton's iteration doubles the right bits).
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openid_resolves_to_its_follower_only() {
        let openids = Openids::new(1);
        for number in [0, 1, 2, 9_999, 4_999_999, u32::MAX] {
            let openid = openids.openid(number);
            assert!(is_openid(&openid), "{openid}");
            assert_eq!(openids.number(&openid), Ok(number));
        }
        let mut other = openids.openid(7);
        let last = if other.pop() == Some('A') { 'B' } else { 'A' };
        other.push(last);
        assert_eq!(openids.number(&other), Err(NoFollower::Foreign));
        assert_eq!(openids.number(&Openids::new(2).openid(7)), Err(NoFollower::Foreign));
        assert_eq!(openids.number("bad"), Err(NoFollower::Malformed));
        assert_eq!(openids.number(&format!("{}\r", openids.openid(7))), Err(NoFollower::Malformed));
    }
}
