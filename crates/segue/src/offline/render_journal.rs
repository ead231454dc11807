//! `segue render JOURNAL`: what was played, played again, and compared as it goes.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use segue_rack::{BLOCK_FRAMES, Plan, Setup};

use super::output::Output;
use super::player::Player;
use super::{build, score};
use crate::cli::RenderArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};
use crate::files::journal::{Damage, Header, JournalError, JournalReader, Record};

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
    let (setup, mut player) = player_of(journal.header())?;
    load_verdicts(&args.input, &mut player)?;
    let frame = |at: Duration| score::frame_of(at, setup.rate);
    let from = args.from.map_or(journal.header().start_block * BLOCK_FRAMES as u64, frame);
    let to = args.length.map_or(u64::MAX, |length| from.saturating_add(frame(length)));
    let output = Output::create(&args.out, args.force, setup.rate, setup.channels, from..to)?;
    let mut replay = Replay { player, output, findings: Findings::default() };
    replay.run(&mut journal)?;
    let Replay { output, findings, .. } = replay;
    let end = output.finish()?;
    report(args, &findings, from, end, setup.rate, journal.ended())
}

fn player_of(header: &Header) -> Result<(Setup, Player), Failure> {
    let bad = |text: String| Failure::new(Exit::BadInput, text);
    if header.build != build::VERSION || header.layout != build::layout() {
        return Err(bad(format!(
            "the journal was written by Segue {}, whose modules differ from those of this one \
             ({}); render it with that version",
            header.build,
            build::VERSION
        )));
    }
    let setup = Setup {
        rate: header.rate,
        channels: header.channels,
        state_bytes: usize::try_from(header.state_bytes).unwrap_or(usize::MAX),
    };
    let plan = Plan::from_bytes(&header.plan)
        .map_err(|error| bad(format!("the plan in the journal cannot be used: {error}")))?;
    let player = Player::new(&plan, &setup)
        .map_err(|error| bad(format!("the plan in the journal cannot play: {error}")))?;
    Ok((setup, player))
}

/// What was found to be poison is known before the first block: a verdict may have been written
/// behind a block that was made up because of it.
fn load_verdicts(path: &Path, player: &mut Player) -> Result<(), Failure> {
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
    output: Output,
    findings: Findings,
}

impl Replay {
    fn run(&mut self, journal: &mut JournalReader) -> Result<(), Failure> {
        // Where a state is owed: at the beginning of a later part, and behind a gap.
        let mut owed = journal.header().start_block > 0;
        while !self.output.is_complete(self.player.block()) {
            match journal.next() {
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
                    owed = true;
                }
                Ok(Some(record)) if !owed => self.record(record)?,
                Ok(Some(Record::Command(command))) => self.player.push(command),
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
            Record::Command(command) => self.player.push(command),
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
            Record::Mark(_)
            | Record::Gap(_)
            | Record::Checkpoint(_)
            | Record::Quarantine(_)
            | Record::Bypass(_) => {}
        }
        Ok(())
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

fn report(
    args: &RenderArgs,
    findings: &Findings,
    from: u64,
    end: u64,
    rate: u32,
    ended: bool,
) -> Result<ExitCode, Failure> {
    let seconds = |frames: u64| frames as f64 / f64::from(rate);
    if args.json {
        let report = serde_json::json!({
            "input": args.input, "out": args.out, "from_frame": from, "frames": end - from,
            "rate": rate, "seconds": seconds(end - from), "ended": ended,
            "blocks_compared": findings.compared, "blocks_differing": findings.differing,
            "first_difference": findings.first_difference, "concealed": findings.concealed,
            "gaps": findings.gaps, "damage": findings.damage.as_ref().map(ToString::to_string),
        });
        tell!("{report}");
    }
    if let Some(block) = findings.first_difference {
        let at = seconds(block * BLOCK_FRAMES as u64);
        eprintln!(
            "block {block} ({at:.3} s) differs from what was played, and {} of {} blocks in all",
            findings.differing, findings.compared
        );
    }
    if findings.concealed > 0 {
        eprintln!("{} blocks were concealed when they were played", findings.concealed);
    }
    if findings.gaps > 0 {
        eprintln!("the journal has {} gaps; each begins a further file", findings.gaps);
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

fn opened(error: JournalError) -> Failure {
    match &error {
        JournalError::Io { source, .. } => Failure::new(Exit::of_input(source), error.to_string()),
        _ => Failure::new(Exit::BadInput, error.to_string()),
    }
}
