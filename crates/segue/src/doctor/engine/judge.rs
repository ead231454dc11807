//! The walk along the signal: what each stage says, in order; the first bad one is why.

use super::signal::SILENT;
use super::{Facts, Slot};
use crate::doctor::finding::Finding;
use crate::host::device::backend::STAND_IN;

/// What silences a device that plays, as the backends say it.
const SILENCING: [&str; 5] = [STAND_IN, "muted", "volume", "suspended", "connected to nothing"];

/// A supervisor that has not moved for so long stands still, in milliseconds.
const STILL_MS: u64 = 2000;

impl Facts {
    /// What it means, stage after stage from the engine to the output.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let alive = self.judge_engine();
        // Nothing further can be told of an engine that stands still.
        if alive.grade == crate::doctor::finding::Grade::Bad {
            return vec![alive];
        }
        let mut found = vec![alive, self.judge_control(), self.judge_timeline()];
        found.push(self.judge_device());
        found.push(self.judge_workers());
        found.extend(self.judge_signal());
        found.push(self.judge_blocks());
        found.push(self.judge_output());
        found.extend(self.threads.judge());
        found
    }

    fn judge_engine(&self) -> Finding {
        let (check, pid) = ("engine", self.pid);
        if self.age_ms > STILL_MS {
            let text = format!("pid {pid} has not moved for {} ms", self.age_ms);
            return Finding::bad(check, text)
                .cure(format!("ps -o pid,stat,wchan,comm -L -p {pid}"));
        }
        Finding::ok(check, format!("pid {pid} answers"))
    }

    fn judge_control(&self) -> Finding {
        let check = "control";
        match (self.control, &self.osc) {
            (1, None) => Finding::ok(check, "messages are answered"),
            (1, Some(why)) => {
                Finding::bad(check, format!("it lives, but no message is answered: {why}"))
                    .cure("segue status  # and the log of `segue run`")
            }
            (0, _) => Finding::warn(check, "it is starting, and compiles the patch"),
            _ => Finding::warn(check, "it is down and comes back; the music plays, OSC waits")
                .cure("segue status  # tells why"),
        }
    }

    fn judge_timeline(&self) -> Finding {
        let check = "timeline";
        let text = format!("{} blocks in half a second", self.moved);
        if self.playhead == 0 {
            return Finding::bad(check, "block 0 is not played yet: workers are waited for")
                .cure("segue status --wait 10s");
        }
        if self.moved == 0 {
            return Finding::bad(check, "it stands still: nobody asks for blocks")
                .cure("segue devices  # does the server of the device hang?");
        }
        // A device's clock may be off by some, and a watched moment by a block or two.
        if self.moved * 10 < self.expected * 8 && !self.device.starts_with("freewheel") {
            let text =
                format!("{text}, {} are expected: the device asks too seldom", self.expected);
            return Finding::bad(check, text).cure("segue devices");
        }
        Finding::ok(check, text)
    }

    fn judge_device(&self) -> Finding {
        let (check, device) = ("device", &self.device);
        if self.drives && self.trouble.is_empty() {
            return Finding::ok(check, format!("{device} drives"));
        }
        let silences = SILENCING.iter().any(|word| self.trouble.contains(word));
        if self.drives && !silences {
            return Finding::warn(check, &self.trouble)
                .cure("segue run --period 1024  # a longer one, where it runs dry");
        }
        let finding = match self.trouble.as_str() {
            "" if device.starts_with("freewheel") => {
                Finding::bad(check, "freewheel: there is no device, nothing is heard")
            }
            "" => Finding::bad(check, "a timer keeps the time, nothing is heard"),
            trouble => Finding::bad(check, trouble),
        };
        self.cure_of_device(finding)
    }

    fn cure_of_device(&self, finding: Finding) -> Finding {
        let sink = self.device.split_once(':').map_or("@DEFAULT_SINK@", |(_, name)| name);
        let says = |word: &str| self.trouble.contains(word);
        if says(STAND_IN) {
            finding.cure("# plug in or switch on a device, then: segue devices")
        } else if says("muted") {
            finding.cure(format!("pactl set-sink-mute {sink} 0"))
        } else if says("volume") {
            finding.cure(format!("pactl set-sink-volume {sink} 80%"))
        } else if says("suspended") {
            finding.cure(format!("pactl suspend-sink {sink} 0"))
        } else if says("connected") {
            finding.cure("jack_connect segue:out_1 system:playback_1  # see jack_lsp -c")
        } else if says("looked for") {
            finding.cure("segue devices  # what there is; it plays on when it is back")
        } else {
            finding
                .cure("segue devices  # what there is")
                .cure("segue stop && segue run --device auto PATCH")
        }
    }

    fn judge_workers(&self) -> Finding {
        let check = "workers";
        let plays = self.slots.iter().filter(|slot| slot.plays).count();
        let all = self.slots.len();
        let words: Vec<_> = self.slots.iter().map(|slot| slot.words.as_str()).collect();
        let words = words.join("; ");
        if plays == 0 {
            let finding = Finding::bad(check, format!("nobody renders: {words}"));
            return match self.slots.iter().any(|slot| slot.given_up) {
                true => finding.cure("segue send /engine/revive  # after what it says is mended"),
                false => finding.cure("segue status --wait 10s"),
            };
        }
        let primary = self.slots.iter().find(|slot| slot.primary);
        if primary.is_some_and(|slot| slot.stalled) || plays < all {
            return Finding::warn(check, format!("{plays} of {all} play: {words}"))
                .cure("segue status");
        }
        Finding::ok(check, format!("{plays} of {all} play in lockstep"))
    }

    /// Patch, master, and what the workers give.
    fn judge_signal(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(signal) = &self.signal {
            let silent = if self.peak > SILENT { Vec::new() } else { signal.judge() };
            if silent.is_empty() {
                let modules = signal.modules.len();
                found
                    .push(Finding::ok("patch", format!("{modules} modules, `out` is given sound")));
            }
            found.extend(silent);
            found.push(judge_master(signal.master));
        }
        let loudest = self.slots.iter().filter(|slot| slot.plays).map(|slot| slot.peak);
        let loudest = loudest.fold(0.0, f32::max);
        let peaks: Vec<_> = self.slots.iter().map(peak_of).collect();
        let text = format!("the workers' blocks peak at {}", peaks.join(" and "));
        found.push(match loudest > SILENT {
            true => Finding::ok("blocks", text),
            false => Finding::bad("blocks", format!("{text}: what they render is silence"))
                .cure("segue send /test  # a tone for a second, past the patch"),
        });
        found
    }

    fn judge_blocks(&self) -> Finding {
        let check = "missed blocks";
        let Self { missed, missed_now, late, xruns, losses, .. } = self;
        let text =
            format!("{missed} since the start, {late} late, {xruns} xruns, {losses} device losses");
        if *missed_now > 0 {
            let text =
                format!("{missed_now} within half a second: nobody has them in time; {text}");
            return Finding::bad(check, text).cure("segue status  # render p99, and who stalls");
        }
        match (missed, xruns + losses) {
            (0, 0) => Finding::ok(check, text),
            (0, _) => Finding::warn(check, text)
                .cure("segue run --period 1024  # a longer one, if the device was not unplugged"),
            _ => Finding::warn(check, text).cure("segue run --lead 8  # and see `this machine`"),
        }
    }

    fn judge_output(&self) -> Finding {
        let check = "output";
        let text = format!("the last second peaks at {}", decibels(self.peak));
        match self.peak > SILENT {
            true => Finding::ok(check, text),
            false => Finding::bad(check, format!("{text}: silence goes to the device"))
                .cure("segue send /test  # is anything coming out?"),
        }
    }
}

fn judge_master((gain, muted): (f32, bool)) -> Finding {
    let check = "master";
    if muted {
        return Finding::bad(check, "muted").cure("segue send /master/mute 0");
    }
    let text = format!("gain {}", decibels(gain));
    // Below -60 dB nobody hears it.
    match gain > 1e-3 {
        true => Finding::ok(check, text),
        false => Finding::bad(check, text).cure("segue send /master/gain 0dB"),
    }
}

fn peak_of(slot: &Slot) -> String {
    if slot.plays { decibels(slot.peak) } else { "nothing".to_owned() }
}

/// A linear level in words.
fn decibels(level: f32) -> String {
    match level > 1e-10 {
        true => format!("{:.1} dB", 20.0 * level.log10()),
        false => "-inf dB".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::signal::{Module, Signal};
    use super::super::threads::Threads;
    use super::{Facts, STAND_IN, Slot};
    use crate::doctor::finding::{Finding, Grade};

    fn slot(primary: bool) -> Slot {
        Slot { plays: true, primary, peak: 0.5, words: "plays".to_owned(), ..Slot::default() }
    }

    fn signal(peak: f32, gate: f32) -> Signal {
        let osc = Module { id: "osc".into(), kind: "osc", peak: 1.0, ..Module::default() };
        let env = Module {
            id: "env".into(),
            kind: "adsr",
            gate: Some(gate),
            peak,
            sources: vec![0],
            ..Module::default()
        };
        let out = Module { id: "out".into(), kind: "out", peak, sources: vec![1], ..env.clone() };
        Signal { modules: vec![osc, env, out], master: (1.0, false) }
    }

    fn well() -> Facts {
        Facts {
            pid: 7,
            control: 1,
            device: "pulse:sink".to_owned(),
            drives: true,
            playhead: 1000,
            moved: 375,
            expected: 375,
            slots: vec![slot(true), slot(false)],
            signal: Some(signal(0.5, 1.0)),
            peak: 0.5,
            threads: Threads::default(),
            ..Facts::default()
        }
    }

    /// What is bad but for the priority, which these facts do not have.
    fn bad(facts: &Facts) -> Vec<Finding> {
        let found = facts.judge().into_iter();
        found.filter(|it| it.grade == Grade::Bad && !it.check.starts_with("priority")).collect()
    }

    fn first(facts: &Facts) -> &'static str {
        bad(facts).first().map_or("", |it| it.check)
    }

    #[test]
    fn an_engine_that_sounds_is_called_well() {
        assert_eq!(bad(&well()), []);
    }

    #[test]
    fn the_first_silent_stage_is_named_first() {
        let silent = |facts: Facts| Facts { peak: 0.0, ..facts };
        let stages = [
            (Facts { age_ms: 5000, ..well() }, "engine"),
            (Facts { osc: Some("no answer".into()), ..well() }, "control"),
            (Facts { playhead: 0, moved: 0, ..well() }, "timeline"),
            (Facts { moved: 0, ..well() }, "timeline"),
            (Facts { moved: 100, ..well() }, "timeline"),
            (Facts { drives: false, device: "null:timer".into(), ..well() }, "device"),
            (Facts { trouble: "the device plays, but: muted".into(), ..well() }, "device"),
            (Facts { trouble: STAND_IN.into(), ..well() }, "device"),
            (Facts { slots: vec![Slot::default()], ..well() }, "workers"),
            (silent(Facts { signal: Some(signal(0.0, 0.0)), ..well() }), "gate"),
            (
                silent(Facts {
                    signal: Some(Signal { master: (1.0, true), ..signal(0.5, 1.0) }),
                    ..well()
                }),
                "master",
            ),
            (Facts { slots: vec![Slot { peak: 0.0, ..slot(true) }], ..well() }, "blocks"),
            (Facts { missed: 9, missed_now: 3, ..well() }, "missed blocks"),
            (silent(well()), "output"),
        ];
        for (facts, stage) in stages {
            assert_eq!(first(&facts), stage);
            let found = bad(&facts);
            assert!(!found[0].cure.is_empty(), "{stage} has no cure");
        }
    }

    #[test]
    fn what_does_not_silence_is_a_warning() {
        let grade = |facts: Facts, check: &str| {
            facts.judge().into_iter().find(|it| it.check == check).map(|it| it.grade)
        };
        assert_eq!(grade(Facts { control: 2, ..well() }, "control"), Some(Grade::Warn));
        let lonely = vec![slot(true), Slot::default()];
        assert_eq!(grade(Facts { slots: lonely, ..well() }, "workers"), Some(Grade::Warn));
        assert_eq!(grade(Facts { missed: 3, ..well() }, "missed blocks"), Some(Grade::Warn));
        assert_eq!(grade(Facts { losses: 1, ..well() }, "missed blocks"), Some(Grade::Warn));
        let remark = "the device plays, but: ran dry".to_owned();
        assert_eq!(grade(Facts { trouble: remark, ..well() }, "device"), Some(Grade::Warn));
    }

    #[test]
    fn a_muted_sink_is_unmuted_by_its_name() {
        let muted = Facts { trouble: "the device plays, but: the sink is muted".into(), ..well() };
        assert_eq!(bad(&muted)[0].cure, ["pactl set-sink-mute sink 0"]);
        let given_up = Slot { given_up: true, ..Slot::default() };
        let dead = Facts { slots: vec![given_up], ..well() };
        assert!(bad(&dead)[0].cure[0].starts_with("segue send /engine/revive"));
    }
}
