//! Commands that wait because the inbox is full: bounded, in order, never losing a gate-off.
//!
//! *Invariant*: what was accepted is sent, or replaced by a newer value of the same parameter
//! (counted). Below the bound everything is accepted. Above it a set replaces an older one of
//! its parameter; gate-offs and panic have [`RESERVED`] places of their own; the rest is refused.

use std::collections::{BTreeMap, VecDeque};

use segue_rack::{Action, Command};

/// Commands that may wait before only reserved places are left.
pub(crate) const BOUND: usize = 16_384;
/// Places kept for gate-offs and panic.
pub(crate) const RESERVED: usize = 2_048;

/// Commands that belong to one frame, from one sender.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bundle {
    /// Who asked.
    pub(crate) origin: u32,
    /// Of which edition their modules are.
    pub(crate) edition: u32,
    /// What, in order; at most 64.
    pub(crate) commands: Vec<Command>,
}

/// What became of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits.
    Waits,
    /// It waits in place of an older value.
    Coalesced,
    /// There is no room.
    Full,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// A bundle is none where it was replaced.
    queue: VecDeque<Option<Bundle>>,
    /// Number of the first in the queue; numbers only grow.
    first: u64,
    commands: usize,
    /// Where the newest waiting set of a parameter stands.
    sets: BTreeMap<(u32, u16, u16), u64>,
}

impl Backlog {
    /// How many commands wait.
    pub(crate) fn len(&self) -> usize {
        self.commands
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// The number the next bundle gets; those below have been sent or wait.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// The number of the first that waits; all below have been sent.
    pub(crate) fn first_number(&self) -> u64 {
        self.first
    }

    /// Takes a bundle, as far as there is room.
    pub(crate) fn push(&mut self, bundle: Bundle) -> Taken {
        let key = parameter(&bundle);
        let mut taken = Taken::Waits;
        if self.commands + bundle.commands.len() > BOUND {
            match key.and_then(|key| self.sets.get(&key).copied()) {
                Some(older) => {
                    self.remove(older);
                    taken = Taken::Coalesced;
                }
                None if !is_release(&bundle) => return Taken::Full,
                None if self.commands + bundle.commands.len() > BOUND + RESERVED => {
                    return Taken::Full;
                }
                None => {}
            }
        }
        if let Some(key) = key {
            self.sets.insert(key, self.next_number());
        }
        self.commands += bundle.commands.len();
        self.queue.push_back(Some(bundle));
        taken
    }

    /// The bundle that goes next.
    pub(crate) fn front(&mut self) -> Option<&Bundle> {
        while self.queue.front().is_some_and(Option::is_none) {
            self.queue.pop_front();
            self.first += 1;
        }
        self.queue.front().and_then(Option::as_ref)
    }

    /// Drops the front, which was sent.
    pub(crate) fn pop(&mut self) {
        let number = self.first;
        if let Some(Some(bundle)) = self.queue.pop_front() {
            self.first += 1;
            self.commands -= bundle.commands.len();
            if let Some(key) = parameter(&bundle).filter(|key| self.sets.get(key) == Some(&number))
            {
                self.sets.remove(&key);
            }
        }
    }

    fn remove(&mut self, number: u64) {
        let at = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        if let Some(bundle) = self.queue.get_mut(at).and_then(Option::take) {
            self.commands -= bundle.commands.len();
        }
    }
}

/// The parameter a bundle of one untimed set is for.
fn parameter(bundle: &Bundle) -> Option<(u32, u16, u16)> {
    match bundle.commands.as_slice() {
        [Command { due: 0, action: Action::Set { module, param, .. } }] => {
            Some((bundle.edition, *module, *param))
        }
        _ => None,
    }
}

/// Whether all of it only makes things quieter.
fn is_release(bundle: &Bundle) -> bool {
    bundle.commands.iter().all(|command| match command.action {
        Action::Gate { level, .. } => level <= 0.0,
        Action::Note { velocity, .. } => velocity <= 0.0,
        Action::Panic => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use segue_rack::{Action, Command};

    use super::{BOUND, Backlog, Bundle, RESERVED, Taken};

    fn one(action: Action) -> Bundle {
        Bundle { origin: 1, edition: 0, commands: vec![Command::now(action)] }
    }

    fn set(param: u16, value: f32) -> Bundle {
        one(Action::Set { module: 0, param, value, ramp_frames: 0 })
    }

    fn drained(backlog: &mut Backlog) -> Vec<Bundle> {
        let mut all = Vec::new();
        while let Some(bundle) = backlog.front().cloned() {
            backlog.pop();
            all.push(bundle);
        }
        all
    }

    fn full() -> Backlog {
        let mut backlog = Backlog::default();
        backlog.push(set(7, 0.0));
        while backlog.commands < BOUND {
            assert_eq!(backlog.push(one(Action::Test)), Taken::Waits);
        }
        backlog
    }

    #[test]
    fn below_the_bound_everything_waits_in_order() {
        let mut backlog = Backlog::default();
        let bundles = [set(1, 0.1), set(1, 0.2), one(Action::Test)];
        for bundle in &bundles {
            assert_eq!(backlog.push(bundle.clone()), Taken::Waits);
        }
        assert_eq!(drained(&mut backlog), bundles);
        assert!(backlog.is_empty());
    }

    /// S26: an accepted gate-off is never lost, however many messages there are.
    #[test]
    fn beyond_the_bound_gate_offs_have_room_of_their_own() {
        let mut backlog = full();
        assert_eq!(backlog.push(one(Action::Gate { module: 0, level: 1.0 })), Taken::Full);
        for _ in 0..RESERVED - 1 {
            let off = one(Action::Gate { module: 0, level: 0.0 });
            assert_eq!(backlog.push(off), Taken::Waits);
        }
        assert_eq!(backlog.push(one(Action::Panic)), Taken::Waits);
        assert_eq!(backlog.push(one(Action::Panic)), Taken::Full);
        assert_eq!(drained(&mut backlog).len(), BOUND + RESERVED);
    }

    #[test]
    fn beyond_the_bound_the_newest_value_of_a_parameter_stays() {
        let mut backlog = full();
        assert_eq!(backlog.push(set(8, 1.0)), Taken::Full);
        for value in [0.1, 0.2, 0.3] {
            assert_eq!(backlog.push(set(7, value)), Taken::Coalesced);
        }
        let all = drained(&mut backlog);
        assert_eq!(all.len(), BOUND);
        assert_eq!(all.last(), Some(&set(7, 0.3)));
        assert_eq!(backlog.first_number(), backlog.next_number());
    }
}
