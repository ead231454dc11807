//! No change is heard as a click: the limit that docs/patches.md names, kept by every type.

use crate::bench::{Bench, peak};
use segue_rack::catalog::{ModuleSpec, ParamSpec};
use segue_rack::quantity::Unit;
use segue_rack::{Action, Command, catalog};

/// The largest step from one frame to the next that a change may make, of full scale at 48 kHz.
const CLICK_LIMIT: f32 = 0.01;

/// Types that are no sound, or nothing but steps.
const OTHERS: [&str; 5] = ["keys", "noise", "fault", "ballast", "out"];

/// Choices whose waves jump by themselves; tests/cables.rs holds their bridges.
const JUMPS: [&str; 4] = ["saw", "square", "random", "smooth"];

/// The module with something slow at its inlets: what it does by itself makes no steps.
fn patch(spec: &ModuleSpec) -> String {
    let mut text = format!(
        "segue = 1\nslow = {{ type = \"osc\", freq = 20 }}\n[m]\ntype = \"{}\"\n",
        spec.name
    );
    for inlet in spec.inlets.iter().filter(|it| !["gate", "sync", "reset"].contains(&it.name)) {
        text.push_str(&format!("{} = \"slow * 0.5\"\n", inlet.name));
    }
    for (param, value) in [("freq", 20), ("cutoff", 200)] {
        if spec.params.iter().any(|it| it.name == param) {
            text.push_str(&format!("{param} = {value}\n"));
        }
    }
    text + "[out]\nin = \"m * 0.5\"\n"
}

/// What a parameter is changed to: to the ends of its range, but a gain by 1 and a pitch by an
/// octave, for a limit has to be one of something.
fn changes(param: &ParamSpec) -> Vec<f32> {
    let low = |value: f32| value.max(param.min);
    let high = |value: f32| value.min(param.max);
    match param.unit {
        Unit::Gain => vec![low(param.default - 1.0), high(param.default + 1.0)],
        Unit::Hertz if param.name == "cutoff" => vec![100.0, 400.0],
        Unit::Hertz if param.name == "freq" => vec![10.0, 40.0],
        Unit::Hertz => vec![low(param.default * 0.5), high(param.default * 2.0)],
        // A phase that runs through a whole turn is a sound of its own.
        _ if param.name == "phase" => vec![0.25],
        Unit::Choice => (0..param.choices.len())
            .filter(|at| !JUMPS.contains(&param.choices[*at]))
            .map(|at| at as f32)
            .collect(),
        _ => vec![param.min, param.max],
    }
}

/// A module that has sounded for a while.
fn played(spec: &ModuleSpec) -> Bench {
    let mut bench = Bench::new(&patch(spec));
    if spec.has_gate {
        bench.gate("m", 1.0);
    }
    assert!(peak(&bench.left(1_000)) > 0.01, "{} is silent", spec.name);
    bench
}

/// The largest step in the 100 blocks in which `act` is done.
fn step(bench: &mut Bench, act: impl FnOnce(&mut Bench)) -> f32 {
    let before = bench.left(1);
    act(bench);
    let heard = [before, bench.left(100)].concat();
    heard.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

fn sounding() -> impl Iterator<Item = &'static ModuleSpec> {
    catalog().iter().filter(|spec| !OTHERS.contains(&spec.name))
}

#[test]
fn no_parameter_clicks_when_it_is_changed() {
    for spec in sounding() {
        for param in spec.params.iter().filter(|param| !param.fixed) {
            for value in changes(param) {
                let due = 1_001 * 64 + 29;
                let step =
                    step(&mut played(spec), |bench| bench.set_at(due, "m", param.name, value));
                let what = format!("{}.{} to {value}", spec.name, param.name);
                assert!(step < CLICK_LIMIT, "{what} makes a step of {step}");
            }
        }
    }
}

#[test]
fn no_gate_clicks_at_the_times_an_envelope_has_by_itself() {
    for spec in sounding().filter(|spec| spec.has_gate) {
        for level in [0.0, 0.5, 1.0] {
            let step = step(&mut played(spec), |bench| bench.gate("m", level));
            assert!(step < CLICK_LIMIT, "{} to {level} makes a step of {step}", spec.name);
        }
    }
}

#[test]
fn neither_bypass_nor_coming_back_clicks() {
    for spec in sounding() {
        let mut bench = played(spec);
        let module = bench.module("m");
        let mut tell = |action| step(&mut bench, |bench| bench.tell(Command::now(action)));
        let went = tell(Action::Bypass { module });
        let came = tell(Action::Revive { module });
        assert!(went < CLICK_LIMIT, "a bypass of {} makes a step of {went}", spec.name);
        assert!(came < CLICK_LIMIT, "{} comes back with a step of {came}", spec.name);
    }
}
