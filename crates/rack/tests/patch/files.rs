//! Patch files as people write them: what is understood, and what is told where it is not.

use super::told;
use segue_rack::{Patch, Plan, PlanError, Rack, Setup};

fn plan(text: &str) -> Plan {
    let plan = Patch::parse(text).and_then(|patch| Plan::compile(&patch, &Setup::default()));
    plan.unwrap_or_else(|_| panic!("{}", told(text)))
}

/// S30, S34: every mistake, all at once, each with its place and the nearest name.
#[test]
fn all_mistakes_are_told_at_once_each_where_it_stands() {
    let text = r#"segue = 1
meter = 7
Big = { type = "osc" }
saw = { type = "osc", shape = "swa", freq = "bas.pitch + 14ct" }
env = { type = "adrs", atack = 5 }
flt = { type = "biquad", in = "sav * 0.5", cutof = 800, q = 900, mode = 3.5 }
amp = { type = "vca", in = "saw.aut", gain = "saw * env" }
lfo = { in = "saw" }
kick = 3
[out]
in = "amp + 5mm"
title = "late"
"#;
    let expected = r#"[not_built] p.toml:2:1: error: 'meter' is not built yet in this version
[bad_id] p.toml:3:1: error: 'Big' cannot be an id; a small letter, then up to 31 small letters, digits or _
[out_of_range] p.toml:4:31: error: 'shape' cannot be 'swa'; did you mean 'saw'?
[unknown_module] p.toml:4:46: error: no module 'bas'
[unknown_type] p.toml:5:16: error: no module type 'adrs'; did you mean 'adsr'?
[unknown_module] p.toml:6:32: error: no module 'sav'; did you mean 'saw'?
[unknown_param] p.toml:6:44: error: 'flt' (biquad) has no 'cutof'; did you mean 'cutoff'?
[out_of_range] p.toml:6:61: error: 'q' cannot be 900; 0.5 to 20, as a plain number
[out_of_range] p.toml:6:73: error: 'mode' cannot be 3.5; one of lowpass, highpass, bandpass, notch
[unknown_outlet] p.toml:7:29: error: 'saw' (osc) has no outlet 'aut'; did you mean 'out'?
[product] p.toml:7:47: error: a source times a source is a module of its own; use a vca: in is the one, gain the other
[missing_type] p.toml:8:1: error: 'lfo' has no type; give it one, as type = "osc"; segue modules lists them
[wrong_type] p.toml:9:1: error: 'kick' is no module; a module is written kick = { type = "osc" }
[bad_quantity] p.toml:11:13: error: 'mm' is not a unit
[unknown_param] p.toml:12:1: error: 'out' (out) has no 'title'; 'title' belongs above the first [table]"#;
    let told = told(text).replace(", \"fault\", \"ballast\"", "");
    for (told, expected) in told.lines().zip(expected.lines()) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.lines().count(), expected.lines().count());
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line() {
    let told = told("segue = 1\nosc = { type = \"osc\"\n[out]\nin = = 3\n");
    assert!(
        told.starts_with("[syntax] p.toml:2:") || told.starts_with("[syntax] p.toml:3:"),
        "{told}"
    );
    assert!(told.contains("p.toml:4:"), "{told}");
}

#[test]
fn the_version_must_be_there_and_be_one() {
    assert!(told("[out]\n").starts_with("[bad_version] p.toml:1:1: error: the version"));
    assert!(told("segue = 2\n[out]\n").starts_with("[bad_version] p.toml:1:1: error: this build"));
    assert_eq!(told("segue = 1\n[out]\n"), "fine");
}

/// S36: what is heard is what is led to `out`, which is there.
#[test]
fn a_patch_without_out_is_refused() {
    let told = told("segue = 1\nosc = { type = \"osc\" }\n");
    assert!(told.starts_with("[no_out] p.toml:2:23: error: the patch has no 'out'"), "{told}");
    let two = "segue = 1\nosc = { type = \"out\" }\n[out]\n";
    assert!(self::told(two).starts_with("[reserved] p.toml:2:16:"), "{}", self::told(two));
}

/// S34: a cycle is refused with its path, as the signal flows.
#[test]
fn a_cycle_is_refused_with_its_path() {
    let text = r#"segue = 1
in_front = { type = "vca", in = "b" }
a = { type = "biquad", in = "c" }
b = { type = "biquad", in = "a" }
c = { type = "biquad", in = "b * 0.5" }
[out]
in = "in_front"
"#;
    let told = told(text);
    assert!(told.starts_with("[cycle] p.toml:"), "{told}");
    assert!(told.contains("a cycle: b -> c -> a -> b"), "{told}");
    let own = self::told("segue = 1\na = { type = \"vca\", in = \"a\" }\n[out]\n");
    assert!(own.contains("p.toml:2:27: error: a cycle: a -> a;"), "{own}");
}

#[test]
fn all_cycles_and_unequal_voices_are_told_at_once() {
    let text = r#"segue = 1
five = { type = "osc", voices = 5 }
three = { type = "osc", voices = 3 }
a = { type = "svf", in = "b.low", cutoff = "400 + a.band * 1oct" }
b = { type = "svf", in = "a.low" }
amp = { type = "vca", in = "three", gain = "five" }
own = { type = "vca", in = "own + a.low" }
[out]
in = "own + amp"
"#;
    let told = told(text);
    let codes: Vec<_> = told.lines().map(|it| it.split(':').take(2).collect::<String>()).collect();
    let wanted = ["[cycle] p.toml4", "[unequal_voices] p.toml6", "[cycle] p.toml7"];
    assert_eq!(codes, wanted, "{told}");
}

#[test]
fn unequal_voices_are_refused_and_one_feeds_all() {
    let sources = r#"segue = 1
one = { type = "osc" }
three = { type = "osc", voices = 3 }
five = { type = "osc", voices = 5 }
"#;
    let unequal =
        format!("{sources}amp = {{ type = \"vca\", in = \"three\", gain = \"five\" }}\n[out]\n");
    assert_eq!(
        told(&unequal),
        "[unequal_voices] p.toml:5:45: error: 'five' has 5 voices, 'amp.gain' takes 3"
    );
    let env = "env = { type = \"adsr\", in = \"five\", gate = \"three\" }";
    let gate = format!("{sources}{env}\n[out]\n");
    assert!(told(&gate).starts_with("[unequal_voices]"), "{}", told(&gate));
    let env = "env = { type = \"adsr\", gate = \"three\" }";
    let gated = plan(&format!("{sources}{env}\n[out]\n"));
    assert_eq!(gated.modules()[usize::from(gated.module("env").unwrap())].voices(), 3);
    let amp = "amp = { type = \"vca\", in = \"one\", gain = \"five\" }";
    let fed = plan(&format!("{sources}{amp}\n[out]\nin = \"amp + three\"\n"));
    let amp = fed.module("amp").unwrap();
    assert_eq!(fed.modules()[usize::from(amp)].voices(), 5);
}

/// S36: the order is that of the cables, ties by place in the file, never by a hash.
#[test]
fn the_order_follows_the_cables_and_then_the_file() {
    let plan = plan(
        r#"segue = 1
zebra = { type = "vca", in = "late" }
b = { type = "osc" }
a = { type = "osc" }
[out]
in = "zebra + a"
[late]
type = "biquad"
in = "b"
"#,
    );
    let ids: Vec<&str> = plan.modules().iter().map(|module| module.id()).collect();
    assert_eq!(ids, ["b", "a", "late", "zebra", "out"]);
}

#[test]
fn older_names_are_understood() {
    let plan = plan(
        r#"segue = 1
osc = { type = "simple_sine", frequency = "A3" }
flt = { type = "biquad_filter", in = "osc", frequency = "1.2kHz", resonance = 2 }
[out]
in = "flt"
"#,
    );
    let (osc, flt) = (plan.module("osc").unwrap(), plan.module("flt").unwrap());
    let constant = |module: u16, name: &str| {
        plan.modules()[usize::from(module)].constant(plan.param(module, name).unwrap())
    };
    assert_eq!(constant(osc, "freq"), Some(220.0));
    assert_eq!((constant(flt, "cutoff"), constant(flt, "q")), (Some(1_200.0), Some(2.0)));
    assert_eq!(plan.nearest_module("fltr"), Some("flt"));
    assert_eq!(plan.nearest_param(flt, "cuttof"), Some("cutoff"));
}

#[test]
fn one_parameter_by_two_names_is_a_mistake() {
    let told = told("segue = 1\no = { type = \"osc\", freq = 1, frequency = 2 }\n[out]\n");
    assert!(told.starts_with("[duplicate] p.toml:2:31:"), "{told}");
}

#[test]
fn a_patch_larger_than_the_arena_is_refused_with_both_sizes() {
    let mut text = "segue = 1\n[out]\n".to_string();
    for n in 0..900 {
        text.push_str(&format!("[m{n}]\ntype = \"biquad\"\n"));
    }
    let setup = Setup { state_bytes: 1 << 17, ..Setup::default() };
    let mistakes = Plan::compile(&Patch::parse(&text).unwrap(), &setup).unwrap_err();
    assert_eq!(mistakes[0].code, "full");
    assert!(mistakes[0].text.contains("131072 are there"), "{}", mistakes[0].text);
    assert!(told(&text) == "fine", "and fits into the default");
}

/// The room an echo takes is what its `max` asks for.
#[test]
fn an_echo_that_does_not_fit_is_told_with_the_state_it_needs() {
    let patch = |echo: &str| {
        format!(
            "segue = 1\nsaw = {{ type = \"osc\" }}\necho = {{ type = \"delay\", {echo} }}\n[out]\n"
        )
    };
    assert_eq!(told(&patch("max = 2000, mode = \"stereo\"")), "fine");
    let long = told(&patch("max = \"60s\""));
    let wanted = "[full] p.toml:3:1: error: the patch needs ";
    assert!(long.starts_with(wanted), "{long}");
    assert!(long.contains("--state 12MiB, or make 'echo' smaller, which takes 115"), "{long}");
    let setup = Setup { state_bytes: 12 << 20, ..Setup::default() };
    assert!(Plan::compile(&Patch::parse(&patch("max = \"60s\"")).unwrap(), &setup).is_ok());
}

#[test]
fn a_time_beyond_what_its_module_has_room_for_is_told_where_it_stands() {
    let patch = |echo: &str| {
        format!("segue = 1\necho = {{ type = \"delay\", {echo} }}\n[out]\nin = \"echo\"\n")
    };
    let beyond = told(&patch("time = 300, max = 250"));
    let wanted = "[out_of_range] p.toml:2:33: error: 'time' cannot be 300: 'max' is 250; \
                  write max = 300, or a smaller time";
    assert_eq!(beyond, wanted);
    assert_eq!(told(&patch("time = 300, max = 312.5")), "fine");
    let short = plan(&patch("max = 100"));
    let echo = short.module("echo").unwrap();
    let (module, time) = (&short.modules()[usize::from(echo)], short.param(echo, "time").unwrap());
    assert_eq!((module.constant(time), module.range(time)), (Some(100.0), Some((0.0, 100.0))));
}

#[test]
fn the_patches_of_the_house_are_fine() {
    assert_eq!(told(include_str!("../../../../patches/first.toml")), "fine");
    assert_eq!(told(include_str!("../../../../patches/demo.toml")), "fine");
}

/// A patch can be edited by whoever has nothing but the plan.
#[test]
fn a_plan_brings_the_text_it_was_compiled_from() {
    let text = include_str!("../../../../patches/demo.toml");
    let patch = Patch::parse(text).unwrap();
    assert_eq!(patch.text(), text);
    let plan = Plan::compile(&patch, &Setup::default()).unwrap();
    let again = Plan::from_bytes(&plan.to_bytes()).unwrap();
    assert_eq!((again.source(), again.hash()), (text, plan.hash()));
}

/// A wild plan is refused; it may not panic, and what is accepted can be played.
#[test]
fn no_byte_of_a_plan_can_make_the_rack_panic() {
    let text = include_str!("../../../../patches/demo.toml");
    let bytes = plan(text).to_bytes();
    let setup = Setup::default();
    assert_eq!(Plan::from_bytes(&bytes[..bytes.len() - 1]).unwrap_err(), PlanError::Malformed);
    assert!(matches!(
        Plan::from_bytes(&[&[9], &bytes[1..]].concat()).unwrap_err(),
        PlanError::Version { found: 9, wanted: 4 }
    ));
    let mut accepted = 0;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut wild = bytes.clone();
            wild[at] ^= flip;
            let Ok(plan) = Plan::from_bytes(&wild) else { continue };
            let Ok(mut rack) = Rack::new(&plan, &setup) else { continue };
            accepted += 1;
            let mut out = [0.0; 128];
            rack.render(&mut out, &mut |_| {});
            assert!(out.iter().all(|sample| sample.abs() <= 1.0), "byte {at}");
        }
    }
    assert!(accepted > 0, "some bytes are only a title or a level");
}

#[test]
fn a_plan_for_another_setup_is_refused() {
    let plan = Plan::empty(&Setup::default());
    let other = Setup { rate: 44_100, ..Setup::default() };
    assert_eq!(Rack::new(&plan, &other).err(), Some(PlanError::Setup));
    assert!(Setup { channels: 9, ..other }.check().is_err());
}

/// S29: infinity is refused where it is written, however it is spelled.
#[test]
fn no_infinity_gets_into_a_plan() {
    let patch = |freq: &str| {
        format!(
            "segue = 1\na = {{ type = \"osc\" }}\nb = {{ type = \"osc\", freq = {freq} }}\n[out]\n"
        )
    };
    for freq in ["inf", "nan", "1e300", "\"1e300\"", "\"3e38 + 3e38\"", "\"3e38 + 3e38 + a\""] {
        let told = told(&patch(freq));
        assert!(told.contains("p.toml:3:"), "{freq}: {told}");
    }
    for freq in ["\"440 + a * 3e38oct\"", "\"440 + a * 1e37kHz\""] {
        assert!(!told(&patch(freq)).contains("panic"));
    }
}

/// A file of any size and depth is answered, soon.
#[test]
fn a_monstrous_file_is_refused() {
    let deep = format!("segue = 1\nx = {}\n", "[".repeat(200_000));
    assert!(told(&deep).contains("[syntax]"));
    let mut many = "segue = 1\n".to_string();
    for n in 0..20_000 {
        many.push_str(&format!("m{n} = {{ type = \"osc\", freq = \"q{n}\" }}\n"));
    }
    assert!(told(&many).starts_with("[full]"), "{}", &told(&many)[..200]);
}

/// Whatever stands in a file, the parser answers.
#[test]
fn no_text_makes_the_parser_panic() {
    let seed = include_str!("../../../../patches/first.toml");
    let letters: Vec<char> = "\"'{}[]=.*+-#\n 1e9äzZ/_(),".chars().collect();
    let mut noise = 3_u64;
    for _ in 0..4_000 {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..3 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (noise >> 33) as usize % text.len();
            text[at] = letters[(noise >> 20) as usize % letters.len()];
        }
        let text: String = text.into_iter().collect();
        let _ = told(&text);
    }
}

#[test]
fn a_patch_may_say_its_tempo_and_has_120_if_it_does_not() {
    let tempo = |line: &str| {
        let text = format!("segue = 1\n{line}\n[out]\n");
        Patch::parse(&text).map(|patch| patch.tempo()).map_err(|_| self::told(&text))
    };
    assert_eq!(tempo(""), Ok(segue_rack::TEMPO));
    assert_eq!(segue_rack::TEMPO, 120.0);
    for (line, bpm) in [("tempo = 175", 175.0), ("tempo = 92.5", 92.5), ("tempo = 1_000", 1000.0)] {
        assert_eq!(tempo(line), Ok(bpm), "{line}");
    }
    for wild in ["0", "0.9", "1001", "-120", "nan", "inf"] {
        let told = tempo(&format!("tempo = {wild}")).unwrap_err();
        let expected = format!(
            "[out_of_range] p.toml:2:1: error: a tempo is 1 to 1000, not {wild}; write tempo = 120"
        );
        assert!(told.starts_with(&expected), "{told}");
    }
    let told = tempo("tempo = \"fast\"").unwrap_err();
    assert!(told.starts_with("[wrong_type] p.toml:2:1: error: the tempo is a number"), "{told}");
    let told = self::told("segue = 1\ntemp = 120\n[out]\n");
    assert!(told.contains("did you mean 'tempo'?"), "{told}");
}
