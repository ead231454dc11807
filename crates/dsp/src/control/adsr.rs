//! Envelopes whose times mean the same from whatever level they start, one to sixteen at once.
//!
//! *Law*: attack is a straight line that reaches the velocity after exactly the attack time.
//! Decay and release fall as a capacitor discharges towards a point just below its goal, so that
//! they are at the goal after exactly their time: after half of it 3.1 % of the way is left, a
//! thousandth would be left at the end, and that thousandth is spread over the curve. Times are
//! read when their stage begins; sustain is followed all the time.
//! *Source*: S44, where "200 ms" of release took 68 ms from a lower level.
//! *Layout*: all stages are one recurrence, so that lanes in different stages run side by side:
//! `rest ← rest · factor + slope`, `level = base + reach · rest`.

use multiversion::multiversion;

use crate::math::{are_zero, clamp};
use crate::signal::{Signal, repeat};

/// ln 1000: the discharge runs over 60 dB.
const SPAN: f64 = 6.907_755_278_982_137;

/// How far below its goal a discharge is headed, as a part of its way: where it would be after
/// its time if it were headed for the goal itself.
const BELOW: f64 = 0.001 / 0.999;

/// Time in which a choked envelope is silent, ms.
pub const CHOKE_MS: f32 = 10.0;

const IDLE: u32 = 0;
const ATTACK: u32 = 1;
const HOLD: u32 = 2;
const RELEASE: u32 = 3;

const NOTHING: u32 = 0;
const GATE: u32 = 1;
const CHOKE: u32 = 2;

/// Rows of doubles an envelope remembers.
pub const COURSE_ROWS: usize = 3;
/// Rows of samples it remembers.
pub const LEVEL_ROWS: usize = 6;
/// Rows of whole numbers it remembers.
pub const STAGE_ROWS: usize = 3;

/// What `W` envelopes remember: plain words, to be kept anywhere.
pub struct Adsr<'a, const W: usize> {
    /// Rest, factor, slope of the recurrence.
    pub course: &'a mut [[f64; W]; COURSE_ROWS],
    /// Reach, base, the level of the last frame, velocity, velocity asked for, last gate sample.
    pub level: &'a mut [[f32; W]; LEVEL_ROWS],
    /// Frames left, stage, what is asked for.
    pub stage: &'a mut [[u32; W]; STAGE_ROWS],
}

// Double precision: what a minute-long decay loses in a frame is nothing to f32.
const REST: usize = 0;
const FACTOR: usize = 1;
const SLOPE: usize = 2;

const REACH: usize = 0;
const BASE: usize = 1;
const LEVEL: usize = 2;
const VELOCITY: usize = 3;
const ASKED_LEVEL: usize = 4;
const CABLE: usize = 5;

const LEFT: usize = 0;
const STAGE: usize = 1;
const ASKED: usize = 2;

/// What an envelope reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Opens above 0, its height there is the velocity. Nothing where gates come by command only;
    /// if there was a cable before, what it opened is closed.
    pub gate: Option<Signal<'a>>,
    /// Attack, ms.
    pub attack: Signal<'a>,
    /// Decay, ms.
    pub decay: Signal<'a>,
    /// Sustain, a part of the velocity.
    pub sustain: Signal<'a>,
    /// Release, ms.
    pub release: Signal<'a>,
    /// Frames a second.
    pub rate: f32,
}

/// One lane of a frame.
fn lane_of<const W: usize>(signal: Signal<'_>, frame: usize, lane: usize) -> f32 {
    signal.lanes::<W>(frame)[lane]
}

impl<const W: usize> Adsr<'_, W> {
    /// Closed and silent. `[any]`
    pub fn reset(&mut self) {
        *self.course = [[0.0; W], [1.0; W], [0.0; W]];
        *self.level = [[0.0; W]; LEVEL_ROWS];
        *self.stage = [[0; W]; STAGE_ROWS];
    }

    /// Opens all gates with a velocity above 0, or closes them, from the next frame on. Opening
    /// an open gate strikes it again. `[audio]`
    pub fn gate(&mut self, level: f32) {
        self.stage[ASKED] = [GATE; W];
        self.level[ASKED_LEVEL] = [clamp(level, 0.0, 1.0); W];
    }

    /// Silence within 10 ms, from the next frame on. `[audio]`
    pub fn choke(&mut self) {
        self.stage[ASKED] = [CHOKE; W];
    }

    /// The level of the next `out.len() / W` frames, at most 64; says whether they are all like
    /// the first, which is then the only one that is written. `[audio]`
    pub fn render(&mut self, inputs: &Inputs<'_>, out: &mut [f32]) -> bool {
        let (frames, _) = out.as_chunks_mut::<W>();
        let mut frame = 0;
        while frame < frames.len() {
            self.obey(inputs, frame);
            let mut run = frames.len() - frame;
            if let Some(gate) = inputs.gate {
                run = run.min(self.quiet(gate, frame, frames.len()));
            }
            // Those that have arrived have 0 frames left, and wrap to the most there are.
            let next =
                self.stage[LEFT].iter().fold(u32::MAX, |next, left| next.min(left.wrapping_sub(1)));
            run = run.min((next as usize).saturating_add(1));
            let whole = run == frames.len();
            let out = &mut frames[frame..frame + run];
            if next == u32::MAX && inputs.sustain.is_still() {
                self.rest(inputs, frame);
                if whole {
                    out[0] = self.level[LEVEL];
                    return true;
                }
                repeat(&self.level[LEVEL], out.as_flattened_mut());
            } else {
                let Adsr { course, level, stage } = self;
                let begin = Begin { frame, sustain: inputs.sustain };
                go(course, level, stage, begin, out);
                self.arrive(inputs, frame, out);
            }
            frame += run;
        }
        false
    }

    /// How many frames from `frame` on the gate cable has no edge.
    fn quiet(&self, gate: Signal<'_>, frame: usize, end: usize) -> usize {
        if gate.is_still() {
            return end - frame;
        }
        let open = self.level[CABLE].map(|sample| sample > 0.0);
        let edge = |at: &usize| gate.lanes::<W>(*at).map(|sample| sample > 0.0) != open;
        (frame + 1..end).find(edge).unwrap_or(end) - frame
    }

    /// Begins what was asked for by command or by an edge of the gate cable.
    fn obey(&mut self, inputs: &Inputs<'_>, frame: usize) {
        let now = match inputs.gate {
            Some(gate) => Some(gate.lanes::<W>(frame)),
            // A cable that was pulled out is one that brings nothing any more.
            None => (self.level[CABLE] != [0.0; W]).then_some([0.0; W]),
        };
        if let Some(now) = now {
            let mut edges = [0; W];
            for lane in 0..W {
                edges[lane] = u32::from((now[lane] > 0.0) != (self.level[CABLE][lane] > 0.0));
            }
            self.level[CABLE] = now;
            if !are_zero(&edges) {
                for lane in (0..W).filter(|lane| edges[*lane] != 0) {
                    self.stage[ASKED][lane] = GATE;
                    self.level[ASKED_LEVEL][lane] = clamp(now[lane], 0.0, 1.0);
                }
            }
        }
        if are_zero(&self.stage[ASKED]) {
            return;
        }
        for lane in 0..W {
            let asked = std::mem::replace(&mut self.stage[ASKED][lane], NOTHING);
            let (velocity, stage) = (self.level[ASKED_LEVEL][lane], self.stage[STAGE][lane]);
            let level = f64::from(self.level[LEVEL][lane]);
            let time = |signal| frames(lane_of::<W>(signal, frame, lane), inputs.rate);
            if asked == GATE && velocity > 0.0 {
                self.level[VELOCITY][lane] = velocity;
                self.rise(lane, level, time(inputs.attack));
            } else if asked == GATE && matches!(stage, ATTACK | HOLD) {
                self.fall(lane, RELEASE, level, time(inputs.release));
            } else if asked == CHOKE && stage != IDLE {
                self.fall(lane, RELEASE, level, frames(CHOKE_MS, inputs.rate));
            }
        }
    }

    /// From `level` straight up to the velocity.
    fn rise(&mut self, lane: usize, level: f64, left: u32) {
        let velocity = f64::from(self.level[VELOCITY][lane]);
        self.stage[STAGE][lane] = ATTACK;
        self.stage[LEFT][lane] = left;
        self.course[REST][lane] = 1.0;
        self.course[FACTOR][lane] = 1.0;
        self.course[SLOPE][lane] = -1.0 / f64::from(left);
        self.level[REACH][lane] = (level - velocity) as f32;
        self.level[BASE][lane] = velocity as f32;
    }

    /// A discharge over `way`; where it ends is what its stage says.
    fn fall(&mut self, lane: usize, stage: u32, way: f64, left: u32) {
        self.stage[STAGE][lane] = stage;
        self.stage[LEFT][lane] = left;
        self.course[REST][lane] = 1.0 + BELOW;
        self.course[FACTOR][lane] = libm::exp(-SPAN / f64::from(left));
        self.course[SLOPE][lane] = 0.0;
        self.level[REACH][lane] = way as f32;
        self.level[BASE][lane] = (-way * BELOW) as f32;
    }

    /// Nothing moves: every lane stands where its stage says.
    fn rest(&mut self, inputs: &Inputs<'_>, frame: usize) {
        let sustain = inputs.sustain.lanes::<W>(frame);
        for lane in 0..W {
            let held = self.level[VELOCITY][lane] * sustain[lane];
            // A stage that does not exist can only come from a damaged checkpoint: silence.
            self.level[LEVEL][lane] = if self.stage[STAGE][lane] == HOLD { held } else { 0.0 };
        }
    }

    /// Ends the stages that end with the last frame of `out`, each exactly at its goal.
    fn arrive(&mut self, inputs: &Inputs<'_>, frame: usize, out: &mut [[f32; W]]) {
        let (last, run) = (out.len() - 1, out.len() as u32);
        let mut arrived = [0; W];
        for lane in 0..W {
            let left = &mut self.stage[LEFT][lane];
            arrived[lane] = u32::from(*left > 0 && *left <= run);
            *left = left.saturating_sub(run);
        }
        if are_zero(&arrived) {
            return;
        }
        for lane in (0..W).filter(|lane| arrived[*lane] != 0) {
            let velocity = self.level[VELOCITY][lane];
            let held = velocity * lane_of::<W>(inputs.sustain, frame + last, lane);
            let goal = match self.stage[STAGE][lane] {
                ATTACK => {
                    let way = f64::from(velocity) - f64::from(held);
                    let decay = lane_of::<W>(inputs.decay, frame + last, lane);
                    self.fall(lane, HOLD, way, frames(decay, inputs.rate));
                    velocity
                }
                HOLD => {
                    self.stand(lane, HOLD);
                    held
                }
                _ => {
                    self.stand(lane, IDLE);
                    0.0
                }
            };
            out[last][lane] = goal;
            self.level[LEVEL][lane] = goal;
        }
    }

    fn stand(&mut self, lane: usize, stage: u32) {
        self.stage[STAGE][lane] = stage;
        self.course[REST][lane] = 0.0;
        self.course[FACTOR][lane] = 1.0;
        self.course[SLOPE][lane] = 0.0;
        self.level[REACH][lane] = 0.0;
        self.level[BASE][lane] = 0.0;
    }
}

/// Where a run begins, and what sustain is there.
#[derive(Clone, Copy)]
struct Begin<'a> {
    frame: usize,
    sustain: Signal<'a>,
}

/// One run without an edge and within one stage of every lane.
#[multiversion(targets("x86_64+avx2"))]
fn go<const W: usize>(
    course: &mut [[f64; W]; COURSE_ROWS],
    level: &mut [[f32; W]; LEVEL_ROWS],
    stage: &[[u32; W]; STAGE_ROWS],
    begin: Begin<'_>,
    out: &mut [[f32; W]],
) {
    let [mut rest, factor, slope] = *course;
    let (reach, mut base) = (level[REACH], level[BASE]);
    // What is held follows sustain; its discharge lies upon that.
    let held = stage[STAGE].map(|stage| if stage == HOLD { 1.0_f32 } else { 0.0 });
    let mut follow = [0.0; W];
    for lane in 0..W {
        follow[lane] = held[lane] * level[VELOCITY][lane];
    }
    let under = base;
    let sustained = |base: &mut [f32; W], offset: usize| {
        let sustain = begin.sustain.lanes::<W>(begin.frame + offset);
        for lane in 0..W {
            base[lane] = follow[lane] * sustain[lane] + under[lane];
        }
    };
    sustained(&mut base, 0);
    // What adds nothing and what keeps everything may be left out: one step then waits for one
    // operation, not for two.
    let still = begin.sustain.is_still();
    if still && slope == [0.0; W] {
        for out in out.iter_mut() {
            for lane in 0..W {
                rest[lane] *= factor[lane];
                out[lane] = base[lane] + reach[lane] * rest[lane] as f32;
            }
        }
    } else if still && factor == [1.0; W] {
        for out in out.iter_mut() {
            for lane in 0..W {
                rest[lane] += slope[lane];
                out[lane] = base[lane] + reach[lane] * rest[lane] as f32;
            }
        }
    } else {
        for (offset, out) in out.iter_mut().enumerate() {
            if !still {
                sustained(&mut base, offset);
            }
            for lane in 0..W {
                rest[lane] = rest[lane] * factor[lane] + slope[lane];
                out[lane] = base[lane] + reach[lane] * rest[lane] as f32;
            }
        }
    }
    course[REST] = rest;
    if let Some(last) = out.last() {
        level[LEVEL] = *last;
    }
}

/// A time in frames, at least one.
fn frames(ms: f32, rate: f32) -> u32 {
    let frames = libm::round(f64::from(ms) * f64::from(rate) / 1_000.0);
    if frames >= 1.0 { frames as u32 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::{Adsr, COURSE_ROWS, Inputs, LEVEL_ROWS, STAGE_ROWS};
    use crate::signal::Signal;

    /// Envelopes and their words.
    struct Kept<const W: usize> {
        course: [[f64; W]; COURSE_ROWS],
        level: [[f32; W]; LEVEL_ROWS],
        stage: [[u32; W]; STAGE_ROWS],
    }

    impl<const W: usize> Kept<W> {
        fn new() -> Kept<W> {
            let mut kept = Kept {
                course: [[0.0; W]; COURSE_ROWS],
                level: [[0.0; W]; LEVEL_ROWS],
                stage: [[0; W]; STAGE_ROWS],
            };
            kept.adsr().reset();
            kept
        }

        fn adsr(&mut self) -> Adsr<'_, W> {
            Adsr { course: &mut self.course, level: &mut self.level, stage: &mut self.stage }
        }

        /// Renders, and writes what rests to all frames.
        fn render(&mut self, inputs: &Inputs<'_>, out: &mut [f32]) -> bool {
            let still = self.adsr().render(inputs, out);
            if still {
                let first: [f32; W] = *out.first_chunk().expect("a frame");
                out.as_chunks_mut::<W>().0.fill(first);
            }
            still
        }
    }

    const TIMES: [f32; 4] = [10.0, 40.0, 0.5, 200.0];

    fn inputs(times: &[f32; 4]) -> Inputs<'_> {
        Inputs {
            gate: None,
            attack: Signal::constant(&times[0]),
            decay: Signal::constant(&times[1]),
            sustain: Signal::constant(&times[2]),
            release: Signal::constant(&times[3]),
            rate: 48_000.0,
        }
    }

    fn run(kept: &mut Kept<1>, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames];
        for piece in out.chunks_mut(64) {
            kept.render(&inputs(&TIMES), piece);
        }
        out
    }

    #[test]
    fn attack_and_decay_take_the_time_they_say() {
        let mut adsr = Kept::<1>::new();
        adsr.adsr().gate(0.8);
        let heard = run(&mut adsr, 4_800);
        assert!(heard[478] < 0.8 && heard[479] == 0.8, "the peak is at 10 ms");
        assert!((heard[239] - 0.4).abs() < 1e-3, "half way after half the time");
        assert!(heard[479 + 1_919] > 0.4 && heard[479 + 1_920] == 0.4, "sustain after 40 ms");
    }

    /// S44: the release takes its time from whatever level it starts.
    #[test]
    fn release_takes_its_time_from_any_level() {
        for held in [5, 60, 479, 2_000, 20_000] {
            let mut adsr = Kept::<1>::new();
            adsr.adsr().gate(1.0);
            let start = run(&mut adsr, held)[held - 1];
            adsr.adsr().gate(0.0);
            let heard = run(&mut adsr, 9_700);
            assert!(heard[9_598] > 0.0 && heard[9_599] == 0.0, "held {held}: not 200 ms");
            let half = heard[4_799] / start;
            assert!((half - 0.0306).abs() < 0.001, "held {held}: {half} left after half");
            let steps = heard.windows(2).all(|pair| pair[1] <= pair[0]);
            assert!(steps, "held {held}: the release rises");
        }
    }

    #[test]
    fn a_retrigger_rises_from_where_it_is() {
        let mut adsr = Kept::<1>::new();
        adsr.adsr().gate(1.0);
        run(&mut adsr, 4_800);
        adsr.adsr().gate(0.0);
        let before = run(&mut adsr, 1_000)[999];
        adsr.adsr().gate(1.0);
        let heard = run(&mut adsr, 480);
        assert!(heard[0] > before && heard[0] - before < 0.01, "{before} then {}", heard[0]);
        assert_eq!(heard[479], 1.0);
    }

    #[test]
    fn the_gate_cable_opens_with_its_height_and_closes() {
        let mut adsr = Kept::<1>::new();
        let cable: Vec<f32> =
            (0..2_000).map(|n| if (10..1_500).contains(&n) { 0.25 } else { 0.0 }).collect();
        let mut heard = vec![0.0; 2_000];
        for (at, piece) in heard.chunks_mut(64).enumerate() {
            let gate = Some(Signal::cable(&cable[at * 64..], 1));
            adsr.render(&Inputs { gate, ..inputs(&TIMES) }, piece);
        }
        assert_eq!((heard[9], heard[10 + 479]), (0.0, 0.25));
        assert!(heard[1_499] > heard[1_500], "released as the cable falls");
    }

    #[test]
    fn a_choke_is_silent_after_10_ms() {
        let mut adsr = Kept::<1>::new();
        adsr.adsr().gate(1.0);
        run(&mut adsr, 1_000);
        adsr.adsr().choke();
        let heard = run(&mut adsr, 480);
        assert_eq!(heard[479], 0.0);
        assert!(heard[478] > 0.0);
    }

    #[test]
    fn an_envelope_may_be_cut_anywhere() {
        for cut in 0..=64 {
            let (mut whole, mut parts) = (Kept::<1>::new(), Kept::<1>::new());
            let times = [0.4, 0.5, 0.3, 1.0];
            for adsr in [&mut whole, &mut parts] {
                adsr.adsr().gate(0.9);
            }
            let (mut one, mut two) = ([0.0; 64], [0.0; 64]);
            whole.render(&inputs(&times), &mut one);
            parts.render(&inputs(&times), &mut two[..cut]);
            parts.render(&inputs(&times), &mut two[cut..]);
            assert_eq!(one.map(f32::to_bits), two.map(f32::to_bits), "cut at {cut}");
        }
    }

    /// Voices whose gates come at different frames run side by side as if each were alone.
    #[test]
    fn lanes_have_the_bits_of_envelopes_of_their_own() {
        let gate = |lane: usize, n: usize| match n {
            _ if n < 40 * lane + 3 || n > 2_500 + 77 * lane => 0.0,
            _ => 0.1 + 0.1 * lane as f32,
        };
        let sustain: Vec<f32> = (0..6_400).map(|n| 0.5 + (n / 1_600) as f32 * 0.05).collect();
        let mut among = Kept::<8>::new();
        let mut alone: Vec<Kept<1>> = (0..8).map(|_| Kept::new()).collect();
        for block in 0..100 {
            let frames = block * 64..block * 64 + 64;
            let cables: Vec<f32> =
                frames.clone().flat_map(|n| (0..8).map(move |lane| gate(lane, n))).collect();
            let sustain = Signal::cable(&sustain[frames.clone()], 1);
            let mut many = [0.0; 512];
            let wide = Some(Signal::cable(&cables, 8));
            among.render(&Inputs { gate: wide, sustain, ..inputs(&TIMES) }, &mut many);
            for (lane, kept) in alone.iter_mut().enumerate() {
                let cable: Vec<f32> = frames.clone().map(|n| gate(lane, n)).collect();
                let gate = Some(Signal::cable(&cable, 1));
                let mut one = [0.0; 64];
                kept.render(&Inputs { gate, sustain, ..inputs(&TIMES) }, &mut one);
                for frame in 0..64 {
                    let at = block * 64 + frame;
                    assert_eq!(one[frame].to_bits(), many[frame * 8 + lane].to_bits(), "{at}");
                }
            }
        }
    }

    #[test]
    fn what_rests_says_so_and_is_still() {
        let mut kept = Kept::<8>::new();
        let mut out = [0.0; 512];
        assert!(kept.render(&inputs(&TIMES), &mut out));
        kept.adsr().gate(0.6);
        assert!(!kept.render(&inputs(&TIMES), &mut out));
        for _ in 0..50 {
            kept.render(&inputs(&TIMES), &mut out);
        }
        assert!(kept.render(&inputs(&TIMES), &mut out), "sustained");
        assert_eq!(out, [0.6 * 0.5; 512]);
    }
}
