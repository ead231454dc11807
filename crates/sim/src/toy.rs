//! A toy instrument: a few words of state that every command and every frame stirs.
//!
//! One wrong, missing or swapped command changes every sample after it, so identity of samples
//! proves identity of histories.

use segue_lockstep::{BLOCK_FRAMES, Instrument, Payload, Unfit};

/// Words of its state.
pub(crate) const WORDS: usize = 80;

/// Parts that it renders one after the other.
pub const PARTS: u32 = 3;

/// First word of a command that is poison: `[POISON, how, part, _]`.
pub const POISON: u64 = 0x50_4f_49_53_4f_4e;

/// The word that remembers which part crashes in its next block, plus one; and those bypassed,
/// one bit each.
const ARMED: usize = WORDS - 2;
const BYPASSED: usize = WORDS - 1;

/// A word that is heard of only every so many blocks, and the one that counts them.
const ASLEEP: usize = 70;
const CLOCK: usize = 71;
const AWAKE_BLOCKS: u64 = 256;

/// How poison works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// It crashes whoever applies it.
    CrashInApply,
    /// It loops whoever applies it.
    LoopInApply,
    /// It arms a part, which crashes when it is rendered.
    CrashInRender,
    /// It arms a part, which loops when it is rendered.
    LoopInRender,
    /// It changes the state of one process silently: the one named where the part else is.
    Stain,
    /// The same where it is not heard for a while.
    QuietStain,
}

/// What a poisoned process does instead of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agony {
    /// It crashes.
    Crash,
    /// It loops.
    Loop,
}

/// The command that does this to a part.
#[must_use]
pub fn poison(how: Poison, part: u32) -> Payload {
    [POISON, how as u64, u64::from(part), 0]
}

/// What a command is poison of, if it is.
pub(crate) fn poison_of(payload: &Payload) -> Option<Poison> {
    let kinds = [
        Poison::CrashInApply,
        Poison::LoopInApply,
        Poison::CrashInRender,
        Poison::LoopInRender,
        Poison::Stain,
        Poison::QuietStain,
    ];
    kinds.into_iter().find(|how| payload[..2] == [POISON, *how as u64])
}

/// The toy.
#[derive(Clone, Debug)]
pub struct Toy {
    channels: usize,
    /// Which process this is; no part of any state.
    process: u32,
    state: Vec<u64>,
}

impl Toy {
    /// A toy in its first state.
    #[must_use]
    pub fn new(channels: usize, process: u32) -> Self {
        let mut state: Vec<u64> = (1..=WORDS as u64).collect();
        state[ARMED..].fill(0);
        Self { channels, process, state }
    }

    fn stir(&mut self, at: usize, with: u64) -> u64 {
        let at = if at < ARMED { at } else { at % ARMED };
        let word = &mut self.state[at];
        *word = (*word ^ with).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23);
        *word
    }
}

impl Instrument for Toy {
    fn apply(&mut self, payload: &Payload) {
        let is_meant = payload[2] == u64::from(self.process);
        match poison_of(payload) {
            Some(Poison::CrashInApply) => die(Agony::Crash),
            Some(Poison::LoopInApply) => die(Agony::Loop),
            Some(Poison::CrashInRender) => self.state[ARMED] = 1 << 32 | (payload[2] + 1),
            Some(Poison::LoopInRender) => self.state[ARMED] = 2 << 32 | (payload[2] + 1),
            Some(Poison::Stain) if is_meant => self.state[40] ^= 1 << 7,
            Some(Poison::QuietStain) if is_meant => self.state[ASLEEP] ^= 1 << 7,
            _ => {}
        }
        for (at, word) in payload.iter().enumerate() {
            self.stir(at, *word);
        }
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        for part in 0..PARTS {
            let bypassed = self.state[BYPASSED] >> part & 1 != 0;
            if bypassed {
                continue;
            }
            crumb(part);
            if self.state[ARMED] as u32 == part + 1 {
                die(if self.state[ARMED] >> 32 == 1 { Agony::Crash } else { Agony::Loop });
            }
            self.stir(part as usize, u64::from(part));
        }
        self.state[CLOCK] += 1;
        if self.state[CLOCK].is_multiple_of(AWAKE_BLOCKS) {
            self.stir(0, self.state[ASLEEP]);
        }
        let before = self.state[0] ^ self.state[1] ^ self.state[2] ^ self.state[3];
        for frame in 0..BLOCK_FRAMES {
            let bits = self.stir(frame, before);
            for channel in 0..self.channels {
                let sample = (bits >> (8 * channel)) as u16;
                out[frame * self.channels + channel] = f32::from(sample) / 65536.0 - 0.5;
            }
        }
        self.stir(0, self.state[ARMED - 1]);
    }

    fn bypass(&mut self, part: u32) {
        self.state[BYPASSED] |= 1_u64.checked_shl(part).unwrap_or(0);
        if self.state[ARMED] as u32 == part + 1 {
            self.state[ARMED] = 0;
        }
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        payload[0] == POISON && payload[2] == u64::from(part)
    }

    fn state(&self) -> &[u64] {
        &self.state
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        if state.len() != WORDS {
            return Err(Unfit { reason: format!("{} words instead of {WORDS}", state.len()) });
        }
        self.state.copy_from_slice(state);
        Ok(())
    }
}

/// Ends what the process does here, without a word on the screen; see [`crate::child`].
pub(crate) fn die(agony: Agony) -> ! {
    std::panic::resume_unwind(Box::new(agony))
}
