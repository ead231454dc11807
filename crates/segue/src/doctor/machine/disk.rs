//! The disk of the show folder: whether a journal and a recording can be written in time.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::doctor::finding::Finding;

/// As long as the trial may take.
const TRIAL: Duration = Duration::from_secs(1);
/// As much as it writes.
const TRIAL_BYTES: usize = 8 << 20;
/// Written at once: what a journal and a recording of eight channels give in half a second.
const PIECE: usize = 1 << 20;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// The nearest folder that exists.
    exists: PathBuf,
    /// Why nothing could be written.
    error: Option<String>,
    free_bytes: Option<u64>,
    bytes_a_second: f64,
    sync_ms_worst: f64,
}

impl Disk {
    /// Tries the folder, or the nearest one above that exists; nothing is left there.
    pub(crate) fn look(folder: &Path) -> Self {
        let exists = folder.ancestors().find(|it| it.is_dir()).unwrap_or(Path::new("."));
        let mut seen =
            Self { folder: folder.to_owned(), exists: exists.to_owned(), ..Self::default() };
        if let Ok(space) = rustix::fs::statvfs(exists) {
            seen.free_bytes = Some(space.f_bavail.saturating_mul(space.f_frsize));
        }
        if let Err(error) = seen.try_out() {
            seen.error = Some(error.to_string());
        }
        seen
    }

    fn try_out(&mut self) -> std::io::Result<()> {
        let path = self.exists.join(format!(".segue-doctor-{}", std::process::id()));
        let mut file = File::create_new(&path)?;
        // Its name goes at once: whatever happens now, nothing is left behind.
        std::fs::remove_file(&path)?;
        let piece = vec![0x5e; PIECE];
        let (start, mut written) = (Instant::now(), 0);
        while written < TRIAL_BYTES && start.elapsed() < TRIAL {
            file.write_all(&piece)?;
            let synced = Instant::now();
            file.sync_data()?;
            let sync_ms = synced.elapsed().as_secs_f64() * 1000.0;
            self.sync_ms_worst = self.sync_ms_worst.max(sync_ms);
            written += PIECE;
        }
        self.bytes_a_second = written as f64 / start.elapsed().as_secs_f64().max(1e-6);
        Ok(())
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let folder = self.folder.display();
        if let Some(error) = &self.error {
            let text = format!("nothing can be written to {folder}: {error}");
            return vec![
                Finding::bad("show folder", text)
                    .cure(format!("sudo install -d -o \"$USER\" {folder}  # or `--show DIR`")),
            ];
        }
        let rate = self.bytes_a_second / 1e6;
        let text = format!(
            "{rate:.0} MB/s in {folder}, {:.0} ms at worst until it is safe",
            self.sync_ms_worst
        );
        let slow = if rate < 1.0 {
            Finding::bad("disk", format!("{text}: too slow for a journal and a recording"))
                .cure("segue run --show DIR  # a folder on another disk, or `--no-journal`")
        } else if rate < 8.0 || self.sync_ms_worst > 500.0 {
            Finding::warn("disk", text)
                .cure("segue run --show DIR  # a folder on a faster disk, for long recordings")
        } else {
            Finding::ok("disk", text)
        };
        [Some(slow), self.judge_space()].into_iter().flatten().collect()
    }

    fn judge_space(&self) -> Option<Finding> {
        let free = self.free_bytes?;
        let text = format!("{} MiB free for {}", free >> 20, self.folder.display());
        let cure = format!("du -xh {} | sort -h | tail  # or `--show DIR`", self.exists.display());
        Some(match free >> 20 {
            0..64 => Finding::bad("disk space", text).cure(cure),
            64..2048 => Finding::warn("disk space", text).cure(cure),
            _ => Finding::ok("disk space", text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Disk;
    use crate::doctor::finding::Grade;

    #[test]
    fn the_trial_measures_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let seen = Disk::look(&root.path().join("not/there/yet"));
        assert_eq!((seen.error.as_deref(), seen.exists.as_path()), (None, root.path()));
        assert!(seen.bytes_a_second > 0.0 && seen.free_bytes > Some(0));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn slow_full_and_forbidden_disks_are_told_apart() {
        let well = Disk {
            bytes_a_second: 90e6,
            free_bytes: Some(9 << 30),
            sync_ms_worst: 5.0,
            ..Disk::default()
        };
        let grades = |disk: Disk| disk.judge().iter().map(|it| it.grade).collect::<Vec<_>>();
        assert_eq!(grades(well.clone()), [Grade::Ok, Grade::Ok]);
        let slow = Disk { bytes_a_second: 0.5e6, ..well.clone() };
        assert_eq!(grades(slow), [Grade::Bad, Grade::Ok]);
        let sticky = Disk { sync_ms_worst: 900.0, ..well.clone() };
        assert_eq!(grades(sticky), [Grade::Warn, Grade::Ok]);
        let full = Disk { free_bytes: Some(1 << 20), ..well.clone() };
        assert_eq!(grades(full), [Grade::Ok, Grade::Bad]);
        let forbidden = Disk { error: Some("denied".into()), ..well };
        assert_eq!(grades(forbidden), [Grade::Bad]);
    }
}
