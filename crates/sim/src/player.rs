//! What plays in a world: the toy, in which every word counts, or the rack as the product has it.

use segue_lockstep::{Instrument, Payload, Unfit};

use crate::Config;
use crate::stage::{self, Stage};
use crate::toy::Toy;

/// The instrument of a world.
#[derive(Debug)]
pub(crate) enum Player {
    Toy(Toy),
    Rack(Box<Stage>),
}

impl Player {
    /// The instrument of a process, in its first state.
    pub(crate) fn new(config: &Config, channels: usize, process: u32) -> Self {
        match config.rack {
            None => Self::Toy(Toy::new(channels, process)),
            Some(seed) => Self::Rack(Box::new(Stage::new(seed, channels, process))),
        }
    }

    /// Words of the longest state it will have.
    pub(crate) fn state_words_max(&self) -> usize {
        match self {
            Self::Toy(toy) => toy.state().len(),
            Self::Rack(_) => stage::STATE_WORDS,
        }
    }

    fn it(&self) -> &dyn Instrument {
        match self {
            Self::Toy(toy) => toy,
            Self::Rack(stage) => &**stage,
        }
    }

    fn it_mut(&mut self) -> &mut dyn Instrument {
        match self {
            Self::Toy(toy) => toy,
            Self::Rack(stage) => &mut **stage,
        }
    }
}

impl Instrument for Player {
    fn apply(&mut self, payload: &Payload) {
        self.it_mut().apply(payload);
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        self.it_mut().render(out, crumb);
    }

    fn bypass(&mut self, part: u32) {
        self.it_mut().bypass(part);
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        self.it().is_for(payload, part)
    }

    fn resets(&self) -> (u64, u32) {
        self.it().resets()
    }

    fn state(&self) -> &[u64] {
        self.it().state()
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        self.it_mut().restore(state)
    }
}
