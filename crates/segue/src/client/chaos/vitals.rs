//! What a process holds, to see whether it grows.

use std::fs;

use serde::Serialize;

/// Of one process, and its children that nobody has asked after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Vitals {
    /// Open descriptors.
    pub(super) descriptors: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Resident memory, in KiB.
    pub(super) memory_kib: u64,
    /// Children that have ended and were not reaped.
    pub(super) zombies: u64,
}

impl Vitals {
    /// Of the process `pid`; zeros for what may not be known.
    pub(super) fn of(pid: u32) -> Self {
        let entries = |folder: &str| {
            fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, |found| found.count() as u64)
        };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Self {
            descriptors: entries("fd"),
            threads: entries("task"),
            memory_kib: field(&status, "VmRSS:").unwrap_or(0),
            zombies: zombies(pid),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn zombies(parent: u32) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        field(&status, "PPid:") == Some(parent.into()) && status.contains("\nState:\tZ")
    };
    processes.filter(is_ours).count() as u64
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Vitals;

    #[test]
    fn a_child_that_was_not_waited_for_and_an_open_file_are_counted() {
        let own = std::process::id();
        let before = Vitals::of(own);
        assert!(before.threads >= 2 && before.memory_kib > 0);
        let _open = std::fs::File::open("/proc/self/status").unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        while Vitals::of(own).zombies <= before.zombies {
            std::thread::yield_now();
        }
        assert!(Vitals::of(own).descriptors > 3);
        child.wait().unwrap();
    }
}
