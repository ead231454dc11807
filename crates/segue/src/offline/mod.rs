//! Work without an engine: rendering files, checking patches, showing the catalog.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod editions;
pub(crate) mod modules;
mod output;
mod patch;
pub(crate) mod player;
mod render_journal;
mod render_patch;
mod score;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::RenderArgs;
use crate::exit::{Exit, Failure};
use crate::files::journal::JournalReader;

pub(crate) use patch::{check_text, compile, patch_tempo, read_patch};
pub(crate) use score::frame_of;

/// `segue render`: a journal if the input begins like one or is called one, else a patch.
pub(crate) fn render(args: &RenderArgs) -> Result<ExitCode, Failure> {
    spare_what_is_read(args)?;
    let called_one = args.input.extension().is_some_and(|it| it == "journal");
    if called_one || JournalReader::looks_like_one(&args.input) {
        return render_journal::render(args);
    }
    render_patch::render(args)
}

/// What is read is never what is written: `--force` would empty it before its first sample.
fn spare_what_is_read(args: &RenderArgs) -> Result<(), Failure> {
    let out = args.out.display();
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    if args.out.as_os_str() == "-" {
        return usage("a WAV file is finished at its beginning: name a file, not -".to_owned());
    }
    let mut read = std::iter::once(&args.input).chain(&args.commands);
    match read.find(|input| is_same_file(input, &args.out)) {
        Some(_) => usage(format!("{out} is read by this very render; name another file to write")),
        None => Ok(()),
    }
}

/// Whether both are one file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| path.metadata().map(|it| (it.dev(), it.ino()));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}
