//! What a prover plays: the plan as it is written, then with all its knobs at their ends.

use segue_rack::{Action, Command, Plan};
use serde::{Deserialize, Serialize};

/// Commands a block brings at most, as in the log.
const COMMANDS_PER_BLOCK: usize = segue_lockstep::COMMANDS_PER_BLOCK;

/// Blocks of an act once its commands are given: 43 ms at 48 kHz, beyond every smoothing.
const ACT_BLOCKS: usize = 32;

/// Which part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// As it is written, every gate opened.
    Written,
    /// Every parameter at its lowest.
    Lowest,
    /// Every parameter at its highest.
    Highest,
    /// The way there from the plan that plays.
    Over,
}

impl Act {
    /// When it was, for the end of a sentence.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Written => "",
            Self::Lowest => " with every parameter at its lowest",
            Self::Highest => " with every parameter at its highest",
            Self::Over => " when it is gone over to",
        }
    }
}

/// A block of the program: where it belongs, and what is told before it.
pub(super) struct Block {
    pub(super) act: Act,
    pub(super) commands: Vec<Command>,
}

/// The whole program for a plan, block by block.
pub(super) fn of(plan: &Plan) -> Vec<Block> {
    let acts = [
        (Act::Written, gates(plan, 1.0)),
        (Act::Lowest, extremes(plan, |spec| spec.min)),
        (Act::Highest, extremes(plan, |spec| spec.max)),
    ];
    let mut blocks = Vec::new();
    for (act, commands) in acts {
        let told = commands.chunks(COMMANDS_PER_BLOCK);
        blocks.extend(told.map(|commands| Block { act, commands: commands.to_vec() }));
        blocks.extend((0..ACT_BLOCKS).map(|_| Block { act, commands: Vec::new() }));
    }
    blocks
}

/// The modules, but for the one that does harm when it is told to: told so, it would.
fn modules(plan: &Plan) -> impl Iterator<Item = (u16, &segue_rack::PlanModule)> {
    let named = (0_u16..).zip(plan.modules());
    named.filter(|(_, module)| !(cfg!(feature = "fault") && module.spec().name == "fault"))
}

/// Every gate of a plan, and every note there can be.
pub(super) fn gates(plan: &Plan, level: f32) -> Vec<Command> {
    let gated = modules(plan).filter(|(_, module)| module.spec().has_gate);
    let gates = gated.map(|(module, _)| Action::Gate { module, level });
    // A player with every voice at once costs the most.
    let players = modules(plan).filter(|(_, module)| module.spec().has_notes);
    let notes = players.flat_map(|(index, module)| {
        (1..=module.voices() as u8).map(move |voice| {
            let note = 45.0 + 3.0 * f32::from(voice);
            Action::Note { module: index, note, velocity: level, frames: 0, voice }
        })
    });
    gates.chain(notes).map(Command::now).collect()
}

fn extremes(plan: &Plan, end: impl Fn(&segue_rack::catalog::ParamSpec) -> f32) -> Vec<Command> {
    let mut commands = Vec::new();
    for (module, at) in modules(plan) {
        for (spec, param) in at.spec().params.iter().zip(0_u16..) {
            if !spec.fixed {
                let set = Action::Set { module, param, value: end(spec), ramp_frames: 0 };
                commands.push(Command::now(set));
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use segue_rack::{Action, Plan, Setup};

    use super::{ACT_BLOCKS, Act, of};

    #[test]
    fn every_knob_is_turned_to_both_ends_and_every_gate_is_opened() {
        let text = "segue = 1\n[osc]\ntype = \"osc\"\n[env]\ntype = \"adsr\"\nin = \"osc\"\n[out]\n\
                    in = \"env\"\n";
        let patch = segue_rack::Patch::parse(text).unwrap();
        let plan = Plan::compile(&patch, &Setup::default()).unwrap();
        let blocks = of(&plan);
        assert!(blocks.len() >= 3 * ACT_BLOCKS);
        let told = |act: Act| -> Vec<Action> {
            let blocks = blocks.iter().filter(|block| block.act == act);
            blocks.flat_map(|block| &block.commands).map(|command| command.action).collect()
        };
        assert!(matches!(told(Act::Written)[..], [Action::Gate { level: 1.0, .. }]));
        let params = plan.modules().iter().flat_map(|module| module.spec().params);
        let free = params.filter(|param| !param.fixed).count();
        assert_eq!((told(Act::Lowest).len(), told(Act::Highest).len()), (free, free));
    }
}
