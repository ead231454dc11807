//! The patches of the show folder.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::folder::{NameError, file_name, free};

/// Longest patch that is read, in bytes.
const PATCH_BYTES_MAX: u64 = 256 * 1024;

/// Why a patch was not written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatchFileError {
    /// It is no name for a file.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no such patch; some of those there are.
    #[error("no patch {} in the show folder; there are: {}", .name, .known)]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Names that could be asked for.
        known: String,
    },
    /// It cannot be a patch.
    #[error("{} has more than {PATCH_BYTES_MAX} bytes, which no patch has", .0.display())]
    TooLong(PathBuf),
    /// There is something, but no text.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The disk says no.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// The folder of patches.
#[derive(Debug)]
pub(crate) struct Patches(PathBuf);

impl Patches {
    /// That of a show folder.
    pub(crate) fn of(show: &Path) -> Self {
        let show = std::path::absolute(show).unwrap_or_else(|_| show.to_owned());
        Self(show.join("patches"))
    }

    /// Writes a patch under this name, or the next that is free: nothing is overwritten.
    pub(crate) fn save(&self, name: &str, text: &str) -> Result<PathBuf, PatchFileError> {
        let name = file_name(name, "toml")?;
        let failed = |path: &Path, source| PatchFileError::Io { path: path.to_owned(), source };
        fs::create_dir_all(&self.0).map_err(|error| failed(&self.0, error))?;
        let path = free(&self.0.join(name));
        // A patch that is there is whole.
        let half = path.with_extension("toml.part");
        let written = fs::write(&half, text).and_then(|()| fs::rename(&half, &path));
        written.map_err(|error| failed(&path, error))?;
        Ok(path)
    }

    /// Reads the patch of this name.
    pub(crate) fn load(&self, name: &str) -> Result<String, PatchFileError> {
        let path = self.0.join(file_name(name, "toml")?);
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound => {
                PatchFileError::Unknown { name: name.to_owned(), known: self.names() }
            }
            _ => PatchFileError::Unreadable { path: path.clone(), source },
        };
        let found = fs::metadata(&path).map_err(failed)?;
        // A pipe would keep whoever reads it waiting for ever.
        if !found.is_file() {
            return Err(failed(Error::new(ErrorKind::InvalidInput, "it is no file")));
        }
        if found.len() > PATCH_BYTES_MAX {
            return Err(PatchFileError::TooLong(path));
        }
        fs::read_to_string(&path).map_err(failed)
    }

    /// The first names in it.
    fn names(&self) -> String {
        const SHOWN: usize = 20;
        let Ok(entries) = fs::read_dir(&self.0) else { return "none".to_owned() };
        let stem = |entry: fs::DirEntry| {
            let path = entry.path();
            let is_patch = path.extension().is_some_and(|extension| extension == "toml");
            is_patch.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        };
        let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.ok()?)).collect();
        names.sort();
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        match (names.is_empty(), more) {
            (true, _) => "none".to_owned(),
            (false, 0) => names.join(", "),
            (false, more) => format!("{} and {more} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PatchFileError, Patches};

    #[test]
    fn what_is_saved_is_loaded_and_nothing_is_overwritten() {
        let show = tempfile::tempdir().unwrap();
        let patches = Patches::of(show.path());
        let none = patches.load("mine").unwrap_err();
        assert!(
            matches!(&none, PatchFileError::Unknown { known, .. } if known == "none"),
            "{none}"
        );
        let first = patches.save("mine", "one").unwrap();
        assert_eq!(first, show.path().join("patches/mine.toml"));
        assert_eq!(patches.save("mine.toml", "two").unwrap(), first.with_file_name("mine-2.toml"));
        assert_eq!(patches.load("mine").unwrap(), "one");
        assert_eq!(patches.load("mine-2").unwrap(), "two");
        let none = patches.load("yours").unwrap_err();
        assert!(none.to_string().ends_with("there are: mine, mine-2"), "{none}");
    }

    #[test]
    fn no_name_leads_out_of_the_folder_and_no_file_is_read_that_cannot_be_a_patch() {
        let show = tempfile::tempdir().unwrap();
        let patches = Patches::of(show.path());
        assert!(matches!(patches.load("../secret"), Err(PatchFileError::Name(_))));
        assert!(matches!(patches.save("a/b", ""), Err(PatchFileError::Name(_))));
        let path = patches.save("long", &"x".repeat(300_000)).unwrap();
        assert!(matches!(patches.load("long"), Err(PatchFileError::TooLong(long)) if long == path));
    }

    #[test]
    fn what_is_no_text_is_refused_and_not_waited_for() {
        let show = tempfile::tempdir().unwrap();
        let patches = Patches::of(show.path());
        let latin = patches.save("latin", "").unwrap();
        std::fs::write(&latin, b"segue = 1\n# \xff\n[out]\n").unwrap();
        std::fs::create_dir(latin.with_file_name("folder.toml")).unwrap();
        let pipe = latin.with_file_name("pipe.toml");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for name in ["latin", "folder", "pipe"] {
            let why = patches.load(name).unwrap_err();
            assert!(matches!(&why, PatchFileError::Unreadable { .. }), "{name}: {why}");
        }
    }
}
