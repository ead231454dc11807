//! A show played on regions without a process, followed in every unlucky way.

mod editions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::{Kind, LOG_DEPTH, Orders, Record, Sealing};
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::{COMMANDS_PER_BLOCK, Payload, Shape};
use segue_rack::{Action, Command, Patch, Performer, Plan, Setup};
use segue_sys::Region;
use tempfile::TempDir;

use super::{Follower, Keeper, News, Place, Recorder, Shelf, Sources, TRY_AGAIN};
use crate::cli::RenderArgs;
use crate::files::journal::Header;
use crate::files::wav::{HEADER_BYTES, WavWriter, numbered};
use crate::offline::{self, build};

const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\nshape = \"saw\"\n\
                     [env]\ntype = \"adsr\"\nin = \"osc\"\n[out]\nin = \"env\"\n";
const SETUP: Setup = Setup { rate: 8000, channels: 1, state_bytes: 1 << 18 };

const BLOCK_0: Mark = Mark { block: 0, cursor: 0 };

/// Supervisor and worker in one: whatever is told is played and left in the regions.
struct Show {
    folder: TempDir,
    plan: Plan,
    plans: Plans,
    shape: Shape,
    orders: Orders,
    tap: Tap,
    inbox: Inbox,
    slot: Slot,
    performer: Performer<BTreeMap<u32, Plan>>,
    block: u64,
    record: u64,
    heard: Vec<f32>,
}

impl Show {
    fn new() -> Self {
        let plan = Plan::compile(&Patch::parse(PATCH).unwrap(), &SETUP).unwrap();
        let shape = Shape { slots: 1, channels: 1, rate: 8000, state_words: 1 << 15 };
        let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
        let orders = Orders::new(Region::heap(Orders::words())).unwrap();
        slot.sit(1, 0);
        orders.set_generation(0, 1);
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        plans.write(0, None, &plan.to_bytes()).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            performer: Performer::new(BTreeMap::from([(0, plan.clone())]), 0, &SETUP).unwrap(),
            plan,
            plans,
            tap: Tap::new(Region::heap(Tap::words(&shape)), &shape).unwrap(),
            inbox: Inbox::new(Region::heap(Inbox::words())).unwrap(),
            shape,
            orders,
            slot,
            block: 0,
            record: 0,
            heard: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Plays so many blocks, each with so many commands.
    fn play(&mut self, blocks: u64, commands: u64) {
        let mut samples = [0.0; 64];
        for _ in 0..blocks {
            if self.block.is_multiple_of(16) {
                let area = &self.slot.areas()[(self.block / 16 % 2) as usize];
                let mark = Mark { block: self.block, cursor: self.record };
                assert!(area.write(mark, self.performer.state()));
            }
            for number in 0..commands {
                let value = 50.0 + ((self.block * 7 + number * 13) % 900) as f32;
                let gate = Action::Gate { module: 1, level: (self.block / 9 % 2) as f32 };
                let set = Action::Set { module: 0, param: 1, value, ramp_frames: 32 };
                self.tell(Command::now(if number == 0 { gate } else { set }));
            }
            self.performer.render(&mut samples, &mut |_| {});
            self.heard.extend(samples);
            self.tap.write(self.block, &samples, false);
            self.block += 1;
            self.orders.set_playhead(self.block);
        }
    }

    fn tell(&mut self, command: Command) {
        let payload = self.log(command.encode_for(self.performer.edition()));
        self.performer.apply(&payload);
    }

    fn log(&mut self, payload: Payload) -> Payload {
        let (block, kind, origin, more) = (self.block, Kind::Command, 1, 0);
        self.orders.append(self.record, Record { block, kind, origin, more, payload });
        self.record += 1;
        self.orders.publish(Sealing {
            head: self.record,
            taken: 0,
            sealed: self.block + 1,
            end: None,
        });
        payload
    }

    fn header(&self) -> Header {
        Header {
            build: build::VERSION.to_owned(),
            layout: build::layout(),
            rate: SETUP.rate,
            channels: SETUP.channels,
            state_bytes: SETUP.state_bytes as u64,
            title: String::new(),
            patch: PATCH.to_owned(),
            began_with: self.plan.music(),
            editions: vec![(0, self.plan.to_bytes())],
            start_block: 0,
        }
    }

    fn sources(&self) -> Sources {
        Sources {
            shape: self.shape,
            orders: self.orders.clone(),
            tap: self.tap.clone(),
            inbox: self.inbox.clone(),
            slots: vec![self.slot.clone()],
            plans: self.plans.clone(),
        }
    }

    /// A follower from the beginning; journals of at most so many bytes.
    fn follower(&self, bytes_max: u64) -> (Follower, Receiver<News>) {
        self.follower_by(
            Shelf::new(self.header(), Place::Folder(self.path("")), bytes_max),
            bytes_max,
        )
    }

    fn follower_by(&self, shelf: Shelf, bytes_max: u64) -> (Follower, Receiver<News>) {
        let keeper = Keeper::create(&self.path("show.journal"), &self.header(), bytes_max);
        let recorder = Recorder::create(&self.path("live.wav"), &self.shape, 0);
        let (news, heard) = mpsc::channel();
        let (keeper, recorder) = (keeper.unwrap(), recorder.unwrap());
        let journal = (Some(keeper), Some(shelf));
        (Follower::new(self.sources(), BLOCK_0, journal, Some(recorder), news), heard)
    }

    /// What a later control process makes of what the last one left.
    fn successor(&self) -> (Follower, Receiver<News>) {
        let (keeper, _) = Keeper::reopen(&self.path("show.journal"), u64::MAX).unwrap();
        let path = self.path("live.wav");
        let recording = super::Recording { path: path.clone(), first_path: path, start_frame: 0 };
        let recorder = Recorder::reopen(&recording).unwrap();
        let (news, heard) = mpsc::channel();
        (Follower::new(self.sources(), BLOCK_0, (Some(keeper), None), Some(recorder), news), heard)
    }

    /// Renders a journal; gives the file.
    fn rendered(&self, journal: &Path) -> PathBuf {
        let out = journal.with_extension("again.wav");
        let args = RenderArgs {
            input: journal.to_owned(),
            out: out.clone(),
            from: None,
            length: None,
            commands: None,
            rate: None,
            channels: None,
            state: None,
            other_build: false,
            force: false,
            json: false,
        };
        let rendered = offline::render(&args).unwrap();
        assert_eq!(format!("{rendered:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
        out
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Samples of a recording, and the frame it begins at.
fn samples(path: &Path) -> (usize, Vec<f32>) {
    let start = WavWriter::reopen(path, path, u64::MAX).unwrap().shape().start_frame;
    let samples = bytes(path)[HEADER_BYTES as usize..]
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    (usize::try_from(start).unwrap(), samples)
}

fn follow_all(follower: &mut Follower) {
    while follower.follow() {}
}

fn end(mut follower: Follower) {
    follow_all(&mut follower);
    follower.finish();
}

/// The journals that were begun behind the first.
fn journals(news: &Receiver<News>) -> Vec<PathBuf> {
    let journal = |news| match news {
        News::Journal(path) => Some(path),
        _ => None,
    };
    news.try_iter().filter_map(journal).collect()
}

#[test]
fn a_journal_renders_to_what_was_recorded() {
    let mut show = Show::new();
    let (mut follower, _news) = show.follower(u64::MAX);
    for _ in 0..20 {
        show.play(37, 3);
        follower.follow();
        follower.mark(true);
    }
    end(follower);
    let live = show.path("live.wav");
    assert_eq!(samples(&live), (0, show.heard.clone()));
    assert!(show.heard.iter().any(|sample| sample.abs() > 0.01), "there was nothing to hear");
    assert_eq!(bytes(&show.rendered(&show.path("show.journal"))), bytes(&live));
    assert_eq!((show.inbox.tap_cursor(), show.inbox.log_cursor()), (show.block, show.record));
}

#[test]
fn a_successor_goes_on_without_a_lost_sample() {
    let mut show = Show::new();
    let (mut follower, mut _news) = show.follower(u64::MAX);
    for round in 0..12 {
        show.play(50, 2);
        follow_all(&mut follower);
        follower.mark(round % 3 != 0);
        show.play(20, 2);
        // Died with whatever had not been handed to the system; and in the middle of a write.
        (follower.block, follower.record) = (show.block, show.record);
        drop(follower);
        for name in ["show.journal", "live.wav"] {
            let file = std::fs::OpenOptions::new().write(true).open(show.path(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 5).unwrap();
        }
        (follower, _news) = show.successor();
    }
    end(follower);
    let live = show.path("live.wav");
    assert_eq!(samples(&live), (0, show.heard.clone()));
    assert_eq!(bytes(&show.rendered(&show.path("show.journal"))), bytes(&live));
}

/// S47: gaps are marked: what follows is a file of its own that says where it begins.
#[test]
fn a_follower_away_for_too_long_marks_the_gap_and_the_journal_stays_whole() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(u64::MAX);
    show.play(40, 1);
    follow_all(&mut follower);
    show.play(Tap::depth(&show.shape) as u64 + 100, 1);
    follow_all(&mut follower);
    show.play(40, 1);
    end(follower);
    assert!(news.try_iter().any(|it| matches!(it, News::Gap)));
    let (start, tail) = samples(&numbered(&show.path("live.wav"), 2));
    assert_eq!(tail, show.heard[start..]);
    assert_eq!(samples(&show.path("live.wav")), (0, show.heard[..40 * 64].to_vec()));
    let again = show.rendered(&show.path("show.journal"));
    assert_eq!(samples(&again), (0, show.heard.clone()));
}

#[test]
fn a_log_that_has_passed_is_a_gap_from_which_a_checkpoint_leads_out() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(u64::MAX);
    show.play(40, 1);
    follow_all(&mut follower);
    follower.mark(true);
    let commands = COMMANDS_PER_BLOCK as u64;
    show.play(LOG_DEPTH as u64 / commands + 50, commands);
    follow_all(&mut follower);
    follower.mark(true);
    for _ in 0..5 {
        show.play(20, 2);
        follow_all(&mut follower);
        follower.mark(true);
    }
    end(follower);
    assert!(news.try_iter().any(|it| matches!(it, News::Gap)));
    let again = show.rendered(&show.path("show.journal"));
    let (start, head) = samples(&again);
    assert_eq!((start, head.as_slice()), (0, &show.heard[..head.len()]));
    let (start, tail) = samples(&numbered(&again, 2));
    assert_eq!(tail, show.heard[start..]);
    assert!(tail.len() >= 80 * 64 && start > head.len());
}

#[test]
fn a_full_journal_is_followed_by_one_that_begins_with_a_state() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(20_000);
    for _ in 0..40 {
        show.play(21, 3);
        follow_all(&mut follower);
        follower.mark(true);
    }
    end(follower);
    let journals = journals(&news);
    assert!(journals.len() > 1);
    let (start, tail) = samples(&show.rendered(journals.last().unwrap()));
    assert!(start > 0);
    assert_eq!(tail, show.heard[start..]);
    let (_, first) = samples(&show.rendered(&show.path("show.journal")));
    assert_eq!(first, show.heard[..first.len()]);
    assert_eq!(samples(&show.path("live.wav")), (0, show.heard.clone()));
}

/// What deletes a journal, or fills its disk, is said, and a journal begins again as soon as it
/// can: without one nobody could go on with the show.
#[test]
fn a_journal_that_ended_too_soon_is_followed_by_another_as_soon_as_there_can_be_one() {
    let mut show = Show::new();
    // A folder that cannot be made: there is a file.
    let blocked = show.path("again");
    std::fs::write(&blocked, "in the way").unwrap();
    let place = Place::Folder(blocked.clone());
    let (mut follower, news) =
        show.follower_by(Shelf::new(show.header(), place, u64::MAX), u64::MAX);
    show.play(40, 1);
    follow_all(&mut follower);
    std::fs::remove_file(show.path("show.journal")).unwrap();
    follower.mark(true);
    let said = news.try_iter().find_map(|news| match news {
        News::JournalFailed(why) => Some(why),
        _ => None,
    });
    assert!(said.unwrap().contains("it was deleted"));
    let mut begun = Vec::new();
    for round in 0..4 {
        show.play(30, 2);
        follow_all(&mut follower);
        follower.tried -= TRY_AGAIN;
        follower.mark(true);
        begun.extend(news.try_iter().filter_map(|news| match news {
            News::Journal(path) => Some(path),
            News::JournalFailed(why) => panic!("{why}"),
            _ => None,
        }));
        assert_eq!(begun.len(), usize::from(round >= 2), "in round {round}");
        if round == 1 {
            std::fs::remove_file(&blocked).unwrap();
        }
    }
    end(follower);
    let (start, tail) = samples(&show.rendered(&begun[0]));
    assert!(start > 0 && tail == show.heard[start..]);
    assert_eq!(samples(&show.path("live.wav")), (0, show.heard.clone()));
}

/// Workers render ahead of what is followed: a journal that began with their newest state would
/// leave out what lies between.
#[test]
fn no_block_is_lost_between_two_journals() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(1000);
    for _ in 0..6 {
        show.play(50, 2);
        follow_all(&mut follower);
        show.play(16, 0);
        follower.mark(true);
    }
    end(follower);
    let mut all = vec![show.path("show.journal")];
    all.extend(journals(&news));
    let journals = all;
    assert!(journals.len() > 2);
    let mut until = 0;
    for journal in &journals {
        let (start, part) = samples(&show.rendered(journal));
        assert!(start <= until, "nothing of {until} to {start} in {journal:?}");
        until = start + part.len();
    }
    assert_eq!(until, show.heard.len());
}
