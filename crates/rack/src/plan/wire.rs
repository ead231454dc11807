//! A plan as bytes, and back only if nothing in them is wild.
//!
//! *Layout*: postcard of [`WirePlan`], which begins with the version. The journal embeds it.

use serde::{Deserialize, Serialize};

use crate::catalog::{Kind, Lanes, Width, spec};
use crate::engine::Layout;
use crate::names::{is_id, is_module_id};
use crate::patch::MODULES_MAX;
use crate::plan::{Plan, PlanCable, PlanError, PlanInstrument, PlanModule, PlanPort, Setup};

/// Version of the bytes. Counts up with every change of them or of the arena's layout.
const VERSION: u32 = 4;

#[derive(Serialize, Deserialize)]
struct WirePlan {
    version: u32,
    title: String,
    source: String,
    rate: u32,
    channels: u16,
    state_bytes: u64,
    modules: Vec<WireModule>,
    instruments: Vec<WireInstrument>,
}

#[derive(Serialize, Deserialize)]
struct WireInstrument {
    id: String,
    /// Name, and the module and parameter of each target.
    params: Vec<(String, Vec<(u16, u16)>)>,
}

#[derive(Serialize, Deserialize)]
struct WireModule {
    id: String,
    kind: String,
    /// Voices and control lanes.
    lanes: (u8, u8),
    ports: Vec<WirePort>,
}

#[derive(Serialize, Deserialize)]
struct WirePort {
    constant: f32,
    octaves: f32,
    /// Module, outlet, amount, whether it bends, whether it is delayed.
    cables: Vec<(u16, u8, f32, bool, bool)>,
}

/// The bytes of a plan.
pub(super) fn to_bytes(plan: &Plan) -> Vec<u8> {
    let port = |port: &PlanPort| WirePort {
        constant: port.constant,
        octaves: port.octaves,
        cables: port
            .cables
            .iter()
            .map(|cable| {
                let PlanCable { module, outlet, amount, bends, delayed } = *cable;
                (module, outlet, amount, bends, delayed)
            })
            .collect(),
    };
    let module = |module: &PlanModule| WireModule {
        id: module.id.clone(),
        kind: module.spec.name.to_string(),
        lanes: (module.lanes.voices as u8, module.lanes.control as u8),
        ports: module.ports.iter().map(port).collect(),
    };
    let wire = WirePlan {
        version: VERSION,
        title: plan.title.clone(),
        source: plan.source.clone(),
        rate: plan.setup.rate,
        channels: plan.setup.channels,
        state_bytes: plan.setup.state_bytes as u64,
        modules: plan.modules.iter().map(module).collect(),
        instruments: plan
            .instruments
            .iter()
            .map(|it| WireInstrument { id: it.id.clone(), params: it.params.clone() })
            .collect(),
    };
    match postcard::to_allocvec(&wire) {
        Ok(bytes) => bytes,
        Err(error) => panic!("plain numbers and texts can be written: {error}"),
    }
}

/// The plan in `bytes`.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
    let (found, _) = postcard::take_from_bytes::<u32>(bytes).map_err(|_| PlanError::Malformed)?;
    if found != VERSION {
        return Err(PlanError::Version { found, wanted: VERSION });
    }
    let (wire, rest) =
        postcard::take_from_bytes::<WirePlan>(bytes).map_err(|_| PlanError::Malformed)?;
    if !rest.is_empty() {
        return Err(PlanError::Malformed);
    }
    let setup = Setup {
        rate: wire.rate,
        channels: wire.channels,
        state_bytes: usize::try_from(wire.state_bytes).map_err(|_| PlanError::Malformed)?,
    };
    setup.check()?;
    check(wire.modules.len() <= MODULES_MAX, "too many modules")?;
    let mut modules: Vec<PlanModule> = Vec::with_capacity(wire.modules.len());
    for module in wire.modules {
        let module = read_module(module, &modules)?;
        modules.push(module);
    }
    for module in &modules {
        check_cables(module, &modules)?;
    }
    let outs = modules.iter().filter(|module| module.spec.name == "out").count();
    check(outs == 1, "not exactly one out")?;
    let instruments = read_instruments(wire.instruments, &modules)?;
    let (title, source) = (wire.title, wire.source);
    let plan = Plan { title, source, setup, modules, instruments };
    check(Layout::of(&plan).words * 8 <= setup.state_bytes, "more state than there is room")?;
    Ok(plan)
}

fn check(holds: bool, what: &'static str) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(PlanError::Wild { what }) }
}

/// The instruments, none without parts, and no part without one.
fn read_instruments(
    wire: Vec<WireInstrument>,
    modules: &[PlanModule],
) -> Result<Vec<PlanInstrument>, PlanError> {
    check(wire.len() <= MODULES_MAX, "too many instruments")?;
    let mut owners: Vec<&str> = modules.iter().filter_map(|it| owner(&it.id)).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut ids: Vec<&str> = wire.iter().map(|instrument| instrument.id.as_str()).collect();
    ids.sort_unstable();
    check(ids == owners, "parts of no instrument, or an instrument of no parts")?;
    check(modules.iter().all(|it| ids.binary_search(&it.id.as_str()).is_err()), "an id twice")?;
    for instrument in &wire {
        for (name, targets) in &instrument.params {
            check(is_id(name), "a param's name that is none")?;
            for (module, param) in targets {
                let there = modules.get(usize::from(*module)).is_some_and(|module| {
                    owner(&module.id) == Some(&instrument.id)
                        && usize::from(*param) < module.spec.params.len()
                });
                check(there, "a param of nothing")?;
            }
        }
    }
    Ok(wire.into_iter().map(|it| PlanInstrument { id: it.id, params: it.params }).collect())
}

/// The instrument of a part.
fn owner(id: &str) -> Option<&str> {
    id.split_once('.').map(|(instrument, _)| instrument)
}

/// One module; its cables are checked for themselves only.
fn read_module(wire: WireModule, earlier: &[PlanModule]) -> Result<PlanModule, PlanError> {
    check(is_module_id(&wire.id), "an id that is none")?;
    check(earlier.iter().all(|module| module.id != wire.id), "an id twice")?;
    let wild = |what| PlanError::Wild { what };
    let spec = spec(&wire.kind).ok_or_else(|| wild("an unknown type"))?;
    let kind = Kind::of(spec).ok_or_else(|| wild("an unknown type"))?;
    check(spec.name == wire.kind, "a type by its old name")?;
    let (voices, control) = (usize::from(wire.lanes.0), usize::from(wire.lanes.1));
    check((1..=16).contains(&voices), "voices out of range")?;
    check(control == 1 || control == voices, "control lanes out of range")?;
    let known = spec.inlets.len() + spec.params.len();
    check(wire.ports.len() == known, "another number of ports")?;
    let mut ports = Vec::with_capacity(known);
    for (index, port) in wire.ports.into_iter().enumerate() {
        check(port.constant.is_finite() && port.octaves.is_finite(), "a value not finite")?;
        let param = index.checked_sub(spec.inlets.len()).map(|param| &spec.params[param]);
        if let Some(param) = param.filter(|param| param.fixed) {
            let within = param.clamp(port.constant) == port.constant;
            check(within, "a fixed value out of range")?;
        }
        let choice = param.is_some_and(|param| param.fixed || !param.choices.is_empty());
        check(!choice || port.cables.is_empty(), "a cable into a choice")?;
        let mut cables = Vec::with_capacity(port.cables.len());
        for (module, outlet, amount, bends, delayed) in port.cables {
            check(amount.is_finite(), "a value not finite")?;
            let here = delayed || usize::from(module) < earlier.len();
            check(here, "a cable to nothing")?;
            cables.push(PlanCable { module, outlet, amount, bends, delayed });
        }
        ports.push(PlanPort { constant: port.constant, octaves: port.octaves, cables });
    }
    Ok(PlanModule { id: wire.id, spec, kind, lanes: Lanes { voices, control }, ports })
}

/// Whether all cables of a module come from somewhere, with as many lanes as it takes.
fn check_cables(module: &PlanModule, modules: &[PlanModule]) -> Result<(), PlanError> {
    for (index, port) in module.ports.iter().enumerate() {
        for cable in &port.cables {
            let wild = || PlanError::Wild { what: "a cable to nothing" };
            let source = modules.get(usize::from(cable.module)).ok_or_else(wild)?;
            let outlet = usize::from(cable.outlet);
            check(outlet < source.spec.outlets.len(), "an outlet that is none")?;
            let (lanes, takes) = (source.outlet_lanes(cable.outlet), module.lanes);
            let fits = match (module.kind.width)(index) {
                Width::Sum => true,
                Width::Mono => lanes == 1,
                Width::Voices => lanes == 1 || lanes == takes.voices,
                Width::Control => lanes == 1 || lanes == takes.control,
            };
            check(fits, "unequal voices")?;
        }
    }
    Ok(())
}
