//! `segue check`: every mistake in a patch, and with `--prove` what playing it would show.

use std::process::ExitCode;

use segue_rack::{Mistake, Plan, Setup};
use serde::Serialize;
use serde_json::{Value, json};

use super::patch;
use crate::cli::output::tell;
use crate::cli::{CheckArgs, settings};
use crate::exit::{Exit, Failure};
use crate::host::prover::{self, Outcome};

#[derive(Serialize)]
struct Told<'a> {
    file: &'a str,
    #[serde(flatten)]
    mistake: &'a Mistake,
}

/// Prints the mistakes, or that there are none.
pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let name = if args.patch.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        args.patch.display().to_string()
    };
    let text = patch::read_patch(&args.patch)?;
    let state_bytes = usize::try_from(settings::state_bytes(args.state)?).unwrap_or(usize::MAX);
    let setup = Setup { state_bytes, ..Setup::default() };
    let mut told: Vec<Value> = Vec::new();
    let refused = match patch::plan(&text, &setup) {
        Err(mistakes) => {
            for mistake in &mistakes {
                let entry = serde_json::to_value(Told { file: &name, mistake });
                told.push(entry.expect("mistakes can be written"));
                say(args, &mistake.render(&name, &text));
            }
            true
        }
        Ok(plan) => {
            let outcome = args.prove.then(|| prove(&plan, &setup)).transpose()?;
            let refused = outcome.as_ref().is_some_and(Outcome::refuses);
            let proof = outcome.map(|outcome| (outcome.word(), outcome.sentence(&plan, &setup)));
            match proof {
                Some((code, text)) if refused => {
                    say(args, &format!("{name}: error: {text}"));
                    told.push(json!({ "file": name, "code": code, "text": text }));
                }
                Some((_, text)) => {
                    say(args, &format!("{name}: ok, {} modules; {text}", plan.modules().len()));
                }
                None => say(args, &format!("{name}: ok, {} modules", plan.modules().len())),
            }
            refused
        }
    };
    if args.json {
        tell!("{}", serde_json::to_string_pretty(&told).expect("mistakes can be written"));
    }
    Ok(if refused { Exit::BadInput } else { Exit::Done }.into())
}

fn say(args: &CheckArgs, text: &str) {
    if !args.json {
        tell!("{text}");
    }
}

fn prove(plan: &Plan, setup: &Setup) -> Result<Outcome, Failure> {
    prover::prove(&plan.to_bytes(), setup)
        .map_err(|error| Failure::new(Exit::Bug, format!("no proof can be made: {error}")))
}
