//! The plans: compiled patches by number, written by control, checked by whoever reads them.
//!
//! *Layout*: a ring of four; an entry is `[length in bytes] [bytes…]`.

use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

const NEWEST: usize = 0;
const RING: usize = 8;
const DEPTH: usize = 4;
const ENTRY_WORDS: usize = 1 + PLAN_BYTES_MAX / 8;

/// The longest plan, in bytes.
pub const PLAN_BYTES_MAX: usize = 256 * 1024;

/// A plan that is too long for its region.
#[derive(Debug, thiserror::Error)]
#[error("the compiled patch takes {bytes} bytes; there is room for {PLAN_BYTES_MAX}")]
pub struct TooLong {
    /// What it takes.
    pub bytes: usize,
}

/// The region of plans.
#[derive(Clone, Debug)]
pub struct Plans {
    region: Region,
    ring: Ring<Region>,
}

impl Plans {
    /// Words of the region.
    #[must_use]
    pub const fn words() -> usize {
        RING + Ring::<Region>::words_for(DEPTH, ENTRY_WORDS)
    }

    /// The plans within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region) -> Option<Self> {
        (region.len() >= Self::words())
            .then(|| Self { ring: Ring::new(region.clone(), RING, DEPTH, ENTRY_WORDS), region })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Stores plan `number`, 0 being the first. `[control]`
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, number: u64, bytes: &[u8]) -> Result<(), TooLong> {
        if bytes.len() > PLAN_BYTES_MAX {
            return Err(TooLong { bytes: bytes.len() });
        }
        let mut words = vec![0_u64; ENTRY_WORDS];
        words[0] = bytes.len() as u64;
        for (chunk, word) in bytes.chunks(8).zip(words[1..].iter_mut()) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_le_bytes(eight);
        }
        self.ring.write(number, 0, &words);
        self.region.store(NEWEST, number + 1, Release);
        Ok(())
    }

    /// The newest plan's number, if there is one. `[control]`
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.region.load(NEWEST, Acquire).checked_sub(1)
    }

    /// Plan `number`, if it is there and whole. `[control]`
    #[must_use]
    pub fn read(&self, number: u64) -> Option<Vec<u8>> {
        let mut words = vec![0_u64; ENTRY_WORDS];
        let Entry::Whole { .. } = self.ring.read(number, &mut words) else { return None };
        let length = usize::try_from(words[0]).ok().filter(|length| *length <= PLAN_BYTES_MAX)?;
        let mut bytes: Vec<u8> = words[1..].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use segue_sys::Region;

    use super::{PLAN_BYTES_MAX, Plans};

    #[test]
    fn a_plan_comes_back_byte_for_byte_and_one_too_long_is_refused() {
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        assert_eq!(plans.newest(), None);
        plans.write(0, b"seventeen bytes!!").unwrap();
        assert_eq!(plans.read(0).unwrap(), b"seventeen bytes!!");
        assert_eq!(plans.newest(), Some(0));
        assert_eq!(plans.read(1), None);
        assert!(plans.write(1, &vec![0; PLAN_BYTES_MAX + 1]).is_err());
    }
}
