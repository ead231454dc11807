//! How a control process begins: the first compiles the patch and opens the files, a later one
//! finds out where the show is and goes on.

mod resume;
mod standing;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::inbox::{Count, Inbox};
use segue_lockstep::memory::plans::{Plans, TooLong};
use segue_rack::Plan;
use segue_sys::futex;

use self::standing::Standing;
use super::desk::backlog;
use super::desk::mirror::Mirror;
use super::follow::{Keeper, Place, Recorder, Shelf};
use super::memo::Memo;
use crate::cli::resume::Resume;
use crate::cli::settings::{JournalChoice, Settings};
use crate::exit::{Exit, Failure};
use crate::files::folder;
use crate::files::journal::{Header, JournalError};
use crate::files::wav::WavError;
use crate::host::prover::Outcome;
use crate::host::{ControlSeat, ToControl, ToSupervisor};
use crate::offline::{self, build};

/// A share of what may be kept: a journal is followed by another one, so that the oldest can go.
/// It is not longer than can be gone through in a moment, which is what `--resume` does.
const JOURNALS_KEPT: u64 = 32;

/// What a control process begins with.
pub(super) struct Beginning {
    /// What plays.
    pub(super) plan: Plan,
    /// Which edition that is.
    pub(super) edition: u32,
    /// What stands where.
    pub(super) mirror: Mirror,
    /// What is being written, and what is wrong.
    pub(super) memo: Memo,
    /// The journal, and where further ones go.
    pub(super) journal: (Option<Keeper>, Option<Shelf>),
    /// The recording.
    pub(super) recorder: Option<Recorder>,
    /// Where the timeline begins.
    pub(super) mark: Mark,
    /// A patch to go over to, as soon as all are there.
    pub(super) wanted: Option<String>,
}

/// Begins a show, or goes on with one. What goes wrong here ends the engine before it has played
/// a block.
pub(super) fn first(seat: &ControlSeat) -> Result<Beginning, Failure> {
    let settings = &seat.settings;
    let patch = patch(settings)?;
    if let Resume::From(path, _) = &settings.resume {
        let header = resume::header(path)?;
        let show = resume::read(&settings.setup(), path, &header);
        let is_of = |asked: &Asked| resume::is_of(&header, &show, &asked.plan);
        let Some(asked) = patch.as_ref().filter(|asked| !is_of(asked)) else {
            return resume::go_on(seat, path, header, show?);
        };
        let other = format!("the patch is another one than that of {}", path.display());
        let Ok(show) = show else {
            let text = format!("{other}, which cannot be gone on with: it begins afresh");
            return afresh(seat, patch, Some(text));
        };
        let mut beginning = resume::go_on(seat, path, header, show)?;
        let text = format!("{other}: that show goes on, and goes over to it");
        eprintln!("{text}");
        beginning.memo.complain(text);
        beginning.wanted = Some(asked.text.clone());
        return Ok(beginning);
    }
    afresh(seat, patch, None)
}

/// A patch as it was asked for.
#[derive(Clone)]
struct Asked {
    name: String,
    text: String,
    plan: Plan,
}

fn patch(settings: &Settings) -> Result<Option<Asked>, Failure> {
    let Some(path) = &settings.patch else { return Ok(None) };
    let text = offline::read_patch(path)?;
    let plan = offline::compile(&path.display().to_string(), &text, &settings.setup())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = if plan.title().is_empty() { stem } else { plan.title().to_owned() };
    Ok(Some(Asked { name, text, plan }))
}

fn afresh(
    seat: &ControlSeat,
    patch: Option<Asked>,
    problem: Option<String>,
) -> Result<Beginning, Failure> {
    let settings = &seat.settings;
    let (name, text, plan) = match patch {
        None => (String::new(), String::new(), Plan::empty(&settings.setup())),
        Some(Asked { name, text, plan }) => (name, text, plan),
    };
    let mut memo = Memo { patch: name, text, modules: ids(&plan), ..Memo::default() };
    let header = header_of(settings, &memo, (0, &plan));
    if let Some(problem) = problem {
        eprintln!("{problem}");
        memo.complain(problem);
    }
    let mark = Mark { block: 0, cursor: 0 };
    let mirror = Mirror::new(&plan);
    offer_all(&seat.plans, &header)?;
    begin(seat, Standing { edition: 0, plan, mirror }, memo, header, (mark, None))
}

/// Opens the files of a show whose plans are offered to the workers.
fn begin(
    seat: &ControlSeat,
    standing: Standing,
    mut memo: Memo,
    header: Header,
    (mark, state): (Mark, Option<&[u64]>),
) -> Result<Beginning, Failure> {
    let settings = &seat.settings;
    // A show that is gone on with was heard; another patch is proved before it is.
    if settings.patch.is_some() && state.is_none() {
        prove(seat, &standing.plan, &mut memo)?;
    }
    let keeper = open_journal(settings, &header, &mut memo, (mark, state))?;
    let recorder = match &settings.record {
        None => None,
        Some(path) => {
            let path = named(settings, path);
            Some(Recorder::create(&path, &seat.shape, mark.block).map_err(not_recorded)?)
        }
    };
    memo.journal = keeper.as_ref().map(|keeper| keeper.path().to_owned());
    memo.recording = recorder.as_ref().map(Recorder::recording);
    let journal = (keeper, shelf(settings, header));
    let Standing { edition, plan, mirror } = standing;
    Ok(Beginning { plan, edition, mirror, memo, journal, recorder, mark, wanted: None })
}

/// Offers the workers what they begin with.
fn offer_all(plans: &Plans, header: &Header) -> Result<(), Failure> {
    let mut base = None;
    for (edition, plan) in &header.editions {
        offer(plans, *edition, base, plan)?;
        base = Some(*edition);
    }
    Ok(())
}

/// Offers a plan to the workers.
fn offer(plans: &Plans, edition: u32, base: Option<u32>, plan: &[u8]) -> Result<(), Failure> {
    let refused = |error: TooLong| Failure::new(Exit::BadInput, error.to_string());
    plans.write(edition.into(), base.map(u64::from), plan).map_err(refused)?;
    futex::wake(plans.bell());
    Ok(())
}

/// Where further journals of the show go.
fn shelf(settings: &Settings, header: Header) -> Option<Shelf> {
    let place = match &settings.journal {
        JournalChoice::Off => return None,
        JournalChoice::Named(path) => Place::After(absolute(path)),
        JournalChoice::Default => Place::Folder(absolute(&settings.show.join("journal"))),
    };
    Some(Shelf::new(header, place, bytes_max(settings)))
}

fn ids(plan: &Plan) -> Vec<String> {
    plan.modules().iter().map(|module| module.id().to_owned()).collect()
}

/// Where a file that was asked for by name goes. A name is taken where a show was gone on with,
/// and nothing is overwritten: the next one that is free.
fn named(settings: &Settings, path: &Path) -> PathBuf {
    let path = absolute(path);
    if settings.resume == Resume::No { path } else { folder::free(&path) }
}

/// Has the first plan proved before anybody plays it. `[control]`
fn prove(seat: &ControlSeat, plan: &Plan, memo: &mut Memo) -> Result<(), Failure> {
    let lost = |error: io::Error| Failure::new(Exit::Unavailable, format!("no proof: {error}"));
    let check = plan.hash() as u32;
    seat.link.send(&ToSupervisor::Prove { plan: 0, check }).map_err(lost)?;
    let ToControl::Proved { outcome, .. } = seat.link.answer().map_err(lost)?;
    let sentence = outcome.sentence(plan, &seat.settings.setup());
    if outcome.refuses() {
        let text = format!("the patch is refused before it is heard: {sentence}");
        return Err(Failure::new(Exit::BadInput, text));
    }
    memo.cost_ns = outcome.block_ns();
    if let Outcome::Unproved(_) = outcome {
        memo.complain(format!("the patch plays without a proof: {sentence}"));
    }
    Ok(())
}

fn open_journal(
    settings: &Settings,
    header: &Header,
    memo: &mut Memo,
    (mark, state): (Mark, Option<&[u64]>),
) -> Result<Option<Keeper>, Failure> {
    let path = match &settings.journal {
        JournalChoice::Off => return Ok(None),
        JournalChoice::Named(path) => named(settings, path),
        JournalChoice::Default => {
            let journals = settings.show.join("journal");
            fs::create_dir_all(&journals).map_err(|error| {
                let text = format!(
                    "cannot create the folder {}: {error}; choose another one with --show, or \
                     do without with --no-journal",
                    journals.display()
                );
                Failure::new(Exit::of_output(&error), text)
            })?;
            let name = format!("{}.journal", folder::timestamp(SystemTime::now()));
            let path = folder::free(&journals.join(name));
            for problem in folder::prune(&journals, "journal", settings.journal_keep, &path) {
                memo.complain(problem);
            }
            path
        }
    };
    let keeper = match state {
        None => Keeper::create(&path, header, bytes_max(settings)),
        Some(state) => Keeper::begin_with(&path, header, mark, state, bytes_max(settings)),
    };
    match keeper {
        Ok(keeper) => Ok(Some(keeper)),
        Err(error) => {
            let exit = match &error {
                JournalError::Io { source, .. } => Exit::of_output(source),
                _ => Exit::CannotCreate,
            };
            Err(Failure::new(exit, format!("{error}; choose another name with --journal")))
        }
    }
}

/// Status is read from elsewhere: a path must mean the same there.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A journal in the show folder is bounded; one that was asked for by name is kept whole.
fn bytes_max(settings: &Settings) -> u64 {
    match settings.journal {
        JournalChoice::Default => settings.journal_keep / JOURNALS_KEPT,
        JournalChoice::Named(_) | JournalChoice::Off => u64::MAX,
    }
}

fn not_recorded(error: WavError) -> Failure {
    let exit = match &error {
        WavError::Io { source, .. } => Exit::of_output(source),
        WavError::Exists { .. } | WavError::Foreign { .. } => Exit::CannotCreate,
    };
    Failure::new(exit, format!("{error}; choose another name with --record"))
}

/// Goes on with a show whose control process has died. Nothing here may end the engine: what
/// cannot be gone on with becomes a problem that status shows.
pub(super) fn again(seat: &ControlSeat) -> Result<Beginning, Failure> {
    let lost = |text: &str| Failure::new(Exit::Bug, text);
    let standing = Standing::of(seat).map_err(|why| lost(&why))?;
    let mut memo = Memo::read(&seat.inbox).unwrap_or_default();
    let reopened = memo.journal.clone().and_then(|path| {
        let reopened = Keeper::reopen(&path, bytes_max(&seat.settings));
        let lose = |error: JournalError| {
            memo.complain(format!("the journal ended: {error}"));
            memo.lose_journal(&error.to_string());
        };
        reopened.map_err(lose).ok()
    });
    let (keeper, header) = reopened.unzip();
    let Standing { edition, plan, mirror } = standing;
    let header = header.unwrap_or_else(|| header_of(&seat.settings, &memo, (edition, &plan)));
    let recorder = memo.recording.clone().and_then(|recording| {
        let reopened = Recorder::reopen(&recording);
        reopened.map_err(|error| memo.complain(format!("the recording ended: {error}"))).ok()
    });
    memo.journal = keeper.as_ref().map(|keeper| keeper.path().to_owned());
    memo.recording = recorder.as_ref().map(Recorder::recording);
    tell_lost(&seat.inbox, &mut memo);
    let mark = seat.orders.beginning();
    let journal = (keeper, shelf(&seat.settings, header));
    Ok(Beginning { plan, edition, mirror, memo, journal, recorder, mark, wanted: None })
}

/// What a journal says of the show that plays.
fn header_of(settings: &Settings, memo: &Memo, (edition, plan): (u32, &Plan)) -> Header {
    Header {
        build: build::VERSION.to_owned(),
        layout: build::layout(),
        rate: settings.rate,
        channels: settings.channels,
        state_bytes: settings.state_bytes,
        title: memo.patch.clone(),
        patch: plan.source().to_owned(),
        began_with: plan.music(),
        editions: vec![(edition, plan.to_bytes())],
        start_block: 0,
    }
}

/// What waited for room in a control that has died is lost: whole bundles, and all of them. Who
/// sent it is not known here.
fn tell_lost(inbox: &Inbox, memo: &mut Memo) {
    // Written by one that is not trusted any more.
    let lost = inbox.waiting().min((backlog::BOUND + backlog::RESERVED) as u64);
    inbox.set_waiting(0);
    if lost > 0 {
        inbox.add(Count::Dropped, lost);
        let text = format!(
            "{lost} messages that waited for room ended with the control process they waited in; \
             they are not applied, and have to be sent again"
        );
        eprintln!("{text}");
        memo.complain(text);
    }
}

/// Where a recording of this name goes; none if it is no name for a file.
pub(super) fn recording_path(show: &Path, asked: Option<&str>) -> Result<PathBuf, String> {
    let name = match asked {
        Some(asked) => folder::file_name(asked, "wav").map_err(|error| error.to_string())?,
        None => format!("{}.wav", folder::timestamp(SystemTime::now())),
    };
    let recordings = show.join("recordings");
    fs::create_dir_all(&recordings).map_err(|error| error.to_string())?;
    Ok(folder::free(&recordings.join(name)))
}
