//! A long quiet run: lead of four, nobody hurts anybody. Is every block there in time?

use std::path::Path;
use std::time::Duration;

use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::status::{Counter, Fact};
use segue_lockstep::memory::tap::Found;
use segue_lockstep::monitor::State;
use segue_sys::clock;

use crate::engine::{BLOCK_NS, Engine, first_patch};
use crate::table;

/// Between two looks: well before a slot's ring of 256 blocks comes round.
const LOOK_BLOCKS: u64 = 24;

pub(crate) fn measure(length: Duration) {
    let seconds = format!("{}s", length.as_secs_f64());
    run("first.toml", &first_patch(), &seconds, length);
    if length > Duration::from_secs(30) {
        return;
    }
    let demo = first_patch().with_file_name("demo.toml");
    run("demo.toml", &demo, &seconds, length);
}

fn run(name: &str, patch: &Path, seconds: &str, length: Duration) {
    let mut engine = Engine::start(patch, &["--lead", "4", "--for", seconds]);
    let mut looks = [Looks::default(), Looks::default()];
    let (mut concealed, mut heard) = (Vec::new(), 0);
    let last = (length.as_nanos() / u128::from(BLOCK_NS)) as u64;
    while engine.orders.playhead() + 2 * LOOK_BLOCKS < last {
        clock::sleep_until_ns(clock::monotonic_ns() + LOOK_BLOCKS * BLOCK_NS);
        for (slot, look) in looks.iter_mut().enumerate() {
            look.at(&engine, slot);
        }
        heard = listen(&engine, heard, &mut concealed);
    }
    let status = engine.ended();
    let priority = match engine.status.fact(Fact::Realtime) {
        0 => "WITHOUT real-time priority",
        _ => "real-time priority granted",
    };
    println!("\n{name} for {seconds}, null, lead 4, {priority}, ended with {status}");
    let columns = ["played", "concealed", "late", "anchors", "roles", "deaths"];
    table::title("  blocks", &columns);
    let of = |counter| engine.counter(counter) as f64;
    let counted = [
        Counter::NoneReads,
        Counter::Late,
        Counter::Anchors,
        Counter::RoleChanges,
        Counter::Deaths,
    ];
    let mut values = vec![engine.orders.playhead() as f64];
    values.extend(counted.map(of));
    table::row("", &values, 0);
    if !concealed.is_empty() {
        println!("  concealed were {concealed:?}");
    }
    table::title("  rendering a block, us", &table::SPREAD);
    for (slot, look) in looks.iter_mut().enumerate() {
        table::spread(&format!("  slot {slot}"), std::mem::take(&mut look.render_us), 1);
    }
    table::title("  blocks in hand beyond the playhead", &["times", "p50", "min"]);
    for (slot, look) in looks.iter_mut().enumerate() {
        look.in_hand.sort_unstable();
        let hand = &look.in_hand;
        let (p50, min) = (hand[hand.len() / 2], hand[0]);
        table::row(&format!("  slot {slot}"), &[hand.len() as f64, p50 as f64, min as f64], 0);
    }
}

/// Notes which of the blocks played since `from` were concealed; gives where it has come to.
fn listen(engine: &Engine, from: u64, concealed: &mut Vec<u64>) -> u64 {
    let mut tap = engine.tap.clone();
    let mut samples = [0.0; 2 * BLOCK_FRAMES];
    for block in from..tap.head() {
        if let Found::Block(played) = tap.read(block, &mut samples)
            && played.concealed
        {
            concealed.push(block);
        }
    }
    tap.head()
}

/// What was seen of a slot.
#[derive(Default)]
struct Looks {
    seen: u64,
    render_us: Vec<f64>,
    in_hand: Vec<i64>,
}

impl Looks {
    /// Reads how long the blocks since the last look took, and how many wait to be played.
    fn at(&mut self, engine: &Engine, slot: usize) {
        let (facts, place) = (engine.status.slot(slot), &engine.slots[slot]);
        if State::from_word(facts.state) != State::Lockstep {
            return;
        }
        let mut entry = vec![0; place.entry_words()];
        let published = place.published();
        self.in_hand.push(published as i64 - engine.orders.playhead() as i64);
        for block in self.seen.max(published.saturating_sub(200))..published {
            if let Some(facts) = place.read(block, facts.generation, &mut entry) {
                self.render_us.push(facts.render_ns as f64 / 1000.0);
            }
        }
        self.seen = published;
    }
}
