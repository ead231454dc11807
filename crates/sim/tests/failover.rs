//! Failover in simulated time: deaths, stops and loops in every order, and what is heard: nothing.

use segue_lockstep::memory::checkpoint::{Area, Mark};
use segue_lockstep::memory::orders::LOG_DEPTH;
use segue_lockstep::memory::slot::Phase;
use segue_lockstep::memory::status::Counter::{Deaths, Failovers, Late, NoneReads};
use segue_lockstep::monitor::State;
use segue_sim::child::Ailment;
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

fn world(seed: u64) -> World {
    let mut world = World::new(seed, Config::default());
    world.settle();
    world.run(50);
    world
}

fn primary(world: &World) -> usize {
    world.orders.primary().expect("somebody is primary")
}

/// Sends a few commands and plays on, so that a wrong history would be heard.
fn play(world: &mut World, blocks: u64) {
    for _ in 0..blocks {
        if world.chance.one_in(3) {
            let word = world.chance.bits();
            assert!(world.send(&[[word; 4]]));
        }
        world.run(1);
    }
}

/// Nothing concealed, and so many deaths, of which so many of a primary.
fn assert_unheard(world: &World, deaths: u64, failovers: u64) {
    assert_eq!(world.counter(NoneReads), 0, "blocks were concealed");
    assert_eq!(world.counter(Deaths), deaths);
    assert_eq!(world.counter(Failovers), failovers);
    assert_eq!(world.checker.concealed, 0);
}

/// S7, S8, S12, S17: the predecessor played defaults, and only the first swap worked.
#[test]
fn the_hundredth_failover_sounds_as_the_first() {
    let mut world = world(7);
    for round in 0..100 {
        let slot = primary(&world);
        world.kill(slot);
        world.run_until("the death is told", |world| world.counter(Deaths) == round + 1);
        world.settle();
        play(&mut world, 40);
        assert_ne!(primary(&world), slot, "the other one goes first now");
    }
    world.run(10);
    assert_unheard(&world, 100, 100);
    assert!(world.checker.is_all_applied());
}

/// S11: a dead standby went unnoticed; then the active one died.
#[test]
fn both_may_die_one_after_the_other_in_either_order() {
    for (seed, gap_ms) in [0, 50, 500].into_iter().enumerate() {
        for standby_first in [false, true] {
            let mut world = world(seed as u64);
            let first = if standby_first { 1 - primary(&world) } else { primary(&world) };
            world.kill(first);
            world.run_ns(gap_ms * MS);
            world.kill(1 - first);
            world.run_until("both are told", |world| world.counter(Deaths) == 2);
            world.settle();
            play(&mut world, 200);
            assert_eq!(world.counter(NoneReads), world.checker.concealed);
            let gap = world.checker.concealed;
            // Who dies when nobody else is ready leaves a gap; 50 ms later somebody is.
            assert_eq!(gap > 0, gap_ms == 0, "{gap} blocks after {gap_ms} ms");
            assert!(gap * 4 / 3 < 250, "silence for {gap} blocks");
            let alone = gap_ms == 0 || standby_first;
            let expected = if alone { 1 } else { 2 };
            assert_eq!(world.counter(Failovers), expected, "gap {gap_ms} {standby_first}");
        }
    }
}

/// S15: a second death within a block of the first, and of the joiner.
#[test]
fn the_joiner_may_die_too() {
    let mut world = world(15);
    for round in 0..30 {
        let slot = 1 - primary(&world);
        world.kill(slot);
        world.run_until("the next one joins", |world| {
            matches!(world.state(slot), State::Starting | State::Joining)
                && world.counter(Deaths) == 2 * round + 1
        });
        world.run_ns(round * MS / 5);
        let joiner = world.child(slot).expect("a joiner");
        joiner.kill(11);
        world.run_until("it is told", |world| world.counter(Deaths) == 2 * round + 2);
        world.settle();
        play(&mut world, 30);
    }
    assert_unheard(&world, 60, 0);
}

/// S14: a frozen worker is replaced; continued later, it finds itself killed.
#[test]
fn a_stopped_worker_is_replaced_and_never_comes_back() {
    for of_primary in [true, false] {
        let mut world = world(14);
        let slot = if of_primary { primary(&world) } else { 1 - primary(&world) };
        world.stop(slot);
        world.run_until("it is told", |world| world.counter(Deaths) == 1);
        world.settle();
        play(&mut world, 300);
        assert_unheard(&world, 1, u64::from(of_primary));
        let told = world.status.deaths();
        assert!(told[0].cause.starts_with("stopped from outside"), "{}", told[0].cause);
    }
}

/// S14, S9, S10: a guest that was replaced keeps its mapping and goes on writing.
#[test]
fn what_a_stale_guest_writes_is_never_played() {
    let mut world = world(140);
    let slot = primary(&world);
    let stale = world.slots[slot].clone();
    let generation = stale.generation();
    let mut entry = vec![0; stale.entry_words()];
    world.kill(slot);
    world.run_until("it is told", |world| world.counter(Deaths) == 1);
    world.settle();
    for block in 0..400_u64 {
        let at = world.playout.playhead() + block % 5;
        entry.fill(block);
        stale.write(at, generation, &entry);
        world.run(1);
    }
    assert_eq!(world.counter(NoneReads), 0);
}

/// S14: a stale guest that sits down again, over the words of its successor.
#[test]
fn a_stale_guest_that_takes_its_seat_back_is_not_heard() {
    let mut world = world(141);
    for round in 1..=10 {
        let slot = primary(&world);
        let stale = world.slots[slot].clone();
        stale.sit(stale.generation() + 1000, 1);
        world.run_until("it is told", |world| world.counter(Deaths) == round);
        world.settle();
        play(&mut world, 50);
    }
    assert_unheard(&world, 10, 10);
}

/// A worker that spins is found by its own processor clock, and told as what it is.
#[test]
fn a_looping_worker_is_replaced_unheard() {
    for of_primary in [true, false] {
        let mut world = world(9);
        let slot = if of_primary { primary(&world) } else { 1 - primary(&world) };
        world.child(slot).expect("a worker").ailment = Ailment::Looping;
        world.run_until("it is told", |world| world.counter(Deaths) == 1);
        world.settle();
        play(&mut world, 100);
        assert_unheard(&world, 1, u64::from(of_primary));
        assert!(world.status.deaths()[0].cause.starts_with("looped"));
    }
}

/// A worker that only gets slow loses its role, not its life.
#[test]
fn a_primary_that_is_late_hands_over_and_lives() {
    let mut world = world(16);
    let slot = primary(&world);
    world.child(slot).expect("a worker").ailment = Ailment::Slow(20);
    world.run_until("the role changes", |world| {
        world.counter(segue_lockstep::memory::status::Counter::RoleChanges) == 1
    });
    world.child(slot).expect("it lives").ailment = Ailment::None;
    play(&mut world, 200);
    assert_unheard(&world, 0, 0);
    assert!(world.counter(Late) >= 16);
}

/// The same with a command in every block: the deadline clears what the primary holds up.
#[test]
fn a_slow_primary_does_not_hold_up_blocks_with_commands() {
    let mut world = world(160);
    let slot = primary(&world);
    world.child(slot).expect("a worker").ailment = Ailment::Slow(20);
    for number in 0..60 {
        assert!(world.send(&[[number; 4]]));
        world.run(1);
    }
    world.child(slot).expect("it lives").ailment = Ailment::None;
    world.run(200);
    assert_unheard(&world, 0, 0);
}

/// A checkpoint that is whole and wrong: the joiner's blocks come out different, so it leaves
/// and says so, and the next one begins from a newer checkpoint: one is written also where both
/// areas claim to be what two had agreed on.
#[test]
fn a_joiner_that_comes_out_different_never_counts() {
    let mut world = world(170);
    // As long as it is not far, a joiner would begin where all began.
    world.run(1100);
    let standby = 1 - primary(&world);
    world.kill(standby);
    let newest =
        world.slots[standby].areas().iter().filter_map(Area::claim).max_by_key(|at| at.block);
    let mark = newest.expect("a checkpoint");
    let mark = Mark { block: world.playout.playhead().max(mark.block), ..mark };
    for slot in &world.slots {
        for area in slot.areas() {
            assert!(area.write(mark, &[7; 80]));
        }
    }
    world.run_until("the joiner leaves", |world| world.counter(Deaths) >= 2);
    let told = world.status.deaths();
    assert!(told[1].cause.contains("differs from what others have"), "{:?}", told[1]);
    world.settle();
    play(&mut world, 50);
    assert_eq!((world.counter(NoneReads), world.counter(Failovers)), (0, 0));
}

/// A block damaged in the ring is not played, and who wrote it is replaced.
#[test]
fn a_torn_block_is_never_played() {
    let mut world = world(99);
    let slot = primary(&world);
    let place = world.slots[slot].clone();
    let entry = vec![1; place.entry_words()];
    let at = world.playout.playhead() + 1;
    place.write(at, place.generation() + 7, &entry);
    world.run_until("it is told", |world| world.counter(Deaths) == 1);
    world.settle();
    play(&mut world, 50);
    assert_unheard(&world, 1, 1);
}

/// S18: all at once: a fade, and back in time, measured on what was heard and nowhere else.
#[test]
fn when_all_die_at_once_the_music_is_back_in_time() {
    let mut world = world(3);
    for round in 1..=20 {
        world.kill(0);
        world.kill(1);
        world.run_until("both are told", |world| world.counter(Deaths) == 2 * round);
        world.settle();
        play(&mut world, 50);
    }
    assert_eq!(world.counter(Failovers), 20, "one a death of a primary");
    assert_eq!(world.counter(NoneReads), world.checker.concealed);
    let blocks = world.checker.concealed / 20;
    assert!(blocks < 188, "{blocks} blocks of silence each time");
}

/// At half load, with a start of 20 ms: what is restored from checkpoint and log is heard again
/// within 250 ms, wherever in the life of the checkpoints it happens.
#[test]
fn all_killed_at_once_at_half_load_are_heard_again_within_250_ms() {
    for slots in [1, 2, 3] {
        let config = Config { slots, start_ns: 20 * MS, render_ns: 666_000, ..Config::default() };
        let mut world = World::new(300 + slots as u64, config);
        world.settle();
        for _ in 0..40 {
            let blocks = 100 + world.chance.below(33);
            play(&mut world, blocks);
            let before = world.counter(NoneReads);
            (0..slots).for_each(|slot| world.kill(slot));
            world.settle();
            play(&mut world, 20);
            let silent_ns = (world.counter(NoneReads) - before) * 64 * MS / 48;
            assert!(silent_ns < 250 * MS, "{slots} slots: silent for {} ms", silent_ns / MS);
        }
    }
}

/// S54: with one judge, two standbys never decide differently; all that is played is one history.
#[test]
fn three_slots_follow_one_judge() {
    let config = Config { slots: 3, ..Config::default() };
    let mut world = World::new(54, config);
    world.settle();
    for _ in 0..20 {
        let slot = primary(&world);
        world.kill(slot);
        play(&mut world, 60);
        world.settle();
    }
    assert_unheard(&world, 20, 20);
}

/// A bit flips in the number of a checkpoint, which then claims to be the newest for ever.
#[test]
fn a_checkpoint_that_claims_the_future_is_written_over() {
    for which in 0..2 {
        let mut world = world(200);
        let standby = 1 - primary(&world);
        let wild = Mark { block: 1 << 40, cursor: 0 };
        assert!(world.slots[standby].areas()[which].write(wild, &[7; 80]));
        world.run(40);
        let claims = |world: &World| world.slots[standby].areas().clone().map(|it| it.claim());
        let sane = |mark: Option<Mark>| mark.is_some_and(|mark| mark.block < 1 << 40);
        assert!(claims(&world).into_iter().all(sane), "{:?}", claims(&world));
        world.kill(0);
        world.kill(1);
        world.run_until("both are told", |world| world.counter(Deaths) == 2);
        world.settle();
        play(&mut world, 50);
        assert_eq!(world.counter(NoneReads), world.checker.concealed);
    }
}

/// A joiner is no source of blocks, whatever it says that it has published: here the primary's
/// are damaged, and what the joiner has comes of a wrong state.
#[test]
fn a_joiner_that_boasts_is_not_played() {
    let mut world = world(210);
    let (first, standby) = (primary(&world), 1 - primary(&world));
    world.kill(standby);
    let mark = Mark { block: world.playout.playhead(), cursor: world.orders.head() };
    for slot in &world.slots {
        slot.areas().iter().for_each(|area| assert!(area.write(mark, &[7; 80])));
    }
    world.run_until("the next one joins", |world| {
        let place = &world.slots[standby];
        place.generation() == 2 && place.phase() == Phase::Joining
    });
    world.monitor_suspended = true;
    let place = world.slots[first].clone();
    let entry = vec![1; place.entry_words()];
    let (from, before) = (world.orders.playhead(), world.counter(NoneReads));
    for _ in 0..40 {
        let playhead = world.orders.playhead();
        (0..6).for_each(|ahead| place.write(playhead + ahead, place.generation() + 7, &entry));
        world.boast(standby);
        world.tick();
    }
    let (played, made_up) = (world.orders.playhead() - from, world.counter(NoneReads) - before);
    assert!(played > 5 && made_up == played, "{made_up} of {played} blocks were made up");
}

/// With a long period a worker renders far ahead of what is played; it keeps a checkpoint from
/// which the next one can begin, also when the log no longer holds everything.
#[test]
fn whoever_is_alone_leaves_a_checkpoint_to_begin_from() {
    let config = Config { slots: 1, period: (4096, 4096), ..Config::default() };
    let mut world = World::new(220, config);
    world.settle();
    while world.orders.head() < LOG_DEPTH as u64 + 5000 {
        while world.send(&[[1; 4]; 64]) {}
        world.run(64);
    }
    for round in 1..=20 {
        let ns = world.chance.below(90) * MS;
        world.run_ns(ns);
        world.kill(0);
        world.run_until("it is told", |world| world.counter(Deaths) == round);
        world.settle();
    }
    let killed = |cause: &str| cause == "killed by SIGKILL";
    assert!(world.status.deaths().iter().all(|death| killed(&death.cause)));
}

/// Before a guest sits down it has no number, and may take as long as it takes; one whose number
/// or phase is damaged before the monitor has seen it would take for ever.
#[test]
fn a_guest_whose_words_are_damaged_as_it_sits_down_is_not_waited_for() {
    let mut world = world(70);
    let mut hurt = 0;
    while hurt < 20 {
        let slot = 1 - primary(&world);
        world.kill(slot);
        world.run_until("the next one starts", |world| world.state(slot) == State::Starting);
        while world.state(slot) != State::Lockstep {
            let place = &world.slots[slot];
            let sits = place.generation() == world.orders.generation(slot);
            match (hurt % 2, world.state(slot), place.phase()) {
                (0, State::Starting, Phase::Joining | Phase::Lockstep) if sits => {
                    world.disown(slot);
                    hurt += 1;
                    break;
                }
                (1, _, Phase::Lockstep) if sits => {
                    place.set_phase(Phase::Joining);
                    hurt += 1;
                    break;
                }
                _ => world.tick(),
            }
        }
        world.settle();
        play(&mut world, 20);
    }
    assert_eq!(world.counter(NoneReads), 0);
}
