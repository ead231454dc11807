//! Oscillators: sine, triangle, saw and pulse without audible aliasing, one to sixteen voices.
//!
//! *Source*: phase in 32 bits, so that no pitch drifts; edges are rounded by what [`edge`] says
//! they lack. All shapes but a sine that is not synced come [`edge::DELAY`] frames late.
//!
//! [`edge`]: crate::sources::edge
//! [`edge::DELAY`]: crate::sources::edge::DELAY

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::math::{self, clamp, exp2, sin_pi};
use crate::signal::Signal;
use crate::sources::edge::{self, DELAY, TAPS};

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

/// Where the pulse was: low (0), high (1), or no pulse was played.
const NO_PULSE: u32 = 2;

/// Nor anything else with edges, so that nothing is under way.
const NO_EDGES: u32 = 3;

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
        if shape == Shape::Sine && inputs.sync.is_none() {
            if self.turning[HIGH] != [NO_EDGES; W] {
                self.turning[HIGH] = [NO_EDGES; W];
                self.wave[TAIL..].fill([0.0; W]);
            }
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
        if spread == [0.0; W] && drift == [0.0; W] {
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

/// What lies between the frames of a stretch, and what comes of it.
struct Stretch<const W: usize> {
    /// The wave before its edges are rounded, the last frames of the stretch before in front.
    plain: [[f32; W]; DELAY + FRAMES_MAX],
    /// What it lacks, from the first frame to come out on.
    lacks: [[f32; W]; FRAMES_MAX + TAPS],
}

/// A saw or triangle that turns evenly: where its edges are is known beforehand. The same bits as
/// [`edged`] has.
#[multiversion(targets("x86_64+avx2"))]
fn steady<const W: usize, const TRIANGLE: bool>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    inputs: &Inputs<'_>,
    out: &mut [[f32; W]],
) {
    let frames = out.len();
    let turns = Turns::new(inputs, wave).turns;
    let mut lacks = [[0.0; W]; FRAMES_MAX + TAPS];
    lacks[..TAPS].copy_from_slice(&wave[TAIL..PLAIN]);
    let shape = if TRIANGLE { Shape::Triangle } else { Shape::Saw };
    let edges = near::<W, TRIANGLE>(&turning[PHASE], &turning[TURN], &turns, frames as u32);
    if edges != [0; W] {
        for lane in (0..W).filter(|lane| edges[*lane] != 0) {
            let voice = Voice { phase: turning[PHASE][lane], turn: turns[lane], lane };
            voice.edges(shape, turning[TURN][lane], frames, &mut lacks);
        }
    }
    let before = frames.min(DELAY);
    for (frame, out) in out[..before].iter_mut().enumerate() {
        for lane in 0..W {
            out[lane] = wave[PLAIN + frame][lane] + lacks[frame][lane];
        }
    }
    wave[PLAIN..].copy_within(before.., 0);
    let mut later = Later {
        out: &mut out[before..],
        lacks: &lacks[before..],
        plain: &mut wave[PLAIN + DELAY - before..],
    };
    // As many lanes at once as make one vector.
    match W {
        16 => {
            go_on::<W, 8, TRIANGLE>(&mut turning[PHASE], &turns, &mut later, 0);
            go_on::<W, 8, TRIANGLE>(&mut turning[PHASE], &turns, &mut later, 8);
        }
        _ => go_on::<W, W, TRIANGLE>(&mut turning[PHASE], &turns, &mut later, 0),
    }
    wave[TAIL..PLAIN].copy_from_slice(&lacks[frames..frames + TAPS]);
    turning[TURN] = turns;
    turning[HIGH] = [NO_PULSE; W];
}

/// Whether a voice may have an edge in so many frames (at most 64); `last` is what it turned by to
/// come here.
#[inline(always)]
fn near<const W: usize, const TRIANGLE: bool>(
    phase: &[u32; W],
    last: &[u32; W],
    turns: &[u32; W],
    frames: u32,
) -> [u32; W] {
    let mut edges = [0; W];
    for lane in 0..W {
        let beyond = beyond::<TRIANGLE>(phase[lane]);
        let left = if TRIANGLE { HALF } else { 0_u32 }.wrapping_sub(beyond).wrapping_sub(1);
        // In units of 128, rounded towards too early, so that 64 turns are no overflow.
        let comes = (left >> 7) <= ((turns[lane] >> 7) + 1) * frames;
        edges[lane] = u32::from(beyond < last[lane]) | u32::from(comes);
    }
    edges
}

/// How far the phase is behind the last edge: of a saw once a turn, of a triangle twice.
#[inline(always)]
fn beyond<const TRIANGLE: bool>(phase: u32) -> u32 {
    if TRIANGLE { corner(phase) >> 1 } else { phase.wrapping_add(HALF) }
}

/// What comes of the phases from here on: what comes out, with what it lacks, and what comes out
/// later.
struct Later<'a, const W: usize> {
    out: &'a mut [[f32; W]],
    lacks: &'a [[f32; W]],
    plain: &'a mut [[f32; W]],
}

/// `N` voices from `first` on through what comes out with what it lacks, and then through what
/// comes out later.
#[inline(always)]
fn go_on<const W: usize, const N: usize, const TRIANGLE: bool>(
    phases: &mut [u32; W],
    turns: &[u32; W],
    later: &mut Later<'_, W>,
    first: usize,
) {
    let lanes = first..first + N;
    let (mut phase, mut turn) = ([0; N], [0; N]);
    phase.copy_from_slice(&phases[lanes.clone()]);
    turn.copy_from_slice(&turns[lanes.clone()]);
    let mut next = || {
        let mut row = [0.0; N];
        for lane in 0..N {
            row[lane] = if TRIANGLE { fold(phase[lane]) } else { half_turns(phase[lane]) };
            phase[lane] = phase[lane].wrapping_add(turn[lane]);
        }
        row
    };
    for (out, lacks) in later.out.iter_mut().zip(later.lacks) {
        let mut row = next();
        for lane in 0..N {
            row[lane] += lacks[first + lane];
        }
        out[lanes.clone()].copy_from_slice(&row);
    }
    for plain in later.plain.iter_mut() {
        plain[lanes.clone()].copy_from_slice(&next());
    }
    phases[lanes].copy_from_slice(&phase);
}

/// One voice that turns evenly.
struct Voice {
    phase: u32,
    turn: u32,
    lane: usize,
}

impl Voice {
    /// Rounds all edges of the next frames; `last` is what it turned by to come here.
    #[inline(always)]
    fn edges<const W: usize>(
        &self,
        shape: Shape,
        last: u32,
        frames: usize,
        lacks: &mut [[f32; W]],
    ) {
        // A saw has an edge a turn, a triangle has a corner each half.
        let period = if shape == Shape::Triangle { HALF } else { 0 };
        let way = |phase, last| Way { phase, last, shift: 0 };
        way(self.phase, last).round(shape, (0, 0), lacks, self.lane);
        let mut frame = 0;
        let mut phase = self.phase;
        loop {
            let beyond = if period == 0 { phase.wrapping_add(HALF) } else { corner(phase) >> 1 };
            // Frames until the next edge is behind us; at the edge itself a whole period is left.
            let left = period.wrapping_sub(beyond);
            let steps =
                if left == 0 { u32::MAX / self.turn + 1 } else { (left - 1) / self.turn + 1 };
            frame += steps as usize;
            if frame >= frames {
                return;
            }
            phase = phase.wrapping_add(self.turn.wrapping_mul(steps));
            way(phase, self.turn).round(shape, (0, 0), &mut lacks[frame..], self.lane);
        }
    }
}

/// Any shape with edges. What is lacking is summed by itself, in the order of the frames, and
/// added at the end: so a cut changes no bit.
#[multiversion(targets("x86_64+avx2"))]
fn edged<const W: usize>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    out: &mut [[f32; W]],
) {
    let frames = out.len();
    let mut stretch =
        Stretch { plain: [[0.0; W]; DELAY + FRAMES_MAX], lacks: [[0.0; W]; FRAMES_MAX + TAPS] };
    stretch.plain[..DELAY].copy_from_slice(&wave[PLAIN..]);
    stretch.lacks[..TAPS].copy_from_slice(&wave[TAIL..PLAIN]);
    if let Some(sync) = inputs.sync {
        synced(turning, wave, shape, inputs, sync, frames, &mut stretch);
    } else if shape == Shape::Square {
        square(turning, wave, inputs, frames, &mut stretch);
    } else {
        smooth(turning, wave, shape, inputs, frames, &mut stretch);
    }
    let plain = stretch.plain[..frames].as_flattened();
    let lacks = stretch.lacks[..frames].as_flattened();
    for ((out, plain), lacks) in out.as_flattened_mut().iter_mut().zip(plain).zip(lacks) {
        *out = plain + lacks;
    }
    wave[TAIL..PLAIN].copy_from_slice(&stretch.lacks[frames..frames + TAPS]);
    wave[PLAIN..].copy_from_slice(&stretch.plain[frames..frames + DELAY]);
}

/// A saw, which rises through 0 at phase 0 and falls at half a turn, or a triangle, which rises
/// from 0 to 1, falls to −1 and comes back.
#[inline(always)]
fn smooth<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let first = turning[TURN];
    let mut phases = [[0_u32; W]; FRAMES_MAX];
    let phases = &mut phases[..frames];
    turn(turning, wave, inputs, phases);
    let triangle = shape == Shape::Triangle;
    let plain = stretch.plain[DELAY..DELAY + frames].as_flattened_mut();
    if triangle {
        for (plain, phase) in plain.iter_mut().zip(phases.as_flattened()) {
            *plain = fold(*phase);
        }
    } else {
        for (plain, phase) in plain.iter_mut().zip(phases.as_flattened()) {
            *plain = half_turns(*phase);
        }
    }
    for frame in 0..frames {
        // What it turned by on its way here is what lies between two phases.
        let now = &phases[frame];
        let mut last = first;
        if frame > 0 {
            let before = &phases[frame - 1];
            for lane in 0..W {
                last[lane] = now[lane].wrapping_sub(before[lane]);
            }
        }
        let mut edges = 0;
        for lane in 0..W {
            let beyond =
                if triangle { corner(now[lane]) >> 1 } else { now[lane].wrapping_add(HALF) };
            edges |= u32::from(beyond < last[lane]);
        }
        if edges != 0 {
            round_all(shape, &[*now, last, [0; W], [0; W], [0; W]], &mut stretch.lacks[frame..]);
        }
    }
    turning[HIGH] = [NO_PULSE; W];
}

/// High for `width` of the period from phase 0 on, around 0.
#[inline(always)]
fn square<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    inputs: &Inputs<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let mut last = turning[TURN];
    let mut phases = [[0_u32; W]; FRAMES_MAX];
    let phases = &mut phases[..frames];
    turn(turning, wave, inputs, phases);
    let mut was = turning[HIGH];
    for frame in 0..frames {
        let now = &phases[frame];
        if frame > 0 {
            for lane in 0..W {
                last[lane] = now[lane].wrapping_sub(phases[frame - 1][lane]);
            }
        }
        let width = inputs.width.lanes::<W>(frame);
        let (mut shift, mut high) = ([0; W], [0; W]);
        let mut edges = 0;
        let plain = &mut stretch.plain[DELAY + frame];
        for lane in 0..W {
            shift[lane] = width_turns(width[lane]);
            high[lane] = u32::from(now[lane] < shift[lane]);
            plain[lane] = 2.0 * (high[lane] as f32 - width[lane]);
            let known = u32::from(was[lane] < NO_PULSE);
            edges |= known & ((high[lane] ^ was[lane]) | u32::from(now[lane] < last[lane]));
        }
        if edges != 0 {
            let ways = [*now, last, shift, was, high];
            round_all(Shape::Square, &ways, &mut stretch.lacks[frame..]);
        }
        was = high;
    }
    turning[HIGH] = was;
}

/// Rounds the edges of all voices that have one in this frame: phase, last turn, where a pulse
/// falls, its state before and now. Called for few frames, and never inlined, so that where it is
/// not called the phases stay in registers.
#[inline(never)]
fn round_all<const W: usize>(
    shape: Shape,
    [phase, last, shift, was, high]: &[[u32; W]; 5],
    rows: &mut [[f32; W]],
) {
    for lane in 0..W {
        let way = Way { phase: phase[lane], last: last[lane], shift: shift[lane] };
        way.round(shape, (was[lane], high[lane]), rows, lane);
    }
}

/// One voice on its way from the frame before to this one.
struct Way {
    phase: u32,
    last: u32,
    /// Where a pulse falls.
    shift: u32,
}

impl Way {
    /// Rounds every edge on the way; `was` and `high` are the states of a pulse.
    #[inline(always)]
    fn round<const W: usize>(
        &self,
        shape: Shape,
        (was, high): (u32, u32),
        rows: &mut [[f32; W]],
        lane: usize,
    ) {
        match shape {
            Shape::Sine => {}
            Shape::Saw => {
                let beyond = self.phase.wrapping_add(HALF);
                if beyond < self.last {
                    edge::step(rows, lane, self.part(beyond), -2.0);
                }
            }
            Shape::Square => self.round_pulse(was, high, rows, lane),
            Shape::Triangle => {
                let beyond = corner(self.phase) >> 1;
                if beyond < self.last {
                    // Behind the crest it falls, behind the trough it rises.
                    let down = self.phase.wrapping_sub(QUARTER) < HALF;
                    let bend = 8.0 * self.last as f32 * (1.0 / 4_294_967_296.0);
                    let bend = if down { -bend } else { bend };
                    edge::bend(rows, lane, self.part(beyond), bend);
                }
            }
        }
    }

    /// The width may have moved meanwhile: what was high and is low has fallen, whatever the
    /// phase says about where.
    #[inline(always)]
    fn round_pulse<const W: usize>(&self, was: u32, high: u32, rows: &mut [[f32; W]], lane: usize) {
        if was >= NO_PULSE {
            return;
        }
        let fallen = self.part(self.phase.wrapping_sub(self.shift));
        let mut state = was;
        if self.phase < self.last {
            if state == 1 {
                edge::step(rows, lane, fallen, -2.0);
            }
            edge::step(rows, lane, self.part(self.phase), 2.0);
            state = 1;
        }
        if state != high {
            edge::step(rows, lane, fallen, if high == 1 { 2.0 } else { -2.0 });
        }
    }

    /// How long ago, in frames, the phase was `beyond` less than now.
    #[inline(always)]
    fn part(&self, beyond: u32) -> f32 {
        clamp(beyond as f32 / self.last.max(1) as f32, 0.0, 1.0)
    }
}

/// Any shape, begun anew by each rise of `sync` through 0. Frame by frame, voice by voice.
fn synced<const W: usize>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    sync: Signal<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let mut turns = Turns::new(inputs, wave);
    for frame in 0..frames {
        let (now, width) = (sync.lanes::<W>(frame), inputs.width.lanes::<W>(frame));
        let lacks = &mut stretch.lacks[frame..];
        for lane in 0..W {
            let (before, now) = (wave[SYNC][lane], now[lane]);
            let shift = width_turns(width[lane]);
            let last = turning[TURN][lane];
            let mut phase = turning[PHASE][lane];
            let (mut was, mut turned) = (turning[HIGH][lane], last);
            if before <= 0.0 && now > 0.0 {
                // So many frames ago the wave began anew.
                let since = clamp(now / (now - before), 0.0, 1.0);
                let gone = (last as f32 * since) as u32;
                let left = value(shape, phase.wrapping_sub(gone), width[lane], was & 1);
                let jump = value(shape, 0, width[lane], 1) - left;
                edge::step(lacks, lane, since, jump);
                (phase, turned, was) = (gone, gone, 1);
            }
            let high = u32::from(phase < shift);
            let way = Way { phase, last: turned, shift };
            way.round(shape, (was, high), lacks, lane);
            stretch.plain[DELAY + frame][lane] = value(shape, phase, width[lane], high);
            turning[HIGH][lane] = high;
            turning[PHASE][lane] = phase;
        }
        wave[SYNC] = now;
        let last = turns.at(frame);
        turning[TURN] = last;
        for lane in 0..W {
            turning[PHASE][lane] = turning[PHASE][lane].wrapping_add(last[lane]);
        }
    }
}

/// The wave at a phase, as if no edge had to be rounded.
fn value(shape: Shape, phase: u32, width: f32, high: u32) -> f32 {
    match shape {
        Shape::Sine => sin_pi(half_turns(phase)),
        Shape::Saw => half_turns(phase),
        Shape::Square => 2.0 * (high as f32 - width),
        Shape::Triangle => fold(phase),
    }
}

const HALF: u32 = 0x8000_0000;
const QUARTER: u32 = 0x4000_0000;

/// The phase from −1 to 1; 0 at the beginning of the wave.
#[inline(always)]
pub(crate) fn half_turns(phase: u32) -> f32 {
    (phase as i32) as f32 * (1.0 / 2_147_483_648.0)
}

/// A width in 2⁻³² turns.
#[inline(always)]
fn width_turns(width: f32) -> u32 {
    HALF.wrapping_add(math::turns(width - 0.5))
}

/// A triangle: 0 at phase 0, 1 after a quarter, −1 after three.
#[inline(always)]
pub(crate) fn fold(phase: u32) -> f32 {
    let away = half_turns(phase.wrapping_sub(QUARTER));
    1.0 - 2.0 * f32::from_bits(away.to_bits() & 0x7fff_ffff)
}

/// Twice the phase behind the nearest corner of a triangle.
#[inline(always)]
fn corner(phase: u32) -> u32 {
    phase.wrapping_sub(QUARTER).wrapping_shl(1)
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
