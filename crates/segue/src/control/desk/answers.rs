//! What questions are answered with.

use rosc::OscType;
use segue_rack::Plan;
use serde_json::json;

use crate::offline::build;
use crate::osc::address::Topic;

/// Version of what stands in `docs/osc.md`.
const PROTOCOL: i32 = 1;
/// Gain below which a level in dB is said to be the lowest there is.
const SILENT_DB: f32 = -96.0;

/// The value of a settable address as an argument: a word for a choice, dB for the master.
pub(super) fn value(plan: &Plan, topic: Topic, value: f32) -> OscType {
    match topic {
        Topic::Param { module, param } => {
            let spec = plan.modules()[usize::from(module)].spec();
            let choices = spec.params[usize::from(param)].choices;
            match choices.get(value as usize) {
                Some(word) => OscType::String((*word).to_owned()),
                None => OscType::Float(value),
            }
        }
        Topic::Gate { .. } | Topic::Voice { .. } => OscType::Float(value),
        Topic::MasterGain => OscType::Float(decibels(value)),
        Topic::MasterMute => OscType::Int(i32::from(value > 0.0)),
    }
}

/// `/engine/hello`: name, version, protocol.
pub(crate) fn hello() -> Vec<OscType> {
    let text = |text: &str| OscType::String(text.to_owned());
    vec![text("segue"), text(build::VERSION), OscType::Int(PROTOCOL)]
}

/// `/engine/list`: the modules of the patch as JSON.
pub(crate) fn list(plan: &Plan) -> String {
    let modules = plan.modules().iter().map(|module| {
        let spec = module.spec();
        let params: Vec<_> = spec.params.iter().map(|param| param.name).collect();
        json!({ "id": module.id(), "type": spec.name, "params": params, "gate": spec.has_gate,
            "notes": spec.has_notes, "voices": module.voices() })
    });
    json!({ "title": plan.title(), "modules": modules.collect::<Vec<_>>() }).to_string()
}

/// Linear gain in dB, to a hundredth: what was asked for as -6 is answered as -6.
fn decibels(gain: f32) -> f32 {
    if gain <= 0.0 {
        return SILENT_DB;
    }
    let decibels = f64::from(gain).log10() * 20.0;
    ((decibels * 100.0).round() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use rosc::OscType;
    use segue_rack::{Plan, Setup, quantity};

    use super::{Topic, value};

    #[test]
    fn a_gain_asked_for_in_decibels_is_answered_in_the_same() {
        let plan = Plan::empty(&Setup::default());
        for decibels in [-96.0, -60.0, -6.0, 0.0, 12.0] {
            let gain = quantity::decibels_gain(decibels);
            assert_eq!(value(&plan, Topic::MasterGain, gain), OscType::Float(decibels));
        }
    }
}
