//! What happens in a life: one fault at a time, or one within another.

use segue_lockstep::monitor::{Process, State};

use super::{Life, MS};
use crate::child::Ailment;
use crate::toy::{Poison, poison};
use crate::world::Place;

/// Blocks after which everybody has written two new checkpoints, whatever the period.
pub(super) const FRESH_BLOCKS: u64 = 128;

/// How long a flood goes on: the log holds 65,536 records, and 48,000 are sealed in a second.
const FLOOD_NS: u64 = 1_800 * MS;

/// Where bits flip; the last is needed by whoever begins.
pub(super) const PLACES: [(Place, &str); 6] = [
    (Place::Words, "bit flip in a guest's words"),
    (Place::Heartbeat, "bit flip in a heartbeat"),
    (Place::Cursor, "bit flip in a log cursor"),
    (Place::Block, "bit flip in a block"),
    (Place::Hash, "bit flip in a hash"),
    (Place::Checkpoint, "bit flip in a checkpoint"),
];

impl Life {
    /// Something happens, and then some time passes; often too little for anybody to recover.
    pub(super) fn act(&mut self) {
        match self.world.chance.below(24) {
            0..=5 => self.hurt_worker(),
            6 => self.hurt_checkpoints(),
            7 => self.hurt_all(),
            8 | 9 => self.poison(),
            10 => self.stain(),
            11 | 12 => self.flip(),
            13 => self.tear(),
            14 | 15 => self.hurt_driver(),
            16 => self.suspend(),
            17 | 18 => self.burst(),
            19 => self.hurt_control(),
            20 => self.write_as_stale(),
            21 => self.boast(),
            22 => self.hurt_checkpoints(),
            _ => self.flood(),
        }
        let most = [0, 2, 20, 120][self.world.chance.below(4) as usize];
        let ns = self.world.chance.below(most * MS + 1);
        self.world.run_ns(ns);
        self.world.monitor_suspended = false;
    }

    pub(super) fn note(&mut self, kind: &'static str) {
        if self.world.tells {
            println!("block {}: {kind}", self.world.orders.playhead());
        }
        *self.report.faults.entry(kind).or_default() += 1;
        let states = (0..self.report.config.slots).map(|slot| self.world.state(slot));
        let states: Vec<State> = states.collect();
        let joins = states.contains(&State::Joining);
        let nobody = !states.contains(&State::Lockstep);
        self.report.within[0] += u64::from(joins);
        self.report.within[1] += u64::from(nobody);
    }

    pub(super) fn draw_slot(&mut self) -> usize {
        self.world.chance.below(self.report.config.slots as u64) as usize
    }

    pub(super) fn is_running(&mut self, slot: usize) -> bool {
        self.world.child(slot).is_some_and(|child| child.is_running())
    }

    pub(super) fn hurt_worker(&mut self) {
        let slot = self.draw_slot();
        let kind = self.world.chance.below(8);
        let certain = self.world.state(slot) == State::Lockstep;
        if !self.is_running(slot) {
            return;
        }
        let kind = match kind {
            0 | 1 => {
                self.world.kill(slot);
                "kill"
            }
            2 if self.world.chance.one_in(3) => {
                self.stop_and_continue(slot);
                "stop and continue"
            }
            2 => {
                self.world.stop(slot);
                "stop"
            }
            // Who has not sat down yet takes as long as it takes.
            3 if self.world.state(slot) == State::Starting => return,
            3 if certain && self.world.chance.one_in(3) => {
                self.afflict(slot, Ailment::Hung, "had work", "hang")
            }
            3 => self.afflict(slot, Ailment::Looping, "looped", "loop"),
            4 => {
                let times = [6, 20][self.world.chance.below(2) as usize];
                self.afflict(slot, Ailment::Slow(times), "had work", "slowness")
            }
            5 => {
                self.world.ailments[slot] = Ailment::ExitsAtStart(3);
                self.world.endanger("exited with code 3");
                self.world.kill(slot);
                "exit at start"
            }
            6 => {
                self.world.late_starts[slot] = 2 + self.world.chance.below(7);
                self.world.kill(slot);
                "late start"
            }
            _ => {
                let until_ns = self.world.now_ns() + self.world.chance.below(200) * MS;
                if let Some(child) = self.world.child(slot) {
                    child.deaf_until_ns = until_ns;
                }
                "lost wake-ups"
            }
        };
        // One that was on its way out already dies only once.
        let dies = matches!(kind, "kill" | "stop" | "exit at start" | "late start");
        self.deaths += u64::from(certain && dies);
        self.note(kind);
        let ns = self.world.chance.below(60) * MS;
        self.world.run_ns(ns);
        self.world.ailments[slot] = Ailment::None;
        self.world.late_starts[slot] = 1;
    }

    /// Somebody stops a worker and lets it go on, with or without the monitor having seen it.
    fn stop_and_continue(&mut self, slot: usize) {
        self.world.stop(slot);
        self.world.monitor_suspended = self.world.chance.one_in(2);
        let ns = self.world.chance.below(20 * MS);
        self.world.run_ns(ns);
        self.world.monitor_suspended = false;
        if let Some(child) = self.world.child(slot)
            && child.process == Process::Stopped
        {
            child.process = Process::Running { cpu_ns: 0 };
        }
    }

    pub(super) fn afflict(
        &mut self,
        slot: usize,
        ailment: Ailment,
        cause: &'static str,
        kind: &'static str,
    ) -> &'static str {
        self.world.harm(slot, cause);
        if let Some(child) = self.world.child(slot)
            && child.ailment != Ailment::Caught
        {
            child.ailment = ailment;
        }
        kind
    }

    pub(super) fn hurt_all(&mut self) {
        for slot in 0..self.report.config.slots {
            if self.is_running(slot) {
                self.world.kill(slot);
            }
        }
        self.note("all at once");
    }

    pub(super) fn poison(&mut self) {
        let kinds = [
            Poison::CrashInApply,
            Poison::LoopInApply,
            Poison::CrashInRender,
            Poison::LoopInRender,
        ];
        let how = kinds[self.world.chance.below(4) as usize];
        let part = self.world.chance.below(3) as u32;
        let word = self.world.chance.bits();
        if self.world.send(&[[word; 4], poison(how, part), [word ^ 1; 4]]) {
            let crashes = matches!(how, Poison::CrashInApply | Poison::CrashInRender);
            self.world.endanger_by_poison();
            self.note(if crashes { "poison that crashes" } else { "poison that loops" });
        }
    }

    fn flip(&mut self) {
        let slot = self.draw_slot();
        let place = self.world.chance.below(PLACES.len() as u64) as usize;
        let (place, kind) = PLACES[place];
        if place != Place::Checkpoint || self.has_fresh_checkpoints() {
            self.flip_in(slot, place, kind);
        }
    }

    pub(super) fn flip_in(&mut self, slot: usize, place: Place, kind: &'static str) {
        self.world.endanger("");
        self.world.flip(slot, place);
        self.note(kind);
    }

    /// Whether all have written checkpoints since the last one was damaged, and two can be begun
    /// from: who alone has two areas and loses both has nothing to begin from.
    fn has_fresh_checkpoints(&mut self) -> bool {
        let playhead = self.world.orders.playhead();
        let fresh = self.world.is_whole()
            && playhead >= self.checkpoint_hurt + FRESH_BLOCKS
            && self.world.checkpoints() >= 2;
        if fresh {
            self.checkpoint_hurt = playhead;
        }
        fresh
    }

    /// A checkpoint is damaged, and needed at once.
    fn hurt_checkpoints(&mut self) {
        let mut fresh = self.has_fresh_checkpoints();
        if !fresh {
            self.world.run_ns(200 * MS);
            fresh = self.has_fresh_checkpoints();
        }
        if !fresh {
            return self.hurt_worker();
        }
        let slot = self.draw_slot();
        self.world.endanger("");
        self.world.flip(slot, Place::Checkpoint);
        self.note("bit flip in a checkpoint");
        self.hurt_all();
    }

    fn tear(&mut self) {
        let slot = self.draw_slot();
        if !self.is_running(slot) {
            return;
        }
        self.world.endanger("published a damaged block");
        if self.world.chance.one_in(2) || !self.has_fresh_checkpoints() {
            self.world.tear_block(slot);
            self.note("torn block");
        } else {
            self.world.tear_checkpoint(slot);
            self.note("torn checkpoint");
        }
    }

    /// A word that no worker can mean, while it matters who has published what.
    fn boast(&mut self) {
        if self.world.chance.one_in(2) {
            self.poison();
            let began = self.world.orders.taken();
            let mut ticks = self.world.chance.below(8);
            while ticks > 0 || self.world.orders.taken() == began && self.world.chance.one_in(2) {
                self.world.tick();
                ticks = ticks.saturating_sub(1);
            }
        }
        let slot = self.draw_slot();
        self.world.endanger("");
        self.world.boast(slot);
        self.note("wild heartbeat");
    }

    fn write_as_stale(&mut self) {
        let slot = self.draw_slot();
        self.world.endanger("published a damaged block");
        for _ in 0..8 {
            if self.world.write_as_stale(slot) {
                self.note("stale guest");
            }
            self.world.run_ns(MS);
        }
    }

    fn hurt_driver(&mut self) {
        let ns = self.world.chance.below(300) * MS;
        if !self.report.config.device {
            self.world.stall_device(ns / 3);
            self.note("device stall");
            return;
        }
        match self.world.chance.below(5) {
            0 => {
                self.world.silence_device(3 * ns);
                self.note("silent device");
            }
            1 => {
                self.world.lose_device();
                self.note("lost device");
            }
            2 => {
                self.world.end_device();
                self.note("device ended within a call");
            }
            3 => {
                // As much at once as a device without a clock asks for, within the tap.
                let period = self.report.config.period.1 as u64;
                self.world.hasten_device((38_400 / period).max(2));
                self.note("device without a clock");
            }
            _ => {
                self.world.stall_device(ns);
                self.note("device stall");
            }
        }
    }

    fn suspend(&mut self) {
        if self.world.chance.one_in(2) {
            self.world.suspend(5_000 * MS);
            self.note("suspension");
        } else {
            self.world.monitor_suspended = true;
            self.note("suspended monitor");
        }
    }

    pub(super) fn burst(&mut self) {
        for _ in 0..self.world.chance.below(40) {
            let word = self.world.chance.bits();
            let count = 1 + word as usize % 64;
            // A full inbox refuses, and says so.
            let _ = self.world.send(&vec![[word, 1, 2, 3]; count]);
        }
        self.note("burst");
    }

    /// Control dies within a bundle, or a bit of what it has sent flips; then another sends.
    fn hurt_control(&mut self) {
        let word = self.world.chance.bits();
        let bundle = vec![[word, 4, 5, 6]; 1 + word as usize % 64];
        if self.world.chance.one_in(2) {
            self.world.send_half(&bundle);
            self.note("control death within a bundle");
        } else if self.world.send(&bundle) && self.world.flip_inbox() {
            self.note("bit flip in the inbox");
        }
        let sent = self.world.send(&[[word, 7, 8, 9]]);
        assert!(sent || self.world.inbox.room(self.world.orders.taken()) == 0, "there was room");
    }

    /// Nobody renders, and everybody sends: the log has to keep what the next ones replay.
    fn flood(&mut self) {
        if self.report.config.freewheel || !self.world.chance.one_in(8) {
            return self.hurt_worker();
        }
        self.world.monitor_suspended = true;
        for slot in 0..self.report.config.slots {
            if let Some(child) = self.world.child(slot)
                && child.is_running()
            {
                child.process = Process::Stopped;
            }
            self.world.harm(slot, "stopped from outside");
        }
        let until_ns = self.world.now_ns() + FLOOD_NS;
        while self.world.now_ns() < until_ns {
            let word = self.world.chance.bits();
            while self.world.send(&[[word, 10, 11, 12]; 64]) {}
            self.world.run_ns(20 * MS);
        }
        self.world.monitor_suspended = false;
        self.note("flood while nobody renders");
    }
}
