//! Memory: how much is left, and whether pages are being moved to a disk.

use std::path::Path;

use crate::doctor::finding::Finding;

/// What was seen, in KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    total: Option<u64>,
    available: Option<u64>,
    swap_total: u64,
    swap_free: u64,
}

/// An engine with all it maps, and room for what else happens, in KiB.
const ENOUGH: u64 = 256 << 10;

impl Memory {
    /// Looks at the machine whose files lie under `root`.
    pub(crate) fn look(root: &Path) -> Self {
        let text = std::fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        Self {
            total: of("MemTotal"),
            available: of("MemAvailable"),
            swap_total: of("SwapTotal").unwrap_or(0),
            swap_free: of("SwapFree").unwrap_or(0),
        }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if let (Some(total), Some(available)) = (self.total, self.available) {
            let text = format!("{} of {} MiB free", available >> 10, total >> 10);
            found.push(match available {
                it if it < ENOUGH => {
                    Finding::warn("memory", text).cure("ps -eo pid,rss,comm --sort=-rss | head")
                }
                _ => Finding::ok("memory", text),
            });
        }
        let used = self.swap_total.saturating_sub(self.swap_free);
        let text = match self.swap_total {
            0 => "none".to_owned(),
            total => format!("{} of {} MiB used", used >> 10, total >> 10),
        };
        // What is locked is not moved; all else of an engine may wait, so this is no danger yet.
        found.push(if used > ENOUGH {
            Finding::warn("swap", text).cure("sudo swapoff -a  # if there is memory enough")
        } else {
            Finding::ok("swap", text)
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::doctor::finding::Grade;

    fn grades(text: &str) -> Vec<Grade> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/meminfo"), text).unwrap();
        Memory::look(root.path()).judge().iter().map(|it| it.grade).collect()
    }

    #[test]
    fn little_memory_and_much_swap_in_use_are_said() {
        let well = "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\nSwapTotal: 0 kB\n";
        assert_eq!(grades(well), [Grade::Ok, Grade::Ok]);
        let short = "MemTotal: 4000000 kB\nMemAvailable: 100000 kB\n\
                     SwapTotal: 2000000 kB\nSwapFree: 1000000 kB\n";
        assert_eq!(grades(short), [Grade::Warn, Grade::Warn]);
        assert_eq!(grades(""), [Grade::Ok]);
    }
}
