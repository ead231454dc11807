//! What a rack can be told, and the four words that carry it through log and agenda.
//!
//! *Layout* of a payload: word 0 is kind (bits 0..8), module (16..32), param (32..48); word 1 is
//! `due`; word 2 is value bits (0..32) and frames (32..64); word 3 is zero and kept for the agenda.

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

    /// The payload that carries this command. `[any]`
    pub fn encode(&self) -> [u64; 4] {
        let (kind, module, param, value, frames) = match self.action {
            Action::Set { module, param, value, ramp_frames } => {
                (1, module, param, value.to_bits(), ramp_frames)
            }
            Action::Gate { module, level } => (2, module, 0, level.to_bits(), 0),
            Action::Test => (3, 0, 0, 0, 0),
            Action::Panic => (4, 0, 0, 0, 0),
            Action::Clear => (5, 0, 0, 0, 0),
            Action::MasterGain { gain, ramp_frames } => (6, 0, 0, gain.to_bits(), ramp_frames),
            Action::MasterMute { on } => (7, 0, 0, u32::from(on), 0),
            Action::Fade { frames } => (8, 0, 0, 0, frames),
            Action::Bypass { module } => (9, module, 0, 0, 0),
            Action::Revive { module } => (10, module, 0, 0, 0),
        };
        let head = kind | u64::from(module) << 16 | u64::from(param) << 32;
        [head, self.due, u64::from(value) | u64::from(frames) << 32, 0]
    }

    /// The command in a payload; anything `encode` cannot have written is refused. `[any]`
    pub fn decode(payload: &[u64; 4]) -> Result<Command, CommandError> {
        let [head, due, body, spare] = *payload;
        let kind = (head & 0xff) as u8;
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
            _ => return Err(CommandError::UnknownKind { kind }),
        };
        let command = Command { due, action };
        // What survives a round trip is exactly what `encode` can write: no second grammar here.
        let again = command.encode();
        match again.iter().zip([head, due, body, spare]).position(|(ours, theirs)| *ours != theirs)
        {
            Some(word) => Err(CommandError::StrayBits { word }),
            None => Ok(command),
        }
    }

    /// The module this command is for; none for those that are for the whole rack. `[any]`
    pub fn module(&self) -> Option<u16> {
        match self.action {
            Action::Set { module, .. }
            | Action::Gate { module, .. }
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
            Action::Test,
            Action::Panic,
            Action::Clear,
            Action::MasterGain { gain: 0.25, ramp_frames: 480 },
            Action::MasterMute { on: true },
            Action::MasterMute { on: false },
            Action::Fade { frames: 4_800 },
            Action::Bypass { module: 3 },
            Action::Revive { module: 3 },
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
    fn a_stray_bit_anywhere_is_a_refusal_or_another_command() {
        for command in one_of_each() {
            for bit in 0..256 {
                let mut payload = command.encode();
                payload[bit / 64] ^= 1 << (bit % 64);
                if let Ok(other) = Command::decode(&payload) {
                    assert_eq!(other.encode(), payload);
                }
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        assert_eq!(Command::decode(&[200, 0, 0, 0]), Err(CommandError::UnknownKind { kind: 200 }));
    }
}
