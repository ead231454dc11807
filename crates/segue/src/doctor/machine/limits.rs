//! Limits: real-time priority, locked memory and descriptors, as this user has them.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use segue_sys::process::priority::{self, Urgency};
use segue_sys::process::thread_id;

use crate::doctor::finding::Finding;
use crate::host::cures;
use crate::host::rtkit::bus::Bus;

/// As much as the largest process of an engine locks, in bytes: most of it is reserved and never
/// touched, by the threads of a sound server's library.
const LOCKED: u64 = 512 << 20;
/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Descriptors an engine needs with a few connections of clients.
const DESCRIPTORS: u64 = 256;

/// How real-time priority was had, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Priority {
    /// At this level, by the kernel.
    Kernel(u32),
    /// At this level, by rtkit.
    Rtkit(u32),
    /// Refused by both, for these reasons.
    Refused {
        /// The kernel's.
        kernel: String,
        /// That of rtkit, or of the bus.
        rtkit: String,
    },
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    priority: Priority,
    /// Bytes of memory that may be locked; none for as many as there are.
    locked: Option<u64>,
    /// Whether locking what there is worked.
    lock: Result<(), String>,
    /// Open files; none for as many as there are.
    files: Option<u64>,
}

impl Limits {
    /// Looks, and tries on a thread of its own.
    pub(crate) fn look() -> Self {
        let priority = match on_a_thread(by_kernel) {
            Ok(level) => Priority::Kernel(level),
            Err(kernel) => match on_a_thread(by_rtkit) {
                Ok(level) => Priority::Rtkit(level),
                Err(rtkit) => Priority::Refused { kernel, rtkit },
            },
        };
        let privileged = rustix::thread::capabilities(None)
            .is_ok_and(|it| it.effective.contains(rustix::thread::CapabilitySet::IPC_LOCK));
        Self {
            priority,
            locked: getrlimit(Resource::Memlock).maximum.filter(|_| !privileged),
            lock: priority::lock_memory().map_err(|error| error.to_string()),
            files: getrlimit(Resource::Nofile).maximum,
        }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        vec![self.judge_priority(), self.judge_memory(), self.judge_files()]
    }

    fn judge_priority(&self) -> Finding {
        let check = "real-time priority";
        match &self.priority {
            Priority::Kernel(level) => {
                Finding::ok(check, format!("granted by the kernel, level {level}"))
            }
            Priority::Rtkit(level) => {
                Finding::ok(check, format!("granted by rtkit, level {level}"))
            }
            Priority::Refused { kernel, rtkit } => {
                let text = format!(
                    "refused (the kernel: {kernel}; rtkit: {rtkit}): on a busy machine blocks \
                     will be missed"
                );
                cures::PRIORITY.iter().fold(Finding::bad(check, text), |it, line| it.cure(*line))
            }
        }
    }

    fn judge_memory(&self) -> Finding {
        let check = "locked memory";
        match (self.locked, &self.lock) {
            (Some(limit), _) if limit < LOCKED => {
                let text = format!(
                    "at most {} KiB may be locked, an engine needs about {} MiB: under pressure \
                     its pages may have to be read from a disk",
                    limit >> 10,
                    LOCKED >> 20
                );
                mended(Finding::warn(check, text))
            }
            (_, Err(why)) => {
                mended(Finding::warn(check, format!("memory cannot be locked: {why}")))
            }
            (None, Ok(())) => Finding::ok(check, "as much as there is"),
            (Some(limit), Ok(())) => Finding::ok(check, format!("up to {} MiB", limit >> 20)),
        }
    }

    fn judge_files(&self) -> Finding {
        let check = "open files";
        match self.files {
            Some(limit) if limit < DESCRIPTORS => {
                Finding::warn(check, format!("at most {limit}: few clients can connect"))
                    .cure(format!("ulimit -n {}", 4 * DESCRIPTORS))
            }
            Some(limit) => Finding::ok(check, format!("up to {limit}")),
            None => Finding::ok(check, "as many as there are"),
        }
    }
}

/// Tries on a thread that ends with the trial; one that hangs with a bus is left alone.
fn on_a_thread(trial: fn() -> Result<u32, String>) -> Result<u32, String> {
    let (tell, hear) = channel();
    let begun = thread::Builder::new().name("trial".into()).spawn(move || {
        // Whoever asked may have gone on already.
        let _ = tell.send(trial());
    });
    begun.map_err(|error| error.to_string())?;
    hear.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("no answer".to_owned()))
}

fn by_kernel() -> Result<u32, String> {
    priority::ask_realtime(Urgency::Playout).map_err(|error| error.to_string())?;
    Ok(priority::scheduling(0).map_or(0, |it| it.level))
}

fn by_rtkit() -> Result<u32, String> {
    let bus = Bus::reach()?;
    bus.grant(std::process::id(), thread_id(), bus.most())?;
    Ok(priority::scheduling(0).map_or(0, |it| it.level))
}

fn mended(finding: Finding) -> Finding {
    cures::MEMORY.iter().fold(finding, |it, line| it.cure(*line))
}

#[cfg(test)]
mod tests {
    use super::{Limits, Priority};
    use crate::doctor::finding::Grade;

    fn well() -> Limits {
        Limits { priority: Priority::Kernel(75), locked: None, lock: Ok(()), files: Some(20_000) }
    }

    fn grades(limits: &Limits) -> Vec<Grade> {
        limits.judge().iter().map(|it| it.grade).collect()
    }

    #[test]
    fn what_is_granted_is_well_and_what_is_refused_has_a_cure() {
        assert_eq!(grades(&well()), [Grade::Ok; 3]);
        let by_rtkit = Limits { priority: Priority::Rtkit(20), ..well() };
        assert_eq!(grades(&by_rtkit), [Grade::Ok; 3]);
        let priority = Priority::Refused { kernel: "denied".into(), rtkit: "no bus".into() };
        let refused = Limits { priority, ..well() };
        assert_eq!(grades(&refused), [Grade::Bad, Grade::Ok, Grade::Ok]);
        let cure = refused.judge()[0].cure.join("\n");
        assert!(cure.contains("/etc/security/limits.d/") && cure.contains("@audio - rtprio 95"));
    }

    #[test]
    fn the_usual_eight_mebibytes_of_locked_memory_are_too_few() {
        let usual = Limits { locked: Some(8 << 20), ..well() };
        assert_eq!(grades(&usual), [Grade::Ok, Grade::Warn, Grade::Ok]);
        let refused = Limits { lock: Err("no".into()), ..well() };
        assert_eq!(grades(&refused), [Grade::Ok, Grade::Warn, Grade::Ok]);
        let few = Limits { files: Some(64), ..well() };
        assert_eq!(grades(&few), [Grade::Ok, Grade::Ok, Grade::Warn]);
    }
}
