//! Short fingerprints of texts.

use sha1::{Digest, Sha1};

/// Bytes of the SHA-1 that are kept: enough to distinguish the steps of one run.
const BYTES: usize = 8;

/// A fingerprint of `texts` in their order, in hexadecimal. Equal texts have equal fingerprints in every process and
/// version, since fingerprints are stored.
#[must_use]
pub fn fingerprint<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sha1 = Sha1::new();
    for text in texts {
        sha1.update(text.as_bytes());
        sha1.update([0]);
    }
    let mut hex = String::with_capacity(2 * BYTES);
    for byte in sha1.finalize().iter().take(BYTES) {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}
