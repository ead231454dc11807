//! Commands and parts that kill whoever applies or renders them: judged once, as data.

use segue_lockstep::memory::orders::{Found, Record};
use segue_lockstep::memory::status::Counter::{
    Bypassed, Deaths, Failovers, NoneReads, Quarantined,
};
use segue_lockstep::memory::verdicts::Verdict;
use segue_sim::child::Ailment;
use segue_sim::toy::{Poison, poison};
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

fn world(seed: u64, config: Config) -> World {
    let mut world = World::new(seed, config);
    world.settle();
    world.run(50);
    world
}

fn verdicts(world: &World) -> Vec<Verdict> {
    world.orders.verdicts().all().collect()
}

/// S29, S54: the primary dies of it, nobody else does, and all agree that it never was.
#[test]
fn a_command_that_crashes_whoever_applies_it_is_quarantined_and_nothing_is_heard() {
    for slots in [2, 3, 4] {
        let mut world = world(slots as u64, Config { slots, ..Config::default() });
        assert!(world.send(&[[5; 4], poison(Poison::CrashInApply, 0), [6; 4]]));
        world.run_until("it is judged", |world| world.counter(Quarantined) == 1);
        world.settle();
        world.run(300);
        assert_eq!(verdicts(&world).len(), 1, "{slots} slots");
        assert!(matches!(verdicts(&world)[0], Verdict::Quarantine { number: 1, .. }));
        assert_eq!((world.counter(Deaths), world.counter(Failovers)), (1, 1), "{slots} slots");
        assert_eq!((world.counter(NoneReads), world.checker.skipped), (0, 1), "{slots} slots");
        assert!(world.checker.is_all_applied());
    }
}

/// S53: the part that crashes is to blame, not the knob that was turned in the same block.
#[test]
fn a_part_that_crashes_is_bypassed_and_innocent_commands_of_its_block_are_applied() {
    let mut world = world(10, Config::default());
    assert!(world.send(&[[7; 4], poison(Poison::CrashInRender, 1), [8; 4]]));
    world.run_until("it is judged", |world| world.counter(Bypassed) == 1);
    world.settle();
    world.run(300);
    assert!(matches!(verdicts(&world)[..], [Verdict::Bypass { part: 1, .. }]));
    assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (1, 0));
    assert_eq!(world.checker.skipped, 1, "the command for the part, and no other");
}

/// A loop needs two witnesses, so it is heard as a gap; then there is a verdict, and music.
#[test]
fn what_loops_two_workers_is_judged_like_what_crashes() {
    for (how, lead) in
        [(Poison::LoopInApply, 4), (Poison::LoopInRender, 4), (Poison::LoopInApply, 16)]
    {
        let mut world = world(20, Config { lead, ..Config::default() });
        assert!(world.send(&[poison(how, 2)]));
        world.run_until("it is judged", |world| !verdicts(world).is_empty());
        world.run_ns(500 * MS);
        world.settle();
        world.run(300);
        // A joiner may be caught in the moment before the verdict.
        let deaths = world.counter(Deaths);
        assert!(verdicts(&world).len() == 1 && (2..=3).contains(&deaths), "{how:?}: {deaths}");
        assert!(world.counter(NoneReads) < 60, "{how:?}: {}", world.counter(NoneReads));
    }
}

/// Time stolen from a virtual machine looks like a loop; nobody is condemned for it.
#[test]
fn one_loop_alone_condemns_nothing() {
    let mut world = world(22, Config::default());
    let primary = world.orders.primary().expect("somebody goes first");
    world.child(primary).expect("a worker").ailment = Ailment::Looping;
    world.run_until("it is told", |world| world.counter(Deaths) == 1);
    world.settle();
    world.run(300);
    assert!(verdicts(&world).is_empty());
    assert_eq!(world.counter(NoneReads), 0);
}

/// S55: with nobody else the joiner replays the block in which its predecessor died.
#[test]
fn alone_the_next_guest_knows_what_killed_the_last() {
    for how in [Poison::CrashInApply, Poison::CrashInRender] {
        let mut world = world(30, Config { slots: 1, ..Config::default() });
        assert!(world.send(&[poison(how, 0)]));
        world.run_until("it is judged", |world| !verdicts(world).is_empty());
        world.run_ns(100 * MS);
        world.settle();
        world.run(300);
        assert_eq!((verdicts(&world).len(), world.counter(Deaths)), (1, 1), "{how:?}");
    }
}

#[test]
fn on_freewheel_poison_costs_no_block_at_all() {
    let kinds = [Poison::CrashInApply, Poison::CrashInRender, Poison::LoopInApply];
    for (seed, how) in (40..).zip(kinds) {
        let mut world = world(seed, Config { freewheel: true, ..Config::default() });
        assert!(world.send(&[[1; 4], poison(how, 1)]));
        world.run_until("it is judged", |world| !verdicts(world).is_empty());
        world.settle();
        world.run(300);
        let deaths = if how == Poison::LoopInApply { 2 } else { 1 };
        assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (deaths, 0), "{how:?}");
    }
}

/// Life 53291: the verdict was withdrawn because of a bit that had flipped in how far the dying
/// said it had come, and it was never passed again: whoever came looped at the same place.
#[test]
fn a_wild_word_of_how_far_somebody_is_spares_no_poison() {
    for how in [Poison::CrashInApply, Poison::CrashInRender, Poison::LoopInApply] {
        for seed in 70..75 {
            let mut world = world(seed, Config::default());
            assert!(world.send(&[[1; 4], poison(how, 1)]));
            let mut ticks = 0;
            while verdicts(&world).is_empty() && ticks < 4000 {
                world.overreach(0);
                world.overreach(1);
                world.tick();
                ticks += 1;
            }
            assert_eq!(verdicts(&world).len(), 1, "{how:?}, seed {seed}");
            world.settle();
            world.run(300);
            assert!(world.checker.is_all_applied());
        }
    }
}

/// What seemed to come too late is passed when it proves true after all.
#[test]
fn a_verdict_that_was_withdrawn_does_not_stand_in_its_own_way() {
    let mut world = world(80, Config::default());
    assert!(world.send(&[poison(Poison::CrashInApply, 1)]));
    world.run_until("it is sealed", |world| world.orders.head() > 0);
    let Found::Record(Record { block, .. }) = world.orders.record(0) else { panic!("no record") };
    // The standby's ring holds the block, as if it had rendered it.
    let standby = 1 - world.orders.primary().expect("somebody goes first");
    let place = &world.slots[standby];
    place.write(block, place.generation(), &vec![0; place.entry_words()]);
    world.run_until("one is dead of it", |world| world.counter(Deaths) == 1);
    assert!(verdicts(&world).is_empty());
    world.run_until("it is judged", |world| !verdicts(world).is_empty());
    world.settle();
    world.run(300);
    assert!(world.checker.is_all_applied());
}

/// Life 151230: a verdict waits for whoever is within the block. One that hangs there is not waited
/// for longer than a primary that hangs, though all others go first, one after the other.
#[test]
fn poison_is_judged_though_somebody_hangs_within_its_block() {
    let mut world = world(90, Config { slots: 8, freewheel: true, ..Config::default() });
    assert!(world.send(&[poison(Poison::LoopInApply, 1)]));
    world.run_until("it is sealed", |world| world.orders.head() > 0);
    let Found::Record(Record { block, .. }) = world.orders.record(0) else { panic!("no record") };
    world.run_until("the last is as far", |world| world.slots[7].reached() == block);
    world.child(7).expect("a worker").ailment = Ailment::Hung;
    world.run_ns(2_200 * MS);
    assert_eq!(verdicts(&world).len(), 1, "{}", world.describe());
    world.settle();
    world.run(300);
    let told = world.status.deaths();
    assert!(told.iter().any(|death| death.slot == 7 && death.cause.starts_with("had work")));
    assert!(world.checker.is_all_applied());
}

/// S52: a kill from outside while a command is applied condemns nobody.
#[test]
fn a_cause_from_outside_condemns_nothing() {
    let mut world = world(50, Config::default());
    for number in 0..40 {
        assert!(world.send(&[[number; 4]]));
        world.run(3);
        let primary = world.orders.primary().expect("somebody goes first");
        world.kill(primary);
        world.run_ns(20 * MS);
        world.settle();
    }
    assert!(verdicts(&world).is_empty());
    assert!(world.checker.is_all_applied());
}

/// Poison of all kinds while workers are killed: one history, however it ends.
#[test]
fn lives_with_poison_and_kills_are_one_history() {
    let kinds =
        [Poison::CrashInApply, Poison::LoopInApply, Poison::CrashInRender, Poison::LoopInRender];
    for seed in 0..40 {
        let slots = 1 + (seed % 4) as usize;
        let freewheel = seed % 3 == 0;
        let config = Config { slots, freewheel, lead: 4 + seed % 9, ..Config::default() };
        let mut world = world(seed, config);
        for _ in 0..12 {
            let how = kinds[world.chance.below(4) as usize];
            let part = world.chance.below(3) as u32;
            let word = world.chance.bits();
            assert!(world.send(&[[word; 4], poison(how, part), [word ^ 1; 4]]));
            let slot = world.chance.below(slots as u64) as usize;
            if world.chance.one_in(3) && world.child(slot).is_some_and(|child| child.is_running()) {
                world.kill(slot);
            }
            let ns = world.chance.below(300) * MS;
            world.run_ns(ns);
        }
        world.run_ns(3000 * MS);
        world.settle();
        world.run(200);
        assert!(world.checker.is_all_applied(), "seed {seed}: a command was lost");
        assert_eq!(world.counter(NoneReads), world.checker.concealed, "seed {seed}");
        assert!(!freewheel || world.counter(NoneReads) == 0, "seed {seed}");
    }
}
