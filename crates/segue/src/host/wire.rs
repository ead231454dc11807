//! What the supervisor tells a child over its standard input, and what control says back.
//!
//! Both ends are the same image, so there are no versions here: the build is checked, and that
//! is all. Descriptors come in the order of the functions that take them.

use std::io;
use std::os::fd::OwnedFd;

use segue_lockstep::Shape;
use segue_sys::{Access, Region, hash};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::prover::Outcome;

/// The longest message.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// [`Shape`] as it travels.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ShapeWords {
    slots: u32,
    channels: u32,
    rate: u32,
    state_words: u64,
}

impl From<&Shape> for ShapeWords {
    fn from(shape: &Shape) -> Self {
        Self {
            slots: shape.slots as u32,
            channels: shape.channels as u32,
            rate: shape.rate,
            state_words: shape.state_words as u64,
        }
    }
}

impl From<ShapeWords> for Shape {
    fn from(words: ShapeWords) -> Self {
        Self {
            slots: words.slots as usize,
            channels: words.channels as usize,
            rate: words.rate,
            state_words: words.state_words as usize,
        }
    }
}

/// What control may ask of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// Silence, even if no worker answers.
    Panic,
    /// Try again what was given up: this slot, or all.
    Revive {
        /// The slot; none for all.
        slot: Option<u32>,
    },
    /// End in order.
    Stop,
    /// Have a plan proved.
    Prove {
        /// Its edition.
        plan: u64,
        /// The low half of its hash: an edition that was refused is written again.
        check: u32,
    },
}

/// What the supervisor answers to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToControl {
    /// What came of the proof of a plan.
    Proved {
        /// Its edition.
        plan: u64,
        /// The low half of its hash, as it was asked.
        check: u32,
        /// What was found.
        outcome: Outcome,
    },
}

/// A message as bytes.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(io::Error::other("a message to a child is too long"));
    }
    Ok(bytes)
}

/// A message from bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|error| {
        let text = format!("a message between our own processes is damaged: {error}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// Takes regions from the descriptors that came with a message, in order.
pub(super) struct Regions(pub(super) std::vec::IntoIter<OwnedFd>);

impl Regions {
    /// The next one.
    pub(super) fn next(&mut self, access: Access) -> io::Result<Region> {
        Region::adopt(self.fd()?, access)
    }

    /// The next descriptor as it is.
    pub(super) fn fd(&mut self) -> io::Result<OwnedFd> {
        self.0.next().ok_or_else(|| io::Error::other("a descriptor is missing"))
    }

    /// The next region, given its layout by `layout`.
    pub(super) fn laid<T>(
        &mut self,
        access: Access,
        layout: impl FnOnce(Region) -> Option<T>,
    ) -> io::Result<T> {
        let region = self.next(access)?;
        layout(region).ok_or_else(too_small)
    }

    /// The same of a region that has its pages on demand.
    pub(super) fn laid_on_demand<T>(
        &mut self,
        access: Access,
        layout: impl FnOnce(Region) -> Option<T>,
    ) -> io::Result<T> {
        let region = Region::adopt_on_demand(self.fd()?, access)?;
        layout(region).ok_or_else(too_small)
    }
}

fn too_small() -> io::Error {
    io::Error::other("a region is too small for its layout")
}

/// Which build this process is: the file it was started from, so that one rebuilt in place
/// cannot join its predecessor's workers.
pub(super) fn build() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata("/proc/self/exe")?;
    let when =
        (file.mtime() as u64).wrapping_mul(1_000_000_000).wrapping_add(file.mtime_nsec() as u64);
    let version = hash::bytes(0, env!("CARGO_PKG_VERSION").as_bytes());
    Ok(hash::words(version, &[file.dev(), file.ino(), file.size(), when]))
}
