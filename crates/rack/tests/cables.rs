//! What cables do: late ones, still ones, and the steps that nobody is to hear.

mod bench;

use bench::{Bench, bits, peak};
use segue_rack::{Action, Command, Patch, Plan, Rack, Setup, catalog};

/// The largest step from one frame to the next.
fn step(heard: &[f32]) -> f32 {
    heard.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

#[test]
fn a_delayed_cable_brings_what_was_there_64_frames_ago() {
    let mut bench = Bench::new(
        "segue = 1
osc = { type = \"osc\", shape = \"saw\", freq = 377 }
late = { type = \"vca\", in = \"delayed(osc)\" }
out = { left = \"osc * 0.4\", right = \"late * 0.4\" }
",
    );
    let mut sides = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        for frame in bench.block().chunks(2) {
            (0..2).for_each(|side| sides[side].push(frame[side]));
        }
    }
    assert!(peak(&sides[0]) > 0.3);
    assert_eq!(bits(&sides[0][..sides[0].len() - 64]), bits(&sides[1][64..]));
}

#[test]
fn a_circle_with_a_delayed_cable_goes_round_and_is_part_of_the_state() {
    let text = "segue = 1
env = { type = \"adsr\", attack = 0, decay = 1, sustain = 0 }
ring = { type = \"vca\", in = \"env + delayed(ring) * 0.9\" }
out = { in = \"ring * 0.5\" }
";
    let mut bench = Bench::new(text);
    bench.gate("env", 1.0);
    let heard = bench.left(100);
    let turns: Vec<f32> = (0..90).map(|turn| peak(&heard[turn * 64..turn * 64 + 64])).collect();
    for turn in 3..80 {
        assert!((turns[turn] / turns[turn - 1] - 0.9).abs() < 0.01, "turn {turn}: {turns:?}");
    }
    let mut other = Bench::new(text);
    other.rack.restore(bench.rack.state()).unwrap();
    assert_eq!(bits(&bench.left(50)), bits(&other.left(50)));
    bench.tell(Command::now(Action::Panic));
    bench.left(30);
    assert_eq!(peak(&bench.left(50)), 0.0, "a panic empties the circle");
}

#[test]
fn voices_run_through_a_circle() {
    let bench = Bench::new(
        "segue = 1
saw = { type = \"osc\", voices = 5 }
sum = { type = \"vca\", in = \"delayed(filter) * 0.2 + saw\" }
filter = { type = \"svf\", in = \"sum\" }
out = { in = \"filter * 0.1\" }
",
    );
    let voices = |id| bench.plan.modules()[usize::from(bench.module(id))].voices();
    assert_eq!((voices("sum"), voices("filter")), (5, 5));
    let again = Plan::from_bytes(&bench.plan.to_bytes()).unwrap();
    assert_eq!(again.hash(), bench.plan.hash());
}

/// The click limit of a choice: the step is bridged over 5 ms.
#[test]
fn a_choice_changes_without_a_click() {
    let patch = "segue = 1
osc = { type = \"osc\", shape = \"sine\", freq = 60 }
filter = { type = \"biquad\", in = \"osc\", cutoff = 100 }
out = { in = \"filter * 0.5\" }
";
    for (id, param, choice) in [("osc", "shape", 3.0), ("filter", "mode", 1.0)] {
        let mut bench = Bench::new(patch);
        let before = bench.left(300);
        let usual = step(&before);
        for due in 0..8 {
            let value = if due % 2 == 0 { choice } else { 0.0 };
            bench.set_at((300 + due * 30) * 64 + due * 7, id, param, value);
        }
        let heard = bench.left(300);
        let limit = usual + 1.2 / 240.0;
        assert!(step(&heard) < limit, "{id}.{param}: {} over {limit}", step(&heard));
    }
}

/// A rack that can be looked at sounds like one that cannot.
#[test]
fn a_probed_rack_has_the_same_bits_and_shows_every_outlet() {
    let text = include_str!("../../../patches/demo.toml");
    let plan = Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap();
    let mut racks = [
        Rack::new(&plan, &Setup::default()).unwrap(),
        Rack::probed(&plan, &Setup::default()).unwrap(),
    ];
    let mut heard = [[0.0; 128]; 2];
    for block in 0..200 {
        for (rack, heard) in racks.iter_mut().zip(&mut heard) {
            if block == 3 {
                for module in 0..plan.modules().len() as u16 {
                    rack.apply(&Command::now(Action::Gate { module, level: 0.9 }));
                }
            }
            rack.render(heard, &mut |_| {});
        }
        assert_eq!(bits(&heard[0]), bits(&heard[1]), "block {block}");
    }
    let bass = plan.module("bass").unwrap();
    assert!(racks[1].peak(bass).unwrap() > 0.5);
    let (samples, stride, lanes) = racks[1].outlet(bass, 0).unwrap();
    assert_eq!((samples.len(), stride, lanes), (64, 1, 1));
}

/// The two lines of the manual are played as they stand there.
#[test]
fn the_example_of_every_type_sounds() {
    for spec in catalog() {
        let text = format!("segue = 1\n{}\n", spec.example);
        let mut bench = Bench::new(&text);
        bench.open_all();
        let heard = bench.left(400);
        let sounds = peak(&heard) > 0.02 && peak(&heard) < 0.98;
        assert!(sounds && bench.rack.notes().limited == 0, "{}: {}", spec.name, peak(&heard));
    }
}
