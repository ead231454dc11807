//! The threads of an engine: what priority they really have, and how much memory is locked.

use std::path::Path;

use segue_lockstep::memory::status::Fact;
use segue_lockstep::snapshot::Snapshot;
use segue_sys::process::priority;

use crate::doctor::finding::Finding;
use crate::host::cures;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Threads {
    /// Whether there is no clock, and so no hurry.
    freewheel: bool,
    /// Whether the engine says that it was granted: 0 no, 1 by the kernel, 2 by rtkit.
    granted: u64,
    /// Those that have real-time priority, the most urgent first.
    levels: Vec<(String, u32)>,
    /// Memory of the supervisor that stays where it is, in KiB.
    locked_kib: Option<u64>,
}

impl Threads {
    /// Looks at the threads of an engine's processes.
    pub(crate) fn look(snapshot: &Snapshot) -> Self {
        let own = snapshot.fact(Fact::Pid);
        let pids = std::iter::once(own).chain(snapshot.slots.iter().map(|slot| slot.facts.pid));
        let mut levels: Vec<_> = pids.filter(|pid| *pid != 0).flat_map(levels_of).collect();
        levels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let status = std::fs::read_to_string(format!("/proc/{own}/status")).unwrap_or_default();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
        let locked_kib = locked.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok());
        let freewheel = snapshot.device.starts_with("freewheel");
        Self { freewheel, granted: snapshot.fact(Fact::Realtime), levels, locked_kib }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let levels: Vec<_> =
            self.levels.iter().map(|(name, level)| format!("{name} {level}")).collect();
        let by = if self.granted == 2 { "rtkit" } else { "the kernel" };
        let check = "priority of the engine";
        let priority = match self.granted {
            0 if self.freewheel => Finding::ok(check, "none, and without a clock none is needed"),
            0 => {
                let finding = Finding::bad(
                    check,
                    "the driving thread has no real-time priority: blocks will be missed when \
                     the machine is busy",
                );
                cures::PRIORITY.iter().fold(finding, |it, line| it.cure(*line))
            }
            _ => Finding::ok(check, format!("by {by}: {}", levels.join(", "))),
        };
        let memory = self.locked_kib.map(|locked| match locked {
            0 => cures::MEMORY.iter().fold(
                Finding::warn("memory of the engine", "nothing of it is locked"),
                |it, line| it.cure(*line),
            ),
            _ => Finding::ok("memory of the engine", format!("{} MiB locked", locked >> 10)),
        });
        [Some(priority), memory].into_iter().flatten().collect()
    }
}

/// The threads of a process that have real-time priority.
fn levels_of(pid: u64) -> Vec<(String, u32)> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of = |path: &Path| {
        let thread = path.file_name()?.to_str()?.parse().ok()?;
        let level = priority::scheduling(thread)?.level;
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        (level > 0).then(|| (name.trim().to_owned(), level))
    };
    tasks.flatten().filter_map(|task| of(&task.path())).collect()
}

/// Whether a process stands still because it was told to.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may have anything in it, so the state is what follows its last bracket.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 't'))
}

#[cfg(test)]
mod tests {
    use super::{Threads, is_stopped};
    use crate::doctor::finding::Grade;

    #[test]
    fn a_refused_priority_is_bad_and_unlocked_memory_a_warning() {
        let grades =
            |threads: Threads| threads.judge().iter().map(|it| it.grade).collect::<Vec<_>>();
        let levels = vec![("playout".to_owned(), 75), ("segue".to_owned(), 72)];
        let well = Threads { freewheel: false, granted: 1, levels, locked_kib: Some(9000) };
        assert_eq!(grades(well.clone()), [Grade::Ok, Grade::Ok]);
        assert!(well.judge()[0].found.contains("playout 75, segue 72"));
        let poor = Threads { granted: 0, locked_kib: Some(0), ..well };
        assert_eq!(grades(poor.clone()), [Grade::Bad, Grade::Warn]);
        assert_eq!(grades(Threads { freewheel: true, ..poor }), [Grade::Ok, Grade::Warn]);
    }

    #[test]
    fn this_process_is_not_stopped() {
        assert!(!is_stopped(std::process::id()));
    }
}
