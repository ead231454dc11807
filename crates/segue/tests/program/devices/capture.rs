//! What came out at the far end, and where on the timeline it is from.
//!
//! Verified: that whatever is not silence is a stretch of the replay, sample for sample, at the
//! 32 bits the recorder keeps; where each stretch begins and ends. Not verified: that the
//! recorder was there from the first frame on, and how long silence lasted.

use std::ops::Range;

/// One frame of both channels, as 32-bit integers: full scale is 2³¹.
type Frame = [i32; 2];

/// So many frames of a patch that never repeats are found in one place only.
const SURE: usize = 64;

/// Recorded frames.
pub(crate) struct Capture(Vec<Frame>);

/// Frames in a row that are the replay's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where in the capture.
    pub(crate) heard: Range<usize>,
    /// Where on the timeline it begins.
    pub(crate) from: usize,
}

impl Stretch {
    /// The frame of the timeline after its last.
    pub(crate) fn end(&self) -> usize {
        self.from + self.heard.len()
    }
}

impl Capture {
    /// Of a file of 32-bit integers, two channels.
    pub(crate) fn of_integers(wav: &[u8]) -> Self {
        Self(frames(wav, i32::from_le_bytes))
    }

    /// Of a file of 32-bit floats, two channels, turned into integers as libsndfile does.
    pub(crate) fn of_floats(wav: &[u8]) -> Self {
        Self(frames(wav, |bytes| quantised(f32::from_le_bytes(bytes))))
    }

    /// One side alone, on both.
    pub(crate) fn side(&self, side: usize) -> Self {
        Self(self.0.iter().map(|frame| [frame[side]; 2]).collect())
    }

    /// How many frames.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The stretches of `replay` in this, with nothing but silence between them; panics, and
    /// says where, if there is anything else.
    pub(crate) fn stretches_of(&self, replay: &Self) -> Vec<Stretch> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = self.next_sound(at) {
            let stretch = self.stretch_at(start, at, replay);
            at = stretch.heard.end;
            found.push(stretch);
        }
        found
    }

    /// The one stretch there is.
    pub(crate) fn one_stretch_of(&self, replay: &Self) -> Stretch {
        let found = self.stretches_of(replay);
        assert_eq!(found.len(), 1, "one stretch without a hole: {found:?}");
        found[0].clone()
    }

    /// The largest step from one frame to the next within a range, full scale being 1.
    pub(crate) fn largest_step(&self, range: Range<usize>) -> f64 {
        let steps = self.0[range].windows(2).flat_map(|pair| {
            let [from, to] = [pair[0], pair[1]].map(|frame| frame.map(f64::from));
            [(to[0] - from[0]).abs(), (to[1] - from[1]).abs()]
        });
        steps.fold(0.0, f64::max) / 2_147_483_648.0
    }

    /// The first frame from `at` on with something in it.
    pub(crate) fn next_sound(&self, at: usize) -> Option<usize> {
        self.0[at..].iter().position(|frame| *frame != [0, 0]).map(|distance| at + distance)
    }

    fn stretch_at(&self, start: usize, floor: usize, replay: &Self) -> Stretch {
        let probe = &self.0[start..(start + SURE).min(self.len())];
        let mut places = replay.0.windows(probe.len()).enumerate();
        let place = places.find(|(_, window)| *window == probe).map(|(place, _)| place);
        let Some(place) = place else {
            panic!("frame {start} of {} is not of the replay: {:?}", self.len(), &probe[..4])
        };
        let alike = |(ours, theirs): &(&Frame, &Frame)| ours == theirs;
        let ahead = self.0[start..].iter().zip(&replay.0[place..]).take_while(alike).count();
        let before = self.0[floor..start].iter().rev().zip(replay.0[..place].iter().rev());
        let before = before.take_while(alike).count();
        // After the last frame of the replay there is silence, and silence is no part of it.
        Stretch { heard: start - before..start + ahead, from: place - before }
    }
}

fn quantised(sample: f32) -> i32 {
    // Twice as precise as needed: the product is exact, and one rounding is left.
    (f64::from(sample) * 2_147_483_648.0).round_ties_even() as i32
}

/// The frames of a WAV file; the sizes in its header may not have been written.
fn frames(wav: &[u8], sample: impl Fn([u8; 4]) -> i32) -> Vec<Frame> {
    let (chunks, _) = wav.get(12..).unwrap_or_default().as_chunks::<1>();
    assert!(wav.starts_with(b"RIFF") && !chunks.is_empty(), "a WAV file");
    let mut at = 12;
    while wav.get(at..at + 4).is_some_and(|name| name != b"data") {
        let size: [u8; 4] = wav[at + 4..at + 8].try_into().expect("four bytes");
        at += 8 + u32::from_le_bytes(size) as usize;
    }
    let (samples, _) = wav[at + 8..].as_chunks::<4>();
    let (frames, _) = samples.as_chunks::<2>();
    frames.iter().map(|[left, right]| [sample(*left), sample(*right)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Capture, Stretch};

    fn replay() -> Capture {
        Capture((1..=1000).map(|frame| [frame, -frame]).collect())
    }

    fn capture(parts: &[(usize, std::ops::Range<i32>)]) -> Capture {
        let mut frames = Vec::new();
        for (silence, sound) in parts {
            frames.resize(frames.len() + silence, [0, 0]);
            frames.extend(sound.clone().map(|frame| [frame, -frame]));
        }
        Capture(frames)
    }

    #[test]
    fn stretches_are_found_where_they_are() {
        let found = capture(&[(100, 301..501), (70, 551..801), (5, 1..1)]).stretches_of(&replay());
        let first = Stretch { heard: 100..300, from: 300 };
        assert_eq!(found, [first, Stretch { heard: 370..620, from: 550 }]);
    }

    #[test]
    fn a_frame_too_few_or_too_many_is_another_stretch() {
        let found = capture(&[(0, 1..500), (0, 501..700)]).stretches_of(&replay());
        assert_eq!(found.len(), 2);
    }

    #[test]
    #[should_panic(expected = "frame 300 of 400 is not of the replay")]
    fn what_is_not_of_the_replay_is_told_with_its_place() {
        capture(&[(100, 301..501), (0, 2001..2101)]).stretches_of(&replay());
    }
}
