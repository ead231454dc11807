//! What `segue chaos` can be asked for.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::EngineArgs;
use super::duration::parse as parse_duration;

/// Options of `chaos`.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// The same seed is the same campaign [default: one by chance, which is told]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How long, in time of the music [default: 30s]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) length: Option<Duration>,
    /// One blow each [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) every: Option<Duration>,
    /// What is drawn from [default: all but `poison` and `all`]
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',')]
    pub(crate) faults: Option<Vec<Fault>>,
    /// Reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A way to hurt an engine from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Fault {
    /// SIGKILL to a worker
    Kill,
    /// SIGSTOP to a worker, and SIGCONT later
    Stop,
    /// A worker loses its priority while all processors are busy
    Slow,
    /// A quarter of the free memory is taken, a gigabyte at most
    Memory,
    /// SIGKILL to control
    Control,
    /// SIGSTOP to control
    Hang,
    /// Bits flip in what a worker has published
    Corrupt,
    /// A command that kills whoever applies it, to a module of type `fault` in the patch
    Poison,
    /// SIGKILL to all workers at once: this is heard, as a fade and back in time
    All,
}

impl Fault {
    /// Those that nobody may hear.
    pub(crate) const UNHEARD: [Self; 7] = [
        Self::Kill,
        Self::Stop,
        Self::Slow,
        Self::Memory,
        Self::Control,
        Self::Hang,
        Self::Corrupt,
    ];

    /// As it is asked for.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Slow => "slow",
            Self::Memory => "memory",
            Self::Control => "control",
            Self::Hang => "hang",
            Self::Corrupt => "corrupt",
            Self::Poison => "poison",
            Self::All => "all",
        }
    }
}
