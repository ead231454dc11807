//! The desk: every message of every sender passes here, in the order it came.
//!
//! *Invariant*: a message is either done (and its commands are in the inbox or wait for it), or
//! answered with a refusal that is counted; never both, never neither. Commands of one sender
//! reach the log in the order they were sent, those of one bundle at one block.

pub(super) mod answers;
pub(super) mod backlog;
mod clock;
pub(crate) mod mirror;
mod verdicts;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use rosc::{OscMessage, OscType};
use segue_lockstep::memory::inbox::{Count, Inbox};
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::{BLOCK_FRAMES, COMMANDS_PER_BLOCK};
use segue_rack::{Action, Command, Plan};

use self::backlog::{Backlog, Bundle, Taken};
use self::clock::FrameClock;
use self::mirror::Mirror;
use self::verdicts::{Crier, Told};
use super::sockets::{Sender, Senders};
use crate::osc::address::{self, Ask, EngineAsk, Patience, RecordAsk, Revived};
use crate::osc::decode::{self, Group};
use crate::osc::refusal::{Code, Refusal};
use crate::osc::time::When;

/// `/sync` messages that may wait for their answer.
const SYNCS_MAX: usize = 4096;

/// What an engine answers with; never answered.
const REPLIES: [&str; 4] = ["/error", "/done", "/late", "/synced"];

/// A moment, on the calendar and on the clock that does not jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// For time tags.
    pub(crate) wall: SystemTime,
    /// Since some beginning.
    pub(crate) steady: Duration,
}

/// What the desk leaves to those who can do it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Errand {
    /// Answer a sender.
    Reply(Sender, OscMessage),
    /// Something about recording.
    Record(Sender, RecordAsk),
    /// Something about the engine.
    Engine(Sender, EngineAsk),
    /// Bring back a slot that was given up, or all.
    ReviveSlots(Option<u32>),
    /// Silence, also if no worker answers.
    Panic,
}

/// A `/sync` that is not answered yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    sender: Sender,
    number: i32,
    /// In the backlog below this number, until that is sent.
    backlog: Option<u64>,
    /// Then in the inbox below this number, until that is taken.
    inbox: u64,
}

/// The desk.
pub(crate) struct Desk {
    plan: Plan,
    /// The edition of that plan.
    edition: u32,
    inbox: Inbox,
    orders: Orders,
    mirror: Mirror,
    backlog: Backlog,
    clock: FrameClock,
    senders: Senders,
    syncs: VecDeque<Pending>,
    errands: Vec<Errand>,
    crier: Crier,
    /// Slots there are.
    slots: u32,
}

impl Desk {
    /// A desk for `plan`, played in so many `slots`; `mirror` says what stands where.
    pub(crate) fn new(
        plan: Plan,
        mirror: Mirror,
        inbox: Inbox,
        orders: Orders,
        generation: u64,
        slots: u32,
    ) -> Self {
        Self {
            clock: FrameClock::new(plan.setup().rate),
            crier: Crier::new(&orders),
            plan,
            edition: 0,
            inbox,
            orders,
            mirror,
            backlog: Backlog::default(),
            senders: Senders::new(generation),
            syncs: VecDeque::new(),
            errands: Vec::new(),
            slots,
        }
    }

    /// The same for a plan of this edition.
    pub(crate) fn of_edition(mut self, edition: u32) -> Self {
        self.edition = edition;
        self
    }

    /// What plays.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether something waits for playout, so that the next turn should come soon.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.backlog.is_empty() || !self.syncs.is_empty()
    }

    /// What was left to be done since the last call.
    pub(crate) fn errands(&mut self) -> Vec<Errand> {
        std::mem::take(&mut self.errands)
    }

    /// Takes one packet.
    pub(crate) fn packet(&mut self, sender: Sender, packet: &[u8], now: Moment) {
        self.inbox.add(Count::Received, 1);
        match decode::decode(packet) {
            Ok(groups) => {
                let mut patience = Patience::default();
                for group in groups {
                    self.group(sender, group, now, &mut patience);
                }
            }
            Err(error) => {
                let message = OscMessage { addr: String::new(), args: Vec::new() };
                self.refuse(sender, &message, &Refusal::new(Code::WrongType, error.to_string()));
            }
        }
    }

    /// Goes on with what waits; once a turn.
    pub(crate) fn turn(&mut self, now: Moment) {
        let frame = self.playhead_frame();
        self.clock.observe(now.steady, frame, self.orders.period().max(BLOCK_FRAMES as u64));
        self.mirror.advance(frame);
        self.send_backlog();
        self.inbox.set_waiting(self.backlog.len() as u64);
        self.answer_syncs();
        self.tell_verdicts();
    }

    fn tell_verdicts(&mut self) {
        let told = self.crier.news(&self.orders, &self.plan, &self.senders);
        self.tell(told);
    }

    /// Looks for modules that were set back; once a turn.
    pub(crate) fn look_at(&mut self, slots: &[Slot]) {
        if let Some(first) = self.orders.primary().and_then(|slot| slots.get(slot)) {
            let told = self.crier.resets(first, &self.orders, &self.plan, &self.senders);
            self.tell(told);
        }
    }

    fn tell(&mut self, told: Told) {
        told.lines.iter().for_each(|line| eprintln!("{line}"));
        for (sender, message, refusal) in told.refusals {
            self.refuse(sender, &message, &refusal);
        }
        for (sender, message, remark) in told.remarks {
            self.reply(sender, remark.reply_to(&message));
        }
    }

    fn playhead_frame(&self) -> u64 {
        self.orders.playhead() * BLOCK_FRAMES as u64
    }

    /// One group: what it asks of the rack goes as a whole, all else in its place.
    fn group(&mut self, sender: Sender, group: Group, now: Moment, patience: &mut Patience) {
        let Group { time, messages, bundled } = group;
        let when = time.seen_from(now.wall);
        let first_free = self.orders.sealed() * BLOCK_FRAMES as u64;
        let (due, late) = match when {
            When::Now => (0, None),
            When::Late(by) => (0, Some(by)),
            When::In(ahead) => match self.clock.frame(now.steady + ahead) {
                due if due >= first_free => (due, None),
                // Asked for earlier than anything can still be changed.
                due => (0, Some(self.duration(first_free - due))),
            },
            When::Far => {
                let text = "time tags are honoured up to 60 s ahead";
                self.refuse_all(sender, &messages, &Refusal::new(Code::OutOfRange, text));
                return;
            }
        };
        let mut batch = Batch { due, late, commands: Vec::new(), asked_by: Vec::new() };
        for message in messages {
            match message {
                Ok(message) => self.message(sender, message, &mut batch, patience),
                Err(bad) => {
                    let message = OscMessage { addr: bad.address, args: Vec::new() };
                    self.refuse(sender, &message, &Refusal::new(Code::WrongType, bad.what));
                }
            }
            // Only a bundle's messages belong to one frame; others are not held together.
            if !bundled {
                self.submit(sender, &mut batch);
            }
        }
        self.submit(sender, &mut batch);
    }

    fn message(
        &mut self,
        sender: Sender,
        message: OscMessage,
        batch: &mut Batch,
        patience: &mut Patience,
    ) {
        // Nor is a packet of thousands of messages a hang.
        super::beat(&self.inbox);
        match address::expand(&self.plan, message.clone(), patience) {
            Ok(expanded) => {
                for message in expanded {
                    match address::resolve(&self.plan, &message) {
                        Ok(ask) => self.perform(sender, ask, message, batch),
                        Err(refusal) => self.refuse(sender, &message, &refusal),
                    }
                }
            }
            Err(refusal) => self.refuse(sender, &message, &refusal),
        }
    }

    fn perform(&mut self, sender: Sender, ask: Ask, message: OscMessage, batch: &mut Batch) {
        let action = match ask {
            Ask::Act(action, remark) => {
                if let Some(remark) = remark {
                    self.reply(sender, remark.reply_to(&message));
                }
                action
            }
            Ask::Engine(EngineAsk::Panic) => {
                self.errands.push(Errand::Panic);
                self.done(sender, &message);
                Action::Panic
            }
            Ask::Engine(EngineAsk::Clear) => {
                self.done(sender, &message);
                Action::Clear
            }
            Ask::Engine(EngineAsk::Revive(Revived::Slot(slot))) if slot >= self.slots => {
                let text = format!("the slots are 0 to {}", self.slots.saturating_sub(1));
                return self.refuse(sender, &message, &Refusal::new(Code::OutOfRange, text));
            }
            Ask::Engine(EngineAsk::Revive(revived)) => {
                self.submit(sender, batch);
                self.revive(sender, revived, message, batch);
                return;
            }
            // What follows is answered behind what was asked before it.
            Ask::Question(topic) => {
                self.submit(sender, batch);
                return self.answer(sender, topic, message);
            }
            Ask::Sync(number) => {
                self.submit(sender, batch);
                return self.sync(sender, number, &message);
            }
            Ask::Patch(_) => {
                let text = "this engine cannot edit a patch while it plays";
                return self.refuse(sender, &message, &Refusal::new(Code::Forbidden, text));
            }
            Ask::Record(ask) => return self.errands.push(Errand::Record(sender, ask)),
            Ask::Engine(ask) => return self.errands.push(Errand::Engine(sender, ask)),
        };
        batch.commands.push(Command::at(batch.due, action));
        batch.asked_by.push(message);
    }

    fn revive(&mut self, sender: Sender, what: Revived, message: OscMessage, batch: &mut Batch) {
        let modules: Vec<u16> = match what {
            Revived::All => (0_u16..).zip(self.plan.modules()).map(|(at, _)| at).collect(),
            Revived::Module(module) => vec![module],
            Revived::Slot(_) => Vec::new(),
        };
        match what {
            Revived::All => self.errands.push(Errand::ReviveSlots(None)),
            Revived::Slot(slot) => self.errands.push(Errand::ReviveSlots(Some(slot))),
            Revived::Module(_) => {}
        }
        self.done(sender, &message);
        for modules in modules.chunks(COMMANDS_PER_BLOCK) {
            let revive = |module: &u16| Command::now(Action::Revive { module: *module });
            batch.commands.extend(modules.iter().map(revive));
            batch.asked_by.extend(modules.iter().map(|_| message.clone()));
            self.submit(sender, batch);
        }
    }

    /// Sends what is in `batch` and empties it.
    fn submit(&mut self, sender: Sender, batch: &mut Batch) {
        let commands = std::mem::take(&mut batch.commands);
        let asked_by = std::mem::take(&mut batch.asked_by);
        if commands.is_empty() {
            return;
        }
        if let Err(refusal) = self.accept(sender, &commands) {
            for message in &asked_by {
                self.refuse(sender, message, &refusal);
            }
            return;
        }
        if let Some(late) = batch.late {
            for message in asked_by {
                let args = vec![OscType::Float(late.as_secs_f32()), OscType::String(message.addr)];
                self.reply(sender, OscMessage { addr: "/late".to_owned(), args });
            }
        }
        let frame = self.playhead_frame();
        for command in commands {
            self.mirror.submit(command, frame);
        }
    }

    fn accept(&mut self, sender: Sender, commands: &[Command]) -> Result<(), Refusal> {
        if commands.len() > COMMANDS_PER_BLOCK {
            let text = format!("a bundle holds at most {COMMANDS_PER_BLOCK} messages");
            return Err(Refusal::new(Code::Full, text));
        }
        if commands[0].due > 0 && !self.mirror.has_room(commands.len()) {
            let text = "too many messages wait for their time; /engine/clear drops them";
            return Err(Refusal::new(Code::Full, text));
        }
        let origin = self.senders.origin(sender);
        if self.backlog.is_empty() && self.send(origin, commands) {
            return Ok(());
        }
        let taken = self.backlog.push(Bundle { origin, commands: commands.to_vec() });
        self.inbox.set_waiting(self.backlog.len() as u64);
        match taken {
            Taken::Waits => Ok(()),
            Taken::Coalesced => {
                self.inbox.add(Count::Coalesced, 1);
                Ok(())
            }
            Taken::Full => {
                let text = "more messages than can be taken; those before are being applied";
                Err(Refusal::new(Code::Full, text))
            }
        }
    }

    fn send(&self, origin: u32, commands: &[Command]) -> bool {
        let payloads: Vec<_> = commands.iter().map(|it| it.encode_for(self.edition)).collect();
        self.inbox.send(self.orders.taken(), origin, &payloads).is_some()
    }

    fn send_backlog(&mut self) {
        while let Some(bundle) = self.backlog.front() {
            let commands = bundle.commands.iter();
            let payloads: Vec<_> = commands.map(|it| it.encode_for(self.edition)).collect();
            if self.inbox.send(self.orders.taken(), bundle.origin, &payloads).is_none() {
                return;
            }
            self.backlog.pop();
        }
    }

    fn answer(&mut self, sender: Sender, topic: address::Topic, message: OscMessage) {
        self.mirror.advance(self.playhead_frame());
        let value = self.mirror.value(topic).unwrap_or(0.0);
        let argument = answers::value(&self.plan, topic, value);
        self.reply(sender, OscMessage { addr: message.addr, args: vec![argument] });
    }

    fn sync(&mut self, sender: Sender, number: i32, message: &OscMessage) {
        if self.syncs.len() >= SYNCS_MAX {
            let refusal = Refusal::new(Code::Full, "too many /sync wait for their answer");
            return self.refuse(sender, message, &refusal);
        }
        let backlog = (!self.backlog.is_empty()).then(|| self.backlog.next_number());
        let inbox = self.inbox.head();
        self.syncs.push_back(Pending { sender, number, backlog, inbox });
        self.answer_syncs();
    }

    fn answer_syncs(&mut self) {
        let waits = self.backlog.front().is_some();
        let sent = if waits { self.backlog.first_number() } else { u64::MAX };
        let (head, taken) = (self.inbox.head(), self.orders.taken());
        while let Some(pending) = self.syncs.front_mut() {
            if pending.backlog.is_some_and(|number| number <= sent) {
                pending.backlog = None;
                pending.inbox = head;
            }
            if pending.backlog.is_some() || pending.inbox > taken {
                return;
            }
            let (sender, args) = (pending.sender, vec![OscType::Int(pending.number)]);
            self.syncs.pop_front();
            self.reply(sender, OscMessage { addr: "/synced".to_owned(), args });
        }
    }

    fn duration(&self, frames: u64) -> Duration {
        Duration::from_secs_f64(frames as f64 / f64::from(self.plan.setup().rate))
    }

    fn refuse_all<E>(
        &mut self,
        sender: Sender,
        messages: &[Result<OscMessage, E>],
        refusal: &Refusal,
    ) {
        for message in messages.iter().flatten() {
            self.refuse(sender, message, refusal);
        }
    }

    /// Refuses a message: counted, and answered, unless it is an answer itself: two engines
    /// would refuse each other's refusals for ever.
    pub(crate) fn refuse(&mut self, sender: Sender, message: &OscMessage, refusal: &Refusal) {
        self.inbox.add(Count::Refused, 1);
        if !REPLIES.contains(&message.addr.as_str()) {
            self.reply(sender, refusal.reply_to(message));
        }
    }

    fn done(&mut self, sender: Sender, message: &OscMessage) {
        self.reply(sender, crate::osc::reply::done(&message.addr, Vec::new()));
    }

    fn reply(&mut self, sender: Sender, message: OscMessage) {
        self.errands.push(Errand::Reply(sender, message));
    }
}

/// Commands that are on their way together.
struct Batch {
    due: u64,
    late: Option<Duration>,
    commands: Vec<Command>,
    asked_by: Vec<OscMessage>,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use rosc::{OscMessage, OscType};
    use segue_lockstep::memory::inbox::{Count, INBOX_DEPTH, Inbox};
    use segue_lockstep::memory::orders::{Orders, Sealing};
    use segue_rack::{Action, Command, Patch, Plan, Setup};
    use segue_sys::Region;

    use super::{Desk, Errand, Mirror, Moment, Sender};
    use crate::osc::reply::encode;
    use crate::osc::time::TimeTag;

    const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\n[env]\ntype = \"adsr\"\nin = \"osc\"\n\
                         [out]\nin = \"env\"\n";
    const ME: Sender = Sender::Tcp(1);

    struct Bench {
        desk: Desk,
        inbox: Inbox,
        orders: Orders,
        now: Moment,
    }

    impl Bench {
        fn new() -> Self {
            let plan = Plan::compile(&Patch::parse(PATCH).unwrap(), &Setup::default()).unwrap();
            let inbox = Inbox::new(Region::heap(Inbox::words())).unwrap();
            let orders = Orders::new(Region::heap(Orders::words())).unwrap();
            let mirror = Mirror::new(&plan);
            let desk = Desk::new(plan, mirror, inbox.clone(), orders.clone(), 1, 2);
            let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let now = Moment { wall, steady: Duration::ZERO };
            let mut bench = Self { desk, inbox, orders, now };
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
        assert_eq!(
            bench.send(&message("/mod/osc/freq", vec![])),
            [format!("/mod/osc/freq {value:?}")]
        );
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
}
