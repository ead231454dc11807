//! The racks that are measured: their patches, and hands to play them.

use std::fmt::Write;

use segue_rack::{Action, BLOCK_FRAMES, Command, Patch, Plan, Rack, Setup};

/// Blocks from one stroke of the gates to the next: a quarter of a second at 48 kHz.
const STROKE_BLOCKS: u64 = 188;

/// An envelope that never rests while its gate changes four times a second.
pub(crate) const ENVELOPE: &str = "attack = 100, decay = 500, sustain = 0.2, release = 600";

/// One voice: sine, adsr, biquad.
pub(crate) fn one_voice() -> String {
    let voice = format!(
        "osc = {{ type = \"osc\", freq = 220 }}
env = {{ type = \"adsr\", in = \"osc\", {ENVELOPE} }}
filter = {{ type = \"biquad\", in = \"env\", cutoff = 900, q = 2 }}
"
    );
    with_out(&voice, "filter * 0.1")
}

/// `voices` voices on players of sixteen: saw, svf, an envelope for every sample; with `moved` the
/// envelope moves the cutoff as well.
pub(crate) fn players(voices: usize, moved: bool) -> String {
    let (mut modules, mut sum) = (String::new(), Vec::new());
    for n in 0..voices.div_ceil(16) {
        let lanes = (voices - n * 16).min(16);
        let _ = write!(
            modules,
            "hands{n} = {{ type = \"keys\", voices = {lanes} }}
saw{n} = {{ type = \"osc\", shape = \"saw\", freq = \"hands{n}.pitch\" }}
"
        );
        let env = format!("type = \"adsr\", gate = \"hands{n}.gate\", {ENVELOPE}");
        let svf = format!("type = \"svf\", in = \"saw{n}\", q = 2");
        let _ = match moved {
            false => write!(
                modules,
                "svf{n} = {{ {svf}, cutoff = 900 }}\namp{n} = {{ {env}, in = \"svf{n}\" }}\n"
            ),
            true => write!(
                modules,
                "env{n} = {{ {env} }}
svf{n} = {{ {svf}, cutoff = \"400 + env{n} * 2.5oct\" }}
amp{n} = {{ type = \"vca\", in = \"svf{n}\", gain = \"env{n}\" }}
"
            ),
        };
        sum.push(format!("amp{n} * 0.002"));
    }
    with_out(&modules, &sum.join(" + "))
}

pub(crate) fn with_out(modules: &str, sum: &str) -> String {
    format!("segue = 1\n{modules}out = {{ in = \"{sum}\" }}\n")
}

/// A rack with hands that move its gates and play its notes.
pub(crate) struct Played {
    rack: Rack,
    gates: Vec<u16>,
    players: Vec<(u16, u8)>,
    block: u64,
    pub(crate) peak: f32,
}

impl Played {
    /// The rack of a patch.
    pub(crate) fn new(patch: &str) -> Played {
        let setup = Setup { state_bytes: 16 << 20, ..Setup::default() };
        let parsed = Patch::parse(patch);
        let Ok(parsed) = parsed else { panic!("not a patch: {parsed:?}\n{patch}") };
        let Ok(plan) = Plan::compile(&parsed, &setup) else { panic!("no plan:\n{patch}") };
        let Ok(rack) = Rack::new(&plan, &setup) else { panic!("no rack:\n{patch}") };
        let modules = (0..plan.modules().len() as u16).map(|at| (at, &plan.modules()[at as usize]));
        let gates = modules.clone().filter(|(_, module)| module.spec().has_gate);
        let players = modules.clone().filter(|(_, module)| module.spec().has_notes);
        Played {
            rack,
            gates: gates.map(|(at, _)| at).collect(),
            players: players.map(|(at, module)| (at, module.voices() as u8)).collect(),
            block: 0,
            peak: 0.0,
        }
    }

    /// Opens or closes everything, half of it at a time, so that no block has all the strokes.
    fn stroke(&mut self) {
        let turn = self.block / (STROKE_BLOCKS / 4);
        if !self.block.is_multiple_of(STROKE_BLOCKS / 4) {
            return;
        }
        let level = if (turn / 4).is_multiple_of(2) { 0.8 } else { 0.0 };
        for at in 0..self.gates.len() {
            if at as u64 % 4 == turn % 4 && self.players.is_empty() {
                self.rack.apply(&Command::now(Action::Gate { module: self.gates[at], level }));
            }
        }
        for at in 0..self.players.len() {
            let (module, voices) = self.players[at];
            for voice in (1..=voices).filter(|voice| u64::from(*voice) % 4 == turn % 4) {
                let note = 36.0 + f32::from(voice) * 2.0 + (at % 12) as f32 * 0.37;
                let note = Action::Note { module, note, velocity: level, frames: 0, voice };
                self.rack.apply(&Command::now(note));
            }
        }
    }

    /// Renders so many blocks.
    pub(crate) fn render(&mut self, blocks: u64) {
        let mut out = [0.0; BLOCK_FRAMES * 2];
        for _ in 0..blocks {
            self.stroke();
            self.rack.render(&mut out, &mut |_| {});
            self.peak = out[0].abs().max(self.peak);
            self.block += 1;
        }
    }
}
