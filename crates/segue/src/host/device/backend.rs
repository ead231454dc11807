//! A backend: a kind of device that this build can play on, and what it opens.
//!
//! *Invariant*: every call may hang with its server, so each is made on a thread that nobody
//! waits for (see [`super::opener`]). A backend never brings a lost stream back: it says that it
//! is lost and waits to be dropped.

use serde::Serialize;

use super::line::Caller;
pub(crate) use crate::cli::device::Kind;
use crate::cli::settings::RATES;

/// A kind of device.
pub(crate) trait Backend: Send + Sync {
    /// Which.
    fn kind(&self) -> Kind;

    /// What could be played on now.
    fn list(&self) -> Result<Vec<Listed>, DeviceError>;

    /// Opens a stream that calls `caller` for frames; calls may come before this returns.
    fn open(&self, wish: &Wish, caller: Caller) -> Result<Opened, DeviceError>;
}

/// What is remarked of a device that its server puts to sleep while nobody plays on it: no
/// trouble.
pub(crate) const SLEEPS: &str = "suspended while nothing plays";

/// What is remarked of a device that a server has while it has none.
pub(crate) const STAND_IN: &str = "the server's stand-in for a missing device: nobody hears it";

/// What is wished of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Its name; none: the backend's choice.
    pub(crate) name: Option<String>,
    /// Frames a second; none: the device's.
    pub(crate) rate: Option<u32>,
    /// Samples a frame, 1 to 8.
    pub(crate) channels: u16,
    /// Frames to ask for at once, 16 to 4096; none: the backend's choice.
    pub(crate) period: Option<u32>,
    /// Nobody has asked for this kind: only what leads out of the machine is wanted.
    pub(crate) is_auto: bool,
}

/// An open device.
pub(crate) struct Opened {
    /// What to open it by again.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) description: String,
    /// Frames a second of what it asks for.
    pub(crate) rate: u32,
    /// Frames it asks for at once.
    pub(crate) period: u32,
    /// Said when it is opened: that the server converts the rate, say.
    pub(crate) note: Option<String>,
    /// The stream; dropping it closes it.
    pub(crate) stream: Box<dyn Stream>,
}

/// A stream that plays until it is dropped; the drop may hang with the server.
pub(crate) trait Stream: Send {
    /// What keeps it from being heard as far as the backend can tell: that it is muted, or
    /// connected to nothing.
    fn about(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A device that could be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// Of which kind.
    pub(crate) kind: Kind,
    /// What to open it by.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) description: String,
    /// Frames a second, if it has a rate of its own.
    pub(crate) rate: Option<u32>,
    /// Its channels, if it says.
    pub(crate) channels: Option<u16>,
    /// Whether it is opened where no name is given.
    pub(crate) is_default: bool,
    /// What keeps it from being heard.
    pub(crate) remark: Option<String>,
}

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    /// There is nothing of this kind on this machine now.
    #[error("{0}")]
    NoServer(String),
    /// There is no device of this name.
    #[error("no device '{name}'; there are: {}", .known.join(", "))]
    NoDevice {
        /// As it was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// It runs at another rate.
    #[error("the device runs at {device} frames a second, this engine at {asked}")]
    Rate {
        /// Its own.
        device: u32,
        /// What was wished.
        asked: u32,
    },
    /// It runs at a rate that no engine has.
    #[error(
        "the device runs at {device} frames a second, an engine at {} to {}",
        RATES.start(),
        RATES.end()
    )]
    Beyond {
        /// Its own.
        device: u32,
    },
    /// Its server is there and hangs.
    #[error("its server does not answer")]
    Silent,
    /// It cannot be opened for another reason.
    #[error("{0}")]
    Refused(String),
}

/// The backends of this build, in the order in which `auto` tries them.
pub(crate) fn backends() -> Vec<Box<dyn Backend>> {
    vec![
        Box::new(super::jack::Jack),
        #[cfg(feature = "pipewire")]
        Box::new(super::cpal::pipewire()),
        Box::new(super::pulse::Pulse),
        #[cfg(feature = "alsa")]
        Box::new(super::cpal::alsa()),
    ]
}
