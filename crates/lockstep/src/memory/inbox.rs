//! The inbox: commands on their way from control to playout, and what control says of itself.
//!
//! *Layout*: `[bell] [head] [beat] [tap cursor] [log cursor] [counters…] … memo ring, command
//! ring`; a command is `[origin, more] [payload]`. *Invariant*: the control process of the day
//! is the only writer; entries below `head` were shown whole bundles at a time, so playout
//! never sees half of one.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

use crate::Payload;

const BELL: usize = 0;
const HEAD: usize = 1;
const BEAT: usize = 2;
const TAP_CURSOR: usize = 3;
const LOG_CURSOR: usize = 4;
const MEMO: usize = 5;
const READY: usize = 6;
const WAITING: usize = 7;
const COUNTS: usize = 16;
const COUNTS_LEN: usize = 16;
const MEMO_RING: usize = COUNTS + COUNTS_LEN;
const MEMO_DEPTH: usize = 2;
const MEMO_WORDS: usize = 1 + MEMO_BYTES_MAX / 8;
const RING: usize = MEMO_RING + Ring::<Region>::words_for(MEMO_DEPTH, MEMO_WORDS);
const ENTRY_WORDS: usize = 5;

/// Commands that can be on their way at once.
pub const INBOX_DEPTH: usize = 8192;

/// The longest memo, in bytes.
pub const MEMO_BYTES_MAX: usize = 32 * 1024;

/// What control counts; it survives control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Refused with an answer, or without where there was no address.
    Refused,
    /// Lost before they were read (the kernel's own count), or with a control in which they waited.
    Dropped,
    /// Sets of a parameter replaced by a newer one while there was no room.
    Coalesced,
    /// Datagrams and messages read.
    Received,
    /// Gaps in a recording or the journal.
    Gaps,
}

/// One command on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who asked, as control numbers its senders.
    pub origin: u32,
    /// How many follow that belong to the same bundle.
    pub more: u8,
    /// The command.
    pub payload: Payload,
}

/// The inbox region.
#[derive(Clone, Debug)]
pub struct Inbox {
    region: Region,
    ring: Ring<Region>,
    memo: Ring<Region>,
}

impl Inbox {
    /// Words of the region.
    #[must_use]
    pub const fn words() -> usize {
        RING + Ring::<Region>::words_for(INBOX_DEPTH, ENTRY_WORDS)
    }

    /// The inbox within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region) -> Option<Self> {
        if region.len() < Self::words() {
            return None;
        }
        let memo = Ring::new(region.clone(), MEMO_RING, MEMO_DEPTH, MEMO_WORDS);
        let ring = Ring::new(region.clone(), RING, INBOX_DEPTH, ENTRY_WORDS);
        Some(Self { region, ring, memo })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Rung at every beat and every bundle. `[any]`
    #[must_use]
    pub fn bell(&self) -> &AtomicU32 {
        self.region.bell(BELL)
    }

    /// Commands below this number may be taken. `[any]`
    #[must_use]
    pub fn head(&self) -> u64 {
        self.region.load(HEAD, Acquire)
    }

    /// How many more commands fit while playout has taken those below `taken`. `[control]`
    #[must_use]
    pub fn room(&self, taken: u64) -> usize {
        INBOX_DEPTH.saturating_sub((self.next(taken) - taken) as usize)
    }

    /// The number of the next command; `taken` where the head says more than can be under way, for
    /// then it is damaged. `[any]`
    #[must_use]
    pub fn next(&self, taken: u64) -> u64 {
        let head = self.head();
        let sound = taken..=taken.saturating_add(INBOX_DEPTH as u64);
        if sound.contains(&head) { head } else { taken }
    }

    /// Sends a bundle of at most 64 commands as a whole; gives the number below which
    /// [`super::orders::Orders::taken`] must rise until all of them are in the log, or none
    /// when there is no room. `[control]`
    #[must_use]
    pub fn send(&self, taken: u64, origin: u32, bundle: &[Payload]) -> Option<u64> {
        let fits = bundle.len() <= crate::COMMANDS_PER_BLOCK && self.room(taken) >= bundle.len();
        if !fits {
            return None;
        }
        let head = self.next(taken);
        for (at, payload) in bundle.iter().enumerate() {
            let more = (bundle.len() - 1 - at) as u64;
            let [a, b, c, d] = *payload;
            self.ring.write(head + at as u64, 0, &[u64::from(origin) << 32 | more, a, b, c, d]);
        }
        self.region.store(HEAD, head + bundle.len() as u64, Release);
        self.bell().fetch_add(1, Release);
        Some(head + bundle.len() as u64)
    }

    /// The command with this number, below [`Inbox::head`]; none if it is damaged, for its
    /// writer is not trusted. `[audio]`
    #[must_use]
    pub fn take(&self, number: u64) -> Option<Sent> {
        let mut words = [0; ENTRY_WORDS];
        let Entry::Whole { .. } = self.ring.read(number, &mut words) else { return None };
        let [head, a, b, c, d] = words;
        Some(Sent { origin: (head >> 32) as u32, more: head as u8, payload: [a, b, c, d] })
    }

    /// Control lives: rises with every turn of its loop. `[any]`
    #[must_use]
    pub fn beat(&self) -> u64 {
        self.region.load(BEAT, Acquire)
    }

    /// Says that control lives. `[control]`
    pub fn set_beat(&self, beat: u64) {
        self.region.store(BEAT, beat, Release);
        self.bell().fetch_add(1, Release);
    }

    /// Whether control of this generation has compiled the patch and listens. `[any]`
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.region.load(READY, Acquire)
    }

    /// Control of this generation is ready. `[control]`
    pub fn set_ready(&self, generation: u64) {
        self.region.store(READY, generation, Release);
        self.bell().fetch_add(1, Release);
    }

    /// Commands that wait in control because there is no room here; they are lost with it.
    /// `[any]`
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.region.load(WAITING, Acquire)
    }

    /// Says how many wait. `[control]`
    pub fn set_waiting(&self, commands: u64) {
        self.region.store(WAITING, commands, Release);
    }

    /// Played blocks below this were written to where they belong. `[any]`
    #[must_use]
    pub fn tap_cursor(&self) -> u64 {
        self.region.load(TAP_CURSOR, Acquire)
    }

    /// Says how far the tap was followed; also when nothing records. `[control]`
    pub fn set_tap_cursor(&self, block: u64) {
        self.region.store(TAP_CURSOR, block, Release);
    }

    /// Records below this are in the journal. `[any]`
    #[must_use]
    pub fn log_cursor(&self) -> u64 {
        self.region.load(LOG_CURSOR, Acquire)
    }

    /// Says how far the log was followed; also when there is no journal. `[control]`
    pub fn set_log_cursor(&self, number: u64) {
        self.region.store(LOG_CURSOR, number, Release);
    }

    /// What control has counted. `[any]`
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.region.load(COUNTS + count as usize, Acquire)
    }

    /// Counts `more`. One thread only. `[control]`
    pub fn add(&self, count: Count, more: u64) {
        let at = COUNTS + count as usize;
        self.region.store(at, self.region.load(at, Acquire) + more, Release);
    }

    /// Leaves a memo for status and for the next control; false when it is too long.
    /// `[control]`
    #[must_use]
    pub fn write_memo(&self, bytes: &[u8]) -> bool {
        if bytes.len() > MEMO_BYTES_MAX {
            return false;
        }
        let mut words = vec![0_u64; MEMO_WORDS];
        words[0] = bytes.len() as u64;
        for (at, byte) in bytes.iter().enumerate() {
            words[1 + at / 8] |= u64::from(*byte) << (8 * (at % 8));
        }
        let number = self.region.load(MEMO, Acquire);
        self.memo.write(number, 0, &words);
        self.region.store(MEMO, number + 1, Release);
        true
    }

    /// The newest memo that is whole. `[control]`
    #[must_use]
    pub fn memo(&self) -> Option<Vec<u8>> {
        let newest = self.region.load(MEMO, Acquire);
        let mut words = vec![0_u64; MEMO_WORDS];
        let candidates = [newest.checked_sub(1), newest.checked_sub(2)];
        let _found = candidates
            .into_iter()
            .flatten()
            .find(|number| matches!(self.memo.read(*number, &mut words), Entry::Whole { .. }))?;
        let length = usize::try_from(words[0]).ok().filter(|length| *length <= MEMO_BYTES_MAX)?;
        Some((0..length).map(|at| (words[1 + at / 8] >> (8 * (at % 8))) as u8).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Release;

    use segue_sys::{Region, Words};

    use super::{INBOX_DEPTH, Inbox, Sent};

    fn inbox() -> Inbox {
        Inbox::new(Region::heap(Inbox::words())).unwrap()
    }

    #[test]
    fn a_bundle_is_seen_as_a_whole_and_in_order() {
        let inbox = inbox();
        assert_eq!(inbox.send(0, 5, &[[1; 4], [2; 4]]), Some(2));
        assert_eq!(inbox.take(0), Some(Sent { origin: 5, more: 1, payload: [1; 4] }));
        assert_eq!(inbox.take(1), Some(Sent { origin: 5, more: 0, payload: [2; 4] }));
        assert_eq!(inbox.take(2), None);
    }

    #[test]
    fn a_full_inbox_refuses_and_overwrites_nothing() {
        let inbox = inbox();
        for _ in 0..INBOX_DEPTH / 64 {
            assert!(inbox.send(0, 1, &[[9; 4]; 64]).is_some());
        }
        assert_eq!(inbox.send(0, 1, &[[8; 4]]), None);
        assert_eq!(inbox.send(1, 1, &[[8; 4]]), Some(INBOX_DEPTH as u64 + 1));
    }

    #[test]
    fn a_damaged_head_is_mended_by_whoever_sends_next() {
        let inbox = inbox();
        assert_eq!(inbox.send(0, 1, &[[9; 4]; 3]), Some(3));
        for wild in [1 << 40, 1, u64::MAX] {
            inbox.region.store(super::HEAD, wild, Release);
            assert_eq!(inbox.room(3), INBOX_DEPTH);
            assert_eq!(inbox.send(3, 1, &[[8; 4]]), Some(4));
        }
    }

    #[test]
    fn a_memo_survives_its_writer_and_a_torn_newer_one() {
        let inbox = inbox();
        assert_eq!(inbox.memo(), None);
        assert!(inbox.write_memo(b"first"));
        assert!(inbox.write_memo(b"second"));
        assert_eq!(inbox.memo().unwrap(), b"second");
        inbox.memo.write_step(1, 0, &[0; super::MEMO_WORDS], 0);
        assert_eq!(inbox.memo().unwrap(), b"first");
    }
}
