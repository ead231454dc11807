//! Work without an engine: rendering files, checking patches, showing the catalog.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod modules;
mod output;
mod patch;
pub(crate) mod player;
mod render_journal;
mod render_patch;
mod score;

use std::process::ExitCode;

use crate::cli::RenderArgs;
use crate::exit::Failure;
use crate::files::journal::JournalReader;

pub(crate) use patch::{compile, patch_tempo, read_patch};
pub(crate) use score::frame_of;

/// `segue render`: a journal if the input begins like one or is called one, else a patch.
pub(crate) fn render(args: &RenderArgs) -> Result<ExitCode, Failure> {
    let called_one = args.input.extension().is_some_and(|it| it == "journal");
    if called_one || JournalReader::looks_like_one(&args.input) {
        return render_journal::render(args);
    }
    render_patch::render(args)
}
