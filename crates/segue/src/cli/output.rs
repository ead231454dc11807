//! Standard output, for data. A reader that has gone (`segue modules | head -1`) is no mistake.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use crate::exit::Exit;

/// Writes a line to standard output, as `println!` does, but ends quietly where nobody reads.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}
pub(crate) use tell;

/// What [`tell`] does.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        let exit = if error.kind() == ErrorKind::BrokenPipe { Exit::Done } else { Exit::Io };
        std::process::exit(exit.code().into());
    }
}
