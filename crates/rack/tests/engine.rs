//! What the engine does with time, gates, faults and the master.

mod bench;

use bench::{Bench, bits, peak};
use segue_rack::{AGENDA_CAPACITY, Action, Command, MASTER_GAIN_MAX, Rack, Setup, StateError};

/// A level anybody can read off the output: the knob `gain` of `level`.
const LEVEL: &str =
    "segue = 1\n[level]\ntype = \"vca\"\nin = 1.0\ngain = 0.25\n[out]\nin = \"level\"\n";

/// An envelope's level, on the output.
const ENVELOPE: &str = "segue = 1
env = { type = \"adsr\", attack = 0, decay = 0, sustain = 1.0, release = 0 }
out = { in = \"env * 0.5\" }
";

const TONE: &str =
    "segue = 1\nosc = { type = \"osc\", freq = 200 }\nout = { in = \"osc * 0.5\" }\n";

/// S43: per sample, and the documented time: 5 ms are 240 frames.
#[test]
fn a_knob_moves_in_a_straight_line_for_5_ms() {
    let mut bench = Bench::new(LEVEL);
    bench.block();
    bench.set_at(64 + 10, "level", "gain", 0.75);
    let heard = bench.left(6);
    assert_eq!((heard[9], heard[10 + 239]), (0.25, 0.75));
    for (frame, level) in heard[10..250].iter().enumerate() {
        let truth = 0.25 + 0.5 * (frame + 1) as f32 / 240.0;
        assert!((level - truth).abs() < 1e-6, "{level} at {frame}");
    }
}

#[test]
fn a_knob_takes_the_time_it_is_given() {
    let mut bench = Bench::new(LEVEL);
    let module = bench.module("level");
    let set = Action::Set { module, param: 0, value: 0.5, ramp_frames: 4_800 };
    bench.tell(Command::now(set));
    let heard = bench.left(76);
    assert!(heard[4_798] < 0.5 && heard[4_799] == 0.5);
    assert_eq!(bench.rack.param(module, 0), Some(0.5));
}

/// S31: a gate on and off inside one block is a note: a millisecond apart, and heard.
#[test]
fn gates_of_one_frame_are_kept_a_millisecond_apart() {
    let mut bench = Bench::new(ENVELOPE);
    for level in [1.0, 0.0, 0.5, 0.0] {
        bench.gate("env", level);
    }
    let heard = bench.left(4);
    let spans: Vec<f32> = [0, 47, 48, 95, 96, 143, 144, 200].map(|frame| heard[frame]).to_vec();
    assert_eq!(spans, [0.5, 0.5, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0]);
}

/// S31: frame accurate.
#[test]
fn a_gate_opens_at_the_frame_it_is_due() {
    for due in [0, 1, 63, 64, 100, 1_000] {
        let mut bench = Bench::new(ENVELOPE);
        let module = bench.module("env");
        bench.tell(Command::at(due, Action::Gate { module, level: 1.0 }));
        let heard = bench.left(20);
        let first = heard.iter().position(|sample| *sample != 0.0);
        assert_eq!(first, Some(due as usize));
    }
}

/// S25: above 0 is open, up to 1; 127 is no louder than 1, and below 0 is closed.
#[test]
fn a_gate_is_open_above_zero_and_no_louder_than_one() {
    for (level, heard) in [(0.0, 0.0), (1.0, 0.5), (0.5, 0.25), (127.0, 0.5), (-1.0, 0.0)] {
        let mut bench = Bench::new(ENVELOPE);
        bench.gate("env", level);
        assert_eq!(bench.left(2)[100], heard, "gate {level}");
    }
}

/// S26: whatever the flood, what the player did last is what holds.
#[test]
fn a_flood_of_gates_ends_as_the_player_ended() {
    for last in [0.0, 0.5] {
        let mut bench = Bench::new(ENVELOPE);
        for _ in 0..100 {
            bench.gate("env", 1.0);
            bench.gate("env", 0.0);
        }
        bench.gate("env", last);
        let module = bench.module("env");
        let heard = bench.left(40);
        assert_eq!(heard[40 * 64 - 1], 0.5 * last);
        assert_eq!(bench.rack.gate(module), Some(last));
        assert!(bench.rack.notes().merged > 0, "it was counted");
    }
}

/// S58: 64 different frames in one block: eight cuts, the rest at frame 0 of the next, in order.
#[test]
fn a_block_is_cut_eight_times_and_the_rest_waits() {
    let mut bench = Bench::new(LEVEL);
    let module = bench.module("level");
    for frame in 1..64_u64 {
        let value = frame as f32 / 64.0;
        let set = Action::Set { module, param: 0, value, ramp_frames: 0 };
        bench.tell(Command::at(frame, set));
    }
    let heard = bench.left(2);
    assert_eq!(heard[7], 7.0 / 64.0);
    assert_eq!((heard[8], heard[63]), (8.0 / 64.0, 8.0 / 64.0));
    assert_eq!(heard[64], 63.0 / 64.0, "the last of them, in order");
    assert_eq!(bench.rack.notes().moved, 55);
}

/// S58: 130 commands for one frame are done in the order they came.
#[test]
fn commands_of_one_frame_are_done_in_order() {
    let mut bench = Bench::new(LEVEL);
    let module = bench.module("level");
    for n in 0..130 {
        let set = Action::Set { module, param: 0, value: n as f32 / 200.0, ramp_frames: 0 };
        bench.tell(Command::at(30, set));
    }
    let heard = bench.left(1);
    assert_eq!((heard[29], heard[30]), (0.25, 129.0 / 200.0));
}

/// S58: more than a block can take waits, in order, and is counted.
#[test]
fn a_flood_is_bounded_per_block_and_nothing_of_it_is_lost() {
    let mut bench = Bench::new(LEVEL);
    let module = bench.module("level");
    for n in 0..600 {
        let set = Action::Set { module, param: 0, value: n as f32 / 1_000.0, ramp_frames: 0 };
        bench.tell(Command::at(0, set));
    }
    let heard = bench.left(3);
    assert_eq!((heard[0], heard[64], heard[128]), (0.255, 0.511, 0.599));
    assert_eq!((bench.rack.agenda_len(), bench.rack.notes().moved), (0, 344));
}

/// S59: what is due in a minute is state, and a restored rack does it too.
#[test]
fn a_command_due_in_a_minute_survives_a_checkpoint() {
    let mut bench = Bench::new(LEVEL);
    bench.set_at(60 * 48_000, "level", "gain", 0.9);
    bench.block();
    let mut other = Bench::new(LEVEL);
    other.rack.restore(bench.rack.state()).unwrap();
    let due: Vec<u64> = other.rack.pending().map(|command| command.due).collect();
    assert_eq!(due, [60 * 48_000]);
    other.left(60 * 750);
    assert!((peak(&other.left(4)) - 0.9).abs() < 1e-6);
}

#[test]
fn a_full_agenda_refuses_what_is_for_later_and_takes_what_is_for_now() {
    let mut bench = Bench::new(LEVEL);
    for _ in 0..AGENDA_CAPACITY {
        bench.set_at(1_000_000, "level", "gain", 0.5);
    }
    assert_eq!(bench.rack.notes().refused, 256);
    bench.set_at(0, "level", "gain", 0.75);
    assert_eq!(bench.left(5)[300], 0.75);
    bench.tell(Command::now(Action::Clear));
    bench.block();
    assert_eq!(bench.rack.agenda_len(), 0);
}

/// S29, S30: what makes no sense is refused at the border; here it is ignored and counted.
#[test]
fn nonsense_is_ignored_and_counted() {
    let mut bench = Bench::new(LEVEL);
    let (level, out) = (bench.module("level"), bench.module("out"));
    let set = |module, param, value| Action::Set { module, param, value, ramp_frames: 0 };
    let nonsense = [
        set(level, 0, f32::NAN),
        set(level, 0, f32::INFINITY),
        set(level, 9, 1.0),
        set(999, 0, 1.0),
        Action::Gate { module: level, level: 1.0 },
        Action::Gate { module: 999, level: 1.0 },
        Action::MasterGain { gain: f32::NAN, ramp_frames: 0 },
        Action::Bypass { module: 999 },
        Action::Revive { module: out + 1 },
    ];
    for action in nonsense {
        bench.tell(Command::now(action));
    }
    assert!(bench.left(10).iter().all(|sample| *sample == 0.25));
    assert_eq!(bench.rack.notes().ignored, nonsense.len() as u64);
    bench.set_at(0, "level", "gain", 1e9);
    let (module, _) = (level, bench.block());
    assert_eq!(bench.rack.param(module, 0), Some(8.0), "clamped to the range");
}

/// S29: what a module produces that is not finite is caught, the module reset, and told.
#[cfg(feature = "fault")]
#[test]
fn a_module_that_turns_non_finite_is_reset_and_told() {
    let mut bench = Bench::new(
        "segue = 1
osc = { type = \"osc\", freq = 200 }
bad = { type = \"fault\", in = \"osc\", mode = \"nan\" }
filter = { type = \"biquad\", in = \"bad\" }
out = { in = \"filter * 0.5\" }
",
    );
    let before = peak(&bench.left(100));
    bench.set_at(0, "bad", "trigger", 1.0);
    bench.block();
    bench.set_at(0, "bad", "trigger", 0.0);
    assert!(bench.left(50).iter().all(|sample| sample.is_finite()));
    assert!((peak(&bench.left(100)) - before).abs() < 1e-3, "all is as before");
    let notes = bench.rack.notes();
    assert_eq!(notes.resets, 1, "only the culprit: {notes:?}");
    assert_eq!(notes.reset_module, u64::from(bench.module("bad")) + 1);
}

/// It fades within its block, gives silence as long as it lasts, and where blocks are cut changes
/// nothing.
#[cfg(feature = "fault")]
#[test]
fn a_module_that_stays_non_finite_is_silent_and_cuts_change_nothing() {
    for mode in [6.0, 8.0] {
        let heard = [false, true].map(|cut| {
            let mut bench = Bench::new(
                "segue = 1\n[bad]\ntype = \"fault\"\nin = 0.5\n\
                 [out]\nin = \"bad\"\n",
            );
            bench.set_at(0, "bad", "mode", mode);
            bench.set_at(0, "bad", "after", 3.0);
            bench.set_at(0, "bad", "trigger", 1.0);
            if cut {
                for frame in [195, 200, 201, 250, 300] {
                    bench.set_at(frame, "bad", "ms", frame as f32);
                }
            }
            let heard = bench.left(8);
            // Before its third block, then again each block: a reset makes it count anew.
            assert_eq!(bench.rack.notes().resets, 2, "in the fourth and the eighth block");
            heard
        });
        assert_eq!(heard[0][..192], [0.5; 192]);
        assert!(heard[0][192..256].windows(2).all(|pair| pair[1] < pair[0]), "it fades");
        assert_eq!(heard[0][255], 0.0);
        assert_eq!(bench::bits(&heard[0]), bench::bits(&heard[1]));
    }
}

/// A damaged checkpoint behind the last module costs a block, and nothing that was not
/// damaged.
#[test]
fn a_master_that_is_no_number_is_mended_counted_and_stays_muted() {
    let mut bench = Bench::new(LEVEL);
    bench.tell(Command::now(Action::MasterGain { gain: 1.75, ramp_frames: 0 }));
    bench.tell(Command::now(Action::MasterMute { on: true }));
    bench.left(20);
    let mut state = bench.rack.state().to_vec();
    let gain = state.iter_mut().find(|word| **word == u64::from(1.75_f32.to_bits())).unwrap();
    *gain = u64::from(f32::NAN.to_bits());
    bench.rack.restore(&state).unwrap();
    assert!(bench.left(20).iter().all(|sample| *sample == 0.0));
    let notes = bench.rack.notes();
    assert_eq!((notes.resets, notes.reset_module), (1, u64::from(bench.module("out")) + 1));
    assert_eq!(bench.rack.master(), (1.0, true));
}

#[test]
fn a_bypassed_module_decays_in_5_ms_and_comes_back_when_revived() {
    let mut bench = Bench::new(LEVEL);
    let module = bench.module("level");
    bench.block();
    bench.tell(Command::now(Action::Bypass { module }));
    let heard = bench.left(5);
    assert!((heard[119] - 0.125).abs() < 1e-6 && heard[238] > 0.0 && heard[239] == 0.0);
    bench.set_at(0, "level", "gain", 0.75);
    bench.block();
    assert!(bench.rack.is_bypassed(module));
    assert_eq!(bench.rack.notes().skipped, 1);
    bench.tell(Command::now(Action::Revive { module }));
    let heard = bench.left(5);
    assert!(heard[0] == 0.0 && (heard[120] - 0.125).abs() < 1e-6, "{}", heard[120]);
    assert_eq!(heard[240], 0.25, "what it was told meanwhile was skipped");
}

/// A module is not rendered in the very block its verdict stands in.
#[cfg(feature = "fault")]
#[test]
fn a_bypassed_module_does_no_more_harm() {
    let mut bench = Bench::new("segue = 1\n[bad]\ntype = \"fault\"\n[out]\nin = \"bad\"\n");
    bench.set_at(0, "bad", "trigger", 1.0);
    let module = bench.module("bad");
    let verdict = Command::now(Action::Bypass { module });
    bench.tell(verdict);
    assert_eq!(peak(&bench.left(10)), 0.0);
}

#[test]
fn a_panic_is_silent_within_10_ms_and_the_drone_comes_back() {
    let mut bench = Bench::new(
        "segue = 1
osc = { type = \"osc\", freq = 200 }
env = { type = \"adsr\", in = \"osc\", release = 5000 }
ring = { type = \"biquad\", in = \"env\", cutoff = 200, q = 20 }
out = { in = \"osc * 0.1 + ring * 0.05\" }
",
    );
    bench.gate("env", 1.0);
    let before = peak(&bench.left(200));
    bench.tell(Command::now(Action::Panic));
    let heard = bench.left(8);
    assert_eq!(peak(&heard[480..]), 0.0);
    bench.left(8);
    let after = peak(&bench.left(200));
    assert!(before > 0.15 && (after - 0.1).abs() < 0.001, "{before}, then {after}");
    let module = bench.module("env");
    assert_eq!(bench.rack.gate(module), Some(0.0));
    bench.gate("env", 1.0);
    assert!(peak(&bench.left(200)) > 0.15, "and it can be played again");
}

#[test]
fn a_note_right_after_a_panic_is_heard() {
    let mut bench = Bench::new(ENVELOPE);
    bench.gate("env", 1.0);
    bench.block();
    bench.tell(Command::now(Action::Panic));
    bench.block();
    bench.gate("env", 1.0);
    assert_eq!(bench.left(30)[30 * 64 - 1], 0.5);
}

#[test]
fn the_closing_fade_ends_in_exact_zero_and_stays_there() {
    let mut bench = Bench::new(TONE);
    bench.left(10);
    bench.tell(Command::now(Action::Fade { frames: 4_800 }));
    let heard = bench.left(100);
    assert!(peak(&heard[4_000..4_700]) > 0.0);
    assert!(bits(&heard[4_799..]).iter().all(|bits| *bits == 0), "not a sign bit left");
}

#[test]
fn master_gain_and_mute_move_in_10_ms() {
    let mut bench = Bench::new(LEVEL);
    bench.tell(Command::now(Action::MasterGain { gain: 2.0, ramp_frames: u32::MAX }));
    let heard = bench.left(10);
    assert!(heard[478] < 0.5 && heard[479] == 0.5);
    bench.tell(Command::at(640 + 32, Action::MasterMute { on: true }));
    let heard = bench.left(10);
    assert_eq!((heard[31], heard[32 + 479]), (0.5, 0.0));
    assert_eq!(bench.rack.master(), (2.0, true));
    bench.tell(Command::now(Action::MasterMute { on: false }));
    bench.tell(Command::now(Action::MasterGain { gain: 99.0, ramp_frames: 0 }));
    let loudest = bench.left(20)[1_000];
    assert_eq!(bench.rack.master(), (MASTER_GAIN_MAX, false));
    assert!((0.988..0.989).contains(&loudest), "held at the ceiling: {loudest}");
}

#[test]
fn the_test_tone_is_440_hz_for_one_second() {
    let mut bench = Bench::new("segue = 1\n[out]\n");
    bench.tell(Command::now(Action::Test));
    let heard = bench.left(800);
    let rises = heard.windows(2).filter(|pair| pair[0] <= 0.0 && pair[1] > 0.0).count();
    assert!((439..=441).contains(&rises), "{rises}");
    let last = heard.iter().rposition(|sample| *sample != 0.0).unwrap();
    assert!((47_900..48_000).contains(&last), "{last}");
    let step = heard.windows(2).fold(0.0_f32, |step, pair| step.max((pair[1] - pair[0]).abs()));
    assert!((peak(&heard) - 0.25).abs() < 1e-3 && step < 0.016, "no click: {step}");
}

/// S46: whatever a patch does, the device is safe.
#[test]
fn a_patch_at_full_throttle_stays_below_the_ceiling() {
    let mut bench = Bench::new(
        "segue = 1
osc = { type = \"osc\", shape = \"square\", freq = 100 }
jump = { type = \"osc\", shape = \"square\", freq = 700 }
ring = { type = \"biquad\", in = \"osc\", cutoff = \"500 + jump * 4oct\", q = 20 }
loud = { type = \"vca\", in = \"ring\", gain = 8 }
out = { in = \"loud * 20\" }
",
    );
    let heard = bench.left(400);
    assert!(peak(&heard) <= 0.989 && peak(&heard) > 0.9, "{}", peak(&heard));
    assert!(bench.rack.notes().limited > 0);
}

#[test]
fn a_state_of_something_else_is_refused_by_reason() {
    let mut bench = Bench::new(LEVEL);
    let good = bench.rack.state().to_vec();
    let other = Bench::new(&LEVEL.replace("0.25", "0.5"));
    assert_eq!(bench.rack.restore(other.rack.state()), Err(StateError::OtherPlan));
    let short = bench.rack.restore(&good[1..]);
    assert!(matches!(short, Err(StateError::Length { .. })));
    let mut wild = good.clone();
    wild[0] ^= 1;
    assert_eq!(bench.rack.restore(&wild), Err(StateError::Layout));
    let mut wild = good.clone();
    wild[4] = u64::MAX;
    assert!(matches!(bench.rack.restore(&wild), Err(StateError::Wild { .. })));
    assert_eq!(bench.rack.state(), good);
}

/// A damaged checkpoint that slips through may sound wrong; it may not panic.
#[test]
fn no_bit_of_a_state_can_make_the_rack_panic() {
    let mut bench = Bench::new(
        "segue = 1
osc = { type = \"osc\", shape = \"saw\", freq = 200, voices = 3 }
env = { type = \"adsr\", in = \"osc\" }
ring = { type = \"biquad\", in = \"env\", q = 9 }
out = { in = \"ring * 0.5\" }
",
    );
    bench.gate("env", 1.0);
    bench.set_at(9_000, "ring", "cutoff", 300.0);
    bench.left(3);
    let good = bench.rack.state().to_vec();
    let mut noise = 1_u64;
    for round in 0..3_000 {
        let mut wild = good.clone();
        for _ in 0..=round % 4 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // The agenda is long and mostly empty: its first few entries are enough.
            let word = (noise >> 33) as usize % (good.len() - 8_000).min(good.len());
            wild[word] ^= noise.rotate_left(17);
        }
        if bench.rack.restore(&wild).is_ok() {
            let env = bench.module("env");
            let _ = (bench.rack.gate(env), bench.rack.param(env, 0), bench.rack.master());
            assert!(bench.rack.pending().count() <= AGENDA_CAPACITY);
            for sample in bench.left(3) {
                assert!(sample.abs() <= 1.0);
            }
        }
    }
}

#[test]
fn the_crumb_names_every_module_in_order() {
    let mut bench = Bench::new(TONE);
    let mut crumbs = Vec::new();
    bench.rack.render(&mut [0.0; 128], &mut |module| crumbs.push(module));
    assert_eq!(crumbs, [0, 1]);
}

#[test]
fn channels_beyond_two_are_silent_and_one_hears_both_sides() {
    let patch = "segue = 1\n[out]\nleft = 0.25\nright = 0.5\n";
    for (channels, frame) in
        [(1, vec![0.375]), (2, vec![0.25, 0.5]), (4, vec![0.25, 0.5, 0.0, 0.0])]
    {
        let setup = Setup { channels, ..Setup::default() };
        let patch = segue_rack::Patch::parse(patch).unwrap();
        let plan = segue_rack::Plan::compile(&patch, &setup).unwrap();
        let mut rack = Rack::new(&plan, &setup).unwrap();
        let mut out = vec![9.0; 64 * usize::from(channels)];
        rack.render(&mut out, &mut |_| {});
        assert_eq!(out[..usize::from(channels)], frame);
    }
}

#[test]
fn the_demo_plays_at_every_rate() {
    let text = include_str!("../../../patches/demo.toml");
    for (rate, channels) in [(8_000, 1), (44_100, 2), (96_000, 2), (192_000, 8)] {
        let setup = Setup { rate, channels, ..Setup::default() };
        let plan = segue_rack::Plan::compile(&segue_rack::Patch::parse(text).unwrap(), &setup);
        let mut rack = Rack::new(&plan.unwrap(), &setup).unwrap();
        for module in 0..60 {
            rack.apply(&Command::now(Action::Gate { module, level: 1.0 }));
        }
        let mut out = vec![0.0; 64 * usize::from(channels)];
        let mut loudest = 0.0_f32;
        for _ in 0..rate / 64 {
            rack.render(&mut out, &mut |_| {});
            loudest = loudest.max(peak(&out));
        }
        assert!((0.2..0.989).contains(&loudest), "{loudest} at {rate} Hz");
        assert_eq!(rack.notes().resets, 0);
    }
}
