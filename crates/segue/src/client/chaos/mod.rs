//! `segue chaos`: hurts a running engine on purpose, by seed, and finds out whether anybody could
//! have heard it.
//!
//! What was heard is what the journal says was played, block by block; it is held against what
//! the commands in it render to. Not verified: what a device made of it.

mod draw;
mod poison;
mod report;
mod strike;
mod vitals;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;
use segue_lockstep::memory::status::{Counter, Fact};
use segue_sys::clock;
use segue_sys::event::Signals;
use segue_sys::process;

use super::status::{Seen, pause};
use super::visit;
use crate::cli::chaos::{ChaosArgs, Fault};
use crate::control::memo::Memo;
use crate::exit::{Exit, Failure};
use crate::host::door::Visit;
use crate::offline::compare::{Compared, compare};
use draw::{Blow, campaign};
use poison::Poison;
use report::{End, Report, Struck};
use vitals::Vitals;

/// How often the engine is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long it may take until nothing is left of a blow.
const HEALING: Duration = Duration::from_secs(30);
/// How long the journal may be behind what was played.
const JOURNAL: Duration = Duration::from_secs(5);

/// Hurts, waits until it is whole again, goes on; then compares.
pub(crate) fn chaos(args: &ChaosArgs) -> Result<ExitCode, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let faults = args.faults.clone().unwrap_or_else(|| Fault::UNHEARD.to_vec());
    let length = args.length.unwrap_or(Duration::from_secs(30));
    let every = args.every.unwrap_or(Duration::from_secs(1));
    let blows = campaign(seed, &faults, length, every);
    let visit = visit(&args.engine)?;
    let mut journals = vec![journal(&visit)?];
    let signals = Signals::catch(&[Signal::INT, Signal::TERM].map(Signal::as_raw))
        .map_err(|error| Failure::new(Exit::Bug, format!("no signals: {error}")))?;
    if !until(HEALING, || is_whole(&visit)) {
        let problems = Seen::look(&visit).snapshot.problems.join("; ");
        let text = format!("the engine is not whole to begin with: {problems}");
        return Err(Failure::new(Exit::TryAgain, text));
    }
    let mut poison = match faults.contains(&Fault::Poison) {
        true => Some(Poison::find(&args.engine, &visit)?),
        false => None,
    };
    eprintln!("seed {seed}: {} blows in {:.0} s of music", blows.len(), length.as_secs_f64());
    let mut report = Report::begin(seed, Toll::of(&visit));
    let from = visit.orders.playhead();
    for blow in &blows {
        let is_asked_to_end = || {
            follow(&visit, &mut journals);
            signals.take().is_some()
        };
        match wait_for(&visit, from, blow.at, is_asked_to_end) {
            Waited::Long => {}
            Waited::Ended => {
                return Err(Failure::new(Exit::Unavailable, "the engine has ended meanwhile"));
            }
            Waited::Interrupted => {
                eprintln!("asked to end: what was done so far is reported");
                break;
            }
        }
        let struck = hurt(&visit, blow, poison.as_mut())?;
        report.deaths(&visit.status.deaths());
        follow(&visit, &mut journals);
        if !report.struck(&struck) {
            break;
        }
    }
    // Asked a second time it ends at once.
    process::unblock_signals();
    report.end(Toll::of(&visit), heard(&visit, &mut journals, from..visit.orders.playhead()));
    report.show(args.json);
    Ok(if report.is_unheard() { Exit::Done } else { Exit::No }.into())
}

/// What an engine has gone through, and what it holds.
struct Toll {
    failovers: u64,
    deaths: u64,
    none_reads: u64,
    restarts: u64,
    vitals: Vitals,
}

impl Toll {
    fn of(visit: &Visit) -> Self {
        Self {
            failovers: visit.status.counter(Counter::Failovers),
            deaths: visit.status.counter(Counter::Deaths),
            none_reads: visit.status.counter(Counter::NoneReads),
            restarts: restarts(visit),
            vitals: Vitals::of(visit.pid),
        }
    }
}

/// The journal that is being written.
fn journal(visit: &Visit) -> Result<PathBuf, Failure> {
    let path = Memo::read(&visit.inbox).and_then(|memo| memo.journal);
    let path = path.ok_or_else(|| {
        let text = "the engine keeps no journal, so nobody can tell what was heard; start it \
                    without --no-journal";
        Failure::new(Exit::NoInput, text)
    })?;
    // Its own folder, where the path is not from the root on.
    let folder = std::fs::read_link(format!("/proc/{}/cwd", visit.pid)).unwrap_or_default();
    Ok(folder.join(path))
}

/// How a wait ended.
enum Waited {
    /// It was as long as was asked for.
    Long,
    /// The engine has ended.
    Ended,
    /// Somebody wants no more of it.
    Interrupted,
}

/// Waits until the music is so far from block `from`.
fn wait_for(
    visit: &Visit,
    from: u64,
    at: Duration,
    mut is_asked_to_end: impl FnMut() -> bool,
) -> Waited {
    let blocks = at.as_secs_f64() * f64::from(visit.shape.rate) / 64.0;
    loop {
        if is_asked_to_end() {
            return Waited::Interrupted;
        }
        if visit.orders.playhead() >= from + blocks as u64 {
            return Waited::Long;
        }
        if visit.ended(LOOK_EVERY) {
            return Waited::Ended;
        }
    }
}

fn hurt(visit: &Visit, blow: &Blow, poison: Option<&mut Poison>) -> Result<Struck, Failure> {
    let (deaths, restarts) = (visit.status.counter(Counter::Deaths), restarts(visit));
    let judged = Poison::judged(visit);
    let began_ns = clock::monotonic_ns();
    let done = match (blow.fault, poison) {
        (Fault::Poison, Some(poison)) => poison.send(blow.seed),
        _ => strike::strike(visit, blow),
    };
    if let Err(error) = done {
        if error.kind() == io::ErrorKind::PermissionDenied {
            let text = format!("'{}' is not permitted: {error}", blow.fault.word());
            return Err(Failure::new(Exit::Permission, text));
        }
        // Whoever was meant has ended between the look and the blow.
        return Ok(Struck { fault: blow.fault, end: End::Missed });
    }
    let is_noticed = || match blow.fault {
        Fault::Kill | Fault::All => visit.status.counter(Counter::Deaths) > deaths,
        Fault::Poison => Poison::judged(visit) > judged,
        Fault::Control | Fault::Hang => self::restarts(visit) > restarts,
        // It may be over before anybody notices.
        Fault::Stop | Fault::Slow | Fault::Memory | Fault::Corrupt => true,
    };
    let is_whole = until(HEALING, || is_noticed() && is_whole(visit));
    let took = Duration::from_nanos(clock::monotonic_ns() - began_ns);
    let end = if is_whole { End::Whole(took) } else { End::Unhealed };
    Ok(Struck { fault: blow.fault, end })
}

fn restarts(visit: &Visit) -> u64 {
    visit.status.fact(Fact::ControlRestarts)
}

/// Whether all slots are in lockstep and control answers.
fn is_whole(visit: &Visit) -> bool {
    Seen::look(visit).is_whole() && visit.status.fact(Fact::ControlState) == 1
}

/// Looks until it is so, for so long at most.
fn until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until_ns = clock::monotonic_ns() + patience.as_nanos() as u64;
    while !is_so() {
        if clock::monotonic_ns() >= until_ns {
            return false;
        }
        pause(LOOK_EVERY);
    }
    true
}

/// Takes note of the journal that is written by now: one that is full, or was deleted, is followed
/// by another.
fn follow(visit: &Visit, journals: &mut Vec<PathBuf>) {
    journals.extend(journal(visit).ok().filter(|path| journals.last() != Some(path)));
}

/// What was heard, once the journals have all of it; `journals` are those that were written so far.
fn heard(visit: &Visit, journals: &mut Vec<PathBuf>, blocks: std::ops::Range<u64>) -> Compared {
    until(JOURNAL, || {
        follow(visit, journals);
        visit.inbox.tap_cursor() >= blocks.end
    });
    let count = blocks.end - blocks.start;
    let mut all = Compared { until: blocks.start, ..Compared::default() };
    let (mut done, mut last) = (0, Compared::default());
    // Which journal is the last, control may say a moment after it has begun.
    until(JOURNAL, || {
        follow(visit, journals);
        while done + 1 < journals.len() {
            all = all.and(found_in(&journals[done], all.until..blocks.end));
            done += 1;
            // To compare takes a while, in which more than one may be filled.
            follow(visit, journals);
        }
        last = found_in(&journals[done], all.until..blocks.end);
        all.blocks + last.blocks >= count
    });
    let mut all = all.and(last);
    all.unknown += count.saturating_sub(all.blocks);
    all
}

/// What one journal tells; of one that cannot be read the blocks are counted as not known.
fn found_in(path: &Path, blocks: std::ops::Range<u64>) -> Compared {
    compare(path, blocks).unwrap_or_else(|failure| {
        eprintln!("{}: {failure}", path.display());
        Compared::default()
    })
}
