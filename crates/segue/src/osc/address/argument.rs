//! Arguments as the values they are meant to be.

use rosc::OscType;
use segue_rack::catalog::ParamSpec;
use segue_rack::quantity::{self, QuantityError, Unit};

use super::super::refusal::{Code, Refusal};

/// Longest time a change may take, or a note: ten minutes.
const RAMP_MS_MAX: f32 = 600_000.0;

/// No arguments, or a refusal.
pub(super) fn none(args: &[OscType]) -> Result<(), Refusal> {
    match args {
        [] => Ok(()),
        _ => Err(Refusal::new(Code::WrongType, "this address takes no arguments")),
    }
}

/// One whole number.
pub(super) fn int(args: &[OscType]) -> Result<i32, Refusal> {
    match args {
        [OscType::Int(value)] => Ok(*value),
        _ => Err(Refusal::new(Code::WrongType, "this address takes one whole number (i)")),
    }
}

/// A number in `unit`; text may carry the unit.
pub(super) fn number(argument: &OscType, unit: Unit, what: &str) -> Result<f32, Refusal> {
    let wrong = || {
        let text = format!("{what} takes a number or text like {}", unit.examples());
        Refusal::new(Code::WrongType, text)
    };
    let value = match argument {
        OscType::Int(value) => *value as f32,
        OscType::Long(value) => *value as f32,
        OscType::Float(value) => *value,
        OscType::Double(value) if value.is_finite() => {
            // Beyond what an f32 holds is out of range, not infinite.
            value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
        }
        OscType::Double(value) => *value as f32,
        OscType::String(text) => match quantity::parse(text, unit) {
            Ok(value) => value,
            Err(QuantityError::NotFinite { .. }) => f32::INFINITY,
            Err(_) => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    if value.is_finite() {
        return Ok(value);
    }
    Err(Refusal::new(Code::NotFinite, format!("{what} takes a finite number")))
}

/// A value for the parameter `spec`, not yet brought into its range.
pub(super) fn value(argument: &OscType, spec: &ParamSpec) -> Result<f32, Refusal> {
    if spec.choices.is_empty() {
        return number(argument, spec.unit, spec.name);
    }
    let index = match argument {
        OscType::String(word) => spec.choice_index(word),
        OscType::Int(_) | OscType::Long(_) | OscType::Float(_) | OscType::Double(_) => {
            Some(number(argument, Unit::Number, spec.name)?)
        }
        _ => None,
    };
    index.ok_or_else(|| {
        let meant = match argument {
            OscType::String(word) => segue_rack::nearest(word, spec.choices.iter().copied()),
            _ => None,
        };
        let hint = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
        let text = format!("{} takes one of {}{hint}", spec.name, spec.choices.join(", "));
        Refusal::new(Code::WrongType, text)
    })
}

/// Frames of a change or a note that is asked to take so many ms.
pub(super) fn ramp_frames(argument: &OscType, rate: u32) -> Result<u32, Refusal> {
    let ms = number(argument, Unit::Milliseconds, "a time")?;
    if !(0.0..=RAMP_MS_MAX).contains(&ms) {
        let text = format!("a time is 0 to {RAMP_MS_MAX} ms");
        return Err(Refusal::new(Code::OutOfRange, text));
    }
    Ok((f64::from(ms) * f64::from(rate) / 1000.0).round() as u32)
}
