//! What rings on after the sound has ended: it ends too, and never where numbers become slow.

use crate::bench::Bench;
use segue_rack::catalog::ModuleSpec;
use segue_rack::{Action, Command, Rack, Setup, catalog};

/// Blocks in which a tail may pass through the subnormals on its way to nothing: it is settled at
/// the end of each block, so one at an outlet, and one at an outlet behind a filter.
const PASSING: usize = 2;

/// The module behind an amplifier that can be shut.
fn patch(spec: &ModuleSpec) -> String {
    let mut text = format!(
        "segue = 1
osc = {{ type = \"osc\", shape = \"saw\", freq = 331 }}
tap = {{ type = \"vca\", in = \"osc\", gain = 1 }}
[m]
type = \"{}\"
",
        spec.name
    );
    for inlet in spec.inlets.iter().filter(|it| !["gate", "sync", "reset"].contains(&it.name)) {
        text.push_str(&format!("{} = \"tap\"\n", inlet.name));
    }
    text + "[out]\nin = \"m\"\n"
}

/// Blocks of the next ones in which an outlet of the module gave a subnormal.
fn slow_blocks(bench: &mut Bench, spec: &ModuleSpec, blocks: usize) -> usize {
    let module = bench.module("m");
    let mut slow = 0;
    for _ in 0..blocks {
        bench.block();
        let outlets = (0..spec.outlets.len()).filter_map(|at| bench.rack.outlet(module, at));
        let any = outlets.flat_map(|(samples, ..)| samples).any(|sample| sample.is_subnormal());
        slow += usize::from(any);
    }
    slow
}

#[test]
fn no_tail_lingers_among_the_subnormals() {
    for spec in catalog().iter().filter(|spec| spec.name != "out" && !spec.inlets.is_empty()) {
        let mut bench = Bench::new(&patch(spec));
        bench.rack = Rack::probed(&bench.plan, &Setup::default()).expect("a rack");
        let gate = spec.has_gate;
        if gate {
            bench.gate("m", 1.0);
        }
        bench.left(400);
        if gate {
            bench.gate("m", 0.0);
        }
        let module = bench.module("tap");
        bench.tell(Command::now(Action::Set { module, param: 0, value: 0.0, ramp_frames: 0 }));
        // Half a minute: the longest tail there is by itself has ended long before.
        let slow = slow_blocks(&mut bench, spec, 22_500);
        assert!(slow <= PASSING, "{}: {slow} blocks with subnormals", spec.name);
    }
}
