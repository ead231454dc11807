//! What a rack can be told, and the four words that carry it through log and agenda.
//!
//! *Layout* of a payload: word 0 is kind (bits 0..8), voice (8..16), module (16..32), and param or
//! the bits of a note (32..64); word 1 is `due`; word 2 is value bits (0..32) and frames (32..64);
//! word 3 is the edition of the plan whose indexes are meant; the agenda keeps an order there.

use thiserror::Error;

/// `ramp_frames` that means "as smooth as the parameter's own spec says".
pub const OWN_SMOOTHING: u32 = u32::MAX;

/// One thing to do, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// Absolute frame it is due at. Zero, or a frame already rendered: frame 0 of the next block.
    pub due: u64,
    /// What to do.
    pub action: Action,
}

/// What to do. Modules and parameters are indexes into the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Sets the constant of a parameter, in the catalog's unit; a choice takes its index. Clamped
    /// to the range; a value that is not finite is ignored and counted.
    Set {
        /// Index in `Plan::modules`.
        module: u16,
        /// Index in the params of that module's spec.
        param: u16,
        /// The value, in the spec's unit.
        value: f32,
        /// Frames the way there takes; [`OWN_SMOOTHING`] for the spec's own.
        ramp_frames: u32,
    },
    /// Opens the gate of a module with that velocity (above 0, up to 1), or closes it (0).
    Gate {
        /// Index in `Plan::modules`.
        module: u16,
        /// 0 closes, above it opens.
        level: f32,
    },
    /// Strikes a note of a player, or releases it (velocity 0).
    Note {
        /// Index in `Plan::modules`.
        module: u16,
        /// In semitones: 69 is A4. Need not be whole.
        note: f32,
        /// Above 0 up to 1; 0 releases.
        velocity: f32,
        /// Frames until it is released by itself; 0 for never.
        frames: u32,
        /// Which voice plays it, from 1; 0 for whichever is best.
        voice: u8,
    },
    /// Sets a parameter of one voice of a player.
    Voice {
        /// Index in `Plan::modules`.
        module: u16,
        /// Which voice, from 1.
        voice: u8,
        /// Index in the voice params of that module's spec.
        param: u16,
        /// The value, in the spec's unit.
        value: f32,
        /// Frames the way there takes; [`OWN_SMOOTHING`] for the spec's own.
        ramp_frames: u32,
    },
    /// A 440 Hz tone for one second, mixed in at the output.
    Test,
    /// All gates closed and all tails faded in 10 ms.
    Panic,
    /// Everything still waiting in the agenda is dropped.
    Clear,
    /// Sets the master gain.
    MasterGain {
        /// Linear gain, 0 to [`MASTER_GAIN_MAX`].
        gain: f32,
        /// Frames the way there takes; [`OWN_SMOOTHING`] for 10 ms.
        ramp_frames: u32,
    },
    /// Mutes or unmutes the master, over 10 ms.
    MasterMute {
        /// Silent from now on?
        on: bool,
    },
    /// The closing fade: everything goes to exact zero over these frames and stays there.
    Fade {
        /// Length of the fade.
        frames: u32,
    },
    /// Takes a module out of the rendering: its outlets decay over 5 ms, its commands are skipped.
    Bypass {
        /// Index in `Plan::modules`.
        module: u16,
    },
    /// Brings a bypassed module back, as new.
    Revive {
        /// Index in `Plan::modules`.
        module: u16,
    },
    /// Goes over to the plan of another edition, at frame 0 of the next block whatever `due` says.
    /// A rack by itself ignores it: [`Performer`](crate::Performer) knows where plans are.
    Adopt {
        /// Number of that plan.
        edition: u32,
        /// The low 32 bits of `Plan::hash` of it.
        check: u32,
        /// Frames over which what played before is faded from; 0 for a cut.
        fade_frames: u32,
    },
}

/// Highest master gain: +12 dB.
pub const MASTER_GAIN_MAX: f32 = 3.981_071_7;

/// Why four words are not a command. Never worth trying again: the words will not change.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// A kind this build does not know.
    #[error("no command of kind {kind}")]
    UnknownKind {
        /// What stood there.
        kind: u8,
    },
    /// Bits that must be zero are not, or a flag is neither 0 nor 1.
    #[error("word {word} of the payload has bits that mean nothing")]
    StrayBits {
        /// Index of the offending word.
        word: usize,
    },
}

impl Command {
    /// A command for frame 0 of the next block. `[any]`
    pub const fn now(action: Action) -> Command {
        Command { due: 0, action }
    }

    /// A command for an absolute frame. `[any]`
    pub const fn at(due: u64, action: Action) -> Command {
        Command { due, action }
    }

    /// The payload that carries this command, for the plan of edition 0. `[any]`
    pub fn encode(&self) -> [u64; 4] {
        self.encode_for(0)
    }

    /// The payload that carries this command; its indexes are those of the plan of that edition.
    /// `[any]`
    pub fn encode_for(&self, edition: u32) -> [u64; 4] {
        let on = |on: bool| u32::from(on);
        let (kind, voice, module, place, value, frames) = match self.action {
            Action::Set { module, param, value, ramp_frames } => {
                (1, 0, module, u32::from(param), value.to_bits(), ramp_frames)
            }
            Action::Gate { module, level } => (2, 0, module, 0, level.to_bits(), 0),
            Action::Test => (3, 0, 0, 0, 0, 0),
            Action::Panic => (4, 0, 0, 0, 0, 0),
            Action::Clear => (5, 0, 0, 0, 0, 0),
            Action::MasterGain { gain, ramp_frames } => (6, 0, 0, 0, gain.to_bits(), ramp_frames),
            Action::MasterMute { on: muted } => (7, 0, 0, 0, on(muted), 0),
            Action::Fade { frames } => (8, 0, 0, 0, 0, frames),
            Action::Bypass { module } => (9, 0, module, 0, 0, 0),
            Action::Revive { module } => (10, 0, module, 0, 0, 0),
            Action::Note { module, note, velocity, frames, voice } => {
                (11, voice, module, note.to_bits(), velocity.to_bits(), frames)
            }
            Action::Voice { module, voice, param, value, ramp_frames } => {
                (12, voice, module, u32::from(param), value.to_bits(), ramp_frames)
            }
            Action::Adopt { edition, check, fade_frames } => {
                (13, 0, 0, edition, check, fade_frames)
            }
        };
        let head = kind | u64::from(voice) << 8 | u64::from(module) << 16 | u64::from(place) << 32;
        [head, self.due, u64::from(value) | u64::from(frames) << 32, u64::from(edition)]
    }

    /// The edition of the plan whose indexes a payload means. `[any]`
    pub fn edition_of(payload: &[u64; 4]) -> u32 {
        payload[3] as u32
    }

    /// The first word of a payload, for another module.
    pub(crate) fn readdress(head: u64, module: u16) -> u64 {
        head & !(0xffff << 16) | u64::from(module) << 16
    }

    /// The command in a payload; anything `encode` cannot have written is refused. `[any]`
    pub fn decode(payload: &[u64; 4]) -> Result<Command, CommandError> {
        let [head, due, body, edition] = *payload;
        let (kind, voice) = ((head & 0xff) as u8, (head >> 8 & 0xff) as u8);
        let module = (head >> 16 & 0xffff) as u16;
        let param = (head >> 32 & 0xffff) as u16;
        let value = f32::from_bits(body as u32);
        let frames = (body >> 32) as u32;
        let action = match kind {
            1 => Action::Set { module, param, value, ramp_frames: frames },
            2 => Action::Gate { module, level: value },
            3 => Action::Test,
            4 => Action::Panic,
            5 => Action::Clear,
            6 => Action::MasterGain { gain: value, ramp_frames: frames },
            7 => Action::MasterMute { on: body as u32 == 1 },
            8 => Action::Fade { frames },
            9 => Action::Bypass { module },
            10 => Action::Revive { module },
            11 => {
                let note = f32::from_bits((head >> 32) as u32);
                Action::Note { module, note, velocity: value, frames, voice }
            }
            12 => Action::Voice { module, voice, param, value, ramp_frames: frames },
            13 => Action::Adopt {
                edition: (head >> 32) as u32,
                check: body as u32,
                fade_frames: frames,
            },
            _ => return Err(CommandError::UnknownKind { kind }),
        };
        let command = Command { due, action };
        // What survives a round trip is exactly what `encode` can write: no second grammar here.
        let again = command.encode_for(edition as u32);
        match again.iter().zip(payload).position(|(ours, theirs)| ours != theirs) {
            Some(word) => Err(CommandError::StrayBits { word }),
            None => Ok(command),
        }
    }

    /// The same for another module; for the whole rack where it is that. `[any]`
    #[must_use]
    pub fn for_module(mut self, to: u16) -> Command {
        match &mut self.action {
            Action::Set { module, .. }
            | Action::Gate { module, .. }
            | Action::Note { module, .. }
            | Action::Voice { module, .. }
            | Action::Bypass { module }
            | Action::Revive { module } => *module = to,
            _ => {}
        }
        self
    }

    /// The module this command is for; none for those that are for the whole rack. `[any]`
    pub fn module(&self) -> Option<u16> {
        match self.action {
            Action::Set { module, .. }
            | Action::Gate { module, .. }
            | Action::Note { module, .. }
            | Action::Voice { module, .. }
            | Action::Bypass { module }
            | Action::Revive { module } => Some(module),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Command, CommandError, OWN_SMOOTHING};

    fn one_of_each() -> Vec<Command> {
        let actions = [
            Action::Set { module: 7, param: 65_535, value: -0.5, ramp_frames: OWN_SMOOTHING },
            Action::Gate { module: 65_535, level: 0.7 },
            Action::Note { module: 9, note: 60.5, velocity: 0.3, frames: 777, voice: 16 },
            Action::Voice { module: 9, voice: 3, param: 2, value: -1.5, ramp_frames: 48 },
            Action::Test,
            Action::Panic,
            Action::Clear,
            Action::MasterGain { gain: 0.25, ramp_frames: 480 },
            Action::MasterMute { on: true },
            Action::MasterMute { on: false },
            Action::Fade { frames: 4_800 },
            Action::Bypass { module: 3 },
            Action::Revive { module: 3 },
            Action::Adopt { edition: u32::MAX, check: 0xdead_beef, fade_frames: 480 },
        ];
        actions.iter().zip(0..).map(|(action, n)| Command::at(n << 40, *action)).collect()
    }

    #[test]
    fn every_command_survives_its_payload() {
        for command in one_of_each() {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn a_payload_says_for_which_edition_it_is() {
        for command in one_of_each() {
            for edition in [0, 1, u32::MAX] {
                let payload = command.encode_for(edition);
                assert_eq!(Command::decode(&payload), Ok(command));
                assert_eq!(Command::edition_of(&payload), edition);
            }
            let [head, due, body, _] = command.encode();
            let stray = Command::decode(&[head, due, body, 1 << 32]);
            assert_eq!(stray, Err(CommandError::StrayBits { word: 3 }));
        }
    }

    #[test]
    fn a_stray_bit_anywhere_is_a_refusal_or_another_command() {
        for command in one_of_each() {
            for bit in 0..256 {
                let mut payload = command.encode();
                payload[bit / 64] ^= 1 << (bit % 64);
                if let Ok(other) = Command::decode(&payload) {
                    assert_eq!(other.encode_for(Command::edition_of(&payload)), payload);
                }
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        assert_eq!(Command::decode(&[200, 0, 0, 0]), Err(CommandError::UnknownKind { kind: 200 }));
    }
}
