//! The tally: what must be so at every moment of a world, whatever is done to it.
//!
//! *Verified*: every death was caused, and is told as what caused it; one failover for each
//! primary that went; every death counted once; of what two had agreed on, one is within reach;
//! the timeline never stands while somebody could drive it, and is never driven twice. *Not
//! verified*: which of two harms done at once killed.

use std::collections::VecDeque;

use segue_lockstep::memory::status::Death;
use segue_lockstep::monitor::{Action, Process, State};

use super::World;
use crate::child::Child;

const MS: u64 = 1_000_000;

/// How long the timeline may stand: the most patience there is with a silent stream.
const STANDS_MAX_NS: u64 = 600 * MS;

/// How long what was done to anybody may still kill somebody else.
const LASTS_NS: u64 = 3_000 * MS;

/// How those die who meet poison.
const POISONED: [&str; 3] = ["crashed with SIGSEGV", "looped", "exited with code 1"];

/// How fast the timeline may be, in thousandths of real time, and what a change of drivers adds.
const SPEED_MAX: u64 = 1_050;
const CHANGES_FRAMES: u64 = 4 * 8192;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What was done to each slot, and when: the beginning of the cause that it may lead to.
    harms: Vec<VecDeque<(u64, &'static str)>>,
    /// The same for what may strike anybody.
    dangers: VecDeque<(u64, &'static str)>,
    /// How often poison was sent.
    poisons: usize,
    /// Whether each death is held against what was done.
    pub strict: bool,
    /// Deaths told, guests buried.
    pub told: u64,
    pub buried: u64,
    /// Primaries that went, and those that were only late.
    pub failed_over: u64,
    pub passed_on: u64,
    /// Deaths because of a difference.
    pub differed: u64,
    first: Option<usize>,
    stood_ns: u64,
    /// When the speed is measured from, and how many frames were delivered then.
    since: Option<(u64, u64)>,
}

impl Tally {
    pub(super) fn new(slots: usize) -> Self {
        Self { harms: vec![VecDeque::new(); slots], ..Self::default() }
    }
}

impl World {
    /// Says what was done to a slot: how the cause of a death that it leads to begins.
    pub fn harm(&mut self, slot: usize, cause: &'static str) {
        let now_ns = self.now_ns;
        self.tally.harms[slot].push_back((now_ns, cause));
        self.tally.harms[slot].truncate(4096);
    }

    /// The same for what may strike anybody within a while.
    pub fn endanger(&mut self, cause: &'static str) {
        let now_ns = self.now_ns;
        self.tally.dangers.push_back((now_ns, cause));
        self.tally.dangers.retain(|(at_ns, _)| at_ns + LASTS_NS > now_ns);
    }

    /// Poison was sent: until it is judged it may kill whoever applies it, whenever that is; and
    /// who has rendered its block when the verdict comes, leaves.
    pub fn endanger_by_poison(&mut self) {
        self.tally.poisons += 1;
        POISONED.iter().for_each(|cause| self.endanger(cause));
    }

    /// How much of the poison that was sent has not led to a verdict.
    #[must_use]
    pub fn poisons_unjudged(&self) -> u64 {
        self.tally.poisons.saturating_sub(self.orders.verdicts().all().count()) as u64
    }

    /// From now on every death is held against what was done.
    pub fn be_strict(&mut self) {
        self.tally.strict = true;
    }

    /// Guests buried, deaths told, primaries that went, and those that were only late.
    #[must_use]
    pub fn tallied(&self) -> [u64; 4] {
        let Tally { buried, told, failed_over, passed_on, .. } = self.tally;
        [buried, told, failed_over, passed_on]
    }

    /// Guests that went because they differed from others.
    #[must_use]
    pub fn differed(&self) -> u64 {
        self.tally.differed
    }

    pub(super) fn tally_actions(&mut self, actions: &[Action]) {
        for (at, action) in actions.iter().enumerate() {
            match action {
                Action::Bury { .. } => self.tally.buried += 1,
                Action::Death(death) if death.lockstep_again_ns == 0 => {
                    assert_eq!(death.number, self.tally.told, "a death is told once");
                    self.tally.told += 1;
                    self.tally.differed += u64::from(death.cause.starts_with("block "));
                    self.hold_against(death);
                }
                Action::Verdict(_) => POISONED.iter().for_each(|cause| self.endanger(cause)),
                Action::Primary(first) => {
                    assert_ne!(*first, self.tally.first, "the same again");
                    if let Some(former) = self.tally.first {
                        let went = self.goes(former, &actions[..at]);
                        self.tally.failed_over += u64::from(went);
                        self.tally.passed_on += u64::from(!went);
                    }
                    self.tally.first = *first;
                }
                _ => {}
            }
        }
        let first = self.orders.primary();
        assert_eq!(first, self.tally.first, "one primary");
        let former = self.orders.formerly_trusted().map(|(block, _)| block);
        assert!(former <= Some(self.orders.playhead()), "nothing trusted is within reach");
        let state = first.map(|slot| self.monitor.state(slot));
        let fits = matches!(state, None | Some(State::Lockstep | State::Joining));
        assert!(fits, "a primary that is {state:?}");
    }

    /// Whether the guest of a slot is gone, or going by what was decided so far.
    fn goes(&self, slot: usize, decided: &[Action]) -> bool {
        let killed = |it: &Action| matches!(it, Action::Kill { slot: at, .. } if *at == slot);
        let kernel = self.children[slot].as_ref().map(Child::kernel).unwrap_or_default();
        let lives = matches!(kernel.process, Process::Running { .. }) && kernel.note.is_none();
        !lives || decided.iter().any(killed)
    }

    fn hold_against(&self, death: &Death) {
        assert!(!death.cause.is_empty(), "unexplained");
        if !self.tally.strict {
            return;
        }
        let born_ns = self.now_ns - death.lived_ns;
        let fits = |(_, cause): &&(u64, &'static str)| death.cause.starts_with(cause);
        let own = self.tally.harms[death.slot as usize].iter();
        let own = own.filter(|(at_ns, _)| *at_ns >= born_ns).find(fits);
        let all = self.tally.dangers.iter();
        let all = all.filter(|(at_ns, _)| at_ns + LASTS_NS > self.now_ns).find(fits);
        let poisoned = self.poisons_unjudged() > 0
            && POISONED.iter().any(|cause| death.cause.starts_with(cause));
        assert!(
            poisoned || own.or(all).is_some(),
            "slot {} died of what was not done to it: {} {}",
            death.slot,
            death.cause,
            death.last_words
        );
    }

    /// Time passes: somebody drives, and not faster than there is time for.
    pub(super) fn tally_time(&mut self, played: bool) {
        let excused = self.config.freewheel
            || self.monitor_suspended
            || self.now_ns < self.stalled_until_ns
            || !self.driving;
        let tally = &mut self.tally;
        tally.stood_ns = if played || excused { 0 } else { tally.stood_ns + self.tick_ns };
        assert!(tally.stood_ns < STANDS_MAX_NS, "the timeline stands");
        let position = self.orders.position();
        let (since_ns, from) = *tally.since.get_or_insert((self.now_ns, position));
        if excused || self.drivers.hastens() {
            tally.since = None;
        } else if self.now_ns > since_ns + 1_000 * MS {
            let fair = (self.now_ns - since_ns) * u64::from(self.shape.rate) / 1_000_000_000;
            let frames = position - from;
            let most = fair * SPEED_MAX / 1000 + CHANGES_FRAMES;
            assert!(frames <= most, "{frames} frames where there was time for {fair}");
            tally.since = None;
        }
    }

    /// The whole machine slept: the timeline stood meanwhile, and no danger has passed.
    pub(super) fn tally_sleep(&mut self, ns: u64) {
        self.tally.since = None;
        self.tally.dangers.iter_mut().for_each(|(at_ns, _)| *at_ns += ns);
    }
}
