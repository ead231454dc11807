//! Freewheel in simulated time: no clock, nothing concealed, whatever dies.

use segue_lockstep::memory::status::Counter::{Deaths, Late, NoneReads};
use segue_sim::{Config, World};

/// A hundred faults of every kind at random blocks, both at once among them: not one block is
/// made up, for playout waits.
#[test]
fn nothing_is_ever_concealed_on_freewheel() {
    for seed in 0..5 {
        let config = Config { freewheel: true, period: (64, 256), ..Config::default() };
        let mut world = World::new(seed, config);
        world.settle();
        let mut deaths = 0;
        for round in 0..100_u64 {
            let blocks = world.chance.below(40);
            world.run(blocks);
            world.settle();
            let word = world.chance.bits();
            assert!(world.send(&[[word; 4], [round; 4]]));
            let slot = world.chance.below(2) as usize;
            match world.chance.below(4) {
                0 => world.stop(slot),
                1 => {
                    world.kill(0);
                    world.kill(1);
                    deaths += 1;
                }
                _ => world.kill(slot),
            }
            deaths += 1;
            world.run_until("it is told", |world| world.counter(Deaths) == deaths);
        }
        world.settle();
        world.run(100);
        assert_eq!(world.counter(NoneReads), 0, "seed {seed}");
        assert_eq!(world.counter(Late), 0, "seed {seed}");
        assert!(world.checker.is_all_applied());
    }
}

/// Lives 50235 and 53551: playout waited for a joiner, the joiner for the primary, and the primary
/// had published all there was; a bit of the word that said so had flipped.
#[test]
fn whoever_says_less_than_it_has_published_holds_nobody_up() {
    for (seed, slots) in [(61, 2), (62, 3)] {
        let config = Config { slots, freewheel: true, ..Config::default() };
        let mut world = World::new(seed, config);
        world.settle();
        for round in 0..20 {
            world.run(40 + round);
            let first = world.orders.primary().expect("somebody goes first");
            world.kill((first + 1) % slots);
            let done = |world: &World| world.slots[first].published() == world.orders.sealed();
            world.run_until("all there is has been published", done);
            world.understate(first);
            world.settle();
        }
        world.run(40);
        assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (20, 0), "{slots} slots");
    }
}
