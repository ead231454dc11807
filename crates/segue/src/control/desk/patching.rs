//! Patches at the desk: edits that wait, and the commit that makes them what plays.
//!
//! *Invariant*: one commit is under way at a time, and what its sender asks behind it, or anybody
//! asks that would be another one, waits for it in the order it came. What is refused is not
//! applied, then or later.

use std::net::SocketAddr;

use rosc::{OscMessage, OscType};
use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::plans::{PLANS_KEPT, Plans};
use segue_lockstep::memory::slot::Slot;
use segue_rack::{Action, Command, Draft, Plan, Value};
use segue_sys::futex;
use serde::{Deserialize, Serialize};

use super::commit::{Commit, Fade, Next, Surroundings, adoptions, fades_until, is_prepared};
use super::held::Held;
use super::history::{History, Step};
use super::mirror::Mirror;
use super::{Desk, Errand, Moment};
use crate::control::sockets::Sender;
use crate::control::staging::{Ended, Row, Staging, Wanted};
use crate::host::prover::Outcome;
use crate::osc::address::{FADE_MS, PatchAsk, Patience, Topic, pending_set};
use crate::osc::decode::Group;
use crate::osc::refusal::{Code, Refusal};
use crate::osc::reply;

/// Frames from the sealing of a commit to the moment at which its fade has surely begun.
const SLACK_FRAMES: u64 = 4 * BLOCK_FRAMES as u64;

/// A commit under way, for the successor of a control that dies in it. Connections do not outlive
/// it, so of those nobody would hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnderWay {
    socket: usize,
    sender: SocketAddr,
    address: String,
    edition: u32,
    check: u32,
}

/// What the desk keeps of patches.
#[derive(Debug)]
pub(super) struct Patching {
    plans: Plans,
    staging: Staging,
    under_way: Option<Commit>,
    /// Whose file is being read.
    loading: Option<Sender>,
    held: Held,
    history: History,
    /// What the commit under way is in the history.
    step: Step,
    /// What the last commit was there.
    adopted: Step,
    /// What a block of the patch that plays needs, as far as that was measured.
    cost_ns: Option<u64>,
    /// How long a block lasts, in nanoseconds; none where there is no clock.
    block_ns: Option<u64>,
    /// Until this frame the last commit fades.
    fades_until: u64,
    former: Option<Former>,
}

/// What played before the last commit, for who is told of it, and should that be quarantined.
#[derive(Debug)]
struct Former {
    plan: Plan,
    edition: u32,
    mirror: Mirror,
}

impl Patching {
    /// Nothing pending, but for what a predecessor left.
    pub(super) fn new(
        plans: Plans,
        staging: Staging,
        orders: &Orders,
        (rate, cost_ns): (u32, Option<u64>),
    ) -> Self {
        let block_ns = BLOCK_FRAMES as u64 * 1_000_000_000 / u64::from(rate);
        Self {
            plans,
            staging,
            under_way: None,
            loading: None,
            held: Held::default(),
            history: History::default(),
            step: Step::Edit,
            adopted: Step::Edit,
            cost_ns,
            block_ns: (!orders.freewheel()).then_some(block_ns),
            fades_until: fades_until(orders),
            former: None,
        }
    }

    /// What played before the last commit, and its edition.
    pub(super) fn former(&self) -> Option<(&Plan, u32)> {
        self.former.as_ref().map(|former| (&former.plan, former.edition))
    }

    /// Whether something of patches is going on, so that the next turn should come soon.
    pub(super) fn is_waiting(&self) -> bool {
        self.under_way.is_some() || !self.held.is_empty()
    }

    /// Whether what this sender asks has to wait: for its own commit, for what waits already, or
    /// for the commit under way if it would be another one.
    pub(super) fn holds(&self, sender: Sender, message: Option<&OscMessage>) -> bool {
        let busy = self.under_way.as_ref().map(|it| it.asked.0).or(self.loading);
        let Some(owner) = busy else { return false };
        let changes = ["commit", "apply", "load", "undo", "redo"];
        let what = message.and_then(|it| it.addr.strip_prefix("/patch/"));
        let another = what.is_some_and(|what| changes.contains(&what));
        owner == sender || another || self.held.has(sender)
    }

    fn around(&self) -> Surroundings {
        Surroundings { block_ns: self.block_ns, cost_ns: self.cost_ns }
    }
}

impl Desk {
    /// Keeps what has to wait for a commit, as far as there is room.
    pub(super) fn hold(&mut self, sender: Sender, group: Group) {
        if let Err(group) = self.patching.held.push(sender, group) {
            let text = "too many messages wait for the commit before them";
            self.refuse_all(sender, &group.messages, &Refusal::new(Code::Full, text));
        }
    }

    /// What a sender asks of patches.
    pub(super) fn patch(
        &mut self,
        sender: Sender,
        ask: PatchAsk,
        message: OscMessage,
        now: Moment,
    ) {
        let (live, staging) = (self.plan.source(), &mut self.patching.staging);
        let done = match ask {
            PatchAsk::Begin => staging.begin(sender, now.steady, live),
            PatchAsk::Edit(edit) => staging.edit(sender, edit, now.steady, live),
            PatchAsk::Abort => staging.abort(sender),
            PatchAsk::Commit { fade_ms } => {
                let wanted = staging.commit(sender, fade_ms, live);
                return self.change(sender, message, wanted, Step::Edit, now);
            }
            PatchAsk::Apply { text, fade_ms } => {
                let wanted = Ok(Wanted { text, fade_ms });
                return self.change(sender, message, wanted, Step::Edit, now);
            }
            PatchAsk::Undo => return self.step_back(sender, message, Step::Undo, now),
            PatchAsk::Redo => return self.step_back(sender, message, Step::Redo, now),
            PatchAsk::Get => {
                let text = OscType::String(self.text());
                return self.reply(sender, reply::done(&message.addr, vec![text]));
            }
            PatchAsk::Save(name) => {
                let text = self.text();
                return self.errands.push(Errand::Save(sender, message, name, text));
            }
            PatchAsk::Load(name) => {
                self.patching.loading = Some(sender);
                return self.errands.push(Errand::Load(sender, message, name));
            }
        };
        if let Err(refusal) = done {
            self.refuse(sender, &message, &refusal);
        }
    }

    /// What `/mod` asks of a module that waits and does not play yet; whether it was that.
    pub(super) fn set_pending(
        &mut self,
        sender: Sender,
        message: &OscMessage,
        now: Moment,
    ) -> bool {
        let Some(edit) = pending_set(&message.addr, &message.args) else { return false };
        let done = match edit {
            Ok(edit) => self.patching.staging.set(sender, edit, now.steady),
            // Refused as what it is for the patch that plays.
            Err(_) => None,
        };
        match done {
            None => false,
            Some(Ok(())) => true,
            Some(Err(refusal)) => {
                self.refuse(sender, message, &refusal);
                true
            }
        }
    }

    fn step_back(&mut self, sender: Sender, message: OscMessage, step: Step, now: Moment) {
        let text = self.patching.history.peek(step).map(str::to_owned);
        let way = if step == Step::Redo { "forth again" } else { "back" };
        let nothing = || Refusal::new(Code::Busy, format!("there is nothing to go {way} to"));
        let wanted = text.map(|text| Wanted { text, fade_ms: FADE_MS }).ok_or_else(nothing);
        self.change(sender, message, wanted, step, now);
    }

    /// A patch was read from the show folder, or cannot be.
    pub(crate) fn loaded(
        &mut self,
        sender: Sender,
        message: OscMessage,
        read: Result<String, Refusal>,
        now: Moment,
    ) {
        self.patching.loading = None;
        let wanted = read.map(|text| Wanted { text, fade_ms: FADE_MS });
        self.change(sender, message, wanted, Step::Edit, now);
        self.release(now);
    }

    /// The engine itself wants to play this.
    pub(crate) fn go_over(&mut self, text: String, now: Moment) {
        let message = OscMessage { addr: "/patch/load".to_owned(), args: Vec::new() };
        let wanted = Ok(Wanted { text, fade_ms: FADE_MS });
        self.change(Sender::Own, message, wanted, Step::Edit, now);
    }

    /// Begins a commit: its plan is laid out for the prover and the workers.
    fn change(
        &mut self,
        sender: Sender,
        message: OscMessage,
        wanted: Result<Wanted, Refusal>,
        step: Step,
        now: Moment,
    ) {
        // Who did not say how long the fade is to be does not insist on one.
        let insists = message.addr == "/patch/commit" || message.addr == "/patch/apply";
        match wanted.and_then(|wanted| self.lay_out(&wanted, insists)) {
            Err(refusal) => self.refuse(sender, &message, &refusal),
            Ok((plan, edition, fade)) => {
                let asked = (sender, message);
                let commit = Commit::begin(asked, (plan, edition), fade, now.steady);
                let check = commit.check;
                self.patching.under_way = Some(commit);
                self.patching.step = step;
                self.errands.push(Errand::Prove { edition, check });
            }
        }
    }

    fn lay_out(&mut self, wanted: &Wanted, insists: bool) -> Result<(Plan, u32, Fade), Refusal> {
        let setup = *self.plan.setup();
        let plan = wanted.plan(&setup)?;
        let frames = f64::from(wanted.fade_ms) * f64::from(setup.rate) / 1000.0;
        let mut fade = Fade { frames: frames.round() as u32, insists };
        has_room(&self.plan, &plan).or_else(|refusal| fade.spare(refusal))?;
        // One that was taken back is not used again.
        let former = self.patching.former.as_ref().map_or(0, |former| former.edition);
        let edition = self.edition.max(former) + 1;
        if adoptions(&self.orders, &self.inbox) + 3 >= PLANS_KEPT {
            let text = format!(
                "a worker that joins now may still need the oldest of the last {PLANS_KEPT} \
                 patches; commit it again in a moment"
            );
            return Err(Refusal::new(Code::Busy, text));
        }
        let plans = &self.patching.plans;
        let base = u64::from(self.edition);
        plans
            .write(edition.into(), Some(base), &plan.to_bytes())
            .map_err(|error| Refusal::new(Code::TooLong, error.to_string()))?;
        Ok((plan, edition, fade))
    }

    /// The supervisor has an answer about a plan.
    pub(crate) fn proved(&mut self, (edition, check): (u32, u32), outcome: &Outcome, now: Moment) {
        let around = self.patching.around();
        let Some(commit) = &mut self.patching.under_way else { return };
        // Of another one, which was given up.
        if (commit.edition, commit.check) != (edition, check) {
            return;
        }
        let next = commit.proved(outcome, &around, now.steady);
        if next == Next::Wait {
            self.patching.plans.set_proved(edition, check);
            futex::wake(self.patching.plans.bell());
        }
        self.go_on(next, now);
    }

    /// Looks whether the commit under way can be applied; once a turn.
    pub(super) fn look_at_commit(&mut self, slots: &[Slot], now: Moment) {
        let ended = self.patching.staging.expire(now.steady);
        self.tell_ended(ended);
        let Some(commit) = &self.patching.under_way else { return };
        let prepared = is_prepared(commit, slots, &self.orders);
        let faded = self.playhead_frame() >= self.patching.fades_until;
        let next = commit.step(prepared, faded, now.steady);
        self.go_on(next, now);
    }

    /// Tells those whose edits were forgotten.
    pub(crate) fn tell_ended(&mut self, ended: Vec<Ended>) {
        for Ended { sender, address, refusal } in ended {
            let message = OscMessage { addr: address.to_owned(), args: Vec::new() };
            self.refuse(sender, &message, &refusal);
        }
    }

    fn go_on(&mut self, next: Next, now: Moment) {
        match next {
            Next::Wait => return,
            Next::Adopt => self.adopt(),
            Next::Refuse(refusal) => {
                if let Some(commit) = self.patching.under_way.take() {
                    self.refuse(commit.asked.0, &commit.asked.1, &refusal);
                }
            }
        }
        self.release(now);
    }

    /// The commit becomes a command, behind all that was asked before; from here on modules are
    /// those of the new plan.
    fn adopt(&mut self) {
        let Some(commit) = self.patching.under_way.take() else { return };
        let Commit { asked: (sender, message), plan, edition, check, fade, cost_ns, .. } = commit;
        let fade_frames = fade.frames;
        let adopt = Command::now(Action::Adopt { edition, check, fade_frames });
        if let Err(refusal) = self.accept(sender, &[adopt]) {
            return self.refuse(sender, &message, &refusal);
        }
        let sealed = self.orders.sealed() * BLOCK_FRAMES as u64;
        self.patching.fades_until = sealed + SLACK_FRAMES + u64::from(fade_frames);
        self.patching.cost_ns = cost_ns;
        self.patching.history.moved(self.patching.step, self.plan.source());
        self.patching.adopted = self.patching.step;
        let mirror = self.mirror.clone();
        self.mirror.adopt(&self.plan, &plan);
        let former = std::mem::replace(&mut self.plan, plan);
        let former = Former { plan: former, edition: self.edition, mirror };
        self.edition = edition;
        self.patching.former = Some(former);
        self.errands.push(Errand::Adopted);
        self.done(sender, &message);
    }

    /// The last commit killed who applied it: what played before plays on.
    pub(super) fn take_back(&mut self, edition: u32) {
        if edition != self.edition {
            return;
        }
        let Some(former) = &mut self.patching.former else { return };
        std::mem::swap(&mut self.plan, &mut former.plan);
        std::mem::swap(&mut self.edition, &mut former.edition);
        std::mem::swap(&mut self.mirror, &mut former.mirror);
        self.patching.history.taken_back(self.patching.adopted, former.plan.source());
        self.errands.push(Errand::Adopted);
    }

    /// Takes up what waited, until another commit begins.
    fn release(&mut self, now: Moment) {
        for (sender, group) in std::mem::take(&mut self.patching.held) {
            super::super::beat(&self.inbox);
            self.group(sender, group, now, &mut Patience::default());
        }
    }

    /// A connection has ended, and what waits in it is nobody's any more.
    pub(crate) fn closed(&mut self, sender: Sender) {
        self.patching.staging.closed(sender);
    }

    /// Whether what played before the last commit has a title.
    pub(crate) fn had_title(&self) -> bool {
        self.patching.former().is_some_and(|(plan, _)| !plan.title().is_empty())
    }

    /// What a block of what plays needs, as far as that was measured.
    pub(crate) fn cost_ns(&self) -> Option<u64> {
        self.patching.cost_ns
    }

    /// What a successor has to know of pending edits.
    pub(crate) fn pending(&self) -> Vec<Row> {
        self.patching.staging.rows()
    }

    /// What a successor has to know of a commit.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        let commit = self.patching.under_way.as_ref()?;
        let Sender::Udp(socket, sender) = commit.asked.0 else { return None };
        let (edition, check) = (commit.edition, commit.check);
        let address = commit.asked.1.addr.clone();
        Some(UnderWay { socket, sender, address, edition, check })
    }

    /// Tells what became of the commit that was under way when the process before this one died.
    pub(crate) fn tell_outcome(&mut self, left: UnderWay) {
        let UnderWay { socket, sender, address, edition, check } = left;
        let sender = Sender::Udp(socket, sender);
        let message = OscMessage { addr: address, args: Vec::new() };
        if (self.edition, self.plan.hash() as u32) == (edition, check) {
            return self.done(sender, &message);
        }
        let text = "nothing of it is applied: the process that kept it ended before; it was \
                    started again. Send /patch/begin, then all of it";
        self.refuse(sender, &message, &Refusal::new(Code::Timeout, text));
    }

    /// The text of what plays, with the values that stand now.
    fn text(&self) -> String {
        let source = self.plan.source();
        // What plays was read from it.
        let Ok(mut draft) = Draft::parse(source) else { return source.to_owned() };
        for (index, module) in (0_u16..).zip(self.plan.modules()) {
            for (param, spec) in (0_u16..).zip(module.spec().params) {
                if !spec.fixed && !module.id().contains('.') {
                    self.write_value(&mut draft, (module.id(), spec.name), (index, param));
                }
            }
        }
        for instrument in self.plan.instruments() {
            for name in instrument.params() {
                if let [target, ..] = instrument.targets(name) {
                    self.write_value(&mut draft, (instrument.id(), name), *target);
                }
            }
        }
        draft.text()
    }

    /// Writes where a parameter stands into a text, if that is not where the text has it.
    fn write_value(&self, draft: &mut Draft, names: (&str, &str), (module, param): (u16, u16)) {
        let Some(value) = self.mirror.value(Topic::Param { module, param }) else { return };
        let known = &self.plan.modules()[usize::from(module)];
        if known.constant(param) == Some(value) {
            return;
        }
        let choices = known.spec().params[usize::from(param)].choices;
        let value = match choices.get(value as usize) {
            Some(word) => Value::Text((*word).to_owned()),
            None => Value::Number(value),
        };
        // It has this module, and a value that was set is one.
        let _ = draft.set(names.0, names.1, &value);
    }
}

/// Whether there is room for the state of both patches while one fades into the other.
fn has_room(old: &Plan, new: &Plan) -> Result<(), Refusal> {
    let (both, there) = (old.state_bytes() + new.state_bytes(), new.setup().state_bytes);
    if both <= there {
        return Ok(());
    }
    let text = format!(
        "while the old patch fades into the new one both need {both} bytes of state, {there} are \
         there: commit over 0 ms, which needs only one of them at a time, or start with --state \
         {}MiB",
        both.div_ceil(1 << 20)
    );
    Err(Refusal::new(Code::Full, text))
}
