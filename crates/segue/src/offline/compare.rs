//! What was played, by the hashes in a journal, held against what its commands render to, while
//! the journal is still being written.

use std::ops::Range;
use std::path::Path;

use super::player::Player;
use super::render_journal::{learn, load_verdicts, of_another_build, opened, player_of};
use crate::exit::{Exit, Failure};
use crate::files::journal::{JournalReader, Record};

/// What was found of the blocks that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Blocks the journal tells of.
    pub(crate) blocks: u64,
    /// Blocks that were played otherwise than they render.
    pub(crate) differing: u64,
    /// The first of them.
    pub(crate) first_difference: Option<u64>,
    /// Blocks that were made up, because nobody had them.
    pub(crate) concealed: u64,
    /// Blocks that were played and cannot be rendered: the journal has a gap before them.
    pub(crate) unknown: u64,
    /// Behind the last block the journal tells of.
    pub(crate) until: u64,
}

impl Compared {
    /// Whether all of it is known, and nobody can have heard anything.
    pub(crate) fn is_flawless(&self) -> bool {
        self.blocks > 0 && self.differing + self.concealed + self.unknown == 0
    }

    /// With what was found in the journal that follows.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            blocks: self.blocks + next.blocks,
            differing: self.differing + next.differing,
            first_difference: self.first_difference.or(next.first_difference),
            concealed: self.concealed + next.concealed,
            unknown: self.unknown + next.unknown,
            until: self.until.max(next.until),
        }
    }

    fn take(&mut self, block: u64, rendered: u64, played: u64) {
        if rendered != played {
            self.differing += 1;
            self.first_difference.get_or_insert(block);
        }
    }
}

/// Compares `blocks`, as far as the journal goes; it is begun at its newest checkpoint before
/// them.
pub(crate) fn compare(path: &Path, blocks: Range<u64>) -> Result<Compared, Failure> {
    let mut journal = JournalReader::open(path).map_err(opened)?;
    let other = of_another_build(journal.header(), false)?;
    let (setup, mut player) = player_of(journal.header(), other)?;
    load_verdicts(path, &mut player)?;
    let mut owed = journal.header().start_block > 0;
    let mut compared = Compared::default();
    // Damage at its end may be a record that is being written.
    while let Ok(Some(record)) = journal.next() {
        match record {
            Record::Checkpoint(checkpoint) if owed || checkpoint.block <= blocks.start => {
                player.restore(&checkpoint).map_err(|error| {
                    let text = format!("a checkpoint in the journal is wrong: {error}");
                    Failure::new(Exit::BadInput, text)
                })?;
                owed = false;
            }
            Record::Gap(_) => owed = true,
            Record::Plan(plan) => learn(&mut player, &plan, &setup, other)?,
            Record::Command(command) => player.push(command),
            Record::Hashes(hashes) => {
                for (block, hash) in hashes.iter().filter(|(block, _)| blocks.contains(block)) {
                    compared.blocks += 1;
                    compared.until = block + 1;
                    if owed || block < player.block() {
                        compared.unknown += 1;
                    } else {
                        compared.take(block, render(&mut player, block), hash);
                    }
                }
            }
            Record::Concealed(block) if blocks.contains(&block) => {
                compared.blocks += 1;
                compared.concealed += 1;
                compared.until = block + 1;
            }
            _ => {}
        }
    }
    Ok(compared)
}

/// The hash of a block that is still to come.
fn render(player: &mut Player, block: u64) -> u64 {
    while player.block() < block {
        player.render();
    }
    player.render().1
}
