//! Addresses that are set with arguments and asked without.

use rosc::OscType;
use segue_rack::catalog::{ModuleSpec, ParamSpec};
use segue_rack::quantity::{Unit, decibels_gain};
use segue_rack::{Action, OWN_SMOOTHING, Plan};

use super::super::gate;
use super::super::refusal::{Code, Refusal};
use super::{Ask, Topic, argument};

/// What `/master/gain` takes, in dB.
const MASTER_DB: (f32, f32) = (-96.0, 12.0);

/// The same, for the text of a refusal.
const MASTER_EXPECTED: &str = "the gain takes dB, as a number or as text like -6dB";

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
    let of_instrument = |instrument: &segue_rack::PlanInstrument| {
        let address = |name: &str| format!("/mod/{}/{name}", instrument.id());
        instrument.params().map(address).collect::<Vec<_>>()
    };
    let instruments = plan.instruments().iter().flat_map(of_instrument);
    plan.modules().iter().flat_map(of_module).chain(instruments).chain(fixed)
}

/// Every `/note/ID` of a plan.
pub(super) fn notes(plan: &Plan) -> impl Iterator<Item = String> + '_ {
    let players = plan.modules().iter().filter(|module| module.spec().has_notes);
    players.map(|module| format!("/note/{}", module.id()))
}

/// The addresses of parts that an instrument's param moves, where it moves several.
pub(super) fn several(plan: &Plan, address: &str) -> Option<Vec<String>> {
    let (id, name) = address.strip_prefix("/mod/")?.split_once('/')?;
    let targets = plan.instrument(id)?.targets(name);
    let part = |(module, param): &(u16, u16)| {
        let module = &plan.modules()[usize::from(*module)];
        format!("/mod/{}/{}", module.id(), module.spec().params[usize::from(*param)].name)
    };
    (targets.len() > 1).then(|| targets.iter().map(part).collect())
}

/// Index of the module `id`.
pub(super) fn module(plan: &Plan, id: &str) -> Result<u16, Refusal> {
    plan.module(id).ok_or_else(|| {
        if plan.instrument(id).is_some() {
            let text =
                format!("'{id}' is an instrument; {}", parts(plan, plan.parts(id, |_| true)));
            return Refusal::new(Code::UnknownModule, text);
        }
        let hint = match plan.nearest_module(id) {
            Some(meant) => format!("; did you mean '{meant}'?"),
            None => "; /engine/list names those there are".to_owned(),
        };
        Refusal::new(Code::UnknownModule, format!("no module '{id}'{hint}"))
    })
}

/// Index of the module `id`, or of the one part of the instrument `id` whose type is such. Where
/// there is none, that no part does what such a type `does` is told.
pub(super) fn module_such(
    plan: &Plan,
    id: &str,
    such: impl Fn(&ModuleSpec) -> bool,
    does: &str,
) -> Result<u16, Refusal> {
    if plan.instrument(id).is_none() {
        return module(plan, id);
    }
    match plan.parts(id, such).as_slice() {
        [part] => Ok(*part),
        [] => {
            let text = format!("no part of the instrument '{id}' {does}");
            Err(Refusal::new(Code::UnknownParam, text))
        }
        several => {
            let text = format!("'{id}' has several such parts; {}", parts(plan, several.to_vec()));
            Err(Refusal::new(Code::UnknownModule, text))
        }
    }
}

/// The second half of a refusal that wants a part named.
fn parts(plan: &Plan, parts: Vec<u16>) -> String {
    let ids = parts.iter().map(|part| plan.modules()[usize::from(*part)].id());
    format!("name one of its parts: {}", ids.collect::<Vec<_>>().join(", "))
}

/// `/mod/ID/PARAM [value [ms]]`.
pub(super) fn param(plan: &Plan, id: &str, name: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    if let Some(instrument) = plan.instrument(id) {
        // What moves several parts is expanded before: of a question the first one answers.
        if let [(module, param), ..] = instrument.targets(name) {
            return of_module(plan, (*module, *param), name, args);
        }
        let names = instrument.params().collect::<Vec<_>>();
        let hint = match segue_rack::nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None if names.is_empty() => "it moves none of its parts".to_owned(),
            None => format!("it has {}", names.join(", ")),
        };
        let text = format!("the instrument '{id}' has no parameter '{name}'; {hint}");
        return Err(Refusal::new(Code::UnknownParam, text));
    }
    let module = module(plan, id)?;
    let spec = plan.modules()[usize::from(module)].spec();
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
    of_module(plan, (module, param), name, args)
}

/// A parameter that is there, set or asked by the name it was called.
fn of_module(
    plan: &Plan,
    (module, param): (u16, u16),
    name: &str,
    args: &[OscType],
) -> Result<Ask, Refusal> {
    let owner = &plan.modules()[usize::from(module)];
    let spec = &owner.spec().params[usize::from(param)];
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
    let module = module_such(plan, id, |spec| spec.has_gate, "has a gate")?;
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
    let number = |value: &OscType| {
        argument::number(value, Unit::Number, "the gain").map_err(|refusal| match refusal.code {
            Code::WrongType => Refusal::new(refusal.code, MASTER_EXPECTED),
            _ => refusal,
        })
    };
    let asked = match value {
        OscType::String(text) => {
            let bare = text.trim().trim_end_matches("dB").trim_end_matches("db");
            number(&OscType::String(bare.to_owned()))?
        }
        other => number(other)?,
    };
    let ramp_frames = match ramp {
        Some(ramp) => argument::ramp_frames(ramp, plan.setup().rate)?,
        None => OWN_SMOOTHING,
    };
    let decibels = asked.clamp(MASTER_DB.0, MASTER_DB.1);
    let remark = (decibels != asked).then(|| {
        let text =
            format!("the gain is {} to {} dB; {decibels} was used", MASTER_DB.0, MASTER_DB.1);
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

#[cfg(test)]
mod tests {
    use rosc::{OscMessage, OscType};
    use segue_rack::{Action, Patch, Plan, Setup};

    use super::super::{Ask, Code, Patience, Topic, expand, resolve};

    const PATCH: &str = "segue = 1
lead = { type = \"voice\" }
duo = { type = \"pair\" }
[out]
in = \"lead + duo\"
[define.voice]
params = { pitch = [\"low.freq\", \"high.freq\"], cutoff = \"filter.cutoff\", gate = \"env.gate\" }
out = \"env\"
keys = { type = \"keys\", voices = 2 }
low = { type = \"osc\", freq = \"keys.pitch\" }
high = { type = \"osc\" }
filter = { type = \"svf\", in = \"low + high\" }
env = { type = \"adsr\", in = \"filter\", gate = \"keys.gate\" }
[define.pair]
out = \"a + b\"
a = { type = \"adsr\" }
b = { type = \"adsr\" }
";

    fn plan() -> Plan {
        Plan::compile(&Patch::parse(PATCH).unwrap(), &Setup::default()).unwrap()
    }

    /// What becomes of a message: the asks, by their addresses, or the first refusal.
    fn asked(addr: &str, args: &[OscType]) -> Result<Vec<(String, Ask)>, (Code, String)> {
        let message = OscMessage { addr: addr.to_owned(), args: args.to_vec() };
        let messages =
            expand(&plan(), message, &mut Patience::default()).map_err(|it| (it.code, it.text))?;
        let one = |message: OscMessage| {
            let ask = resolve(&plan(), &message).map_err(|it| (it.code, it.text))?;
            Ok((message.addr, ask))
        };
        messages.into_iter().map(one).collect()
    }

    fn set(module: &str, param: &str, value: f32) -> Ask {
        let module = plan().module(module).unwrap();
        let param = plan().param(module, param).unwrap();
        let ramp_frames = segue_rack::OWN_SMOOTHING;
        Ask::Act(Action::Set { module, param, value, ramp_frames }, None)
    }

    #[test]
    fn a_part_is_set_by_its_own_address_and_by_the_param_that_names_it() {
        let value = [OscType::Float(700.0)];
        let own = asked("/mod/lead.filter/cutoff", &value).unwrap();
        assert_eq!(own[0].1, set("lead.filter", "cutoff", 700.0));
        let named = asked("/mod/lead/cutoff", &value).unwrap();
        let address = "/mod/lead/cutoff".to_owned();
        assert_eq!(named, [(address, set("lead.filter", "cutoff", 700.0))]);
    }

    #[test]
    fn a_param_of_several_parts_moves_them_all_and_is_asked_under_its_own_name() {
        let both = [
            ("/mod/lead.low/freq".to_owned(), set("lead.low", "freq", 220.0)),
            ("/mod/lead.high/freq".to_owned(), set("lead.high", "freq", 220.0)),
        ];
        let value = [OscType::Float(220.0)];
        assert_eq!(asked("/mod/lead/pitch", &value).unwrap(), both);
        assert_eq!(asked("/mod/lead/pi*", &value).unwrap(), both);
        assert_eq!(asked("/mod/lead*/{freq,pitch}", &value).unwrap(), both);
        let module = plan().module("lead.low").unwrap();
        let param = plan().param(module, "freq").unwrap();
        let question = Ask::Question(Topic::Param { module, param });
        assert_eq!(asked("/mod/lead/pitch", &[]).unwrap(), [("/mod/lead/pitch".into(), question)]);
    }

    #[test]
    fn notes_gates_and_voices_reach_the_one_part_that_takes_them() {
        let (note, full) = (OscType::Int(60), OscType::Float(1.0));
        let keys = plan().module("lead.keys").unwrap();
        let played = asked("/note/lead", &[note, full.clone()]).unwrap();
        assert!(
            matches!(&played[0].1, Ask::Act(Action::Note { module, .. }, None) if *module == keys)
        );
        let bent = asked("/voice/lead/2/bend", &[OscType::Int(100)]).unwrap();
        assert!(
            matches!(&bent[0].1, Ask::Act(Action::Voice { module, .. }, None) if *module == keys)
        );
        let env = plan().module("lead.env").unwrap();
        let gated = asked("/gate/lead", &[full]).unwrap();
        assert!(
            matches!(&gated[0].1, Ask::Act(Action::Gate { module, .. }, None) if *module == env)
        );
    }

    #[test]
    fn what_an_instrument_has_not_or_has_twice_is_refused_with_what_there_is() {
        let one = [OscType::Float(1.0)];
        let table = [
            ("/mod/lead/cutof", Code::UnknownParam, "did you mean 'cutoff'?"),
            ("/mod/lead/gate", Code::UnknownParam, "it has pitch, cutoff"),
            ("/mod/duo/attack", Code::UnknownParam, "it moves none of its parts"),
            ("/gate/duo", Code::UnknownModule, "name one of its parts: duo.a, duo.b"),
            ("/mod/lead.fliter/cutoff", Code::UnknownModule, "did you mean 'lead.filter'?"),
            ("/note/duo", Code::UnknownParam, "no part of the instrument 'duo' plays notes"),
            ("/gate/led", Code::UnknownModule, "did you mean 'lead'?"),
        ];
        for (address, code, expected) in table {
            let (got, why) = asked(address, &one).expect_err(address);
            assert_eq!(got, code, "{address}: {why}");
            assert!(why.contains(expected), "{address}: {why}");
        }
    }
}
