//! Oscillators: sine, saw and pulse without audible aliasing, one to sixteen voices.
//!
//! *Source*: phase in 32 bits, so that no pitch drifts; edges are rounded by the integral of the
//! cubic B-spline over two samples either side (Välimäki, Pekonen, Nam: "Perceptually informed
//! synthesis of bandlimited classical waveforms", JASA 131, 2012).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::FRAMES_MAX;
use crate::math::{clamp, exp2, max, sin_pi};
use crate::signal::Signal;

/// Most voices one oscillator has.
pub const VOICES_MAX: usize = 16;

/// Highest pitch as a part of the sample rate: just below where a wave has no shape left.
const STEP_MAX: f32 = 0.49;

/// The wave form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One partial.
    Sine,
    /// All partials, falling as 1/n; rises and then falls at once.
    Saw,
    /// Odd partials at half width; free of direct current at any.
    Square,
}

/// Where each voice is in its period, in 2⁻³² turns.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Osc {
    phase: [u32; VOICES_MAX],
}

/// What an oscillator reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Pitch, Hz.
    pub freq: Signal<'a>,
    /// High part of the square, 0 to 1.
    pub width: Signal<'a>,
    /// Cents the outermost voices lie from the pitch.
    pub spread: Signal<'a>,
    /// How many voices there are.
    pub voices: usize,
    /// Frames a second.
    pub rate: f32,
}

impl Osc {
    /// At the beginning of the wave; voices after the first are spread by the golden section, so
    /// that they never all meet. `[any]`
    pub fn new() -> Osc {
        let mut phase = [0_u32; VOICES_MAX];
        for (voice, phase) in phase.iter_mut().enumerate() {
            *phase = (voice as u32).wrapping_mul(0x9e37_79b9);
        }
        Osc { phase }
    }

    /// The next `out.len() / stride` frames, at most 64; `stride` is 1, 8 or 16. `[audio]`
    pub fn render(&mut self, shape: Shape, stride: usize, inputs: &Inputs<'_>, out: &mut [f32]) {
        match stride {
            1 => self.render_lanes::<1>(shape, inputs, out),
            8 => self.render_lanes::<8>(shape, inputs, out),
            _ => self.render_lanes::<16>(shape, inputs, out),
        }
    }

    fn render_lanes<const W: usize>(&mut self, shape: Shape, inputs: &Inputs<'_>, out: &mut [f32]) {
        let mut phases = [[0_u32; W]; FRAMES_MAX];
        let mut steps = [[0.0_f32; W]; FRAMES_MAX];
        let frames = out.len() / W;
        self.turn(inputs, &mut phases[..frames], &mut steps[..frames]);
        // From here on each sample stands alone: flat loops, vector instructions.
        let phases = phases[..frames].as_flattened();
        let steps = steps[..frames].as_flattened();
        match shape {
            Shape::Sine => {
                for (out, phase) in out.iter_mut().zip(phases) {
                    *out = sin_pi(half_turns(*phase));
                }
            }
            Shape::Saw => {
                for ((out, phase), step) in out.iter_mut().zip(phases).zip(steps) {
                    *out = saw(*phase, 1.0 / step);
                }
            }
            Shape::Square => {
                let mut widths = [[0.0_f32; W]; FRAMES_MAX];
                for (frame, widths) in widths[..frames].iter_mut().enumerate() {
                    *widths = inputs.width.lanes::<W>(frame);
                }
                let widths = widths[..frames].as_flattened();
                for (((out, phase), step), width) in
                    out.iter_mut().zip(phases).zip(steps).zip(widths)
                {
                    *out = square(*phase, 1.0 / step, *width);
                }
            }
        }
    }

    /// Writes the phase of every sample and the turns it advances by.
    fn turn<const W: usize>(
        &mut self,
        inputs: &Inputs<'_>,
        phases: &mut [[u32; W]],
        steps: &mut [[f32; W]],
    ) {
        let period = 1.0 / inputs.rate;
        let mut ratios = [1.0_f32; W];
        let moving = !inputs.spread.is_constant();
        if inputs.freq.is_constant() && !moving {
            return self.turn_evenly(inputs, phases, steps);
        }
        for (frame, (phases, steps)) in phases.iter_mut().zip(steps).enumerate() {
            if inputs.voices > 1 && (frame == 0 || moving) {
                ratios = voice_ratios(inputs.spread.lanes::<W>(frame), inputs.voices);
            }
            let freq = inputs.freq.lanes::<W>(frame);
            for lane in 0..W {
                steps[lane] = step(freq[lane], ratios[lane], period);
                phases[lane] = self.phase[lane];
                self.phase[lane] = self.phase[lane].wrapping_add(turn(steps[lane]));
            }
        }
    }

    /// The same for a pitch that stands still.
    fn turn_evenly<const W: usize>(
        &mut self,
        inputs: &Inputs<'_>,
        phases: &mut [[u32; W]],
        steps: &mut [[f32; W]],
    ) {
        let freq = inputs.freq.at(0);
        let mut ratios = [1.0_f32; W];
        if inputs.voices > 1 {
            ratios = voice_ratios(inputs.spread.lanes::<W>(0), inputs.voices);
        }
        let still = ratios.map(|ratio| step(freq, ratio, 1.0 / inputs.rate));
        let turns = still.map(turn);
        let mut now = [0_u32; W];
        now.copy_from_slice(&self.phase[..W]);
        for (phases, steps) in phases.iter_mut().zip(steps) {
            *steps = still;
            *phases = now;
            for lane in 0..W {
                now[lane] = now[lane].wrapping_add(turns[lane]);
            }
        }
        self.phase[..W].copy_from_slice(&now);
    }
}

impl Default for Osc {
    fn default() -> Osc {
        Osc::new()
    }
}

/// Turns a frame.
#[inline(always)]
fn step(freq: f32, ratio: f32, period: f32) -> f32 {
    clamp(freq * ratio * period, 1e-9, STEP_MAX)
}

/// The same in 2⁻³² turns: below half a turn, so that the conversion to i32 is exact and cheap.
#[inline(always)]
fn turn(step: f32) -> u32 {
    (step * 4_294_967_296.0) as i32 as u32
}

/// How far each voice is from the pitch: evenly from −spread to +spread cents.
fn voice_ratios<const W: usize>(spread_ct: [f32; W], voices: usize) -> [f32; W] {
    let mut ratios = [1.0; W];
    let span = 2.0 / (voices.saturating_sub(1).max(1)) as f32;
    for lane in 0..W {
        if lane < voices {
            let place = lane as f32 * span - 1.0;
            ratios[lane] = exp2(spread_ct[lane] * place * (1.0 / 1_200.0));
        }
    }
    ratios
}

/// The phase from −1 to 1; 0 at the beginning of the wave.
#[inline(always)]
fn half_turns(phase: u32) -> f32 {
    (phase as i32) as f32 * (1.0 / 2_147_483_648.0)
}

/// A saw that rises through 0 at phase 0 and falls at half a turn; `samples` a period.
#[inline(always)]
fn saw(phase: u32, samples: f32) -> f32 {
    let naive = half_turns(phase);
    let since = 0.5 * (naive + 1.0) * samples;
    let until = 0.5 * (1.0 - naive) * samples;
    naive + 2.0 * (edge(since) - edge(until))
}

/// What a rounded unit step still lacks `x` samples after it (and has too much before it).
#[inline(always)]
fn edge(x: f32) -> f32 {
    let wide = max(2.0 - x, 0.0);
    let narrow = max(1.0 - x, 0.0);
    let (wide, narrow) = (wide * wide, narrow * narrow);
    (wide * wide - 4.0 * narrow * narrow) * (1.0 / 24.0)
}

/// High for `width` of the period from phase 0 on: the difference of two saws.
#[inline(always)]
fn square(phase: u32, samples: f32, width: f32) -> f32 {
    let shift = ((width - 0.5) * 4_294_967_296.0) as i32 as u32;
    let rise = phase.wrapping_add(0x8000_0000);
    let fall = phase.wrapping_sub(shift);
    saw(fall, samples) - saw(rise, samples)
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Osc, Shape};
    use crate::signal::Signal;

    fn play(shape: Shape, freq: f32, width: f32, frames: usize) -> Vec<f32> {
        let (spread, rate) = (0.0, 48_000.0);
        let mut osc = Osc::new();
        let mut out = vec![0.0; frames];
        for piece in out.chunks_mut(64) {
            let inputs = Inputs {
                freq: Signal::constant(&freq),
                width: Signal::constant(&width),
                spread: Signal::constant(&spread),
                voices: 1,
                rate,
            };
            osc.render(shape, 1, &inputs, piece);
        }
        out
    }

    /// Amplitude of the partial at `hz`, through a Hann window.
    fn amplitude(samples: &[f32], hz: f64) -> f64 {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let window =
                0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / samples.len() as f64).cos();
            let angle = std::f64::consts::TAU * hz * n as f64 / 48_000.0;
            real += f64::from(*sample) * window * angle.cos();
            imaginary += f64::from(*sample) * window * angle.sin();
        }
        4.0 * (real * real + imaginary * imaginary).sqrt() / samples.len() as f64
    }

    #[test]
    fn ten_seconds_hold_exactly_as_many_periods_as_the_pitch_says() {
        for (shape, freq) in [(Shape::Sine, 440.0), (Shape::Saw, 97.3), (Shape::Square, 1_234.5)] {
            let heard = play(shape, freq, 0.5, 480_000);
            let rises = heard.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
            let truth = f64::from(freq) * 10.0;
            assert!((rises as f64 - truth).abs() <= 1.01, "{shape:?}: {rises} for {truth}");
        }
    }

    #[test]
    fn a_sine_is_one_partial() {
        let heard = play(Shape::Sine, 1_000.0, 0.5, 48_000);
        assert!((amplitude(&heard, 1_000.0) - 1.0).abs() < 1e-4);
        for stray in [2_000.0, 3_000.0, 5_000.0, 7_000.0] {
            assert!(amplitude(&heard, stray) < 1e-6, "at {stray}: {}", amplitude(&heard, stray));
        }
    }

    /// A saw at 5 kHz has partials at 5, 10, 15, 20 kHz; those above 24 kHz fold back to the
    /// frequencies here. Naively they are 17 to 24 dB below the first.
    #[test]
    fn a_saw_at_5_khz_keeps_its_aliases_down() {
        let heard = play(Shape::Saw, 5_000.0, 0.5, 48_000);
        let first = amplitude(&heard, 5_000.0);
        for (alias, bound_db) in
            [(18_000.0, -40.0), (13_000.0, -53.0), (8_000.0, -72.0), (3_000.0, -90.0)]
        {
            let level = 20.0 * (amplitude(&heard, alias) / first).log10();
            assert!(level < bound_db, "alias at {alias} Hz: {level:.1} dB");
        }
        let second = 20.0 * (amplitude(&heard, 10_000.0) / first).log10();
        assert!((-9.0..-6.0).contains(&second), "second partial {second:.1} dB");
    }

    #[test]
    fn a_low_saw_has_the_partials_of_the_textbook() {
        let heard = play(Shape::Saw, 100.0, 0.5, 48_000);
        for n in 1..=10 {
            let truth = 2.0 / (std::f64::consts::PI * f64::from(n));
            let level = amplitude(&heard, 100.0 * f64::from(n));
            assert!((level / truth - 1.0).abs() < 0.01, "partial {n}: {level} for {truth}");
        }
    }

    #[test]
    fn a_square_has_odd_partials_and_no_direct_current_at_any_width() {
        let heard = play(Shape::Square, 100.0, 0.5, 48_000);
        assert!(amplitude(&heard, 200.0) < 1e-4);
        assert!((amplitude(&heard, 300.0) / amplitude(&heard, 100.0) - 1.0 / 3.0).abs() < 0.01);
        for width in [0.05, 0.3, 0.95] {
            let mean = play(Shape::Square, 100.0, width, 48_000).iter().sum::<f32>() / 48_000.0;
            assert!(mean.abs() < 1e-3, "width {width}: {mean}");
            let high = play(Shape::Square, 100.0, width, 480).iter().filter(|s| **s > 0.0).count();
            assert!((high as f32 / 480.0 - width).abs() < 0.01, "width {width}: {high} of 480");
        }
    }

    #[test]
    fn a_lane_of_eight_has_the_bits_of_one_alone() {
        let (freq, width, spread) = (313.0, 0.4, 0.0);
        let inputs = Inputs {
            freq: Signal::constant(&freq),
            width: Signal::constant(&width),
            spread: Signal::constant(&spread),
            voices: 3,
            rate: 48_000.0,
        };
        for shape in [Shape::Sine, Shape::Saw, Shape::Square] {
            let (mut alone, mut among) = ([0.0; 64], [0.0; 512]);
            Osc::new().render(shape, 1, &Inputs { voices: 1, ..inputs }, &mut alone);
            Osc::new().render(shape, 8, &inputs, &mut among);
            for frame in 0..64 {
                assert_eq!(alone[frame].to_bits(), among[frame * 8].to_bits());
            }
        }
    }

    #[test]
    fn voices_lie_evenly_around_the_pitch() {
        let (freq, width, spread) = (1_000.0, 0.5, 1_200.0);
        let inputs = Inputs {
            freq: Signal::constant(&freq),
            width: Signal::constant(&width),
            spread: Signal::constant(&spread),
            voices: 3,
            rate: 48_000.0,
        };
        let mut osc = Osc::new();
        let mut lanes = vec![Vec::new(); 3];
        for _ in 0..750 {
            let mut out = [0.0; 512];
            osc.render(Shape::Sine, 8, &inputs, &mut out);
            for frame in out.chunks(8) {
                (0..3).for_each(|lane| lanes[lane].push(frame[lane]));
            }
        }
        for (lane, hz) in [(0, 500.0), (1, 1_000.0), (2, 2_000.0)] {
            assert!(amplitude(&lanes[lane], hz) > 0.99, "voice {lane} is not at {hz} Hz");
        }
    }
}
