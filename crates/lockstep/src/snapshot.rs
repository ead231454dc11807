//! A snapshot: all that can be told of an engine, read from its memory without asking anybody.
//!
//! It works while control is dead and while workers hang, for it only reads. *Invariant*:
//! nothing read here is trusted further than to be shown.

use crate::memory::inbox::{Count, Inbox};
use crate::memory::orders::Orders;
use crate::memory::plans::Plans;
use crate::memory::slot::{Crumb, Phase, Reset, Slot};
use crate::memory::status::{Change, Counter, Death, Fact, SlotFacts, Status};
use crate::memory::tap::{Found, Tap};
use crate::monitor::State;
use crate::{BLOCK_FRAMES, Shape};

/// Who has not got on for so long, and is behind, is called stalled.
const STALLED_NS: u64 = 100_000_000;

/// The regions a snapshot is read from.
#[derive(Clone, Debug)]
pub struct Views {
    /// Shape of the engine.
    pub shape: Shape,
    /// Orders and log.
    pub orders: Orders,
    /// The status page.
    pub status: Status,
    /// The slots.
    pub slots: Vec<Slot>,
    /// The inbox.
    pub inbox: Inbox,
    /// The tap.
    pub tap: Tap,
    /// The plans.
    pub plans: Plans,
}

/// How the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Plays, with the redundancy asked for.
    Ok,
    /// Plays, with less.
    Degraded,
    /// Nobody renders.
    Silent,
}

/// Peak and RMS, linear, one a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// The largest magnitude.
    pub peak: Vec<f32>,
    /// Root of the mean square.
    pub rms: Vec<f32>,
}

/// Rendering times of the last blocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderTimes {
    /// Half of the blocks took no longer.
    pub p50_ns: u64,
    /// 99 of 100 blocks took no longer.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// A slot.
#[derive(Clone, Debug)]
pub struct SlotSnapshot {
    /// What the monitor knows.
    pub facts: SlotFacts,
    /// The state, in the monitor's words.
    pub state: State,
    /// Whether it goes first.
    pub primary: bool,
    /// The last block it published.
    pub last_block: Option<u64>,
    /// Blocks below this it has rendered.
    pub reached: u64,
    /// What it is doing, and in which block.
    pub crumb: (Crumb, u64),
    /// Whether it has had work for a while and does not move.
    pub stalled: bool,
    /// How long its blocks took.
    pub render: RenderTimes,
    /// How loud its last blocks were.
    pub levels: Levels,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// How the engine is.
    pub health: Health,
    /// What is not as it should be, in sentences.
    pub problems: Vec<String>,
    /// The next block to be played.
    pub playhead: u64,
    /// Blocks below this are sealed.
    pub sealed: u64,
    /// Blocks sealed beyond a period.
    pub lead: u64,
    /// The longest period, in frames.
    pub period: u64,
    /// Who goes first.
    pub primary: Option<usize>,
    /// The device, as it was named.
    pub device: String,
    /// The slots, in order.
    pub slots: Vec<SlotSnapshot>,
    /// The newest deaths, oldest first.
    pub deaths: Vec<Death>,
    /// The newest changes of primary, oldest first.
    pub changes: Vec<Change>,
    /// The last second as it was played.
    pub levels: Levels,
    /// How often a part was set back because its output was no number.
    pub resets: u64,
    /// The newest of these, oldest first, as far as whoever goes first has met them.
    pub newest_resets: Vec<Reset>,
    /// The newest state of the instrument that is whole.
    pub state: Option<Vec<u64>>,
    /// The plans: the state is of one of them, or of two where one fades into the other.
    pub plans: Plans,
    counters: Vec<u64>,
    status: Status,
    inbox: Inbox,
}

impl Snapshot {
    /// Reads everything; `now_ns` is the monotonic clock. `[control]`
    #[must_use]
    pub fn read(views: &mut Views, now_ns: u64) -> Self {
        let Views { orders, status, .. } = &*views;
        // What is counted before what is so: whoever sees a death counted sees its slot empty
        // or filled again, never as it was before.
        let (counters, deaths) = (status.counters(), status.deaths());
        let slots: Vec<SlotSnapshot> =
            (0..views.shape.slots).map(|slot| read_slot(views, slot, now_ns)).collect();
        let first = orders.primary().and_then(|slot| views.slots.get(slot));
        let mut snapshot = Self {
            resets: first.map_or(0, Slot::resets),
            newest_resets: first.map(Slot::newest_resets).unwrap_or_default(),
            health: Health::Ok,
            problems: Vec::new(),
            playhead: orders.playhead(),
            sealed: orders.sealed(),
            lead: orders.lead(),
            period: orders.period(),
            primary: orders.primary(),
            device: status.device(),
            counters,
            deaths,
            changes: status.changes(),
            levels: Levels::default(),
            state: newest_state(&views.slots),
            plans: views.plans.clone(),
            status: status.clone(),
            inbox: views.inbox.clone(),
            slots,
        };
        snapshot.levels = last_second(views, snapshot.playhead);
        snapshot.diagnose(now_ns);
        snapshot
    }

    /// A fact. `[control]`
    #[must_use]
    pub fn fact(&self, fact: Fact) -> u64 {
        self.status.fact(fact)
    }

    /// A counter of the supervisor's. `[control]`
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).copied().unwrap_or(0)
    }

    /// A counter of control's. `[control]`
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.inbox.count(count)
    }

    /// What is wrong with the device, in words; empty when nothing is. `[control]`
    #[must_use]
    pub fn trouble(&self) -> String {
        self.status.trouble()
    }

    /// Commands that wait in control for room. `[control]`
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.inbox.waiting()
    }

    /// What control left for status. `[control]`
    #[must_use]
    pub fn memo(&self) -> Option<Vec<u8>> {
        self.inbox.memo()
    }

    fn diagnose(&mut self, now_ns: u64) {
        for (slot, seen) in self.slots.iter().enumerate() {
            let state = match seen.state {
                State::Lockstep if seen.stalled => "has work and does not move",
                State::Lockstep => continue,
                State::Starting => "is starting",
                State::Joining => "is catching up",
                State::Leaving => "is being ended",
                State::Empty => "waits for its next worker",
                State::GivenUp => "was given up; /engine/revive brings it back",
            };
            let last = self.deaths.iter().rev().find(|death| death.slot == slot as u64);
            let why = last.map(|death| match death.last_words.as_str() {
                "" => format!(" (last: {})", death.cause),
                words => format!(" (last: {}: {words})", death.cause),
            });
            self.problems.push(format!("slot {slot} {state}{}", why.unwrap_or_default()));
        }
        if self.status.fact(Fact::ControlState) == 2 {
            self.problems.push("control is down; the music plays, OSC waits".to_owned());
        }
        let trouble = self.status.trouble();
        let unheard = !trouble.is_empty() && self.status.fact(Fact::DeviceDrives) == 0;
        if !trouble.is_empty() {
            self.problems.push(trouble);
        }
        let age = now_ns.saturating_sub(self.status.fact(Fact::Beat));
        if age > 2_000_000_000 {
            self.problems.push(format!("the supervisor has not moved for {} ms", age / 1_000_000));
        }
        let plays = self.slots.iter().any(|slot| slot.state == State::Lockstep);
        self.health = match (plays && !unheard, self.problems.is_empty()) {
            (false, _) => Health::Silent,
            (true, false) => Health::Degraded,
            (true, true) => Health::Ok,
        };
    }
}

fn read_slot(views: &Views, slot: usize, now_ns: u64) -> SlotSnapshot {
    let place = &views.slots[slot];
    let facts = views.status.slot(slot);
    let sits = place.generation() == facts.generation && facts.generation != 0;
    let published = if sits { place.published() } else { 0 };
    let (render, levels) = recent(views, place, facts.generation, published);
    let primary = views.orders.primary() == Some(slot);
    let lagging = published + views.orders.lead() < views.orders.playhead();
    let still = now_ns.saturating_sub(facts.moved_ns) > STALLED_NS;
    SlotSnapshot {
        state: State::from_word(facts.state),
        primary,
        last_block: published.checked_sub(1),
        reached: if sits { place.reached() } else { 0 },
        crumb: if sits { place.crumb() } else { (Crumb::Load, 0) },
        stalled: sits && place.phase() == Phase::Lockstep && lagging && still,
        facts,
        render,
        levels,
    }
}

/// Times and levels of the blocks that are still in a slot's ring.
fn recent(views: &Views, place: &Slot, generation: u64, published: u64) -> (RenderTimes, Levels) {
    let mut entry = vec![0; place.entry_words()];
    let mut samples = vec![0.0; views.shape.block_samples()];
    let mut times = Vec::new();
    let mut meter = Meter::new(views.shape.channels);
    for block in published.saturating_sub(200)..published {
        if let Some(facts) = place.read(block, generation, &mut entry) {
            times.push(facts.render_ns);
            crate::memory::block::unpack(&entry, &mut samples);
            meter.hear(&samples);
        }
    }
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().max(1) - 1));
    let of = |part| at(part).copied().unwrap_or(0);
    let render = RenderTimes { p50_ns: of(50), p99_ns: of(99), max_ns: of(100) };
    (render, meter.levels())
}

fn newest_state(slots: &[Slot]) -> Option<Vec<u64>> {
    let mut areas: Vec<_> = slots.iter().flat_map(|place| place.areas()).collect();
    areas.sort_by_key(|area| std::cmp::Reverse(area.claim().map(|mark| mark.block)));
    areas.into_iter().find_map(|area| area.read()).map(|(_, state)| state)
}

fn last_second(views: &mut Views, playhead: u64) -> Levels {
    let blocks = u64::from(views.shape.rate) / BLOCK_FRAMES as u64;
    let mut samples = vec![0.0; views.shape.block_samples()];
    let mut meter = Meter::new(views.shape.channels);
    for block in playhead.saturating_sub(blocks)..playhead {
        if let Found::Block(_) = views.tap.read(block, &mut samples) {
            meter.hear(&samples);
        }
    }
    meter.levels()
}

struct Meter {
    peak: Vec<f32>,
    squares: Vec<f64>,
    frames: usize,
}

impl Meter {
    fn new(channels: usize) -> Self {
        Self { peak: vec![0.0; channels], squares: vec![0.0; channels], frames: 0 }
    }

    fn hear(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.peak.len()) {
            for (channel, sample) in frame.iter().enumerate() {
                self.peak[channel] = self.peak[channel].max(sample.abs());
                self.squares[channel] += f64::from(*sample) * f64::from(*sample);
            }
            self.frames += 1;
        }
    }

    fn levels(self) -> Levels {
        let frames = self.frames.max(1) as f64;
        let rms = self.squares.iter().map(|sum| (sum / frames).sqrt() as f32).collect();
        Levels { peak: self.peak, rms }
    }
}
