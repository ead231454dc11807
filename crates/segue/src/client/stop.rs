//! `segue stop`: ends a running engine and waits until it has ended.

use std::process::ExitCode;
use std::time::Duration;

use super::{not_visited, visit};
use crate::cli::StopArgs;
use crate::exit::{Exit, Failure};

/// Asks the engine to end in order.
pub(crate) fn stop(args: &StopArgs) -> Result<ExitCode, Failure> {
    let visit = visit(&args.engine)?;
    visit.stop().map_err(not_visited)?;
    let timeout = args.timeout.unwrap_or(Duration::from_secs(10));
    if visit.ended(timeout) {
        return Ok(Exit::Done.into());
    }
    let text = format!("process {} has not ended after {:.1} s", visit.pid, timeout.as_secs_f64());
    Err(Failure::new(Exit::TryAgain, text))
}
