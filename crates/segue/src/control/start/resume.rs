//! Going on with a show: the newest state its journal gives, and what was asked for after it.
//!
//! *Invariant*: what is played again here was played before, without what was found to be poison;
//! it comes out with the hashes the journal has, or this is not that show. What nobody heard yet
//! is for the workers, of whom others know when they die of it.

use std::path::Path;

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::{BLOCK_FRAMES, Payload};
use segue_rack::{Action, Command, Plan};

use super::{Beginning, begin, ids};
use crate::cli::resume::Resume;
use crate::control::desk::mirror::Mirror;
use crate::control::memo::{Memo, Resumed};
use crate::exit::{Exit, Failure};
use crate::files::journal::{self, Header, JournalReader, Tail};
use crate::host::ControlSeat;
use crate::offline::player::{COMMAND, Player};

/// The header of the journal that is gone on with.
pub(super) fn header(path: &Path) -> Result<Header, Failure> {
    JournalReader::open(path).map(|journal| journal.header().clone()).map_err(|error| bad(&error))
}

/// Goes on with the show of the journal at `path`.
pub(super) fn go_on(seat: &ControlSeat, path: &Path, header: Header) -> Result<Beginning, Failure> {
    let plan = Plan::from_bytes(&header.plan).map_err(|error| bad(&error))?;
    let (tail, player) =
        replay(path, || Player::new(&plan, &seat.settings.setup()).map_err(|error| bad(&error)))?;
    let mut memo = Memo {
        patch: header.title.clone(),
        text: header.patch.clone(),
        modules: ids(&plan),
        ..Memo::default()
    };
    memo.resumed = Some(Resumed { journal: path.to_owned(), block: tail.block });
    if let Resume::From(_, passed_over) = &seat.settings.resume {
        passed_over.iter().for_each(|passed| memo.complain(passed.clone()));
    }
    if let Some(damage) = &tail.damage {
        memo.complain(format!("{} is {damage}: gone on with from there", path.display()));
    }
    memo.problems.iter().for_each(|problem| eprintln!("{problem}"));

    let mut mirror = Mirror::of_rack(&plan, player.rack());
    let mut lost = 0;
    for bundle in due(&tail) {
        let payloads: Vec<Payload> = bundle.iter().map(Command::encode).collect();
        // By nobody: who asked for it has no line to this engine.
        if seat.inbox.send(0, 0, &payloads).is_none() {
            lost += bundle.len();
            continue;
        }
        let frame = tail.block * BLOCK_FRAMES as u64;
        bundle.into_iter().for_each(|command| mirror.submit(command, frame));
    }
    if lost > 0 {
        memo.complain(format!("{lost} commands that were due have no room and are dropped"));
    }
    let mark = Mark { block: tail.block, cursor: tail.cursor };
    let state = player.rack().state();
    if !seat.origin.as_ref().is_some_and(|origin| origin.write(mark, state)) {
        return Err(Failure::new(Exit::Bug, "there is no room for the state of the show"));
    }
    let header = Header { start_block: mark.block, ..header };
    begin(seat, plan, mirror, memo, header, (mark, Some(state)))
}

/// Plays again what was played since the newest state that leads to what was heard.
fn replay(
    path: &Path,
    fresh: impl Fn() -> Result<Player, Failure>,
) -> Result<(Tail, Player), Failure> {
    let mut ceiling = u64::MAX;
    loop {
        let tail = Tail::read(path, ceiling, is_fade).map_err(|error| bad(&error))?;
        let tail = tail.ok_or_else(|| {
            let text = format!("{} has no state to go on from", path.display());
            bad(&text)
        })?;
        let mut player = fresh()?;
        let differs = match play(&tail, &mut player) {
            Ok(differs) => differs,
            // A state of another instrument: one before it may be of this one.
            Err(_) => Some(tail.block),
        };
        match (differs, &tail.base) {
            (None, _) => return Ok((tail, player)),
            (Some(_), Some(base)) => ceiling = base.block,
            (Some(block), None) => {
                let text = format!(
                    "{}: block {block} comes out otherwise than it was played: go on with the \
                     program that played it",
                    path.display()
                );
                return Err(bad(&text));
            }
        }
    }
}

/// The first block that comes out otherwise than it was heard.
fn play(tail: &Tail, player: &mut Player) -> Result<Option<u64>, segue_rack::StateError> {
    tail.quarantined.iter().for_each(|number| player.quarantine(*number));
    tail.bypasses.iter().for_each(|bypass| player.bypass(*bypass));
    if let Some(base) = &tail.base {
        player.restore(base)?;
    }
    let played = tail.commands.iter().filter(|command| command.block < tail.block);
    played.for_each(|command| player.push(*command));
    let mut heard = tail.hashes.iter().peekable();
    while player.block() < tail.block {
        let block = player.block();
        let (_, hash) = player.render();
        if heard.next_if(|(at, _)| *at == block).is_some_and(|(_, heard)| *heard != hash) {
            return Ok(Some(block));
        }
    }
    Ok(None)
}

/// What was in the log and not heard yet, bundle by bundle, without what is poison.
fn due(tail: &Tail) -> Vec<Vec<Command>> {
    let bypassed = |at: u64, command: &Command| {
        let module = command.module().map(u32::from);
        tail.bypasses.iter().any(|it| it.block == at && Some(it.part) == module)
    };
    let late = tail.bypasses.iter().filter(|bypass| bypass.block >= tail.block);
    let modules = late.filter_map(|bypass| u16::try_from(bypass.part).ok());
    let mut bundles: Vec<Vec<Command>> =
        modules.map(|module| vec![Command::now(Action::Bypass { module })]).collect();
    let mut bundle = Vec::new();
    for logged in tail.commands.iter().filter(|command| command.block >= tail.block) {
        if logged.kind == COMMAND
            && !tail.quarantined.contains(&logged.number)
            && let Ok(command) = Command::decode(&logged.payload)
            && !bypassed(logged.block, &command)
        {
            bundle.push(command);
        }
        // One that the end of the file has cut is left out.
        if logged.more == 0 && !bundle.is_empty() {
            bundles.push(std::mem::take(&mut bundle));
        }
    }
    bundles
}

/// The closing fade, which no sender can ask for.
fn is_fade(logged: &journal::Command) -> bool {
    let action = Command::decode(&logged.payload).map(|command| command.action);
    logged.kind == COMMAND && matches!(action, Ok(Action::Fade { .. }))
}

fn bad(error: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::BadInput, format!("{error}; without --resume the show begins afresh"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;
    use segue_rack::{Action, Command, Patch, Plan, Setup};
    use segue_sys::hash;

    use super::{due, replay};
    use crate::exit::Exit;
    use crate::files::journal::{self, Bypass, Checkpoint, Hashes, Header, JournalWriter, Mark};
    use crate::files::journal::{JournalReader, Record, Tail};
    use crate::offline::build;
    use crate::offline::player::{COMMAND, Player};

    const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\nshape = \"saw\"\n\
                         [env]\ntype = \"adsr\"\nin = \"osc\"\n[out]\nin = \"env\"\n";
    const SETUP: Setup = Setup { rate: 8000, channels: 1, state_bytes: 1 << 18 };
    const BLOCKS: u64 = 120;
    /// Blocks by which the log is ahead of what is heard.
    const LEAD: u64 = 5;
    const POISON: u64 = 24;

    /// A show as it was written down, with the state before each of its blocks.
    struct Show {
        folder: tempfile::TempDir,
        plan: Plan,
        /// Of the file, behind each record: how long it is, and how many blocks are known.
        ends: Vec<(usize, u64)>,
        states: Vec<u64>,
    }

    impl Show {
        fn new() -> Self {
            let plan = Plan::compile(&Patch::parse(PATCH).unwrap(), &SETUP).unwrap();
            let header = Header {
                build: build::VERSION.to_owned(),
                layout: build::layout(),
                rate: SETUP.rate,
                channels: SETUP.channels,
                state_bytes: SETUP.state_bytes as u64,
                title: String::new(),
                patch: PATCH.to_owned(),
                plan: plan.to_bytes(),
                start_block: 0,
            };
            let folder = tempfile::tempdir().unwrap();
            let mut show = Self { folder, plan, ends: Vec::new(), states: Vec::new() };
            let mut writer = JournalWriter::create(&show.path(), &header).unwrap();
            show.ends.push((writer.bytes() as usize, 0));
            for (record, known) in show.records() {
                writer.push(&record);
                show.ends.push((writer.bytes() as usize, known));
            }
            writer.flush().unwrap();
            show
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("show.journal")
        }

        fn fresh(&self) -> Player {
            Player::new(&self.plan, &SETUP).unwrap()
        }

        /// What a follower writes, and of how many blocks the hashes are known then.
        fn records(&mut self) -> Vec<(Record, u64)> {
            let mut player = self.fresh();
            player.quarantine(POISON);
            player.bypass(Bypass { part: 0, block: 70 });
            let (mut records, mut logged, mut hashes) = (Vec::new(), 0, Hashes::new(0));
            let mut verdicts = vec![Record::Bypass(Bypass { part: 0, block: 70 })];
            verdicts.push(Record::Quarantine(POISON));
            let mut known = 0;
            for block in 0..BLOCKS {
                while logged < (block + LEAD) / 2 * 3 {
                    let command = command(logged);
                    player.push(command);
                    records.push((Record::Command(command), known));
                    logged += 1;
                }
                if block % 40 == 15 {
                    let state = player.rack().state();
                    let cursor = (0..logged).find(|number| command(*number).block >= block);
                    let checkpoint = Checkpoint::new(block, cursor.unwrap_or(logged), state);
                    records.push((Record::Checkpoint(checkpoint), known));
                }
                self.states.push(hash::words(block, player.rack().state()));
                let (_, hash) = player.render();
                if block == 50 {
                    records.push((
                        Record::Hashes(std::mem::replace(&mut hashes, Hashes::new(51))),
                        50,
                    ));
                    records.push((Record::Concealed(block), 50));
                    known = 50;
                    continue;
                }
                hashes.push(hash);
                if block % 7 == 6 {
                    if block > 13
                        && let Some(verdict) = verdicts.pop()
                    {
                        records.push((verdict, known));
                    }
                    known = block + 1;
                    records.push((
                        Record::Hashes(std::mem::replace(&mut hashes, Hashes::new(known))),
                        known,
                    ));
                    records.push((Record::Mark(Mark { block: known, at_ns: 1 }), known));
                }
            }
            self.states.push(hash::words(BLOCKS, player.rack().state()));
            records
        }

        /// Of how many blocks the hashes are known from the first so many bytes.
        fn known(&self, bytes: usize) -> Option<u64> {
            self.ends.iter().rev().find(|(end, _)| *end <= bytes).map(|(_, known)| *known)
        }

        fn state_at(&self, path: &Path) -> Result<(u64, u64, Tail), Exit> {
            let (tail, player) =
                replay(path, || Ok(self.fresh())).map_err(|failure| failure.exit)?;
            Ok((tail.block, hash::words(tail.block, player.rack().state()), tail))
        }
    }

    /// Number n of the log: sets, some in bundles of three, a poison, all of it a little ahead.
    fn command(number: u64) -> journal::Command {
        let value = 50.0 + (number * 13 % 900) as f32;
        let action = match number % 10 {
            // What was bypassed is brought back.
            _ if number == 125 => Action::Revive { module: 0 },
            0 => Action::Gate { module: 1, level: (number / 10 % 2) as f32 },
            _ => Action::Set { module: 0, param: 1, value, ramp_frames: 32 },
        };
        let (bundle, at) = (number / 3, number % 3);
        let (block, more) = (bundle * 2, 2 - at as u8);
        let payload = Command::now(action).encode();
        journal::Command { number, block, kind: COMMAND, payload, origin: 5, more }
    }

    #[test]
    fn what_is_whole_is_gone_on_with_and_what_was_due_with_it() {
        let show = Show::new();
        let (block, state, tail) = show.state_at(&show.path()).unwrap();
        assert_eq!(block, show.ends.last().unwrap().1);
        assert_eq!(state, show.states[block as usize]);
        assert!(tail.base.as_ref().is_some_and(|base| base.block == 95));
        let first = tail.commands.iter().find(|command| command.block >= block).unwrap();
        assert_eq!(tail.cursor, first.number);
        let due = due(&tail);
        assert!(due.iter().all(|bundle| bundle.len() == 3), "whole bundles: {due:?}");
        assert_eq!(due.concat()[0], Command::decode(&first.payload).unwrap());
    }

    #[test]
    fn a_closing_fade_is_left_out_and_the_show_goes_on_where_it_began() {
        let show = Show::new();
        let (block, _, tail) = show.state_at(&show.path()).unwrap();
        let last = tail.commands.last().unwrap();
        let payload = Command::now(Action::Fade { frames: 800 }).encode();
        let number = last.number + 1;
        let fade = journal::Command { number, block: last.block, payload, more: 0, ..*last };
        let mut writer = JournalWriter::reopen(&show.path(), |_| {}).unwrap().0;
        writer.push(&Record::Command(fade));
        let mut hashes = Hashes::new(block);
        let mut player = show.state_player();
        while player.block() < BLOCKS {
            hashes.push(player.render().1);
        }
        writer.push(&Record::Hashes(hashes));
        let faded = Checkpoint::new(BLOCKS, number + 1, show.fresh().rack().state());
        writer.push(&Record::Checkpoint(faded));
        writer.push(&Record::End(BLOCKS));
        writer.flush().unwrap();
        let (from, state, tail) = show.state_at(&show.path()).unwrap();
        assert_eq!((from, state), (BLOCKS.min(fade.block), show.states[from as usize]));
        assert!(tail.commands.iter().all(|command| command.number != number));
    }

    impl Show {
        /// A player at the newest state of the journal, with all that is in the log.
        fn state_player(&self) -> Player {
            let (tail, mut player) = replay(&self.path(), || Ok(self.fresh())).unwrap();
            for command in tail.commands.iter().filter(|command| command.block >= tail.block) {
                player.push(*command);
            }
            player
        }
    }

    #[test]
    fn a_state_that_does_not_lead_to_what_was_heard_is_not_gone_on_from() {
        let show = Show::new();
        let (block, state, tail) = show.state_at(&show.path()).unwrap();
        let wrong = Checkpoint::new(block, tail.cursor, show.fresh().rack().state());
        let mut player = show.state_player();
        let mut hashes = Hashes::new(block);
        (block..BLOCKS).for_each(|_| hashes.push(player.render().1));
        let mut writer = JournalWriter::reopen(&show.path(), |_| {}).unwrap().0;
        writer.push(&Record::Checkpoint(wrong));
        writer.push(&Record::Hashes(hashes));
        writer.flush().unwrap();
        let (from, after, _) = show.state_at(&show.path()).unwrap();
        assert_eq!((from, after), (BLOCKS, show.states[BLOCKS as usize]));
        assert_ne!(state, after);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Cut anywhere, and bytes turned anywhere: what stands before it is gone on with.
        #[test]
        fn a_damaged_journal_gives_the_newest_whole_state_and_no_other(
            cut in 0.0..1.0_f64,
            flips in prop::collection::vec((0.0..1.0_f64, 1..=255_u8), 0..3),
        ) {
            thread_local!(static SHOW: Show = Show::new());
            SHOW.with(|show| {
                let mut bytes = std::fs::read(show.path()).unwrap();
                let at = |part: f64| (part * bytes.len() as f64) as usize;
                let (length, flips): (usize, Vec<_>) =
                    (at(cut.sqrt()), flips.iter().map(|(part, turn)| (at(*part), *turn)).collect());
                let whole = flips.iter().map(|(at, _)| *at).min().unwrap_or(length).min(length);
                flips.iter().for_each(|(at, turn)| bytes[*at] ^= turn);
                bytes.truncate(length);
                let path = show.folder.path().join("damaged.journal");
                std::fs::write(&path, &bytes).unwrap();
                let known = show.known(whole);
                match show.state_at(&path) {
                    Ok((block, state, tail)) => {
                        prop_assert_eq!(Some(block), known);
                        prop_assert_eq!(state, show.states[block as usize]);
                        prop_assert!(due(&tail).iter().all(|bundle| bundle.len() <= 3));
                    }
                    Err(exit) => {
                        prop_assert_eq!(exit, Exit::BadInput);
                        prop_assert!(known.is_none(), "{:?} blocks are known", known);
                        prop_assert!(JournalReader::open(&path).is_err());
                    }
                }
                Ok(())
            })?;
        }
    }
}
