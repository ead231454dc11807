//! A worker whose state goes wrong without a word: found, judged, and never handed on.

use segue_lockstep::memory::status::Counter::{Deaths, Divergences, NoneReads};
use segue_sim::toy::{Poison, poison};
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

fn world(seed: u64, slots: usize) -> World {
    let mut world = World::new(seed, Config { slots, ..Config::default() });
    world.settle();
    world.run(200);
    world
}

/// Flips a bit in the state of one worker; gives who goes first.
fn stain(world: &mut World, of_primary: bool) -> usize {
    let primary = world.orders.primary().expect("somebody goes first");
    let slots = world.slots.len();
    let slot = if of_primary { primary } else { (primary + 1) % slots };
    let pid = world.child(slot).expect("a worker").pid();
    assert!(world.send(&[poison(Poison::Stain, pid)]));
    primary
}

/// The fate of the workers in the slots that are named.
fn assert_replaced(world: &World, slots: &[usize]) {
    let dead: Vec<usize> = world.status.deaths().iter().map(|death| death.slot as usize).collect();
    assert_eq!(dead, slots, "{}", world.describe());
    assert_eq!(world.counter(NoneReads), 0);
    assert!(world.checker.is_all_applied());
}

/// With three, two agree: the third is outvoted in the block in which it goes wrong.
#[test]
fn of_three_the_one_that_differs_is_outvoted_and_not_heard_for_a_block() {
    for of_primary in [true, false] {
        let mut world = world(1, 3);
        let primary = stain(&mut world, of_primary);
        world.run_until("it is told", |world| world.counter(Deaths) == 1);
        world.settle();
        world.run(300);
        let slot = if of_primary { primary } else { (primary + 1) % 3 };
        assert_replaced(&world, &[slot]);
        assert_eq!(world.counter(Divergences), 1);
    }
}

/// The same while nobody judges: what the two others have is played instead.
#[test]
fn of_three_the_majority_is_played_also_while_the_monitor_is_away() {
    let mut world = world(3, 3);
    world.monitor_suspended = true;
    stain(&mut world, true);
    world.run(100);
    world.monitor_suspended = false;
    world.settle();
    world.run(300);
    assert_eq!((world.checker.wrong, world.counter(Divergences)), (0, 1));
}

#[test]
fn of_two_a_standby_that_goes_wrong_is_replaced_and_not_heard() {
    let mut world = world(2, 2);
    let primary = stain(&mut world, false);
    world.run_until("it is told", |world| world.counter(Deaths) == 1);
    world.settle();
    world.run(300);
    assert_replaced(&world, &[1 - primary]);
    assert_eq!(world.orders.primary(), Some(primary));
}

/// S56: the next guest of the standby's slot replays from what both had agreed on, finds that
/// it is the primary that is wrong, and takes its place.
#[test]
fn of_two_a_primary_that_goes_wrong_is_heard_until_it_is_judged_and_no_longer() {
    let mut heard = 0;
    for seed in 0..20 {
        let mut world = world(100 + seed, 2);
        let blocks = world.chance.below(40);
        world.run(blocks);
        // A start takes 3 ms, the replay some blocks, and the way to the playhead.
        world.checker.tolerated = 40;
        let primary = stain(&mut world, true);
        world.run_until("both are told", |world| world.counter(Deaths) == 2);
        world.run_ns(50 * MS);
        world.settle();
        let wrong = world.checker.wrong;
        // What was in hand was right: now and then the judgement is faster.
        heard += usize::from(wrong > 0);
        world.run(300);
        assert_eq!(world.checker.wrong, wrong, "seed {seed}: the error was handed on");
        let dead: Vec<u64> = world.status.deaths().iter().map(|death| death.slot).collect();
        assert_eq!(dead, [1 - primary as u64, primary as u64], "seed {seed}");
        assert_eq!(world.counter(NoneReads), world.checker.concealed, "seed {seed}");
        assert!(world.counter(NoneReads) < 20, "seed {seed}: {}", world.counter(NoneReads));
    }
    assert!(heard > 15, "it was heard: {heard}");
}

/// With a long period an arbiter is at the playhead before it has come to where the primary went
/// wrong: it differs as one of two in lockstep then, and it is the primary that goes.
#[test]
fn of_two_an_arbiter_that_is_in_lockstep_early_is_believed_against_the_primary() {
    for seed in 0..10 {
        let period = (4096, 4096);
        let mut world = World::new(500 + seed, Config { period, ..Config::default() });
        world.settle();
        world.run(600);
        let blocks = world.chance.below(80);
        world.run(blocks);
        let primary = world.orders.primary().expect("somebody goes first");
        let pid = world.child(primary).expect("a worker").pid();
        world.checker.tolerated = 400;
        assert!(world.send(&[poison(Poison::QuietStain, pid)]));
        world.run_ns(600 * MS);
        let dead: Vec<u64> = world.status.deaths().iter().map(|death| death.slot).collect();
        let fate = [1 - primary as u64, primary as u64];
        assert_eq!(dead, fate, "seed {seed}: {}", world.describe());
        world.settle();
        world.checker.tolerated = world.checker.wrong;
        world.run(600);
    }
}

/// Nobody has agreed on any state yet: the arbiter begins where all begin, not where the wrong
/// one says.
#[test]
fn of_two_an_error_before_the_first_agreement_is_judged_from_the_beginning() {
    for seed in 0..10 {
        let mut world = World::new(600 + seed, Config::default());
        world.settle();
        world.run(1);
        let primary = world.orders.primary().expect("somebody goes first");
        let pid = world.child(primary).expect("a worker").pid();
        world.checker.tolerated = 100;
        world.late_starts[1 - primary] = 20;
        world.kill(1 - primary);
        assert!(world.send(&[poison(Poison::Stain, pid)]));
        world.run(40);
        assert_eq!(world.orders.trusted(), None, "seed {seed}");
        world.run_ns(200 * MS);
        world.settle();
        let wrong = world.checker.wrong;
        assert!(wrong > 0, "seed {seed}: it was heard");
        world.checker.tolerated = wrong;
        world.run(600);
    }
}

/// What is wrong in a state and not heard yet is found by the hash of the whole state, also by
/// the joiner that has to judge: what it renders is the same for a while.
#[test]
fn of_two_an_error_that_is_not_heard_yet_is_judged_like_one_that_is() {
    for seed in 0..10 {
        let mut world = world(400 + seed, 2);
        let blocks = world.chance.below(40);
        world.run(blocks);
        let primary = world.orders.primary().expect("somebody goes first");
        let pid = world.child(primary).expect("a worker").pid();
        world.checker.tolerated = 40;
        assert!(world.send(&[poison(Poison::QuietStain, pid)]));
        world.run_ns(300 * MS);
        let told = world.status.deaths();
        let overruled = told.iter().filter(|death| death.cause.contains("trusted checkpoint"));
        let slots: Vec<u64> = overruled.map(|death| death.slot).collect();
        assert_eq!(slots, [primary as u64], "seed {seed}: {}", world.describe());
        world.settle();
        world.checker.tolerated = world.checker.wrong;
        world.run(600);
        assert_eq!(world.counter(Divergences), world.counter(Deaths), "seed {seed}");
    }
}

/// Whoever was alone with a state that went wrong where it is not heard yet is found out by the
/// first that replays, before that one is in lockstep with it.
#[test]
fn a_joiner_finds_what_is_wrong_in_a_state_before_it_is_heard() {
    for seed in 0..10 {
        let mut world = world(700 + seed, 2);
        let blocks = world.chance.below(40);
        world.run(blocks);
        let primary = world.orders.primary().expect("somebody goes first");
        let pid = world.child(primary).expect("a worker").pid();
        let applied = world.orders.head() + 1;
        assert!(world.send(&[poison(Poison::QuietStain, pid)]));
        world.run_until("it is sealed", |world| world.orders.head() == applied);
        // Nobody is there to compare when it goes wrong, and for some blocks after.
        world.late_starts[1 - primary] = 20;
        world.kill(1 - primary);
        world.run_ns(300 * MS);
        world.settle();
        let told = world.status.deaths();
        let dead: Vec<u64> = told.iter().map(|death| death.slot).collect();
        assert_eq!(dead, [1 - primary as u64, primary as u64], "seed {seed}");
        world.run(600);
        assert_eq!(world.checker.wrong, 0, "seed {seed}: it was heard");
    }
}
