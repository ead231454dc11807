//! Devices: who asks playout for frames, and how a device's troubles are kept from the music.
//!
//! | file | is |
//! |---|---|
//! | [`deck`] | the one playout that all drivers share, and the token |
//! | [`line`](mod@line) | a stream's line to the deck, and what is seen of it |
//! | [`timer`], [`pace`] | the driver without a device |
//! | [`backend`] | what a kind of device has to be able to do |
//! | [`opener`] | opens, closes and looks again, on threads nobody waits for |
//!
//! The monitor decides who drives, by the calls that arrive (`segue_lockstep::monitor`).

pub(crate) mod backend;
#[cfg(any(feature = "alsa", feature = "pipewire"))]
mod cpal;
pub(super) mod deck;
mod jack;
pub(crate) mod line;
pub(super) mod opener;
mod pace;
mod pulse;
pub(super) mod timer;
