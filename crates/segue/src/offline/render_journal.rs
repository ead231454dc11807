//! `segue render JOURNAL`: what was played, played again, and compared as it goes.

use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use segue_hear::Report;
use segue_rack::{Action, BLOCK_FRAMES, Command, Plan, Setup};

use super::output::Output;
use super::player::Player;
use super::{build, patch, patch_tempo, score};
use crate::cli::RenderArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};
use crate::files::journal::{self, Damage, Header, JournalError, JournalReader, Record, Sequence};
use crate::listen;

/// What a render found out.
#[derive(Debug, Default)]
struct Findings {
    compared: u64,
    differing: u64,
    first_difference: Option<u64>,
    concealed: u64,
    gaps: u64,
    damage: Option<Damage>,
    /// It is whole as far as it goes, and goes no further, although nobody ended it.
    cut_short: bool,
}

/// Renders a journal.
pub(super) fn render(args: &RenderArgs) -> Result<ExitCode, Failure> {
    if args.commands.is_some() || args.rate.is_some() || args.channels.is_some() {
        let text = "--commands, --rate and --channels are for patches; a journal has its own";
        return Err(Failure::new(Exit::Usage, text));
    }
    let mut journal = JournalReader::open(&args.input).map_err(opened)?;
    let other = of_another_build(journal.header(), args.other_build)?;
    let (setup, mut player) = player_of(journal.header(), other)?;
    load_verdicts(&args.input, &mut player)?;
    let frame = |at: Duration| score::frame_of(at, setup.rate);
    let start = journal.header().start_block * BLOCK_FRAMES as u64;
    let from = args.from.map_or(start, frame);
    let length =
        args.length.map(|length| length.time(patch_tempo(&journal.header().patch))).transpose();
    let length = length.map_err(|error| {
        let text = format!("{error}: the patch is not in the journal; say a time, as in --for 16s");
        Failure::new(Exit::Usage, text)
    })?;
    let to = length.map_or(u64::MAX, |length| from.saturating_add(frame(length)));
    let output = Output::create(&args.out, args.force, setup.rate, setup.channels, from..to)?;
    let mut replay = Replay { player, setup, output, findings: Findings::default(), other };
    replay.run(&mut journal)?;
    let Replay { player, output, findings, .. } = replay;
    let there = start..player.block() * BLOCK_FRAMES as u64;
    let (end, heard) = output.finish()?;
    let is_whole = findings.damage.is_none() && !findings.cut_short;
    let is_part = args.from.is_some() || args.length.is_some();
    if is_part && is_whole && end == from && to > from {
        return Err(nothing_there(there, from, setup.rate));
    }
    let (journal, frames) = (&journal, from..end);
    report(args, &findings, &Replayed { journal, frames, rate: setup.rate, other, heard })
}

/// What is said where no frame of a journal lies in the part that was asked for.
fn nothing_there(there: Range<u64>, from: u64, rate: u32) -> Failure {
    let seconds = |frames: u64| frames as f64 / f64::from(rate);
    let text = if from < there.start {
        let start = seconds(there.start);
        format!("nothing of that part is in the journal: it begins at {start:.3} s")
    } else {
        let (from, end) = (seconds(from), seconds(there.end));
        format!("nothing is in the journal from {from:.3} s on: it ends at {end:.3} s")
    };
    Failure::new(Exit::Usage, text)
}

/// Whether another build wrote the journal; refused unless that was `expected`.
pub(super) fn of_another_build(header: &Header, expected: bool) -> Result<bool, Failure> {
    let other = header.build != build::VERSION || header.layout != build::layout();
    let theirs = format!("the journal was written by Segue {}", header.build);
    let bad = |text: String| Err(Failure::new(Exit::BadInput, text));
    if other && !expected {
        return bad(format!(
            "{theirs}, whose modules differ from those of this one ({}); render it with that \
             version, or with --other-build, which replays its commands alone and names the first \
             block that differs",
            build::VERSION
        ));
    }
    if other && header.start_block > 0 {
        return bad(format!(
            "{theirs} and begins at block {} with a state of that build, which this one ({}) \
             cannot take up; replay the part that begins at block 0",
            header.start_block,
            build::VERSION
        ));
    }
    Ok(other)
}

/// The rack a journal begins with. The plan of another build is its own affair: the patch is
/// compiled again, as this build understands it.
pub(super) fn player_of(header: &Header, other: bool) -> Result<(Setup, Player), Failure> {
    let bad = |text: String| Failure::new(Exit::BadInput, text);
    let setup = Setup {
        rate: header.rate,
        channels: header.channels,
        state_bytes: usize::try_from(header.state_bytes).unwrap_or(usize::MAX),
    };
    let plan = |(edition, bytes): &(u32, Vec<u8>)| {
        Ok((*edition, plan_of(bytes, &header.patch, &setup, other)?))
    };
    // Another build's journal begins with block 0, and so with one plan.
    let editions = header.editions.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
    let player = Player::begin(&editions, &setup)
        .map_err(|error| bad(format!("the plan in the journal cannot play: {error}")))?;
    Ok((setup, player))
}

/// A plan in a journal, or what this build makes of its patch.
fn plan_of(bytes: &[u8], patch: &str, setup: &Setup, other: bool) -> Result<Plan, Failure> {
    if other {
        return patch::compile("a patch in the journal", patch, setup);
    }
    Plan::from_bytes(bytes).map_err(|error| {
        let text = format!("a plan in the journal cannot be used: {error}");
        Failure::new(Exit::BadInput, text)
    })
}

/// Lets a player know of a plan in its journal.
pub(super) fn learn(
    player: &mut Player,
    plan: &journal::Plan,
    setup: &Setup,
    other: bool,
) -> Result<(), Failure> {
    let read = plan_of(&plan.bytes, &plan.patch, setup, other)?;
    player.learn(plan.edition, read);
    Ok(())
}

/// What was found to be poison is known before the first block: a verdict may have been written
/// behind a block that was made up because of it.
pub(super) fn load_verdicts(path: &Path, player: &mut Player) -> Result<(), Failure> {
    let mut journal = JournalReader::open(path).map_err(opened)?;
    // Damage is met again, and told, when the music has come there.
    while let Ok(Some(record)) = journal.next() {
        match record {
            Record::Quarantine(number) => player.quarantine(number),
            Record::Bypass(bypass) => player.bypass(bypass),
            _ => {}
        }
    }
    Ok(())
}

struct Replay {
    player: Player,
    setup: Setup,
    output: Output,
    findings: Findings,
    /// Another build played it: its states mean nothing here.
    other: bool,
}

impl Replay {
    fn run(&mut self, journal: &mut JournalReader) -> Result<(), Failure> {
        // Where a state is owed: at the beginning of a later part, and behind a gap.
        let mut owed = journal.header().start_block > 0;
        let mut sequence = Sequence::new(journal.header().start_block);
        while !self.output.is_complete(self.player.block()) {
            let next = journal.next();
            if let Ok(Some(record)) = &next
                && let Err(what) = sequence.follow(record)
            {
                self.findings.damage = Some(journal.damaged(what));
                break;
            }
            match next {
                Ok(Some(Record::Checkpoint(checkpoint))) => {
                    if owed {
                        let bad = |error| {
                            let text = format!("a checkpoint in the journal is wrong: {error}");
                            Failure::new(Exit::BadInput, text)
                        };
                        self.player.restore(&checkpoint).map_err(bad)?;
                        owed = false;
                    }
                }
                Ok(Some(Record::Gap(gap))) => {
                    self.render_to(gap.from_block)?;
                    self.findings.gaps += 1;
                    if self.other {
                        // No state of this build leads on from there.
                        break;
                    }
                    owed = true;
                }
                Ok(Some(Record::Plan(plan))) => {
                    learn(&mut self.player, &plan, &self.setup, self.other)?;
                }
                Ok(Some(Record::Command(command))) => self.command(command),
                Ok(Some(record)) if !owed => self.record(record)?,
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.findings.cut_short = !journal.ended();
                    break;
                }
                Err(damage) => {
                    self.findings.damage = Some(damage);
                    break;
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), Failure> {
        match record {
            Record::Hashes(hashes) => {
                for (block, hash) in hashes.iter() {
                    self.render_to(block)?;
                    self.compare(block, hash)?;
                }
            }
            Record::Concealed(block) => {
                self.render_to(block + 1)?;
                self.findings.concealed += 1;
            }
            Record::End(blocks) => self.render_to(blocks)?,
            Record::Command(_)
            | Record::Plan(_)
            | Record::Mark(_)
            | Record::Gap(_)
            | Record::Checkpoint(_)
            | Record::Quarantine(_)
            | Record::Bypass(_) => {}
        }
        Ok(())
    }

    fn command(&mut self, mut command: journal::Command) {
        if self.other {
            self.recheck(&mut command.payload);
        }
        self.player.push(command);
    }

    /// The plan of another build that is gone over to is known by the hash it had there.
    fn recheck(&mut self, payload: &mut [u64; 4]) {
        if let Ok(Command { due, action: Action::Adopt { edition, fade_frames, .. } }) =
            Command::decode(payload)
            && let Some(plan) = self.player.known(edition)
        {
            let check = plan.hash() as u32;
            let adopt = Action::Adopt { edition, check, fade_frames };
            *payload = Command::at(due, adopt).encode_for(Command::edition_of(payload));
        }
    }

    fn compare(&mut self, block: u64, hash: u64) -> Result<(), Failure> {
        if self.player.block() != block || self.output.is_complete(block) {
            return Ok(());
        }
        let (samples, rendered) = self.player.render();
        self.findings.compared += 1;
        if rendered != hash {
            self.findings.differing += 1;
            self.findings.first_difference.get_or_insert(block);
        }
        self.output.take(block, samples)
    }

    fn render_to(&mut self, block: u64) -> Result<(), Failure> {
        while self.player.block() < block && !self.output.is_complete(self.player.block()) {
            let next = self.player.block();
            self.output.take(next, self.player.render().0)?;
        }
        Ok(())
    }
}

/// What was replayed.
struct Replayed<'a> {
    journal: &'a JournalReader,
    frames: Range<u64>,
    rate: u32,
    other: bool,
    heard: Report,
}

fn report(
    args: &RenderArgs,
    findings: &Findings,
    replayed: &Replayed<'_>,
) -> Result<ExitCode, Failure> {
    let Replayed { journal, rate, other, .. } = *replayed;
    let Range { start: from, end } = replayed.frames;
    let seconds = |frames: u64| frames as f64 / f64::from(rate);
    let theirs = other.then_some(&journal.header().build);
    if args.json {
        let report = serde_json::json!({
            "input": args.input, "out": args.out, "from_frame": from, "frames": end - from,
            "rate": rate, "seconds": seconds(end - from), "ended": journal.ended(),
            "other_build": theirs,
            "blocks_compared": findings.compared, "blocks_differing": findings.differing,
            "first_difference": findings.first_difference, "concealed": findings.concealed,
            "gaps": findings.gaps, "damage": findings.damage.as_ref().map(ToString::to_string),
            "heard": listen::json(&replayed.heard),
        });
        tell!("{report}");
    } else {
        tell!("{}", replayed.heard);
    }
    if let Some(block) = findings.first_difference {
        let at = seconds(block * BLOCK_FRAMES as u64);
        eprintln!(
            "block {block} ({at:.3} s) differs from what was played, and {} of {} blocks in all",
            findings.differing, findings.compared
        );
    }
    if let (Some(theirs), None) = (theirs, findings.first_difference) {
        let blocks = findings.compared;
        eprintln!("none of {blocks} blocks differs from what Segue {theirs} played");
    }
    if other && findings.gaps > 0 {
        eprintln!("the replay ends at a gap: no state of this build leads on from there");
    } else if findings.gaps > 0 {
        eprintln!("the journal has {} gaps; each begins a further file", findings.gaps);
    }
    if findings.concealed > 0 {
        eprintln!("{} blocks were concealed when they were played", findings.concealed);
    }
    if let Some(damage) = &findings.damage {
        let text = format!("the journal is {damage}; {:.3} s were rendered", seconds(end - from));
        return Err(Failure::new(Exit::BadInput, text));
    }
    if findings.cut_short {
        let text = format!(
            "the journal is cut short: nobody ended it (its engine was killed, or still plays); \
             {:.3} s were rendered",
            seconds(end - from)
        );
        return Err(Failure::new(Exit::BadInput, text));
    }
    let differs = findings.first_difference.is_some();
    Ok(if differs { Exit::No } else { Exit::Done }.into())
}

/// What a journal that cannot be opened means.
pub(super) fn opened(error: JournalError) -> Failure {
    match &error {
        JournalError::Io { source, .. } => Failure::new(Exit::of_input(source), error.to_string()),
        _ => Failure::new(Exit::BadInput, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::ExitCode;

    use clap::Parser;
    use segue_rack::{Action, Command, Plan, Setup};

    use super::{Player, build, patch};
    use crate::cli::{Cli, Verb};
    use crate::exit::Exit;
    use crate::files::journal::{self, Checkpoint, Gap, Hashes, Header, JournalWriter, Record};
    use crate::offline::player::COMMAND;

    const PATCH: &str = "segue = 1\n[osc]\ntype = \"osc\"\n[out]\nin = \"osc * 0.5\"\n";

    fn header(build: &str, start_block: u64, plan: Vec<u8>) -> Header {
        let setup = Setup::default();
        Header {
            build: build.to_owned(),
            layout: build::layout(),
            rate: setup.rate,
            channels: setup.channels,
            state_bytes: setup.state_bytes as u64,
            title: "other".to_owned(),
            patch: PATCH.to_owned(),
            began_with: 0,
            editions: vec![(0, plan)],
            start_block,
        }
    }

    /// A journal of forty blocks, whose block 33 another build heard otherwise.
    fn journal(path: &Path, build: &str, start_block: u64, plan: Vec<u8>) -> JournalWriter {
        let setup = Setup::default();
        let mut writer = JournalWriter::create(path, &header(build, start_block, plan)).unwrap();
        let plan = patch::compile("patch", PATCH, &setup).unwrap();
        let mut player = Player::new(&plan, &setup).unwrap();
        let mut hashes = Hashes::new(0);
        for block in 0..40 {
            let hash = player.render().1;
            hashes.push(if block == 33 { !hash } else { hash });
        }
        // A state that is none of ours, as all of another build's are.
        writer.push(&Record::Checkpoint(Checkpoint::new(20, 0, &[1, 2, 3])));
        writer.push(&Record::Hashes(hashes));
        writer
    }

    fn render(folder: &Path, more: &[&str]) -> Result<ExitCode, super::Failure> {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let (journal, out) = (path("a.journal"), path("a.wav"));
        let typed = ["segue", "render", &journal, "-o", &out, "--force"];
        let Verb::Render(args) = Cli::try_parse_from(typed.iter().chain(more)).unwrap().verb else {
            panic!()
        };
        super::render(&args)
    }

    #[test]
    fn another_builds_journal_is_refused_with_the_cure_and_on_request_its_commands_are_replayed() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = journal(&folder.path().join("a.journal"), "0.0.9", 0, vec![9; 40]);
        writer.push(&Record::End(40));
        writer.flush().unwrap();
        let refused = render(folder.path(), &[]).unwrap_err();
        assert_eq!(refused.exit, Exit::BadInput);
        assert!(refused.text.contains("0.0.9") && refused.text.contains("--other-build"));
        let differs = render(folder.path(), &["--other-build"]).unwrap();
        assert_eq!(format!("{differs:?}"), format!("{:?}", ExitCode::from(Exit::No)));
        assert_eq!(std::fs::metadata(folder.path().join("a.wav")).unwrap().len(), 78 + 40 * 512);
    }

    #[test]
    fn another_builds_states_are_never_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        let mut writer = journal(&path, "0.0.9", 0, vec![]);
        writer.push(&Record::Gap(Gap { from_block: 40, to_record: 0 }));
        writer.push(&Record::Checkpoint(Checkpoint::new(50, 0, &[1, 2, 3])));
        writer.push(&Record::End(60));
        writer.flush().unwrap();
        assert!(render(folder.path(), &["--other-build"]).is_ok(), "it ends at the gap");
        std::fs::remove_file(&path).unwrap();
        journal(&path, "0.0.9", 16, vec![]).flush().unwrap();
        let refused = render(folder.path(), &["--other-build"]).unwrap_err();
        assert!(refused.text.contains("begins at block 16"), "{}", refused.text);
    }

    /// What another build went over to is made anew of its patch, and gone over to where it was.
    #[test]
    fn another_builds_edits_are_made_anew_and_replayed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        let setup = Setup::default();
        let edited = PATCH.replace("0.5", "0.25");
        let plans = [PATCH, &edited].map(|text| patch::compile("patch", text, &setup).unwrap());
        let header = header("0.0.9", 0, vec![9; 40]);
        let mut player = Player::new(&plans[0], &setup).unwrap();
        player.learn(1, plans[1].clone());
        let adopt = |check| Command::now(Action::Adopt { edition: 1, check, fade_frames: 640 });
        let logged = |payload| journal::Command {
            number: 0,
            block: 20,
            kind: COMMAND,
            payload,
            origin: 0,
            more: 0,
        };
        player.push(logged(adopt(plans[1].hash() as u32).encode()));
        let mut hashes = Hashes::new(0);
        (0..60).for_each(|_| hashes.push(player.render().1));
        let mut writer = JournalWriter::create(&path, &header).unwrap();
        let bytes = vec![8; 40];
        let plan = journal::Plan { edition: 1, base: Some(0), patch: edited, bytes };
        writer.push(&Record::Plan(plan));
        // By the hash that the plan had there.
        writer.push(&Record::Command(logged(adopt(12_345).encode())));
        writer.push(&Record::Hashes(hashes));
        writer.push(&Record::End(60));
        writer.flush().unwrap();
        let same = render(folder.path(), &["--other-build"]).unwrap();
        assert_eq!(format!("{same:?}"), format!("{:?}", ExitCode::SUCCESS));
    }

    /// What is of this build needs no request, and the request changes nothing.
    #[test]
    fn a_journal_of_this_build_is_rendered_with_and_without_the_request() {
        let folder = tempfile::tempdir().unwrap();
        let plan: Plan = patch::compile("patch", PATCH, &Setup::default()).unwrap();
        let path = folder.path().join("a.journal");
        let mut writer = journal(&path, build::VERSION, 0, plan.to_bytes());
        writer.push(&Record::End(40));
        writer.flush().unwrap();
        for more in [&[][..], &["--other-build"]] {
            assert!(render(folder.path(), more).is_ok());
        }
    }
}
