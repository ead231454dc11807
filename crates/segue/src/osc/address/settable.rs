//! Addresses that are set with arguments and asked without.

use rosc::OscType;
use segue_rack::catalog::ParamSpec;
use segue_rack::quantity::{Unit, decibels_gain};
use segue_rack::{Action, OWN_SMOOTHING, Plan};

use super::super::gate;
use super::super::refusal::{Code, Refusal};
use super::{Ask, Topic, argument};

/// What `/master/gain` takes, in dB.
const MASTER_DB: (f32, f32) = (-96.0, 12.0);

/// Every settable address of a plan.
pub(super) fn addresses(plan: &Plan) -> impl Iterator<Item = String> + '_ {
    let of_module = |module: &segue_rack::PlanModule| {
        let (id, spec) = (module.id().to_owned(), module.spec());
        let gate = spec.has_gate.then(|| format!("/gate/{id}"));
        let free = spec.params.iter().filter(|param| !param.fixed);
        let named = id.clone();
        let voices = (1..=module.voices()).flat_map(move |voice| {
            let id = named.clone();
            let params = spec.voice_params.iter();
            params.map(move |param| format!("/voice/{id}/{voice}/{}", param.name))
        });
        let params = free.map(move |param| format!("/mod/{id}/{}", param.name));
        gate.into_iter().chain(params).chain(voices)
    };
    let fixed = ["/master/gain", "/master/mute"].map(str::to_owned);
    plan.modules().iter().flat_map(of_module).chain(fixed)
}

/// Index of the module `id`.
pub(super) fn module(plan: &Plan, id: &str) -> Result<u16, Refusal> {
    plan.module(id).ok_or_else(|| {
        let hint = match plan.nearest_module(id) {
            Some(meant) => format!("; did you mean '{meant}'?"),
            None => "; /engine/list names those there are".to_owned(),
        };
        Refusal::new(Code::UnknownModule, format!("no module '{id}'{hint}"))
    })
}

/// `/mod/ID/PARAM [value [ms]]`.
pub(super) fn param(plan: &Plan, id: &str, name: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let module = module(plan, id)?;
    let owner = &plan.modules()[usize::from(module)];
    let spec = owner.spec();
    let Some(param) = plan.param(module, name) else {
        let hint = match plan.nearest_param(module, name) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None if spec.params.is_empty() => "it has none".to_owned(),
            None => {
                let names: Vec<_> = spec.params.iter().map(|param| param.name).collect();
                format!("it has {}", names.join(", "))
            }
        };
        let text = format!("'{id}' ({}) has no parameter '{name}'; {hint}", spec.name);
        return Err(Refusal::new(Code::UnknownParam, text));
    };
    let spec = &spec.params[usize::from(param)];
    let (value, ramp) = match args {
        [] => return Ok(Ask::Question(Topic::Param { module, param })),
        [value] => (value, None),
        [value, ramp] => (value, Some(ramp)),
        _ => return Err(Refusal::new(Code::WrongType, "/mod takes a value and a time in ms")),
    };
    if spec.fixed {
        let text = format!("'{name}' is part of the structure: it is set in the patch");
        return Err(Refusal::new(Code::Forbidden, text));
    }
    let asked = argument::value(value, spec)?;
    let ramp_frames = match ramp {
        Some(ramp) => argument::ramp_frames(ramp, plan.setup().rate)?,
        None => OWN_SMOOTHING,
    };
    let range = owner.range(param).unwrap_or((spec.min, spec.max));
    let (value, remark) = fitted(spec, range, asked);
    Ok(Ask::Act(Action::Set { module, param, value, ramp_frames }, remark))
}

/// `/gate/ID [level]`.
pub(super) fn gate(plan: &Plan, id: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let module = module(plan, id)?;
    let spec = plan.modules()[usize::from(module)].spec();
    if !spec.has_gate {
        let text = format!("'{id}' ({}) has no gate", spec.name);
        return Err(Refusal::new(Code::UnknownParam, text));
    }
    let level = match args {
        [] => return Ok(Ask::Question(Topic::Gate { module })),
        [argument] => gate::level(argument)?,
        _ => return Err(Refusal::new(Code::WrongType, gate::EXPECTED)),
    };
    let remark = level.clamped.then(|| {
        let text = format!("{}; {} was used", gate::EXPECTED, level.level);
        Refusal::new(Code::OutOfRange, text)
    });
    Ok(Ask::Act(Action::Gate { module, level: level.level }, remark))
}

/// `/master/gain [dB [ms]]`.
pub(super) fn master_gain(plan: &Plan, args: &[OscType]) -> Result<Ask, Refusal> {
    let (value, ramp) = match args {
        [] => return Ok(Ask::Question(Topic::MasterGain)),
        [value] => (value, None),
        [value, ramp] => (value, Some(ramp)),
        _ => return Err(Refusal::new(Code::WrongType, "/master/gain takes dB and a time in ms")),
    };
    let asked = match value {
        OscType::String(text) => {
            let bare = text.trim().trim_end_matches("dB").trim_end_matches("db");
            argument::number(&OscType::String(bare.to_owned()), Unit::Number, "the gain in dB")?
        }
        other => argument::number(other, Unit::Number, "the gain in dB")?,
    };
    let ramp_frames = match ramp {
        Some(ramp) => argument::ramp_frames(ramp, plan.setup().rate)?,
        None => OWN_SMOOTHING,
    };
    let decibels = asked.clamp(MASTER_DB.0, MASTER_DB.1);
    let remark = (decibels != asked).then(|| {
        let text = format!("{} to {} dB; {decibels} was used", MASTER_DB.0, MASTER_DB.1);
        Refusal::new(Code::OutOfRange, text)
    });
    Ok(Ask::Act(Action::MasterGain { gain: decibels_gain(decibels), ramp_frames }, remark))
}

/// `/master/mute [0/1]`.
pub(super) fn master_mute(args: &[OscType]) -> Result<Ask, Refusal> {
    match args {
        [] => Ok(Ask::Question(Topic::MasterMute)),
        [argument] => {
            let on = gate::level(argument)?.level > 0.0;
            Ok(Ask::Act(Action::MasterMute { on }, None))
        }
        _ => Err(Refusal::new(Code::WrongType, "/master/mute takes 0 or 1")),
    }
}

/// The value in its range, with a remark if it lay outside.
pub(super) fn fitted(
    spec: &ParamSpec,
    (min, max): (f32, f32),
    asked: f32,
) -> (f32, Option<Refusal>) {
    let value = spec.clamp(asked).min(max);
    let remark = (asked < min || asked > max).then(|| {
        let unit = spec.unit.symbol();
        let space = if unit.is_empty() { "" } else { " " };
        let name = spec.name;
        let text = format!("{name} takes {min} to {max}{space}{unit}; {value} was used");
        Refusal::new(Code::OutOfRange, text)
    });
    (value, remark)
}
