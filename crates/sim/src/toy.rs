//! A toy instrument: a few words of state that every command and every frame stirs.
//!
//! One wrong, missing or swapped command changes every sample after it, so identity of samples
//! proves identity of histories.

use segue_lockstep::{BLOCK_FRAMES, Instrument, Payload, Unfit};

const WORDS: usize = 80;

/// The toy.
#[derive(Clone, Debug)]
pub struct Toy {
    channels: usize,
    state: Vec<u64>,
}

impl Toy {
    /// A toy in its first state.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels, state: (1..=WORDS as u64).collect() }
    }

    fn stir(&mut self, at: usize, with: u64) -> u64 {
        let word = &mut self.state[at % WORDS];
        *word = (*word ^ with).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23);
        *word
    }
}

impl Instrument for Toy {
    fn apply(&mut self, payload: &Payload) {
        for (at, word) in payload.iter().enumerate() {
            self.stir(at, *word);
        }
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        crumb(0);
        let before = self.state[0] ^ self.state[1] ^ self.state[2] ^ self.state[3];
        for frame in 0..BLOCK_FRAMES {
            let bits = self.stir(frame, before);
            for channel in 0..self.channels {
                let sample = (bits >> (8 * channel)) as u16;
                out[frame * self.channels + channel] = f32::from(sample) / 65536.0 - 0.5;
            }
        }
        self.stir(0, self.state[WORDS - 1]);
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
