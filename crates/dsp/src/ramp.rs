//! A value on its straight way to another, sample by sample.
//!
//! *Source*: S43, a "5 ms" smoothing done once a block jumped 70 % at the first edge.

use multiversion::multiversion;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The state of one smoothed value: where it is follows from how far it still has to go, so that
/// it arrives exactly, however many steps that takes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Ramp {
    // Double precision: a step of a minute-long ramp is far below what f32 can add to 440.
    step: f64,
    target: f32,
    left: u32,
}

impl Ramp {
    /// At rest at `value`. `[any]`
    pub fn at(value: f32) -> Ramp {
        Ramp { step: 0.0, target: value, left: 0 }
    }

    /// Sets out for `target`, to be there after `frames` frames; none: at once. `[audio]`
    pub fn glide_to(&mut self, target: f32, frames: u32) {
        let way = f64::from(target) - self.after(0);
        self.step = if frames == 0 { 0.0 } else { way / f64::from(frames) };
        self.target = target;
        self.left = frames;
    }

    /// Where it is. `[any]`
    pub fn value(&self) -> f32 {
        self.after(0) as f32
    }

    /// Where it is going. `[any]`
    pub fn target(&self) -> f32 {
        self.target
    }

    /// Whether it is on its way. `[any]`
    pub fn is_moving(&self) -> bool {
        self.left > 0
    }

    /// One frame on. `[audio]`
    #[inline]
    pub fn advance(&mut self) -> f32 {
        self.left = self.left.saturating_sub(1);
        self.value()
    }

    /// The next frames of it. `[audio]`
    pub fn fill(&mut self, out: &mut [f32]) {
        fill(self, out);
        self.left = self.left.saturating_sub(out.len() as u32);
    }

    /// Where it is in so many frames.
    #[inline(always)]
    fn after(&self, frames: u32) -> f64 {
        f64::from(self.target) - self.step * f64::from(self.left.saturating_sub(frames))
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn fill(ramp: &Ramp, out: &mut [f32]) {
    for (frame, out) in out.iter_mut().enumerate() {
        *out = ramp.after(frame as u32 + 1) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::Ramp;

    /// S43: smoothing runs per sample and takes the time it says.
    #[test]
    fn a_ramp_moves_evenly_and_arrives_on_time() {
        let mut ramp = Ramp::at(0.0);
        ramp.glide_to(1.0, 240);
        let mut out = [0.0; 241];
        ramp.fill(&mut out);
        for (frame, value) in out.iter().take(240).enumerate() {
            let truth = (frame + 1) as f32 / 240.0;
            assert!((value - truth).abs() < 1e-6, "{value} at {frame}");
        }
        assert_eq!((out[238] < 1.0, out[239], out[240]), (true, 1.0, 1.0));
    }

    #[test]
    fn a_ramp_of_a_minute_moves_by_less_than_f32_can_add() {
        let mut ramp = Ramp::at(440.0);
        ramp.glide_to(441.0, 2_880_000);
        for _ in 0..1_440_000 {
            ramp.advance();
        }
        assert!((ramp.value() - 440.5).abs() < 1e-4, "half way at {}", ramp.value());
    }

    #[test]
    fn a_new_target_is_approached_from_where_the_old_ramp_was() {
        let mut ramp = Ramp::at(0.0);
        ramp.glide_to(1.0, 10);
        ramp.fill(&mut [0.0; 5]);
        ramp.glide_to(0.0, 5);
        let next = ramp.advance();
        assert!((next - 0.4).abs() < 1e-6, "{next}");
        ramp.glide_to(3.0, 0);
        assert_eq!((ramp.value(), ramp.is_moving()), (3.0, false));
    }
}
