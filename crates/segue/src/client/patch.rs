//! `segue load` and `segue save`: a whole patch into a running engine, and out of it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use rosc::{OscMessage, OscType};

use super::address;
use super::conversation::ask_by_stream;
use crate::cli::output::tell;
use crate::cli::{LoadArgs, SaveArgs};
use crate::exit::{Exit, Failure};
use crate::offline;

/// A proof, and the workers' preparations, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(20);

/// Applies a patch to the engine, which goes over to it while it plays.
pub(crate) fn load(args: &LoadArgs) -> Result<ExitCode, Failure> {
    let text = offline::read_patch(&args.patch)?;
    // Told here with file and line; what the engine has to add is about room and time.
    offline::check_text(&args.patch, &text)?;
    let fade = args.fade.map_or(10.0, |fade| fade.as_secs_f32() * 1000.0);
    let message = OscMessage {
        addr: "/patch/apply".to_owned(),
        args: vec![OscType::String(text), OscType::Float(fade)],
    };
    ask(address(&args.engine), &message).map(|_| {
        tell!("ok");
        Exit::Done.into()
    })
}

/// Writes the patch that plays into the show folder of the engine, or to standard output.
pub(crate) fn save(args: &SaveArgs) -> Result<ExitCode, Failure> {
    let engine = address(&args.engine);
    let (addr, name) = match args.name.as_deref() {
        Some("-") => ("/patch/get", None),
        name => ("/patch/save", name),
    };
    let words = name.into_iter().map(|name| OscType::String(name.to_owned()));
    let answer = ask(engine, &OscMessage { addr: addr.to_owned(), args: words.collect() })?;
    match answer.get(1) {
        Some(OscType::String(text)) => tell!("{}", text.trim_end()),
        _ => return Err(Failure::new(Exit::Io, format!("{engine} gave an answer without text"))),
    }
    Ok(Exit::Done.into())
}

/// The arguments of the answer, if it is no refusal.
fn ask(engine: SocketAddr, message: &OscMessage) -> Result<Vec<OscType>, Failure> {
    let answer = ask_by_stream(engine, message, PATIENCE)?;
    match answer {
        Some(answer) if answer.addr == "/done" => Ok(answer.args),
        Some(answer) => {
            let text = |at: usize| match answer.args.get(at) {
                Some(OscType::String(text)) => text.as_str(),
                _ => "",
            };
            Err(Failure::new(Exit::No, format!("{}: {}", text(1), text(2))))
        }
        None => Err(Failure::new(Exit::TryAgain, format!("{engine} closed without an answer"))),
    }
}
