//! What every settable address stands at, as far as control has been told.
//!
//! *Invariant*: untimed commands show at submission, timed ones when their frame is reached, so
//! a question behind a set is answered with what was set. The rack alone decides what is heard.

use std::collections::VecDeque;

use segue_rack::{AGENDA_CAPACITY, Action, Command, Plan, Rack};

use crate::osc::address::Topic;

/// Targets of all parameters and gates of a plan, and what is still to come.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    params: Vec<Vec<f32>>,
    gates: Vec<f32>,
    /// Of each module: the parameters of each voice.
    voices: Vec<Vec<Vec<f32>>>,
    master_gain: f32,
    muted: bool,
    /// By frame; equal ones in the order of submission.
    pending: VecDeque<Command>,
}

impl Mirror {
    /// The mirror of a plan that has just been loaded.
    pub(crate) fn new(plan: &Plan) -> Self {
        let constants = |module: &segue_rack::PlanModule| {
            let params = module.spec().params.iter().zip(0_u16..);
            params.map(|(spec, at)| module.constant(at).unwrap_or(spec.default)).collect()
        };
        let voices = |module: &segue_rack::PlanModule| {
            let fresh: Vec<f32> = module.spec().voice_params.iter().map(|it| it.default).collect();
            vec![fresh; module.voices()]
        };
        Self {
            params: plan.modules().iter().map(constants).collect(),
            voices: plan.modules().iter().map(voices).collect(),
            gates: vec![0.0; plan.modules().len()],
            master_gain: 1.0,
            muted: false,
            pending: VecDeque::new(),
        }
    }

    /// The mirror of a rack that was restored from a checkpoint.
    pub(crate) fn of_rack(plan: &Plan, rack: &Rack) -> Self {
        let mut mirror = Self::new(plan);
        for (module, params) in (0_u16..).zip(&mut mirror.params) {
            for (param, value) in (0_u16..).zip(params) {
                *value = rack.param(module, param).unwrap_or(*value);
            }
        }
        for (module, gate) in (0_u16..).zip(&mut mirror.gates) {
            *gate = rack.gate(module).unwrap_or(0.0);
        }
        for (module, voices) in (0_u16..).zip(&mut mirror.voices) {
            for (voice, params) in (1_u8..).zip(voices) {
                for (param, value) in (0_u16..).zip(params) {
                    *value = rack.voice_param(module, voice, param).unwrap_or(*value);
                }
            }
        }
        (mirror.master_gain, mirror.muted) = rack.master();
        for command in rack.pending() {
            mirror.await_frame(command);
        }
        mirror
    }

    /// Takes note of a command that was submitted while `frame` is being played.
    pub(crate) fn submit(&mut self, command: Command, frame: u64) {
        if command.due > frame {
            self.await_frame(command);
        } else {
            self.perform(command.action);
        }
    }

    /// Whether so many more timed commands fit into the agenda.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.pending.len() + more <= AGENDA_CAPACITY
    }

    /// Takes note that `frame` is reached.
    pub(crate) fn advance(&mut self, frame: u64) {
        while self.pending.front().is_some_and(|command| command.due <= frame) {
            if let Some(command) = self.pending.pop_front() {
                self.perform(command.action);
            }
        }
    }

    /// The value a topic stands at; gates and mute as 0 to 1, the master as linear gain.
    pub(crate) fn value(&self, topic: Topic) -> Option<f32> {
        match topic {
            Topic::Param { module, param } => {
                self.params.get(usize::from(module))?.get(usize::from(param)).copied()
            }
            Topic::Gate { module } => self.gates.get(usize::from(module)).copied(),
            Topic::Voice { module, voice, param } => {
                let voice = usize::from(voice).checked_sub(1)?;
                self.voices.get(usize::from(module))?.get(voice)?.get(usize::from(param)).copied()
            }
            Topic::MasterGain => Some(self.master_gain),
            Topic::MasterMute => Some(f32::from(u8::from(self.muted))),
        }
    }

    fn await_frame(&mut self, command: Command) {
        let at = self.pending.partition_point(|other| other.due <= command.due);
        self.pending.insert(at, command);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Set { module, param, value, .. } => {
                let params = self.params.get_mut(usize::from(module));
                if let Some(slot) = params.and_then(|it| it.get_mut(usize::from(param))) {
                    *slot = value;
                }
            }
            Action::Gate { module, level } => {
                if let Some(gate) = self.gates.get_mut(usize::from(module)) {
                    *gate = level;
                }
            }
            Action::Voice { module, voice, param, value, .. } => {
                let voices = self.voices.get_mut(usize::from(module));
                let voice = usize::from(voice).checked_sub(1);
                let params = voices.zip(voice).and_then(|(voices, at)| voices.get_mut(at));
                if let Some(slot) = params.and_then(|it| it.get_mut(usize::from(param))) {
                    *slot = value;
                }
            }
            Action::MasterGain { gain, .. } => self.master_gain = gain,
            Action::MasterMute { on } => self.muted = on,
            Action::Panic => self.gates.fill(0.0),
            Action::Clear => self.pending.clear(),
            Action::Note { .. }
            | Action::Test
            | Action::Fade { .. }
            | Action::Bypass { .. }
            | Action::Revive { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_rack::{AGENDA_CAPACITY, Action, Command, Plan, Setup};

    use super::{Mirror, Topic};

    fn mute(on: bool) -> Action {
        Action::MasterMute { on }
    }

    #[test]
    fn an_untimed_set_shows_at_once_and_a_timed_one_when_it_is_due() {
        let mut mirror = Mirror::new(&Plan::empty(&Setup::default()));
        mirror.submit(Command::now(mute(true)), 100);
        assert_eq!(mirror.value(Topic::MasterMute), Some(1.0));
        mirror.submit(Command::at(300, mute(true)), 100);
        mirror.submit(Command::at(200, mute(false)), 100);
        mirror.advance(199);
        assert_eq!(mirror.value(Topic::MasterMute), Some(1.0));
        mirror.advance(200);
        assert_eq!(mirror.value(Topic::MasterMute), Some(0.0));
        mirror.advance(300);
        assert_eq!(mirror.value(Topic::MasterMute), Some(1.0));
    }

    #[test]
    fn clearing_drops_what_waits_and_makes_room() {
        let mut mirror = Mirror::new(&Plan::empty(&Setup::default()));
        for _ in 0..AGENDA_CAPACITY {
            mirror.submit(Command::at(300, mute(true)), 100);
        }
        assert!(!mirror.has_room(1));
        mirror.submit(Command::now(Action::Clear), 100);
        assert!(mirror.has_room(AGENDA_CAPACITY));
        mirror.advance(1000);
        assert_eq!(mirror.value(Topic::MasterMute), Some(0.0));
    }
}
