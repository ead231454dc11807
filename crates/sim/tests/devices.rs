//! A device that comes and goes: the timeline goes on, and nobody hears another history.

use segue_lockstep::memory::status::Counter::{DeviceLosses, NoneReads};
use segue_sim::child::Ailment;
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

fn world(seed: u64, period: (usize, usize)) -> World {
    let config = Config { device: true, period, ..Config::default() };
    let mut world = World::new(seed, config);
    world.settle();
    world.run_until("the device drives", World::device_drives);
    world
}

/// S16, S51: the timer takes over where the device stopped and gives it back where it calls.
#[test]
fn a_device_that_falls_silent_loses_nothing_but_the_silent_stretch() {
    for period in [(16, 16), (64, 64), (441, 441), (4096, 4096)] {
        let mut world = world(1, period);
        for _ in 0..5 {
            world.silence_device(1000 * MS);
            world.run_until("the timer drives", |world| !world.device_drives());
            let before = world.orders.playhead();
            world.run_ns(400 * MS);
            assert!(world.orders.playhead() > before + 200, "{period:?}: the timeline stands");
            assert!(world.send(&[[7; 4]]));
            world.run_until("the device drives", World::device_drives);
            world.run_ns(300 * MS);
        }
        assert_eq!(world.counter(DeviceLosses), 5, "{period:?}");
        assert_eq!(world.counter(NoneReads), 0, "{period:?}");
        assert!(world.checker.is_all_applied());
    }
}

/// It is back within a second of the device.
#[test]
fn a_lost_device_is_left_at_once_and_taken_back_within_a_second() {
    let mut world = world(2, (256, 256));
    world.lose_device();
    world.run_ns(3 * MS);
    assert!(!world.device_drives(), "the timer drives");
    let lost = world.now_ns();
    world.run_until("the device drives", World::device_drives);
    assert!(world.now_ns() - lost < 1000 * MS);
    assert_eq!((world.counter(DeviceLosses), world.counter(NoneReads)), (1, 0));
}

#[test]
fn a_device_without_a_clock_of_its_own_drives_no_timeline() {
    let mut world = world(3, (64, 64));
    world.hasten_device(600);
    world.run_until("the timer drives", |world| !world.device_drives());
    let (begun_ns, begun) = (world.now_ns(), world.orders.position());
    world.run_ns(200 * MS);
    let frames = world.orders.position() - begun;
    let fair = (world.now_ns() - begun_ns) * 48 / 1_000_000;
    assert!(frames < fair + 200, "{frames} frames where there was time for {fair}");
}

/// A library may end the thread of its callback at any instruction.
#[test]
fn a_stream_that_ends_within_a_call_is_succeeded_whatever_it_had_stored() {
    let mut world = world(4, (100, 100));
    for stores in 0..300 {
        assert!(world.send(&[[stores; 4], [stores; 4]]));
        world.end_device_within_call(stores);
        // What was shown is rendered before anybody takes over, and more is sent meanwhile.
        world.tick();
        assert!(world.send(&[[stores; 4]]));
        world.run_until("the timer drives", |world| !world.device_drives());
        world.run_until("the device drives", World::device_drives);
    }
    world.run(20);
    assert!(world.checker.is_all_applied());
    assert_eq!(world.counter(DeviceLosses), 300);
    assert_eq!(world.counter(NoneReads), world.checker.concealed);
}

/// Everything at once: drivers change while workers die.
#[test]
fn lives_in_which_devices_and_workers_fail_together_are_one_history() {
    for seed in 0..30 {
        let mut world = world(seed, [(64, 64), (1, 200), (16, 1024)][seed as usize % 3]);
        for _ in 0..40 {
            let slot = world.chance.below(2) as usize;
            match world.chance.below(5) {
                0 => world.silence_device(200 * MS),
                1 => world.lose_device(),
                2 => {
                    let stores = world.chance.below(200);
                    world.end_device_within_call(stores);
                }
                3 if world.child(slot).is_some_and(|child| child.is_running()) => world.kill(slot),
                _ => {
                    let ns = world.chance.below(80) * MS;
                    world.stall_device(ns);
                }
            }
            let word = world.chance.bits();
            assert!(world.send(&[[word; 4]]));
            let ns = world.chance.below(600) * MS;
            world.run_ns(ns);
        }
        world.run_ns(4000 * MS);
        world.settle();
        world.run_until("the device drives", World::device_drives);
        world.run(100);
        assert!(world.checker.is_all_applied(), "seed {seed}: a command was lost");
        assert_eq!(world.counter(NoneReads), world.checker.concealed, "seed {seed}");
    }
}

/// S50: a period is long, the primary is slow and alive: by the time the device asks, the
/// standby has what the primary has not.
#[test]
fn a_slow_primary_is_covered_for_at_long_periods_too() {
    for frames in [256, 1024, 4096] {
        let mut world = world(6, (frames, frames));
        let primary = world.orders.primary().expect("somebody goes first");
        world.child(primary).expect("a worker").ailment = Ailment::Slow(20);
        world.run(400);
        assert_eq!(world.counter(NoneReads), 0, "{frames}");
        assert_ne!(world.orders.primary(), Some(primary), "{frames}: late too often");
    }
}
