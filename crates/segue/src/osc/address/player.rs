//! Addresses of players: notes, and what is done to one voice.

use rosc::OscType;
use segue_rack::catalog::ModuleSpec;
use segue_rack::quantity::{self, Quantity, Unit};
use segue_rack::{Action, OWN_SMOOTHING, Plan, PlanModule};

use super::super::gate;
use super::super::refusal::{Code, Refusal};
use super::{Ask, Topic, argument, settable};

/// Lowest and highest note: 8 Hz to 20 kHz.
const NOTES: (f32, f32) = (0.0, 135.0);

/// What `/note` takes, for the text of a refusal.
const EXPECTED: &str = concat!(
    "/note takes a note (60, \"C4\" or \"55Hz\"), a velocity from 0.0 to 1.0, ",
    "then how long in ms, then which voice"
);

/// `/note/ID note velocity [ms [voice]]`.
pub(super) fn note(plan: &Plan, id: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let index = settable::module_such(plan, id, |spec| spec.has_notes, "plays notes")?;
    let module = &plan.modules()[usize::from(index)];
    if !module.spec().has_notes {
        let text = format!("'{id}' ({}) plays no notes", module.spec().name);
        return Err(Refusal::new(Code::UnknownParam, text));
    }
    let (note, velocity, rest) = match args {
        [note, velocity, rest @ ..] if rest.len() <= 2 => (note, velocity, rest),
        _ => return Err(Refusal::new(Code::WrongType, EXPECTED)),
    };
    let note = pitch(note)?;
    let level = gate::level(velocity)?;
    let frames = match rest.first() {
        Some(ms) => argument::ramp_frames(ms, plan.setup().rate)?,
        None => 0,
    };
    let voice = match rest.get(1) {
        Some(OscType::Int(number)) => voice(module, i64::from(*number))?,
        Some(_) => return Err(Refusal::new(Code::WrongType, EXPECTED)),
        None => 0,
    };
    let remark = level.clamped.then(|| {
        let text = format!("a velocity is 0.0 to 1.0; {} was used", level.level);
        Refusal::new(Code::OutOfRange, text)
    });
    let velocity = level.level;
    Ok(Ask::Act(Action::Note { module: index, note, velocity, frames, voice }, remark))
}

/// A note as a number, a name or a frequency.
fn pitch(argument: &OscType) -> Result<f32, Refusal> {
    let wrong = || Refusal::new(Code::WrongType, EXPECTED);
    let note = match argument {
        OscType::String(text) => match quantity::read(text.trim()) {
            Ok(Quantity::Bare(note)) => note,
            Ok(Quantity::Hertz(hertz)) if hertz > 0.0 => {
                (69.0 + 12.0 * (f64::from(hertz) / 440.0).log2()) as f32
            }
            _ => return Err(wrong()),
        },
        other => argument::number(other, Unit::Number, "a note")?,
    };
    if (NOTES.0..=NOTES.1).contains(&note) {
        return Ok(note);
    }
    let text = format!("notes go from {} to {} (60 is C4), not {note}", NOTES.0, NOTES.1);
    Err(Refusal::new(Code::OutOfRange, text))
}

/// A voice by its number, from 1.
fn voice(module: &PlanModule, number: i64) -> Result<u8, Refusal> {
    match u8::try_from(number) {
        Ok(voice) if voice > 0 && usize::from(voice) <= module.voices() => Ok(voice),
        _ => {
            let text = format!("'{}' has voices 1 to {}", module.id(), module.voices());
            Err(Refusal::new(Code::OutOfRange, text))
        }
    }
}

/// `/voice/ID/VOICE/PARAM [value [ms]]`.
pub(super) fn of_voice(
    plan: &Plan,
    (id, number, name): (&str, &str, &str),
    args: &[OscType],
) -> Result<Ask, Refusal> {
    let such = |spec: &ModuleSpec| !spec.voice_params.is_empty();
    let index = settable::module_such(plan, id, such, "has voices to be set")?;
    let module = &plan.modules()[usize::from(index)];
    let params = module.spec().voice_params;
    if params.is_empty() {
        let text = format!("'{id}' ({}) has no voices to be set", module.spec().name);
        return Err(Refusal::new(Code::UnknownParam, text));
    }
    let number = number.parse().map_err(|_| {
        Refusal::new(Code::WrongType, "/voice/ID/VOICE/PARAM takes the number of a voice")
    })?;
    let voice = voice(module, number)?;
    let Some(param) = params.iter().position(|param| param.name == name) else {
        let names: Vec<_> = params.iter().map(|param| param.name).collect();
        let text = format!("a voice has {}, not '{name}'", names.join(", "));
        return Err(Refusal::new(Code::UnknownParam, text));
    };
    let (spec, param) = (&params[param], param as u16);
    let (value, ramp) = match args {
        [] => return Ok(Ask::Question(Topic::Voice { module: index, voice, param })),
        [value] => (value, None),
        [value, ramp] => (value, Some(ramp)),
        _ => return Err(Refusal::new(Code::WrongType, "/voice takes a value and a time in ms")),
    };
    let asked = argument::value(value, spec)?;
    let ramp_frames = match ramp {
        Some(ramp) => argument::ramp_frames(ramp, plan.setup().rate)?,
        None => OWN_SMOOTHING,
    };
    let (value, remark) = settable::fitted(spec, (spec.min, spec.max), asked);
    Ok(Ask::Act(Action::Voice { module: index, voice, param, value, ramp_frames }, remark))
}

#[cfg(test)]
mod tests {
    use rosc::{OscMessage, OscType};
    use segue_rack::{Action, OWN_SMOOTHING, Patch, Plan, Setup};

    use super::super::{Ask, Code, Patience, Topic, expand, resolve};

    fn plan() -> Plan {
        let text = "segue = 1\nosc = { type = \"osc\" }\nhands = { type = \"keys\", voices = 4 }\n\
            [out]\nin = \"osc + hands.gate\"\n";
        Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap()
    }

    fn ask(addr: &str, args: &[OscType]) -> Result<Ask, (Code, String)> {
        let message = OscMessage { addr: addr.to_owned(), args: args.to_vec() };
        resolve(&plan(), &message).map_err(|it| (it.code, it.text))
    }

    fn text(text: &str) -> OscType {
        OscType::String(text.to_owned())
    }

    #[test]
    fn a_note_is_a_number_a_name_or_a_frequency() {
        let played = |note: OscType| match ask("/note/hands", &[note, OscType::Float(0.5)]) {
            Ok(Ask::Act(Action::Note { note, velocity: 0.5, frames: 0, voice: 0, .. }, None)) => {
                note
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(played(OscType::Int(60)), 60.0);
        assert_eq!(played(OscType::Float(60.5)), 60.5);
        assert!((played(text("C4")) - 60.0).abs() < 1e-4);
        assert!((played(text("55Hz")) - 33.0).abs() < 1e-4);
    }

    #[test]
    fn a_note_takes_how_long_and_which_voice() {
        let args = [OscType::Int(60), OscType::Float(1.0), text("1.5s"), OscType::Int(3)];
        match ask("/note/hands", &args) {
            Ok(Ask::Act(Action::Note { frames: 72_000, voice: 3, .. }, None)) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_voice_is_set_and_asked() {
        let args = [text("2st"), OscType::Int(100)];
        let (module, voice, param) = (plan().module("hands").unwrap(), 2, 0);
        match ask("/voice/hands/2/bend", &args) {
            Ok(Ask::Act(Action::Voice { value, ramp_frames: 4_800, voice: 2, .. }, None)) => {
                assert!((value - 200.0).abs() < 0.01);
            }
            other => panic!("{other:?}"),
        }
        let set = ask("/voice/hands/2/pressure", &[OscType::Float(2.0)]);
        let Ok(Ask::Act(Action::Voice { value, ramp_frames, .. }, Some(remark))) = set else {
            panic!("{set:?}");
        };
        assert_eq!((value, ramp_frames, remark.code), (1.0, OWN_SMOOTHING, Code::OutOfRange));
        let question = Ask::Question(Topic::Voice { module, voice, param });
        assert_eq!(ask("/voice/hands/2/bend", &[]), Ok(question));
        let all = OscMessage { addr: "/voice/hands/*/timbre".to_owned(), args: vec![] };
        assert_eq!(expand(&plan(), all, &mut Patience::default()).unwrap().len(), 4);
    }

    #[test]
    fn a_pattern_plays_every_player_it_matches_and_asks_none() {
        let told = |args: Vec<OscType>| {
            let message = OscMessage { addr: "/note/*".to_owned(), args };
            let messages = expand(&plan(), message, &mut Patience::default());
            messages.map(|it| it.into_iter().map(|it| it.addr).collect::<Vec<_>>())
        };
        let played = told(vec![OscType::Int(60), OscType::Float(0.0)]).unwrap();
        assert_eq!(played, ["/note/hands"]);
        assert_eq!(told(vec![]).unwrap_err().code, Code::UnknownAddress, "a note is no question");
    }

    #[test]
    fn the_length_of_a_note_is_a_time() {
        let args = |ms| [OscType::Int(60), OscType::Float(0.5), ms];
        for (ms, code) in [(text("1/8"), Code::WrongType), (OscType::Int(-1), Code::OutOfRange)] {
            let (got, why) = ask("/note/hands", &args(ms)).unwrap_err();
            assert_eq!(got, code);
            assert!(why.starts_with("a time "), "{why}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_was_expected() {
        let (note, full) = (OscType::Int(60), OscType::Float(1.0));
        let table = [
            ("/note/osc", vec![note.clone(), full.clone()], Code::UnknownParam, "no notes"),
            ("/note/hand", vec![note.clone(), full.clone()], Code::UnknownModule, "'hands'"),
            ("/note/hands", vec![], Code::WrongType, "velocity"),
            ("/note/hands", vec![note.clone()], Code::WrongType, "velocity"),
            ("/note/hands", vec![text("3ms"), full.clone()], Code::WrongType, "C4"),
            ("/note/hands", vec![OscType::Int(900), full.clone()], Code::OutOfRange, "135"),
            ("/note/hands", vec![note.clone(), text("loud")], Code::WrongType, "velocity"),
            (
                "/note/hands",
                vec![note.clone(), full.clone(), OscType::Int(9), OscType::Int(5)],
                Code::OutOfRange,
                "voices 1 to 4",
            ),
            ("/voice/hands/0/bend", vec![full.clone()], Code::OutOfRange, "voices 1 to 4"),
            ("/voice/hands/x/bend", vec![full.clone()], Code::WrongType, "number"),
            ("/voice/hands/1/bent", vec![full.clone()], Code::UnknownParam, "bend"),
            ("/voice/osc/1/bend", vec![full], Code::UnknownParam, "osc"),
        ];
        for (address, args, code, expected) in table {
            let (got, why) = ask(address, &args).expect_err(address);
            assert_eq!(got, code, "{address}: {why}");
            assert!(why.contains(expected), "{address}: {why}");
        }
    }
}
