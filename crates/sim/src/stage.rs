//! A stage: the real rack with a patch drawn from a seed, and poison that works on it.
//!
//! Whatever words a life sends become music: a gate, a knob, the master, a panic, another patch, at
//! once or in a while. *Invariant*: which command they become follows from the words and the state
//! alone.

use segue_lockstep::{BLOCK_FRAMES, Instrument, Payload, Unfit};
use segue_rack::{
    Action, Command, Library, OWN_SMOOTHING, Patch, Performer, Plan, STATE_BYTES_MIN, Setup,
};

use crate::Chance;
use crate::toy::{self, Agony, Poison};

/// Blocks after which what went wrong quietly is heard.
const QUIET_BLOCKS: u64 = 256;

/// Frames within which a command is due.
const WITHIN_FRAMES: u64 = 2048;

/// Of so many commands one goes over to another patch.
const ADOPT_EVERY: u64 = 24;

/// Room for two patches, one of which fades.
const STATE_BYTES: usize = 2 * STATE_BYTES_MIN;

/// The longest state there will be, in words.
pub(crate) const STATE_WORDS: usize = STATE_BYTES / 8;

/// The patches of a seed: each edition is drawn anew, with the same names for other modules.
struct Book {
    seed: u64,
    setup: Setup,
}

impl Library for Book {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        let text = patch(&mut Chance::new(self.seed.wrapping_add(u64::from(edition) << 32)));
        let patch = Patch::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        Some(Plan::compile(&patch, &self.setup).expect("a patch that was drawn compiles"))
    }
}

/// A rack on a stage.
pub(crate) struct Stage {
    performer: Performer<Book>,
    /// Which process this is; no part of any state.
    process: u32,
    /// The module that kills in the block at hand; poison is applied and met in one block.
    armed: Option<(u32, Agony)>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (modules, rack) = (self.performer.plan().modules().len(), self.performer.rack());
        write!(f, "a rack of {modules} modules at block {}", rack.block())
    }
}

impl Stage {
    /// A rack that plays the patch of a seed, in its first state.
    pub(crate) fn new(seed: u64, channels: usize, process: u32) -> Self {
        let setup = Setup { rate: 48_000, channels: channels as u16, state_bytes: STATE_BYTES };
        let book = Book { seed, setup };
        let performer = Performer::new(book, 0, &setup).expect("a plan that was compiled fits");
        Self { performer, process, armed: None }
    }

    /// What these words tell the rack, as it stands in its log.
    fn payload(&mut self, words: &Payload) -> Payload {
        let edition = self.performer.edition();
        let mut turn = turn(words);
        if turn.one_in(ADOPT_EVERY) {
            let edition = edition + 1 + turn.below(2) as u32;
            let plan = self.performer.library().plan(edition);
            let check = plan.map_or(0, |plan| plan.hash() as u32);
            let fade_frames = [0, 100, 480, 5000][turn.below(4) as usize];
            return Command::now(Action::Adopt { edition, check, fade_frames }).encode();
        }
        self.command(words).encode_for(edition)
    }

    /// What they tell it of the patch that plays.
    fn command(&self, payload: &Payload) -> Command {
        let plan = self.performer.plan();
        let mut chance = Chance::new(payload[0] ^ payload[1].rotate_left(32));
        let module = chance.below(plan.modules().len() as u64) as u16;
        let spec = plan.modules()[usize::from(module)].spec();
        let level = chance.below(4) as f32 / 3.0;
        let gate = Action::Gate { module, level };
        let action = match chance.below(16) {
            0 => Action::Test,
            1 => Action::Panic,
            2 => Action::Clear,
            3 => Action::MasterGain { gain: 0.5 + level / 2.0, ramp_frames: OWN_SMOOTHING },
            4 | 5 => Action::Revive { module },
            _ if spec.has_gate => gate,
            _ if spec.params.is_empty() => gate,
            _ => {
                let param = chance.below(spec.params.len() as u64) as u16;
                let knob = &spec.params[usize::from(param)];
                let value = knob.min + (knob.max - knob.min) * chance.below(100) as f32 / 99.0;
                let ramp_frames = [0, 100, 3000, OWN_SMOOTHING][chance.below(4) as usize];
                Action::Set { module, param, value, ramp_frames }
            }
        };
        Command::at(self.start() + chance.below(WITHIN_FRAMES), action)
    }

    /// The first frame of the next block.
    fn start(&self) -> u64 {
        self.performer.rack().block() * BLOCK_FRAMES as u64
    }

    /// What poison does to this process.
    fn suffer(&mut self, payload: &Payload) {
        let part = payload[2] as u32;
        let is_meant = payload[2] == u64::from(self.process);
        let wrong = Action::MasterGain { gain: 0.25, ramp_frames: 0 };
        match toy::poison_of(payload) {
            Some(Poison::CrashInApply) => toy::die(Agony::Crash),
            Some(Poison::LoopInApply) => toy::die(Agony::Loop),
            Some(Poison::CrashInRender) => self.armed = Some((part, Agony::Crash)),
            Some(Poison::LoopInRender) => self.armed = Some((part, Agony::Loop)),
            Some(Poison::Stain) if is_meant => {
                self.performer.apply(&Command::now(wrong).encode());
            }
            Some(Poison::QuietStain) if is_meant => {
                let due = self.start() + QUIET_BLOCKS * BLOCK_FRAMES as u64;
                self.performer.apply(&Command::at(due, wrong).encode());
            }
            _ => {}
        }
        let rack = self.performer.rack();
        let is_out = |part| u16::try_from(part).is_ok_and(|part| rack.is_bypassed(part));
        self.armed = self.armed.filter(|(part, _)| !is_out(*part));
    }
}

impl Instrument for Stage {
    fn apply(&mut self, payload: &Payload) {
        if payload[0] == toy::POISON {
            self.suffer(payload);
        } else {
            let payload = self.payload(payload);
            self.performer.apply(&payload);
        }
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        let armed = self.armed.take();
        self.performer.render(out, &mut |part| {
            crumb(part);
            if let Some((_, agony)) = armed.filter(|(armed, _)| *armed == part) {
                toy::die(agony);
            }
        });
    }

    fn bypass(&mut self, part: u32) {
        self.performer.bypass(part);
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        if payload[0] == toy::POISON {
            return payload[2] == u64::from(part);
        }
        if turn(payload).one_in(ADOPT_EVERY) {
            return false;
        }
        self.command(payload).module().is_some_and(|module| u32::from(module) == part)
    }

    fn resets(&self) -> (u64, u32) {
        self.performer.resets()
    }

    fn state(&self) -> &[u64] {
        self.performer.state()
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        self.performer.restore(state).map_err(|error| Unfit { reason: error.to_string() })
    }
}

/// Whether words go over to another patch, and to which.
fn turn(words: &Payload) -> Chance {
    Chance::new(words[1] ^ words[0].rotate_left(32))
}

/// Two to four voices, each of an oscillator, an envelope, a filter and an amplifier.
fn patch(chance: &mut Chance) -> String {
    let mut text = "segue = 1\nwave = { type = \"osc\", freq = 0.7 }\n".to_owned();
    let voices = 2 + chance.below(3);
    for voice in 0..voices {
        let shape = ["sine", "saw", "square"][chance.below(3) as usize];
        let freq = 40 + chance.below(900);
        let count = 1 + chance.below(4);
        let attack = 1 + chance.below(80);
        let cutoff = 200 + chance.below(3000);
        text += &format!(
            "o{voice} = {{ type = \"osc\", shape = \"{shape}\", freq = \"{freq} + wave * 9ct\", \
             voices = {count}, spread = 12 }}\n\
             e{voice} = {{ type = \"adsr\", attack = {attack}, sustain = 0.6 }}\n\
             f{voice} = {{ type = \"biquad\", in = \"o{voice}\", \
             cutoff = \"{cutoff} + e{voice} * 2oct\" }}\n\
             a{voice} = {{ type = \"vca\", in = \"f{voice}\", gain = \"e{voice} * 0.2 + 0.05\" }}\n"
        );
    }
    let sum: Vec<String> = (0..voices).map(|voice| format!("a{voice}")).collect();
    text + &format!("[out]\nin = \"{}\"\n", sum.join(" + "))
}
