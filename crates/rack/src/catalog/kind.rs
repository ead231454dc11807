//! What a type of module does: the functions behind its panel.

use super::panel::{OUTLETS_MAX, Panel};
use crate::catalog::{KINDS, ModuleSpec};

/// How many lanes a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// As many as the module has voices; one lane feeds all.
    Voices,
    /// As many as the module's control has; one lane feeds all. Where control is many, so are
    /// the voices.
    Control,
    /// One.
    Mono,
    /// Any number, summed to one.
    Sum,
}

/// How many lanes a module has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    /// Voices, 1 to 16.
    pub(crate) voices: usize,
    /// Lanes of what moves the voices: 1, or as many as there are voices.
    pub(crate) control: usize,
}

/// What a module is from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) lanes: Lanes,
    /// Samples in a frame of the voices: 1, 8 or 16.
    pub(crate) stride: usize,
    /// The same for the control lanes.
    pub(crate) control_stride: usize,
    /// Frames a second.
    pub(crate) rate: f32,
    /// A number of its own, from its id: two modules of one type need not draw the same noise.
    pub(crate) seed: u64,
    /// What the patch gave each parameter; of fixed ones that holds for ever.
    pub(crate) constants: Vec<f32>,
}

/// What a module is told between two frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    /// The gate opens with this velocity, or closes (0).
    Gate { level: f32 },
    /// Silence soon: the panic button.
    Choke,
    /// A note is struck, or released (velocity 0).
    Note(Note),
    /// A parameter of one voice, which counts from 0.
    Voice { voice: usize, param: usize, value: f32, frames: u32 },
}

/// A note for a player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Note {
    /// Semitones; 69 is A4. Need not be whole.
    pub(crate) note: f32,
    /// Above 0 to 1; 0 releases.
    pub(crate) velocity: f32,
    /// Frames until it is released by itself; 0 for never.
    pub(crate) frames: u32,
    /// Which voice plays it, from 0; `None` for whichever is best.
    pub(crate) voice: Option<usize>,
}

/// Whether outlets are numbers, given that the state is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounded {
    /// Only looking at all of them tells.
    No,
    /// They are, whatever comes in.
    Always,
    /// No outlet is ever larger than the largest inlet or 1.
    ByInlets,
}

/// A type of module.
pub(crate) struct Kind {
    pub(crate) spec: ModuleSpec,
    /// What a port takes, by its index: inlets, then parameters.
    pub(crate) width: fn(usize) -> Width,
    /// Lanes of each outlet; 0 for none.
    pub(crate) outlets: fn(Lanes) -> [usize; OUTLETS_MAX],
    /// Bit n: outlet n is rendered even if nobody listens to it; given which inlets are connected.
    pub(crate) always: fn(u32) -> u32,
    /// Words of state.
    pub(crate) state_words: fn(&Build) -> usize,
    /// Writes the state a module begins with.
    pub(crate) reset: fn(&Build, &mut [u64]),
    /// Renders a stretch of at most a block.
    pub(crate) render: fn(&mut Panel<'_>),
    /// Called at the last frame of each block, wherever the block was cut.
    pub(crate) end_block: fn(&Build, &mut [u64]),
    /// Takes what it is told, from the next frame on; with what its parameters are set to.
    pub(crate) tell: fn(&Build, &mut [u64], Told, &[f32]),
    /// Where a parameter of a voice (from 0) is going.
    pub(crate) voice_param: fn(&Build, &mut [u64], usize, usize) -> Option<f32>,
    /// Whether its outlets are numbers as long as its state is sound: then the last frame of a
    /// block tells.
    pub(crate) bounded: Bounded,
    /// Whether a choice that changes is bridged and coming back a fade, so that no step is heard.
    pub(crate) bridged: bool,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kind({})", self.spec.name)
    }
}

impl Kind {
    /// A type without state whose ports and one outlet have as many lanes as it has voices. Where
    /// it is given state, that begins as zeros.
    pub(crate) const fn new(spec: ModuleSpec, render: fn(&mut Panel<'_>)) -> Kind {
        Kind {
            spec,
            width: |_| Width::Voices,
            outlets: |lanes| [lanes.voices, 0, 0, 0],
            always: |_| 0b1,
            state_words: |_| 0,
            reset: |_, state| state.fill(0),
            render,
            end_block: |_, _| {},
            tell: |_, _, _, _| {},
            voice_param: |_, _, _, _| None,
            bounded: Bounded::No,
            bridged: true,
        }
    }

    /// The kind of a catalog type.
    pub(crate) fn of(spec: &ModuleSpec) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.spec.name == spec.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Lanes};
    use crate::catalog::catalog;
    use crate::catalog::panel::{OUTLETS_MAX, PORTS_MAX};

    #[test]
    fn every_type_of_the_catalog_fits_its_panel() {
        for spec in catalog() {
            let kind = Kind::of(spec).expect("a type of the catalog");
            assert!(spec.inlets.len() + spec.params.len() <= PORTS_MAX, "{}", spec.name);
            assert!(spec.outlets.len() <= OUTLETS_MAX, "{}", spec.name);
            let lanes = (kind.outlets)(Lanes { voices: 5, control: 1 });
            let named = lanes.iter().take_while(|lanes| **lanes > 0).count();
            assert!(named == spec.outlets.len() || spec.name == "out", "{}", spec.name);
        }
    }
}
