//! The desk: every message of every sender passes here, in the order it came.
//!
//! *Invariant*: a message is either done (and its commands are in the inbox or wait for it), or
//! answered with a refusal that is counted; never both, never neither. Commands of one sender
//! reach the log in the order they were sent, those of one bundle at one block.

pub(super) mod answers;
pub(super) mod backlog;
mod clock;
mod commit;
mod held;
mod history;
pub(super) mod mirror;
mod patching;
mod syncs;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use rosc::{OscMessage, OscType};
use segue_lockstep::memory::inbox::{Count, Inbox};
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::{BLOCK_FRAMES, COMMANDS_PER_BLOCK, memory};
use segue_rack::{Action, Command, Plan};

use self::backlog::{Backlog, Bundle, Taken};
use self::clock::FrameClock;
use self::mirror::Mirror;
use self::patching::Patching;
pub(crate) use self::patching::UnderWay;
use self::syncs::Pending;
use self::verdicts::{Crier, Editions, Told};
use super::sockets::{Sender, Senders};
use super::staging::Staging;
use crate::osc::address::{self, Ask, EngineAsk, Patience, RecordAsk, Revived};
use crate::osc::decode::{self, Group};
use crate::osc::refusal::{Code, Refusal};
use crate::osc::time::When;

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
    /// Have the plan of this edition, with this low half of its hash, proved.
    Prove {
        /// Which plan.
        edition: u32,
        /// Which of those that were written under that number.
        check: u32,
    },
    /// Another patch plays from now on.
    Adopted,
    /// Write a patch into the show folder, under this name or that of the patch.
    Save(Sender, OscMessage, Option<String>, String),
    /// Read one from there, for [`Desk::loaded`].
    Load(Sender, OscMessage, String),
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
    patching: Patching,
    /// Slots there are.
    slots: u32,
}

/// What plays when a desk begins.
pub(crate) struct Playing {
    /// Its plan.
    pub(crate) plan: Plan,
    /// Which edition that is.
    pub(crate) edition: u32,
    /// What stands where.
    pub(crate) mirror: Mirror,
    /// What a block of it needs, as far as that was measured.
    pub(crate) cost_ns: Option<u64>,
}

/// The memory a desk writes to, or reads.
#[derive(Clone)]
pub(crate) struct Shared {
    /// What goes to playout.
    pub(crate) inbox: Inbox,
    /// What playout and the monitor say.
    pub(crate) orders: Orders,
    /// Every edition.
    pub(crate) plans: memory::plans::Plans,
}

impl Desk {
    /// A desk for what plays in so many `slots`, with the pending edits of a predecessor.
    pub(crate) fn new(
        playing: Playing,
        shared: Shared,
        staging: Staging,
        generation: u64,
        slots: u32,
    ) -> Self {
        let Playing { plan, edition, mirror, cost_ns } = playing;
        let Shared { inbox, orders, plans } = shared;
        let rate = plan.setup().rate;
        Self {
            patching: Patching::new(plans, staging, &orders, (rate, cost_ns)),
            clock: FrameClock::new(rate),
            crier: Crier::new(&orders),
            plan,
            edition,
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

    /// What plays.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Which edition that is.
    pub(crate) fn edition(&self) -> u32 {
        self.edition
    }

    /// Whether something waits for playout, so that the next turn should come soon.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.backlog.is_empty() || !self.syncs.is_empty() || self.patching.is_waiting()
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
        let plans = Editions::new((&self.plan, self.edition), self.patching.former());
        let told = self.crier.news(&self.orders, &plans, &self.senders);
        self.tell(told);
    }

    /// Looks for modules that were set back, and how far a commit is; once a turn.
    pub(crate) fn look_at(&mut self, slots: &[Slot], now: Moment) {
        if let Some(first) = self.orders.primary().and_then(|slot| slots.get(slot)) {
            let plans = Editions::new((&self.plan, self.edition), self.patching.former());
            let told = self.crier.resets(first, &self.orders, &plans, &self.senders);
            self.tell(told);
        }
        self.look_at_commit(slots, now);
    }

    fn tell(&mut self, told: Told) {
        told.taken_back.into_iter().for_each(|edition| self.take_back(edition));
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
        let mut batch = Batch { due, late, now, commands: Vec::new(), asked_by: Vec::new() };
        let mut messages = VecDeque::from(messages);
        while let Some(message) = messages.pop_front() {
            if self.patching.holds(sender, message.as_ref().ok()) {
                messages.push_front(message);
                self.submit(sender, &mut batch);
                return self.hold(sender, Group { time, messages: messages.into(), bundled });
            }
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
                        Err(_) if self.set_pending(sender, &message, batch.now) => {}
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
            Ask::Patch(ask) => {
                self.submit(sender, batch);
                return self.patch(sender, ask, message, batch.now);
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
        let (edition, commands) = (self.edition, commands.to_vec());
        let taken = self.backlog.push(Bundle { origin, edition, commands });
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
            let payloads: Vec<_> = commands.map(|it| it.encode_for(bundle.edition)).collect();
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
    /// When it is asked.
    now: Moment,
    commands: Vec<Command>,
    asked_by: Vec<OscMessage>,
}
