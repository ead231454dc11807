//! What is replicated: a state machine that turns commands into blocks of samples.
//!
//! *Invariant*: the same state and the same commands give the same bits, on any worker.

use crate::Payload;

/// A state that does not belong to this instrument: another length, layout or plan.
#[derive(Debug, thiserror::Error)]
#[error("this state is not of this instrument: {reason}")]
pub struct Unfit {
    /// What does not fit.
    pub reason: String,
}

/// The instrument as the lockstep sees it.
pub trait Instrument {
    /// Applies one command before the next block is rendered. Refusals are the instrument's
    /// own; they must be the same on every worker. `[audio]`
    fn apply(&mut self, payload: &Payload);

    /// Renders the next block into `out` (64 frames, channels interleaved), naming each part
    /// by `crumb` before it begins, so that a crash there can be told. `[audio]`
    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32));

    /// Takes a part out of the signal, as [`Instrument::render`] names it by its breadcrumb,
    /// before the next block is rendered. `[audio]`
    fn bypass(&mut self, part: u32);

    /// Whether a command is for this part alone. `[any]`
    fn is_for(&self, payload: &Payload, part: u32) -> bool;

    /// How often a part whose output was no number was set back since the plan began, and which
    /// was the last; part of the state, so the same on every worker. `[audio]`
    fn resets(&self) -> (u64, u32) {
        (0, 0)
    }

    /// The whole state, all of it and nothing else. `[audio]`
    fn state(&self) -> &[u64];

    /// Puts a state back.
    ///
    /// # Errors
    /// When the state is not one of this instrument with this plan; nothing has changed then.
    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit>;
}
