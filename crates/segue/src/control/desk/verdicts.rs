//! Tells whoever sent it what was found to be poison or made a module set back, and writes it
//! into the log.
//!
//! *Invariant*: each verdict is told once by each control process; one that was passed before
//! this process began is told to nobody, for its sender is unknown here. A module that is set
//! back again and again is told once, as long as a second does not go well.

use std::collections::BTreeMap;

use rosc::{OscMessage, OscType};
use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::orders::{Found, Orders, Record};
use segue_lockstep::memory::slot::{Reset, Slot};
use segue_lockstep::memory::verdicts::Verdict;
use segue_rack::{Action, Command, Plan};

use crate::client::conversation::shown;
use crate::control::sockets::{Sender, Senders};
use crate::offline::editions::adopted;
use crate::osc::refusal::{Code, Refusal};

/// Commands that a block can carry, and some more: as far back as a sender is looked for.
const BACK: u64 = 4096;

/// What is to be told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// To senders: their messages, and why they are not applied.
    pub(super) refusals: Vec<(Sender, OscMessage, Refusal)>,
    /// To senders: messages that were applied, and what came of it.
    pub(super) remarks: Vec<(Sender, OscMessage, Refusal)>,
    /// To the log.
    pub(super) lines: Vec<String>,
    /// Editions that were never gone over to.
    pub(super) taken_back: Vec<u32>,
}

/// What plays and what played before it: of which module a record or a part speaks.
#[derive(Clone, Copy)]
pub(super) struct Editions<'a> {
    now: (&'a Plan, u32),
    before: Option<(&'a Plan, u32)>,
}

impl<'a> Editions<'a> {
    /// What plays, and what played before it.
    pub(super) fn new(now: (&'a Plan, u32), before: Option<(&'a Plan, u32)>) -> Self {
        Self { now, before }
    }

    /// The plan of an edition; that which plays where it is not known any more.
    fn of(&self, edition: u32) -> &'a Plan {
        let before = self.before.filter(|(_, before)| *before == edition);
        before.unwrap_or(self.now).0
    }

    /// Which edition rendered a block.
    fn in_block(&self, block: u64, orders: &Orders) -> u32 {
        let Some((_, before)) = self.before else { return self.now.1 };
        let head = orders.head();
        for number in (orders.keep_from().min(head.saturating_sub(BACK))..head).rev() {
            let Found::Record(record) = orders.record(number) else { break };
            if record.block <= block {
                break;
            }
            if adopted(&record.payload) == Some(self.now.1) {
                return before;
            }
        }
        self.now.1
    }

    /// The id of a part as the breadcrumb names it in a block: behind the modules of what plays
    /// come those of what it fades from.
    fn name(&self, part: u32, edition: u32) -> String {
        let plan = self.of(edition);
        let modules = plan.modules().len();
        let faded = self.before.filter(|(_, before)| edition == self.now.1 && *before != edition);
        let module = match (plan.modules().get(part as usize), faded) {
            (None, Some((before, _))) => before.modules().get(part as usize - modules),
            (found, _) => found,
        };
        module.map_or_else(|| format!("module {part}"), |module| module.id().to_owned())
    }
}

/// What was told.
#[derive(Debug)]
pub(super) struct Crier {
    /// So many verdicts.
    told: usize,
    /// Resets up to this one; none before the first look.
    resets: Option<u64>,
    /// The block of the last reset of each module.
    reset_in: BTreeMap<u32, u64>,
}

impl Crier {
    /// One who tells what comes from now on.
    pub(super) fn new(orders: &Orders) -> Self {
        let told = orders.verdicts().count();
        Self { told, resets: None, reset_in: BTreeMap::new() }
    }

    /// What is new.
    pub(super) fn news(
        &mut self,
        orders: &Orders,
        plans: &Editions<'_>,
        senders: &Senders,
    ) -> Told {
        let mut told = Told::default();
        while self.told < orders.verdicts().count() {
            let verdict = orders.verdicts().read(self.told);
            self.told += 1;
            match verdict {
                Some(Verdict::Quarantine { number, block }) => {
                    quarantined(number, block, orders, plans, senders, &mut told);
                }
                Some(Verdict::Bypass { part, block }) => {
                    bypassed(part, block, orders, plans, senders, &mut told);
                }
                None => {}
            }
        }
        told
    }

    /// What was set back since the last look at whoever goes first.
    pub(super) fn resets(
        &mut self,
        first: &Slot,
        orders: &Orders,
        plans: &Editions<'_>,
        senders: &Senders,
    ) -> Told {
        let mut told = Told::default();
        let known = *self.resets.get_or_insert_with(|| first.resets());
        if first.resets() <= known && self.reset_in.is_empty() {
            return told;
        }
        let second = u64::from(plans.now.0.setup().rate) / BLOCK_FRAMES as u64;
        for reset in first.newest_resets() {
            let last = self.reset_in.get(&reset.part).copied();
            if reset.count > known && last.is_none_or(|last| reset.from > last + second) {
                was_reset(reset, orders, plans, senders, &mut told);
            }
            self.resets = self.resets.max(Some(reset.count));
            self.reset_in.insert(reset.part, last.unwrap_or(0).max(reset.to));
        }
        told
    }
}

fn was_reset(
    reset: Reset,
    orders: &Orders,
    plans: &Editions<'_>,
    senders: &Senders,
    told: &mut Told,
) {
    let Reset { part, from: block, .. } = reset;
    let edition = plans.in_block(block, orders);
    let name = plans.name(part, edition);
    let text =
        format!("the output of module '{name}' was no number in block {block}; it was reset");
    for (sender, message) in asked_of((part, edition), block, orders, plans, senders) {
        let remark = Refusal::new(Code::NotFinite, format!("{text}, with this applied"));
        told.remarks.push((sender, message, remark));
    }
    told.lines.push(text);
}

fn quarantined(
    number: u64,
    block: u64,
    orders: &Orders,
    plans: &Editions<'_>,
    senders: &Senders,
    told: &mut Told,
) {
    let text =
        format!("it killed the worker that applied it in block {block}; it is never applied");
    let Found::Record(record) = orders.record(number) else {
        told.lines.push(format!("command {number} is quarantined: {text}"));
        return;
    };
    told.taken_back.extend(adopted(&record.payload));
    let message = message(&record, plans);
    told.lines.push(format!("{} (command {number}) is quarantined: {text}", shown(&message)));
    if let Some(sender) = senders.sender(record.origin) {
        told.refusals.push((sender, message, Refusal::new(Code::Quarantined, text)));
    }
}

fn bypassed(
    part: u32,
    block: u64,
    orders: &Orders,
    plans: &Editions<'_>,
    senders: &Senders,
    told: &mut Told,
) {
    let edition = plans.in_block(block, orders);
    let name = plans.name(part, edition);
    told.lines.push(format!(
        "module '{name}' is bypassed: it killed the worker that rendered it in block {block}; \
         /engine/revive {name} brings it back"
    ));
    let text = format!(
        "module '{name}' failed in this block and is bypassed; this is not applied; \
         /engine/revive {name} brings it back"
    );
    for (sender, message) in asked_of((part, edition), block, orders, plans, senders) {
        told.refusals.push((sender, message, Refusal::new(Code::Quarantined, text.clone())));
    }
}

/// The messages of known senders that asked something of a module in a block, newest first.
fn asked_of(
    (part, edition): (u32, u32),
    block: u64,
    orders: &Orders,
    plans: &Editions<'_>,
    senders: &Senders,
) -> Vec<(Sender, OscMessage)> {
    let head = orders.head();
    let mut asked = Vec::new();
    for number in (head.saturating_sub(BACK)..head).rev() {
        let Found::Record(record) = orders.record(number) else { break };
        if record.block < block {
            break;
        }
        let module = Command::decode(&record.payload).ok().and_then(|command| command.module());
        let of_it = Command::edition_of(&record.payload) == edition;
        if record.block > block || module.map(u32::from) != Some(part) || !of_it {
            continue;
        }
        if let Some(sender) = senders.sender(record.origin) {
            asked.push((sender, message(&record, plans)));
        }
    }
    asked
}

/// The message that became this record, as far as it can be told.
fn message(record: &Record, plans: &Editions<'_>) -> OscMessage {
    let action = Command::decode(&record.payload).map(|command| command.action);
    let edition = Command::edition_of(&record.payload);
    let plan = plans.of(edition);
    let id = |module: u16| plans.name(module.into(), edition);
    let (addr, args) = match action {
        Ok(Action::Set { module, param, value, .. }) => {
            let modules = plan.modules().get(usize::from(module));
            let spec = modules.and_then(|it| it.spec().params.get(usize::from(param)));
            let param = spec.map_or_else(|| param.to_string(), |spec| spec.name.to_owned());
            (format!("/mod/{}/{param}", id(module)), vec![OscType::Float(value)])
        }
        Ok(Action::Gate { module, level }) => {
            (format!("/gate/{}", id(module)), vec![OscType::Float(level)])
        }
        Ok(Action::Note { module, note, velocity, .. }) => {
            let args = vec![OscType::Float(note), OscType::Float(velocity)];
            (format!("/note/{}", id(module)), args)
        }
        Ok(Action::Voice { module, voice, param, value, .. }) => {
            let modules = plan.modules().get(usize::from(module));
            let spec = modules.and_then(|it| it.spec().voice_params.get(usize::from(param)));
            let param = spec.map_or_else(|| param.to_string(), |spec| spec.name.to_owned());
            (format!("/voice/{}/{voice}/{param}", id(module)), vec![OscType::Float(value)])
        }
        Ok(Action::MasterGain { .. }) => ("/master/gain".to_owned(), Vec::new()),
        Ok(Action::MasterMute { on }) => {
            ("/master/mute".to_owned(), vec![OscType::Int(i32::from(on))])
        }
        Ok(Action::Test) => ("/test".to_owned(), Vec::new()),
        Ok(Action::Panic) => ("/engine/panic".to_owned(), Vec::new()),
        Ok(Action::Clear) => ("/engine/clear".to_owned(), Vec::new()),
        Ok(Action::Revive { module }) => {
            ("/engine/revive".to_owned(), vec![OscType::String(id(module))])
        }
        Ok(Action::Adopt { .. }) => ("/patch/commit".to_owned(), Vec::new()),
        Ok(Action::Fade { .. } | Action::Bypass { .. }) | Err(_) => (String::new(), Vec::new()),
    };
    OscMessage { addr, args }
}
