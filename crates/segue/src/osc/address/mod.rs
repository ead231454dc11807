//! Addresses: what a message asks for, checked against the plan that plays.
//!
//! *Invariant*: what leaves here as an [`Ask`] is whole and right: modules and parameters exist,
//! values are finite and in range. Everything else is a [`Refusal`] that says what was expected.

mod argument;
mod patch;
mod player;
mod settable;

use rosc::{OscMessage, OscType};
use segue_rack::{Action, Plan};

pub(crate) use self::patch::{FADE_MS, PatchAsk, pending_set};
use super::pattern;
use super::refusal::{Code, Refusal};

/// What a message asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// Something for the rack; with a remark if it is not done quite as asked.
    Act(Action, Option<Refusal>),
    /// What a settable address stands at.
    Question(Topic),
    /// The patch itself.
    Patch(PatchAsk),
    /// Recording.
    Record(RecordAsk),
    /// The engine itself.
    Engine(EngineAsk),
    /// `/synced` with this number when everything before is in the log.
    Sync(i32),
}

/// What can be set, and so asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// `/mod/ID/PARAM`.
    Param {
        /// Index in the plan.
        module: u16,
        /// Index in the spec.
        param: u16,
    },
    /// `/gate/ID`.
    Gate {
        /// Index in the plan.
        module: u16,
    },
    /// `/voice/ID/VOICE/PARAM`.
    Voice {
        /// Index in the plan.
        module: u16,
        /// From 1.
        voice: u8,
        /// Index in the spec's voice params.
        param: u16,
    },
    /// `/master/gain`, in dB.
    MasterGain,
    /// `/master/mute`.
    MasterMute,
}

/// `/record/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordAsk {
    /// Begin, under this name in the show folder.
    Start(Option<String>),
    /// End.
    Stop,
    /// What is being recorded.
    Status,
}

/// `/engine/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineAsk {
    /// The state, as `segue status --json` prints it.
    Status,
    /// The modules of the patch.
    List,
    /// The catalog and all addresses.
    Schema,
    /// Name, version, protocol.
    Hello,
    /// Bring back what was bypassed or given up: everything, or one.
    Revive(Revived),
    /// All notes off.
    Panic,
    /// Drop what is scheduled.
    Clear,
}

/// What `/engine/revive` brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revived {
    /// Every slot and module.
    All,
    /// One module.
    Module(u16),
    /// One slot.
    Slot(u32),
}

/// Every address there is, as the manual writes it.
pub(crate) const ADDRESSES: [&str; 31] = [
    "/mod/ID/PARAM",
    "/gate/ID",
    "/note/ID",
    "/voice/ID/VOICE/PARAM",
    "/test",
    "/master/gain",
    "/master/mute",
    "/patch/create",
    "/patch/delete",
    "/patch/connect",
    "/patch/disconnect",
    "/patch/begin",
    "/patch/commit",
    "/patch/abort",
    "/patch/apply",
    "/patch/get",
    "/patch/undo",
    "/patch/redo",
    "/patch/save",
    "/patch/load",
    "/record/start",
    "/record/stop",
    "/record/status",
    "/engine/status",
    "/engine/list",
    "/engine/schema",
    "/engine/hello",
    "/engine/revive",
    "/engine/panic",
    "/engine/clear",
    "/sync",
];

/// Addresses one pattern may stand for.
const EXPANSION_MAX: usize = 64;
/// Messages that all patterns of one packet may stand for: as many as it may hold without any.
const EXPANSIONS_MAX: usize = 4096;
/// Steps in which all patterns of one packet are looked up, some 20 ms: a packet of nothing but
/// patterns made to be slow took two seconds, after which control counts as hung.
const STEPS_MAX: u32 = 1 << 22;
/// What it takes to write down an address that a pattern is held against, in such steps.
const ADDRESS_STEPS: u32 = 16;
/// Longest address that is looked at.
const ADDRESS_BYTES_MAX: usize = 255;

/// What the patterns of one packet may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    steps: u32,
    messages: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self { steps: STEPS_MAX, messages: EXPANSIONS_MAX }
    }
}

/// The messages a message with a pattern stands for; a plain one stands for itself.
pub(crate) fn expand(
    plan: &Plan,
    message: OscMessage,
    patience: &mut Patience,
) -> Result<Vec<OscMessage>, Refusal> {
    if message.addr.len() > ADDRESS_BYTES_MAX {
        let text = format!("an address has at most {ADDRESS_BYTES_MAX} bytes");
        return Err(Refusal::new(Code::TooLong, text));
    }
    // A question is answered by the address it was put to.
    let parts = |address: String| match settable::several(plan, &address) {
        Some(parts) if !message.args.is_empty() => parts,
        _ => vec![address],
    };
    let told = |hits: Vec<String>| {
        let each = |addr| OscMessage { addr, args: message.args.clone() };
        Ok(hits.into_iter().map(each).collect())
    };
    if !pattern::is_pattern(&message.addr) {
        return told(parts(message.addr.clone()));
    }
    let steps = &mut patience.steps;
    // A note has no value to be asked for.
    let notes = settable::notes(plan).filter(|_| !message.args.is_empty());
    let mut hits: Vec<String> = settable::addresses(plan)
        .chain(notes)
        .filter(|address| {
            *steps = steps.saturating_sub(ADDRESS_STEPS);
            pattern::matches(&message.addr, address, steps)
        })
        .take(EXPANSION_MAX + 1)
        .flat_map(parts)
        .collect();
    let mut known = std::collections::HashSet::new();
    hits.retain(|address| known.insert(address.clone()));
    if *steps == 0 || hits.len() > patience.messages {
        let text = "the patterns of this packet mean more than is looked up at a time; send it in \
                    several";
        return Err(Refusal::new(Code::Full, text));
    }
    patience.messages -= hits.len();
    match hits.len() {
        0 => {
            let text = "the pattern matches nothing that is set or played in this patch";
            Err(Refusal::new(Code::UnknownAddress, text))
        }
        hit if hit > EXPANSION_MAX => {
            let text = format!("the pattern matches more than {EXPANSION_MAX} addresses");
            Err(Refusal::new(Code::Full, text))
        }
        _ => told(hits),
    }
}

/// What `message` asks of an engine that plays `plan`.
pub(crate) fn resolve(plan: &Plan, message: &OscMessage) -> Result<Ask, Refusal> {
    let mut parts = message.addr.strip_prefix('/').unwrap_or_default().split('/');
    let args = message.args.as_slice();
    let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    if let [Some("voice"), Some(id), Some(voice), Some(param), None] = parts {
        return player::of_voice(plan, (id, voice, param), args);
    }
    let [first, second, third, fourth, _] = parts;
    match [first, second, third, fourth] {
        [Some("mod"), Some(id), Some(param), None] => settable::param(plan, id, param, args),
        [Some("gate"), Some(id), None, None] => settable::gate(plan, id, args),
        [Some("note"), Some(id), None, None] => player::note(plan, id, args),
        [Some("master"), Some("gain"), None, None] => settable::master_gain(plan, args),
        [Some("master"), Some("mute"), None, None] => settable::master_mute(args),
        [Some("test"), None, None, None] => {
            argument::none(args).map(|()| Ask::Act(Action::Test, None))
        }
        [Some("sync"), None, None, None] => argument::int(args).map(Ask::Sync),
        [Some("patch"), Some(what), None, None] => patch::patch(what, args),
        [Some("record"), Some(what), None, None] => record(what, args),
        [Some("engine"), Some(what), None, None] => engine(plan, what, args),
        _ => Err(unknown(&message.addr)),
    }
}

fn record(what: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let ask = match (what, args) {
        ("start", []) => RecordAsk::Start(None),
        ("start", [OscType::String(name)]) => RecordAsk::Start(Some(name.clone())),
        ("start", _) => {
            return Err(Refusal::new(Code::WrongType, "/record/start takes a name, or nothing"));
        }
        ("stop", args) => argument::none(args).map(|()| RecordAsk::Stop)?,
        ("status", args) => argument::none(args).map(|()| RecordAsk::Status)?,
        _ => return Err(unknown(&format!("/record/{what}"))),
    };
    Ok(Ask::Record(ask))
}

fn engine(plan: &Plan, what: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let plain = match what {
        "status" => EngineAsk::Status,
        "list" => EngineAsk::List,
        "schema" => EngineAsk::Schema,
        "hello" => EngineAsk::Hello,
        "panic" => EngineAsk::Panic,
        "clear" => EngineAsk::Clear,
        "revive" => return revive(plan, args).map(|it| Ask::Engine(EngineAsk::Revive(it))),
        _ => return Err(unknown(&format!("/engine/{what}"))),
    };
    argument::none(args).map(|()| Ask::Engine(plain))
}

fn revive(plan: &Plan, args: &[OscType]) -> Result<Revived, Refusal> {
    match args {
        [] => Ok(Revived::All),
        [OscType::String(id)] => settable::module(plan, id).map(Revived::Module),
        [OscType::Int(slot)] if *slot >= 0 => Ok(Revived::Slot(slot.unsigned_abs())),
        _ => {
            let text = "/engine/revive takes the id of a module, the number of a slot, or nothing";
            Err(Refusal::new(Code::WrongType, text))
        }
    }
}

fn unknown(address: &str) -> Refusal {
    let meant = segue_rack::nearest(address, ADDRESSES).map(str::to_owned);
    let meant = meant.or_else(|| of_the_form(address));
    let hint = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
    Refusal::new(Code::UnknownAddress, format!("nothing answers to '{address}'{hint}"))
}

/// The address of a module that `address` was meant to be: with its first word mended, or, where
/// words are missing or too many, as the manual writes it.
fn of_the_form(address: &str) -> Option<String> {
    let mut forms = ADDRESSES.iter().filter(|it| it.contains("/ID"));
    let word = |address: &str| address.split('/').nth(1).unwrap_or_default().to_owned();
    let words: Vec<String> = forms.clone().map(|form| word(form)).collect();
    let typed = word(address);
    let meant = segue_rack::nearest(&typed, words.iter().map(String::as_str))?;
    let form = forms.find(|form| word(form) == meant)?;
    if form.split('/').count() != address.split('/').count() {
        return Some((*form).to_owned());
    }
    Some(format!("/{meant}{}", &address[1 + typed.len()..]))
}

#[cfg(test)]
mod tests {
    use rosc::{OscMessage, OscType};
    use segue_rack::{Action, OWN_SMOOTHING, Patch, Plan, Setup};

    use super::{
        ADDRESSES, Ask, Code, EngineAsk, Patience, RecordAsk, Revived, Topic, expand, resolve,
    };

    const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\nfreq = 440\n\
        [env]\ntype = \"adsr\"\nin = \"osc\"\n\
        [filter]\ntype = \"biquad\"\nin = \"env\"\ncutoff = 800\n[out]\nin = \"filter\"\n";

    fn plan() -> Plan {
        Plan::compile(&Patch::parse(PATCH).unwrap(), &Setup::default()).unwrap()
    }

    fn text(text: &str) -> OscType {
        OscType::String(text.to_owned())
    }

    fn ask(addr: &str, args: Vec<OscType>) -> Result<Ask, (Code, String)> {
        let message = OscMessage { addr: addr.to_owned(), args };
        resolve(&plan(), &message).map_err(|it| (it.code, it.text))
    }

    fn value_of(addr: &str, argument: OscType) -> f32 {
        match ask(addr, vec![argument]) {
            Ok(Ask::Act(Action::Set { value, .. }, None)) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_parameter_is_set_by_any_number_or_quantity() {
        for argument in [OscType::Int(800), OscType::Float(800.0), OscType::Double(800.0)] {
            assert_eq!(value_of("/mod/filter/cutoff", argument), 800.0);
        }
        assert_eq!(value_of("/mod/filter/cutoff", text("1.2kHz")), 1200.0);
        assert_eq!(value_of("/mod/osc/frequency", text("A4")), 440.0);
        assert_eq!(
            value_of("/mod/osc/shape", text("saw")),
            value_of("/mod/osc/shape", text("SAW"))
        );
    }

    #[test]
    fn a_second_argument_is_the_time_it_takes() {
        let ramp = |args| match ask("/mod/filter/cutoff", args) {
            Ok(Ask::Act(Action::Set { ramp_frames, .. }, None)) => ramp_frames,
            other => panic!("{other:?}"),
        };
        assert_eq!(ramp(vec![OscType::Int(800)]), OWN_SMOOTHING);
        assert_eq!(ramp(vec![OscType::Int(800), OscType::Int(250)]), 12_000);
        assert_eq!(ramp(vec![OscType::Int(800), text("1s")]), 48_000);
    }

    #[test]
    fn what_is_out_of_range_is_clamped_and_told() {
        match ask("/mod/filter/cutoff", vec![OscType::Float(1e9)]) {
            Ok(Ask::Act(Action::Set { value, .. }, Some(remark))) => {
                assert_eq!(remark.code, Code::OutOfRange);
                assert!(remark.text.contains(&format!("{value}")), "{}", remark.text);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_double_beyond_every_float_is_clamped_and_an_infinite_one_refused() {
        let cutoff = |value| ask("/mod/filter/cutoff", vec![OscType::Double(value)]);
        match cutoff(1e300) {
            Ok(Ask::Act(Action::Set { value: 20_000.0, .. }, Some(remark))) => {
                assert_eq!(remark.code, Code::OutOfRange);
            }
            other => panic!("{other:?}"),
        }
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(cutoff(value).unwrap_err().0, Code::NotFinite);
        }
    }

    /// A module may have less than its type allows: an echo as long as its line.
    #[test]
    fn what_this_very_module_has_no_room_for_is_clamped_and_told() {
        let text = "segue = 1\necho = { type = \"delay\", max = 400 }\n[out]\nin = \"echo\"\n";
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap();
        let args = vec![OscType::Int(900)];
        let message = OscMessage { addr: "/mod/echo/time".to_owned(), args };
        match resolve(&plan, &message) {
            Ok(Ask::Act(Action::Set { value: 400.0, .. }, Some(remark))) => {
                assert_eq!(remark.text, "time takes 0 to 400 ms; 400 was used");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_was_expected() {
        let one = || vec![OscType::Float(1.0)];
        let table = [
            ("/mod/filtr/cutoff", one(), Code::UnknownModule, "did you mean 'filter'?"),
            ("/mod/filter/cutof", one(), Code::UnknownParam, "did you mean 'cutoff'?"),
            ("/mod/filter/cutoff", vec![text("loud")], Code::WrongType, "Hz"),
            ("/mod/filter/cutoff", vec![text("3ms")], Code::WrongType, "Hz"),
            ("/mod/filter/cutoff", vec![OscType::Blob(vec![])], Code::WrongType, "Hz"),
            ("/mod/filter/cutoff", vec![OscType::Float(f32::NAN)], Code::NotFinite, "finite"),
            ("/mod/osc/shape", vec![text("round")], Code::WrongType, "saw"),
            ("/mod/osc/voices", vec![OscType::Int(2)], Code::Forbidden, "patch"),
            ("/gate/filter", one(), Code::UnknownParam, "no gate"),
            ("/gate/env", vec![text("maybe")], Code::WrongType, "velocity"),
            ("/gate/nobody", one(), Code::UnknownModule, "nobody"),
            ("/tset", vec![], Code::UnknownAddress, "did you mean '/test'?"),
            ("/mod/filter", one(), Code::UnknownAddress, "did you mean '/mod/ID/PARAM'?"),
            ("/mood/filter/q", one(), Code::UnknownAddress, "did you mean '/mod/filter/q'?"),
            ("/nots/env", one(), Code::UnknownAddress, "did you mean '/note/env'?"),
            ("/voice/hands/bend", one(), Code::UnknownAddress, "'/voice/ID/VOICE/PARAM'?"),
            ("/note", one(), Code::UnknownAddress, "did you mean '/note/ID'?"),
            ("/seq/x/y", one(), Code::UnknownAddress, "nothing answers to '/seq/x/y'"),
            ("/", vec![], Code::UnknownAddress, "'/'"),
            ("/sync", vec![text("a")], Code::WrongType, "number"),
            ("/engine/revive", vec![OscType::Nil], Code::WrongType, "slot"),
        ];
        for (address, args, code, expected) in table {
            let (got, why) = ask(address, args).expect_err(address);
            assert_eq!(got, code, "{address}: {why}");
            assert!(why.contains(expected), "{address}: {why}");
        }
    }

    #[test]
    fn every_settable_address_without_arguments_is_a_question() {
        let plan = plan();
        let module = plan.module("filter").unwrap();
        let param = plan.param(module, "cutoff").unwrap();
        let topics = [
            ("/mod/filter/cutoff", Topic::Param { module, param }),
            ("/gate/env", Topic::Gate { module: plan.module("env").unwrap() }),
            ("/master/gain", Topic::MasterGain),
            ("/master/mute", Topic::MasterMute),
        ];
        for (address, topic) in topics {
            assert_eq!(ask(address, vec![]), Ok(Ask::Question(topic)));
        }
    }

    #[test]
    fn the_engine_and_the_recorder_are_asked_by_name() {
        let name = Some("take".to_owned());
        let table = [
            ("/record/start", vec![text("take")], Ask::Record(RecordAsk::Start(name))),
            ("/record/stop", vec![], Ask::Record(RecordAsk::Stop)),
            ("/engine/status", vec![], Ask::Engine(EngineAsk::Status)),
            ("/engine/revive", vec![], Ask::Engine(EngineAsk::Revive(Revived::All))),
            ("/sync", vec![OscType::Int(7)], Ask::Sync(7)),
            ("/test", vec![], Ask::Act(Action::Test, None)),
        ];
        for (address, args, expected) in table {
            assert_eq!(ask(address, args), Ok(expected));
        }
    }

    #[test]
    fn the_master_takes_decibels() {
        match ask("/master/gain", vec![text("-6dB")]) {
            Ok(Ask::Act(Action::MasterGain { gain, ramp_frames: OWN_SMOOTHING }, None)) => {
                assert!((gain - 0.501).abs() < 0.001, "{gain}");
            }
            other => panic!("{other:?}"),
        }
        let mute = Ask::Act(Action::MasterMute { on: true }, None);
        assert_eq!(ask("/master/mute", vec![OscType::Int(1)]), Ok(mute));
    }

    #[test]
    fn the_manual_has_a_section_for_every_address_and_for_no_other() {
        let manual = include_str!("../../../../../docs/osc.md");
        let sections: Vec<_> = manual.lines().filter_map(|it| it.strip_prefix("### ")).collect();
        for address in ADDRESSES {
            assert!(sections.contains(&address), "docs/osc.md lacks {address}");
        }
        assert_eq!(sections.len(), ADDRESSES.len());
    }

    #[test]
    fn a_pattern_stands_for_every_address_it_matches() {
        let expanded = |addr: &str| {
            let message = OscMessage { addr: addr.to_owned(), args: vec![] };
            let messages = expand(&plan(), message, &mut Patience::default());
            let messages = messages.map_err(|it| it.code)?;
            Ok::<_, Code>(messages.into_iter().map(|it| it.addr).collect::<Vec<_>>())
        };
        assert_eq!(expanded("/mod/*/cutoff"), Ok(vec!["/mod/filter/cutoff".to_owned()]));
        assert_eq!(expanded("/gate/*"), Ok(vec!["/gate/env".to_owned()]));
        assert_eq!(expanded("/mod/nobody/*"), Err(Code::UnknownAddress));
        assert_eq!(expanded(&"/a".repeat(200)), Err(Code::TooLong));
    }

    /// Each alone is quickly looked up; thousands in a packet are not, and control has to beat.
    #[test]
    fn the_patterns_of_one_packet_share_what_they_may_cost() {
        for (addr, least) in [("/mod/*?*?*?*?*/z", 100), ("/mod/*/cutoff", 1000)] {
            let (plan, mut patience) = (plan(), Patience::default());
            let message = OscMessage { addr: addr.to_owned(), args: vec![] };
            let mut look = || expand(&plan, message.clone(), &mut patience).map_err(|it| it.code);
            let answered = (0..100_000).take_while(|_| look() != Err(Code::Full)).count();
            assert!((least..50_000).contains(&answered), "{answered} times {addr}");
        }
    }
}
