//! The commit under way: an edited patch on its way from a text to what plays.
//!
//! *Invariant*: nothing of it is heard before it has been proved in a process of its own and all
//! workers in lockstep have prepared it; from then on it is one command of the log. A step over
//! values: the proof, who has prepared, and the time in; what is to be done out.

use std::time::Duration;

use rosc::OscMessage;
use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::{Found, Kind, LOG_DEPTH, Orders};
use segue_lockstep::memory::slot::{Phase, Slot};
use segue_rack::{Action, Command, Plan};

use crate::control::sockets::Sender;
use crate::host::prover::Outcome;
use crate::osc::refusal::{Code, Refusal};

/// How long the workers may take once the proof is there, and how much longer for each MiB of
/// room for state, which has to be touched. They prepare at no priority, and what plays goes on.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);
const ACKNOWLEDGE_MIB: Duration = Duration::from_millis(10);

/// How long the proof may take: the prover has a limit of its own, and its starter may be gone.
const PROOF: Duration = Duration::from_secs(30);

/// What a block of the old and the new patch may need together while they cross, in per cent.
const CROSSING_PERCENT: u64 = 90;

/// A commit on its way.
#[derive(Debug)]
pub(super) struct Commit {
    /// Who asked, and with which message.
    pub(super) asked: (Sender, OscMessage),
    /// The plan, and which edition it is to be.
    pub(super) plan: Plan,
    /// Its number.
    pub(super) edition: u32,
    /// The low half of its hash, which tells it from others under that number.
    pub(super) check: u32,
    /// How the old sound goes over to the new one.
    pub(super) fade: Fade,
    /// What a block of it needs, once that is proved; none where that was not measured.
    pub(super) cost_ns: Option<u64>,
    stage: Stage,
}

/// How old sound goes over to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fade {
    /// Over so many frames; 0 is a cut.
    pub(super) frames: u32,
    /// Whether it was asked for so: else it is a cut where there is no room or time for both.
    pub(super) insists: bool,
}

impl Fade {
    /// Does without where that is why, and nobody insists.
    pub(super) fn spare(&mut self, why: Refusal) -> Result<(), Refusal> {
        if self.frames > 0 && self.insists {
            return Err(why);
        }
        self.frames = 0;
        Ok(())
    }
}

#[derive(Debug)]
enum Stage {
    /// In the scratch process, until then.
    Proved { until: Duration },
    /// With the workers, until then; for ever where there is no clock.
    Prepared { until: Option<Duration> },
}

/// What the engine is like while a commit is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// How long a block lasts, in nanoseconds; none where there is no clock.
    pub(super) block_ns: Option<u64>,
    /// What a block of the patch that plays needs, as far as that was measured.
    pub(super) cost_ns: Option<u64>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing yet.
    Wait,
    /// The command goes into the log.
    Adopt,
    /// It is given up; nothing of it is applied.
    Refuse(Refusal),
}

impl Commit {
    /// A commit whose plan has just been laid out for prover and workers.
    pub(super) fn begin(
        asked: (Sender, OscMessage),
        (plan, edition): (Plan, u32),
        fade: Fade,
        now: Duration,
    ) -> Self {
        let stage = Stage::Proved { until: now + PROOF };
        let check = plan.hash() as u32;
        Self { asked, plan, edition, check, fade, cost_ns: None, stage }
    }

    /// The proof is there.
    pub(super) fn proved(
        &mut self,
        outcome: &Outcome,
        around: &Surroundings,
        now: Duration,
    ) -> Next {
        if !matches!(self.stage, Stage::Proved { .. }) {
            return Next::Wait;
        }
        let sentence = || outcome.sentence(&self.plan, self.plan.setup());
        if outcome.refuses() {
            return refuse(refusal_code(outcome), &sentence());
        }
        if let Outcome::Unproved(_) = outcome {
            return refuse(Code::Timeout, &format!("{}; commit it again", sentence()));
        }
        self.cost_ns = outcome.block_ns();
        if let Some(text) = self.too_dear_to_cross(around)
            && self.fade.spare(Refusal::new(Code::Full, text.clone())).is_err()
        {
            return refuse(Code::Full, &text);
        }
        let until = around.block_ns.map(|_| now + self.acknowledge());
        self.stage = Stage::Prepared { until };
        Next::Wait
    }

    /// Time has passed; `prepared` says whether somebody is in lockstep and all who are have it,
    /// `faded` whether the commit before this one is over.
    pub(super) fn step(&self, prepared: bool, faded: bool, now: Duration) -> Next {
        match self.stage {
            Stage::Proved { until } if now >= until => {
                refuse(Code::Timeout, "the proof of the patch does not come; commit it again")
            }
            Stage::Prepared { .. } if prepared && faded => Next::Adopt,
            Stage::Prepared { .. } if prepared => Next::Wait,
            Stage::Prepared { until: Some(until) } if now >= until => {
                let ms = self.acknowledge().as_millis();
                let text = format!("not all workers had the patch ready within {ms} ms");
                refuse(Code::Timeout, &format!("{text}; commit it again"))
            }
            Stage::Proved { .. } | Stage::Prepared { .. } => Next::Wait,
        }
    }

    fn acknowledge(&self) -> Duration {
        let room = self.plan.setup().state_bytes >> 20;
        ACKNOWLEDGE + ACKNOWLEDGE_MIB * u32::try_from(room).unwrap_or(u32::MAX)
    }

    /// Why both patches cannot be rendered while one goes over to the other.
    fn too_dear_to_cross(&self, around: &Surroundings) -> Option<String> {
        let (block_ns, old, new) = (around.block_ns?, around.cost_ns?, self.cost_ns?);
        let percent = |ns: u64| ns * 100 / block_ns;
        (self.fade.frames > 0 && percent(old + new) > CROSSING_PERCENT).then(|| {
            format!(
                "while the old patch fades into the new one a block needs {} % of its time, {} % \
                 the old one and {} % the new one; {CROSSING_PERCENT} % are allowed. A commit over \
                 0 ms cuts from one to the other and needs only one of them at a time",
                percent(old + new),
                percent(old),
                percent(new)
            )
        })
    }
}

fn refuse(code: Code, why: &str) -> Next {
    Next::Refuse(Refusal::new(code, format!("nothing of it is applied: {why}")))
}

/// The word for what a proof found.
fn refusal_code(outcome: &Outcome) -> Code {
    match outcome {
        Outcome::NonFinite { .. } => Code::NotFinite,
        Outcome::Costly(_) => Code::Full,
        _ => Code::Forbidden,
    }
}

/// Whether somebody is in lockstep, and all who are have what the commit needs.
pub(super) fn is_prepared(commit: &Commit, slots: &[Slot], orders: &Orders) -> bool {
    let in_lockstep = |(at, slot): &(usize, &Slot)| {
        slot.generation() == orders.generation(*at) && slot.phase() == Phase::Lockstep
    };
    let mut found = slots.iter().enumerate().filter(in_lockstep).peekable();
    found.peek().is_some() && found.all(|(_, slot)| slot.is_prepared(commit.edition, commit.check))
}

/// The frame until which the newest commit of the log fades.
pub(super) fn fades_until(orders: &Orders) -> u64 {
    let head = orders.head();
    for number in (head.saturating_sub(LOG_DEPTH as u64)..head).rev() {
        let Found::Record(record) = orders.record(number) else { break };
        let action = Command::decode(&record.payload).map(|command| command.action);
        if let Ok(Action::Adopt { fade_frames, .. }) = action {
            return record.block * BLOCK_FRAMES as u64 + u64::from(fade_frames);
        }
    }
    0
}

/// How many commits somebody may still replay: joiners, and who writes the journal.
pub(super) fn adoptions(orders: &Orders, inbox: &Inbox) -> usize {
    let from = orders.keep_from().min(inbox.log_cursor());
    let adopts = |number: &u64| match orders.record(*number) {
        Found::Record(record) if record.kind == Kind::Command => {
            let action = Command::decode(&record.payload).map(|command| command.action);
            matches!(action, Ok(Action::Adopt { .. }))
        }
        _ => false,
    };
    (from..orders.head()).filter(adopts).count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosc::OscMessage;
    use segue_lockstep::memory::orders::{Kind, Orders, Record, Sealing};
    use segue_rack::{Action, Command, Plan, Setup};
    use segue_sys::Region;

    use super::{
        ACKNOWLEDGE, ACKNOWLEDGE_MIB, Commit, Fade, Next, PROOF, Surroundings, fades_until,
    };
    use crate::control::sockets::Sender;
    use crate::host::prover::Outcome;
    use crate::osc::refusal::Code;

    const BLOCK_NS: u64 = 1_333_333;
    const CLOCK: Surroundings = Surroundings { block_ns: Some(BLOCK_NS), cost_ns: Some(600_000) };
    const FREEWHEEL: Surroundings = Surroundings { block_ns: None, ..CLOCK };

    fn commit(frames: u32) -> Commit {
        let message = OscMessage { addr: "/patch/commit".to_owned(), args: vec![] };
        let plan = Plan::empty(&Setup::default());
        let fade = Fade { frames, insists: true };
        Commit::begin((Sender::Tcp(1), message), (plan, 1), fade, Duration::ZERO)
    }

    fn code(next: &Next) -> Option<Code> {
        match next {
            Next::Refuse(refusal) => Some(refusal.code),
            Next::Wait | Next::Adopt => None,
        }
    }

    #[test]
    fn it_is_adopted_when_it_is_proved_and_all_have_prepared_it_and_not_before() {
        let mut commit = commit(480);
        assert_eq!(commit.step(true, true, Duration::ZERO), Next::Wait);
        let fine = Outcome::fine(500_000);
        assert_eq!(commit.proved(&fine, &CLOCK, PROOF / 2), Next::Wait);
        assert_eq!(commit.cost_ns, Some(500_000));
        assert_eq!(commit.step(false, true, PROOF / 2), Next::Wait);
        assert_eq!(commit.step(true, false, PROOF), Next::Wait, "two fades would be cut short");
        assert_eq!(commit.step(true, true, PROOF / 2), Next::Adopt);
    }

    #[test]
    fn a_proof_or_workers_that_never_come_end_it_and_no_worker_is_hurried_without_a_clock() {
        let mut commit = commit(480);
        assert_eq!(code(&commit.step(true, true, PROOF)), Some(Code::Timeout));
        let fine = Outcome::fine(500_000);
        assert_eq!(commit.proved(&fine, &FREEWHEEL, Duration::ZERO), Next::Wait);
        assert_eq!(commit.step(false, true, PROOF * 10), Next::Wait);
        assert_eq!(commit.step(true, true, PROOF * 10), Next::Adopt);
        let mut commit = self::commit(480);
        assert_eq!(commit.proved(&fine, &CLOCK, Duration::ZERO), Next::Wait);
        assert_eq!(commit.step(false, true, ACKNOWLEDGE / 2), Next::Wait);
        let late = ACKNOWLEDGE + ACKNOWLEDGE_MIB;
        assert_eq!(code(&commit.step(false, true, late)), Some(Code::Timeout));
    }

    #[test]
    fn what_a_proof_refuses_or_two_cannot_render_at_once_is_refused() {
        let crashes = Outcome::Crashes { part: None, cause: "SIGSEGV".to_owned() };
        assert_eq!(
            code(&commit(0).proved(&crashes, &CLOCK, Duration::ZERO)),
            Some(Code::Forbidden)
        );
        let killed = Outcome::Unproved("killed".to_owned());
        assert_eq!(code(&commit(0).proved(&killed, &CLOCK, Duration::ZERO)), Some(Code::Timeout));
        let dear = Outcome::fine(700_000);
        let next = commit(480).proved(&dear, &CLOCK, Duration::ZERO);
        assert_eq!(code(&next), Some(Code::Full));
        assert!(format!("{next:?}").contains("97 %"), "{next:?}");
        assert_eq!(commit(0).proved(&dear, &CLOCK, Duration::ZERO), Next::Wait);
        assert_eq!(commit(480).proved(&dear, &FREEWHEEL, Duration::ZERO), Next::Wait);
        // Who did not ask for a fade has none.
        let mut undo = commit(480);
        undo.fade.insists = false;
        assert_eq!(undo.proved(&dear, &CLOCK, Duration::ZERO), Next::Wait);
        assert_eq!(undo.fade.frames, 0);
    }

    /// A control that is new does not cut short what its predecessor began.
    #[test]
    fn the_newest_commit_of_the_log_tells_until_when_it_fades() {
        let orders = Orders::new(Region::heap(Orders::words())).unwrap();
        assert_eq!(fades_until(&orders), 0);
        let adopt = |edition, fade_frames| Action::Adopt { edition, check: 0, fade_frames };
        let asked = [(10, adopt(1, 99)), (20, adopt(2, 480_000)), (30, Action::Test)];
        for ((block, action), number) in asked.into_iter().zip(0..) {
            let payload = Command::now(action).encode();
            let kind = Kind::Command;
            orders.append(number, Record { block, kind, origin: 1, more: 0, payload });
        }
        orders.publish(Sealing { head: 3, taken: 3, sealed: 31, end: None });
        assert_eq!(fades_until(&orders), 20 * 64 + 480_000);
    }
}
