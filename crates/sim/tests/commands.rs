//! Commands in simulated time: numbered once, in order, bounded, the same for all.

use segue_lockstep::memory::inbox::INBOX_DEPTH;
use segue_lockstep::memory::orders::LOG_DEPTH;
use segue_lockstep::memory::status::Counter::{Applied, Damaged, NoneReads};
use segue_sim::{Config, World};

fn settled(seed: u64) -> World {
    let mut world = World::new(seed, Config::default());
    world.settle();
    world.run(10);
    world
}

/// S58: 130 commands for one block slide on, in order, 64 a block.
#[test]
fn a_hundred_and_thirty_commands_are_applied_in_order_over_three_blocks() {
    let mut world = settled(58);
    for number in 0..130 {
        assert!(world.send(&[[number; 4]]));
    }
    let before = world.playout.playhead();
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    let blocks = world.playout.playhead() - before;
    assert!(blocks <= 5 + 3, "{blocks} blocks");
    assert_eq!(world.counter(Applied), 130);
}

/// A bundle is never cut: where it does not fit it waits for the next block.
#[test]
fn a_bundle_is_applied_in_one_block_or_not_yet() {
    let mut world = settled(64);
    for round in 0..20_u64 {
        let sizes = [60, 64, 1, 63, 2, 64];
        for size in sizes {
            assert!(world.send(&vec![[round; 4]; size]));
        }
        world.run(10);
    }
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    let orders = world.orders.clone();
    let mut open: Option<u64> = None;
    for number in 0..orders.head() {
        let segue_lockstep::memory::orders::Found::Record(record) = orders.record(number) else {
            panic!("record {number} is there")
        };
        if let Some(block) = open {
            assert_eq!(record.block, block, "record {number} is cut off from its bundle");
        }
        open = (record.more > 0).then_some(record.block);
    }
}

/// S26 below the border: a full inbox refuses, and nothing that was accepted is lost.
#[test]
fn what_was_accepted_is_applied_also_when_the_inbox_was_full() {
    let mut world = settled(26);
    let accepted = (0..2 * INBOX_DEPTH as u64).filter(|number| world.send(&[[*number; 4]])).count();
    assert_eq!(accepted, INBOX_DEPTH);
    world.kill(0);
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    assert_eq!(world.counter(Applied), INBOX_DEPTH as u64);
    assert_eq!(world.counter(NoneReads), 0);
}

/// Commands at every moment of a failover are applied once, by all or by none.
#[test]
fn commands_during_failovers_are_applied_once_and_in_order() {
    for seed in 0..10 {
        let mut world = settled(seed);
        for round in 0..200_u64 {
            let count = world.chance.below(5) as usize;
            if count > 0 {
                assert!(world.send(&vec![[round; 4]; count]));
            }
            if round % 20 == 0 {
                world.settle();
                let slot = world.chance.below(2) as usize;
                world.kill(slot);
            }
            world.run(1);
        }
        world.run_until("all are applied", |world| world.checker.is_all_applied());
        assert_eq!(world.counter(NoneReads), 0, "seed {seed}");
    }
}

/// The log holds what the next guests replay, however much is sent while nobody renders; what
/// has no room waits.
#[test]
fn a_flood_while_nobody_renders_is_applied_when_somebody_does() {
    let mut world = settled(65);
    world.monitor_suspended = true;
    (0..2).for_each(|slot| world.stop(slot));
    for number in 0..100 {
        while world.send(&[[number; 4]; 64]) {}
        world.run_ns(20_000_000);
    }
    world.monitor_suspended = false;
    world.settle();
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    assert!(world.orders.head() > LOG_DEPTH as u64, "the log was full");
    assert_eq!(world.counter(NoneReads), world.checker.concealed);
}

/// A wild word of control's costs no time on the audio path, and the next command mends it.
#[test]
fn a_control_that_says_it_has_sent_what_it_cannot_have_is_not_believed() {
    let mut world = settled(66);
    world.boast_as_control();
    world.run(20);
    assert!(world.counter(Damaged) > 0, "it is counted");
    assert!(world.send(&[[7; 4], [8; 4]]));
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    assert_eq!((world.counter(Applied), world.counter(NoneReads)), (2, 0));
}

/// With a long period one of two checkpoints lies ahead of the playhead at every look.
#[test]
fn whoever_is_alone_hears_more_commands_than_the_log_holds() {
    let config = Config { slots: 1, lead: 2, period: (4096, 4096), ..Config::default() };
    let mut world = World::new(67, config);
    world.settle();
    let mut sent = 0;
    while sent < LOG_DEPTH as u64 + 5000 {
        world.run_until("there is room", |world| world.inbox.room(world.orders.taken()) >= 64);
        assert!(world.send(&[[sent; 4]; 64]));
        sent += 64;
    }
    world.run_until("all are applied", |world| world.checker.is_all_applied());
    assert_eq!(world.counter(Applied), sent);
}
