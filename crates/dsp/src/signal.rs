//! A signal as a kernel reads it: constant, one lane, or several.

/// Samples `[frame][lane]` from the first frame of a stretch on.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    samples: &'a [f32],
    stride: usize,
}

impl<'a> Signal<'a> {
    /// The same value in every frame and lane. `[audio]`
    #[inline]
    pub fn constant(value: &'a f32) -> Signal<'a> {
        Signal { samples: std::slice::from_ref(value), stride: 0 }
    }

    /// A cable of `stride` samples a frame: 1, 8 or 16. `[audio]`
    #[inline]
    pub fn cable(samples: &'a [f32], stride: usize) -> Signal<'a> {
        debug_assert!(matches!(stride, 1 | 8 | 16));
        Signal { samples, stride }
    }

    /// The signal from `frame` on. `[audio]`
    #[inline]
    pub fn skip(self, frame: usize) -> Signal<'a> {
        Signal { samples: &self.samples[frame * self.stride..], stride: self.stride }
    }

    /// Whether it has the same value in every frame and lane. `[audio]`
    #[inline]
    pub fn is_constant(self) -> bool {
        self.stride == 0
    }

    /// Whether all lanes are alike. `[audio]`
    #[inline]
    pub fn is_mono(self) -> bool {
        self.stride <= 1
    }

    /// The sample of lane 0. `[audio]`
    #[inline(always)]
    pub fn at(self, frame: usize) -> f32 {
        self.samples[frame * self.stride]
    }

    /// All lanes of a frame; one lane feeds all `W`. `[audio]`
    #[inline(always)]
    pub fn lanes<const W: usize>(self, frame: usize) -> [f32; W] {
        if self.stride <= 1 {
            [self.samples[frame * self.stride]; W]
        } else {
            let from = frame * self.stride;
            let mut lanes = [0.0; W];
            lanes.copy_from_slice(&self.samples[from..from + W]);
            lanes
        }
    }
}

/// `out[frame][lane] = left × right`, for `stride` 1, 8 or 16. `[audio]`
pub fn multiply(stride: usize, left: Signal<'_>, right: Signal<'_>, out: &mut [f32]) {
    match stride {
        1 => multiply_lanes::<1>(left, right, out),
        8 => multiply_lanes::<8>(left, right, out),
        _ => multiply_lanes::<16>(left, right, out),
    }
}

fn multiply_lanes<const W: usize>(left: Signal<'_>, right: Signal<'_>, out: &mut [f32]) {
    let (frames, _) = out.as_chunks_mut::<W>();
    for (frame, lanes) in frames.iter_mut().enumerate() {
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
}
