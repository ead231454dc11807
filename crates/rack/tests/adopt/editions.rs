//! Which edition a command is for, and which adoptions are none.

use std::collections::BTreeMap;

use crate::bench::bits;
use crate::show::{RICH, Show, played, reordered};
use segue_rack::{Action, Command, Library, OWN_SMOOTHING, Performer, Plan, Successor};

const ONE: &str = "segue = 1
one = { type = \"vca\", in = 1.0, gain = 0.25 }
out = { in = \"one\" }
";

#[test]
fn a_command_for_a_module_of_another_edition_is_ignored_and_counted() {
    let mut show = Show::new(&[ONE, &reordered(ONE)]);
    let set = |module| Action::Set { module, param: 0, value: 0.5, ramp_frames: OWN_SMOOTHING };
    let early = Command::now(set(1)).encode_for(1);
    show.player.apply(&early);
    assert_eq!(show.ignored(), 1);
    show.adopt(1, 0);
    let late = Command::now(set(0)).encode_for(0);
    show.player.apply(&late);
    show.player.apply(&Command::at(9_999, set(0)).encode_for(0));
    assert_eq!(show.ignored(), 3);
    assert_eq!((show.left(10)[600], show.player.rack().agenda_len()), (0.25, 0));
    // What is for the whole rack has no indexes.
    let gain = Action::MasterGain { gain: 0.5, ramp_frames: 0 };
    show.player.apply(&Command::now(gain).encode_for(0));
    assert_eq!((show.left(1)[0], show.ignored()), (0.125, 3));
    show.player.apply(&[200, 0, 0, 0]);
    assert_eq!(show.ignored(), 4, "what is no command");
}

#[test]
fn an_adoption_that_cannot_be_is_ignored_and_counted() {
    let mut show = Show::new(&[ONE, ONE, &ONE.replace("0.25", "0.5")]);
    let good = show.adoption(2, 480);
    let adopt =
        |edition, check| Command::now(Action::Adopt { edition, check, fade_frames: 480 }).encode();
    let check = show.plans[2].hash() as u32;
    let wrong = [adopt(2, check ^ 1), adopt(3, check), adopt(0, show.plans[0].hash() as u32)];
    let mut ignored = 0;
    for payload in wrong {
        show.player.apply(&payload);
        ignored += 1;
        assert_eq!((show.ignored(), show.player.edition()), (ignored, 0));
        assert!(show.left(3).iter().all(|sample| *sample == 0.25));
    }
    show.player.apply(&good);
    assert_eq!((show.ignored(), show.player.edition()), (ignored, 2), "an edition may be left out");
    let back = show.adoption(1, 480);
    for payload in [good, back] {
        show.player.apply(&payload);
        ignored += 1;
        assert_eq!((show.ignored(), show.player.edition()), (ignored, 2), "never back, nor again");
    }
    assert_eq!(show.left(20)[1_000], 0.5);
}

#[test]
fn a_rack_alone_ignores_an_adoption() {
    let show = Show::new(&[ONE, ONE]);
    let mut rack = segue_rack::Rack::new(&show.plans[0], show.plans[0].setup()).unwrap();
    rack.apply(&Command::decode(&show.adoption(1, 480)).unwrap());
    assert_eq!((rack.notes().ignored, rack.edition(), rack.agenda_len()), (1, 0, 0));
}

/// Two commits, and what is said between them, in one block: each by the plan of its moment.
#[test]
fn what_a_block_brings_is_done_in_its_order() {
    let other = reordered(ONE);
    let mut show = Show::new(&[ONE, &other, &other.replace("0.25", "0.5")]);
    show.left(2);
    for (edition, gain) in [(0, 0.125), (1, 0.75)] {
        let module = show.plans[edition as usize].module("one").unwrap();
        let set = Action::Set { module, param: 0, value: gain, ramp_frames: 0 };
        show.player.apply(&Command::at(9_000 + u64::from(edition), set).encode_for(edition));
        show.player.apply(&show.adoption(edition + 1, 480));
    }
    assert_eq!((show.player.edition(), show.player.rack().fading()), (2, Some(1)));
    assert_eq!((show.ignored(), show.player.rack().agenda_len()), (0, 2));
    let heard = show.left(150);
    assert_eq!([8_000, 9_000, 9_001].map(|frame| heard[frame - 128]), [0.5, 0.125, 0.75]);
}

/// A library whose successors are made beforehand, and which is given back what is done with.
struct Prepared {
    plans: BTreeMap<u32, Plan>,
    ready: BTreeMap<u32, Box<Successor>>,
    retired: Vec<Successor>,
}

impl Library for Prepared {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        self.plans.plan(edition)
    }

    fn ready(&mut self, edition: u32) -> Option<Box<Successor>> {
        self.ready.remove(&edition)
    }

    fn retire(&mut self, old: Box<Successor>) {
        self.retired.push(*old);
    }
}

fn prepared(show: &Show, pairs: &[(u32, u32)]) -> Prepared {
    let plans: BTreeMap<u32, Plan> = (0..).zip(show.plans.iter().cloned()).collect();
    let ready = pairs.iter().map(|(from, to)| {
        let setup = show.plans[0].setup();
        let next = Successor::prepare((&plans[from], *from), (&plans[to], *to), setup);
        let next = next.expect("plans of one setup");
        assert_eq!((next.base(), next.edition()), (*from, *to));
        (*to, next)
    });
    Prepared { ready: ready.collect(), plans, retired: Vec::new() }
}

/// It is made by one thread and adopted by another.
#[test]
fn a_successor_can_be_sent() {
    fn can_be_sent<T: Send>() {}
    can_be_sent::<Box<Successor>>();
}

#[test]
fn a_successor_that_was_prepared_is_the_same_as_one_made_on_the_spot() {
    let texts = [RICH, &reordered(RICH), &RICH.replace("freq = 110", "freq = 120")];
    let mut show = played(&texts);
    let library = prepared(&show, &[(0, 1), (1, 2)]);
    let mut player = Performer::new(library, 0, show.plans[0].setup()).unwrap();
    player.restore(show.player.state()).unwrap();
    let mut out = [0.0; 128];
    for block in 0..100 {
        for (at, edition) in [(3, 1), (40, 2)] {
            if block == at {
                player.apply(&show.adoption(edition, 900));
                show.adopt(edition, 900);
            }
        }
        player.render(&mut out, &mut |_| {});
        assert_eq!(bits(&out), bits(show.block()), "block {block}");
        assert_eq!(player.state(), show.player.state(), "block {block}");
    }
    let retired: Vec<u32> = player.library().retired.iter().map(Successor::edition).collect();
    assert_eq!(retired, [0, 1], "what was taken over from is dropped elsewhere");
}

/// A successor made for another beginning is no successor: another is made on the spot.
#[test]
fn a_successor_of_another_base_is_given_back() {
    let show = Show::new(&[ONE, &ONE.replace("0.25", "0.5"), &ONE.replace("0.25", "0.75")]);
    let library = prepared(&show, &[(0, 1), (1, 2)]);
    let mut player = Performer::new(library, 0, show.plans[0].setup()).unwrap();
    player.apply(&show.adoption(2, 0));
    assert_eq!((player.edition(), player.rack().notes().ignored), (2, 0));
    let mut out = [0.0; 128];
    (0..5).for_each(|_| player.render(&mut out, &mut |_| {}));
    assert_eq!(out[127], 0.75);
    let retired: Vec<u32> = player.library().retired.iter().map(Successor::edition).collect();
    assert_eq!(retired, [2, 0], "the misfit, then what was taken over from");
    // What was taken over from is no successor of anything.
    let spent = player.library().retired.remove(1);
    let mut rack = segue_rack::Rack::new(&show.plans[0], show.plans[0].setup()).unwrap();
    assert!(rack.adopt(Box::new(spent), 0).is_err());
    // Nor is one of the right number, but of another plan, or one of a plan of another text.
    let other = Successor::prepare((&show.plans[1], 0), (&show.plans[2], 1), show.plans[0].setup());
    assert!(rack.adopt(other.unwrap(), 0).is_err());
    assert_eq!(rack.edition(), 0);
}

/// What was prepared from a plan of another text is not gone over to.
#[test]
fn a_successor_that_is_not_what_was_asked_for_is_given_back() {
    let show = Show::new(&[ONE, &ONE.replace("0.25", "0.5")]);
    let other = Show::new(&[ONE, &ONE.replace("0.25", "0.75")]);
    let mut library = prepared(&other, &[(0, 1)]);
    library.plans.clone_from(&(0..).zip(show.plans.iter().cloned()).collect());
    let mut player = Performer::new(library, 0, show.plans[0].setup()).unwrap();
    player.apply(&show.adoption(1, 0));
    let mut out = [0.0; 128];
    (0..5).for_each(|_| player.render(&mut out, &mut |_| {}));
    assert_eq!((out[127], player.rack().notes().ignored), (0.5, 0));
    let retired: Vec<u32> = player.library().retired.iter().map(Successor::edition).collect();
    assert_eq!(retired, [1, 0]);
}

#[test]
fn whom_a_payload_is_for_depends_on_its_edition() {
    let mut show = Show::new(&[ONE, &reordered(ONE)]);
    let one = show.module("one");
    let bypass = Command::now(Action::Bypass { module: one });
    assert!(show.player.is_for(&bypass.encode_for(0), one.into()));
    assert!(!show.player.is_for(&bypass.encode_for(1), one.into()));
    show.adopt(1, 480);
    assert!(!show.player.is_for(&bypass.encode_for(0), one.into()));
    assert!(show.player.is_for(&bypass.encode_for(1), one.into()));
    assert!(!show.player.is_for(&show.adoption(1, 0), 0));
}
