//! What a running engine plays: the blocks of the tap, one after another, as they come.

use std::time::{Duration, Instant};

use segue_hear::Ear;
use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::tap::{Found, Played};
use serde_json::json;

use super::Heard;
use crate::client::status::pause;
use crate::exit::{Exit, Failure};
use crate::host::door::Visit;
use crate::offline::frame_of;

/// How often the tap is looked at: it holds thirty seconds.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An engine that plays nothing for so long stands still.
const STILL: Duration = Duration::from_secs(10);

/// Who is given the blocks.
pub(super) trait Listener {
    /// Takes a block that was played, in order.
    fn take(&mut self, block: u64, played: Played, samples: &[f32]) -> Result<(), Failure>;
}

/// What of an engine was heard.
pub(super) struct Stretch {
    /// The first block.
    pub(super) first: u64,
    /// How many.
    pub(super) blocks: u64,
    /// How many of them were made up for want of real ones.
    pub(super) concealed: u64,
    /// Why it ended early.
    pub(super) flaw: Option<Failure>,
}

/// Hands the blocks that are played from `first` on to `listener`, as many as the time has; fewer
/// if the engine ends.
pub(super) fn follow(
    visit: &mut Visit,
    first: u64,
    time: Duration,
    listener: &mut dyn Listener,
) -> Result<Stretch, Failure> {
    let wanted = frame_of(time, visit.shape.rate).div_ceil(BLOCK_FRAMES as u64);
    let end = first.saturating_add(wanted);
    // Who hears a live engine waits as long as it plays.
    eprintln!("listening to the engine of pid {} from block {first} on", visit.pid);
    let mut samples = vec![0.0; visit.shape.block_samples()];
    let mut stretch = Stretch { first, blocks: 0, concealed: 0, flaw: None };
    let mut moved = Instant::now();
    let mut next = first;
    while next < end {
        match visit.tap.read(next, &mut samples) {
            Found::Block(played) => {
                listener.take(next, played, &samples)?;
                stretch.concealed += u64::from(played.concealed);
                stretch.blocks += 1;
                next += 1;
                moved = Instant::now();
            }
            Found::Passed => {
                let text = format!(
                    "the engine played on faster than could be listened to: block {next} is \
                     overwritten; listen for less with --for"
                );
                return Err(Failure::new(Exit::TryAgain, text));
            }
            Found::NotYet if visit.orders.end().is_some_and(|end| next >= end) => {
                stretch.flaw = Some(ended("ended"));
                break;
            }
            Found::NotYet if visit.ended(Duration::ZERO) => {
                // It may have played on between the two looks.
                if visit.tap.head() <= next {
                    stretch.flaw = Some(ended("was killed"));
                    break;
                }
            }
            Found::NotYet if moved.elapsed() > STILL => {
                let text = "the engine stands still: nothing was played for 10 s; `segue doctor` \
                            tells why";
                return Err(Failure::new(Exit::TryAgain, text));
            }
            Found::NotYet => pause(LOOK_EVERY),
        }
    }
    if stretch.blocks == 0 {
        return Err(ended("ended before anything was heard"));
    }
    Ok(stretch)
}

fn ended(how: &str) -> Failure {
    Failure::new(Exit::Unavailable, format!("the engine {how}; this is what was heard until then"))
}

struct Plain(Ear);

impl Listener for Plain {
    fn take(&mut self, _: u64, _: Played, samples: &[f32]) -> Result<(), Failure> {
        self.0.hear(samples);
        Ok(())
    }
}

/// Hears what is played from now on.
pub(super) fn hear(mut visit: Visit, time: Duration) -> Result<Heard, Failure> {
    let mut plain = Plain(super::ear(visit.shape.rate, visit.shape.channels));
    let first = visit.tap.head();
    let stretch = follow(&mut visit, first, time, &mut plain)?;
    let Stretch { first, blocks, concealed, flaw } = stretch;
    let pid = visit.pid;
    let mut source = format!("the engine of pid {pid}, blocks {first} to {}", first + blocks - 1);
    if concealed > 0 {
        source += &format!(", {concealed} of them concealed");
    }
    let source_json = json!({ "engine": {
        "pid": pid, "first_block": first, "blocks": blocks, "concealed": concealed,
    }});
    Ok(Heard { report: plain.0.report(), source, source_json, flaw })
}
