//! `segue listen`: what a file or a running engine sounds like, in numbers.
//!
//! | file | hears |
//! |---|---|
//! | [`played`] | what a running engine plays, from the tap |
//! | [`replica`] | one module of it, from an instrument that plays along here |
//!
//! Both only read the engine's memory: nothing waits for who listens.

mod played;
mod replica;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use segue_hear::{Ear, Report};
use segue_rack::TEMPO;
use serde_json::{Value, json};

use crate::cli::listen::ListenArgs;
use crate::cli::output::tell;
use crate::client::visit;
use crate::control::memo::Memo;
use crate::exit::{Exit, Failure};
use crate::files::sound::{SoundError, SoundFile};
use crate::host::door::Visit;
use crate::offline::{frame_of, patch_tempo};

/// How long an engine is listened to.
const LIVE: Duration = Duration::from_secs(8);

/// What was heard, and of what.
struct Heard {
    report: Report,
    /// In a few words.
    source: String,
    /// The same as data.
    source_json: Value,
    /// Why it is less than what was asked for, or not quite that.
    flaw: Option<Failure>,
}

/// Listens and tells.
pub(crate) fn listen(args: &ListenArgs) -> Result<ExitCode, Failure> {
    let time = |tempo| args.length.map(|length| length.time(tempo)).transpose();
    let usage = |error| {
        Failure::new(Exit::Usage, format!("{error}: say it with --tempo, as in --tempo 120"))
    };
    let heard = match &args.file {
        Some(path) => hear_file(path, time(args.tempo).map_err(usage)?)?,
        None => {
            let visit = visit(&args.engine)?;
            let tempo = args.tempo.or_else(|| tempo_of(&visit));
            let length = time(tempo).map_err(usage)?.unwrap_or(LIVE);
            match &args.from {
                None => played::hear(visit, length)?,
                Some(from) => replica::hear(visit, from, length)?,
            }
        }
    };
    if args.json {
        let mut value = json(&heard.report);
        value["source"] = heard.source_json;
        tell!("{}", serde_json::to_string_pretty(&value).expect("a report can be written"));
    } else {
        tell!("{:10} {}\n{}", "source", heard.source, heard.report);
    }
    heard.flaw.map_or(Ok(Exit::Done.into()), Err)
}

/// The tempo of the patch that an engine plays; none where its text is not known any more. One
/// without a patch has that of a patch that does not say.
fn tempo_of(visit: &Visit) -> Option<f64> {
    let memo = Memo::read(&visit.inbox)?;
    let is_empty = memo.patch.is_empty() && memo.text.is_empty();
    if is_empty { Some(TEMPO) } else { patch_tempo(&memo.text) }
}

/// A report as data.
pub(crate) fn json(report: &Report) -> Value {
    serde_json::to_value(report).expect("a report is data")
}

/// An ear for what we play, whose rate and channels are such as it can hear.
pub(crate) fn ear(rate: u32, channels: usize) -> Ear {
    Ear::new(rate, channels).expect("every setup can be heard")
}

fn hear_file(path: &Path, length: Option<Duration>) -> Result<Heard, Failure> {
    let mut file = SoundFile::open(path).map_err(not_read)?;
    let bad = |error: segue_hear::EarError| {
        Failure::new(Exit::BadInput, format!("{}: {error}", path.display()))
    };
    let mut ear = Ear::new(file.rate, file.channels).map_err(bad)?;
    let frames = length.map_or(u64::MAX, |length| frame_of(length, file.rate));
    let mut samples = Vec::new();
    let mut flaw = None;
    while ear.frames() < frames {
        file.read(&mut samples).map_err(not_read)?;
        if samples.is_empty() {
            flaw = file.damage().map(not_read);
            break;
        }
        let left = usize::try_from(frames - ear.frames()).unwrap_or(usize::MAX);
        let wanted = samples.len().min(left.saturating_mul(file.channels));
        ear.hear(&samples[..wanted]);
    }
    let source = path.display().to_string();
    Ok(Heard { report: ear.report(), source_json: json!({ "file": source }), source, flaw })
}

fn not_read(error: SoundError) -> Failure {
    let exit = match &error {
        SoundError::Io { source, .. } => Exit::of_input(source),
        _ => Exit::BadInput,
    };
    Failure::new(exit, error.to_string())
}
