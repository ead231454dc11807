//! Tells whoever sent it what was found to be poison, and writes it into the log.
//!
//! *Invariant*: each verdict is told once by each control process; one that was passed before
//! this process began is told to nobody, for its sender is unknown here.

use rosc::{OscMessage, OscType};
use segue_lockstep::memory::orders::{Found, Orders, Record};
use segue_lockstep::memory::verdicts::Verdict;
use segue_rack::{Action, Command, Plan};

use super::sockets::{Sender, Senders};
use crate::client::conversation::shown;
use crate::osc::refusal::{Code, Refusal};

/// Commands that a block can carry, and some more: as far back as a sender is looked for.
const BACK: u64 = 4096;

/// What is to be told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// To senders: their messages, and why they are not applied.
    pub(super) refusals: Vec<(Sender, OscMessage, Refusal)>,
    /// To the log.
    pub(super) lines: Vec<String>,
}

/// How many verdicts were told.
#[derive(Debug)]
pub(super) struct Crier {
    told: usize,
}

impl Crier {
    /// One who tells what comes from now on.
    pub(super) fn new(orders: &Orders) -> Self {
        Self { told: orders.verdicts().count() }
    }

    /// What is new.
    pub(super) fn news(&mut self, orders: &Orders, plan: &Plan, senders: &Senders) -> Told {
        let mut told = Told::default();
        while self.told < orders.verdicts().count() {
            let verdict = orders.verdicts().read(self.told);
            self.told += 1;
            match verdict {
                Some(Verdict::Quarantine { number, block }) => {
                    quarantined(number, block, orders, plan, senders, &mut told);
                }
                Some(Verdict::Bypass { part, block }) => {
                    bypassed(part, block, orders, plan, senders, &mut told);
                }
                None => {}
            }
        }
        told
    }
}

fn quarantined(
    number: u64,
    block: u64,
    orders: &Orders,
    plan: &Plan,
    senders: &Senders,
    told: &mut Told,
) {
    let text =
        format!("it killed the worker that applied it in block {block}; it is never applied");
    let Found::Record(record) = orders.record(number) else {
        told.lines.push(format!("command {number} is quarantined: {text}"));
        return;
    };
    let message = message(&record, plan);
    told.lines.push(format!("{} (command {number}) is quarantined: {text}", shown(&message)));
    if let Some(sender) = senders.sender(record.origin) {
        told.refusals.push((sender, message, Refusal::new(Code::Quarantined, text)));
    }
}

fn bypassed(
    part: u32,
    block: u64,
    orders: &Orders,
    plan: &Plan,
    senders: &Senders,
    told: &mut Told,
) {
    let name = module_name(plan, part);
    told.lines.push(format!(
        "module '{name}' is bypassed: it killed the worker that rendered it in block {block}; \
         /engine/revive {name} brings it back"
    ));
    let text = format!(
        "module '{name}' failed in this block and is bypassed; this is not applied; \
         /engine/revive {name} brings it back"
    );
    let head = orders.head();
    for number in (head.saturating_sub(BACK)..head).rev() {
        let Found::Record(record) = orders.record(number) else { return };
        if record.block < block {
            return;
        }
        let module = Command::decode(&record.payload).ok().and_then(|command| command.module());
        if record.block > block || module.map(u32::from) != Some(part) {
            continue;
        }
        if let Some(sender) = senders.sender(record.origin) {
            let refusal = Refusal::new(Code::Quarantined, text.clone());
            told.refusals.push((sender, message(&record, plan), refusal));
        }
    }
}

/// The id of a part as the breadcrumb names it.
fn module_name(plan: &Plan, part: u32) -> String {
    let module = plan.modules().get(part as usize);
    module.map_or_else(|| format!("module {part}"), |module| module.id().to_owned())
}

/// The message that became this record, as far as it can be told.
fn message(record: &Record, plan: &Plan) -> OscMessage {
    let action = Command::decode(&record.payload).map(|command| command.action);
    let id = |module: u16| module_name(plan, module.into());
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
        Ok(Action::Fade { .. } | Action::Bypass { .. }) | Err(_) => (String::new(), Vec::new()),
    };
    OscMessage { addr, args }
}
