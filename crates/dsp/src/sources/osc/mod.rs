//! Oscillators: sine, triangle, saw and pulse without audible aliasing, one to sixteen voices.
//!
//! *Source*: phase in 32 bits, so that no pitch drifts; edges are rounded by what [`edge`] says
//! they lack. All shapes but a sine that is not synced come [`edge::DELAY`] frames late.
//!
//! [`edge`]: crate::sources::edge
//! [`edge::DELAY`]: crate::sources::edge::DELAY

mod edged;
mod steady;
mod wave;
mod way;

use multiversion::multiversion;

use self::edged::edged;
use self::steady::steady;
pub(crate) use self::wave::{fold, half_turns};
use self::wave::{value, width_turns};
use crate::FRAMES_MAX;
use crate::math::{self, are_zero, clamp, exp2, sin_pi};
use crate::signal::Signal;
use crate::sources::edge::{DELAY, TAPS};

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
    /// High for `width` of the period; odd partials at half width; free of direct current at any.
    Square,
    /// Odd partials, falling as 1/n².
    Triangle,
}

/// Rows of whole numbers an oscillator remembers.
pub const TURNING_ROWS: usize = 4;

/// Rows of samples an oscillator remembers.
pub const WAVE_ROWS: usize = 3 + TAPS + DELAY;

/// What an oscillator of `W` lanes remembers: plain words, to be kept anywhere.
pub struct Osc<'a, const W: usize> {
    /// Phase and last turn in 2⁻³² turns, where the pulse was, state of the drift.
    pub turning: &'a mut [[u32; W]; TURNING_ROWS],
    /// Drift and its slope, the last sync sample, what the frames under way lack, and the last
    /// frames of the wave as it is before that.
    pub wave: &'a mut [[f32; W]; WAVE_ROWS],
}

const PHASE: usize = 0;
const TURN: usize = 1;
const HIGH: usize = 2;
const CHANCE: usize = 3;

/// From here on it does not say where the pulse was, low (0) or high (1), but what was played.
const NO_PULSE: u32 = 2;

/// Nothing with edges, so that nothing is under way.
const NO_EDGES: u32 = NO_PULSE + 3;

/// What stands where the pulse would, after a shape that is none.
fn mark(shape: Shape) -> u32 {
    match shape {
        Shape::Saw | Shape::Square => NO_PULSE,
        Shape::Triangle => NO_PULSE + 1,
        Shape::Sine => NO_PULSE + 2,
    }
}

/// The shape whose last frames are under way.
fn under_way(high: u32) -> Option<Shape> {
    if high < NO_PULSE {
        return Some(Shape::Square);
    }
    [Shape::Saw, Shape::Triangle, Shape::Sine].into_iter().find(|shape| mark(*shape) == high)
}

const DRIFT: usize = 0;
const SLOPE: usize = 1;
const SYNC: usize = 2;
const TAIL: usize = 3;
const PLAIN: usize = TAIL + TAPS;

/// Blocks from one turn of the drift to the next: about a third of a second at 48 kHz.
const DRIFT_BLOCKS: u32 = 256;

/// What an oscillator reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Pitch, Hz.
    pub freq: Signal<'a>,
    /// High part of the pulse, 0 to 1.
    pub width: Signal<'a>,
    /// Cents the outermost voices lie from the pitch.
    pub spread: Signal<'a>,
    /// Cents by which each voice wanders.
    pub drift: Signal<'a>,
    /// Begins the wave anew where it rises through 0.
    pub sync: Option<Signal<'a>>,
    /// How many voices there are.
    pub voices: usize,
    /// Frames a second.
    pub rate: f32,
}

impl<const W: usize> Osc<'_, W> {
    /// At the beginning of the wave; voices after the first are spread by the golden section, so
    /// that they never all meet. `seed` says how they drift. `[any]`
    pub fn reset(&mut self, seed: u64) {
        *self.wave = [[0.0; W]; WAVE_ROWS];
        *self.turning = [[0; W]; TURNING_ROWS];
        for lane in 0..W {
            self.turning[PHASE][lane] = (lane as u32).wrapping_mul(0x9e37_79b9);
            let seed = (seed >> 32) as u32 ^ seed as u32;
            self.turning[CHANCE][lane] = (seed ^ self.turning[PHASE][lane]) & !(DRIFT_BLOCKS - 1);
        }
        self.turning[HIGH] = [NO_EDGES; W];
    }

    /// One block on in the drift, which moves at the ends of blocks only. `[audio]`
    pub fn end_block(&mut self) {
        for lane in 0..W {
            // The low bits count blocks, the high ones are the state of the chance.
            let chance = &mut self.turning[CHANCE][lane];
            if chance.is_multiple_of(DRIFT_BLOCKS) {
                *chance = chance.wrapping_mul(0x915f_77f5).wrapping_add(0x6a09_e600);
                *chance &= !(DRIFT_BLOCKS - 1);
                let goal = half_turns(*chance);
                self.wave[SLOPE][lane] =
                    (goal - self.wave[DRIFT][lane]) * (1.0 / DRIFT_BLOCKS as f32);
            }
            *chance = chance.wrapping_add(1);
            self.wave[DRIFT][lane] += self.wave[SLOPE][lane];
        }
    }

    /// The next `out.len() / W` frames, at most 64. `[audio]`
    pub fn render(&mut self, shape: Shape, inputs: &Inputs<'_>, out: &mut [f32]) {
        let (frames, _) = out.as_chunks_mut::<W>();
        let now = (shape != Shape::Sine || inputs.sync.is_some()).then_some(shape);
        if under_way(self.turning[HIGH][0]) != now {
            self.take_up(now, inputs);
        }
        if now.is_none() {
            sine(self.turning, self.wave, inputs, frames);
        } else if matches!(shape, Shape::Saw | Shape::Triangle) && inputs.is_steady() {
            if shape == Shape::Saw {
                steady::<W, false>(self.turning, self.wave, inputs, frames);
            } else {
                steady::<W, true>(self.turning, self.wave, inputs, frames);
            }
        } else {
            edged(self.turning, self.wave, shape, inputs, frames);
        }
    }
}

impl<const W: usize> Osc<'_, W> {
    /// Another shape from here on. What comes late would be the last frames of the shape before,
    /// so they are made up as if this one had always been played; nothing was before the first.
    fn take_up(&mut self, shape: Option<Shape>, inputs: &Inputs<'_>) {
        self.turning[HIGH] = [NO_EDGES; W];
        self.wave[TAIL..].fill([0.0; W]);
        let Some(shape) = shape else { return };
        let width = inputs.width.lanes::<W>(0);
        for (row, ago) in self.wave[PLAIN..].iter_mut().zip((1..=DELAY as u32).rev()) {
            for lane in 0..W {
                let gone = self.turning[TURN][lane].wrapping_mul(ago);
                let phase = self.turning[PHASE][lane].wrapping_sub(gone);
                let high = u32::from(phase < width_turns(width[lane]));
                if gone != 0 {
                    row[lane] = value(shape, phase, width[lane], high);
                }
            }
        }
    }
}

impl Inputs<'_> {
    /// Whether every voice turns evenly, and nothing begins it anew.
    fn is_steady(&self) -> bool {
        let still = self.freq.is_still() && self.spread.is_still() && self.drift.is_still();
        still && self.sync.is_none()
    }
}

type Turning<const W: usize> = [[u32; W]; TURNING_ROWS];
type Wave<const W: usize> = [[f32; W]; WAVE_ROWS];

/// The turns of each frame: worked out once where nothing moves.
struct Turns<'a, const W: usize> {
    inputs: &'a Inputs<'a>,
    drift: [f32; W],
    ratios: [f32; W],
    turns: [u32; W],
    /// Ratios, and turns, have to be found for each frame anew.
    moving: (bool, bool),
}

impl<'a, const W: usize> Turns<'a, W> {
    #[inline(always)]
    fn new(inputs: &'a Inputs<'a>, wave: &Wave<W>) -> Turns<'a, W> {
        let bends = !(inputs.spread.is_still() && inputs.drift.is_still());
        let moving = (bends, bends || !inputs.freq.is_still());
        let mut turns =
            Turns { inputs, drift: wave[DRIFT], ratios: [1.0; W], turns: [0; W], moving };
        turns.ratios = turns.ratios(0);
        turns.turns = turns.find(0);
        turns
    }

    #[inline(always)]
    fn at(&mut self, frame: usize) -> [u32; W] {
        if self.moving.0 {
            self.ratios = self.ratios(frame);
        }
        if self.moving.1 {
            self.turns = self.find(frame);
        }
        self.turns
    }

    #[inline(always)]
    fn find(&self, frame: usize) -> [u32; W] {
        let period = 1.0 / self.inputs.rate;
        let freq = self.inputs.freq.lanes::<W>(frame);
        let mut turns = [0; W];
        for lane in 0..W {
            let step = clamp(freq[lane] * self.ratios[lane] * period, 1e-9, STEP_MAX);
            turns[lane] = math::turns(step);
        }
        turns
    }

    /// How far each voice is from the pitch: evenly from −spread to +spread, and where it drifts.
    #[inline(always)]
    fn ratios(&self, frame: usize) -> [f32; W] {
        let (spread, drift) = (self.inputs.spread.lanes::<W>(frame), self.inputs.drift);
        let drift = drift.lanes::<W>(frame);
        let mut ratios = [1.0; W];
        let mut bits = [0; W];
        for lane in 0..W {
            bits[lane] = (spread[lane].to_bits() | drift[lane].to_bits()) << 1;
        }
        if are_zero(&bits) {
            return ratios;
        }
        let voices = self.inputs.voices;
        let span = if voices > 1 { 2.0 / (voices - 1) as f32 } else { 0.0 };
        let first = if voices > 1 { -1.0 } else { 0.0 };
        for lane in 0..W {
            let cents =
                spread[lane] * (lane as f32 * span + first) + drift[lane] * self.drift[lane];
            ratios[lane] = exp2(cents * (1.0 / 1_200.0));
        }
        ratios
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn sine<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    inputs: &Inputs<'_>,
    out: &mut [[f32; W]],
) {
    let mut phases = [[0_u32; W]; FRAMES_MAX];
    let phases = &mut phases[..out.len()];
    turn(turning, wave, inputs, phases);
    // From here on each sample stands alone: a flat loop, vector instructions.
    for (out, phase) in out.as_flattened_mut().iter_mut().zip(phases.as_flattened()) {
        *out = sin_pi(half_turns(*phase));
    }
}

/// Writes the phase of every sample, and goes on.
#[inline(always)]
fn turn<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    inputs: &Inputs<'_>,
    phases: &mut [[u32; W]],
) {
    let mut turns = Turns::new(inputs, wave);
    let (mut phase, mut last) = (turning[PHASE], turns.turns);
    for (frame, phases) in phases.iter_mut().enumerate() {
        *phases = phase;
        if turns.moving.1 {
            last = turns.at(frame);
        }
        for lane in 0..W {
            phase[lane] = phase[lane].wrapping_add(last[lane]);
        }
    }
    turning[PHASE] = phase;
    turning[TURN] = last;
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Osc, Shape, TURNING_ROWS, WAVE_ROWS};
    use crate::signal::Signal;

    /// An oscillator and its words.
    struct Kept<const W: usize>([[u32; W]; TURNING_ROWS], [[f32; W]; WAVE_ROWS]);

    impl<const W: usize> Kept<W> {
        fn new() -> Kept<W> {
            let mut kept = Kept([[0; W]; TURNING_ROWS], [[0.0; W]; WAVE_ROWS]);
            kept.osc().reset(0);
            kept
        }

        fn osc(&mut self) -> Osc<'_, W> {
            Osc { turning: &mut self.0, wave: &mut self.1 }
        }
    }

    const SHAPES: [Shape; 4] = [Shape::Sine, Shape::Saw, Shape::Square, Shape::Triangle];

    fn inputs<'a>(freq: Signal<'a>, width: &'a f32, voices: usize) -> Inputs<'a> {
        let none = Signal::constant(&0.0);
        Inputs {
            freq,
            width: Signal::constant(width),
            spread: none,
            drift: none,
            sync: None,
            voices,
            rate: 48_000.0,
        }
    }

    fn play(shape: Shape, freq: f32, width: f32, frames: usize) -> Vec<f32> {
        let mut kept = Kept::<1>::new();
        let mut out = vec![0.0; frames];
        for piece in out.chunks_mut(64) {
            kept.osc().render(shape, &inputs(Signal::constant(&freq), &width, 1), piece);
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
    /// frequencies here. Naively they are 14 to 26 dB below the first.
    #[test]
    fn the_aliases_of_a_saw_at_5_khz_lie_70_db_below_it() {
        let heard = &play(Shape::Saw, 5_000.0, 0.5, 96_000)[48_000..];
        let level = |hz| 20.0 * (amplitude(heard, hz) / amplitude(heard, 5_000.0)).log10();
        for alias in (5..40).map(|n| f64::from(n) * 5_000.0) {
            let folded = (alias - (alias / 48_000.0).round() * 48_000.0).abs();
            assert!(level(folded) < -70.0, "alias at {folded} Hz: {:.1} dB", level(folded));
        }
        for (partial, truth) in [(10_000.0, -6.0), (15_000.0, -9.5), (20_000.0, -13.9)] {
            assert!((level(partial) - truth).abs() < 0.2, "{partial}: {:.2}", level(partial));
        }
    }

    #[test]
    fn no_shape_has_an_alias_above_70_db_at_any_width() {
        for (shape, width) in [(Shape::Square, 0.5), (Shape::Square, 0.13), (Shape::Triangle, 0.5)]
        {
            let heard = &play(shape, 5_000.0, width, 96_000)[48_000..];
            let first = amplitude(heard, 5_000.0);
            for alias in [23_000.0, 18_000.0, 13_000.0, 8_000.0, 3_000.0, 2_000.0, 7_000.0] {
                let level = 20.0 * (amplitude(heard, alias) / first).log10();
                // A narrow pulse has a weaker first partial to be measured by.
                let bound = if width < 0.5 { -62.0 } else { -70.0 };
                assert!(level < bound, "{shape:?} {width}: {alias} Hz at {level:.1} dB");
            }
        }
    }

    #[test]
    fn the_tuning_is_within_a_tenth_of_a_cent() {
        for (shape, freq) in [(Shape::Saw, 27.5), (Shape::Sine, 440.0), (Shape::Square, 3_951.07)] {
            let heard = play(shape, freq, 0.5, 480_000);
            let rises: Vec<f64> = (1..heard.len())
                .filter(|at| heard[at - 1] < 0.0 && heard[*at] >= 0.0)
                .map(|at| at as f64 - f64::from(heard[at] / (heard[at] - heard[at - 1])))
                .collect();
            let (first, last) = (rises[2], rises[rises.len() - 1]);
            let hz = (rises.len() - 3) as f64 * 48_000.0 / (last - first);
            let cents = 1_200.0 * (hz / f64::from(freq)).log2();
            assert!(cents.abs() < 0.1, "{shape:?}: {hz} for {freq}, {cents} cents");
        }
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
        let freq = 3_013.0;
        let inputs = inputs(Signal::constant(&freq), &0.4, 1);
        for shape in SHAPES {
            let (mut alone, mut among) = (Kept::<1>::new(), Kept::<8>::new());
            for _ in 0..9 {
                let (mut one, mut many) = ([0.0; 64], [0.0; 512]);
                alone.osc().render(shape, &inputs, &mut one);
                among.osc().render(shape, &inputs, &mut many);
                for frame in 0..64 {
                    assert_eq!(one[frame].to_bits(), many[frame * 8].to_bits());
                }
            }
        }
    }

    /// A pitch that stands still is worked out once; one that is said each frame, each frame.
    #[test]
    fn a_still_pitch_and_a_cable_that_never_moves_have_the_same_bits() {
        let (still, moving) = ([777.0; 8], [777.0; 8 * 64]);
        for shape in SHAPES {
            let (mut one, mut other) = (Kept::<8>::new(), Kept::<8>::new());
            for _ in 0..9 {
                let (mut heard, mut again) = ([0.0; 512], [0.0; 512]);
                let signal = Signal::still(&still, 8);
                one.osc().render(shape, &inputs(signal, &0.3, 8), &mut heard);
                let signal = Signal::cable(&moving, 8);
                other.osc().render(shape, &inputs(signal, &0.3, 8), &mut again);
                assert_eq!(heard.map(f32::to_bits), again.map(f32::to_bits), "{shape:?}");
            }
        }
    }

    #[test]
    fn voices_lie_evenly_around_the_pitch() {
        let (freq, spread) = (1_000.0, 1_200.0);
        let mut inputs = inputs(Signal::constant(&freq), &0.5, 3);
        inputs.spread = Signal::constant(&spread);
        let mut kept = Kept::<8>::new();
        let mut lanes = vec![Vec::new(); 3];
        for _ in 0..750 {
            let mut out = [0.0; 512];
            kept.osc().render(Shape::Sine, &inputs, &mut out);
            for frame in out.chunks(8) {
                (0..3).for_each(|lane| lanes[lane].push(frame[lane]));
            }
        }
        for (lane, hz) in [(0, 500.0), (1, 1_000.0), (2, 2_000.0)] {
            assert!(amplitude(&lanes[lane], hz) > 0.99, "voice {lane} is not at {hz} Hz");
        }
    }

    #[test]
    fn a_synced_saw_has_the_period_of_its_master() {
        let (freq, master) = (1_370.0, 480.0);
        let mut kept = (Kept::<1>::new(), Kept::<1>::new());
        let mut heard = Vec::new();
        for _ in 0..750 {
            let (mut lead, mut out) = ([0.0; 64], [0.0; 64]);
            let leader = inputs(Signal::constant(&master), &0.5, 1);
            kept.0.osc().render(Shape::Sine, &leader, &mut lead);
            let mut follower = inputs(Signal::constant(&freq), &0.5, 1);
            follower.sync = Some(Signal::cable(&lead, 1));
            kept.1.osc().render(Shape::Saw, &follower, &mut out);
            heard.extend(out);
        }
        for frame in 4_800..47_000 {
            let (now, later) = (heard[frame], heard[frame + 100]);
            assert!((now - later).abs() < 2e-3, "frame {frame}: {now} and {later}");
        }
        assert!(heard.iter().all(|sample| sample.abs() < 1.3));
    }

    #[test]
    fn drift_stays_within_its_cents_and_differs_from_voice_to_voice() {
        let mut kept = Kept::<8>::new();
        kept.osc().reset(77);
        let mut seen = [(0.0_f32, 0.0_f32); 8];
        for _ in 0..20_000 {
            kept.osc().end_block();
            for (lane, (low, high)) in seen.iter_mut().enumerate() {
                let drift = kept.1[super::DRIFT][lane];
                (*low, *high) = (low.min(drift), high.max(drift));
            }
        }
        for (low, high) in seen {
            assert!((-1.001..-0.5).contains(&low) && (0.5..1.001).contains(&high), "{low} {high}");
        }
        assert!(seen[0] != seen[1]);
    }
}
