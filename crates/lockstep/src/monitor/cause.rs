//! Causes in words: a death is explained by its evidence.

use super::observe::{Note, Process};

/// What the kernel sends to a process that runs into a limit on processor time.
const SIGXCPU: i32 = 24;

/// Why a guest must go, as the monitor found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It left a note.
    Note(Note),
    /// It was stopped by a signal.
    Stopped,
    /// Its breadcrumb stood while its own processor clock went on, in nanoseconds.
    Looping(u64),
    /// It published a block that is torn, damaged or not finite.
    BadBlock,
    /// Somebody else wrote over the words it sits on.
    Overwritten,
    /// It had work and did nothing for so long, in nanoseconds.
    Starved(u64),
    /// Its block, or its state before it, differs from what others have.
    Diverged(u64),
    /// Its block differs from what follows from the state that two had agreed on.
    Overruled(u64),
    /// It is of another build.
    Build(u64),
    /// The kernel says it is over.
    Over,
}

impl Evidence {
    /// Whether the guest did it itself. `[any]`
    #[must_use]
    pub fn is_own_fault(&self, process: &Process) -> bool {
        match self {
            Self::Note(note) => note.is_own_fault(),
            Self::Looping(_)
            | Self::BadBlock
            | Self::Diverged(_)
            | Self::Overruled(_)
            | Self::Build(_) => true,
            Self::Stopped | Self::Starved(_) | Self::Overwritten => false,
            Self::Over => matches!(process, Process::Exited { .. } | Process::Failed),
        }
    }

    /// The cause in words. `[control]`
    #[must_use]
    pub fn text(&self, process: &Process) -> String {
        match self {
            Self::Note(note) if note.signal == 0 => "panicked".to_owned(),
            Self::Note(note) => {
                let name = signal_name(note.signal);
                if note.si_code > 0 {
                    format!("crashed with {name} at address {:#x}", note.address)
                } else {
                    format!("killed by {name}, sent from outside")
                }
            }
            Self::Stopped => "stopped from outside (SIGSTOP), then killed and replaced".to_owned(),
            Self::Looping(cpu_ns) => {
                format!("looped: {:.1} ms of processor time at one breadcrumb", ms(*cpu_ns))
            }
            Self::BadBlock => "published a damaged block".to_owned(),
            Self::Overwritten => "its slot was written over by somebody else".to_owned(),
            Self::Starved(ns) => format!("had work and did none for {:.0} ms", ms(*ns)),
            Self::Diverged(block) => format!("block {block} differs from what others have"),
            Self::Overruled(block) => {
                format!("block {block} differs from what follows from the trusted checkpoint")
            }
            Self::Build(build) => format!("is of another build ({build:016x})"),
            Self::Over => match process {
                Process::Killed { signal: SIGXCPU } => {
                    "killed by SIGXCPU, as who uses more processor time at once than a limit \
                     allows (RLIMIT_RTTIME, which rtkit wants, or RLIMIT_CPU)"
                        .to_owned()
                }
                Process::Killed { signal } => format!("killed by {}", signal_name(*signal)),
                Process::Exited { code } => format!("exited with code {code}"),
                Process::Failed => "could not be started".to_owned(),
                _ => "is gone".to_owned(),
            },
        }
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// A signal's name. `[any]`
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        19 => "SIGSTOP",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::Evidence;
    use crate::monitor::observe::Process;

    #[test]
    fn a_worker_that_ran_into_a_limit_on_its_time_is_told_which() {
        let cause = Evidence::Over.text(&Process::Killed { signal: 24 });
        assert!(cause.contains("SIGXCPU") && cause.contains("RLIMIT_RTTIME"), "{cause}");
        assert!(!Evidence::Over.is_own_fault(&Process::Killed { signal: 24 }));
    }
}
