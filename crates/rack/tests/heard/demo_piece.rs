//! The piece the demo plays, listened to.

use crate::bench::{Bench, peak};
use segue_rack::{Action, Command};

/// The messages of `patches/demo.osc` as commands.
fn score(bench: &Bench) -> Vec<Command> {
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let time: f64 = words.next()?.strip_prefix('@')?.parse().ok()?;
        let address: Vec<&str> = words.next()?.split('/').skip(1).collect();
        let numbers: Vec<f32> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let module = bench.plan.module(address.get(1)?)?;
        let action = match (address[0], numbers.as_slice()) {
            ("gate", [level]) => Action::Gate { module, level: *level },
            ("mod", [value, ms @ ..]) => Action::Set {
                module,
                param: bench.plan.param(module, address.get(2)?)?,
                value: *value,
                ramp_frames: ms.first().map_or(u32::MAX, |ms| (ms * 48.0) as u32),
            },
            _ => return None,
        };
        Some(Command::at((time * 48_000.0) as u64, action))
    };
    let lines = include_str!("../../../../patches/demo.osc").lines();
    lines.map(|line| read(line).unwrap_or_else(|| panic!("not understood: {line}"))).collect()
}

/// Twenty seconds as the engine would play them: a message reaches the agenda a second ahead.
fn play() -> (Bench, Vec<f32>) {
    let mut bench = Bench::new(include_str!("../../../../patches/demo.toml"));
    let score = score(&bench);
    let mut next = 0;
    let mut heard = Vec::new();
    for block in 0..15_000_u64 {
        while score.get(next).is_some_and(|command| command.due < block * 64 + 48_000) {
            bench.tell(score[next]);
            next += 1;
        }
        heard.extend_from_slice(bench.block());
    }
    assert_eq!(next, score.len(), "the piece ends within its twenty seconds");
    (bench, heard)
}

#[test]
fn the_score_is_in_order_and_lasts_twenty_seconds() {
    let bench = Bench::new(include_str!("../../../../patches/demo.toml"));
    let score = score(&bench);
    assert!(score.is_sorted_by_key(|command| command.due));
    let last = score.last().unwrap().due;
    assert!((19 * 48_000..20 * 48_000).contains(&last));
}

#[test]
fn the_piece_has_no_hole_no_clipping_and_no_click() {
    let (bench, heard) = play();
    assert_eq!(bench.rack.notes(), segue_rack::Notes::default());
    let loudest = peak(&heard);
    assert!((0.4..0.95).contains(&loudest), "peak {loudest}");
    for (tenth, samples) in heard.chunks(9_600).enumerate().skip(1) {
        let power: f32 = samples.iter().map(|sample| sample * sample).sum();
        let rms = (power / samples.len() as f32).sqrt();
        assert!((0.005..0.4).contains(&rms), "tenth {tenth}: rms {rms}");
    }
    let left: Vec<f32> = heard.iter().step_by(2).copied().collect();
    let step = left.windows(2).fold(0.0_f32, |step, pair| step.max((pair[1] - pair[0]).abs()));
    assert!(step < 0.35, "a click of {step}");
}
