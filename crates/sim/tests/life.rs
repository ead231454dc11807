//! One seed, a whole life: kills, stops, loops, slowness, stalls, late joiners, changing periods.

use segue_lockstep::memory::status::Counter::{Deaths, Failovers, NoneReads};
use segue_lockstep::monitor::State;
use segue_sim::child::Ailment;
use segue_sim::{Config, World};

const MS: u64 = 1_000_000;

/// A life: faults for a while, then none until everybody is back. The checker inside the world
/// verifies continuity, identity and order all the time.
fn live(seed: u64, freewheel: bool) {
    let config = Config {
        slots: if seed.is_multiple_of(13) { 8 } else { 1 + (seed % 4) as usize },
        lead: 4 + seed % 5,
        freewheel,
        period: [(64, 64), (1, 200), (256, 256), (16, 1024)][(seed / 4 % 4) as usize],
        start_ns: [1, 20, 300][(seed % 3) as usize] * MS,
        ..Config::default()
    };
    let mut world = World::new(seed, config);
    world.settle();
    let mut deaths = 0;
    for _ in 0..60 {
        deaths += hurt(&mut world, config.slots);
        let blocks = world.chance.below(30);
        world.run(blocks);
        if world.chance.one_in(2) {
            let word = world.chance.bits();
            assert!(world.send(&[[word; 4], [1; 4]]));
        }
    }
    for slot in 0..config.slots {
        if let Some(child) = world.child(slot) {
            child.ailment = Ailment::None;
        }
    }
    world.run_ns(3_000 * MS);
    world.settle();
    world.run(200);
    assert!(world.checker.is_all_applied(), "seed {seed}: a command was lost");
    assert_eq!(world.counter(NoneReads), world.checker.concealed, "seed {seed}");
    assert!(world.counter(Deaths) >= deaths, "seed {seed}: a death was not told");
    assert!(world.counter(Failovers) <= world.counter(Deaths), "seed {seed}");
    let told = world.status.deaths();
    assert!(told.iter().all(|death| !death.cause.is_empty()), "seed {seed}: unexplained");
    if freewheel {
        assert_eq!(world.counter(NoneReads), 0, "seed {seed}");
    }
}

/// One fault; gives how many deaths it certainly is.
fn hurt(world: &mut World, slots: usize) -> u64 {
    let slot = world.chance.below(slots as u64) as usize;
    let kind = world.chance.below(6);
    let in_lockstep = world.state(slot) == State::Lockstep;
    let stall_ns = world.chance.below(100) * MS;
    let Some(child) = world.child(slot).filter(|child| in_lockstep && child.is_running()) else {
        return 0;
    };
    match kind {
        0 | 1 => child.kill(9),
        2 => child.process = segue_lockstep::monitor::Process::Stopped,
        3 => child.ailment = Ailment::Looping,
        4 => child.ailment = Ailment::Slow(6),
        _ => world.stall_device(stall_ns),
    }
    u64::from(kind < 3)
}

#[test]
fn forty_lives_with_a_clock_are_heard_as_one_history() {
    (0..40).for_each(|seed| live(seed, false));
}

#[test]
fn forty_lives_on_freewheel_conceal_nothing() {
    (0..40).for_each(|seed| live(seed, true));
}
