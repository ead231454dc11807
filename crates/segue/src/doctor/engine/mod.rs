//! A running engine: why there is no sound.
//!
//! The signal is walked from the engine's door to the device, and the first stage that is silent
//! is named. [`Engine::look`] gathers facts without touching the engine; [`Facts::judge`] is a
//! function of them alone.

mod judge;
mod signal;
mod threads;

use std::net::SocketAddr;
use std::time::Duration;

use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::status::{Counter, Fact};
use segue_lockstep::monitor::State;
use segue_sys::clock;

use super::finding::Finding;
use crate::client::conversation::Conversation;
use crate::client::status::{Seen, pause};
use crate::host::door::{self, DoorError};
use signal::Signal;
use threads::Threads;

/// How long the timeline is watched: many blocks, also of the longest period.
const WATCH: Duration = Duration::from_millis(500);
/// How long control may take to answer over OSC.
const ANSWER: Duration = Duration::from_secs(1);

/// What was found at the engine's door.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// Nobody.
    None(u16),
    /// Somebody who does not let us look.
    Closed(String),
    /// An engine that was stopped by a signal.
    Stopped(u32),
    /// An engine.
    Here(Box<Facts>),
}

/// What is known of a running engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pid: u64,
    /// Since the supervisor last moved, in milliseconds.
    age_ms: u64,
    /// 0 not yet, 1 it answers, 2 it is between two lives.
    control: u64,
    /// Why OSC is not answered.
    osc: Option<String>,
    /// As status has it: kind, then what it is called.
    device: String,
    drives: bool,
    trouble: String,
    /// Blocks played before, within and expected within the time it was watched.
    playhead: u64,
    moved: u64,
    expected: u64,
    slots: Vec<Slot>,
    signal: Option<Signal>,
    /// Of the last second as it was played.
    peak: f32,
    /// Blocks nobody had, since the start and within the time it was watched.
    missed: u64,
    missed_now: u64,
    late: u64,
    xruns: u64,
    losses: u64,
    threads: Threads,
}

/// A worker's place.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    plays: bool,
    primary: bool,
    stalled: bool,
    given_up: bool,
    /// Of the blocks in its ring.
    peak: f32,
    /// How it is, in words.
    words: String,
}

impl Engine {
    /// Looks at the engine that listens at `addr`.
    pub(crate) fn look(addr: SocketAddr) -> Self {
        let visit = match door::ask(addr.port()) {
            Err(DoorError::NoEngine(port)) => return Self::None(port),
            // The kernel still says whose door it is when nobody answers there.
            Err(other) => match door::owner(addr.port()) {
                Some(pid) if threads::is_stopped(pid) => return Self::Stopped(pid),
                _ => return Self::Closed(other.to_string()),
            },
            Ok(visit) => visit,
        };
        let before = Seen::look(&visit);
        let started = clock::monotonic_ns();
        pause(WATCH);
        let now = Seen::look(&visit);
        let watched_ns = clock::monotonic_ns().saturating_sub(started);
        let expected = watched_ns as f64 / 1e9 * f64::from(visit.shape.rate) / BLOCK_FRAMES as f64;
        let mut facts = Facts::of(&now, &before);
        facts.expected = expected as u64;
        facts.signal = Signal::of(&now.snapshot, &visit.shape);
        facts.threads = Threads::look(&now.snapshot);
        if facts.control == 1 {
            facts.osc = answer(addr).err();
        }
        Self::Here(Box::new(facts))
    }

    /// What that means. `asked`: the engine was asked for by its address.
    pub(crate) fn judge(&self, asked: bool) -> Vec<Finding> {
        let check = "engine";
        match self {
            Self::None(port) if asked => {
                vec![
                    Finding::bad(check, format!("no engine answers on port {port}"))
                        .cure(format!("segue run --osc {port}  # with a patch")),
                ]
            }
            Self::None(port) => {
                let text = format!(
                    "none runs on port {port}, so only the machine was looked at; `--osc PORT` \
                     looks at one elsewhere"
                );
                vec![Finding::ok(check, text)]
            }
            Self::Stopped(pid) => {
                let text = format!("pid {pid} is stopped by a signal, and all its sound with it");
                vec![Finding::bad(check, text).cure(format!("kill -CONT {pid}"))]
            }
            Self::Closed(why) => vec![Finding::bad(check, why).cure("pgrep -a segue")],
            Self::Here(facts) => facts.judge(),
        }
    }
}

/// Whether control takes messages.
fn answer(addr: SocketAddr) -> Result<(), String> {
    let asked = Conversation::open(addr).and_then(|mut it| it.sync(ANSWER, |_| {}));
    asked.map_err(|failure| failure.text)
}

impl Facts {
    fn of(now: &Seen, before: &Seen) -> Self {
        let (seen, earlier) = (&now.snapshot, &before.snapshot);
        let missed = seen.counter(Counter::NoneReads);
        let age_ns = clock::monotonic_ns().saturating_sub(seen.fact(Fact::Beat));
        Self {
            pid: seen.fact(Fact::Pid),
            age_ms: age_ns / 1_000_000,
            control: seen.fact(Fact::ControlState),
            device: seen.device.clone(),
            drives: seen.fact(Fact::DeviceDrives) != 0,
            trouble: seen.trouble(),
            playhead: seen.playhead,
            moved: seen.playhead.saturating_sub(earlier.playhead),
            slots: slots(now),
            peak: seen.levels.peak.iter().fold(0.0, |most, peak| most.max(*peak)),
            missed,
            missed_now: missed.saturating_sub(earlier.counter(Counter::NoneReads)),
            late: seen.counter(Counter::Late),
            xruns: seen.counter(Counter::Xruns),
            losses: seen.counter(Counter::DeviceLosses),
            ..Self::default()
        }
    }
}

fn slots(seen: &Seen) -> Vec<Slot> {
    let deaths = &seen.snapshot.deaths;
    let slots = seen.snapshot.slots.iter().zip(0_u64..);
    slots
        .map(|(slot, at)| {
            let state = match slot.state {
                State::Lockstep if slot.stalled => "has work and does not move",
                State::Lockstep => "plays",
                State::Starting => "is starting",
                State::Joining => "is catching up",
                State::Leaving => "is being ended",
                State::Empty => "waits for its next worker",
                State::GivenUp => "is given up",
            };
            let last = deaths.iter().rev().find(|death| death.slot == at);
            let why = last.filter(|_| slot.state != State::Lockstep).map(|death| {
                format!(": {} {}", death.cause, death.last_words).trim_end().to_owned()
            });
            Slot {
                plays: slot.state == State::Lockstep,
                primary: slot.primary,
                stalled: slot.stalled,
                given_up: slot.state == State::GivenUp,
                peak: slot.levels.peak.iter().fold(0.0, |most, peak| most.max(*peak)),
                words: format!("slot {at} {state}{}", why.unwrap_or_default()),
            }
        })
        .collect()
}
