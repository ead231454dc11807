//! A commit at the desk: what it waits for, and what waits for it.

use std::time::Duration;

use rosc::OscType;
use segue_lockstep::memory::orders::{Kind, Record, Sealing};
use segue_lockstep::memory::plans::PLANS_KEPT;
use segue_lockstep::memory::verdicts::Verdict;
use segue_rack::{Action, Command, Patch, Plan, Setup};

use super::{Bench, Sender, gate, message};
use crate::host::prover::Outcome;

const OTHER: Sender = Sender::Tcp(2);

fn words(addr: &str, args: &[&str]) -> Vec<u8> {
    message(addr, args.iter().map(|arg| OscType::String((*arg).to_owned())).collect())
}

impl Bench {
    /// Sends what adds an oscillator, and its commit.
    fn commit(&mut self, name: &str) -> Vec<String> {
        let mut said = self.send(&words("/patch/create", &[name, "osc"]));
        said.extend(self.send(&words("/patch/connect", &[name, "out"])));
        said.extend(self.send(&words("/patch/commit", &[])));
        said
    }

    fn plan(&self, edition: u64) -> Plan {
        Plan::from_bytes(&self.plans.read(edition).unwrap().bytes).unwrap()
    }

    fn proved(&mut self, edition: u32) -> Vec<String> {
        let check = self.plan(edition.into()).hash() as u32;
        self.desk.proved((edition, check), &Outcome::fine(1000), self.now);
        self.look()
    }

    fn prepared(&mut self, slot: usize, edition: u32) -> Vec<String> {
        let check = self.plan(edition.into()).hash() as u32;
        self.slots[slot].set_prepared(edition, check);
        self.look()
    }

    fn look(&mut self) -> Vec<String> {
        self.desk.look_at(&self.slots, self.now);
        self.replies()
    }

    fn editions(&self) -> Vec<u32> {
        let of = |number| self.inbox.take(number).unwrap();
        (0..self.inbox.head()).map(|number| Command::edition_of(&of(number).payload)).collect()
    }
}

#[test]
fn a_commit_waits_for_its_proof_and_for_all_in_lockstep_and_its_sender_for_it() {
    let mut bench = Bench::new();
    let said = bench.commit("lead");
    assert!(said.len() == 1 && said[0].starts_with("Prove { edition: 1"), "{said:?}");
    let set = message("/mod/lead/freq", vec![OscType::Float(500.0)]);
    assert!(bench.send(&set).is_empty());
    assert!(bench.send(&message("/sync", vec![OscType::Int(5)])).is_empty());
    // Others play what plays.
    bench.desk.packet(OTHER, &gate(1), bench.now);
    assert_eq!((bench.sent().len(), bench.editions()), (1, vec![0]));
    assert!(bench.prepared(0, 1).is_empty(), "it is not proved");
    assert!(bench.proved(1).is_empty(), "slot 1 is not prepared");
    assert_eq!(bench.prepared(1, 1)[..1], ["Adopted"]);
    let sent = bench.sent();
    let fade = Action::Adopt { edition: 1, check: bench.plan(1).hash() as u32, fade_frames: 480 };
    assert_eq!(sent[1].0.action, fade);
    assert!(matches!(sent[2].0.action, Action::Set { value: 500.0, .. }), "{sent:?}");
    assert_eq!(bench.editions(), [0, 0, 1]);
    assert_eq!(bench.taken(3), ["/synced 5"]);
}

#[test]
fn a_refused_commit_applies_nothing_and_lets_go_of_what_waited() {
    let mut bench = Bench::new();
    bench.commit("lead");
    bench.send(&message("/mod/lead/freq", vec![OscType::Float(500.0)]));
    bench.send(&gate(1));
    let check = bench.plan(1).hash() as u32;
    let crashes = Outcome::Crashes { part: None, cause: "SIGSEGV".to_owned() };
    // Of another plan that was written under this number.
    bench.desk.proved((1, check ^ 2), &crashes, bench.now);
    assert!(bench.replies().is_empty());
    bench.desk.proved((1, check), &crashes, bench.now);
    let said = bench.replies();
    assert!(said[0].starts_with("/error /patch/commit forbidden"), "{said:?}");
    assert!(said[1].starts_with("/error /mod/lead/freq unknown_module"), "{said:?}");
    assert_eq!((said.len(), bench.editions()), (2, vec![0]));
    // The next one is written in its place.
    assert!(bench.commit("bass")[0].starts_with("Prove { edition: 1"));
    assert!(bench.plan(1).module("lead").is_none());
}

#[test]
fn workers_that_are_not_ready_in_time_end_a_commit() {
    let mut bench = Bench::new();
    bench.commit("lead");
    bench.proved(1);
    bench.now.steady += Duration::from_millis(2009);
    assert!(bench.prepared(0, 1).is_empty());
    bench.now.steady += Duration::from_millis(1);
    let said = bench.look();
    assert!(said[0].starts_with("/error /patch/commit timeout"), "{said:?}");
    assert!(bench.sent().is_empty());
}

#[test]
fn another_commit_waits_for_the_first_and_for_the_end_of_its_fade() {
    let mut bench = Bench::new();
    bench.commit("lead");
    let apply = "segue = 1\n[osc]\ntype = \"osc\"\n[out]\nin = \"osc\"\n";
    bench.desk.packet(OTHER, &words("/patch/apply", &[apply]), bench.now);
    assert!(bench.replies().is_empty());
    bench.proved(1);
    bench.prepared(0, 1);
    let said = bench.prepared(1, 1);
    assert!(said.iter().any(|it| it.starts_with("Prove { edition: 2")), "{said:?}");
    bench.proved(2);
    bench.prepared(0, 2);
    assert!(bench.prepared(1, 2).is_empty());
    assert_eq!(bench.sent().len(), 1);
    // 480 frames behind what was sealed.
    bench.orders.set_playhead(1005 + 4 + 7);
    assert!(bench.look().is_empty());
    bench.orders.set_playhead(1005 + 4 + 8);
    assert_eq!(bench.look()[..1], ["Adopted"]);
    assert_eq!(bench.desk.plan().modules().len(), 2);
}

/// Nor do a thousand patches of a hasty sender fill the memory.
#[test]
fn what_waits_for_a_commit_is_bounded_in_messages_and_in_bytes() {
    let mut bench = Bench::new();
    bench.commit("lead");
    let text = format!("segue = 1\n[out]\n#{}", "x".repeat(250_000));
    let apply = words("/patch/apply", &[&text]);
    let refused = (0..20).filter(|_| !bench.send(&apply).is_empty()).count();
    assert_eq!(refused, 4, "sixteen have room in 4 MiB");
    let mut bench = Bench::new();
    bench.commit("lead");
    let refused = (0..4100).map(|_| bench.send(&gate(1))).filter(|said| !said.is_empty());
    assert_eq!(refused.count(), 4);
    bench.proved(1);
    bench.prepared(0, 1);
    bench.prepared(1, 1);
    assert_eq!(bench.sent().len(), 4097, "what has waited is done");
}

#[test]
fn a_patch_that_somebody_may_still_need_is_not_written_over() {
    let mut bench = Bench::new();
    let adopts = |edition: u32| {
        let action = Action::Adopt { edition, check: 0, fade_frames: 0 };
        let payload = Command::now(action).encode();
        Record { block: 900, kind: Kind::Command, origin: 1, more: 0, payload }
    };
    let many = PLANS_KEPT as u64 - 3;
    (0..many).for_each(|number| bench.orders.append(number, adopts(number as u32)));
    bench.orders.publish(Sealing { head: many, taken: 0, sealed: 1005, end: None });
    let said = bench.commit("lead");
    assert!(said[0].starts_with("/error /patch/commit busy"), "{said:?}");
    // One of them is in every checkpoint, and in the journal.
    bench.orders.set_keep_from(1);
    bench.inbox.set_log_cursor(1);
    assert!(bench.commit("lead")[0].starts_with("Prove"));
}

#[test]
fn a_commit_that_killed_who_applied_it_is_taken_back() {
    let mut bench = Bench::new();
    bench.commit("lead");
    bench.proved(1);
    bench.prepared(0, 1);
    bench.prepared(1, 1);
    let sent = bench.inbox.take(0).unwrap();
    let record = Record {
        block: 1005,
        kind: Kind::Command,
        origin: sent.origin,
        more: 0,
        payload: sent.payload,
    };
    bench.orders.append(0, record);
    bench.orders.publish(Sealing { head: 1, taken: 1, sealed: 1006, end: None });
    let verdict = Verdict::Quarantine { number: 0, block: 1005 };
    assert!(bench.orders.verdicts().pass(verdict, &[], |_| 1));
    bench.desk.turn(bench.now);
    let said = bench.replies();
    assert!(said[1].starts_with("/error /patch/commit quarantined"), "{said:?}");
    assert!(bench.desk.plan().module("lead").is_none());
    bench.send(&gate(1));
    assert_eq!(bench.editions(), [0, 0]);
    // There is nothing to undo.
    assert!(bench.send(&message("/patch/undo", vec![]))[0].contains("busy"));
    // Its number is not used again.
    assert!(bench.commit("bass")[0].starts_with("Prove { edition: 2"));
}

/// An echo of three seconds takes more than half of the 1 MiB.
#[test]
fn what_has_no_room_beside_what_plays_is_refused_unless_it_cuts_or_is_no_wish() {
    let patch = "segue = 1\n[osc]\ntype = \"osc\"\n[echo]\ntype = \"delay\"\nin = \"osc\"\n\
                 SIZE[out]\nin = \"echo\"\n";
    let mut bench = Bench::new();
    let large = patch.replace("SIZE", "max = 3000\n");
    let bytes = Plan::compile(&Patch::parse(&large).unwrap(), &Setup::default());
    let bytes = bytes.unwrap().state_bytes();
    assert!(bytes < 1 << 20 && 2 * bytes > 1 << 20, "{bytes}");
    assert!(bench.send(&words("/patch/apply", &[&large]))[0].starts_with("Prove"));
    bench.proved(1);
    bench.prepared(0, 1);
    bench.prepared(1, 1);
    bench.orders.set_playhead(1100);
    let other = large.replace("osc", "tone").replace("type = \"tone\"", "type = \"osc\"");
    let refused = bench.send(&words("/patch/apply", &[&other]));
    assert!(refused[0].starts_with("/error /patch/apply full"), "{refused:?}");
    assert!(refused[0].contains("--state 2MiB") && refused[0].contains("0 ms"), "{refused:?}");
    let text = OscType::String(other);
    let cut = message("/patch/apply", vec![text, OscType::Float(0.0)]);
    assert!(bench.send(&cut)[0].starts_with("Prove { edition: 2"));
    bench.proved(2);
    bench.prepared(0, 2);
    bench.prepared(1, 2);
    bench.orders.set_playhead(1200);
    assert!(bench.send(&message("/patch/undo", vec![]))[0].starts_with("Prove { edition: 3"));
    bench.proved(3);
    bench.prepared(0, 3);
    bench.prepared(1, 3);
    let action = bench.sent().pop().unwrap().0.action;
    assert!(matches!(action, Action::Adopt { edition: 3, fade_frames: 0, .. }), "{action:?}");
}

#[test]
fn where_there_is_nothing_to_go_to_the_way_is_told() {
    let mut bench = Bench::new();
    for (address, way) in
        [("/patch/undo", "to go back to"), ("/patch/redo", "to go forth again to")]
    {
        let said = bench.send(&message(address, vec![]));
        assert!(said[0].starts_with(&format!("/error {address} busy")), "{said:?}");
        assert!(said[0].contains(way), "{said:?}");
    }
}
