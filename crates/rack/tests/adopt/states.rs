//! S7, S8 across a commit: what is state, what is not, and what is no state at all.

use crate::bench::bits;
use crate::show::{RICH, Show, played, reordered};
use segue_rack::{
    AGENDA_CAPACITY, Action, Command, Patch, Performer, Plan, Rack, Setup, StateError, Successor,
};

/// [`RICH`], then with other cables, voices and modules.
fn texts() -> [String; 3] {
    let second = reordered(RICH)
        .replace("voices = 2, spread = 7", "voices = 5, spread = 9")
        .replace("again * 0.3\"", "again * 0.2 + drone * 0.02\"")
        .replace("dark = { type = \"svf\"", "dark = { type = \"ladder\"")
        .replace(", q = 4", "");
    let third = second.replace("again", "loop").replace("time = 90", "time = 110");
    [RICH.to_string(), second, third]
}

fn show() -> Show {
    let texts = texts();
    played(&[&texts[0], &texts[1], &texts[2]])
}

/// What is played and committed in a block of the show.
fn perform(show: &mut Show, block: u64) {
    let start = (300 + block) * 64;
    match block {
        10 => show.adopt(1, 1_000),
        // While the first still fades.
        20 => show.adopt(2, 640),
        _ => {}
    }
    let module = show.module("hands");
    let strike = |note| Action::Note { module, note, velocity: 0.6, frames: 2_000, voice: 0 };
    if block.is_multiple_of(7) {
        show.tell(Command::at(start + 13, strike(50.0 + block as f32)));
    }
    if block.is_multiple_of(5) {
        show.set_at(start + 40, "hall", "mix", (block % 10) as f32 / 10.0);
        show.set_at(start + 3_000, "drone", "freq", 80.0 + block as f32);
    }
}

#[test]
fn a_checkpoint_at_any_block_of_a_commit_goes_on_bit_for_bit() {
    let mut whole = show();
    let mut states = Vec::new();
    let mut heard = Vec::new();
    for block in 0..40 {
        states.push(whole.player.state().to_vec());
        perform(&mut whole, block);
        heard.push(bits(whole.block()));
    }
    let mut lengths: Vec<usize> = states.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() >= 3, "alone, and while they fade: {lengths:?}");
    for (begin, state) in states.iter().enumerate() {
        let mut other = whole.again();
        other.player.restore(state).unwrap();
        assert_eq!(other.player.state(), state);
        for (block, truth) in heard.iter().enumerate().skip(begin) {
            assert_eq!(other.player.state(), states[block], "state at {block} from {begin}");
            perform(&mut other, block as u64);
            assert_eq!(&bits(other.block()), truth, "block {block} from {begin}");
        }
    }
}

/// One performer goes to and fro between all states, whatever plays when it is given one.
#[test]
fn a_performer_takes_up_any_state_of_its_show() {
    let mut whole = show();
    let mut states = Vec::new();
    for block in 0..40 {
        states.push(whole.player.state().to_vec());
        perform(&mut whole, block);
        let heard = bits(whole.block());
        states.push(whole.player.state().to_vec());
        assert!(heard.iter().any(|bits| *bits != 0));
    }
    let mut other = whole.again();
    for step in [0, 21, 40, 20, 22, 42, 60, 12, 79, 0, 41] {
        other.player.restore(&states[step]).unwrap();
        let editions = Rack::editions_of(&states[step]).unwrap();
        let rack = other.player.rack();
        assert_eq!((rack.edition(), rack.fading()), editions);
        let mut fresh = whole.again();
        fresh.player.restore(&states[step]).unwrap();
        assert_eq!(bits(&other.left(30)), bits(&fresh.left(30)), "from {step}");
        assert_eq!(other.player.state(), fresh.player.state());
    }
}

/// A cut is made by setting a knob to where it is.
#[test]
fn a_block_of_a_fade_may_be_cut_anywhere() {
    let perform = |cut: bool| {
        let mut show = show();
        let mut heard = Vec::new();
        for block in 0..70_u64 {
            if block == 3 {
                show.adopt(1, 4_000);
            }
            let start = (300 + block) * 64;
            if cut && block >= 3 {
                for id in ["hall", "swell", "lfo"] {
                    let module = show.module(id);
                    let value = show.player.rack().param(module, 0).unwrap();
                    let set = Action::Set { module, param: 0, value, ramp_frames: 0 };
                    show.tell(Command::at(start + (block * 11 + 1) % 64, set));
                }
            }
            heard.extend(bits(show.block()));
        }
        assert_eq!(show.player.rack().notes().moved, 0);
        heard
    };
    assert_eq!(perform(false), perform(true));
}

#[test]
fn the_editions_of_a_state_are_told() {
    let mut show = show();
    assert_eq!(Rack::editions_of(show.player.state()), Ok((0, None)));
    show.adopt(1, 100);
    assert_eq!(Rack::editions_of(show.player.state()), Ok((1, Some(0))));
    show.left(1);
    assert_eq!(Rack::editions_of(show.player.state()), Ok((1, Some(0))));
    show.adopt(2, 60);
    assert_eq!(Rack::editions_of(show.player.state()), Ok((2, Some(1))));
    show.left(1);
    assert_eq!(Rack::editions_of(show.player.state()), Ok((2, None)));
    assert_eq!(Rack::editions_of(&[]), Err(StateError::Layout));
    assert_eq!(Rack::editions_of(&[0; 100]), Err(StateError::Layout));
}

#[test]
fn a_state_of_something_else_is_refused_by_reason() {
    let mut show = show();
    let first = show.player.state().to_vec();
    show.adopt(1, 900);
    show.left(1);
    let fading = show.player.state().to_vec();
    let words = fading.len() - first.len();
    let refused = |show: &mut Show, state: &[u64]| {
        let before = show.player.state().to_vec();
        let why = show.player.restore(state);
        assert_eq!(show.player.state(), before);
        why
    };
    // Header: magic, plan, block, sequence, agenda, 8 notes, edition, before, left and frames.
    let (plan, agenda, edition, before, fade) = (1, 4, 13, 14, 15);
    let wild = |change: &[(usize, u64)]| {
        let mut state = fading.clone();
        change.iter().for_each(|(at, word)| state[*at] = *word);
        state
    };
    let cases = [
        (wild(&[(0, 7)]), StateError::Layout),
        (wild(&[(plan, 7)]), StateError::OtherPlan),
        (wild(&[(edition, 9)]), StateError::OtherPlan),
        (wild(&[(before, 9)]), StateError::OtherPlan),
        (wild(&[(words, 7)]), StateError::Layout),
        (wild(&[(words + plan, 7)]), StateError::OtherPlan),
        (wild(&[(words + edition, 7)]), StateError::OtherPlan),
        (fading[1..].to_vec(), StateError::Layout),
    ];
    for (at, (state, why)) in cases.iter().enumerate() {
        assert_eq!(refused(&mut show, state), Err(*why), "case {at}");
    }
    let wild = [
        wild(&[(edition, 1 << 32)]),
        wild(&[(before, 1 << 40)]),
        wild(&[(agenda, AGENDA_CAPACITY as u64 + 1)]),
        wild(&[(words + agenda, u64::MAX)]),
        wild(&[(fade, 9)]),
        wild(&[(fade, 901 | 900 << 32)]),
        wild(&[(fade, 0)]),
        wild(&[(words + before, 1)]),
    ];
    for (at, state) in wild.iter().enumerate() {
        let why = refused(&mut show, state);
        assert!(matches!(why, Err(StateError::Wild { .. })), "case {at}: {why:?}");
    }
    for cut in [&fading[..words], &fading[..fading.len() - 1]] {
        assert!(matches!(refused(&mut show, cut), Err(StateError::Length { .. })));
    }
    let alone = wild_alone(&fading[..words], before, fade);
    assert_eq!(show.player.restore(&alone), Ok(()), "a fade that is over is one plan alone");
    // Whoever lacks a plan cannot go on from it.
    let mut other = Performer::new(
        std::collections::BTreeMap::from([(0, show.plans[0].clone())]),
        0,
        show.plans[0].setup(),
    )
    .unwrap();
    for state in [&fading, &alone] {
        assert_eq!(other.restore(state), Err(StateError::OtherPlan));
    }
    assert_eq!(other.restore(&first), Ok(()));
    let mut rack = Rack::new(&show.plans[0], show.plans[0].setup()).unwrap();
    for state in [&fading, &alone] {
        assert!(rack.restore(state).is_err());
    }
}

/// The same without what is faded from.
fn wild_alone(state: &[u64], before: usize, fade: usize) -> Vec<u64> {
    let mut state = state.to_vec();
    (state[before], state[fade]) = (0, 0);
    state
}

/// A damaged checkpoint that slips through may sound wrong; it may not panic.
#[test]
fn no_bit_of_a_state_in_a_fade_can_make_the_rack_panic() {
    let patch = "segue = 1
osc = { type = \"osc\", shape = \"saw\", freq = 200, voices = 3 }
env = { type = \"adsr\", in = \"osc\" }
out = { in = \"env * 0.5\" }
";
    let mut show = Show::new(&[patch, &reordered(patch)]);
    show.gate("env", 1.0);
    show.set_at(9_000, "osc", "freq", 300.0);
    show.left(3);
    show.adopt(1, 400);
    show.left(2);
    let good = show.player.state().to_vec();
    let words = [0, good.len() - Show::new(&[patch]).player.state().len()];
    let (mut noise, mut taken) = (1_u64, 0);
    for round in 0..4_000 {
        let mut wild = good.clone();
        for _ in 0..=round % 3 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Of both agendas the first few entries are enough.
            let word = words[noise as usize % 2] + (noise >> 33) as usize % 330;
            wild[word] ^= 1 << (noise >> 24 & 63);
        }
        if show.player.restore(&wild).is_ok() {
            taken += 1;
            for sample in show.left(8) {
                assert!(sample.abs() <= 1.0);
            }
            if round % 9 == 0 {
                show.player.restore(&good).unwrap();
            }
        }
    }
    assert!(taken > 1_000, "{taken}");
}

/// Invariant 2, in a commit and its fade, and where a state of that fade is taken up.
#[test]
fn going_over_allocates_nothing() {
    let mut show = show();
    let mut rack = Rack::new(&show.plans[0], show.plans[0].setup()).unwrap();
    rack.restore(show.player.state()).unwrap();
    for edition in 1..3 {
        let plan = &show.plans[edition - 1];
        let next = (&show.plans[edition], edition as u32);
        let next =
            segue_rack::Successor::prepare((plan, edition as u32 - 1), next, plan.setup()).unwrap();
        let drone = show.plans[edition].module("drone").unwrap();
        let set = Action::Set { module: drone, param: 1, value: 90.0, ramp_frames: 900 };
        let mut out = [0.0; 128];
        let mut left = None;
        segue_sys::testing::assert_no_alloc(|| {
            left = Some(rack.adopt(next, 1_000));
            for block in 0..20 {
                rack.apply(&Command::now(set));
                if block == 9 {
                    assert_eq!(rack.fading(), Some(edition as u32 - 1));
                    rack.bypass(1);
                    rack.apply(&Command::now(Action::Panic));
                }
                rack.render(&mut out, &mut |_| {});
            }
        });
        assert!(matches!(left, Some(Ok(_))));
    }
    show.adopt(1, 1_000);
    show.left(2);
    let state = show.player.state().to_vec();
    show.left(2);
    segue_sys::testing::assert_no_alloc(|| show.player.restore(&state).unwrap());
}

/// Pages this thread has had to wait for.
#[cfg(target_os = "linux")]
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("the kernel tells");
    // The tenth field, counted from behind the name, which may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let faults = fields.and_then(|mut fields| fields.nth(7)?.parse().ok());
    faults.expect("it tells how often")
}

/// S57: a commit that brings ten seconds of delay line once made every replica late in the same
/// block. All of it is there, and touched, before anybody goes over.
#[cfg(target_os = "linux")]
#[test]
fn ten_seconds_of_delay_line_are_there_before_they_are_gone_over_to() {
    let setup = Setup { state_bytes: 16 << 20, ..Setup::default() };
    let plan = |echo: &str| {
        let text = format!(
            "segue = 1\nosc = {{ type = \"osc\" }}\n{echo}\
             out = {{ type = \"out\", in = \"osc\" }}\n"
        );
        Plan::compile(&Patch::parse(&text).unwrap(), &setup).unwrap()
    };
    let echo = "echo = { type = \"delay\", in = \"osc\", mode = \"stereo\", max = 10000 }\n";
    let (small, large) = (plan(""), plan(echo));
    let pages = (large.state_bytes() - small.state_bytes()) as u64 / 4096;
    assert!(pages > 900, "{pages}");
    let mut rack = Rack::new(&small, &setup).unwrap();
    let mut out = [0.0; 128];
    (0..20).for_each(|_| rack.render(&mut out, &mut |_| {}));
    let next = Successor::prepare((&small, 0), (&large, 1), &setup).unwrap();
    let before = faults();
    segue_sys::testing::assert_no_alloc(|| {
        let left = rack.adopt(next, 480);
        (0..20).for_each(|_| rack.render(&mut out, &mut |_| {}));
        std::mem::forget(left);
    });
    let met = faults() - before;
    // One or two of the stack; sixteen and more where the line was not touched before.
    assert!(met < 8, "{met} of {pages} pages were not there");
}
