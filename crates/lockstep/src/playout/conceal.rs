//! Concealment: what is heard where nobody has the block; a fade, never a repeat, never a click.
//!
//! *Invariant*: a block is either exactly what a worker rendered or counted as made up. The
//! first block after a gap is faded in, so it is counted too.

use crate::BLOCK_FRAMES;

/// Frames of the fade from the last frame played to silence: 5 ms at 48 kHz.
const FADE_FRAMES: usize = 240;

/// The state of the fade.
#[derive(Debug)]
pub(super) struct Concealment {
    channels: usize,
    /// The last frame played before the gap.
    tail: [f32; 8],
    /// Frames of the fade that are left.
    left: usize,
    /// Whether the last block was made up for want of a real one.
    dark: bool,
}

impl Concealment {
    /// Nothing was played yet: the fade starts from silence.
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, tail: [0.0; 8], left: 0, dark: false }
    }

    /// Takes over where another has played: its last block, and whether that was made up.
    pub(super) fn recall(&mut self, block: &[f32], made_up: bool) {
        self.dark = made_up;
        self.tail[..self.channels].copy_from_slice(&block[block.len() - self.channels..]);
    }

    /// Passes a block on: untouched when it was found and the one before was real; else made up
    /// in place. Gives whether it was made up. `[audio]`
    pub(super) fn pass(&mut self, found: bool, block: &mut [f32]) -> bool {
        if found && !self.dark {
            self.tail[..self.channels].copy_from_slice(&block[block.len() - self.channels..]);
            return false;
        }
        if !self.dark {
            self.left = FADE_FRAMES;
        }
        for (frame, samples) in block.chunks_exact_mut(self.channels).enumerate() {
            self.left = self.left.saturating_sub(1);
            let falling = self.left as f32 / FADE_FRAMES as f32;
            let rising = if found { (frame + 1) as f32 / BLOCK_FRAMES as f32 } else { 0.0 };
            for (sample, tail) in samples.iter_mut().zip(&self.tail) {
                let real = if found { *sample * rising } else { 0.0 };
                *sample = real + tail * falling;
            }
        }
        self.dark = !found;
        if found {
            self.tail[..self.channels].copy_from_slice(&block[block.len() - self.channels..]);
            self.left = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Concealment;

    fn step_max(samples: &[f32]) -> f32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    /// S45: the predecessor repeated the last block for ever, a buzz.
    #[test]
    fn a_gap_fades_to_silence_without_a_repeat_or_a_click() {
        let mut concealment = Concealment::new(1);
        let mut heard = vec![];
        for block in 0..12 {
            let found = !(2..8).contains(&block);
            let mut samples = [0.8; 64];
            let made_up = concealment.pass(found, &mut samples);
            assert_eq!(made_up, (2..9).contains(&block), "block {block}");
            heard.extend_from_slice(&samples);
        }
        assert!(step_max(&heard) < 0.02, "a step of {}", step_max(&heard));
        assert!(heard[6 * 64..8 * 64].iter().all(|sample| *sample == 0.0));
        assert!(heard[9 * 64..].iter().all(|sample| *sample == 0.8));
    }
}
