//! Clocks, periods and stalls in simulated time.

use segue_lockstep::memory::status::Counter::{Deaths, Failovers, NoneReads};
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

fn settled(seed: u64, config: Config) -> World {
    let mut world = World::new(seed, config);
    world.settle();
    world
}

/// S19: every block once, none skipped; the checker's continuity, seen to be able to fail.
#[test]
#[should_panic(expected = "is not what should have been played")]
fn the_checker_sees_a_block_that_is_not_the_reference() {
    let mut world = settled(19, Config::default());
    world.run(10);
    world.checker.sent(segue_lockstep::memory::inbox::Sent { origin: 0, more: 0, payload: [0; 4] });
    let block = world.playout.playhead() + 1;
    for slot in &world.slots {
        // Both workers lie in the same way: identity is all that can show it.
        let mut entry = vec![0; slot.entry_words()];
        let at = entry.len() - 3;
        entry[at] = 1;
        slot.write(block, slot.generation(), &entry);
    }
    world.run(10);
}

/// S20: one clock, the device's; the monitor's may be off by 100 ppm for an hour, or, as here, by
/// ten times as much for a tenth of it, which is as far.
#[test]
fn a_drifting_clock_drops_nothing_however_far_it_drifts() {
    for drift_ppm in [-1000, 1000] {
        let config = Config { drift_ppm, period: (4096, 4096), ..Config::default() };
        let mut world = settled(20, config);
        world.run(360 * 750);
        assert_eq!(world.counter(NoneReads), 0);
        assert_eq!(world.counter(Deaths), 0);
    }
}

/// S21, S22: after a stall of the device the lead is whole again at once, without catching up.
#[test]
fn a_stall_of_the_device_costs_wall_time_and_no_music() {
    let mut world = settled(21, Config::default());
    for stall_ms in [5, 15, 50, 200] {
        world.run(50);
        let before = world.playout.playhead();
        world.stall_device(stall_ms * MS);
        world.run_ns(stall_ms * MS);
        let during = world.playout.playhead() - before;
        assert!(during <= 1, "{during} blocks were played to nobody");
        world.run(1);
        let lead = world.orders.sealed() - world.playout.playhead();
        assert_eq!(lead, 5, "one period and the lead");
    }
    assert_eq!(world.counter(NoneReads), 0);
}

/// S16: nothing waits for a callback that does not come.
#[test]
fn a_failover_while_the_device_is_stalled_is_done_when_it_returns() {
    let mut world = settled(16, Config::default());
    world.run(50);
    world.stall_device(300 * MS);
    world.run_ns(20 * MS);
    let slot = world.orders.primary().expect("a primary");
    world.kill(slot);
    world.run_ns(200 * MS);
    assert_eq!((world.counter(Deaths), world.counter(Failovers)), (1, 1));
    world.settle();
    world.run(100);
    assert_eq!(world.counter(NoneReads), 0);
}

/// S24, S50: any period, also one that changes from call to call, also one longer than the lead.
#[test]
fn any_period_works_and_may_change_from_call_to_call() {
    let periods = [(1, 1), (37, 37), (64, 64), (441, 441), (4096, 4096), (1, 4096), (16, 512)];
    for (seed, period) in periods.into_iter().enumerate() {
        let config = Config { period, ..Config::default() };
        let mut world = settled(seed as u64, config);
        world.run(600);
        let slot = world.orders.primary().expect("a primary");
        let learnt = world.counter(NoneReads);
        world.kill(slot);
        world.run(600);
        // The first call of a longer period than any before it may find too little sealed.
        assert_eq!(world.counter(NoneReads), learnt, "period {period:?} after a death");
        if period.0 == period.1 {
            assert_eq!(learnt, 0, "period {period:?}");
        }
    }
}

/// S10: control is as quick after a failover as before.
#[test]
fn a_command_takes_as_many_blocks_after_a_failover_as_before() {
    let mut world = settled(10, Config::default());
    let latency = |world: &mut World| {
        world.run(20);
        let before = world.playout.playhead();
        assert!(world.send(&[[7; 4]]));
        world.run_until("it is applied", |world| world.checker.is_all_applied());
        world.playout.playhead() - before
    };
    let before = latency(&mut world);
    for _ in 0..5 {
        let slot = world.orders.primary().expect("a primary");
        world.kill(slot);
        world.settle();
        assert_eq!(latency(&mut world), before);
    }
}

/// S61 in small: who was away himself starts all clocks again and accuses nobody.
#[test]
fn a_monitor_that_was_away_accuses_nobody() {
    let mut world = settled(61, Config::default());
    world.run(50);
    world.monitor_suspended = true;
    world.run_ns(10_000 * MS);
    world.monitor_suspended = false;
    world.run(100);
    assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (0, 0));
}

/// S61: the machine sleeps while everybody has work in hand; on waking nobody is overdue.
#[test]
fn a_machine_that_slept_buries_nobody() {
    let mut world = settled(610, Config { render_ns: 900_000, ..Config::default() });
    for _ in 0..50 {
        let ticks = world.chance.below(20);
        (0..ticks).for_each(|_| world.tick());
        world.suspend(3_000 * MS);
    }
    world.run(100);
    assert_eq!(world.counter(Deaths), 0, "{}", world.describe());
}

/// S62: the bell is 32 bits and the worlds begin a hundred rings below its wrap.
#[test]
fn the_bell_wraps_and_nobody_notices() {
    let mut world = settled(62, Config::default());
    world.run(200);
    let rung = world.orders.bell().load(std::sync::atomic::Ordering::SeqCst);
    assert!(rung < 10_000, "it has not wrapped: {rung}");
    assert_eq!(world.counter(NoneReads), 0);
}
