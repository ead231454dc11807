//! The follower: a thread that reads tap and log behind the playhead and writes them to disk.
//!
//! *Invariant*: it may be slow and it may fail, and the music goes on: the tap holds thirty
//! seconds, what is lost beyond that is marked as a gap and counted. All records of the log for
//! blocks below h are in the journal before the hashes of blocks up to h, so that a reader who
//! meets a hash knows everything that happened before; and before a record that goes over to
//! another plan stands that plan.

mod keeper;
mod recorder;
mod shelf;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender as Channel};
use std::time::{Duration, Instant};

use segue_lockstep::Shape;
use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::tap::{Found, Tap};
use segue_sys::futex;

pub(super) use keeper::Keeper;
pub(crate) use keeper::newest_checkpoint;
pub(super) use recorder::Recorder;
pub(super) use shelf::{Place, Shelf};

use super::memo::Recording;
use super::sockets::Sender;
use crate::files::journal::JournalError;

/// Blocks taken from the tap at a time: a third of a second.
const BLOCKS_AT_ONCE: u64 = 256;
/// How often the files grow where there is a clock.
const PAUSE: Duration = Duration::from_millis(20);
/// How often what was written is made safe.
const MARK: Duration = Duration::from_millis(100);
/// How often it is tried to begin a journal after one that could not be written.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What the desk asks of the follower.
#[derive(Debug)]
pub(super) enum Order {
    /// Begin a recording in this file.
    Start(Sender, PathBuf),
    /// End the recording.
    Stop(Option<Sender>),
}

/// What the follower tells the desk.
#[derive(Debug)]
pub(super) enum News {
    /// A recording began.
    Started(Sender, Recording),
    /// A recording could not begin.
    NotStarted(Sender, String),
    /// A further part of the recording began.
    NextPart(Recording),
    /// A recording was ended: by whom, where it is, and how many frames it has.
    Stopped(Option<Sender>, PathBuf, u64),
    /// Nothing was being recorded.
    NothingToStop(Sender),
    /// The recording ended because it could not be written.
    RecordingFailed(String),
    /// A journal begins, in place of the one before or after one that could not be written.
    Journal(PathBuf),
    /// The journal ended because it could not be written.
    JournalFailed(String),
    /// Something is missing from a file.
    Gap,
    /// Everything up to the end of the show is written.
    Finished,
}

/// What the follower reads.
pub(super) struct Sources {
    /// What the regions agree on.
    pub(super) shape: Shape,
    /// The log.
    pub(super) orders: Orders,
    /// What was played.
    pub(super) tap: Tap,
    /// Where it says how far it is.
    pub(super) inbox: Inbox,
    /// Where checkpoints come from.
    pub(super) slots: Vec<Slot>,
    /// Where the plans come from.
    pub(super) plans: Plans,
}

/// The follower.
pub(super) struct Follower {
    sources: Sources,
    keeper: Option<Keeper>,
    /// None where no journal is wanted.
    shelf: Option<Shelf>,
    /// When a journal that ended before the show did was last tried to be followed by another.
    tried: Instant,
    recorder: Option<Recorder>,
    /// The next block of the tap.
    block: u64,
    /// The next record of the log.
    record: u64,
    /// Verdicts that are in the journal.
    verdicts: usize,
    samples: Vec<f32>,
    news: Channel<News>,
    marked: Instant,
}

impl Follower {
    /// A follower that goes on where the files end; without any, with what is played next, which
    /// is not before `beginning`.
    pub(super) fn new(
        sources: Sources,
        beginning: Mark,
        (keeper, shelf): (Option<Keeper>, Option<Shelf>),
        recorder: Option<Recorder>,
        news: Channel<News>,
    ) -> Self {
        let samples = vec![0.0; sources.shape.block_samples()];
        let head = sources.orders.head().max(beginning.cursor);
        let played = sources.tap.head().max(beginning.block);
        let block_of_keeper = keeper.as_ref().map_or(played, Keeper::next_block);
        let block_of_recorder = recorder.as_ref().map_or(played, Recorder::next_block);
        let record = keeper.as_ref().map_or(head, Keeper::next_record);
        let block = block_of_keeper.min(block_of_recorder);
        Self {
            block,
            record,
            verdicts: 0,
            samples,
            keeper,
            shelf,
            tried: Instant::now(),
            recorder,
            news,
            marked: Instant::now(),
            sources,
        }
    }

    /// Follows until the end of the show. The thread's body.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let seen = self.sources.tap.bell().load(std::sync::atomic::Ordering::Acquire);
            let moved = self.follow();
            self.mark(false);
            if self.sources.orders.end().is_some_and(|end| self.block >= end) {
                return self.finish();
            }
            match self.pause(orders, seen, moved) {
                Ok(Some(order)) => self.perform(order),
                Ok(None) => {}
                // The desk is gone, and with it this process in a moment.
                Err(()) => return,
            }
        }
    }

    fn pause(&self, orders: &Receiver<Order>, seen: u32, moved: bool) -> Result<Option<Order>, ()> {
        let freewheel = self.sources.orders.freewheel();
        if freewheel && !moved {
            futex::wait(self.sources.tap.bell(), seen, Duration::from_millis(5));
        }
        // Without a clock playout waits for this thread; with one, larger pieces cost less.
        let timeout = if freewheel { Duration::ZERO } else { PAUSE };
        match orders.recv_timeout(timeout) {
            Ok(order) => Ok(Some(order)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    /// Takes what there is; false when there was nothing.
    fn follow(&mut self) -> bool {
        let played = self.sources.tap.head();
        // The log after the tap's head: what was played was sealed before.
        self.follow_log();
        self.follow_verdicts();
        let until = played.min(self.block + BLOCKS_AT_ONCE);
        let moved = self.block < until;
        while self.block < until {
            match self.sources.tap.read(self.block, &mut self.samples) {
                Found::Block(block) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.played(self.block, block);
                    }
                    self.record_block();
                    self.block += 1;
                }
                Found::NotYet => break,
                Found::Passed => self.skip_to(self.sources.tap.head()),
            }
        }
        if let Some(Err(error)) = self.recorder.as_mut().map(Recorder::flush) {
            self.recording_failed(&error.to_string());
        }
        if let Some(Err(error)) = self.keeper.as_mut().map(Keeper::write) {
            self.journal_failed(&error);
        }
        // Only now: on freewheel playout overwrites what lies behind the cursors, and a
        // successor goes on where the files end.
        self.sources.inbox.set_tap_cursor(self.block);
        self.sources.inbox.set_log_cursor(self.record);
        moved
    }

    fn follow_log(&mut self) {
        use segue_lockstep::memory::orders::Found as Logged;
        let head = self.sources.orders.head();
        while self.record < head {
            match self.sources.orders.record(self.record) {
                Logged::Record(record) => {
                    let plans = &self.sources.plans;
                    let keeper = self.keeper.as_mut();
                    let is_taken = keeper.is_none_or(|it| it.logged(self.record, &record, plans));
                    self.record += 1;
                    if !is_taken {
                        self.gap(self.record);
                    }
                }
                Logged::NotYet => break,
                Logged::Passed | Logged::Damaged => {
                    self.record = head;
                    self.gap(head);
                }
            }
        }
    }

    /// Verdicts before the hashes of the blocks they are about, unless those were made up.
    fn follow_verdicts(&mut self) {
        let verdicts = self.sources.orders.verdicts();
        let count = verdicts.count();
        if let Some(keeper) = &mut self.keeper {
            let new = (self.verdicts..count).filter_map(|index| verdicts.read(index));
            new.for_each(|verdict| keeper.judged(verdict));
        }
        self.verdicts = count;
    }

    fn record_block(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        match recorder.played(self.block, &self.samples) {
            Ok(None) => {}
            Ok(Some(part)) => {
                // The desk gone means this process ends; so it is with all news.
                let _ = self.news.send(News::NextPart(part));
            }
            Err(error) => self.recording_failed(&error.to_string()),
        }
    }

    /// The tap has passed: what is missing is marked in both files.
    fn skip_to(&mut self, head: u64) {
        // Not to the oldest that is left: it would be overwritten while it is read.
        self.block = self.block.max(head);
        if let Some(recorder) = &mut self.recorder {
            match recorder.gap(self.block) {
                Ok(part) => drop(self.news.send(News::NextPart(part))),
                Err(error) => self.recording_failed(&error.to_string()),
            }
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.unheard(self.block);
        }
        let _ = self.news.send(News::Gap);
    }

    /// The log has passed: replay needs a state from behind the gap.
    fn gap(&mut self, to_record: u64) {
        if let Some(keeper) = &mut self.keeper {
            keeper.gap(to_record);
        }
        let _ = self.news.send(News::Gap);
    }

    fn mark(&mut self, now: bool) {
        if !now && self.marked.elapsed() < MARK {
            return;
        }
        self.marked = Instant::now();
        if let Err(error) = self.mark_journal().and_then(|()| self.begin_next_journal()) {
            self.journal_failed(&error);
        }
        if let Some(Err(error)) = self.recorder.as_ref().map(Recorder::still_there) {
            self.recording_failed(&error.to_string());
        }
    }

    fn journal_failed(&mut self, error: &JournalError) {
        self.keeper = None;
        self.tried = Instant::now();
        let _ = self.news.send(News::JournalFailed(error.to_string()));
    }

    fn mark_journal(&mut self) -> Result<(), JournalError> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let Sources { slots, orders, plans, .. } = &self.sources;
        keeper.mark(self.block, slots, orders, plans)
    }

    fn begin_next_journal(&mut self) -> Result<(), JournalError> {
        let Sources { slots, orders, plans, .. } = &self.sources;
        // Not within the closing fade: a state that has it would be silent for ever.
        let goes_on = orders.end().is_none();
        let Some(shelf) = self.shelf.as_ref().filter(|_| goes_on) else { return Ok(()) };
        let next = match &self.keeper {
            Some(full) if full.is_full() => {
                shelf.begin(slots, orders, plans, (self.block, self.record))?
            }
            None if self.tried.elapsed() >= TRY_AGAIN => {
                self.tried = Instant::now();
                // Why there is none was said when it ended; that it is still so is no news.
                shelf.begin(slots, orders, plans, (self.block, self.record)).unwrap_or(None)
            }
            _ => None,
        };
        let Some(next) = next else { return Ok(()) };
        if let Some(full) = self.keeper.take() {
            full.end(self.block)?;
        }
        // From the state on, log and tap are read again: they still hold that much.
        self.block = self.block.min(next.next_block());
        self.record = self.record.min(next.next_record());
        // It stands for itself, with all that was ever found to be poison.
        self.verdicts = 0;
        let path = next.path().to_owned();
        self.keeper = Some(next);
        let _ = self.news.send(News::Journal(path));
        Ok(())
    }

    fn perform(&mut self, order: Order) {
        let news = match order {
            Order::Start(sender, path) => self.start(sender, path),
            Order::Stop(sender) => match (self.recorder.take(), sender) {
                (Some(recorder), sender) => {
                    let (path, frames) = (recorder.path().to_owned(), recorder.frames());
                    match recorder.end() {
                        Ok(()) => News::Stopped(sender, path, frames),
                        Err(error) => News::RecordingFailed(error.to_string()),
                    }
                }
                (None, Some(sender)) => News::NothingToStop(sender),
                (None, None) => return,
            },
        };
        let _ = self.news.send(news);
    }

    fn start(&mut self, sender: Sender, path: PathBuf) -> News {
        if let Some(recorder) = &self.recorder {
            let text = format!("{} is being recorded already", recorder.path().display());
            return News::NotStarted(sender, text);
        }
        match Recorder::create(&path, &self.sources.shape, self.block) {
            Ok(recorder) => {
                let recording = recorder.recording();
                self.recorder = Some(recorder);
                News::Started(sender, recording)
            }
            Err(error) => News::NotStarted(sender, error.to_string()),
        }
    }

    fn recording_failed(&mut self, why: &str) {
        self.recorder = None;
        let _ = self.news.send(News::RecordingFailed(why.to_owned()));
    }

    fn finish(&mut self) {
        self.follow_log();
        self.follow_verdicts();
        // No further journal any more: it would begin before the end and have to be filled.
        let marked = self.mark_journal();
        let ended = self.keeper.take().map_or(Ok(()), |keeper| keeper.end(self.block));
        if let Err(error) = marked.and(ended) {
            let _ = self.news.send(News::JournalFailed(error.to_string()));
        }
        self.perform(Order::Stop(None));
        let _ = self.news.send(News::Finished);
    }
}

#[cfg(test)]
mod tests;
