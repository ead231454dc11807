//! The table of all types by what they do: which module's state and render a kind stands for.

use super::panel::{OUTLETS_MAX, Panel};
#[cfg(feature = "fault")]
use crate::catalog::fault;
use crate::catalog::{ModuleSpec, adsr, biquad, osc, out, vca};

/// How many lanes a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// As many as the module has; one lane feeds all.
    Voices,
    /// One.
    Mono,
    /// Any number, summed to one.
    Sum,
}

/// The type of a module, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Osc,
    Adsr,
    Biquad,
    Vca,
    Out,
    #[cfg(feature = "fault")]
    Fault,
}

impl Kind {
    /// The kind of a catalog type.
    pub(crate) fn of(spec: &ModuleSpec) -> Option<Kind> {
        Some(match spec.name {
            "osc" => Kind::Osc,
            "adsr" => Kind::Adsr,
            "biquad" => Kind::Biquad,
            "vca" => Kind::Vca,
            "out" => Kind::Out,
            #[cfg(feature = "fault")]
            "fault" => Kind::Fault,
            _ => return None,
        })
    }

    /// Words of state a module of this kind has.
    pub(crate) fn state_words(self) -> usize {
        match self {
            Kind::Osc => osc::STATE_WORDS,
            Kind::Adsr => adsr::STATE_WORDS,
            Kind::Biquad => biquad::STATE_WORDS,
            Kind::Vca | Kind::Out => 0,
            #[cfg(feature = "fault")]
            Kind::Fault => fault::STATE_WORDS,
        }
    }

    /// The state a module begins with.
    pub(crate) fn reset(self, state: &mut [u64]) {
        match self {
            Kind::Osc => osc::reset(state),
            Kind::Adsr => adsr::reset(state),
            Kind::Biquad => biquad::reset(state),
            Kind::Vca | Kind::Out => {}
            #[cfg(feature = "fault")]
            Kind::Fault => fault::reset(state),
        }
    }

    /// Renders a stretch of at most a block.
    pub(crate) fn render(self, panel: &mut Panel<'_>) {
        match self {
            Kind::Osc => osc::render(panel),
            Kind::Adsr => adsr::render(panel),
            Kind::Biquad => biquad::render(panel),
            Kind::Vca => vca::render(panel),
            Kind::Out => out::render(panel),
            #[cfg(feature = "fault")]
            Kind::Fault => fault::render(panel),
        }
    }

    /// Called at the last frame of each block, wherever the block was cut.
    pub(crate) fn end_block(self, state: &mut [u64]) {
        match self {
            Kind::Biquad => biquad::settle(state),
            #[cfg(feature = "fault")]
            Kind::Fault => fault::end_block(state),
            _ => {}
        }
    }

    /// Opens or closes the gate from the next frame on.
    pub(crate) fn gate(self, state: &mut [u64], level: f32) {
        if self == Kind::Adsr {
            adsr::gate(state, level);
        }
    }

    /// Silence soon: the panic button.
    pub(crate) fn choke(self, state: &mut [u64]) {
        if self == Kind::Adsr {
            adsr::choke(state);
        }
    }

    /// What a port takes.
    pub(crate) fn width(self, port: usize) -> Width {
        match self {
            Kind::Adsr if port != adsr::IN => Width::Mono,
            Kind::Out => Width::Sum,
            _ => Width::Voices,
        }
    }

    /// Lanes of each outlet of a module with that many voices; 0 for none.
    pub(crate) fn outlet_lanes(self, voices: usize) -> [usize; OUTLETS_MAX] {
        match self {
            Kind::Adsr => [voices, 1],
            // Not outlets anybody can plug into: the buses the master reads.
            Kind::Out => [1, 1],
            _ => [voices, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use crate::catalog::catalog;
    use crate::catalog::panel::{OUTLETS_MAX, PORTS_MAX};

    #[test]
    fn every_type_of_the_catalog_has_a_kind_and_fits_its_panel() {
        for spec in catalog() {
            assert!(Kind::of(spec).is_some(), "{} does nothing", spec.name);
            assert!(spec.inlets.len() + spec.params.len() <= PORTS_MAX, "{}", spec.name);
            assert!(spec.outlets.len() <= OUTLETS_MAX, "{}", spec.name);
        }
    }
}
