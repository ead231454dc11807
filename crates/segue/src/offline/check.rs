//! `segue check`: every mistake in a patch.

use std::process::ExitCode;

use segue_rack::{Mistake, Setup};
use serde::Serialize;

use super::patch;
use crate::cli::CheckArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};

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
    let checked = patch::plan(&text, &Setup::default());
    let mistakes = checked.as_ref().err().map_or(&[][..], Vec::as_slice);
    if args.json {
        let told: Vec<_> = mistakes.iter().map(|it| Told { file: &name, mistake: it }).collect();
        tell!("{}", serde_json::to_string_pretty(&told).expect("mistakes can be written"));
    } else {
        for mistake in mistakes {
            tell!("{}", mistake.render(&name, &text));
        }
    }
    match &checked {
        Ok(plan) => {
            if !args.json {
                tell!("{name}: ok, {} modules", plan.modules().len());
            }
            Ok(Exit::Done.into())
        }
        Err(_) => Ok(Exit::BadInput.into()),
    }
}
