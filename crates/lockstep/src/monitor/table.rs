//! What docs/failover.md says of the monitor, held against what the monitor does.
//!
//! Verified: the state after each event in each state, what is done, and the times. Not verified:
//! events that come together; the simulator lives through those.

use super::act::Action;
use super::observe::{Note, Observation, Process, SlotSeen};
use super::{AWAY_NS, Config, DYING_NS, Limits, Monitor, State, primary, respawn};
use crate::Shape;
use crate::memory::block::Facts;
use crate::memory::slot::{Crumb, Phase};
use crate::memory::status::Counter;

const DOC: &str = include_str!("../../../../docs/failover.md");
const SHAPE: Shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
const MS: u64 = 1_000_000;
/// Whose states are told: slot 1, or slot 0 where it is the primary that matters.
const STATES: [&str; 7] =
    ["empty", "starting", "joining", "standby", "primary", "leaving", "given up"];

/// A monitor and what it sees.
struct Scene {
    monitor: Monitor,
    slots: Vec<SlotSeen>,
    now_ns: u64,
    sealed: u64,
    revive: u64,
    subject: usize,
}

fn absent() -> SlotSeen {
    SlotSeen::guest(0, Phase::Starting, 100)
}

impl Scene {
    /// Two guests in lockstep.
    fn new(subject: usize) -> Self {
        let monitor = Monitor::new(Config { shape: SHAPE, build: 1, lead: 4 });
        let slots = vec![absent(), absent()];
        let mut scene = Self { monitor, slots, now_ns: MS, sealed: 100, revive: 0, subject };
        scene.step();
        for slot in 0..2 {
            scene.sit(slot, 1, Phase::Lockstep);
        }
        scene.step();
        assert_eq!(scene.monitor.primary, Some(0));
        scene
    }

    fn sit(&mut self, slot: usize, generation: u64, phase: Phase) {
        let process = Process::Running { cpu_ns: 0 };
        self.slots[slot] = SlotSeen { process, pid: 7, generation, phase, ..absent() };
    }

    fn step(&mut self) -> Vec<Action> {
        self.now_ns += MS;
        self.monitor.step(&Observation {
            now_ns: self.now_ns,
            slots: self.slots.clone(),
            trusted: None,
            playhead: 96,
            sealed: self.sealed,
            first: 0,
            head: 0,
            lateness: 0,
            revive: self.revive,
            verdicts: self.monitor.verdicts.clone(),
            freewheel: false,
            period_blocks: 1,
        })
    }

    fn at(&mut self) -> &mut SlotSeen {
        &mut self.slots[self.subject]
    }

    /// Its guest fails before it was ready.
    fn fail(&mut self) {
        self.at().process = Process::Exited { code: 1 };
        self.step();
        *self.at() = absent();
    }

    fn in_state(name: &str) -> Self {
        let mut scene = Self::new(usize::from(name != "primary"));
        if !matches!(name, "standby" | "primary" | "leaving") {
            scene.at().process = Process::Killed { signal: 9 };
            scene.step();
            *scene.at() = absent();
            scene.step();
        }
        match name {
            "starting" => scene.at().process = Process::Running { cpu_ns: 0 },
            "joining" => {
                scene.sit(1, 2, Phase::Joining);
                scene.step();
            }
            "leaving" => {
                scene.at().process = Process::Stopped;
                scene.step();
            }
            "empty" => {
                scene.fail();
                scene.step();
                scene.fail();
            }
            "given up" => {
                for _ in 0..3 {
                    scene.fail();
                    scene.now_ns += 150 * MS;
                    scene.step();
                }
            }
            _ => {}
        }
        let wanted = match name {
            "standby" | "primary" => State::Lockstep,
            "empty" => State::Empty,
            "starting" => State::Starting,
            "joining" => State::Joining,
            "leaving" => State::Leaving,
            _ => State::GivenUp,
        };
        assert_eq!(scene.monitor.state(scene.subject), wanted, "{name}");
        scene
    }
}

type Event = (&'static str, fn(&mut Scene) -> Vec<Action>);

/// What can happen to a slot, in the words of the document.
const EVENTS: [Event; 16] = [
    ("150 ms go by", |scene| {
        scene.now_ns += 150 * MS;
        scene.step()
    }),
    ("600 ms go by", |scene| {
        scene.now_ns += 600 * MS;
        scene.step()
    }),
    ("`/engine/revive`", |scene| {
        scene.revive = 1 << scene.subject;
        scene.step()
    }),
    ("says it replays", |scene| says(scene, Phase::Joining)),
    ("says it is in lockstep", |scene| says(scene, Phase::Lockstep)),
    ("exits", |scene| process(scene, Process::Exited { code: 1 })),
    ("killed from outside", |scene| process(scene, Process::Killed { signal: 9 })),
    ("stopped", |scene| process(scene, Process::Stopped)),
    ("panics while idle", |scene| panics(scene, Crumb::Idle)),
    ("panics in a module", |scene| panics(scene, Crumb::Render(3))),
    ("loops in a module", loops),
    ("starves for 2 s", starves),
    ("publishes a bad block", |scene| {
        let generation = scene.at().generation;
        scene.at().suspect = generation.max(1);
        scene.step()
    }),
    ("is of another build", |scene| {
        scene.at().build = 2;
        scene.step()
    }),
    ("differs from the other", differ),
    ("its successor differs as well", differ_again),
];

fn differ(scene: &mut Scene) -> Vec<Action> {
    let facts = |hash| Facts { hash, ..Facts::default() };
    for (slot, hash) in [(0, 1), (1, 2)] {
        scene.slots[slot].facts = vec![(99, facts(hash))];
    }
    scene.slots[1].disagrees = Some(99);
    scene.step()
}

/// A standby differs, and so does the next guest of its slot, who has replayed.
fn differ_again(scene: &mut Scene) -> Vec<Action> {
    if scene.monitor.state(1) != State::Lockstep {
        return scene.step();
    }
    differ(scene);
    scene.slots[1].process = Process::Killed { signal: 9 };
    scene.step();
    scene.slots[1] = absent();
    scene.step();
    let generation = scene.monitor.guests[1].generation;
    scene.sit(1, generation, Phase::Lockstep);
    scene.slots[1].begun_from = Some(96);
    scene.step();
    differ(scene)
}

fn says(scene: &mut Scene, phase: Phase) -> Vec<Action> {
    if scene.at().process == Process::Absent {
        return scene.step();
    }
    let generation = scene.monitor.guests[scene.subject].generation;
    let process = scene.at().process.clone();
    let subject = scene.subject;
    scene.sit(subject, generation, phase);
    scene.at().process = process;
    scene.step()
}

fn process(scene: &mut Scene, process: Process) -> Vec<Action> {
    if scene.at().process != Process::Absent {
        scene.at().process = process;
    }
    scene.step()
}

fn panics(scene: &mut Scene, crumb: Crumb) -> Vec<Action> {
    let note = Note { text: "at a place".to_owned(), ..Note::default() };
    scene.at().crumb = (crumb, 100);
    scene.at().note = Some(note);
    scene.step()
}

fn loops(scene: &mut Scene) -> Vec<Action> {
    let mut actions = Vec::new();
    for cpu_ms in [0, 0, 10] {
        scene.at().crumb = (Crumb::Render(3), 100);
        if let Process::Running { cpu_ns } = &mut scene.at().process {
            *cpu_ns = cpu_ms * MS;
        }
        actions = scene.step();
    }
    actions
}

/// There is something to do, the others do it, and nothing happens here.
fn starves(scene: &mut Scene) -> Vec<Action> {
    if scene.at().process == Process::Absent {
        return scene.step();
    }
    scene.sealed = 104;
    let other = 1 - scene.subject;
    (scene.slots[other].published, scene.slots[other].reached) = (104, 104);
    let mut actions = Vec::new();
    for _ in 0..21 {
        if scene.monitor.state(scene.subject) == State::Leaving {
            break;
        }
        scene.now_ns += 100 * MS;
        actions = scene.step();
    }
    actions
}

/// What came of it, as the document puts it: the state, and what was done.
fn cell(scene: &Scene, before: &str, actions: &[Action]) -> String {
    let subject = scene.subject;
    let after = match scene.monitor.state(subject) {
        State::Empty => "empty",
        State::Starting => "starting",
        State::Joining => "joining",
        State::Lockstep if scene.monitor.primary == Some(subject) => "primary",
        State::Lockstep => "standby",
        State::Leaving => "leaving",
        State::GivenUp => "given up",
    };
    let done: Vec<&str> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Spawn { slot, .. } if *slot == subject => Some("spawn"),
            Action::Kill { slot, .. } if *slot == subject => Some("kill"),
            Action::Bury { slot } if *slot == subject => Some("told"),
            Action::Verdict(_) => Some("verdict"),
            Action::Count(Counter::Failovers) => Some("failover"),
            _ => None,
        })
        .collect();
    match (after == before, done.is_empty()) {
        (true, true) => "–".to_owned(),
        (false, true) => after.to_owned(),
        (_, false) => format!("{after}: {}", done.join(", ")),
    }
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

#[test]
fn the_table_of_states_and_events_is_what_the_monitor_does() {
    let mut table = vec![row(["event".to_owned()].into_iter().chain(STATES.map(str::to_owned)))];
    table.push(row((0..=STATES.len()).map(|_| "---".to_owned())));
    for (event, happen) in EVENTS {
        let cells = STATES.map(|state| {
            let mut scene = Scene::in_state(state);
            let actions = happen(&mut scene);
            cell(&scene, state, &actions)
        });
        table.push(row([event.to_owned()].into_iter().chain(cells)));
    }
    let table = table.join("\n");
    assert!(DOC.contains(&table), "docs/failover.md should say:\n{table}");
}

#[test]
fn the_times_are_those_the_monitor_keeps() {
    let (clock, none) = (Limits::new(SHAPE.block_ns(), false), Limits::new(SHAPE.block_ns(), true));
    let blocks = |ns: u64| ns / SHAPE.block_ns();
    // All is published that is sealed, a block has just begun, and somebody looks.
    let mut scene = Scene::new(1);
    scene.sealed = 101;
    scene.slots.iter_mut().for_each(|slot| (slot.published, slot.reached) = (101, 101));
    scene.step();
    let rest_ms = scene.monitor.rest_ns() as f64 / MS as f64;
    let said = [
        format!("{} blocks of its own processor time", blocks(clock.loop_cpu_ns)),
        format!("{} on `freewheel`", blocks(none.loop_cpu_ns)),
        format!("has work and does none for {} s", clock.starved_ns / (1000 * MS)),
        format!("killed again after {} ms", DYING_NS / MS),
        format!("each {} ms while a guest comes", primary::LOOK_NS / MS),
        format!("more than {} blocks: {rest_ms:.1} ms at a lead of 4", primary::REST_BLOCKS_MAX),
        format!("most {} ms after half the lead", primary::LOOK_NS / MS),
        format!("came {} ms late", AWAY_NS / MS),
        format!("late in {} of the last 64 blocks", primary::LATE_MAX),
        format!("{} times before it was ready", respawn::OWN_MAX),
        format!("after {} ms, then twice", respawn::FIRST_DELAY_NS / MS),
        format!("at most {} ms", respawn::DELAY_MAX_NS / MS),
    ];
    for text in said {
        assert!(DOC.contains(&text), "docs/failover.md should say: {text}");
    }
}
