//! `--resume`: which journal is gone on with, and what that asks of the engine.
//!
//! Done before anything is started: the engine is made in the shape of the show. What stands in
//! the journal beyond its first records is control's to read.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use segue_sys::clock;
use serde::{Deserialize, Serialize};

use super::settings::{self, JournalChoice, Settings};
use crate::exit::{Exit, Failure};
use crate::files::journal::{Header, JournalError, JournalReader, Record};
use crate::files::wav::numbered;
use crate::offline::build;

/// How long the engine that wrote a journal may take to be gone: it was killed a moment ago, and
/// the kernel ends nobody who waits for a disk before the disk has answered.
const WRITER_GONE: Duration = Duration::from_secs(10);
/// How often it is looked whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// Whether a show is gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Resume {
    /// Not asked for.
    No,
    /// Asked for; not looked yet.
    Asked,
    /// There is nothing to go on with, for this reason.
    Afresh(String),
    /// The show of this journal; why newer ones are none, one sentence each.
    From(PathBuf, Vec<String>),
}

/// The settings with the journal that is gone on with, in the shape of its show.
pub(crate) fn found(mut settings: Settings) -> Result<Settings, Failure> {
    if settings.resume != Resume::Asked {
        return Ok(settings);
    }
    let mut passed_over = Vec::new();
    for path in journals(&settings) {
        wait_for_writer(&path)?;
        match begin(&path) {
            Ok(header) => {
                take_shape(&mut settings, &path, &header)?;
                settings.resume = Resume::From(path, passed_over);
                return Ok(settings);
            }
            Err(JournalError::Foreign { path, what }) => {
                passed_over.push(format!("{} is passed over: {what}", path.display()));
            }
            Err(error) => return Err(unread(&error)),
        }
    }
    let place = match &settings.journal {
        JournalChoice::Named(path) => path.display().to_string(),
        _ => format!("a journal in {}", settings.show.join("journal").display()),
    };
    let mut reason = format!("there is no {place} to go on with; the show begins afresh");
    for passed in passed_over {
        reason += &format!("; {passed}");
    }
    settings.resume = Resume::Afresh(reason);
    Ok(settings)
}

/// The journals that may be gone on with, newest first. One that was asked for by name has its
/// successors beside it: `show.journal`, `show-2.journal`, and so on.
fn journals(settings: &Settings) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = match &settings.journal {
        JournalChoice::Named(path) => {
            (1_u32..).map(|number| numbered(path, number)).take_while(|it| it.exists()).collect()
        }
        _ => {
            let entries = std::fs::read_dir(settings.show.join("journal")).into_iter().flatten();
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            paths.filter(|path| path.extension().is_some_and(|it| it == "journal")).collect()
        }
    };
    let mut dated: Vec<(SystemTime, PathBuf)> = found
        .into_iter()
        .filter_map(|path| {
            let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
            // Status is read from elsewhere: a path must mean the same there.
            Some((meta.modified().ok()?, std::path::absolute(&path).unwrap_or(path)))
        })
        .collect();
    dated.sort();
    dated.into_iter().rev().map(|(_, path)| path).collect()
}

/// The header of a journal from which one can go on: it begins with block 0, or with a state.
fn begin(path: &Path) -> Result<Header, JournalError> {
    let mut journal = JournalReader::open(path)?;
    let header = journal.header().clone();
    let fits = (1..=8).contains(&header.channels)
        && settings::parse_rate(&header.rate.to_string()).is_ok()
        && settings::state_bytes(Some(header.state_bytes)).is_ok();
    if !fits {
        let what = "its header is of no engine there could be";
        return Err(JournalError::Foreign { path: path.to_owned(), what });
    }
    if header.start_block > 0 && !matches!(journal.next(), Ok(Some(Record::Checkpoint(_)))) {
        let what = "it has no state to go on from";
        return Err(JournalError::Foreign { path: path.to_owned(), what });
    }
    Ok(header)
}

/// Waits for the end of the engine that writes this journal, if it is about to end.
fn wait_for_writer(path: &Path) -> Result<(), Failure> {
    let until_ns = clock::monotonic_ns() + WRITER_GONE.as_nanos() as u64;
    // Where it cannot be opened or locked, the next step tells, or nobody can know.
    let Ok(file) = std::fs::File::open(path) else { return Ok(()) };
    while let Err(std::fs::TryLockError::WouldBlock) = file.try_lock_shared() {
        if clock::monotonic_ns() > until_ns {
            let text = format!(
                "{} is being written by an engine that runs; end it with `segue stop`, or go on \
                 in another folder with --show",
                path.display()
            );
            return Err(Failure::new(Exit::TryAgain, text));
        }
        clock::sleep_until_ns(clock::monotonic_ns() + LOOK.as_nanos() as u64);
    }
    Ok(())
}

/// The engine is made as the show was; what was asked for otherwise is refused.
fn take_shape(settings: &mut Settings, path: &Path, header: &Header) -> Result<(), Failure> {
    if header.build != build::VERSION || header.layout != build::layout() {
        let text = format!(
            "{} was written by Segue {}, whose modules differ from those of this one ({}): go on \
             with that version, or begin afresh without --resume",
            path.display(),
            header.build,
            build::VERSION
        );
        return Err(Failure::new(Exit::BadInput, text));
    }
    let refuse = |option: &str, asked: u64, was: u64| {
        let text = format!(
            "--{option} {asked}: the show of {} has {was}; leave --{option} out to go on with \
             it, or --resume to begin afresh",
            path.display()
        );
        Err(Failure::new(Exit::Usage, text))
    };
    let Settings { rate_asked, channels_asked, state_asked, .. } = *settings;
    if let Some(rate) = rate_asked.filter(|rate| *rate != header.rate) {
        return refuse("rate", rate.into(), header.rate.into());
    }
    if let Some(channels) = channels_asked.filter(|channels| *channels != header.channels) {
        return refuse("channels", channels.into(), header.channels.into());
    }
    if state_asked.is_some() && settings.state_bytes != header.state_bytes {
        return refuse("state", settings.state_bytes, header.state_bytes);
    }
    (settings.rate_asked, settings.rate) = (Some(header.rate), header.rate);
    settings.channels = header.channels;
    settings.state_bytes = header.state_bytes;
    Ok(())
}

/// A journal that is there and cannot be read is no reason to begin afresh unasked.
fn unread(error: &JournalError) -> Failure {
    let exit = match error {
        JournalError::Io { source, .. } => Exit::of_input(source),
        _ => Exit::BadInput,
    };
    Failure::new(exit, format!("{error}; without --resume the show begins afresh"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Resume, found};
    use crate::cli::RunArgs;
    use crate::cli::config::Config;
    use crate::cli::settings::{Rate, Settings};
    use crate::exit::Exit;
    use crate::files::journal::{Checkpoint, Header, JournalWriter, Record};
    use crate::offline::build;

    fn header() -> Header {
        Header {
            build: build::VERSION.to_owned(),
            layout: build::layout(),
            rate: 44_100,
            channels: 1,
            state_bytes: 1 << 18,
            title: String::new(),
            patch: String::new(),
            began_with: 0,
            editions: Vec::new(),
            start_block: 0,
        }
    }

    fn written(folder: &Path, name: &str, age_s: u64, header: &Header) {
        let path = folder.join("journal").join(name);
        std::fs::create_dir_all(folder.join("journal")).unwrap();
        JournalWriter::create(&path, header).unwrap();
        aged(&path, age_s);
    }

    fn aged(path: &Path, age_s: u64) {
        let at = UNIX_EPOCH + Duration::from_secs(1_000_000 - age_s);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    fn asked(folder: &Path) -> RunArgs {
        RunArgs { resume: true, show: Some(folder.to_owned()), ..RunArgs::default() }
    }

    fn look(args: &RunArgs) -> Result<Settings, crate::exit::Failure> {
        found(Settings::resolve(args, &Config::default()).unwrap())
    }

    #[test]
    fn the_newest_journal_is_gone_on_with_in_the_shape_of_its_show() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "b.journal", 20, &Header { rate: 96_000, ..header() });
        written(folder.path(), "a.journal", 10, &header());
        let settings = look(&asked(folder.path())).unwrap();
        let newest = folder.path().join("journal/a.journal");
        assert_eq!(settings.resume, Resume::From(newest, Vec::new()));
        assert_eq!((settings.rate, settings.rate_asked), (44_100, Some(44_100)));
        assert_eq!((settings.channels, settings.state_bytes), (1, 1 << 18));
    }

    #[test]
    fn with_a_name_its_successors_are_looked_at_and_not_the_show_folder() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "z.journal", 0, &header());
        let named = folder.path().join("show.journal");
        let args = RunArgs { journal: Some(named.clone()), ..asked(folder.path()) };
        let Resume::Afresh(reason) = look(&args).unwrap().resume else { panic!("none is there") };
        assert!(reason.contains("show.journal to go on with"), "{reason}");
        for name in ["show.journal", "show-2.journal", "show-3.journal"] {
            let path = folder.path().join(name);
            JournalWriter::create(&path, &header()).unwrap();
            aged(&path, 0);
            let from = look(&args).unwrap().resume;
            assert_eq!(from, Resume::From(path.clone(), Vec::new()));
            aged(&path, 10);
        }
    }

    #[test]
    fn what_has_no_state_yet_is_passed_over_and_said() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "whole.journal", 30, &header());
        written(folder.path(), "begun.journal", 20, &Header { start_block: 9, ..header() });
        written(folder.path(), "torn.journal", 10, &header());
        let torn = folder.path().join("journal/torn.journal");
        let bytes = std::fs::read(&torn).unwrap();
        std::fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
        aged(&torn, 10);
        let Resume::From(path, passed) = look(&asked(folder.path())).unwrap().resume else {
            panic!("one is whole")
        };
        assert!(path.ends_with("whole.journal"), "{}", path.display());
        assert_eq!(passed.len(), 2, "{passed:?}");
        assert!(passed[0].contains("torn.journal") && passed[1].contains("no state"), "{passed:?}");
        let part = folder.path().join("journal/begun.journal");
        let mut writer = JournalWriter::reopen(&part, |_| {}).unwrap().0;
        writer.push(&Record::Checkpoint(Checkpoint::new(9, 3, &[1, 2])));
        writer.flush().unwrap();
        drop(writer);
        let from = look(&asked(folder.path())).unwrap().resume;
        assert_eq!(from, Resume::From(part, Vec::new()), "it is the newest now");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_both_ways_out() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "a.journal", 10, &header());
        let asked = || asked(folder.path());
        let refused = [
            (RunArgs { rate: Some(Rate::Hz(48_000)), ..asked() }, "--rate 48000"),
            (RunArgs { channels: Some(2), ..asked() }, "--channels 2"),
            (RunArgs { state: Some(1 << 20), ..asked() }, "--state 1048576"),
        ];
        for (args, named) in refused {
            let failure = look(&args).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            let said = &failure.text;
            for part in [named, "a.journal has ", "or --resume to begin afresh"] {
                assert!(said.contains(part), "{said}");
            }
        }
        let same = RunArgs { rate: Some(Rate::Hz(44_100)), channels: Some(1), ..asked() };
        assert!(look(&RunArgs { standbys: Some(3), ..same }).is_ok());
        written(folder.path(), "b.journal", 0, &Header { build: "0.0.9".to_owned(), ..header() });
        let failure = look(&asked()).unwrap_err();
        assert_eq!(failure.exit, Exit::BadInput);
        assert!(failure.text.contains("b.journal was written by Segue 0.0.9"), "{failure}");
        assert!(failure.text.contains("without --resume"), "{failure}");
    }

    #[test]
    fn a_journal_that_is_being_written_is_left_to_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "a.journal", 10, &header());
        let path = folder.path().join("journal/a.journal");
        let _writer = JournalWriter::reopen(&path, |_| {}).unwrap();
        let failure = look(&asked(folder.path())).unwrap_err();
        assert_eq!(failure.exit, Exit::TryAgain);
        assert!(failure.text.contains("segue stop"), "{failure}");
    }
}
