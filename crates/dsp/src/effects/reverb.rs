//! A room: eight lines that feed each other, behind diffusers that blur what comes in.
//!
//! *Source*: feedback delay networks of J.-M. Jot and A. Chaigne, "Digital Delay Networks for
//! Designing Artificial Reverberators" (1991), with their gain and low-pass for each line; the
//! all-pass diffusers of M. R. Schroeder, "Natural Sounding Artificial Reverberation" (1962), with
//! the times and gains of J. Dattorro, "Effect Design" (1997).
//!
//! *Law*: each line loses 60 dB in the decay, whatever its length, and at the highest frequency in
//! `1 − damping` of it (a fiftieth at least); the lines mix by a Hadamard matrix, which neither
//! adds nor takes power. Lengths are primes next to the times below, scaled by size and rate. At
//! size 1 they sum to 0.37 s: 0.37 resonances a Hz; a click has become as dense as noise to nine
//! tenths after 150 ms (normalised echo density of J. S. Abel and P. Huang, 2006). Noise comes out
//! as loud as it comes in, within 1.5 dB, whatever the decay. Motion costs treble, for half of
//! the lines are then read between their samples: a decay of 6 s is one of 4.5 s at 12 kHz.

use multiversion::multiversion;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::effects::line::{alarm, between};
use crate::math::{exp2, max, settle, sin_pi};
use crate::signal::Signal;

/// Lines of the network: what fills a vector.
const LINES: usize = 8;

/// Diffusers of each side.
const STAGES: usize = 4;

/// The lines' times at size 1, ms.
const LINES_MS: [f64; LINES] = [29.7, 33.1, 37.1, 41.9, 46.3, 52.1, 58.7, 66.7];

/// The diffusers' times, left and right, ms; and their gains.
const STAGES_MS: [[f64; 2]; STAGES] = [[4.77, 5.03], [3.59, 3.37], [12.72, 13.27], [9.3, 8.83]];
const STAGE_GAINS: [f32; STAGES] = [0.75, 0.75, 0.625, 0.625];

/// How far motion moves a line at most, ms.
const MOTION_MS: f64 = 0.25;

/// Lines that move: as the lines mix, so does what half of them do.
const MOVING: usize = 4;

/// Turns a second of their motion.
const MOTION_HZ: [f32; MOVING] = [0.31, 0.53, 0.71, 0.97];

/// Samples beyond a line's length: what is read around its end, and the one being written.
const AROUND: u32 = 4;

/// Signs with which sound goes into the lines.
const SIGNS: [f32; LINES] = [1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0];

/// The lengths of all there is in a room, frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Room {
    lines: [u32; LINES],
    stages: [[u32; 2]; STAGES],
    /// Before the diffusers.
    predelay: u32,
    /// Rows of the lines.
    rows: u32,
}

/// What a reverb remembers beside its samples.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Head {
    room: Room,
    /// Where the next frame is written: lines, predelay, diffusers.
    write: u32,
    predelay_at: u32,
    stages_at: [[u32; 2]; STAGES],
    /// Of the motion: a turn is 2^32.
    phases: [u32; MOVING],
    /// Of the damping.
    low: [f32; LINES],
}

/// What a reverb reads; all of it has one lane.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// To both sides.
    pub input: Signal<'a>,
    /// To the left side.
    pub left: Signal<'a>,
    /// To the right side.
    pub right: Signal<'a>,
    /// Time in which it loses 60 dB, ms.
    pub decay: Signal<'a>,
    /// 0: as long at all frequencies; 1: the highest are gone at once.
    pub damping: Signal<'a>,
    /// How far the lines move, 0 to 1.
    pub motion: Signal<'a>,
    /// 0: what came in, 1: the room.
    pub mix: Signal<'a>,
    /// Frames a second.
    pub rate: f32,
}

impl Room {
    /// A room of a size (1: lines of 30 to 67 ms). `[control]`
    pub fn new(size: f32, predelay_ms: f32, rate: f32) -> Room {
        let frames = |ms: f64| ms * f64::from(rate) / 1_000.0;
        let scaled = |ms: f64| prime_from(frames(ms * f64::from(size)) as u32);
        let (mut lines, mut stages) = ([0; LINES], [[0; 2]; STAGES]);
        let swing = swing(rate);
        // Motion shortens as well: what is read must have been written.
        let mut longest = swing + 1;
        for (line, ms) in lines.iter_mut().zip(LINES_MS) {
            // Never the same prime twice, however small the room.
            *line = prime_from(scaled(ms).max(longest + 1));
            longest = *line;
        }
        for (stage, ms) in stages.iter_mut().zip(STAGES_MS) {
            *stage = ms.map(scaled);
        }
        let predelay = libm::round(frames(f64::from(predelay_ms))) as u32;
        Room { lines, stages, predelay, rows: longest + swing + AROUND }
    }

    /// Samples it needs. `[any]`
    pub fn samples(&self) -> usize {
        let stages: usize = self.stages.iter().flatten().map(|span| *span as usize).sum();
        2 * self.predelay as usize + stages + LINES * self.rows as usize
    }
}

/// Whole frames that motion moves a line at most.
fn swing(rate: f32) -> u32 {
    libm::ceil(MOTION_MS * f64::from(rate) / 1_000.0) as u32
}

/// The least prime from `n` on.
fn prime_from(n: u32) -> u32 {
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (n.max(2)..).find(is_prime).unwrap_or(n)
}

impl Head {
    /// An empty room. `[audio]`
    pub fn new(room: Room) -> Head {
        let mut phases = [0; MOVING];
        for (line, phase) in phases.iter_mut().enumerate() {
            *phase = (line as u32).wrapping_mul(0x6180_33c5);
        }
        Head {
            room,
            write: 0,
            predelay_at: 0,
            stages_at: [[0; 2]; STAGES],
            phases,
            low: [0.0; LINES],
        }
    }

    /// Samples its room needs. `[audio]`
    pub fn samples(&self) -> usize {
        self.room.samples()
    }

    /// Ends what nobody can hear. To be called at the end of each block. `[audio]`
    pub fn settle(&mut self) {
        self.low = self.low.map(settle);
    }

    /// Whether it points into `samples` of its room only; a damaged one need not.
    fn fits(&self, samples: usize, swing: u32) -> bool {
        let Head { room, write, predelay_at, stages_at, .. } = self;
        let behind = |at: u32, length: u32| at < length || (at, length) == (0, 0);
        let stages = stages_at.iter().flatten().zip(room.stages.iter().flatten());
        let read = swing + 2..=room.rows.saturating_sub(swing + AROUND);
        room.predelay < 1 << 24
            && room.rows < 1 << 24
            && room.stages.iter().flatten().all(|span| *span < 1 << 24)
            && room.samples() == samples
            && behind(*write, room.rows)
            && behind(*predelay_at, room.predelay)
            && stages.into_iter().all(|(at, span)| behind(*at, *span))
            && room.lines.iter().all(|line| read.contains(line))
    }
}

/// The next frames of left and right, at most 64, as many as `left` has room for; `right` may be
/// empty. A head that does not fit its samples gives no number. `[audio]`
pub fn render(
    (head, samples): (&mut Head, &mut [f32]),
    inputs: &Inputs<'_>,
    outs: [&mut [f32]; 2],
) {
    if head.fits(samples.len(), swing(inputs.rate)) {
        run(head, samples, inputs, outs);
    } else {
        outs.into_iter().for_each(|out| out.fill(f32::NAN));
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn run(head: &mut Head, samples: &mut [f32], inputs: &Inputs<'_>, [left, right]: [&mut [f32]; 2]) {
    let mut now = *head;
    let (predelay, rest) = samples.split_at_mut(2 * now.room.predelay as usize);
    let (predelay, _) = predelay.as_chunks_mut::<2>();
    let (stages, rows) = rest.split_at_mut(rest.len() - LINES * now.room.rows as usize);
    let (rows, _) = rows.as_chunks_mut::<LINES>();
    let still = inputs.decay.is_still() && inputs.damping.is_still();
    let mut network = design(&now.room, inputs, 0);
    for (frame, left) in left.iter_mut().enumerate() {
        if !still {
            network = design(&now.room, inputs, frame);
        }
        let middle = inputs.input.at(frame);
        let dry = [middle + inputs.left.at(frame), middle + inputs.right.at(frame)];
        let late = wait(&mut now, predelay, dry);
        let blurred = diffuse(&mut now, stages, late);
        let heard = lines(&mut now, rows, &network, inputs.motion.at(frame), blurred);
        let mix = inputs.mix.at(frame);
        let side = |at: usize| dry[at] + mix * (heard[at] - dry[at]) + alarm(dry[0] + dry[1]);
        *left = side(0);
        if let Some(right) = right.get_mut(frame) {
            *right = side(1);
        }
    }
    *head = now;
}

/// What the lines' ends do at one decay and damping.
struct Network {
    /// What comes in is scaled by this, so that noise stays as loud.
    level: f32,
    gain: [f32; LINES],
    pole: [f32; LINES],
    /// Of the motion: frames, and turns of 2^32 a frame.
    reach: f32,
    swing: u32,
    speed: [u32; MOVING],
}

#[inline(always)]
fn design(room: &Room, inputs: &Inputs<'_>, frame: usize) -> Network {
    // 60 dB are a factor of 1000, this many octaves.
    const OCTAVES: f32 = 9.965_784;
    let loss = 1_000.0 * OCTAVES / (inputs.rate * max(inputs.decay.at(frame), 1.0));
    let top = 1.0 / max(1.0 - inputs.damping.at(frame), 0.02) - 1.0;
    let (mut gain, mut pole) = ([0.0; LINES], [0.0; LINES]);
    let mut mean = 0.0;
    for line in 0..LINES {
        let length = room.lines[line] as f32;
        // What the highest frequency loses more than the lowest, in one pass.
        let ratio = exp2(-loss * top * length);
        pole[line] = (1.0 - ratio) / (1.0 + ratio);
        gain[line] = exp2(-loss * length) * (1.0 - pole[line]);
        mean += length * (1.0 / LINES as f32);
    }
    let level = 0.5 * libm::sqrtf(1.0 - exp2(-2.0 * loss * mean));
    let reach = MOTION_MS as f32 * 0.001 * inputs.rate;
    let speed = MOTION_HZ.map(|hz| (hz * 4_294_967_296.0 / inputs.rate) as u32);
    Network { level, gain, pole, reach, swing: swing(inputs.rate), speed }
}

/// Both sides, a predelay later.
#[inline(always)]
fn wait(head: &mut Head, line: &mut [[f32; 2]], sides: [f32; 2]) -> [f32; 2] {
    let Some(place) = line.get_mut(head.predelay_at as usize) else { return sides };
    head.predelay_at =
        if head.predelay_at + 1 == head.room.predelay { 0 } else { head.predelay_at + 1 };
    std::mem::replace(place, sides)
}

/// Schroeder's all-passes, one behind the other.
#[inline(always)]
fn diffuse(head: &mut Head, samples: &mut [f32], sides: [f32; 2]) -> [f32; 2] {
    let mut sides = sides;
    let mut begin = 0;
    for stage in 0..STAGES {
        let gain = STAGE_GAINS[stage];
        for side in 0..2 {
            let (at, span) = (head.stages_at[stage][side], head.room.stages[stage][side]);
            let place = &mut samples[begin + at as usize];
            let before = *place;
            let inner = sides[side] + gain * before;
            *place = settle(inner);
            sides[side] = before - gain * inner;
            head.stages_at[stage][side] = if at + 1 == span { 0 } else { at + 1 };
            begin += span as usize;
        }
    }
    sides
}

/// Once around the network: what its lines give to left and right.
#[inline(always)]
fn lines(
    head: &mut Head,
    rows: &mut [[f32; LINES]],
    network: &Network,
    motion: f32,
    sides: [f32; 2],
) -> [f32; 2] {
    let ends = read(head, rows, network.reach * motion, network.swing);
    for line in 0..MOVING {
        head.phases[line] = head.phases[line].wrapping_add(network.speed[line]);
    }
    for line in 0..LINES {
        head.low[line] = network.pole[line] * head.low[line] + network.gain[line] * ends[line];
    }
    let mut next = hadamard(head.low);
    for line in 0..LINES {
        next[line] = settle(next[line] + sides[line % 2] * network.level * SIGNS[line]);
    }
    rows[head.write as usize] = next;
    head.write = if head.write as usize + 1 == rows.len() { 0 } else { head.write + 1 };
    [ends[0] - ends[2] + ends[4] - ends[6], ends[1] - ends[3] + ends[5] - ends[7]]
}

/// The ends of all lines, the first ones moved by up to `reach` frames.
#[inline(always)]
fn read(head: &Head, rows: &[[f32; LINES]], reach: f32, swing: u32) -> [f32; LINES] {
    let (mut whole, mut part) = ([0_u32; MOVING], [0.0; MOVING]);
    for line in 0..MOVING {
        let turn = head.phases[line] as i32 as f32 * (1.0 / 2_147_483_648.0);
        let moved = swing as f32 + reach * sin_pi(turn);
        whole[line] = moved as u32;
        part[line] = moved - whole[line] as f32;
    }
    let row = |back: u32| {
        let (write, back) = (head.write as usize, back as usize);
        &rows[if write >= back { write - back } else { write + rows.len() - back }]
    };
    let mut taps = [[0.0; MOVING]; 4];
    for line in 0..MOVING {
        let back = head.room.lines[line] + whole[line] - swing;
        for (tap, taps) in taps.iter_mut().enumerate() {
            taps[line] = row(back + tap as u32 - 1)[line];
        }
    }
    let mut ends = [0.0; LINES];
    ends[..MOVING].copy_from_slice(&between(part, taps));
    for line in MOVING..LINES {
        ends[line] = row(head.room.lines[line])[line];
    }
    ends
}

/// The orthogonal matrix of Hadamard: sums and differences of pairs, pairs of pairs, and so on.
#[inline(always)]
fn hadamard(lines: [f32; LINES]) -> [f32; LINES] {
    let mut now = lines;
    for half in [1, 2, 4] {
        let before = now;
        for line in 0..LINES {
            let other = before[line ^ half];
            now[line] = if line & half == 0 { before[line] + other } else { other - before[line] };
        }
    }
    now.map(|sum| sum * (0.5 * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::{Head, Inputs, LINES, Room, hadamard, prime_from, render};
    use crate::filters::svf::Svf;
    use crate::signal::Signal;

    struct Setting {
        size: f32,
        decay: f32,
        damping: f32,
        motion: f32,
        rate: f32,
    }

    const PLAIN: Setting =
        Setting { size: 1.0, decay: 2_000.0, damping: 0.0, motion: 0.0, rate: 48_000.0 };

    /// The room alone, with what is left of its state.
    fn room(
        set: &Setting,
        predelay: f32,
        left: &[f32],
        right: &[f32],
    ) -> ([Vec<f32>; 2], Vec<f32>) {
        let room = Room::new(set.size, predelay, set.rate);
        let (mut head, mut samples) = (Head::new(room), vec![0.0; room.samples()]);
        let mut heard = [vec![], vec![]];
        for (left, right) in left.chunks(64).zip(right.chunks(64)) {
            let inputs = Inputs {
                input: Signal::constant(&0.0),
                left: Signal::cable(left, 1),
                right: Signal::cable(right, 1),
                decay: Signal::constant(&set.decay),
                damping: Signal::constant(&set.damping),
                motion: Signal::constant(&set.motion),
                mix: Signal::constant(&1.0),
                rate: set.rate,
            };
            let mut outs = [[0.0; 64]; 2];
            let [one, two] = &mut outs;
            let rows = [&mut one[..left.len()], &mut two[..left.len()]];
            render((&mut head, &mut samples), &inputs, rows);
            head.settle();
            for (heard, out) in heard.iter_mut().zip(outs) {
                heard.extend_from_slice(&out[..left.len()]);
            }
        }
        samples.extend(head.low);
        (heard, samples)
    }

    fn noise(frames: usize) -> Vec<f32> {
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..frames).map(|_| next()).collect()
    }

    fn rms(samples: &[f32]) -> f64 {
        let power: f64 = samples.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        (power / samples.len() as f64).sqrt()
    }

    /// Time to lose 60 dB, ms, from the part between −5 and −35 dB of Schroeder's integral.
    fn decay_ms(heard: &[f32], rate: f32) -> f64 {
        let mut left = vec![0.0_f64; heard.len() + 1];
        for at in (0..heard.len()).rev() {
            left[at] = left[at + 1] + f64::from(heard[at]) * f64::from(heard[at]);
        }
        let below = |db: f64| {
            left.iter().position(|power| 10.0 * (power / left[0]).log10() <= -db).unwrap()
        };
        (below(35.0) - below(5.0)) as f64 * 2.0 * 1_000.0 / f64::from(rate)
    }

    /// How long a click rings in the octave around `hz`, ms, left.
    fn band_decay(set: &Setting, hz: f32) -> f64 {
        let mut click = vec![0.0; (set.rate * (0.3 + set.decay / 1_000.0)) as usize];
        click[0] = 1.0;
        let ([mut heard, _], _) = room(set, 0.0, &click, &click);
        for _ in 0..2 {
            let mut state = [[0.0; 1]; 2];
            for piece in heard.chunks_mut(64) {
                let before = piece.to_vec();
                let inputs = crate::filters::Inputs {
                    input: Signal::cable(&before, 1),
                    cutoff: Signal::constant(&hz),
                    q: Signal::constant(&std::f32::consts::SQRT_2),
                    rate: set.rate,
                };
                let mut low = [0.0; 64];
                let mut outs = [&mut low[..piece.len()], piece, &mut [], &mut []];
                Svf(&mut state).render(&inputs, &mut outs);
            }
        }
        decay_ms(&heard, set.rate)
    }

    #[test]
    fn the_decay_is_that_asked_for_within_a_twentieth() {
        for (size, decay, rate) in [
            (1.0, 500.0, 48_000.0),
            (1.0, 2_000.0, 48_000.0),
            (1.0, 2_000.0, 44_100.0),
            (1.0, 8_000.0, 48_000.0),
            (0.3, 1_000.0, 96_000.0),
            (2.0, 3_000.0, 48_000.0),
        ] {
            let set = Setting { size, decay, rate, ..PLAIN };
            let mut click = vec![0.0; (rate * (0.3 + decay / 1_000.0)) as usize];
            click[0] = 1.0;
            let ([left, right], _) = room(&set, 0.0, &click, &click);
            for heard in [left, right] {
                let error = decay_ms(&heard, rate) / f64::from(decay) - 1.0;
                assert!(error.abs() < 0.05, "size {size}, {decay} ms at {rate} Hz: {error}");
            }
        }
    }

    #[test]
    fn with_motion_and_damping_it_holds_at_500_hz_within_a_tenth_and_the_top_is_gone_sooner() {
        for decay in [600.0, 2_000.0, 6_000.0] {
            let set = Setting { decay, damping: 0.5, motion: 0.5, ..PLAIN };
            let (low, high) = (band_decay(&set, 500.0), band_decay(&set, 12_000.0));
            let error = low / f64::from(decay) - 1.0;
            assert!(error.abs() < 0.1, "{decay} ms: {error}");
            assert!(high < 0.7 * low && high > 0.5 * low, "{decay} ms: {high} of {low}");
            let still = Setting { damping: 0.0, motion: 0.0, ..set };
            let error = band_decay(&still, 12_000.0) / f64::from(decay) - 1.0;
            assert!(error.abs() < 0.05, "{decay} ms, undamped: {error}");
            let moving = Setting { motion: 0.5, ..still };
            let share = band_decay(&moving, 12_000.0) / f64::from(decay);
            assert!(share > 0.7, "{decay} ms, what motion leaves of the top: {share}");
        }
    }

    /// Normalised echo density: the share of samples beyond the deviation, 1 for noise.
    #[test]
    fn a_click_is_a_rain_of_echoes_as_dense_as_noise_within_150_ms() {
        let mut click = vec![0.0; 24_000];
        click[0] = 1.0;
        let ([left, right], _) = room(&PLAIN, 0.0, &click, &click);
        for heard in [left, right] {
            let density = |ms: usize| {
                let window = &heard[ms * 48 - 480..ms * 48 + 480];
                let deviation = rms(window);
                let beyond = window.iter().filter(|x| f64::from(x.abs()) > deviation).count();
                beyond as f64 / window.len() as f64 / 0.3173
            };
            for (ms, least) in [(100, 0.8), (150, 0.9), (200, 0.9), (300, 0.9), (400, 0.9)] {
                assert!(density(ms) > least, "{} after {ms} ms", density(ms));
            }
        }
    }

    #[test]
    fn noise_comes_out_as_loud_as_it_comes_in_and_the_sides_differ() {
        for decay in [300.0, 2_000.0, 20_000.0] {
            let set = Setting { decay, ..PLAIN };
            let input = noise(48_000 * (1 + decay as usize / 1_000));
            let ([left, right], _) = room(&set, 0.0, &input, &input);
            let end = left.len() - 24_000;
            let level = 20.0 * (rms(&left[end..]) / rms(&input)).log10();
            assert!(level.abs() < 1.5, "{decay} ms: {level} dB");
            let both: f64 =
                left[end..].iter().zip(&right[end..]).map(|(l, r)| f64::from(l * r)).sum();
            let alike = both / 24_000.0 / rms(&left[end..]) / rms(&right[end..]);
            assert!(alike.abs() < 0.2, "{decay} ms: {alike}");
        }
    }

    #[test]
    fn nothing_comes_before_the_predelay_and_the_shortest_way() {
        let mut click = vec![0.0; 9_600];
        click[0] = 1.0;
        let ([left, _], _) = room(&PLAIN, 100.0, &click, &click);
        let first = left.iter().position(|x| *x != 0.0).unwrap();
        let shortest = Room::new(1.0, 0.0, 48_000.0).lines[0] as usize;
        assert_eq!(first, 4_800 + shortest);
    }

    #[test]
    fn a_tail_nobody_can_hear_ends_in_silence_and_never_in_subnormals() {
        let set = Setting { decay: 100.0, damping: 0.9, motion: 1.0, ..PLAIN };
        for tenths in [4, 6, 8, 10, 12, 16, 20] {
            let mut click = vec![0.0; 4_800 * tenths];
            click[0] = 1.0;
            let ([left, _], state) = room(&set, 3.0, &click, &click);
            assert!(left.iter().any(|x| x.abs() > 1e-3));
            let rests = state.iter().all(|x| *x == 0.0);
            assert!(rests || tenths < 20, "after {tenths} tenths of a second");
            assert!(state.iter().all(|x| *x == 0.0 || x.abs() >= 1e-20), "{tenths}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_at_once() {
        let mut input = noise(640);
        input[200] = 1e10;
        let ([left, right], _) = room(&PLAIN, 0.0, &input, &input);
        assert!(left[199].is_finite() && left[200].is_nan() && right[200].is_nan());
    }

    #[test]
    fn lengths_are_primes_and_no_two_alike() {
        assert_eq!((prime_from(90), prime_from(97), prime_from(0)), (97, 97, 2));
        for (size, rate) in [(0.2, 8_000.0), (1.0, 48_000.0), (4.0, 192_000.0)] {
            let room = Room::new(size, 0.0, rate);
            for pair in room.lines.windows(2) {
                assert!(pair[0] < pair[1] && prime_from(pair[0]) == pair[0], "{room:?}");
            }
        }
    }

    #[test]
    fn mixing_neither_adds_nor_takes_power() {
        for line in 0..LINES {
            let mut one = [0.0; LINES];
            one[line] = 1.0;
            let mixed = hadamard(one);
            let power: f32 = mixed.iter().map(|x| x * x).sum();
            assert!((power - 1.0).abs() < 1e-6);
            let again = hadamard(mixed);
            assert!(again.iter().zip(one).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn a_damaged_head_gives_no_number_and_touches_nothing() {
        let room = Room::new(0.2, 5.0, 8_000.0);
        let mut samples = vec![0.0; room.samples()];
        let zero = Signal::constant(&0.0);
        let damages: [fn(&mut Head); 5] = [
            |head| head.write = 1 << 20,
            |head| head.predelay_at = 999,
            |head| head.stages_at[1][1] = u32::MAX,
            |head| head.room.lines[3] = u32::MAX,
            |head| head.room.rows = u32::MAX,
        ];
        for damage in damages {
            let mut head = Head::new(room);
            damage(&mut head);
            let inputs = Inputs {
                input: zero,
                left: zero,
                right: zero,
                decay: Signal::constant(&900.0),
                damping: zero,
                motion: Signal::constant(&1.0),
                mix: zero,
                rate: 8_000.0,
            };
            let mut out = [0.0; 64];
            render((&mut head, &mut samples), &inputs, [&mut out, &mut []]);
            assert!(out.iter().all(|x| x.is_nan()));
        }
    }
}
