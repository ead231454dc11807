//! How much of the log is kept: everything since the older of the last two checkpoints from which
//! one could join, and what a guest has still to apply.

use super::Monitor;
use super::act::Action;
use super::guest::State;
use super::observe::Observation;
use crate::memory::orders::LOG_DEPTH;

impl Monitor {
    /// Gives free what nobody can need any more. Cursors come from workers, so a wild one is
    /// bounded by the head, and the bound never goes back.
    pub(super) fn step_keep(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        // Until two have agreed on a state, all agree on that of a fresh instrument.
        if seen.trusted.is_none() && seen.head < seen.first + LOG_DEPTH as u64 / 2 {
            return;
        }
        let mut claims: Vec<(u64, u64)> = seen
            .slots
            .iter()
            .flat_map(|slot| slot.checkpoints.iter().flatten().copied())
            .filter(|(block, cursor)| *block <= seen.playhead && *cursor <= seen.head)
            .collect();
        claims.sort_unstable();
        claims.dedup();
        let mut keep = match claims[..] {
            [] => return,
            // Whoever is alone and renders far ahead may never show two at once.
            [(_, only)] => only.min(seen.head.saturating_sub(LOG_DEPTH as u64 / 2)),
            // One of the two may be damaged, and say that it needs less than it does.
            [.., (_, older), (_, newer)] => older.min(newer),
        };
        // The one that two agreed on, unless half the log would be held for it.
        let trusted = claims.iter().rev().find(|(block, _)| Some(*block) <= seen.trusted);
        if let Some((_, cursor)) = trusted
            && cursor + LOG_DEPTH as u64 / 2 > seen.head
        {
            keep = keep.min(*cursor);
        }
        for (guest, slot) in self.guests.iter().zip(&seen.slots) {
            let reads = matches!(guest.state, State::Joining | State::Lockstep);
            if reads && slot.generation == guest.generation {
                keep = keep.min(slot.cursor);
            }
        }
        if keep > self.keep_from {
            self.keep_from = keep;
            actions.push(Action::KeepFrom(keep));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe::SlotSeen;
    use super::super::{Action, Config, Monitor, Observation, State};
    use crate::Shape;
    use crate::memory::slot::Phase;

    fn slot(cursor: u64, checkpoints: [Option<(u64, u64)>; 2]) -> SlotSeen {
        SlotSeen { cursor, checkpoints, ..SlotSeen::guest(1, Phase::Lockstep, 100) }
    }

    fn kept(slots: Vec<SlotSeen>) -> Vec<Action> {
        kept_at(1000, slots, Some(0))
    }

    fn kept_at(head: u64, slots: Vec<SlotSeen>, trusted: Option<u64>) -> Vec<Action> {
        let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
        let mut monitor = Monitor::new(Config { shape, build: 1, lead: 4 });
        for guest in &mut monitor.guests {
            guest.invite(1);
            guest.enter(State::Lockstep, 1);
        }
        let (playhead, sealed, first) = (96, 100, 0);
        let (now_ns, lateness, revive) = (1, 0, 0);
        let (freewheel, period_blocks) = (false, 1);
        let seen = Observation {
            now_ns,
            slots,
            trusted,
            playhead,
            sealed,
            first,
            head,
            lateness,
            revive,
            verdicts: Vec::new(),
            freewheel,
            period_blocks,
        };
        let mut actions = Vec::new();
        monitor.step_keep(&seen, &mut actions);
        actions
    }

    #[test]
    fn the_log_is_kept_from_the_second_newest_checkpoint_one_could_join_from() {
        let ahead = [Some((112, 900)), Some((96, 800))];
        let behind = [Some((80, 700)), Some((64, 600))];
        assert_eq!(kept(vec![slot(950, ahead), slot(950, behind)]), [Action::KeepFrom(700)]);
    }

    #[test]
    fn one_checkpoint_alone_frees_what_lies_more_than_half_a_log_back() {
        let one = || vec![slot(59_000, [Some((96, 50_000)), Some((112, 51_000))])];
        assert_eq!(kept_at(60_000, one(), None), [Action::KeepFrom(60_000 - (1 << 15))]);
        assert_eq!(kept_at(30_000, one(), None), []);
    }

    #[test]
    fn until_two_have_agreed_the_whole_log_is_kept_so_that_one_can_begin_at_its_beginning() {
        let both = || vec![slot(950, [Some((96, 900)), Some((80, 800))])];
        assert_eq!(kept_at(1000, both(), None), []);
        assert_eq!(kept_at(1000, both(), Some(0)), [Action::KeepFrom(800)]);
    }

    #[test]
    fn a_damaged_cursor_of_one_of_the_two_gives_nothing_free() {
        let both = [Some((96, 700)), Some((80, 890))];
        assert_eq!(kept(vec![slot(950, both), slot(950, [None; 2])]), [Action::KeepFrom(700)]);
        let same = [Some((80, 700)), Some((96, 700))];
        let damaged = [Some((80, 890)), None];
        assert_eq!(kept(vec![slot(950, same), slot(950, damaged)]), [Action::KeepFrom(700)]);
    }

    #[test]
    fn what_a_guest_has_still_to_apply_is_kept_and_a_wild_word_gives_nothing_free() {
        let both = [Some((96, 800)), Some((80, 700))];
        assert_eq!(kept(vec![slot(950, both), slot(650, [None; 2])]), [Action::KeepFrom(650)]);
        let wild = [Some((96, u64::MAX)), Some((u64::MAX, 5))];
        assert_eq!(kept(vec![slot(950, wild), slot(950, [Some((80, 700)), None])]), []);
    }
}
