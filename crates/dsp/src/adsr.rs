//! An envelope whose times mean the same from whatever level it starts.
//!
//! *Law*: attack is a straight line that reaches the velocity after exactly the attack time.
//! Decay and release fall as a capacitor discharges towards a point just below its goal, so that
//! they are at the goal after exactly their time: after half of it 3.1 % of the way is left, a
//! thousandth would be left at the end, and that thousandth is spread over the curve. Times are
//! read when their stage begins; sustain is followed all the time.
//! *Source*: S44, where "200 ms" of release took 68 ms from a lower level.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::math::clamp;
use crate::signal::Signal;

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

/// The state of one envelope.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Adsr {
    level: f64,
    /// Attack: what is added each frame. Otherwise: the way from the goal when the stage began.
    reach: f64,
    /// What is left of the way, 1 to 0, above the point the discharge is headed for.
    rest: f64,
    /// Discharge a frame.
    factor: f64,
    left: u32,
    stage: u32,
    velocity: f32,
    /// What to do at the next frame, and with which velocity.
    asked: u32,
    asked_level: f32,
    /// The gate cable's last sample.
    cable: f32,
}

/// What an envelope reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// A gate cable: open while above 0; its height as it opens is the velocity.
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

impl Adsr {
    /// Closed and silent. `[any]`
    pub fn new() -> Adsr {
        Adsr::default()
    }

    /// Opens the gate with a velocity above 0, or closes it, from the next frame on. Opening an
    /// open gate strikes it again. `[audio]`
    pub fn gate(&mut self, level: f32) {
        self.asked = GATE;
        self.asked_level = clamp(level, 0.0, 1.0);
    }

    /// Silence within 10 ms, from the next frame on. `[audio]`
    pub fn choke(&mut self) {
        self.asked = CHOKE;
    }

    /// The level of the next `out.len()` frames, at most 64. `[audio]`
    pub fn render(&mut self, inputs: &Inputs<'_>, out: &mut [f32]) {
        let mut frame = 0;
        while frame < out.len() {
            self.obey(inputs, frame);
            // With a gate cable any frame may be an edge; without, a stage runs to its end.
            let room = if inputs.gate.is_some() { 1 } else { out.len() - frame };
            let run = if self.left > 0 { room.min(self.left as usize) } else { room };
            self.run(inputs, frame, &mut out[frame..frame + run]);
            frame += run;
        }
    }

    /// Begins what was asked for by command or by an edge of the gate cable.
    fn obey(&mut self, inputs: &Inputs<'_>, frame: usize) {
        if let Some(gate) = inputs.gate {
            let (before, now) = (self.cable, gate.at(frame));
            self.cable = now;
            if (now > 0.0) != (before > 0.0) {
                self.gate(now);
            }
        }
        let asked = self.asked;
        self.asked = NOTHING;
        if asked == GATE && self.asked_level > 0.0 {
            self.velocity = self.asked_level;
            self.stage = ATTACK;
            self.left = frames(inputs.attack.at(frame), inputs.rate);
            self.reach = (f64::from(self.velocity) - self.level) / f64::from(self.left);
        } else if asked == GATE && matches!(self.stage, ATTACK | HOLD) {
            self.fall(RELEASE, self.level, frames(inputs.release.at(frame), inputs.rate));
        } else if asked == CHOKE && self.stage != IDLE {
            self.fall(RELEASE, self.level, frames(CHOKE_MS, inputs.rate));
        }
    }

    fn fall(&mut self, stage: u32, reach: f64, left: u32) {
        self.stage = stage;
        self.reach = reach;
        self.rest = 1.0 + BELOW;
        self.left = left;
        self.factor = libm::exp(-SPAN / f64::from(left));
    }

    /// One stretch without an edge and within one stage.
    fn run(&mut self, inputs: &Inputs<'_>, frame: usize, out: &mut [f32]) {
        match self.stage {
            ATTACK => {
                for out in out.iter_mut() {
                    self.level += self.reach;
                    *out = self.level as f32;
                }
                self.left -= self.left.min(out.len() as u32);
                if self.left == 0 {
                    self.level = f64::from(self.velocity);
                    let last = out.len() - 1;
                    out[last] = self.velocity;
                    let sustain = f64::from(inputs.sustain.at(frame + last));
                    let reach = self.level - self.level * sustain;
                    self.fall(HOLD, reach, frames(inputs.decay.at(frame + last), inputs.rate));
                }
            }
            HOLD if self.left == 0 && inputs.sustain.is_constant() => {
                self.level = f64::from(self.velocity) * f64::from(inputs.sustain.at(frame));
                out.fill(self.level as f32);
            }
            HOLD => {
                let velocity = f64::from(self.velocity);
                for (offset, out) in out.iter_mut().enumerate() {
                    let sustain = f64::from(inputs.sustain.at(frame + offset));
                    self.rest *= self.factor;
                    self.level = velocity * sustain + self.reach * (self.rest - BELOW);
                    *out = self.level as f32;
                }
                if self.arrive(out.len()) {
                    let last = out.len() - 1;
                    self.level = velocity * f64::from(inputs.sustain.at(frame + last));
                    out[last] = self.level as f32;
                }
            }
            RELEASE => {
                for out in out.iter_mut() {
                    self.rest *= self.factor;
                    self.level = self.reach * (self.rest - BELOW);
                    *out = self.level as f32;
                }
                if self.arrive(out.len()) {
                    self.stage = IDLE;
                    self.level = 0.0;
                    out[out.len() - 1] = 0.0;
                }
            }
            // A stage that does not exist can only come from a damaged checkpoint: silence.
            _ => {
                self.level = 0.0;
                self.left = 0;
                out.fill(0.0);
            }
        }
    }

    /// Counts frames of a discharge; whether this was the last of it. From then on it stands
    /// exactly at its goal.
    fn arrive(&mut self, frames: usize) -> bool {
        self.left = self.left.saturating_sub(frames as u32);
        if self.left == 0 {
            self.rest = BELOW;
            self.factor = 1.0;
        }
        self.left == 0
    }
}

/// A time in frames, at least one.
fn frames(ms: f32, rate: f32) -> u32 {
    let frames = libm::round(f64::from(ms) * f64::from(rate) / 1_000.0);
    if frames >= 1.0 { frames as u32 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::{Adsr, Inputs};
    use crate::signal::Signal;

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

    fn run(adsr: &mut Adsr, frames: usize) -> Vec<f32> {
        let mut out = vec![0.0; frames];
        for piece in out.chunks_mut(64) {
            adsr.render(&inputs(&TIMES), piece);
        }
        out
    }

    #[test]
    fn attack_and_decay_take_the_time_they_say() {
        let mut adsr = Adsr::new();
        adsr.gate(0.8);
        let heard = run(&mut adsr, 4_800);
        assert!(heard[478] < 0.8 && heard[479] == 0.8, "the peak is at 10 ms");
        assert!((heard[239] - 0.4).abs() < 1e-3, "half way after half the time");
        assert!(heard[479 + 1_919] > 0.4 && heard[479 + 1_920] == 0.4, "sustain after 40 ms");
    }

    /// S44: the release takes its time from whatever level it starts.
    #[test]
    fn release_takes_its_time_from_any_level() {
        for held in [5, 60, 479, 2_000, 20_000] {
            let mut adsr = Adsr::new();
            adsr.gate(1.0);
            let start = run(&mut adsr, held)[held - 1];
            adsr.gate(0.0);
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
        let mut adsr = Adsr::new();
        adsr.gate(1.0);
        run(&mut adsr, 4_800);
        adsr.gate(0.0);
        let before = run(&mut adsr, 1_000)[999];
        adsr.gate(1.0);
        let heard = run(&mut adsr, 480);
        assert!(heard[0] > before && heard[0] - before < 0.01, "{before} then {}", heard[0]);
        assert_eq!(heard[479], 1.0);
    }

    #[test]
    fn the_gate_cable_opens_with_its_height_and_closes() {
        let mut adsr = Adsr::new();
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
        let mut adsr = Adsr::new();
        adsr.gate(1.0);
        run(&mut adsr, 1_000);
        adsr.choke();
        let heard = run(&mut adsr, 480);
        assert_eq!(heard[479], 0.0);
        assert!(heard[478] > 0.0);
    }

    #[test]
    fn an_envelope_may_be_cut_anywhere() {
        for cut in 0..=64 {
            let (mut whole, mut parts) = (Adsr::new(), Adsr::new());
            let times = [0.4, 0.5, 0.3, 1.0];
            for adsr in [&mut whole, &mut parts] {
                adsr.gate(0.9);
            }
            let (mut one, mut two) = ([0.0; 64], [0.0; 64]);
            whole.render(&inputs(&times), &mut one);
            parts.render(&inputs(&times), &mut two[..cut]);
            parts.render(&inputs(&times), &mut two[cut..]);
            assert_eq!(one.map(f32::to_bits), two.map(f32::to_bits), "cut at {cut}");
        }
    }
}
