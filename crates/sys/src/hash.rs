//! One hash for blocks, records and checkpoints: XXH3, 64 bits, over little-endian words.
//!
//! *Source*: Yann Collet, xxHash specification, XXH3. The journal stores these values, so the
//! function may never change without a new journal format.

use twox_hash::XxHash3_64;
use zerocopy::IntoBytes;

/// Hash of `words` under `seed`; the same on every machine.
///
/// The seed keys an entry to its number and guest, so that bytes which are right but belong
/// elsewhere do not pass. `[any]`
#[must_use]
pub fn words(seed: u64, words: &[u64]) -> u64 {
    if cfg!(target_endian = "little") {
        return XxHash3_64::oneshot_with_seed(seed, words.as_bytes());
    }
    let mut hasher = XxHash3_64::with_seed(seed);
    for word in words {
        std::hash::Hasher::write(&mut hasher, &word.to_le_bytes());
    }
    std::hash::Hasher::finish(&hasher)
}

/// Hash of bytes under `seed`. `[any]`
#[must_use]
pub fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

#[cfg(test)]
mod tests {
    use super::{bytes, words};

    #[test]
    fn words_hash_as_their_little_endian_bytes() {
        assert_eq!(words(7, &[1, 2]), bytes(7, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]));
        assert_ne!(words(7, &[1, 2]), words(8, &[1, 2]));
        assert_ne!(words(7, &[1, 2]), words(7, &[2, 1]));
    }
}
