//! A headless modular synthesizer that does not stop.

mod cli;
mod exit;
mod files;
mod osc;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
