//! A headless modular synthesizer that does not stop.

mod cli;
mod client;
mod control;
mod doctor;
mod exit;
mod files;
mod host;
mod listen;
mod offline;
mod osc;

use std::process::ExitCode;

use clap::error::ErrorKind;

use cli::config::Config;
use cli::settings::Settings;
use cli::{Cli, Verb};
use exit::{Exit, Failure};

/// The program: what its arguments ask for, as an exit code.
#[must_use]
pub fn main() -> ExitCode {
    segue_sys::process::priority::ignore_file_size_signal();
    // A child is told apart before anything else is done: a worker should start at once.
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("worker") => return host::worker_main().into(),
        Some("rtkit") => return host::rtkit::clerk_main().into(),
        Some("prover") => return host::prover::prover_main().into(),
        Some("control") => return control_main().into(),
        _ => {}
    }
    match cli::parse() {
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

fn control_main() -> Exit {
    match host::take_control_seat() {
        Ok(seat) => control::main(seat),
        Err(error) => {
            eprintln!("segue control is started by segue run: {error}");
            Exit::Usage
        }
    }
}

fn perform(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.verb {
        Verb::Run(args) => {
            let config = Config::load(cli.config.as_deref())?;
            let settings = cli::resume::found(Settings::resolve(args, &config)?)?;
            Ok(host::run(&settings).into())
        }
        Verb::Demo(args) => client::demo::demo(args),
        Verb::Render(args) => offline::render(args),
        Verb::Check(args) => offline::check::check(args),
        Verb::Modules(args) => offline::modules::modules(args),
        Verb::Send(args) => client::send::send(args),
        Verb::Load(args) => client::patch::load(args),
        Verb::Save(args) => client::patch::save(args),
        Verb::Stop(args) => client::stop::stop(args),
        Verb::Status(args) => client::status::status(args),
        Verb::Listen(args) => listen::listen(args),
        Verb::Chaos(args) => client::chaos::chaos(args),
        Verb::Doctor(args) => doctor::doctor(args, &Config::load(cli.config.as_deref())?),
        Verb::Devices(args) => client::devices::devices(args),
        Verb::Worker | Verb::Control | Verb::Prover | Verb::Rtkit => {
            Err(Failure::new(Exit::Usage, "this is started by segue run"))
        }
    }
}
