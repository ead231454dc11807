//! A patch from a file to a plan, with every mistake told.

use std::io::Read;
use std::path::Path;

use segue_rack::{Mistake, Patch, Plan, Setup};

use crate::exit::{Exit, Failure};

/// The text of a patch; `-` is standard input.
pub(crate) fn read_patch(path: &Path) -> Result<String, Failure> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let text = format!("no patch {}", path.display());
            Failure::new(Exit::NoInput, text)
        }
        std::io::ErrorKind::InvalidData => {
            let text = format!("{} is no patch: it is not UTF-8 text", path.display());
            Failure::new(Exit::BadInput, text)
        }
        _ => {
            let text = format!("cannot read {}: {error}", path.display());
            Failure::new(Exit::of_input(&error), text)
        }
    })
}

/// Quarter notes a minute of a patch; none of a text that is none.
pub(crate) fn patch_tempo(text: &str) -> Option<f64> {
    Patch::parse(text).ok().map(|patch| patch.tempo())
}

/// Whether a patch is one, for whatever engine.
pub(crate) fn check_text(path: &Path, text: &str) -> Result<(), Failure> {
    // As much room as there can be: the engine knows how much it has.
    let setup = Setup { state_bytes: 1 << 32, ..Setup::default() };
    compile(&path.display().to_string(), text, &setup).map(|_| ())
}

/// The plan of a patch, or every mistake in it.
pub(crate) fn plan(text: &str, setup: &Setup) -> Result<Plan, Vec<Mistake>> {
    Plan::compile(&Patch::parse(text)?, setup)
}

/// The plan of a patch, or a failure that shows every mistake in it.
pub(crate) fn compile(name: &str, text: &str, setup: &Setup) -> Result<Plan, Failure> {
    plan(text, setup).map_err(|mistakes| {
        let shown: Vec<_> = mistakes.iter().map(|it| it.render(name, text)).collect();
        Failure::new(Exit::BadInput, shown.join("\n"))
    })
}
