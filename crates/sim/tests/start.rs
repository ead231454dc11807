//! Start and respawn in simulated time.

use segue_lockstep::memory::status::Counter::{Deaths, Failovers, NoneReads};
use segue_lockstep::monitor::State;
use segue_sim::child::Ailment;
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

/// S1: workers took 0.7 s to start against a 50 ms heartbeat, and were respawned for ever.
#[test]
fn a_slow_start_is_a_slow_start() {
    for start_ms in [0, 100, 700, 3000] {
        let config = Config { start_ns: start_ms * MS, ..Config::default() };
        let mut world = World::new(1, config);
        world.settle();
        assert_eq!(world.counter(Deaths), 0, "start of {start_ms} ms");
        world.run(100);
        world.kill(0);
        world.run_until("it is told", |world| world.counter(Deaths) == 1);
        world.settle();
        world.run(100);
        assert_eq!(world.counter(Deaths), 1);
        assert_eq!(world.counter(NoneReads), 0);
    }
}

/// S2: the replacement inherited its forerunner's heartbeat and was overdue at birth.
#[test]
fn a_replacement_has_a_clock_of_its_own() {
    let config = Config { start_ns: 5_000 * MS, ..Config::default() };
    let mut world = World::new(2, config);
    world.settle();
    world.run(10);
    world.kill(1);
    world.run_until("it is told", |world| world.counter(Deaths) == 1);
    world.settle();
    assert_eq!(world.counter(Deaths), 1);
    assert_eq!(world.slots[1].generation(), 2);
}

/// S3: bounded retries, then given up with the reason; a fix and a revival bring it back.
#[test]
fn a_worker_that_cannot_start_is_given_up_and_can_be_revived() {
    let mut world = World::new(3, Config::default());
    world.ailments[1] = Ailment::ExitsAtStart(65);
    world.run_until("slot 1 is given up", |world| world.state(1) == State::GivenUp);
    world.run(500);
    assert_eq!((world.counter(Deaths), world.counter(Failovers)), (3, 0));
    let last = world.status.deaths().pop().expect("a death is told");
    assert_eq!((last.cause.as_str(), last.exit_code), ("exited with code 65", Some(65)));
    assert_eq!(last.last_words, "no such file: missing.toml");
    assert_eq!(last.done, "slot given up after 3 failures");
    assert_eq!(world.status.deaths()[0].done, "replaced at once");
    world.ailments[1] = Ailment::None;
    world.revive = 0b10;
    world.settle();
    world.run(100);
    assert_eq!((world.counter(Deaths), world.counter(NoneReads)), (3, 0));
}

/// S13: telling has a bound, acting has none.
#[test]
fn the_hundredth_death_is_acted_on_although_only_sixty_four_are_kept() {
    let mut world = World::new(13, Config::default());
    world.settle();
    for round in 1..=100 {
        world.kill(1);
        world.run_until("it is told", |world| world.counter(Deaths) == round);
        world.settle();
    }
    let told = world.status.deaths();
    assert_eq!(told.len(), 64);
    assert_eq!(told.last().map(|death| death.number), Some(99));
    assert!(told.iter().all(|death| death.lockstep_again_ns > 0));
    assert_eq!(world.slots[1].generation(), 101);
}
