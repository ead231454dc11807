//! Commands that wait for their frame: a heap in the arena, first by frame, then by arrival.
//!
//! *Source*: S59, a command due in a minute is state like everything else.

/// How many commands can wait for their time.
pub const AGENDA_CAPACITY: usize = 2_048;

/// Places that only commands for now may take, so that a full agenda of wishes for later cannot
/// keep a gate from closing: four blocks' worth of the 64 commands a block may bring.
pub(super) const RESERVE: usize = 256;

/// The heap: `[head, due, body, sequence]`, smallest `(due, sequence)` first.
pub(super) struct Agenda<'a> {
    pub(super) slots: &'a mut [[u64; 4]],
    pub(super) len: &'a mut u64,
}

fn key(slot: &[u64; 4]) -> (u64, u64) {
    (slot[1], slot[3])
}

impl Agenda<'_> {
    pub(super) fn len(&self) -> usize {
        *self.len as usize
    }

    /// Adds a command, as its payload with its number in word 3; `false` if there is no place for
    /// it. `[audio]`
    pub(super) fn push(&mut self, slot: [u64; 4], later: bool) -> bool {
        let room = if later { self.slots.len() - RESERVE } else { self.slots.len() };
        let mut at = self.len();
        if at >= room {
            return false;
        }
        while at > 0 {
            let parent = (at - 1) / 2;
            if key(&self.slots[parent]) <= key(&slot) {
                break;
            }
            self.slots[at] = self.slots[parent];
            at = parent;
        }
        self.slots[at] = slot;
        *self.len += 1;
        true
    }

    /// The command that is due first. `[audio]`
    pub(super) fn peek(&self) -> Option<&[u64; 4]> {
        if *self.len == 0 { None } else { self.slots.first() }
    }

    /// Takes the command that is due first. `[audio]`
    pub(super) fn pop(&mut self) -> Option<[u64; 4]> {
        let first = *self.peek()?;
        *self.len -= 1;
        let last = self.slots[self.len()];
        self.sift(0, last);
        Some(first)
    }

    /// Drops all that came before `sequence`. `[audio]`
    pub(super) fn clear_before(&mut self, sequence: u64) {
        self.change(|slot| (slot[3] > sequence).then_some(slot));
    }

    /// Makes of each command what `change` says, or drops it. `[audio]`
    pub(super) fn change(&mut self, mut change: impl FnMut([u64; 4]) -> Option<[u64; 4]>) {
        let mut kept = 0;
        for at in 0..self.len() {
            if let Some(slot) = change(self.slots[at]) {
                self.slots[kept] = slot;
                kept += 1;
            }
        }
        *self.len = kept as u64;
        for at in (0..kept / 2).rev() {
            let slot = self.slots[at];
            self.sift(at, slot);
        }
    }

    /// Puts `slot` in at `at` or below.
    fn sift(&mut self, mut at: usize, slot: [u64; 4]) {
        let len = self.len();
        loop {
            let mut child = 2 * at + 1;
            if child + 1 < len && key(&self.slots[child + 1]) < key(&self.slots[child]) {
                child += 1;
            }
            if child >= len || key(&slot) <= key(&self.slots[child]) {
                break;
            }
            self.slots[at] = self.slots[child];
            at = child;
        }
        if at < len {
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGENDA_CAPACITY, Agenda, RESERVE};
    use crate::command::{Action, Command};

    fn slot(command: &Command, sequence: u64) -> [u64; 4] {
        let [head, due, body, _] = command.encode();
        [head, due, body, sequence]
    }

    fn with_agenda(test: impl FnOnce(&mut Agenda<'_>)) {
        let mut slots = vec![[0; 4]; AGENDA_CAPACITY];
        let mut len = 0;
        test(&mut Agenda { slots: &mut slots, len: &mut len });
    }

    #[test]
    fn commands_come_out_by_frame_and_then_by_arrival() {
        with_agenda(|agenda| {
            let mut noise = 7_u64;
            let mut model = Vec::new();
            for sequence in 0..1_000 {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let due = noise >> 58;
                assert!(agenda.push(slot(&Command::at(due, Action::Test), sequence), true));
                model.push((due, sequence));
                if sequence % 3 == 0 {
                    model.sort_unstable();
                    let first = model.remove(0);
                    assert_eq!(agenda.pop().map(|slot| (slot[1], slot[3])), Some(first));
                }
            }
            model.sort_unstable();
            for expected in model {
                assert_eq!(agenda.pop().map(|slot| (slot[1], slot[3])), Some(expected));
            }
            assert_eq!(agenda.pop(), None);
        });
    }

    #[test]
    fn what_is_for_later_leaves_room_for_what_is_for_now() {
        with_agenda(|agenda| {
            let command = Command::at(9, Action::Test);
            let taken = (0..9_999).take_while(|n| agenda.push(slot(&command, *n), true)).count();
            assert_eq!(taken, AGENDA_CAPACITY - RESERVE);
            let taken = (0..9_999).take_while(|n| agenda.push(slot(&command, *n), false)).count();
            assert_eq!(taken, RESERVE);
        });
    }

    #[test]
    fn clearing_keeps_what_came_later_in_order() {
        with_agenda(|agenda| {
            for sequence in 0..100 {
                agenda.push(slot(&Command::at(1_000 - sequence, Action::Test), sequence), true);
            }
            agenda.clear_before(49);
            assert_eq!(agenda.len(), 50);
            let mut before = (0, 0);
            while let Some(slot) = agenda.pop() {
                assert!((slot[1], slot[3]) > before && slot[3] > 49);
                before = (slot[1], slot[3]);
            }
        });
    }
}
