//! A signal as a kernel reads it: one lane or several, moving or still.

use multiversion::multiversion;

/// Samples `[frame][lane]` from the first frame of a stretch on.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    samples: &'a [f32],
    /// Lanes of a frame: 1, 8 or 16.
    stride: usize,
    /// Samples from one frame to the next; 0 where all frames are alike.
    step: usize,
}

impl<'a> Signal<'a> {
    /// The same value in every frame and lane. `[audio]`
    #[inline]
    pub fn constant(value: &'a f32) -> Signal<'a> {
        Signal { samples: std::slice::from_ref(value), stride: 1, step: 0 }
    }

    /// A cable of `stride` samples a frame: 1, 8 or 16. `[audio]`
    #[inline]
    pub fn cable(samples: &'a [f32], stride: usize) -> Signal<'a> {
        debug_assert!(matches!(stride, 1 | 8 | 16));
        Signal { samples, stride, step: stride }
    }

    /// A cable whose frames are all like the first of `samples`. `[audio]`
    #[inline]
    pub fn still(samples: &'a [f32], stride: usize) -> Signal<'a> {
        debug_assert!(matches!(stride, 1 | 8 | 16));
        Signal { samples, stride, step: 0 }
    }

    /// The signal from `frame` on. `[audio]`
    #[inline]
    pub fn skip(self, frame: usize) -> Signal<'a> {
        Signal { samples: &self.samples[frame * self.step..], ..self }
    }

    /// Whether all frames are alike. A kernel may then do once what it does a frame otherwise,
    /// with the same bits. `[audio]`
    #[inline]
    pub fn is_still(self) -> bool {
        self.step == 0
    }

    /// Whether all lanes are alike. `[audio]`
    #[inline]
    pub fn is_mono(self) -> bool {
        self.stride == 1
    }

    /// Whether it has the same value in every frame and lane. `[audio]`
    #[inline]
    pub fn is_constant(self) -> bool {
        self.is_still() && self.is_mono()
    }

    /// The sample of lane 0. `[audio]`
    #[inline(always)]
    pub fn at(self, frame: usize) -> f32 {
        self.samples[frame * self.step]
    }

    /// The first `count` frames, where it moves and has `W` lanes: for the loops that matter most,
    /// which need not look at each frame how it lies. `[audio]`
    #[inline(always)]
    pub fn frames<const W: usize>(self, count: usize) -> Option<&'a [[f32; W]]> {
        let moves = self.step == W && self.stride == W;
        moves.then(|| self.samples.as_chunks::<W>().0.get(..count)).flatten()
    }

    /// All lanes of one frame after the other, however it lies. `[audio]`
    #[inline(always)]
    pub fn every<const W: usize>(self) -> impl Iterator<Item = [f32; W]> {
        (0..).map(move |frame| self.lanes::<W>(frame))
    }

    /// All lanes of a frame; one lane feeds all `W`. `[audio]`
    #[inline(always)]
    pub fn lanes<const W: usize>(self, frame: usize) -> [f32; W] {
        self.lanes_from::<W>(frame, 0)
    }

    /// The `W` lanes of a frame from `first` on; one lane feeds them all. `[audio]`
    #[inline(always)]
    pub fn lanes_from<const W: usize>(self, frame: usize, first: usize) -> [f32; W] {
        let from = frame * self.step + if self.stride == 1 { 0 } else { first };
        if self.stride == 1 {
            [self.samples[from]; W]
        } else {
            let mut lanes = [0.0; W];
            lanes.copy_from_slice(&self.samples[from..from + W]);
            lanes
        }
    }
}

/// Calls `$body` with the number of samples in a frame as the constant `$W`: 1, 8 or 16.
#[macro_export]
macro_rules! by_stride {
    ($stride:expr, $W:ident => $body:expr) => {
        match $stride {
            1 => {
                const $W: usize = 1;
                $body
            }
            8 => {
                const $W: usize = 8;
                $body
            }
            _ => {
                const $W: usize = 16;
                $body
            }
        }
    };
}

/// Writes the same lanes to every frame of `out`. `[audio]`
#[multiversion(targets("x86_64+avx2"))]
pub fn repeat<const W: usize>(lanes: &[f32; W], out: &mut [f32]) {
    let lanes = *lanes;
    for frame in out.as_chunks_mut::<W>().0 {
        *frame = lanes;
    }
}

/// `out[frame][lane] = left × right`, for `stride` 1, 8 or 16. `[audio]`
pub fn multiply(stride: usize, left: Signal<'_>, right: Signal<'_>, out: &mut [f32]) {
    by_stride!(stride, W => multiply_lanes::<W>(left, right, out));
}

#[multiversion(targets("x86_64+avx2"))]
fn multiply_lanes<const W: usize>(left: Signal<'_>, right: Signal<'_>, out: &mut [f32]) {
    let (out, _) = out.as_chunks_mut::<W>();
    let count = out.len();
    if let (Some(left), Some(right)) = (left.frames::<W>(count), right.frames::<W>(count)) {
        let both = left.as_flattened().iter().zip(right.as_flattened());
        for (out, (left, right)) in out.as_flattened_mut().iter_mut().zip(both) {
            *out = left * right;
        }
        return;
    }
    for (frame, lanes) in out.iter_mut().enumerate() {
        let (left, right) = (left.lanes::<W>(frame), right.lanes::<W>(frame));
        for lane in 0..W {
            lanes[lane] = left[lane] * right[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Signal, multiply};

    #[test]
    fn one_lane_feeds_all_voices() {
        let many: Vec<f32> = (0..16).map(|n| n as f32).collect();
        let mono = [2.0, 3.0];
        let mut out = [0.0; 16];
        multiply(8, Signal::cable(&many, 8), Signal::cable(&mono, 1), &mut out);
        assert_eq!(out[7], 14.0);
        assert_eq!(out[8], 24.0);
        multiply(8, Signal::cable(&many, 8).skip(1), Signal::constant(&0.5), &mut out[..8]);
        assert_eq!(out[0], 4.0);
    }

    #[test]
    fn a_still_cable_is_its_first_frame_for_ever() {
        let lanes: Vec<f32> = (0..8).map(|n| n as f32).collect();
        let still = Signal::still(&lanes, 8);
        assert_eq!(still.skip(40).lanes::<8>(20), still.lanes::<8>(0));
        assert_eq!((still.is_still(), still.is_mono(), still.is_constant()), (true, false, false));
        let mut out = [0.0; 24];
        multiply(8, still, Signal::constant(&2.0), &mut out);
        assert_eq!(out[16..], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
    }
}
