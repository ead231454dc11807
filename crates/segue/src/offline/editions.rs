//! Where a performer finds the plan of an edition, outside of a worker: see
//! [`Player`](super::player::Player) for what stands in a journal.

use segue_lockstep::memory::plans::Plans;
use segue_rack::{Action, Command, Library, Plan};

/// Plans as they are written in an engine's memory.
#[derive(Clone, Debug)]
pub(crate) struct Written(pub(crate) Plans);

impl Written {
    /// The plan of an edition, if it is there.
    pub(crate) fn of(&self, edition: u32) -> Option<Plan> {
        Plan::from_bytes(&self.0.read(edition.into())?.bytes).ok()
    }
}

impl Library for Written {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        self.of(edition)
    }
}

/// The edition that a command goes over to, if it is one that does.
pub(crate) fn adopted(payload: &[u64; 4]) -> Option<u32> {
    match Command::decode(payload).ok()?.action {
        Action::Adopt { edition, .. } => Some(edition),
        _ => None,
    }
}
