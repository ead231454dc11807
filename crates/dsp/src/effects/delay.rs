//! An echo: one line or two, a head that reads them, and a loop back.
//!
//! *Source*: the tape echo, whose playing head is moved along the tape.
//!
//! *Law*: the head moves half a sample a frame at most. A time that moves more slowly (a chorus) is
//! followed exactly; one that jumps is approached like a tape that runs at half or at one and a
//! half times its speed, so no step in the sound is larger than one and a half times what the
//! sound itself has there. What goes round passes a low-pass and rails at ±2, so the loop is
//! bounded whatever its gain.
//!
//! *Invariant*: a sample further back than `filled` is silence, whatever stands there: so a line
//! is emptied in no time, however long it is.

use multiversion::multiversion;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::effects::line::{alarm, between, rail};
use crate::math::{clamp, exp2, settle};
use crate::signal::Signal;

/// The nearest a head comes to the sample that is being written, frames.
pub const FRAMES_MIN: f32 = 2.0;

/// Most a head moves in a frame, frames.
const SPEED: f32 = 0.5;

/// Samples a line has beyond its time: what is read around the head, and the one being written.
const AROUND: usize = 4;

/// What a delay remembers beside its lines; zeros are an empty one.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Head {
    /// Where the next frame is written.
    write: u32,
    /// Frames written since it was empty, as far as they matter.
    filled: u32,
    /// Frames from there back to where it reads; 0 until it has begun.
    now: f32,
    /// Of the word's sake.
    spare: u32,
    /// The low-pass of each side.
    low: [f32; 2],
}

/// Which way the sound goes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One line for both sides.
    Mono,
    /// A line a side.
    Stereo,
    /// A line a side, each leading into the other; what comes in goes to the left.
    PingPong,
}

impl Route {
    /// Lines it takes. `[any]`
    pub fn lines(self) -> usize {
        if self == Route::Mono { 1 } else { 2 }
    }
}

/// What a delay reads; all of it has one lane.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// To both sides.
    pub input: Signal<'a>,
    /// To the left side.
    pub left: Signal<'a>,
    /// To the right side.
    pub right: Signal<'a>,
    /// Delay, ms.
    pub time: Signal<'a>,
    /// Gain of the loop, −1 to 1.
    pub feedback: Signal<'a>,
    /// Corner of the low-pass in the loop, Hz.
    pub damp: Signal<'a>,
    /// 0: what came in, 1: the echo.
    pub mix: Signal<'a>,
    /// Frames a second.
    pub rate: f32,
}

/// Samples of each line of a delay of at most `ms`. `[any]`
pub fn samples_for(ms: f32, rate: f32) -> usize {
    libm::ceil(f64::from(ms) * f64::from(rate) / 1_000.0) as usize + AROUND
}

/// The next frames of left and right, at most 64, as many as `left` has room for; `right` may be
/// empty. `lines` holds `[frame][line]`. `[audio]`
pub fn render(
    route: Route,
    (head, lines): (&mut Head, &mut [f32]),
    inputs: &Inputs<'_>,
    outs: [&mut [f32]; 2],
) {
    match route {
        Route::Mono => run::<1>(route, head, lines.as_chunks_mut().0, inputs, outs),
        _ => run::<2>(route, head, lines.as_chunks_mut().0, inputs, outs),
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn run<const S: usize>(
    route: Route,
    head: &mut Head,
    lines: &mut [[f32; S]],
    inputs: &Inputs<'_>,
    [left, right]: [&mut [f32]; 2],
) {
    let mut now = sound(*head, lines.len());
    let mut share = low_share(inputs, 0);
    for (frame, left) in left.iter_mut().enumerate() {
        if !inputs.damp.is_still() {
            share = low_share(inputs, frame);
        }
        follow(&mut now, lines.len(), inputs.time.at(frame) * inputs.rate * 0.001);
        let echo = read(&now, lines);
        let middle = inputs.input.at(frame);
        let sides = [inputs.left.at(frame), inputs.right.at(frame)];
        let one = middle + 0.5 * (sides[0] + sides[1]);
        let dry = if S == 1 { [one; 2] } else { [middle + sides[0], middle + sides[1]] };
        let mut written = [0.0; S];
        for side in 0..S {
            now.low[side] += share * (echo[side] - now.low[side]);
        }
        let feedback = inputs.feedback.at(frame);
        for side in 0..S {
            let (from, fed) = match route {
                Route::Mono | Route::Stereo => (side, dry[side]),
                Route::PingPong => (S - 1 - side, if side == 0 { one } else { 0.0 }),
            };
            written[side] = settle(fed + feedback * rail(now.low[from]));
        }
        lines[now.write as usize] = written;
        now.write = if now.write as usize + 1 == lines.len() { 0 } else { now.write + 1 };
        now.filled += u32::from((now.filled as usize) < lines.len());
        let mix = inputs.mix.at(frame);
        let heard = |side: usize| {
            let echo = echo[if S == 1 { 0 } else { side }];
            dry[side] + mix * (echo - dry[side]) + alarm(one)
        };
        *left = heard(0);
        if let Some(right) = right.get_mut(frame) {
            *right = heard(1);
        }
    }
    *head = now;
}

/// A head that points nowhere, as only a damaged state has one, begins anew.
#[inline(always)]
fn sound(head: Head, samples: usize) -> Head {
    let within = (head.write as usize) < samples && head.filled as usize <= samples;
    let reads = head.now >= 0.0 && head.now <= (samples - AROUND) as f32;
    if within && reads { head } else { Head::default() }
}

/// How much of the way to its input the low-pass goes in a frame.
#[inline(always)]
fn low_share(inputs: &Inputs<'_>, frame: usize) -> f32 {
    // 2π · log2(e): exp(−2πf) as a power of two.
    const TURN: f32 = 9.064_72;
    1.0 - exp2(-TURN * inputs.damp.at(frame) / inputs.rate)
}

/// Moves the head towards `wanted` frames.
#[inline(always)]
fn follow(head: &mut Head, samples: usize, wanted: f32) {
    let wanted = clamp(wanted, FRAMES_MIN, (samples - AROUND) as f32);
    if head.now < FRAMES_MIN {
        head.now = wanted;
    }
    head.now += clamp(wanted - head.now, -SPEED, SPEED);
}

/// What stands under the head.
#[inline(always)]
fn read<const S: usize>(head: &Head, lines: &[[f32; S]]) -> [f32; S] {
    let whole = head.now as u32;
    let part = head.now - whole as f32;
    let mut taps = [[0.0; S]; 4];
    for (tap, back) in taps.iter_mut().zip(whole - 1..) {
        if back <= head.filled {
            let (write, back) = (head.write as usize, back as usize);
            let at = if write >= back { write - back } else { write + lines.len() - back };
            *tap = lines[at];
        }
    }
    between([part; S], taps)
}

/// Ends what nobody can hear. To be called at the end of each block. `[audio]`
pub fn rest(head: &mut Head) {
    head.low = head.low.map(settle);
}

#[cfg(test)]
mod tests {
    use super::{Head, Inputs, Route, render, samples_for};
    use crate::signal::Signal;

    const RATE: f32 = 48_000.0;

    struct Setting {
        route: Route,
        time: f32,
        feedback: f32,
        damp: f32,
    }

    /// A delay that is played, wet only.
    struct Echo {
        head: Head,
        lines: Vec<f32>,
    }

    impl Echo {
        fn new(ms: f32, route: Route) -> Echo {
            let samples = samples_for(ms, RATE) * route.lines();
            // What stands in an empty line is not heard, so it need not be nothing.
            Echo { head: Head::default(), lines: vec![0.7; samples] }
        }

        fn play(&mut self, set: &Setting, left: &[f32], right: &[f32]) -> [Vec<f32>; 2] {
            let mut heard = [vec![], vec![]];
            for (left, right) in left.chunks(64).zip(right.chunks(64)) {
                let inputs = Inputs {
                    input: Signal::constant(&0.0),
                    left: Signal::cable(left, 1),
                    right: Signal::cable(right, 1),
                    time: Signal::constant(&set.time),
                    feedback: Signal::constant(&set.feedback),
                    damp: Signal::constant(&set.damp),
                    mix: Signal::constant(&1.0),
                    rate: RATE,
                };
                let mut outs = [[0.0; 64]; 2];
                let [one, two] = &mut outs;
                let rows = [&mut one[..left.len()], &mut two[..left.len()]];
                render(set.route, (&mut self.head, &mut self.lines), &inputs, rows);
                for (heard, out) in heard.iter_mut().zip(outs) {
                    heard.extend_from_slice(&out[..left.len()]);
                }
            }
            heard
        }
    }

    fn impulse(frames: usize) -> Vec<f32> {
        let mut input = vec![0.0; frames];
        input[0] = 1.0;
        input
    }

    fn sine(hz: f64, frames: usize) -> Vec<f32> {
        let angle = std::f64::consts::TAU * hz / f64::from(RATE);
        (0..frames).map(|n| (0.5 * (angle * n as f64).sin()) as f32).collect()
    }

    fn step(heard: &[f32]) -> f32 {
        heard.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
    }

    /// Where it is loud, and how loud.
    fn echoes(heard: &[f32]) -> Vec<(usize, f32)> {
        heard.iter().copied().enumerate().filter(|(_, x)| x.abs() > 1e-3).collect()
    }

    #[test]
    fn echoes_come_after_the_time_and_each_is_the_feedback_of_the_one_before() {
        let set = Setting { route: Route::Mono, time: 10.0, feedback: -0.5, damp: 1e9 };
        let mut echo = Echo::new(10.0, Route::Mono);
        let silent = vec![0.0; 2_000];
        let [left, right] = echo.play(&set, &impulse(2_000), &silent);
        assert_eq!(echoes(&left), [(480, 0.5), (960, -0.25), (1_440, 0.125), (1_920, -0.0625)]);
        assert_eq!(left, right);
    }

    #[test]
    fn a_stereo_echo_keeps_the_sides_apart_and_a_ping_pong_changes_them() {
        let silent = vec![0.0; 1_700];
        let mut set = Setting { route: Route::Stereo, time: 10.0, feedback: 0.5, damp: 1e9 };
        let [left, right] = Echo::new(50.0, set.route).play(&set, &silent, &impulse(1_700));
        assert_eq!(echoes(&left), []);
        assert_eq!(echoes(&right), [(480, 1.0), (960, 0.5), (1_440, 0.25)]);
        set.route = Route::PingPong;
        let [left, right] = Echo::new(50.0, set.route).play(&set, &silent, &impulse(1_700));
        assert_eq!(echoes(&left), [(480, 0.5), (1_440, 0.125)]);
        assert_eq!(echoes(&right), [(960, 0.25)]);
    }

    /// A sine is late by the time to a hundredth of a frame, between two frames as well.
    #[test]
    fn the_time_is_met_between_two_frames() {
        let input = sine(1_000.0, 6_400);
        for frames in [2.0, 480.0, 480.25, 480.5, 999.9] {
            let set = Setting {
                route: Route::Mono,
                time: frames * 1_000.0 / RATE,
                feedback: 0.0,
                damp: 1e9,
            };
            let [heard, _] = Echo::new(30.0, set.route).play(&set, &input, &input);
            let angle = std::f64::consts::TAU * 1_000.0 / f64::from(RATE);
            for at in 1_100..6_400 {
                let truth = 0.5 * (angle * (at as f64 - f64::from(frames))).sin();
                let error = (f64::from(heard[at]) - truth).abs();
                // A hundredth of a frame at the steepest place.
                assert!(error < 0.01 * 0.5 * angle, "{frames} frames: {error} at {at}");
            }
        }
    }

    /// S43: no change of time is heard as a click.
    #[test]
    fn a_jump_of_the_time_makes_no_step_above_one_and_a_half_times_the_sounds_own() {
        let input = sine(500.0, 4_800);
        let own = step(&input);
        let times = [100.0, 37.31, 80.7, 0.0, 99.0];
        for route in [Route::Mono, Route::Stereo] {
            let mut echo = Echo::new(100.0, route);
            let mut heard = vec![];
            let mut last = (0.0, 0.0);
            for round in 0..60 {
                let time = times[round / 3 % times.len()];
                let set = Setting { route, time, feedback: 0.0, damp: 1e9 };
                let [left, _] = echo.play(&set, &input, &input);
                if round >= 3 {
                    heard.extend_from_slice(&left);
                }
                last = (time, echo.head.now);
            }
            assert!(step(&heard) < 1.51 * own, "{} of {own}", step(&heard));
            assert!(step(&heard) > 1.4 * own, "the tape did run faster");
            assert_eq!(last.1, last.0 * RATE / 1_000.0, "the head arrived");
        }
    }

    #[test]
    fn a_slow_chorus_is_followed_exactly() {
        let time: Vec<f32> = (0..64).map(|n| 5.0 + 0.005 * n as f32).collect();
        let mut echo = Echo::new(20.0, Route::Mono);
        let silent = Signal::constant(&0.0);
        let inputs = Inputs {
            input: silent,
            left: silent,
            right: silent,
            time: Signal::cable(&time, 1),
            feedback: silent,
            damp: Signal::constant(&900.0),
            mix: Signal::constant(&1.0),
            rate: RATE,
        };
        let mut out = [0.0; 64];
        render(Route::Mono, (&mut echo.head, &mut echo.lines), &inputs, [&mut out, &mut []]);
        assert_eq!(echo.head.now, time[63] * RATE * 0.001);
    }

    #[test]
    fn whatever_the_gain_of_the_loop_it_stays_within_the_input_and_two() {
        for (route, feedback) in [(Route::Mono, 1.0), (Route::Stereo, -1.0), (Route::PingPong, 1.0)]
        {
            let set = Setting { route, time: 3.0, feedback, damp: 20_000.0 };
            let mut echo = Echo::new(5.0, route);
            let loud = vec![0.9; 96_000];
            let heard = echo.play(&set, &loud, &loud);
            let most = heard.iter().flatten().fold(0.0_f32, |most, x| most.max(x.abs()));
            // The cubic reaches a quarter beyond its samples at most.
            assert!(most < 1.25 * 2.9, "{route:?}: {most}");
        }
    }

    #[test]
    fn each_echo_is_darker_than_the_one_before() {
        let set = Setting { route: Route::Mono, time: 20.0, feedback: 1.0, damp: 2_000.0 };
        let input: Vec<f32> =
            sine(8_000.0, 480).into_iter().chain(std::iter::repeat_n(0.0, 3_000)).collect();
        let silent = vec![0.0; input.len()];
        let [heard, _] = Echo::new(20.0, set.route).play(&set, &input, &silent);
        let power = |from: usize| heard[from + 100..from + 480].iter().map(|x| x * x).sum::<f32>();
        // One pole at 2 kHz lets through 0.243 of 8 kHz: measured on its own curve.
        let angle = std::f64::consts::TAU * 8_000.0 / f64::from(RATE);
        let pole = (-std::f64::consts::TAU * 2_000.0 / f64::from(RATE)).exp();
        let gain = (1.0 - pole) / (1.0 - 2.0 * pole * angle.cos() + pole * pole).sqrt();
        let heard = f64::from(power(1_920) / power(960)).sqrt();
        assert!((heard / gain - 1.0).abs() < 0.02, "{heard}, not {gain}");
    }

    #[test]
    fn what_is_no_number_is_told_at_once_and_not_kept() {
        let mut input = sine(300.0, 640);
        input[200] = 1e10;
        let set = Setting { route: Route::Stereo, time: 10.0, feedback: 0.5, damp: 5_000.0 };
        let mut echo = Echo::new(10.0, set.route);
        let [left, right] = echo.play(&set, &input, &input);
        assert!(left[199].is_finite() && left[200].is_nan() && right[200].is_nan());
        echo.head = Head::default();
        let [left, _] = echo.play(&set, &sine(300.0, 6_400), &sine(300.0, 6_400));
        assert!(left.iter().all(|sample| sample.abs() < 1.1));
        assert_eq!(left[..480], [0.0; 480]);
    }
}
