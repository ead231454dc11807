//! The checker: reads what was played and holds it against what should have been.
//!
//! *Verified*: every block once and in order (continuity); every block that was not counted as
//! made up equals the reference bit for bit (identity); every command that was sent is in the
//! log once, in order, at most 64 a block, those aside that are counted as damaged on their way
//! (order). *Not verified*: timing of processes, for
//! here time is made up.

use std::panic::{self, AssertUnwindSafe};

use segue_lockstep::memory::inbox::Sent;
use segue_lockstep::memory::orders::{Found, Kind, Orders};
use segue_lockstep::memory::tap::{self, Tap};
use segue_lockstep::memory::verdicts::Verdict;
use segue_lockstep::{COMMANDS_PER_BLOCK, Instrument, Payload, Shape};

use crate::Config;
use crate::player::Player;
use crate::toy::Agony;

/// The most commands in a row that may have been damaged.
const DAMAGED_MAX: usize = 8;

/// Poison that nobody was spared ends the test.
fn unharmed(block: u64, act: impl FnOnce()) {
    let Err(agony) = panic::catch_unwind(AssertUnwindSafe(act)) else { return };
    match agony.downcast_ref::<Agony>() {
        Some(agony) => panic!("block {block} kills ({agony:?}), and no verdict has said so"),
        None => panic::resume_unwind(agony),
    }
}

/// What the checker has seen.
#[derive(Debug)]
pub struct Checker {
    reference: Player,
    cursor: u64,
    next: u64,
    taken: usize,
    sent: Vec<Sent>,
    heard: Vec<f32>,
    wanted: Vec<f32>,
    /// Blocks that were made up.
    pub concealed: u64,
    /// Blocks that were wrong, and how many may be: those heard until a divergence is judged.
    pub wrong: u64,
    /// See `wrong`; none unless a test says so.
    pub tolerated: u64,
    /// Commands that a verdict forbade.
    pub skipped: u64,
    /// Commands that were damaged before they were taken.
    pub damaged: u64,
}

impl Checker {
    /// A checker at block 0.
    #[must_use]
    pub fn new(shape: &Shape, config: &Config) -> Self {
        let samples = vec![0.0; shape.block_samples()];
        Self {
            reference: Player::new(config, shape.channels, 0),
            cursor: 0,
            next: 0,
            taken: 0,
            sent: Vec::new(),
            heard: samples.clone(),
            wanted: samples,
            concealed: 0,
            wrong: 0,
            tolerated: 0,
            skipped: 0,
            damaged: 0,
        }
    }

    /// A command was sent.
    pub fn sent(&mut self, sent: Sent) {
        self.sent.push(sent);
    }

    /// How many blocks were heard.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.next
    }

    /// Whether every command that was sent has been heard of.
    #[must_use]
    pub fn is_all_applied(&self) -> bool {
        self.taken == self.sent.len() && self.damaged == 0
    }

    /// The same where so many were damaged on their way.
    #[must_use]
    pub fn is_all_applied_but(&self, damaged: u64) -> bool {
        let left = (self.sent.len() - self.taken) as u64;
        self.damaged + left == damaged
    }

    /// How many commands were found in the log.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.taken as u64 - self.damaged
    }

    /// Follows what was played since the last time. Panics where it is wrong.
    /// What nobody has published yet may still be judged: it waits.
    pub fn follow(&mut self, orders: &Orders, tap: &mut Tap, published: u64) {
        while self.next < tap.head().min(published) {
            let block = self.next;
            let found = tap.read(block, &mut self.heard);
            let tap::Found::Block(played) = found else {
                panic!("block {block} was played and is not in the tap: {found:?}")
            };
            self.apply_commands(block, orders);
            let (reference, wanted) = (&mut self.reference, &mut self.wanted);
            unharmed(block, || reference.render(wanted, &mut |_| {}));
            if played.concealed {
                self.concealed += 1;
            } else {
                let same =
                    self.heard.iter().zip(&self.wanted).all(|(a, b)| a.to_bits() == b.to_bits());
                self.wrong += u64::from(!same);
                let borne = same || self.wrong <= self.tolerated;
                assert!(borne, "block {block} is not what should have been played");
            }
            self.next += 1;
        }
    }

    /// The next command sent is this one; or those before it were damaged on their way, which
    /// is counted.
    fn expect(&mut self, origin: u32, payload: &Payload) {
        let is_it = |sent: &Sent| sent.origin == origin && sent.payload == *payload;
        let rest = &self.sent[self.taken..];
        let damaged = rest.iter().take(DAMAGED_MAX).position(is_it);
        let damaged = damaged.expect("a command is not next");
        self.damaged += damaged as u64;
        self.taken += damaged + 1;
    }

    fn apply_commands(&mut self, block: u64, orders: &Orders) {
        let mut count = 0;
        let verdicts = orders.verdicts();
        let bypassed: Vec<u32> = verdicts
            .all()
            .filter_map(|verdict| match verdict {
                Verdict::Bypass { part, block: from } if from == block => Some(part),
                _ => None,
            })
            .collect();
        while let Found::Record(record) = orders.record(self.cursor) {
            if record.block > block {
                break;
            }
            assert_eq!(record.block, block, "record {} comes out of order", self.cursor);
            let number = self.cursor;
            self.cursor += 1;
            if record.kind != Kind::Command {
                continue;
            }
            let skipped = verdicts.is_quarantined(number)
                || bypassed.iter().any(|part| self.reference.is_for(&record.payload, *part));
            if skipped {
                self.skipped += 1;
            } else {
                unharmed(block, || self.reference.apply(&record.payload));
            }
            if record.origin != 0 {
                self.expect(record.origin, &record.payload);
                count += 1;
            }
        }
        // Last, as the worker does: a part counts in what renders this block.
        bypassed.iter().for_each(|part| self.reference.bypass(*part));
        assert!(count <= COMMANDS_PER_BLOCK, "{count} commands in block {block}");
    }
}
