//! What talks to a running engine from outside: messages over OSC, a look at its memory.

pub(crate) mod chaos;
pub(crate) mod conversation;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod patch;
pub(crate) mod report;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod stop;

use std::net::SocketAddr;

use crate::cli::EngineArgs;
use crate::exit::{Exit, Failure};
use crate::host::door::{self, DoorError, Visit};

/// Where the engine is: the first address of those named.
pub(crate) fn address(args: &EngineArgs) -> SocketAddr {
    let endpoints = args.osc.clone().unwrap_or_default();
    endpoints.0[0].addr
}

/// Looks at the engine that listens there.
pub(crate) fn visit(args: &EngineArgs) -> Result<Visit, Failure> {
    door::ask(address(args).port()).map_err(not_visited)
}

/// What a door that was not answered means.
pub(crate) fn not_visited(error: DoorError) -> Failure {
    let exit = match &error {
        DoorError::NoEngine(_) => Exit::Unavailable,
        DoorError::Forbidden => Exit::Permission,
        DoorError::Strange | DoorError::Io(_) => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}
