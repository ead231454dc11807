//! The real rack under the faults that the toy is put to: the same bits, whoever plays.

use segue_lockstep::memory::status::Counter::{Deaths, NoneReads, Quarantined};
use segue_sim::toy::{Poison, poison};
use segue_sim::{Config, World};

fn world(seed: u64) -> World {
    let mut world = World::new(seed, Config { rack: Some(seed), ..Config::default() });
    world.settle();
    world.run(50);
    world
}

/// Words that become gates, knobs and the rest, most of them due some blocks later.
fn play(world: &mut World, blocks: u64) {
    for _ in 0..blocks {
        let word = world.chance.bits();
        assert!(world.send(&[[word, 1, 2, 3]]));
        world.run(1);
    }
}

/// S7 and S59: what is due later is part of the state that a joiner loads, and who takes over
/// knows it.
#[test]
fn what_was_told_a_rack_for_later_is_done_by_whoever_plays_then() {
    for seed in 0..4 {
        let mut world = world(seed);
        for round in 1..=12 {
            play(&mut world, 40);
            let primary = world.orders.primary().expect("somebody goes first");
            world.kill(if round % 3 == 0 { 1 - primary } else { primary });
            world.run_until("it is told", |world| world.counter(Deaths) == round);
            world.settle();
        }
        play(&mut world, 100);
        assert_eq!((world.counter(NoneReads), world.counter(Deaths)), (0, 12), "seed {seed}");
    }
}

/// What crashes a rack is refused for good, and the rest is played as if it had never been.
#[test]
fn a_command_that_crashes_a_rack_is_quarantined_and_nothing_is_heard() {
    let mut world = world(9);
    play(&mut world, 20);
    assert!(world.send(&[[5; 4], poison(Poison::CrashInApply, 0), [6; 4]]));
    world.run_until("it is judged", |world| world.counter(Quarantined) == 1);
    world.settle();
    play(&mut world, 100);
    assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (1, 0));
    assert_eq!(world.checker.skipped, 1);
}
