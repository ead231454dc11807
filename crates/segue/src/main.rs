//! A headless modular synthesizer that does not stop.

mod cli;
mod exit;
mod files;
mod offline;
mod osc;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use cli::{Cli, Verb};
use exit::{Exit, Failure};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => perform(&cli).unwrap_or_else(|failure| {
            eprintln!("segue: {failure}");
            failure.exit.into()
        }),
        Err(error) => {
            // Help and version are asked for; anything else is a mistake.
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason for another message.
            let _ = error.print();
            if asked { Exit::Done } else { Exit::Usage }.into()
        }
    }
}

fn perform(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.verb {
        Verb::Render(args) => offline::render(args),
        Verb::Check(args) => offline::check::check(args),
        Verb::Modules(args) => offline::modules::modules(args),
        _ => Err(Failure::new(Exit::Bug, "not connected yet")),
    }
}
