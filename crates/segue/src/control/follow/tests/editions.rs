//! Shows whose patch is edited while it plays.

use std::path::Path;

use segue_lockstep::COMMANDS_PER_BLOCK;
use segue_lockstep::memory::orders::LOG_DEPTH;
use segue_lockstep::memory::verdicts::Verdict;
use segue_rack::{Action, Command, Patch, Plan};

use super::super::News;
use super::{SETUP, Show, bytes, end, follow_all, journals, samples};
use crate::files::journal::{JournalReader, Record};
use crate::files::wav::numbered;

impl Show {
    /// Goes over to another patch, over so many frames.
    fn adopt(&mut self, text: &str, fade_frames: u32) {
        let (edition, check) = self.write(text);
        self.tell(Command::now(Action::Adopt { edition, check, fade_frames }));
    }

    /// Writes the plan of another patch; its edition, and what it is known by.
    fn write(&mut self, text: &str) -> (u32, u32) {
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &SETUP).unwrap();
        let (edition, base) = (self.plans.newest().unwrap() + 1, self.performer.edition());
        self.plans.write(edition, Some(base.into()), &plan.to_bytes()).unwrap();
        let check = plan.hash() as u32;
        self.performer.library().insert(edition as u32, plan);
        (edition as u32, check)
    }
}

/// Another oscillator, and the envelope as it was: module 1 of both.
fn edited(frequency: u32) -> String {
    format!(
        "segue = 1\n[osc]\ntype = \"osc\"\nshape = \"square\"\nfreq = {frequency}\n\
         [env]\ntype = \"adsr\"\nin = \"osc\"\n\
         [loud]\ntype = \"vca\"\nin = \"env\"\ngain = 0.5\n[out]\nin = \"loud\"\n"
    )
}

/// Plans of a journal, in the order in which they stand there.
fn editions_in(journal: &Path) -> (Vec<u32>, Vec<u32>) {
    let mut reader = JournalReader::open(journal).unwrap();
    let header = reader.header().editions.iter().map(|(edition, _)| *edition).collect();
    let mut later = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        if let Record::Plan(plan) = record {
            later.push(plan.edition);
        }
    }
    (header, later)
}

#[test]
fn a_patch_that_was_edited_renders_to_what_was_recorded() {
    let mut show = Show::new();
    let (mut follower, _news) = show.follower(u64::MAX);
    for (edition, fade_frames) in [(1, 80), (2, 0), (3, 4000), (4, 80)] {
        show.play(37, 3);
        show.adopt(&edited(100 * edition), fade_frames);
        show.play(5, 3);
        follow_all(&mut follower);
        follower.mark(true);
    }
    show.play(200, 3);
    end(follower);
    assert_eq!(show.performer.edition(), 4);
    let live = show.path("live.wav");
    assert_eq!(samples(&live), (0, show.heard.clone()));
    assert_eq!(bytes(&show.rendered(&show.path("show.journal"))), bytes(&live));
    assert_eq!(editions_in(&show.path("show.journal")), (vec![0], vec![1, 2, 3, 4]));
}

/// A plan is in the journal before the record that goes over to it, however many control processes
/// die in between; and one that came to nothing is not.
#[test]
fn a_successor_finds_the_plan_of_a_record_that_is_not_in_the_journal_yet() {
    let mut show = Show::new();
    let (mut follower, mut _news) = show.follower(u64::MAX);
    for round in 0..8 {
        show.play(30, 2);
        follow_all(&mut follower);
        if round % 3 == 1 {
            show.write("segue = 1\n[out]\n");
        }
        show.adopt(&edited(100 + round), 800);
        show.play(7, 2);
        if round % 2 == 0 {
            follow_all(&mut follower);
        }
        // Died with whatever had not been handed to the system; and in the middle of a write.
        (follower.block, follower.record) = (show.block, show.record);
        drop(follower);
        for name in ["show.journal", "live.wav"] {
            let file = std::fs::OpenOptions::new().write(true).open(show.path(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 5).unwrap();
        }
        (follower, _news) = show.successor();
    }
    show.play(40, 2);
    end(follower);
    let live = show.path("live.wav");
    assert_eq!(samples(&live), (0, show.heard.clone()));
    assert_eq!(bytes(&show.rendered(&show.path("show.journal"))), bytes(&live));
    let (_, later) = editions_in(&show.path("show.journal"));
    assert_eq!(later, [1, 3, 4, 5, 7, 8, 9, 11], "once each");
}

#[test]
fn a_journal_that_was_cut_between_a_plan_and_its_record_has_the_plan_once() {
    let mut show = Show::new();
    let (mut follower, mut _news) = show.follower(u64::MAX);
    show.play(30, 2);
    show.adopt(&edited(300), 800);
    show.play(7, 2);
    follow_all(&mut follower);
    drop(follower);
    let path = show.path("show.journal");
    let mut reader = JournalReader::open(&path).unwrap();
    while !matches!(reader.next(), Ok(Some(Record::Plan(_)))) {}
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(reader.offset()).unwrap();
    (follower, _news) = show.successor();
    end(follower);
    assert_eq!(bytes(&show.rendered(&path)), bytes(&show.path("live.wav")));
    assert_eq!(editions_in(&path), (vec![0], vec![1]));
}

/// A part of a journal that begins within a fade has both plans, and needs nothing from the parts
/// before it.
#[test]
fn a_journal_that_begins_within_a_fade_stands_for_itself() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(1000);
    let mut within = 0;
    for round in 0..12 {
        show.play(21, 3);
        show.adopt(&edited(100 + round), 8000);
        show.play(43, 3);
        follow_all(&mut follower);
        follower.mark(true);
    }
    end(follower);
    let mut until = show.heard.len();
    let journals = journals(&news);
    assert!(journals.len() > 3);
    for journal in journals.iter().rev() {
        let (start, part) = samples(&show.rendered(journal));
        assert_eq!(part, show.heard[start..start + part.len()], "{}", journal.display());
        let reader = JournalReader::open(journal).unwrap();
        let header = reader.header();
        let (edition, plan) = header.editions.last().unwrap();
        assert!(header.patch.contains(&format!("freq = {}", 99 + edition)), "the text in force");
        assert_eq!(Plan::from_bytes(plan).unwrap().source(), header.patch);
        within += usize::from(header.editions.len() == 2);
        assert!(start + part.len() <= until + 64 * 300);
        until = start;
    }
    assert!(within > 0, "none began within a fade");
}

/// The log has passed a record that went over to another plan: the state that leads out of the gap
/// brings that plan with it.
#[test]
fn a_state_behind_a_gap_brings_its_plan_with_it() {
    let mut show = Show::new();
    let (mut follower, news) = show.follower(u64::MAX);
    show.play(40, 1);
    follow_all(&mut follower);
    follower.mark(true);
    show.adopt(&edited(300), 80);
    let commands = COMMANDS_PER_BLOCK as u64;
    show.play(LOG_DEPTH as u64 / commands + 50, commands);
    for _ in 0..4 {
        show.play(20, 2);
        follow_all(&mut follower);
        follower.mark(true);
    }
    end(follower);
    assert!(news.try_iter().any(|it| matches!(it, News::Gap)));
    let again = show.rendered(&show.path("show.journal"));
    let (start, tail) = samples(&numbered(&again, 2));
    assert_eq!(tail, show.heard[start..]);
    assert!(tail.len() >= 40 * 64);
}

/// What is never applied goes over to nothing, and what was meant for that plan is for nobody.
#[test]
fn a_plan_that_nobody_went_over_to_because_of_a_verdict_is_none_when_it_is_rendered() {
    let mut show = Show::new();
    let (follower, _news) = show.follower(u64::MAX);
    show.play(40, 2);
    let (edition, check) = show.write(&edited(300));
    let (number, block) = (show.record, show.block);
    let verdict = Verdict::Quarantine { number, block };
    assert!(show.orders.verdicts().pass(verdict, &[], |_| 1));
    show.log(Command::now(Action::Adopt { edition, check, fade_frames: 80 }).encode());
    let loud = Action::Set { module: 2, param: 0, value: 1.0, ramp_frames: 0 };
    let payload = show.log(Command::now(loud).encode_for(edition));
    show.performer.apply(&payload);
    let ignored = show.performer.rack().notes().ignored;
    show.play(60, 2);
    end(follower);
    assert_eq!((show.performer.edition(), ignored), (0, 1));
    let live = show.path("live.wav");
    assert_eq!(bytes(&show.rendered(&show.path("show.journal"))), bytes(&live));
}
