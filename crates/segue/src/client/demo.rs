//! `segue demo`: a piece that is hurt while it plays, and the proof that nobody heard it.

use std::process::ExitCode;

use crate::cli::DemoArgs;
use crate::exit::{Exit, Failure};

/// Plays, hurts, compares.
pub(crate) fn demo(_args: &DemoArgs) -> Result<ExitCode, Failure> {
    Err(Failure::new(Exit::Bug, "not connected yet"))
}
