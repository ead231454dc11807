//! Death to lockstep: workers of a playing engine are killed, primary and standby in turn.
//!
//! Moments are the monitor's, of the same clock as that of the kill: when it knew, when it named
//! another primary, and when the next guest rendered in lockstep, its hashes agreeing. From the
//! kill, not from when it was noticed: the audience's clock does not wait for ours.

use segue_lockstep::memory::status::{Counter, Death};

use crate::engine::{Engine, first_patch};
use crate::table::{self, ms};

const KILLS: u64 = 50;
/// Blocks between two kills.
const REST: u64 = 64;

pub(crate) fn measure() {
    let engine = Engine::start(&first_patch(), &["--lead", "4"]);
    let counters = [Counter::Failovers, Counter::Late, Counter::NoneReads, Counter::RoleChanges];
    let before = counters.map(|counter| engine.counter(counter));
    let (mut told, mut changed) = (Vec::new(), Vec::new());
    let mut again = [Vec::new(), Vec::new()];
    let mut shown = Vec::new();
    for number in 0..KILLS {
        let of_primary = number % 2 == 0;
        let primary = engine.primary();
        let killed_ns = engine.kill(if of_primary { primary } else { 1 - primary });
        let death = mourned(&engine, number);
        told.push(ms(death.at_ns - killed_ns));
        shown.push(ms(death.lockstep_again_ns));
        again[usize::from(!of_primary)].push(ms(death.at_ns + death.lockstep_again_ns - killed_ns));
        let change = engine.status.changes().pop();
        changed
            .extend(change.filter(|it| it.at_ns >= killed_ns).map(|it| ms(it.at_ns - killed_ns)));
        engine.play_on(REST);
    }
    table::title("kill -9 of a worker, ms from the kill until", &table::SPREAD);
    table::spread("  its death is told", told, 2);
    table::spread("  another is primary", changed, 2);
    let [of_primary, of_standby] = again;
    table::spread("  all are in lockstep again (primary killed)", of_primary, 1);
    table::spread("  all are in lockstep again (standby killed)", of_standby, 1);
    table::spread("  lockstep_again_ms as the status has it", shown, 1);
    table::title("  meanwhile", &["failovers", "late", "concealed", "roles"]);
    let after = counters.map(|counter| engine.counter(counter));
    let values: Vec<f64> = after.iter().zip(before).map(|(a, b)| (a - b) as f64).collect();
    table::row("  blocks, of those played", &values, 0);
}

/// The death with this number, once its successor is in lockstep.
pub(crate) fn mourned(engine: &Engine, number: u64) -> Death {
    let find = |it: &Engine| it.status.deaths().into_iter().find(|death| death.number == number);
    let over =
        |it: &Engine| it.is_whole() && find(it).is_some_and(|death| death.lockstep_again_ns > 0);
    engine.wait("the killed one has a successor in lockstep", over);
    find(engine).expect("it is kept")
}
