//! A rack on the bench: a patch, and hands to play it.
#![allow(dead_code)] // Each test file uses its own part of it.

use segue_rack::{Action, BLOCK_FRAMES, Command, Patch, Plan, Rack, Setup};

/// A rack and the patch it plays.
pub(crate) struct Bench {
    pub(crate) patch: String,
    pub(crate) plan: Plan,
    pub(crate) rack: Rack,
    out: [f32; BLOCK_FRAMES * 2],
}

impl Bench {
    /// A rack at 48 kHz, two channels, playing `patch`.
    pub(crate) fn new(patch: &str) -> Bench {
        let setup = Setup::default();
        let show = |mistakes: Vec<segue_rack::Mistake>| -> ! {
            let shown: Vec<_> = mistakes.iter().map(|m| m.render("patch", patch)).collect();
            panic!("{}\nin\n{patch}", shown.join("\n"))
        };
        let parsed = Patch::parse(patch).unwrap_or_else(|mistakes| show(mistakes));
        let plan = Plan::compile(&parsed, &setup).unwrap_or_else(|mistakes| show(mistakes));
        let rack = Rack::new(&plan, &setup).unwrap_or_else(|error| panic!("{error}"));
        Bench { patch: patch.to_string(), plan, rack, out: [0.0; BLOCK_FRAMES * 2] }
    }

    pub(crate) fn module(&self, id: &str) -> u16 {
        self.plan.module(id).unwrap_or_else(|| panic!("no {id} in {}", self.patch))
    }

    pub(crate) fn tell(&mut self, command: Command) {
        self.rack.apply(&command);
    }

    /// Moves a gate at the next block.
    pub(crate) fn gate(&mut self, id: &str, level: f32) {
        let module = self.module(id);
        self.tell(Command::now(Action::Gate { module, level }));
    }

    /// Sets a knob at a frame; over its own time.
    pub(crate) fn set_at(&mut self, due: u64, id: &str, param: &str, value: f32) {
        let module = self.module(id);
        let param = self.plan.param(module, param).unwrap_or_else(|| panic!("no {param} at {id}"));
        self.tell(Command::at(due, Action::Set { module, param, value, ramp_frames: u32::MAX }));
    }

    /// The next block.
    pub(crate) fn block(&mut self) -> &[f32] {
        self.rack.render(&mut self.out, &mut |_| {});
        &self.out
    }

    /// Opens every gate and strikes a note of every player.
    pub(crate) fn open_all(&mut self) {
        for module in 0..self.plan.modules().len() as u16 {
            let spec = self.plan.modules()[usize::from(module)].spec();
            if spec.has_gate {
                self.tell(Command::now(Action::Gate { module, level: 1.0 }));
            }
            if spec.has_notes {
                let (note, velocity, frames, voice) = (57.0, 1.0, 0, 0);
                self.tell(Command::now(Action::Note { module, note, velocity, frames, voice }));
            }
        }
    }

    /// The left side of the next blocks.
    pub(crate) fn left(&mut self, blocks: usize) -> Vec<f32> {
        (0..blocks)
            .flat_map(|_| self.block().iter().step_by(2).copied().collect::<Vec<_>>())
            .collect()
    }
}

/// Samples as bits, to be compared without mercy.
pub(crate) fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|sample| sample.to_bits()).collect()
}

/// The loudest sample.
pub(crate) fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| if sample.abs() > peak { sample.abs() } else { peak })
}
