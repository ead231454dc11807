//! From a patch to a plan: order, voices, room.

use crate::catalog::{Kind, Lanes, Width};
use crate::engine::Layout;
use crate::patch::{Mistake, Module, Patch};
use crate::plan::{Plan, PlanCable, PlanInstrument, PlanModule, PlanPort, Setup};

/// Compiles a checked patch.
pub(super) fn compile(patch: &Patch, setup: &Setup) -> Result<Plan, Vec<Mistake>> {
    let (order, mut mistakes) = order(patch);
    let voices = voices(patch, &order).unwrap_or_else(|unequal| {
        mistakes.extend(unequal);
        Vec::new()
    });
    if !mistakes.is_empty() {
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        return Err(mistakes);
    }
    let mut place = vec![0_u16; order.len()];
    for (position, index) in order.iter().enumerate() {
        place[*index] = position as u16;
    }
    let modules = order.iter().map(|index| {
        let module = &patch.modules()[*index];
        let (kind, lanes) = voices[*index];
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
                    delayed: cable.delayed,
                })
                .collect(),
        });
        PlanModule { id: module.id.clone(), spec: module.spec, kind, lanes, ports: ports.collect() }
    });
    let modules = modules.collect();
    let instruments = patch.instruments().iter().map(|instrument| PlanInstrument {
        id: instrument.id.clone(),
        params: instrument
            .params
            .iter()
            .map(|(name, targets)| {
                let placed = |(module, param): &(usize, u16)| (place[*module], *param);
                (name.clone(), targets.iter().map(placed).collect())
            })
            .collect(),
    });
    let instruments = instruments.collect();
    let (title, source) = (patch.title().to_string(), patch.text().to_string());
    let plan = Plan { title, source, setup: *setup, modules, instruments };
    let layout = Layout::of(&plan);
    if layout.words * 8 > setup.state_bytes {
        let (largest, words) = layout.largest();
        let largest = &patch.modules()[order[largest]];
        return Err(vec![full(largest, words * 8, layout.words * 8, setup.state_bytes)]);
    }
    Ok(plan)
}

/// The mistake of a patch that needs more room than there is, told where most of it goes.
fn full(largest: &Module, takes: usize, needed: usize, there: usize) -> Mistake {
    let text = format!("the patch needs {needed} bytes of state, {there} are there");
    let mut hint = format!("start with --state {}MiB", needed.div_ceil(1 << 20));
    if takes > needed / 2 {
        hint.push_str(&format!(", or make '{}' smaller, which takes {takes} of them", largest.id));
    }
    Mistake { hint: Some(hint), ..largest.at.mistake("full", text) }
}

/// The order of rendering: whoever is listened to comes first; ties by place in the file. A cycle
/// is a mistake, and is left where it was named, so that others are found.
fn order(patch: &Patch) -> (Vec<usize>, Vec<Mistake>) {
    let modules = patch.modules();
    let mut placed = vec![false; modules.len()];
    let mut order = Vec::with_capacity(modules.len());
    let mut cycles = Vec::new();
    while order.len() < modules.len() {
        let ready = |index: &usize| {
            let mut cables = modules[*index].ports.iter().flat_map(|port| &port.cables);
            !placed[*index] && cables.all(|cable| cable.delayed || placed[cable.module])
        };
        let next = (0..modules.len()).find(ready).unwrap_or_else(|| {
            let (named, mistake) = cycle(patch, &placed);
            cycles.push(mistake);
            named
        });
        placed[next] = true;
        order.push(next);
    }
    (order, cycles)
}

/// A module of a cycle, and the mistake that names it with its path. All modules not placed wait
/// for another one.
fn cycle(patch: &Patch, placed: &[bool]) -> (usize, Mistake) {
    let modules = patch.modules();
    let waits_for = |index: usize| {
        let cables = modules[index].ports.iter().flat_map(|port| &port.cables);
        cables.into_iter().find(|cable| !cable.delayed && !placed[cable.module])
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
    let hint = format!("let one cable come a moment late: delayed({})", modules[at].id);
    (at, Mistake { hint: Some(hint), ..mistake })
}

/// What each module does and how many lanes it has, by index in the patch.
fn voices(patch: &Patch, order: &[usize]) -> Result<Vec<(&'static Kind, Lanes)>, Vec<Mistake>> {
    let modules = patch.modules();
    let mut known = Vec::with_capacity(modules.len());
    for (index, module) in modules.iter().enumerate() {
        // The patch has its specs from the catalog.
        let kind = Kind::of(module.spec)
            .ok_or_else(|| vec![module.at.mistake("unknown_type", "a type without a kind")])?;
        known.push((kind, Lanes { voices: own_voices(patch, index), control: 1 }));
    }
    // A delayed cable comes from a module further on, whose lanes may follow from this one's:
    // once more for each module is enough, and lanes only ever grow.
    let mut mistakes = Vec::new();
    for _ in 0..=modules.len() {
        let before: Vec<Lanes> = known.iter().map(|(_, lanes)| *lanes).collect();
        mistakes.clear();
        for index in order {
            known[*index].1 = lanes(patch, *index, &known, &mut mistakes);
        }
        if known.iter().zip(&before).all(|((_, lanes), before)| lanes == before) {
            break;
        }
    }
    if mistakes.is_empty() { Ok(known) } else { Err(mistakes) }
}

/// The lanes of one module, given those of the others.
fn lanes(
    patch: &Patch,
    index: usize,
    known: &[(&'static Kind, Lanes)],
    mistakes: &mut Vec<Mistake>,
) -> Lanes {
    let module = &patch.modules()[index];
    let (kind, mut lanes) = known[index];
    for (port, cables) in module.ports.iter().map(|port| &port.cables).enumerate() {
        let width = (kind.width)(port);
        for cable in cables {
            let (from, lanes_from) = known[cable.module];
            let source = (from.outlets)(lanes_from)[cable.outlet];
            let takes = if width == Width::Mono { 1 } else { lanes.voices };
            let unequal = match width {
                Width::Sum => false,
                Width::Mono => source > 1,
                Width::Voices | Width::Control => source > 1 && takes > 1 && source != takes,
            };
            if unequal {
                let (id, name) = (&patch.modules()[cable.module].id, module.port_name(port));
                let text =
                    format!("'{id}' has {source} voices, '{}.{name}' takes {takes}", module.id);
                mistakes.push(cable.at.mistake("unequal_voices", text));
            } else if matches!(width, Width::Voices | Width::Control) {
                lanes.voices = lanes.voices.max(source);
                if width == Width::Control {
                    lanes.control = lanes.control.max(source);
                }
            }
        }
    }
    lanes
}

/// The voices a module is given by its own parameter.
fn own_voices(patch: &Patch, index: usize) -> usize {
    let module = &patch.modules()[index];
    let Some(param) = module.spec.param("voices") else { return 1 };
    module.ports[module.spec.inlets.len() + usize::from(param)].constant as usize
}
