//! The log on standard error, written by a thread of its own.
//!
//! *Invariant*: whoever logs never waits for a terminal or a pipe. What does not fit any more is
//! dropped. Playout does not log at all.

use std::io::IsTerminal;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::cli::settings::LogFormat;

/// Begins to log, as much as `SEGUE_LOG_FILTER` asks for (`debug`, or a module and its level)
/// or what a user wants to know; what is pending is written out when the guard is dropped.
pub(super) fn begin(format: LogFormat) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let filter =
        EnvFilter::try_from_env("SEGUE_LOG_FILTER").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second engine in one process, as in tests, keeps the log of the first.
    let _ = match format {
        LogFormat::Human => log.with_target(false).with_ansi(colours).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_target(false).try_init(),
    };
    guard
}
