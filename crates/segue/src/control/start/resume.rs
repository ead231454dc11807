//! Going on with a show: the newest state its journal gives, and what was asked for after it.
//!
//! *Invariant*: what is played again here was played before, without what was found to be poison;
//! it comes out with the hashes the journal has, or this is not that show. What nobody heard yet
//! is for the workers, of whom others know when they die of it.

use std::path::Path;

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::{BLOCK_FRAMES, Payload};
use segue_rack::{Action, Command, Plan, PlanError, Setup};

use super::standing::Standing;
use super::{Beginning, begin, ids, offer, offer_all};
use crate::cli::resume::Resume;
use crate::control::memo::{Memo, Resumed, called, called_after};
use crate::exit::{Exit, Failure};
use crate::files::journal::{self, Bypass, Header, JournalReader, Tail};
use crate::host::ControlSeat;
use crate::offline::editions::{Written, adopted};
use crate::offline::player::{COMMAND, Player};

/// The header of the journal that is gone on with.
pub(super) fn header(path: &Path) -> Result<Header, Failure> {
    JournalReader::open(path).map(|journal| journal.header().clone()).map_err(|error| bad(&error))
}

/// What is left of a show: its tail, and the instrument with which it is gone on with.
pub(super) type Show = (Tail, Player);

/// Plays again what is left of the show of the journal at `path`.
pub(super) fn read(setup: &Setup, path: &Path, header: &Header) -> Result<Show, Failure> {
    let read = |(edition, bytes): &(u32, Vec<u8>)| Ok((*edition, Plan::from_bytes(bytes)?));
    let editions: Result<Vec<_>, PlanError> = header.editions.iter().map(read).collect();
    let editions = editions.map_err(|error| bad(&error))?;
    replay(path, || Player::begin(&editions, setup).map_err(|error| bad(&error)))
}

/// Whether a patch is that of the show: what it began with, or what it has become.
pub(super) fn is_of(header: &Header, show: &Result<Show, Failure>, plan: &Plan) -> bool {
    let now = show.as_ref().map(|(_, player)| player.plan().music());
    header.began_with == plan.music() || now.is_ok_and(|now| now == plan.music())
}

/// Goes on with the show of the journal at `path`.
pub(super) fn go_on(
    seat: &ControlSeat,
    path: &Path,
    header: Header,
    (tail, mut player): Show,
) -> Result<Beginning, Failure> {
    let resumed = Some(Resumed { journal: path.to_owned(), block: tail.block });
    let mut memo = Memo { resumed, ..Memo::default() };
    if let Resume::From(_, passed_over) = &seat.settings.resume {
        passed_over.iter().for_each(|passed| memo.complain(passed.clone()));
    }
    if let Some(damage) = &tail.damage {
        memo.complain(format!("{} is {damage}: gone on with from there", path.display()));
    }

    let mark = Mark { block: tail.block, cursor: tail.cursor };
    let state = player.state().to_vec();
    if !seat.origin.as_ref().is_some_and(|origin| origin.write(mark, &state)) {
        return Err(Failure::new(Exit::Bug, "there is no room for the state of the show"));
    }
    let header = header_from(&mut player, mark.block, header);
    offer_all(&seat.plans, &header)?;
    let mut standing = Standing::of_player(&player);
    let lost = send_due(&seat.plans, &seat.inbox, &tail, &mut standing)?;
    if lost > 0 {
        memo.complain(format!("{lost} commands that were due have no room and are dropped"));
    }
    memo.problems.iter().for_each(|problem| eprintln!("{problem}"));
    let had_title = !player.plan().title().is_empty();
    memo.patch = called(&standing.plan, &header.title, had_title);
    memo.text = standing.plan.source().to_owned();
    memo.modules = ids(&standing.plan);
    begin(seat, standing, memo, header, (mark, Some(&state)))
}

/// The header of the journal in which a show goes on.
fn header_from(player: &mut Player, start_block: u64, before: Header) -> Header {
    let fading = player.rack().fading().and_then(|it| Some((it, player.known(it)?)));
    let now = (player.edition(), player.plan().clone());
    let editions = fading.into_iter().chain([now]).map(|(it, plan)| (it, plan.to_bytes()));
    let patch = player.plan().source().to_owned();
    let title = called_after(player.plan(), &before);
    Header { start_block, title, patch, editions: editions.collect(), ..before }
}

/// Sends what was due again, and lets `standing` know of it; how many commands have no room.
fn send_due(
    plans: &Plans,
    inbox: &Inbox,
    tail: &Tail,
    standing: &mut Standing,
) -> Result<usize, Failure> {
    let (frame, written) = (tail.block * BLOCK_FRAMES as u64, Written(plans.clone()));
    let mut lost = 0;
    for due in due(tail) {
        let bundle = due.payloads(tail, standing);
        for edition in bundle.iter().filter_map(adopted) {
            if let Some(plan) = tail.plans.iter().rfind(|plan| plan.edition == edition) {
                offer(plans, edition, Some(standing.edition), &plan.bytes)?;
            }
        }
        // By nobody: who asked for it has no line to this engine.
        if !bundle.is_empty() && inbox.send(0, 0, &bundle).is_none() {
            lost += bundle.len();
            continue;
        }
        bundle.iter().for_each(|payload| standing.tell(payload, frame, &written));
    }
    Ok(lost)
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
    for plan in &tail.plans {
        // One that is none was none for the workers either.
        if let Ok(read) = Plan::from_bytes(&plan.bytes) {
            player.learn(plan.edition, read);
        }
    }
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

/// What was in the log and not heard yet.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Commands that belong together, for this block.
    Bundle(u64, Vec<Payload>),
    /// A part that goes out of the signal.
    Bypass(u32),
}

/// What is due, in order, without what is poison.
fn due(tail: &Tail) -> Vec<Due> {
    let late = tail.bypasses.iter().filter(|bypass| bypass.block >= tail.block);
    let mut late: Vec<Bypass> = late.copied().collect();
    late.sort_by_key(|bypass| bypass.block);
    let mut late = late.into_iter().peekable();
    let (mut due, mut bundle) = (Vec::new(), Vec::new());
    for logged in tail.commands.iter().filter(|command| command.block >= tail.block) {
        // Behind the commands of its block.
        while let Some(bypass) = late.next_if(|bypass| bypass.block < logged.block) {
            due.push(Due::Bypass(bypass.part));
        }
        if logged.kind == COMMAND
            && !tail.quarantined.contains(&logged.number)
            && Command::decode(&logged.payload).is_ok()
        {
            bundle.push(logged.payload);
        }
        // One that the end of the file has cut is left out.
        if logged.more == 0 && !bundle.is_empty() {
            due.push(Due::Bundle(logged.block, std::mem::take(&mut bundle)));
        }
    }
    due.extend(late.map(|bypass| Due::Bypass(bypass.part)));
    due
}

impl Due {
    /// What is to be sent, as it stands then.
    fn payloads(self, tail: &Tail, standing: &Standing) -> Vec<Payload> {
        match self {
            Self::Bundle(block, mut bundle) => {
                let out = |payload: &Payload| {
                    let now = tail.bypasses.iter().filter(|bypass| bypass.block == block);
                    now.into_iter().any(|bypass| standing.is_for(payload, bypass.part))
                };
                bundle.retain(|payload| !out(payload));
                bundle
            }
            // A part of what is faded from has no address; it is met again, and judged again.
            Self::Bypass(part) if (part as usize) < standing.plan.modules().len() => {
                let bypass = Action::Bypass { module: part as u16 };
                vec![Command::now(bypass).encode_for(standing.edition)]
            }
            Self::Bypass(_) => Vec::new(),
        }
    }
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
    use segue_lockstep::memory::inbox::Inbox;
    use segue_lockstep::memory::plans::Plans;
    use segue_rack::{Action, Command, Patch, Performer, Plan, Setup};
    use segue_sys::{Region, hash};

    use super::{Due, Standing, due, replay};
    use crate::control::desk::mirror::Mirror;
    use crate::exit::Exit;
    use crate::files::journal::{self, Bypass, Checkpoint, Hashes, Header, JournalWriter, Mark};
    use crate::files::journal::{JournalReader, Record, Tail};
    use crate::offline::build;
    use crate::offline::editions::Written;
    use crate::offline::player::{COMMAND, Player};
    use crate::osc::address::Topic;

    const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\nshape = \"saw\"\n\
                         [env]\ntype = \"adsr\"\nin = \"osc\"\n[out]\nin = \"env\"\n";
    const SETUP: Setup = Setup { rate: 8000, channels: 1, state_bytes: 1 << 18 };
    const BLOCKS: u64 = 120;
    /// Blocks by which the log is ahead of what is heard.
    const LEAD: u64 = 5;
    const POISON: u64 = 24;

    /// The header of a show that begins with this plan.
    fn header(title: &str, plan: &Plan) -> Header {
        Header {
            build: build::VERSION.to_owned(),
            layout: build::layout(),
            rate: SETUP.rate,
            channels: SETUP.channels,
            state_bytes: SETUP.state_bytes as u64,
            title: title.to_owned(),
            patch: plan.source().to_owned(),
            began_with: plan.music(),
            editions: vec![(0, plan.to_bytes())],
            start_block: 0,
        }
    }

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
            let header = header("", &plan);
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

    fn bundle(due: &Due) -> &[[u64; 4]] {
        match due {
            Due::Bundle(_, bundle) => bundle,
            Due::Bypass(_) => &[],
        }
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
        assert!(due.iter().all(|due| bundle(due).len() == 3), "whole bundles: {due:?}");
        assert_eq!(bundle(&due[0])[0], first.payload);
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

    /// Goes over to another patch at blocks 40 and 80, each time for thirty blocks.
    struct Edited {
        folder: tempfile::TempDir,
        plans: Vec<Plan>,
        log: Vec<(u64, [u64; 4])>,
    }

    impl Edited {
        fn new() -> Self {
            let texts = [100, 200, 300].map(|freq| {
                format!(
                    "segue = 1\n[osc]\ntype = \"osc\"\nshape = \"saw\"\nfreq = {freq}\n\
                     [out]\nin = \"osc\"\n"
                )
            });
            let compile = |text| Plan::compile(&Patch::parse(text).unwrap(), &SETUP).unwrap();
            let plans: Vec<Plan> = texts.iter().map(|text| compile(text)).collect();
            let mut log = Vec::new();
            for block in 0..BLOCKS {
                let now = (block / 40) as u32;
                let edition = if block % 40 == 0 { now.saturating_sub(1) } else { now };
                let value = 50.0 + (block * 13 % 900) as f32;
                let set = Action::Set { module: 0, param: 1, value, ramp_frames: 32 };
                log.push((block, Command::now(set).encode_for(edition)));
                if block % 40 == 0 && block > 0 {
                    let check = plans[now as usize].hash() as u32;
                    let adopt = Action::Adopt { edition: now, check, fade_frames: 30 * 64 };
                    log.push((block, Command::now(adopt).encode_for(edition)));
                }
            }
            Self { folder: tempfile::tempdir().unwrap(), plans, log }
        }

        fn logged(&self, at: usize) -> journal::Command {
            let (block, payload) = self.log[at];
            let number = at as u64;
            journal::Command { number, block, kind: COMMAND, payload, origin: 5, more: 0 }
        }

        /// All of the show, with what is in the log from `known` on done at once there.
        fn player(&self, known: u64) -> Player {
            let mut player = Player::new(&self.plans[0], &SETUP).unwrap();
            for (edition, plan) in self.plans.iter().enumerate() {
                player.learn(edition as u32, plan.clone());
            }
            for at in 0..self.log.len() {
                let logged = self.logged(at);
                // The log was that far ahead when the last block was heard.
                if logged.block < known - 1 + LEAD {
                    let block = logged.block.min(known);
                    player.push(journal::Command { block, ..logged });
                }
            }
            player
        }

        /// Its journal when so many blocks were heard.
        fn journal(&self, known: u64) -> (PathBuf, Header) {
            let header = header("edited", &self.plans[0]);
            let path = self.folder.path().join(format!("{known}.journal"));
            let mut writer = JournalWriter::create(&path, &header).unwrap();
            let (mut player, mut logged) = (self.player(known), 0);
            for block in 0..known {
                while logged < self.log.len() && self.log[logged].0 < block + LEAD {
                    let record = self.logged(logged);
                    if let Some(edition) = crate::offline::editions::adopted(&record.payload) {
                        let plan = &self.plans[edition as usize];
                        writer.push(&Record::Plan(journal::Plan {
                            edition,
                            base: Some(edition - 1),
                            patch: plan.source().to_owned(),
                            bytes: plan.to_bytes(),
                        }));
                    }
                    writer.push(&Record::Command(record));
                    logged += 1;
                }
                let mut hashes = Hashes::new(block);
                hashes.push(player.render().1);
                writer.push(&Record::Hashes(hashes));
                let next = block + 1;
                if next % 16 == 0 && next < known {
                    let cursor = self.log.iter().take_while(|(at, _)| *at < next).count();
                    let state = player.state();
                    writer.push(&Record::Checkpoint(Checkpoint::new(next, cursor as u64, state)));
                }
            }
            writer.flush().unwrap();
            (path, header)
        }
    }

    /// Killed before, within and behind the fades, also with an edit that was due: what a worker of
    /// the next engine finds in its regions sounds as the show would have.
    #[test]
    fn an_edited_show_is_gone_on_with_also_within_a_fade() {
        let show = Edited::new();
        let cases = [
            (30, vec![0], 0),
            (38, vec![0], 1),
            (45, vec![0, 1], 1),
            (75, vec![1], 1),
            (78, vec![1], 2),
            (99, vec![1, 2], 2),
            (118, vec![2], 2),
        ];
        for (known, offered, newest) in cases {
            let (path, header) = show.journal(known);
            let (tail, mut player) = super::read(&SETUP, &path, &header).unwrap();
            assert_eq!(tail.block, known);
            let state = player.state().to_vec();
            let next = super::header_from(&mut player, known, header);
            let editions: Vec<u32> = next.editions.iter().map(|(edition, _)| *edition).collect();
            assert_eq!(editions, offered, "at {known}");
            let last = *editions.last().unwrap() as usize;
            assert_eq!((&*next.patch, &*next.title), (show.plans[last].source(), "edited"));
            assert_eq!((next.began_with, next.start_block), (show.plans[0].music(), known));

            let plans = Plans::new(Region::heap(Plans::words())).unwrap();
            let inbox = Inbox::new(Region::heap(Inbox::words())).unwrap();
            super::offer_all(&plans, &next).unwrap();
            let mut standing = Standing::of_player(&player);
            assert_eq!(super::send_due(&plans, &inbox, &tail, &mut standing).unwrap(), 0);
            assert_eq!(plans.first(), Some(offered[0].into()));
            assert_eq!((standing.edition, plans.newest()), (newest, Some(newest.into())));

            let first = plans.first().unwrap() as u32;
            let mut worker = Performer::new(Written(plans), first, &SETUP).unwrap();
            worker.restore(&state).unwrap();
            (0..inbox.head()).for_each(|at| worker.apply(&inbox.take(at).unwrap().payload));
            let mut reference = show.player(known);
            while reference.block() < known {
                reference.render();
            }
            let mut samples = [0.0; 64];
            for block in known..known + 50 {
                worker.render(&mut samples, &mut |_| {});
                assert!(samples == *reference.render().0, "block {block} after {known}");
            }
            assert_eq!(worker.edition(), newest);
            let mirror = Mirror::of_rack(worker.plan(), worker.rack());
            let knob = Topic::Param { module: 0, param: 1 };
            assert_eq!(standing.mirror.value(knob), mirror.value(knob), "after {known}");
        }
    }

    #[test]
    fn a_patch_is_that_of_a_show_when_it_began_with_it_or_has_become_it() {
        let show = Edited::new();
        let (path, header) = show.journal(60);
        let read = super::read(&SETUP, &path, &header);
        let [first, now, other] = [0, 1, 2].map(|at| super::is_of(&header, &read, &show.plans[at]));
        assert!(first && now && !other);
        let remark = format!("# the same\n{}", show.plans[0].source());
        let same = Plan::compile(&Patch::parse(&remark).unwrap(), &SETUP).unwrap();
        assert!(super::is_of(&header, &read, &same), "remarks are no music");
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
                        prop_assert!(due(&tail).iter().all(|due| bundle(due).len() <= 3));
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
