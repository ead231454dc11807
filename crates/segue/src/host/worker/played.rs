//! The rack as the lockstep knows it.

use std::sync::Arc;

use segue_lockstep::memory::slot::Slot;
use segue_lockstep::{Instrument, Payload, Unfit};
use segue_rack::Performer;

use super::preparer::{Shelf, Turn};

/// What a worker plays.
pub(super) struct Played {
    performer: Performer<Shelf>,
    place: Slot,
    turn: Arc<Turn>,
    /// The edition the preparer was told.
    told: Option<u32>,
}

impl Played {
    /// A performer whose checkpoints go to `place`.
    pub(super) fn new(performer: Performer<Shelf>, place: Slot, turn: Arc<Turn>) -> Self {
        Self { performer, place, turn, told: None }
    }

    /// Says which edition plays, where that has changed.
    fn tell_edition(&mut self) {
        let edition = self.performer.edition();
        if self.told != Some(edition) {
            self.told = Some(edition);
            self.turn.take(edition.into());
        }
    }
}

impl Instrument for Played {
    fn apply(&mut self, payload: &Payload) {
        // Checked when it was sent; what makes no sense is passed over, the same on all.
        self.performer.apply(payload);
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        self.tell_edition();
        self.performer.render(out, crumb);
    }

    fn bypass(&mut self, part: u32) {
        self.performer.bypass(part);
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        self.performer.is_for(payload, part)
    }

    fn resets(&self) -> (u64, u32) {
        self.performer.resets()
    }

    fn state(&self) -> &[u64] {
        self.performer.state()
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        let unfit = |reason: String| Unfit { reason };
        self.performer.restore(state).map_err(|error| unfit(error.to_string()))?;
        // It may be longer than that of the plan it began with.
        self.place.touch(state.len()).map_err(|error| unfit(error.to_string()))
    }
}
