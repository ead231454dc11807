//! The show folder: where recordings and journals go, and nothing outside of it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::wav::numbered;

/// Longest name of a file a client may ask for, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Why a name cannot be a file of the show folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Empty, or too long.
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes")]
    Length,
    /// It could lead elsewhere, or means something to a shell or another system.
    #[error(
        "a name is made of letters, digits, space, '-', '_' and '.', and begins with none \
             of the last three or a space"
    )]
    Form,
}

/// A file name from what a client asked for; it has no folder in it, and this extension.
pub(crate) fn file_name(asked: &str, extension: &str) -> Result<String, NameError> {
    let bare = asked.strip_suffix(extension).and_then(|name| name.strip_suffix('.'));
    let name = bare.unwrap_or(asked);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(NameError::Length);
    }
    let allowed = |letter: char| letter.is_alphanumeric() || " -_.".contains(letter);
    if !name.chars().all(allowed) || name.starts_with([' ', '-', '_', '.']) {
        return Err(NameError::Form);
    }
    Ok(format!("{name}.{extension}"))
}

/// A name that may be asked for, as near to a title as one can be; none where nothing is left.
pub(crate) fn name_of(title: &str) -> Option<String> {
    let allowed = |letter: char| letter.is_alphanumeric() || " -_.".contains(letter);
    let plain: String =
        title.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
    let mut name = plain.trim_matches([' ', '-', '_', '.']);
    name = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The first of `path`, `path-2`, … that does not exist yet.
pub(crate) fn free(path: &Path) -> PathBuf {
    let mut names = (1_u32..).map(|number| numbered(path, number));
    names.find(|name| !name.exists()).expect("there are more numbers than files")
}

/// A name made of the date and time of day, UTC: `2026-11-23-201844`.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}{second:02}")
}

/// RFC 3339 in UTC with milliseconds: `2026-11-23T20:18:44.250Z`.
pub(crate) fn rfc3339(at_ns: u64) -> String {
    let seconds = at_ns / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = at_ns / 1_000_000 % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Deletes the oldest files with this extension until the rest is within `keep` bytes; `spared`
/// stays. Gives what could not be done.
pub(crate) fn prune(folder: &Path, extension: &str, keep: u64, spared: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let meta = path.metadata().ok()?;
            let ours = path.extension().is_some_and(|it| it == extension) && meta.is_file();
            ours.then_some((meta.modified().ok()?, meta.len(), path))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
    let mut problems = Vec::new();
    for (_, length, path) in files {
        if total <= keep {
            break;
        }
        if path == spared {
            continue;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => total -= length,
            Err(error) => problems.push(format!("cannot delete {}: {error}", path.display())),
        }
    }
    problems
}

/// Year, month and day of a number of days since 1970.
///
/// *Source*: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::{NameError, file_name, free, prune, rfc3339, timestamp};

    #[test]
    fn every_title_gives_a_name_or_none() {
        assert_eq!(super::name_of("seven small voices").unwrap(), "seven small voices");
        assert_eq!(super::name_of("../Bob's jam!").unwrap(), "Bob-s jam");
        assert_eq!(super::name_of(" ☃ "), None);
        assert_eq!(super::name_of(""), None);
        for title in ["é".repeat(70), "a.".repeat(90), format!("{} x", "y".repeat(99))] {
            assert!(file_name(&super::name_of(&title).unwrap(), "toml").is_ok(), "{title}");
        }
    }

    /// S47: a file name was once taken from the network verbatim.
    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!(file_name("take 1", "wav"), Ok("take 1.wav".to_owned()));
        assert_eq!(file_name("take.wav", "wav"), Ok("take.wav".to_owned()));
        for wrong in ["../x", "/etc/passwd", "a/b", "a\\b", ".hidden", "..", "-rf", "a\0b", "a\n"] {
            assert_eq!(file_name(wrong, "wav"), Err(NameError::Form), "{wrong:?}");
        }
        for wrong in ["", ".wav", &"x".repeat(101)] {
            assert_eq!(file_name(wrong, "wav"), Err(NameError::Length), "{wrong:?}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01-000000");
        assert_eq!(at(951_827_696), "2000-02-29-123456");
        assert_eq!(at(1_795_465_124), "2026-11-23-201844");
        assert_eq!(rfc3339(1_795_465_124_250_000_000), "2026-11-23T20:18:44.250Z");
    }

    #[test]
    fn a_taken_name_is_followed_by_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        assert_eq!(free(&path), path);
        fs::write(&path, "").unwrap();
        assert_eq!(free(&path), folder.path().join("a-2.wav"));
    }

    #[test]
    fn the_oldest_go_first_and_strangers_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, age) in [("old.journal", 30), ("new.journal", 20), ("mine.txt", 40)] {
            let file = fs::File::create(path(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
        }
        assert!(prune(folder.path(), "journal", 150, &path("spared")).is_empty());
        let there = |name: &str| path(name).exists();
        assert_eq!(
            (there("old.journal"), there("new.journal"), there("mine.txt")),
            (false, true, true)
        );
        prune(folder.path(), "journal", 0, &path("new.journal"));
        assert!(there("new.journal"));
    }
}
