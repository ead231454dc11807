//! From a patch to a plan: order, voices, room.

use crate::catalog::{Kind, Width};
use crate::engine::Layout;
use crate::patch::{Mistake, Patch};
use crate::plan::{Plan, PlanCable, PlanModule, PlanPort, Setup};

/// Compiles a checked patch.
pub(super) fn compile(patch: &Patch, setup: &Setup) -> Result<Plan, Vec<Mistake>> {
    let order = order(patch)?;
    let voices = voices(patch, &order)?;
    let mut place = vec![0_u16; order.len()];
    for (position, index) in order.iter().enumerate() {
        place[*index] = position as u16;
    }
    let modules = order.iter().map(|index| {
        let module = &patch.modules()[*index];
        let ports = module.ports.iter().map(|port| PlanPort {
            constant: port.constant,
            octaves: port.octaves,
            cables: port
                .cables
                .iter()
                .map(|cable| PlanCable {
                    module: place[cable.module],
                    outlet: cable.outlet as u8,
                    amount: cable.amount,
                    bends: cable.bends,
                })
                .collect(),
        });
        PlanModule {
            id: module.id.clone(),
            spec: module.spec,
            lanes: voices[*index] as u8,
            ports: ports.collect(),
        }
    });
    let plan = Plan { title: patch.title().to_string(), setup: *setup, modules: modules.collect() };
    let needed = Layout::of(&plan).words * 8;
    if needed > setup.state_bytes {
        let at = patch.modules().last().map(|module| module.at).unwrap_or_default();
        let text =
            format!("the patch needs {needed} bytes of state, {} are there", setup.state_bytes);
        let mistake = at.mistake("full", text);
        let hint = "start with a larger --state".to_string();
        return Err(vec![Mistake { hint: Some(hint), ..mistake }]);
    }
    Ok(plan)
}

/// The order of rendering: whoever is listened to comes first; ties by place in the file.
fn order(patch: &Patch) -> Result<Vec<usize>, Vec<Mistake>> {
    let modules = patch.modules();
    let mut placed = vec![false; modules.len()];
    let mut order = Vec::with_capacity(modules.len());
    while order.len() < modules.len() {
        let ready = |index: &usize| {
            let mut cables = modules[*index].ports.iter().flat_map(|port| &port.cables);
            !placed[*index] && cables.all(|cable| placed[cable.module])
        };
        let Some(next) = (0..modules.len()).find(ready) else {
            return Err(vec![cycle(patch, &placed)]);
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// The mistake that names a cycle with its path. All modules not placed wait for another one.
fn cycle(patch: &Patch, placed: &[bool]) -> Mistake {
    let modules = patch.modules();
    let waits_for = |index: usize| {
        let cables = modules[index].ports.iter().flat_map(|port| &port.cables);
        cables.into_iter().find(|cable| !placed[cable.module])
    };
    let mut path = Vec::new();
    let mut at = placed.iter().position(|placed| !placed).unwrap_or(0);
    while !path.contains(&at) {
        path.push(at);
        match waits_for(at) {
            Some(cable) => at = cable.module,
            None => break,
        }
    }
    // What leads into the cycle is no part of it; and the path is told as the signal flows.
    let begin = path.iter().position(|index| *index == at).unwrap_or(0);
    let mut ids: Vec<&str> =
        path[begin..].iter().map(|index| modules[*index].id.as_str()).collect();
    ids.push(&modules[at].id);
    ids.reverse();
    let place = waits_for(at).map_or(modules[at].at, |cable| cable.at);
    let mistake = place.mistake("cycle", format!("a cycle: {}", ids.join(" -> ")));
    let hint = "feedback is not built yet: break it at one cable".to_string();
    Mistake { hint: Some(hint), ..mistake }
}

/// How many voices each module has, by index in the patch.
fn voices(patch: &Patch, order: &[usize]) -> Result<Vec<usize>, Vec<Mistake>> {
    let modules = patch.modules();
    let mut voices = vec![1; modules.len()];
    let mut mistakes = Vec::new();
    for index in order {
        let module = &modules[*index];
        let Some(kind) = Kind::of(module.spec) else { continue };
        let mut lanes = own_voices(patch, *index);
        for (port, cables) in module.ports.iter().map(|port| &port.cables).enumerate() {
            for cable in cables {
                let from = &modules[cable.module];
                let source = Kind::of(from.spec)
                    .map_or(1, |kind| kind.outlet_lanes(voices[cable.module])[cable.outlet]);
                let unequal = match kind.width(port) {
                    Width::Sum => false,
                    Width::Mono => source > 1,
                    Width::Voices => source > 1 && lanes > 1 && source != lanes,
                };
                if unequal {
                    let name = module.port_name(port);
                    let takes = if kind.width(port) == Width::Mono { 1 } else { lanes };
                    let text = format!(
                        "'{}' has {source} voices, '{}.{name}' takes {takes}",
                        from.id, module.id
                    );
                    mistakes.push(cable.at.mistake("unequal_voices", text));
                } else if kind.width(port) == Width::Voices {
                    lanes = lanes.max(source);
                }
            }
        }
        voices[*index] = lanes;
    }
    mistakes.sort_by_key(|mistake: &Mistake| (mistake.line, mistake.column));
    if mistakes.is_empty() { Ok(voices) } else { Err(mistakes) }
}

/// The voices a module is given by its own parameter.
fn own_voices(patch: &Patch, index: usize) -> usize {
    let module = &patch.modules()[index];
    let Some(param) = module.spec.param("voices") else { return 1 };
    module.ports[module.spec.inlets.len() + usize::from(param)].constant as usize
}
