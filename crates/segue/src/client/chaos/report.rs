//! What a campaign has done, and what was heard of it.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_lockstep::memory::status::Death;

use super::Toll;
use crate::cli::chaos::Fault;
use crate::cli::output::tell;
use crate::offline::compare::Compared;

/// One blow, as it went.
pub(super) struct Struck {
    pub(super) fault: Fault,
    pub(super) end: End,
}

/// How a blow ended.
pub(super) enum End {
    /// Nobody was there to be hit.
    Missed,
    /// The engine was whole again, so long after it began.
    Whole(Duration),
    /// It was not, in all the time it was given.
    Unhealed,
}

/// All blows of one kind.
#[derive(Default)]
struct Kind {
    struck: u64,
    missed: u64,
    unhealed: u64,
}

/// The report.
pub(super) struct Report {
    seed: u64,
    kinds: BTreeMap<Fault, Kind>,
    /// How long workers took to be back in lockstep, in ms; deaths below a number were seen.
    workers_ms: Vec<f64>,
    seen: u64,
    /// How long control took to answer again.
    control_ms: Vec<f64>,
    before: Toll,
    after: Option<(Toll, Compared)>,
}

impl Report {
    pub(super) fn begin(seed: u64, before: Toll) -> Self {
        let (workers_ms, control_ms) = (Vec::new(), Vec::new());
        let seen = before.deaths;
        let kinds = BTreeMap::new();
        Self { seed, kinds, workers_ms, seen, control_ms, before, after: None }
    }

    /// Takes the deaths that were told since.
    pub(super) fn deaths(&mut self, deaths: &[Death]) {
        for death in deaths.iter().filter(|death| death.number >= self.seen) {
            self.workers_ms.push(death.lockstep_again_ns as f64 / 1e6);
        }
        self.seen = deaths.last().map_or(self.seen, |death| self.seen.max(death.number + 1));
    }

    /// Takes a blow; gives whether the engine is whole.
    pub(super) fn struck(&mut self, struck: &Struck) -> bool {
        let kind = self.kinds.entry(struck.fault).or_default();
        match struck.end {
            End::Missed => kind.missed += 1,
            End::Unhealed => kind.unhealed += 1,
            End::Whole(took) => {
                kind.struck += 1;
                if matches!(struck.fault, Fault::Control | Fault::Hang) {
                    self.control_ms.push(took.as_secs_f64() * 1000.0);
                }
            }
        }
        kind.unhealed == 0
    }

    pub(super) fn end(&mut self, after: Toll, heard: Compared) {
        self.after = Some((after, heard));
    }

    /// Whether every block was played as it renders, none was made up, and the engine is whole.
    pub(super) fn is_unheard(&self) -> bool {
        let heard = self.after.as_ref().is_some_and(|(after, heard)| {
            heard.is_flawless() && after.none_reads == self.before.none_reads
        });
        heard && self.kinds.values().all(|kind| kind.unhealed == 0)
    }

    /// Tells it to a person or a program.
    pub(super) fn show(&mut self, json: bool) {
        self.workers_ms.sort_by(f64::total_cmp);
        self.control_ms.sort_by(f64::total_cmp);
        let Some((after, heard)) = &self.after else { return };
        if json {
            tell!("{}", self.json(after, heard));
            return;
        }
        for (fault, kind) in &self.kinds {
            let mut line = format!("{:8} {:5}", fault.word(), kind.struck);
            if kind.missed > 0 {
                line += &format!("; {} found nobody", kind.missed);
            }
            if kind.unhealed > 0 {
                line += "; the engine was NOT whole again";
            }
            tell!("{line}");
        }
        let before = &self.before;
        tell!(
            "deaths {}, {}; failovers {}",
            after.deaths - before.deaths,
            times("in lockstep again", &self.workers_ms),
            after.failovers - before.failovers
        );
        tell!(
            "control restarted {} times, {}",
            after.restarts - before.restarts,
            times("answering again", &self.control_ms)
        );
        let (was, is) = (before.vitals, after.vitals);
        tell!(
            "the supervisor held {} descriptors, {} threads, {} KiB; now {}, {}, {}; zombies {}",
            was.descriptors,
            was.threads,
            was.memory_kib,
            is.descriptors,
            is.threads,
            is.memory_kib,
            is.zombies
        );
        tell!(
            "blocks played: {}; that differ from the journal's rendering: {}; made up: {}; not \
             known: {}",
            heard.blocks,
            heard.differing,
            heard.concealed,
            heard.unknown
        );
        tell!("{}", if self.is_unheard() { "nothing was heard" } else { "it was HEARD" });
    }

    fn json(&self, after: &Toll, heard: &Compared) -> serde_json::Value {
        let kinds = self.kinds.iter().map(|(fault, kind)| {
            let value = serde_json::json!({
                "struck": kind.struck, "missed": kind.missed, "unhealed": kind.unhealed,
            });
            (fault.word().to_owned(), value)
        });
        let before = &self.before;
        serde_json::json!({
            "seed": self.seed,
            "unheard": self.is_unheard(),
            "faults": kinds.collect::<serde_json::Map<_, _>>(),
            "failovers": after.failovers - before.failovers,
            "deaths": after.deaths - before.deaths,
            "lockstep_again_ms": self.workers_ms,
            "control_again_ms": self.control_ms,
            "control_restarts": after.restarts - before.restarts,
            "none_reads": after.none_reads - before.none_reads,
            "blocks": heard.blocks,
            "blocks_differing": heard.differing,
            "first_difference": heard.first_difference,
            "blocks_concealed": heard.concealed,
            "blocks_unknown": heard.unknown,
            "before": before.vitals,
            "after": after.vitals,
        })
    }
}

/// Half and all of some times, which are in order.
fn times(what: &str, ms: &[f64]) -> String {
    let at = |index: usize| ms.get(index).copied().unwrap_or(0.0);
    let worst = at(ms.len().saturating_sub(1));
    format!("{what} after {:.1} ms (p50), {worst:.1} ms (at most)", at(ms.len() / 2))
}
