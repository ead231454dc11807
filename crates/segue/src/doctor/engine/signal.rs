//! The signal within a patch: which modules are silent, and which of them is the first.
//!
//! The instrument is taken from the engine's newest checkpoint and rendered here for a moment,
//! so that each module can be heard by itself.

use segue_lockstep::snapshot::Snapshot;
use segue_lockstep::{BLOCK_FRAMES, Shape};
use segue_rack::{Library, Performer};

use crate::client::report;
use crate::doctor::finding::Finding;

/// Below this a signal is silent: -100 dB.
pub(crate) const SILENT: f32 = 1e-5;

/// How long the instrument is listened to, in blocks: a slow oscillation moves in that time.
const BLOCKS: usize = 750;

/// The patch of an engine, heard module by module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signal {
    /// In the order of the signal; the last is `out`.
    pub(crate) modules: Vec<Module>,
    /// Linear gain, and whether it is muted.
    pub(crate) master: (f32, bool),
}

/// A module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Module {
    /// Its id.
    pub(crate) id: String,
    /// Its type.
    pub(crate) kind: &'static str,
    /// What its gate was told last, where there is one.
    pub(crate) gate: Option<f32>,
    /// Whether it was taken out of the signal.
    pub(crate) bypassed: bool,
    /// The largest magnitude of what it gave.
    pub(crate) peak: f32,
    /// Modules it receives from.
    pub(crate) sources: Vec<usize>,
    /// Parameters that stand at zero and could be more.
    pub(crate) zeros: Vec<&'static str>,
}

impl Signal {
    /// The signal of the engine a snapshot was taken of; none before its first checkpoint.
    pub(crate) fn of(snapshot: &Snapshot, shape: &Shape) -> Option<Self> {
        snapshot.state.as_ref()?;
        let mut panel = report::panel(snapshot, shape)?;
        Some(Self::listen(&mut panel, shape.channels))
    }

    fn listen<L: Library>(panel: &mut Performer<L>, channels: usize) -> Self {
        let rack = panel.rack();
        let parts = panel.plan().modules().iter().zip(0_u16..);
        let mut modules: Vec<Module> = parts
            .map(|(module, at)| {
                let params = module.spec().params.iter().zip(0_u16..);
                let zeros = params.filter(|(spec, param)| {
                    rack.param(at, *param) == Some(0.0) && spec.max > 0.0 && spec.choices.is_empty()
                });
                Module {
                    id: module.id().to_owned(),
                    kind: module.spec().name,
                    gate: rack.gate(at),
                    bypassed: rack.is_bypassed(at),
                    peak: 0.0,
                    sources: module.sources().into_iter().map(usize::from).collect(),
                    zeros: zeros.map(|(spec, _)| spec.name).collect(),
                }
            })
            .collect();
        let master = rack.master();
        let mut out = vec![0.0; BLOCK_FRAMES * channels];
        for _ in 0..BLOCKS {
            panel.render(&mut out, &mut |_| {});
            for (module, at) in modules.iter_mut().zip(0_u16..) {
                module.peak = module.peak.max(panel.rack().peak(at).unwrap_or(0.0));
            }
        }
        Self { modules, master }
    }

    /// What is silent first, or why nothing can sound; empty when `out` is given sound.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let Some(out) = self.modules.iter().rposition(|module| module.kind == "out") else {
            return vec![Finding::bad("patch", "there is no `out`")];
        };
        if self.modules[out].sources.is_empty() {
            let text = match self.modules.len() {
                1 => "the rack is empty",
                _ => "nothing is connected to `out`",
            };
            return vec![
                Finding::bad("patch", text)
                    .cure("segue stop && segue run patches/first.toml  # or a patch of your own"),
            ];
        }
        let mut first = Vec::new();
        self.descend(out, &mut first);
        first.sort_unstable();
        first.dedup();
        first.into_iter().map(|at| self.explain(at)).collect()
    }

    /// Collects the silent modules that have no silent source.
    fn descend(&self, at: usize, first: &mut Vec<usize>) {
        let module = &self.modules[at];
        if module.peak > SILENT {
            return;
        }
        let silent = |source: &&usize| {
            **source < at && self.modules.get(**source).is_some_and(|it| it.peak <= SILENT)
        };
        let sources: Vec<usize> = module.sources.iter().filter(silent).copied().collect();
        match sources.is_empty() || module.bypassed {
            true => first.push(at),
            false => sources.into_iter().for_each(|source| self.descend(source, first)),
        }
    }

    fn explain(&self, at: usize) -> Finding {
        let Module { id, kind, gate, bypassed, sources, zeros, .. } = &self.modules[at];
        let name = format!("'{id}' ({kind})");
        if *bypassed {
            return Finding::bad("module", format!("{name} is bypassed: it failed before"))
                .cure(format!("segue send /engine/revive {id}"));
        }
        if *gate == Some(0.0) {
            return Finding::bad("gate", format!("{name} is silent: its gate is closed"))
                .cure(format!("segue send /gate/{id} 1"));
        }
        let text = match sources.is_empty() {
            true => format!("{name} gives nothing"),
            false => format!("{name} is given sound and gives none"),
        };
        let finding = Finding::bad("module", text);
        match zeros.first() {
            Some(param) => finding.cure(format!("segue send /mod/{id}/{param} 1  # it is 0 now")),
            None => finding.cure(format!("segue modules {kind}  # its parameters and inlets")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use segue_rack::{Action, Command, Patch, Performer, Plan, Setup};

    use super::Signal;
    use crate::doctor::finding::Finding;

    /// What is found in a patch after these commands.
    fn found(text: &str, commands: impl Fn(&Plan) -> Vec<Action>) -> Vec<Finding> {
        let setup = Setup::default();
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &setup).unwrap();
        let plans = BTreeMap::from([(0, plan.clone())]);
        let mut panel = Performer::probed(plans, 0, &setup).unwrap();
        let told = commands(&plan).into_iter().map(Command::now);
        told.for_each(|command| panel.apply(&command.encode()));
        panel.render(&mut [0.0; 128], &mut |_| {});
        Signal::listen(&mut panel, 2).judge()
    }

    const FIRST: &str = include_str!("../../../../../patches/first.toml");

    #[test]
    fn a_closed_gate_is_the_first_silent_stage_although_all_after_it_are_silent_too() {
        let closed = found(FIRST, |_| vec![]);
        assert_eq!(closed.len(), 1);
        assert!(closed[0].found.contains("'env' (adsr)") && closed[0].check == "gate");
        assert_eq!(closed[0].cure, ["segue send /gate/env 1"]);
        let gate =
            |plan: &Plan| vec![Action::Gate { module: plan.module("env").unwrap(), level: 1.0 }];
        assert_eq!(found(FIRST, gate), []);
    }

    #[test]
    fn an_empty_rack_and_an_out_without_cables_are_told_apart() {
        assert_eq!(found("segue = 1\n[out]\n", |_| vec![])[0].found, "the rack is empty");
        let loose = "segue = 1\n[osc]\ntype = \"osc\"\n[out]\n";
        assert_eq!(found(loose, |_| vec![])[0].found, "nothing is connected to `out`");
    }

    #[test]
    fn what_passes_nothing_on_is_named_with_the_parameter_that_is_zero() {
        let shut = "segue = 1\n[osc]\ntype = \"osc\"\n[amp]\ntype = \"vca\"\nin = \"osc\"\n\
                    gain = 0\n[out]\nin = \"amp\"\n";
        let found = found(shut, |_| vec![]);
        assert_eq!(found[0].found, "'amp' (vca) is given sound and gives none");
        assert_eq!(found[0].cure, ["segue send /mod/amp/gain 1  # it is 0 now"]);
    }

    #[test]
    fn a_bypassed_module_is_the_culprit_whatever_feeds_it() {
        let bypass = |plan: &Plan| vec![Action::Bypass { module: plan.module("osc").unwrap() }];
        let one = "segue = 1\n[osc]\ntype = \"osc\"\n[out]\nin = \"osc\"\n";
        assert_eq!(found(one, bypass)[0].cure, ["segue send /engine/revive osc"]);
    }
}
