//! The predecessor's chain, played from its file.

use segue_rack::{Action, BLOCK_FRAMES, Command, Patch, Plan, Rack, Setup};

#[test]
fn the_first_patch_sounds_while_its_gate_is_open_and_is_silent_before_and_after() {
    let text = include_str!("../../../../patches/first.toml");
    let setup = Setup::default();
    let patch = Patch::parse(text).unwrap();
    let plan = Plan::compile(&patch, &setup).unwrap();
    let again = Plan::from_bytes(&plan.to_bytes()).unwrap();
    assert_eq!(again.hash(), plan.hash());
    let mut rack = Rack::new(&again, &setup).unwrap();
    let env = plan.module("env").unwrap();
    let play = |rack: &mut Rack, blocks: usize| {
        let mut out = vec![0.0; blocks * BLOCK_FRAMES * 2];
        for block in out.chunks_mut(BLOCK_FRAMES * 2) {
            rack.render(block, &mut |_| {});
        }
        let peak = out.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        (peak, out)
    };
    assert_eq!(play(&mut rack, 10).0, 0.0);
    rack.apply(&Command::now(Action::Gate { module: env, level: 1.0 }));
    let (peak, heard) = play(&mut rack, 750);
    assert!((0.3..0.55).contains(&peak), "{peak}");
    let left: Vec<f32> = heard.chunks(2).map(|frame| frame[0]).collect();
    let rises = left.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!((439..=441).contains(&rises), "{rises} periods in a second");
    rack.apply(&Command::now(Action::Gate { module: env, level: 0.0 }));
    play(&mut rack, 400);
    assert_eq!(play(&mut rack, 400).0, 0.0);
}
