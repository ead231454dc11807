//! What the demo tells: each death as it heals, and the sum at the end.

use std::path::PathBuf;

use indicatif::ProgressBar;
use segue_lockstep::memory::status::{Death, Status};

use super::compare::Comparison;
use crate::cli::device::Device;
use crate::cli::output::tell;

/// What the demo found.
pub(super) struct Report {
    /// What was recorded.
    pub(super) wav: PathBuf,
    /// What drove it at first.
    pub(super) device: String,
    /// What kept that from being heard, at the end; empty for nothing.
    pub(super) trouble: String,
    /// How long it was to be.
    pub(super) seconds: f64,
    /// How often the primary was hurt.
    pub(super) wounds: u64,
    /// How often another worker took over.
    pub(super) failovers: u64,
    /// Who died, of what, and how long it took until the slot was back.
    pub(super) deaths: Vec<Death>,
    /// When block 0 was played, nanoseconds of the monotonic clock.
    pub(super) began_ns: u64,
    /// Blocks nobody had in time.
    pub(super) none_reads: u64,
    /// Whether real-time priority was granted.
    pub(super) realtime: bool,
    /// Recording and fresh render, sample by sample.
    pub(super) comparison: Comparison,
}

/// When the first primary was named: block 0 follows at once.
pub(super) fn first_block_ns(status: &Status) -> u64 {
    status.changes().first().map_or(0, |change| change.at_ns)
}

/// What is said of the device before the music begins: `plays_on` is what drives.
pub(super) fn opening(asked: &Device, plays_on: &str, trouble: &str) -> String {
    let file = "a timer keeps the time, and what you would hear goes to a file";
    match (asked, plays_on) {
        (Device::Auto, "null:timer") => format!("no sound device was found: {file}"),
        (Device::Sound { .. }, "null:timer") if trouble.is_empty() => {
            format!("{asked} does not play: {file}")
        }
        (Device::Sound { .. }, "null:timer") => format!("{trouble}: {file}"),
        _ => format!("playing on {plays_on}"),
    }
}

/// Tells the deaths from number `told` on whose slots are back in lockstep; gives how many have
/// been told.
pub(super) fn tell_deaths(status: &Status, told: u64, bar: &ProgressBar) -> u64 {
    let began_ns = first_block_ns(status);
    let deaths = status.deaths();
    let new = deaths.iter().filter(|death| death.number >= told);
    let healed = new.take_while(|death| death.lockstep_again_ns > 0);
    healed.fold(told, |_, death| {
        bar.suspend(|| eprintln!("{}", line(death, began_ns)));
        death.number + 1
    })
}

/// A death in a line: when, who, why, and how long until the slot was back.
fn line(death: &Death, began_ns: u64) -> String {
    let back = match death.lockstep_again_ns {
        0 => "not back yet".to_owned(),
        ns => format!("in lockstep again after {:.1} ms", ns as f64 / 1e6),
    };
    format!("{:6.2} s  slot {} {}; {back}", seconds(death, began_ns), death.slot, death.cause)
}

fn seconds(death: &Death, began_ns: u64) -> f64 {
    death.at_ns.saturating_sub(began_ns) as f64 / 1e9
}

impl Report {
    /// Whether nothing could have been heard.
    pub(super) fn is_flawless(&self) -> bool {
        self.comparison.differing == 0 && self.none_reads == 0
    }

    /// Tells it to a person or a program.
    pub(super) fn show(&self, json: bool) {
        if json {
            tell!("{}", self.json());
            return;
        }
        tell!("{}: {:.1} s, played on {}", self.wav.display(), self.seconds, self.device);
        if !self.trouble.is_empty() {
            tell!("{}", self.trouble);
        }
        tell!(
            "the primary was killed or frozen {} times; failovers: {}",
            self.wounds,
            self.failovers
        );
        for death in &self.deaths {
            tell!("  {}", line(death, self.began_ns));
        }
        tell!(
            "samples compared with a fresh render of the journal: {}; that differ: {}",
            self.comparison.samples,
            self.comparison.differing
        );
        tell!("blocks missed: {}", self.none_reads);
        if self.none_reads > 0 {
            let lacks = if self.realtime {
                "it was busy with other things; a longer --lead helps"
            } else {
                "it grants no real-time priority; `segue doctor` tells the cure"
            };
            tell!("this machine was late: {lacks}");
        }
        let program = std::env::args().next().unwrap_or_else(|| "segue".to_owned());
        tell!("try next:\n  {program} run &\n  {program} send /test\n  {program} status");
    }

    fn json(&self) -> serde_json::Value {
        let deaths = self.deaths.iter().map(|death| {
            serde_json::json!({
                "at_s": seconds(death, self.began_ns),
                "slot": death.slot,
                "cause": death.cause,
                "lockstep_again_ms": death.lockstep_again_ns as f64 / 1e6,
            })
        });
        serde_json::json!({
            "wav": self.wav,
            "device": self.device,
            "device_trouble": self.trouble,
            "seconds": self.seconds,
            "hurt": self.wounds,
            "failovers": self.failovers,
            "deaths": deaths.collect::<Vec<_>>(),
            "none_reads": self.none_reads,
            "realtime": self.realtime,
            "samples_compared": self.comparison.samples,
            "samples_differing": self.comparison.differing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::opening;
    use crate::cli::device::Device;

    #[test]
    fn it_says_what_it_plays_on_or_why_on_nothing() {
        let said = |asked: &str, plays_on, trouble| {
            let asked: Device = asked.parse().expect("a device");
            opening(&asked, plays_on, trouble)
        };
        assert_eq!(said("auto", "jack:system", ""), "playing on jack:system");
        assert_eq!(said("freewheel:8x", "freewheel:none", ""), "playing on freewheel:none");
        assert_eq!(said("null", "null:timer", ""), "playing on null:timer");
        assert!(said("auto", "null:timer", "").starts_with("no sound device was found: a timer"));
        let trouble = "no device jack: jack: no JACK server is running; it is looked for";
        assert!(said("jack", "null:timer", trouble).starts_with(&format!("{trouble}: a timer")));
        assert!(said("jack", "null:timer", "").starts_with("jack does not play: a timer"));
    }
}
