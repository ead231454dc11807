//! The desk as a client sees it: packets in, answers and commands out.

mod patching;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosc::{OscMessage, OscType};
use segue_lockstep::Shape;
use segue_lockstep::memory::inbox::{Count, INBOX_DEPTH, Inbox};
use segue_lockstep::memory::orders::{Orders, Sealing};
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::{Phase, Slot};
use segue_rack::{Action, Command, Patch, Plan, Setup};
use segue_sys::Region;

use super::{Desk, Errand, Mirror, Moment, Playing, Sender, Shared, Staging};
use crate::osc::reply::encode;
use crate::osc::time::TimeTag;

const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\n[env]\ntype = \"adsr\"\nin = \"osc\"\n\
                     [out]\nin = \"env\"\n";
const ME: Sender = Sender::Tcp(1);

struct Bench {
    desk: Desk,
    inbox: Inbox,
    orders: Orders,
    plans: Plans,
    slots: [Slot; 2],
    now: Moment,
}

impl Bench {
    fn new() -> Self {
        let plan = Plan::compile(&Patch::parse(PATCH).unwrap(), &Setup::default()).unwrap();
        let inbox = Inbox::new(Region::heap(Inbox::words())).unwrap();
        let orders = Orders::new(Region::heap(Orders::words())).unwrap();
        let mirror = Mirror::new(&plan);
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        plans.write(0, None, &plan.to_bytes()).unwrap();
        let playing = Playing { plan, edition: 0, mirror, cost_ns: None };
        let (ours, to_all) = (inbox.clone(), orders.clone());
        let shared = Shared { inbox: ours, orders: to_all, plans: plans.clone() };
        let desk = Desk::new(playing, shared, Staging::default(), 1, 2);
        let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let now = Moment { wall, steady: Duration::ZERO };
        let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
        let slots = [0, 1].map(|slot| {
            let place = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
            place.sit(1, 1);
            place.set_phase(Phase::Lockstep);
            orders.set_generation(slot, 1);
            place
        });
        let mut bench = Self { desk, inbox, orders, plans, slots, now };
        // The playhead at block 1000, sealed five blocks ahead.
        bench.orders.set_playhead(1000);
        bench.orders.publish(Sealing { head: 0, taken: 0, sealed: 1005, end: None });
        bench.desk.turn(bench.now);
        bench
    }

    fn send(&mut self, packet: &[u8]) -> Vec<String> {
        self.desk.packet(ME, packet, self.now);
        self.replies()
    }

    fn replies(&mut self) -> Vec<String> {
        let shown = |errand| match errand {
            Errand::Reply(ME, message) => crate::client::conversation::shown(&message),
            other => format!("{other:?}"),
        };
        self.desk.errands().into_iter().map(shown).collect()
    }

    fn sent(&self) -> Vec<(Command, u8)> {
        let of = |number| self.inbox.take(number).unwrap();
        let sent = (0..self.inbox.head()).map(of);
        sent.map(|it| (Command::decode(&it.payload).unwrap(), it.more)).collect()
    }

    fn taken(&mut self, taken: u64) -> Vec<String> {
        self.orders.publish(Sealing { head: 0, taken, sealed: 1005, end: None });
        self.desk.turn(self.now);
        self.replies()
    }
}

fn message(addr: &str, args: Vec<OscType>) -> Vec<u8> {
    encode(&OscMessage { addr: addr.to_owned(), args })
}

fn bundle(at: Option<SystemTime>, messages: &[Vec<u8>]) -> Vec<u8> {
    let tag = at.map_or(TimeTag::NOW, TimeTag::of);
    let mut bytes = b"#bundle\0".to_vec();
    bytes.extend(tag.0.to_be_bytes());
    for message in messages {
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

fn gate(level: i32) -> Vec<u8> {
    message("/gate/env", vec![OscType::Int(level)])
}

fn freq(hertz: f32) -> Vec<u8> {
    message("/mod/osc/freq", vec![OscType::Float(hertz)])
}

#[test]
fn a_bundle_goes_as_a_whole_and_a_refused_message_does_not_hold_back_the_others() {
    let mut bench = Bench::new();
    let wrong = message("/gate/nobody", vec![OscType::Int(1)]);
    let replies = bench.send(&bundle(None, &[freq(100.0), wrong, gate(1)]));
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("/error /gate/nobody unknown_module"), "{}", replies[0]);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|(_, more)| *more).collect::<Vec<_>>(), [1, 0]);
    assert!(sent.iter().all(|(command, _)| command.due == 0));
    assert_eq!(bench.inbox.count(Count::Refused), 1);
}

#[test]
fn a_slot_that_is_none_is_not_revived() {
    let mut bench = Bench::new();
    let revive = |slot| message("/engine/revive", vec![OscType::Int(slot)]);
    let replies = bench.send(&revive(1));
    assert_eq!(replies, ["ReviveSlots(Some(1))", "/done /engine/revive"]);
    let refused = "/error /engine/revive out_of_range \"the slots are 0 to 1\" 2";
    assert_eq!(bench.send(&revive(2)), [refused]);
    assert_eq!(bench.inbox.count(Count::Refused), 1);
}

#[test]
fn more_than_64_messages_in_a_bundle_are_refused_as_a_whole() {
    let mut bench = Bench::new();
    let replies = bench.send(&bundle(None, &vec![gate(1); 65]));
    assert_eq!(replies.len(), 65);
    assert!(replies.iter().all(|it| it.starts_with("/error /gate/env full")));
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.send(&bundle(None, &vec![gate(1); 64])), [""; 0]);
    assert_eq!(bench.sent().len(), 64);
}

#[test]
fn a_time_tag_means_its_frame() {
    let mut bench = Bench::new();
    let at = bench.now.wall + Duration::from_millis(500);
    assert_eq!(bench.send(&bundle(Some(at), &[gate(1)])), [""; 0]);
    let frame = 1000 * 64 + 24_000;
    assert_eq!(bench.sent(), [(Command::at(frame, Action::Gate { module: 1, level: 1.0 }), 0)]);
    // The question is answered with what is now; then with what has come.
    assert_eq!(bench.send(&message("/gate/env", vec![])), ["/gate/env 0.0"]);
    bench.orders.set_playhead(1375);
    assert_eq!(bench.send(&message("/gate/env", vec![])), ["/gate/env 1.0"]);
}

#[test]
fn a_time_tag_in_the_past_is_applied_at_once_and_told() {
    let mut bench = Bench::new();
    let at = bench.now.wall - Duration::from_millis(250);
    assert_eq!(bench.send(&bundle(Some(at), &[gate(1)])), ["/late 0.25 /gate/env"]);
    assert_eq!(bench.sent()[0].0.due, 0);
    // Within what is sealed already it is late as well, by what is left of that.
    let at = bench.now.wall + Duration::from_millis(2);
    let reply = bench.send(&bundle(Some(at), &[gate(0)])).remove(0);
    assert!(reply.starts_with("/late 0.004"), "{reply}");
}

#[test]
fn a_time_tag_beyond_a_minute_is_refused() {
    let mut bench = Bench::new();
    let at = bench.now.wall + Duration::from_secs(61);
    let reply = bench.send(&bundle(Some(at), &[gate(1)])).remove(0);
    assert!(reply.starts_with("/error /gate/env out_of_range"), "{reply}");
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_sync_is_answered_when_everything_before_it_is_in_the_log() {
    let mut bench = Bench::new();
    bench.send(&gate(1));
    bench.send(&gate(0));
    assert_eq!(bench.send(&message("/sync", vec![OscType::Int(7)])), [""; 0]);
    assert_eq!(bench.taken(1), [""; 0]);
    assert_eq!(bench.taken(2), ["/synced 7"]);
    assert_eq!(bench.send(&message("/sync", vec![OscType::Int(8)])), ["/synced 8"]);
}

/// S28: order per sender is kept, also when the inbox is full in between.
#[test]
fn what_the_inbox_cannot_hold_follows_in_order() {
    let mut bench = Bench::new();
    for number in 0..INBOX_DEPTH + 10 {
        assert_eq!(bench.send(&freq(100.0 + number as f32)), [""; 0]);
    }
    bench.send(&message("/sync", vec![OscType::Int(1)]));
    assert_eq!(bench.inbox.head(), INBOX_DEPTH as u64);
    // Four are taken, so four of the ten follow.
    assert_eq!(bench.taken(4), [""; 0]);
    assert_eq!(bench.inbox.head(), INBOX_DEPTH as u64 + 4);
    assert_eq!(bench.taken(INBOX_DEPTH as u64 + 4), [""; 0]);
    assert_eq!(bench.taken(INBOX_DEPTH as u64 + 10), ["/synced 1"]);
    let last = bench.inbox.take(INBOX_DEPTH as u64 + 9).unwrap();
    let value = 100.0 + (INBOX_DEPTH + 9) as f32;
    match Command::decode(&last.payload).unwrap().action {
        Action::Set { value: sent, .. } => assert_eq!(sent, value),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.send(&message("/mod/osc/freq", vec![])), [format!("/mod/osc/freq {value:?}")]);
}

#[test]
fn a_question_behind_a_set_is_answered_with_what_was_set() {
    let mut bench = Bench::new();
    let replies = bench.send(&bundle(None, &[freq(123.0), message("/mod/osc/freq", vec![])]));
    assert_eq!(replies, ["/mod/osc/freq 123.0"]);
    let replies = bench.send(&freq(1e9));
    assert!(replies[0].contains("out_of_range") && replies[0].contains("was used"));
}

#[test]
fn an_answer_is_not_answered_lest_two_engines_talk_for_ever() {
    let mut bench = Bench::new();
    let refused = encode(&OscMessage { addr: "/nope".to_owned(), args: vec![] });
    assert_eq!(bench.send(&refused).len(), 1);
    for addr in super::REPLIES {
        assert_eq!(bench.send(&message(addr, vec![])), [""; 0]);
    }
    assert_eq!(bench.inbox.count(Count::Refused), 5);
}

#[test]
fn what_is_no_packet_is_refused_and_counted() {
    let mut bench = Bench::new();
    assert!(bench.send(b"nonsense")[0].starts_with("/error"));
    assert_eq!((bench.inbox.count(Count::Refused), bench.inbox.count(Count::Received)), (1, 1));
}
