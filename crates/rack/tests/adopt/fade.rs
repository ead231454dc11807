//! S35: no commit is a hard cut, unless it was asked for.

use crate::bench::{bits, peak};
use crate::show::{Show, played};
use segue_rack::catalog::ModuleSpec;
use segue_rack::{Action, Command, Setup, Successor, catalog};

/// The largest step from one frame to the next that a change may make: see docs/patches.md.
const CLICK_LIMIT: f32 = 0.01;

/// Frames of a fade that nobody asked to be another one.
const FADE: u32 = 480;

/// Types that are no sound, or nothing but steps.
const OTHERS: [&str; 5] = ["keys", "noise", "fault", "ballast", "out"];

/// A constant on the output, of a module called so.
fn level(id: &str, level: f32) -> String {
    format!("segue = 1\n{id} = {{ type = \"vca\", in = {level} }}\nout = {{ in = \"{id}\" }}\n")
}

fn largest_step(heard: &[f32]) -> f32 {
    heard.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

#[test]
fn a_fade_is_a_straight_line_over_the_frames_that_were_asked_for() {
    for fade in [1, 63, 64, 65, 100, 480, 1_000, 48_000] {
        let mut show = Show::new(&[&level("a", 0.25), &level("b", 0.75)]);
        let alone = show.player.state().len();
        show.left(3);
        show.adopt(1, fade);
        let frames = fade as usize;
        let mut heard = Vec::new();
        while heard.len() < frames {
            assert_eq!(show.player.rack().fading(), Some(0), "{} of {fade}", heard.len());
            assert_eq!(show.player.state().len(), 2 * alone, "both are state");
            heard.extend(show.left(1));
        }
        assert_eq!(show.player.rack().fading(), None);
        assert_eq!(show.player.state().len(), alone);
        heard.extend(show.left(2));
        for (frame, sample) in heard[..frames].iter().enumerate() {
            let truth = 0.25 + 0.5 * (frame + 1) as f32 / fade as f32;
            assert!((sample - truth).abs() < 1e-6, "{sample} at {frame} of {fade}");
        }
        assert!(heard[frames..].iter().all(|sample| *sample == 0.75));
    }
}

#[test]
fn a_fade_of_nothing_is_a_cut() {
    let mut show = Show::new(&[&level("a", 0.25), &level("b", 0.75)]);
    let alone = show.player.state().len();
    show.left(3);
    show.adopt(1, 0);
    assert_eq!((show.player.rack().fading(), show.player.state().len()), (None, alone));
    assert!(show.left(3).iter().all(|sample| *sample == 0.75));
}

/// A patch with the module in the signal, fed with something slow; and one without it.
fn with_and_without(spec: &ModuleSpec) -> [String; 2] {
    let slow = "segue = 1\nslow = { type = \"osc\", freq = 20 }\n";
    let mut text = format!("{slow}[m]\ntype = \"{}\"\n", spec.name);
    for inlet in spec.inlets.iter().filter(|it| !["gate", "sync", "reset"].contains(&it.name)) {
        text.push_str(&format!("{} = \"slow * 0.5\"\n", inlet.name));
    }
    for (param, value) in [("freq", 20), ("cutoff", 200)] {
        if spec.params.iter().any(|it| it.name == param) {
            text.push_str(&format!("{param} = {value}\n"));
        }
    }
    let without = "other = { type = \"osc\", freq = 31, shape = \"triangle\" }\n[out]\n";
    [
        text + "[out]\nin = \"m * 0.5\"\n",
        format!("{slow}{without}in = \"slow * 0.2 + other * 0.5\"\n"),
    ]
}

/// The largest step around a commit that goes from one patch to the other.
fn step(patches: [&str; 2], gated: bool, fade: u32) -> f32 {
    let mut show = Show::new(&patches);
    if gated && show.player.plan().module("m").is_some() {
        show.gate("m", 1.0);
    }
    show.left(1_000);
    let before = show.left(1);
    show.adopt(1, fade);
    largest_step(&[before, show.left(100)].concat())
}

#[test]
fn no_chain_that_is_added_or_taken_out_clicks() {
    let mut cuts = 0.0_f32;
    for spec in catalog().iter().filter(|spec| !OTHERS.contains(&spec.name)) {
        let [with, without] = with_and_without(spec);
        for patches in [[&with[..], &without], [&without, &with]] {
            let faded = step(patches, spec.has_gate, FADE);
            assert!(faded < CLICK_LIMIT, "{} makes a step of {faded}", spec.name);
            cuts = cuts.max(step(patches, spec.has_gate, 0));
        }
    }
    assert!(cuts > 10.0 * CLICK_LIMIT, "without a fade there would be clicks: {cuts}");
}

/// Whatever a patch goes over to, and however its modules are connected: cables moved, amounts and
/// constants of inlets changed, voices added.
#[test]
fn no_change_of_what_is_there_clicks() {
    let patch = "segue = 1
a = { type = \"osc\", freq = 20 }
b = { type = \"osc\", freq = 30 }
amp = { type = \"vca\", in = \"a * 0.5 + b * 0.3\" }
tone = { type = \"svf\", in = \"amp\", cutoff = 200 }
out = { in = \"tone * 0.6\" }
";
    let changes = [
        ("a * 0.5 + b * 0.3", "b * 0.5"),
        ("a * 0.5 + b * 0.3", "0.4 - a * 0.2"),
        ("in = \"amp\"", "in = \"amp + delayed(tone) * 0.3\""),
        ("freq = 30 }", "freq = 30, voices = 2 }"),
        ("\"svf\"", "\"biquad\""),
        ("tone * 0.6", "tone.band * 0.4"),
    ];
    for (from, to) in changes {
        let other = patch.replace(from, to);
        assert_ne!(patch, other);
        for patches in [[patch, &other], [&other, patch]] {
            let step = step(patches, false, FADE);
            assert!(step < CLICK_LIMIT, "{from} to {to} makes a step of {step}");
        }
    }
}

/// The new plan fades in from where it begins; the old one ends at once.
#[test]
fn an_adoption_within_a_fade_ends_that_fade() {
    let levels = [("a", 0.1), ("b", 0.3), ("c", 0.5)].map(|(id, gain)| level(id, gain));
    let mut show = Show::new(&[&levels[0], &levels[1], &levels[2]]);
    show.left(2);
    show.adopt(1, 4_800);
    show.left(2);
    show.adopt(2, 100);
    assert_eq!(show.player.rack().fading(), Some(1));
    let heard = show.left(3);
    assert!((heard[49] - 0.4).abs() < 1e-6, "half way from b to c: {}", heard[49]);
    assert!(heard[100..].iter().all(|sample| *sample == 0.5));
}

/// What a player does within a long fade, and what is due within it, is done to both.
#[test]
fn a_note_released_within_a_fade_ends_in_both() {
    let patch = |gain: f32| {
        format!(
            "segue = 1
env = {{ type = \"adsr\", attack = 0, sustain = 1.0, release = 1 }}
amp{gain} = {{ type = \"vca\", in = \"env\", gain = {gain} }}
out = {{ in = \"amp{gain}\" }}
"
        )
    };
    let (patch, next) = (patch(1.0).replace("amp1", "amp_a"), patch(2.0).replace("amp2", "amp_b"));
    let mut show = Show::new(&[&patch, &next]);
    show.gate("env", 0.3);
    let module = show.module("env");
    let close = Action::Gate { module, level: 0.0 };
    show.tell(Command::at(1_280, close));
    show.left(10);
    show.adopt(1, 48_000);
    let heard = show.left(12);
    assert!(heard[600] > 0.2 && peak(&heard[640 + 48..]) == 0.0, "what was due");
    show.gate("env", 0.3);
    assert!(show.left(10)[600] > 0.1);
    show.gate("env", 0.0);
    assert_eq!(peak(&show.left(10)[48..]), 0.0, "what was done");
}

#[test]
fn a_panic_within_a_fade_silences_both_and_what_rings_in_them() {
    let ring = |q: u32| {
        format!(
            "segue = 1
hit = {{ type = \"adsr\", attack = 1, decay = 1, sustain = 0, release = 1 }}
ring{q} = {{ type = \"biquad\", in = \"hit\", cutoff = 300, q = {q} }}
echo{q} = {{ type = \"delay\", in = \"ring{q}\", time = 30, max = 100, feedback = 0.9 }}
again{q} = {{ type = \"vca\", in = \"echo{q} + delayed(again{q}) * 0.5\" }}
out = {{ in = \"again{q}\" }}
"
        )
    };
    let mut show = Show::new(&[&ring(19), &ring(20)]);
    show.gate("hit", 1.0);
    show.left(60);
    show.adopt(1, 96_000);
    show.gate("hit", 1.0);
    assert!(peak(&show.left(60)) > 0.01);
    show.tell(Command::now(Action::Panic));
    show.left(16);
    assert_eq!(peak(&show.left(200)), 0.0);
}

/// Where both states do not fit, a fade becomes a cut, and can be foreseen.
#[test]
fn a_fade_there_is_no_room_for_is_a_cut() {
    let patch = |id: &str, max: u32| {
        format!(
            "segue = 1
a = {{ type = \"vca\", in = 0.25 }}
{id} = {{ type = \"delay\", in = \"a\", time = 1, max = {max}, mix = 0.0 }}
out = {{ in = \"a\" }}
"
        )
    };
    // Each takes some 660 kB.
    let (one, two) = (patch("one", 3_000), patch("two", 3_000).replace("0.25", "0.75"));
    let mut show = Show::new(&[&one, &two]);
    let alone = show.player.state().len();
    let next = show.successor(1);
    assert!(!next.crosses());
    assert_eq!(next.state_words(), alone);
    show.left(2);
    show.adopt(1, 4_800);
    assert_eq!((show.player.rack().fading(), show.player.state().len()), (None, alone));
    assert!(show.left(10).iter().all(|sample| *sample == 0.75));
    let room = Setup { state_bytes: 2 << 20, ..Setup::default() };
    let show = Show::with(&[&one, &two], &room);
    let next = show.successor(1);
    assert!(next.crosses());
    assert_eq!(next.state_words(), 2 * alone);
}

#[test]
fn plans_of_another_setup_are_refused() {
    let show = Show::new(&[&level("a", 0.1), &level("b", 0.1)]);
    let (one, two) = (&show.plans[0], &show.plans[1]);
    for wrong in [Setup { channels: 1, ..Setup::default() }, Setup { rate: 1, ..Setup::default() }]
    {
        assert!(Successor::prepare((one, 0), (two, 1), &wrong).is_err());
    }
    assert!(Successor::prepare((one, 0), (two, 1), &Setup::default()).is_ok());
}

/// The master's gain, mute and limiter are behind the fade.
#[test]
fn the_master_goes_on() {
    let mut show = Show::new(&[&level("a", 0.5), &level("b", 0.5)]);
    show.tell(Command::now(Action::MasterGain { gain: 0.5, ramp_frames: 1_280 }));
    let before = show.left(10);
    show.adopt(1, 320);
    show.tell(Command::at(1_920, Action::MasterMute { on: true }));
    let heard = [before, show.left(40)].concat();
    let mut other = Show::new(&[&level("a", 0.5)]);
    other.tell(Command::now(Action::MasterGain { gain: 0.5, ramp_frames: 1_280 }));
    other.tell(Command::at(1_920, Action::MasterMute { on: true }));
    assert_eq!(bits(&heard), bits(&other.left(50)));
}

/// The whole of it, with everything that remembers on both sides.
#[test]
fn a_fade_between_two_rich_patches_is_their_weighted_sum() {
    let rich = crate::show::RICH;
    let other =
        rich.replace("again * 0.3", "again * 0.05").replace("hall.left * 0.3", "echo * 0.1");
    let fade = 3_000;
    let mut show = played(&[rich, &other]);
    show.adopt(1, fade);
    let heard = show.left(60);
    let mut cut = played(&[rich, &other]);
    cut.adopt(1, 0);
    let (old, new) = (played(&[rich]).left(60), cut.left(60));
    assert!(peak(&old) > 0.05 && peak(&new) > 0.01);
    for (frame, sample) in heard.iter().enumerate() {
        let share = ((frame + 1) as f32 / fade as f32).min(1.0);
        let truth = old[frame] * (1.0 - share) + new[frame] * share;
        assert!((sample - truth).abs() < 1e-6, "{sample} instead of {truth} at {frame}");
    }
    assert_eq!(bits(&heard[fade as usize..]), bits(&new[fade as usize..]));
}
