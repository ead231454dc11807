//! PulseAudio's protocol without its library: what plays on PulseAudio and on PipeWire alike.
//!
//! A conversation with the server ([`talk`]) finds the sink and makes the stream; from then on
//! one thread ([`player`]) answers the server's requests for sound. *Invariant*: that thread
//! neither allocates nor waits for anything but the server's next word; all it reads is bounded
//! and checked, for a server may be anybody's.

mod attributes;
#[cfg(test)]
mod fake;
mod news;
mod packet;
mod place;
mod player;
mod signs;
mod sinks;
mod stream;
mod tags;
mod talk;

use super::backend::{Backend, DeviceError, Kind, Listed, Opened, Wish};
use super::line::Caller;
use talk::Talk;

/// The version of the protocol that is spoken: the last one without lists of compressed formats
/// in every description. PulseAudio 1.0 and everything since understands it.
const VERSION: u16 = 20;

/// The sinks of a PulseAudio server, or of PipeWire's in its place.
#[derive(Debug)]
pub(crate) struct Pulse;

impl Backend for Pulse {
    fn kind(&self) -> Kind {
        Kind::Pulse
    }

    fn list(&self) -> Result<Vec<Listed>, DeviceError> {
        let mut talk = Talk::begin(&place::environment)?;
        Ok(sinks::list(&mut talk)?)
    }

    fn open(&self, wish: &Wish, caller: Caller) -> Result<Opened, DeviceError> {
        let talk = Talk::begin(&place::environment)?;
        stream::open(talk, wish, caller)
    }
}
