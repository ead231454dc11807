//! A plan as bytes, and back only if nothing in them is wild.
//!
//! *Layout*: postcard of [`WirePlan`], which begins with the version. The journal embeds it.

use serde::{Deserialize, Serialize};

use crate::catalog::{Kind, Width, spec};
use crate::engine::Layout;
use crate::names::is_id;
use crate::patch::MODULES_MAX;
use crate::plan::{Plan, PlanCable, PlanError, PlanModule, PlanPort, Setup};

/// Version of the bytes. Counts up with every change of them or of the arena's layout.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct WirePlan {
    version: u32,
    title: String,
    rate: u32,
    channels: u16,
    state_bytes: u64,
    modules: Vec<WireModule>,
}

#[derive(Serialize, Deserialize)]
struct WireModule {
    id: String,
    kind: String,
    lanes: u8,
    ports: Vec<WirePort>,
}

#[derive(Serialize, Deserialize)]
struct WirePort {
    constant: f32,
    octaves: f32,
    cables: Vec<(u16, u8, f32, bool)>,
}

/// The bytes of a plan.
pub(super) fn to_bytes(plan: &Plan) -> Vec<u8> {
    let port = |port: &PlanPort| WirePort {
        constant: port.constant,
        octaves: port.octaves,
        cables: port
            .cables
            .iter()
            .map(|cable| (cable.module, cable.outlet, cable.amount, cable.bends))
            .collect(),
    };
    let module = |module: &PlanModule| WireModule {
        id: module.id.clone(),
        kind: module.spec.name.to_string(),
        lanes: module.lanes,
        ports: module.ports.iter().map(port).collect(),
    };
    let wire = WirePlan {
        version: VERSION,
        title: plan.title.clone(),
        rate: plan.setup.rate,
        channels: plan.setup.channels,
        state_bytes: plan.setup.state_bytes as u64,
        modules: plan.modules.iter().map(module).collect(),
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
    let outs = modules.iter().filter(|module| module.spec.name == "out").count();
    check(outs == 1, "not exactly one out")?;
    let plan = Plan { title: wire.title, setup, modules };
    check(Layout::of(&plan).words * 8 <= setup.state_bytes, "more state than there is room")?;
    Ok(plan)
}

fn check(holds: bool, what: &'static str) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(PlanError::Wild { what }) }
}

/// One module; its cables may come from `earlier` ones only.
fn read_module(wire: WireModule, earlier: &[PlanModule]) -> Result<PlanModule, PlanError> {
    check(is_id(&wire.id), "an id that is none")?;
    check(earlier.iter().all(|module| module.id != wire.id), "an id twice")?;
    let wild = |what| PlanError::Wild { what };
    let spec = spec(&wire.kind).ok_or_else(|| wild("an unknown type"))?;
    let kind = Kind::of(spec).ok_or_else(|| wild("an unknown type"))?;
    check(spec.name == wire.kind, "a type by its old name")?;
    check((1..=16).contains(&wire.lanes), "voices out of range")?;
    let known = spec.inlets.len() + spec.params.len();
    check(wire.ports.len() == known, "another number of ports")?;
    let mut ports = Vec::with_capacity(known);
    for (index, port) in wire.ports.into_iter().enumerate() {
        check(port.constant.is_finite() && port.octaves.is_finite(), "a value not finite")?;
        let mut cables = Vec::with_capacity(port.cables.len());
        for (module, outlet, amount, bends) in port.cables {
            let cable = PlanCable { module, outlet, amount, bends };
            let source =
                earlier.get(usize::from(module)).ok_or_else(|| wild("a cable to nothing"))?;
            check(usize::from(outlet) < source.spec.outlets.len(), "an outlet that is none")?;
            check(amount.is_finite(), "a value not finite")?;
            let lanes = source.outlet_lanes(outlet);
            let fits = match kind.width(index) {
                Width::Sum => true,
                Width::Mono => lanes == 1,
                Width::Voices => lanes == 1 || lanes == usize::from(wire.lanes),
            };
            check(fits, "unequal voices")?;
            cables.push(cable);
        }
        let choice = index >= spec.inlets.len() && {
            let param = &spec.params[index - spec.inlets.len()];
            param.fixed || !param.choices.is_empty()
        };
        check(!choice || cables.is_empty(), "a cable into a choice")?;
        ports.push(PlanPort { constant: port.constant, octaves: port.octaves, cables });
    }
    Ok(PlanModule { id: wire.id, spec, lanes: wire.lanes, ports })
}
