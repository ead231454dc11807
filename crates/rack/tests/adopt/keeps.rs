//! S33: a commit changes what it names; a module that keeps its id and type keeps its state.

use crate::bench::{bits, peak};
use crate::show::{RICH, Show, played, reordered};
use segue_rack::{Action, Command};

/// A level anybody can read off the output.
const LEVEL: &str = "segue = 1
level = { type = \"vca\", in = 1.0, gain = 0.25 }
out = { in = \"level\" }
";

#[test]
fn a_patch_adopted_unchanged_plays_as_if_nothing_had_been() {
    let truth = played(&[RICH]).left(1_200);
    assert!(peak(&truth) > 0.05);
    let reordered = reordered(RICH);
    for fade in [0, 1, 480, 20_000] {
        for next in [RICH, &reordered] {
            let mut show = played(&[RICH, next]);
            show.adopt(1, fade);
            assert_eq!(bits(&show.left(1_200)), bits(&truth), "a fade of {fade} frames to\n{next}");
        }
    }
}

/// What is played within a fade is told to both, and the sum is what it would have been.
#[test]
fn a_patch_adopted_unchanged_is_played_on_within_the_fade() {
    let perform = |show: &mut Show| {
        let mut heard = show.left(20);
        let module = show.module("hands");
        let strike = Action::Note { module, note: 71.0, velocity: 0.9, frames: 900, voice: 0 };
        show.tell(Command::at(320 * 64 + 9, strike));
        show.set_at(0, "saw", "shape", 2.0);
        show.set_at(325 * 64 + 7, "echo", "time", 120.0);
        heard.extend(show.left(20));
        show.gate("swell", 0.0);
        let param = 0;
        let bend = Action::Voice { module, voice: 1, param, value: 300.0, ramp_frames: 900 };
        show.tell(Command::now(bend));
        show.tell(Command::now(Action::Clear));
        show.tell(Command::now(Action::MasterGain { gain: 0.7, ramp_frames: 100 }));
        heard.extend(show.left(20));
        show.tell(Command::now(Action::Panic));
        heard.extend(show.left(400));
        heard
    };
    let truth = perform(&mut played(&[RICH]));
    let mut show = played(&[RICH, &reordered(RICH)]);
    show.adopt(1, 24_000);
    assert_eq!(bits(&perform(&mut show)), bits(&truth));
    assert_eq!(show.player.rack().notes(), {
        let mut show = played(&[RICH]);
        perform(&mut show);
        show.player.rack().notes()
    });
}

#[test]
fn what_a_player_set_stays_unless_the_commit_names_it() {
    let other = LEVEL.replace("level\" }", "level + far * 0\" }\nfar = { type = \"osc\" }");
    let named = LEVEL.replace("0.25", "0.5");
    let mut show = Show::new(&[LEVEL, &other, &named]);
    show.set_at(0, "level", "gain", 0.75);
    show.left(10);
    show.adopt(1, 0);
    assert!(show.left(10).iter().all(|sample| *sample == 0.75));
    assert_eq!(show.knob("level", "gain"), 0.75);
    show.adopt(2, 0);
    assert_eq!(show.knob("level", "gain"), 0.5);
    let heard = show.left(5);
    for (frame, level) in heard[..240].iter().enumerate() {
        let truth = 0.75 - 0.25 * (frame + 1) as f32 / 240.0;
        assert!((level - truth).abs() < 1e-6, "{level} at {frame}: it glides for its 5 ms");
    }
    assert_eq!(heard[240], 0.5);
}

/// A knob on its way goes on.
#[test]
fn a_glide_across_a_commit_arrives_when_it_was_to() {
    let mut show = Show::new(&[LEVEL, &reordered(LEVEL)]);
    let module = show.module("level");
    let set = Action::Set { module, param: 0, value: 0.5, ramp_frames: 640 };
    show.tell(Command::now(set));
    let before = show.left(5);
    show.adopt(1, 64);
    let heard = [before, show.left(6)].concat();
    for (frame, level) in heard.iter().enumerate() {
        let truth = 0.25 + 0.25 * ((frame + 1) as f32 / 640.0).min(1.0);
        assert!((level - truth).abs() < 1e-6, "{level} at {frame}");
    }
}

#[test]
fn a_choice_the_commit_names_is_bridged_as_if_it_had_been_set() {
    let sine = "segue = 1\nosc = { type = \"osc\", freq = 20 }\nout = { in = \"osc * 0.5\" }\n";
    let triangle = sine.replace("freq", "shape = \"triangle\", freq");
    let mut show = Show::new(&[sine, &triangle]);
    let mut other = Show::new(&[sine]);
    show.left(5);
    other.left(5);
    show.adopt(1, 0);
    other.set_at(0, "osc", "shape", 3.0);
    assert_eq!(bits(&show.left(20)), bits(&other.left(20)));
}

#[test]
fn gates_stay_as_they_are() {
    let patch = "segue = 1
open = { type = \"adsr\", attack = 0, decay = 0, sustain = 1.0, release = 0 }
shut = { type = \"adsr\", attack = 0, decay = 0, sustain = 1.0, release = 0 }
out = { left = \"open * 0.5\", right = \"shut * 0.5\" }
";
    let mut show = Show::new(&[patch, &reordered(patch)]);
    show.gate("open", 1.0);
    show.left(10);
    show.adopt(1, 0);
    for _ in 0..100 {
        let block = show.block();
        assert!(block.chunks_exact(2).all(|frame| frame == [0.5, 0.0]));
    }
    let (open, shut) = (show.module("open"), show.module("shut"));
    let rack = show.player.rack();
    assert_eq!((rack.gate(open), rack.gate(shut)), (Some(1.0), Some(0.0)));
}

/// Gates that came too fast still wait for their millisecond.
#[test]
fn gates_that_wait_go_on_waiting() {
    let patch = "segue = 1
env = { type = \"adsr\", attack = 0, decay = 0, sustain = 1.0, release = 0 }
out = { in = \"env * 0.5\" }
";
    let perform = |show: &mut Show, adopts: bool| {
        let module = show.module("env");
        for level in [1.0, 0.0, 0.5] {
            show.tell(Command::at(60, Action::Gate { module, level }));
        }
        let before = show.left(1);
        if adopts {
            show.adopt(1, 32);
        }
        [before, show.left(4)].concat()
    };
    let mut show = Show::new(&[patch, &reordered(patch)]);
    let heard = perform(&mut show, true);
    assert_eq!(bits(&heard), bits(&perform(&mut Show::new(&[patch]), false)));
    assert_eq!([60, 107, 108, 155, 156].map(|at| heard[at]), [0.5, 0.5, 0.0, 0.0, 0.25]);
}

/// With other lanes or fixed parameters it is another machine, set as the one before was.
#[test]
fn a_module_of_other_voices_begins_anew_but_is_set_as_before() {
    let patch = "segue = 1
osc = { type = \"osc\", freq = 200, width = 0.3 }
env = { type = \"adsr\", in = \"osc\", attack = 20, sustain = 1.0 }
out = { in = \"env.level * 0.2\" }
";
    let wide = patch.replace("width = 0.3", "width = 0.4, voices = 3");
    let mut show = Show::new(&[patch, &wide]);
    show.set_at(0, "osc", "freq", 300.0);
    show.set_at(0, "osc", "width", 0.7);
    show.gate("env", 0.5);
    show.left(100);
    show.adopt(1, 0);
    assert_eq!(show.knob("osc", "freq"), 300.0, "not named: as the player set it");
    assert_eq!(show.knob("osc", "width"), 0.4_f32, "named");
    let env = show.module("env");
    assert_eq!(show.player.rack().gate(env), Some(0.5), "the key is still held");
    let heard = show.left(100);
    assert!(heard[0] < 0.001 && (heard[479] - 0.05).abs() < 1e-6, "the envelope rises anew");
    assert!((heard[960] - 0.1).abs() < 1e-6, "and is where it was");
}

/// A fixed parameter is what a module is built from, even where its state is as long.
#[test]
fn a_module_of_another_seed_begins_anew() {
    let patch = "segue = 1
hiss = { type = \"noise\", seed = 1 }
out = { in = \"hiss * 0.1\" }
";
    let other = patch.replace("seed = 1", "seed = 2");
    let mut show = Show::new(&[patch, &other]);
    show.left(10);
    show.adopt(1, 0);
    assert_eq!(bits(&show.left(10)), bits(&Show::new(&[&other]).left(10)));
}

#[test]
fn another_type_of_the_same_id_is_another_module() {
    let patch = "segue = 1\nm = { type = \"osc\", freq = 300 }\nout = { in = \"m * 0.5\" }\n";
    let mut show = Show::new(&[patch, &patch.replace("\"osc\"", "\"lfo\"").replace("300", "3")]);
    show.set_at(0, "m", "freq", 500.0);
    show.left(10);
    show.adopt(1, 480);
    assert_eq!(show.knob("m", "freq"), 3.0);
    show.left(10);
}

#[test]
fn what_is_bypassed_stays_bypassed() {
    let mut show = Show::new(&[LEVEL, &reordered(LEVEL)]);
    let module = show.module("level");
    show.tell(Command::now(Action::Bypass { module }));
    show.left(10);
    show.adopt(1, 480);
    assert_eq!(peak(&show.left(20)), 0.0);
    let module = show.module("level");
    assert!(show.player.rack().is_bypassed(module));
    show.tell(Command::now(Action::Revive { module }));
    assert_eq!(show.left(20)[1_000], 0.25);
}

/// What a delayed cable brings is state; a new one brings silence first.
#[test]
fn what_a_delayed_cable_holds_goes_on() {
    let count = "segue = 1
count = { type = \"vca\", in = \"0.015625 + delayed(count)\" }
out = { in = \"count\" }
";
    let two =
        format!("{count}more = {{ type = \"vca\", in = \"delayed(level) + delayed(count)\" }}\n")
            + "level = { type = \"vca\", in = 1.0 }\n";
    let two = two.replace("in = \"count\"", "left = \"count\", right = \"more * 0.5\"");
    let mut show = Show::new(&[count, &reordered(count), &two, count]);
    assert_eq!(show.left(3)[128], 3.0 / 64.0);
    for (edition, fade, fourth) in [(1, 100, 4.0), (2, 0, 7.0), (3, 9, 10.0)] {
        show.adopt(edition, fade);
        let heard = show.left(3);
        assert_eq!([0, 64, 128].map(|at| heard[at] * 64.0), [0.0, 1.0, 2.0].map(|n| fourth + n));
    }
    let mut show = Show::new(&[count, &two]);
    show.left(3);
    show.adopt(1, 0);
    let block = show.block();
    assert_eq!(block[1], 0.5 * 3.0 / 64.0, "its outlet was listened to, the other's was not");
}

/// A cable that is pulled out of a gate's inlet leaves it closed.
#[test]
fn a_gate_whose_cable_is_pulled_closes() {
    let patch = "segue = 1
high = { type = \"vca\", in = 1.0 }
env = { type = \"adsr\", gate = \"high\", attack = 0, decay = 0, sustain = 1.0, release = 5 }
out = { in = \"env * 0.5\" }
";
    let mut show = Show::new(&[patch, &patch.replace("gate = \"high\", ", ""), patch]);
    assert_eq!(show.left(10)[600], 0.5);
    show.adopt(1, 0);
    let heard = show.left(10);
    assert!(heard[10] < 0.5 && heard[10] > 0.1 && heard[600] == 0.0, "{}", heard[10]);
    show.gate("env", 0.5);
    assert_eq!(show.left(10)[600], 0.25, "and can be opened by hand");
    show.adopt(2, 0);
    assert_eq!(show.left(10)[600], 0.5, "or by a cable again");
}

/// What is kept of an outlet nobody listened to is older than the last block, and differs where
/// racks are probed: it is not gone on from.
#[test]
fn an_outlet_that_is_listened_to_anew_begins_the_same_where_it_is_probed() {
    use std::collections::BTreeMap;
    let patch = "segue = 1
osc = { type = \"osc\", freq = 300 }
split = { type = \"svf\", in = \"osc\", cutoff = 400, q = 5 }
out = { in = \"split * 0.3\" }
";
    let next = patch.replace("split * 0.3", "split.band * 0.3 + split * 0.1");
    let show = Show::new(&[patch, &next]);
    let library = || (0..).zip(show.plans.iter().cloned()).collect::<BTreeMap<u32, _>>();
    let setup = show.plans[0].setup();
    let plain = segue_rack::Performer::new(library(), 0, setup).unwrap();
    let probed = segue_rack::Performer::probed(library(), 0, setup).unwrap();
    let heard = [plain, probed].map(|mut player| {
        let mut out = [0.0; 128];
        let mut heard = Vec::new();
        for block in 0..60 {
            if block == 30 {
                player.apply(&show.adoption(1, 100));
                let split = player.plan().module("split").unwrap();
                player.bypass(split.into());
            }
            player.render(&mut out, &mut |_| {});
            heard.extend(bits(&out));
        }
        heard
    });
    assert_eq!(heard[0], heard[1]);
}
