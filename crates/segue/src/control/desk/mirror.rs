//! What every settable address stands at, as far as control has been told.
//!
//! *Invariant*: untimed commands show at submission, timed ones when their frame is reached, so
//! a question behind a set is answered with what was set. The rack alone decides what is heard.

use std::collections::VecDeque;

use segue_rack::{AGENDA_CAPACITY, Action, Command, Plan, PlanModule, Rack};

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

    /// Takes note that `to` plays in place of `from`: what stays keeps what it was set to, but
    /// where the patch now says otherwise; what waits for a module that is gone is dropped.
    pub(crate) fn adopt(&mut self, from: &Plan, to: &Plan) {
        let mut next = Self::new(to);
        (next.master_gain, next.muted) = (self.master_gain, self.muted);
        let mut moved = vec![None; from.modules().len()];
        for (new, at) in to.modules().iter().zip(0_u16..) {
            let Some(was) = from.module(new.id()).map(usize::from) else { continue };
            let old = &from.modules()[was];
            if old.spec().name == new.spec().name {
                moved[was] = Some(at);
                next.take_over((usize::from(at), new), self, (was, old));
            }
        }
        let moved = |module: u16| moved.get(usize::from(module)).copied().flatten();
        let addressed = |command: &Command| match command.module() {
            None => Some(*command),
            Some(module) => Some(command.for_module(moved(module)?)),
        };
        next.pending = self.pending.iter().filter_map(addressed).collect();
        *self = next;
    }

    /// Takes over what a module was told by the name of which it goes on.
    fn take_over(
        &mut self,
        (at, new): (usize, &PlanModule),
        before: &Self,
        (was, old): (usize, &PlanModule),
    ) {
        self.gates[at] = before.gates[was];
        for (voice, told) in self.voices[at].iter_mut().zip(&before.voices[was]) {
            voice.clone_from(told);
        }
        let told = before.params[was].iter();
        for ((value, told), param) in self.params[at].iter_mut().zip(told).zip(0_u16..) {
            if old.constant(param) == new.constant(param) {
                *value = *told;
            }
        }
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
            | Action::Revive { .. }
            | Action::Adopt { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use segue_rack::{AGENDA_CAPACITY, Action, Command, Patch, Performer, Plan, Setup};

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

    const BEFORE: &str = "segue = 1\n\
        [gone]\ntype = \"osc\"\n\
        [wave]\ntype = \"osc\"\nfreq = 100\nwidth = 0.5\n\
        [env]\ntype = \"adsr\"\nin = \"wave + gone\"\n\
        [other]\ntype = \"lfo\"\n\
        [out]\nin = \"env\"\n";
    const AFTER: &str = "segue = 1\n\
        [env]\ntype = \"adsr\"\nin = \"wave\"\n\
        [wave]\ntype = \"osc\"\nfreq = 200\nwidth = 0.5\n\
        [other]\ntype = \"osc\"\n\
        [new]\ntype = \"vca\"\nin = \"env + other\"\n\
        [out]\nin = \"new\"\n";

    /// What a control that comes back finds in the rack is what this one says.
    #[test]
    fn after_an_edit_it_stands_where_the_rack_stands() {
        let [before, after] = [BEFORE, AFTER]
            .map(|text| Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap());
        let plans = BTreeMap::from([(0, before.clone()), (1, after.clone())]);
        let mut performer = Performer::new(plans, 0, &Setup::default()).unwrap();
        let mut mirror = Mirror::new(&before);
        let module = |id: &str| before.module(id).unwrap();
        let (wave, width) = (module("wave"), before.param(module("wave"), "width").unwrap());
        let set = |param, value| Action::Set { module: wave, param, value, ramp_frames: 0 };
        let gate = |level| Action::Gate { module: module("env"), level };
        let freq = before.param(wave, "freq").unwrap();
        let other = Action::Set { module: module("other"), param: 1, value: 3.0, ramp_frames: 0 };
        for command in [
            Command::now(set(freq, 300.0)),
            Command::now(set(width, 0.25)),
            Command::now(gate(0.75)),
            Command::now(Action::MasterGain { gain: 0.5, ramp_frames: 0 }),
            Command::at(6400, gate(0.0)),
            Command::at(6400, set(width, 0.125)),
            Command::at(6400, Action::Set { module: 0, param: freq, value: 50.0, ramp_frames: 0 }),
            // What is of another type now is another module.
            Command::at(6400, other),
        ] {
            performer.apply(&command.encode());
            mirror.submit(command, 0);
        }
        performer.render(&mut [0.0; 128], &mut |_| {});
        let check = after.hash() as u32;
        performer
            .apply(&Command::now(Action::Adopt { edition: 1, check, fade_frames: 0 }).encode());
        mirror.adopt(&before, &after);
        let value = |mirror: &Mirror, id: &str, name: &str| {
            let module = after.module(id).unwrap();
            mirror.value(Topic::Param { module, param: after.param(module, name).unwrap() })
        };
        assert_eq!(value(&mirror, "wave", "freq"), Some(200.0), "the patch says otherwise now");
        assert_eq!(value(&mirror, "wave", "width"), Some(0.25), "it stays as it was set");
        for frame in [64, 6400] {
            while performer.rack().block() * 64 <= frame {
                performer.render(&mut [0.0; 128], &mut |_| {});
            }
            mirror.advance(frame);
            let mut found = Mirror::of_rack(&after, performer.rack());
            found.advance(frame);
            assert_eq!(mirror.params, found.params, "at {frame}");
            assert_eq!(mirror.gates, found.gates, "at {frame}");
            assert_eq!(mirror.pending.len(), found.pending.len(), "at {frame}");
            assert_eq!(mirror.master_gain, found.master_gain);
        }
        assert_eq!(mirror.value(Topic::Gate { module: after.module("env").unwrap() }), Some(0.0));
        assert_eq!(value(&mirror, "wave", "width"), Some(0.125));
    }
}
