//! What is heard, in numbers: samples in, a report out, for those who cannot hear and for tests.
//!
//! An [`Ear`] is given interleaved samples as they come, in pieces of any length, and ends as a
//! [`Report`]: the same for the same samples, however they were cut. No file, no clock, no
//! engine.
//!
//! | file | measures |
//! |---|---|
//! | `levels` | peak, true peak, RMS, crest, DC, samples that are no numbers |
//! | `clipping` | runs of samples at full scale |
//! | `silence` | stretches below a threshold |
//! | `loudness` | EBU R128: integrated, momentary, short-term, range |
//! | `bands` | energy by octaves |
//! | `onsets` | where something begins |
//! | `tempo` | how often something begins |
//! | `pitch` | the one note that sounds, over time |

mod bands;
mod clipping;
mod ear;
mod levels;
mod loudness;
mod onsets;
mod pitch;
mod report;
mod silence;
mod spectrum;
mod tempo;

pub use bands::Band;
pub use clipping::Clipping;
pub use ear::{CHANNELS_MAX, Ear, EarError, RATES};
pub use levels::{ChannelLevels, Levels};
pub use loudness::Loudness;
pub use onsets::Onsets;
pub use pitch::{Note, Pitch};
pub use report::{LISTED_MAX, Report, SCHEMA};
pub use silence::{SILENT_DBFS, Silence, Stretch};
pub use tempo::Tempo;
