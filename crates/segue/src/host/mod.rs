//! The processes of one engine: the supervisor, its workers, and the seat of its control.
//!
//! The supervisor parses nothing from outside, renders nothing, and touches no disk once it
//! runs. Everything it decides about workers comes from `segue_lockstep`; this is the loop
//! around it, with real processes and a real clock.

pub(crate) mod cures;
pub(crate) mod device;
pub(crate) mod door;
#[cfg(feature = "fault")]
pub(crate) mod fault;
mod ports;
pub(crate) mod prover;
pub(crate) mod rtkit;
mod seat;
mod supervisor;
mod wire;
mod worker;

use std::io;

use segue_sys::process;

pub(crate) use seat::{ControlSeat, take_control_seat};
pub(crate) use supervisor::run;
pub(crate) use wire::{ToControl, ToSupervisor};
pub(crate) use worker::worker_main;

/// What every child does first: dies with its parent, leaves the terminal alone, is of the
/// same build, and turns a panic into its end.
fn settle(parent: u32, build: u64, name: &str) -> io::Result<()> {
    process::die_with_parent(parent).map_err(io::Error::other)?;
    process::ignore_terminal();
    // Only now: what came from the terminal meanwhile is ignored, not met.
    process::unblock_signals();
    process::name_thread(name);
    abort_on_panic();
    if wire::build()? == build {
        Ok(())
    } else {
        Err(io::Error::other("this program was rebuilt while it was running"))
    }
}

/// A panic in any thread ends the process, after its words: what is left would be a torso, and
/// there is somebody who replaces it.
fn abort_on_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        told(info);
        std::process::abort();
    }));
}
