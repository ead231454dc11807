//! How the program ends: one number a cause, as in sysexits, so that scripts can tell.

/// The exit status of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Done, and the answer is no.
    No = 1,
    /// The command line means nothing.
    Usage = 64,
    /// A bad patch, journal or command file.
    BadInput = 65,
    /// No such input.
    NoInput = 66,
    /// No such device, or no engine there.
    Unavailable = 69,
    /// Our bug.
    Bug = 70,
    /// A file cannot be created, or exists already.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Not now: port in use, already running, time-out.
    TryAgain = 75,
    /// Not permitted.
    Permission = 77,
    /// A bad config file.
    Config = 78,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// What a failed opening or creation of an input means.
    pub(crate) fn of_input(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NoInput,
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::Io,
        }
    }

    /// What a failed creation of an output means.
    pub(crate) fn of_output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            std::io::ErrorKind::AlreadyExists
            | std::io::ErrorKind::NotFound
            | std::io::ErrorKind::NotADirectory
            | std::io::ErrorKind::IsADirectory
            | std::io::ErrorKind::ReadOnlyFilesystem => Self::CannotCreate,
            _ => Self::Io,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An end with a sentence for the user: what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// The sentence.
    pub(crate) text: String,
}

impl Failure {
    /// The failure that ends in `exit`, told as `text`.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
}
