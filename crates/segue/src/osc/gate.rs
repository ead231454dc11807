//! What opens a gate and what closes it (scenario S25: `"off"` was once true).

use rosc::OscType;

use super::refusal::{Code, Refusal};

/// What was asked of a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// 0 closes, above 0 opens with that velocity, at most 1.
    pub(crate) level: f32,
    /// Whether it lay outside 0 to 1 and was moved to the nearer end.
    pub(crate) clamped: bool,
}

/// The level asked for by the argument of `/gate`.
///
/// Numbers are levels from 0 to 1; those outside open fully or close, and are told so. Booleans,
/// nil (closes), impulse (opens) and the words of [`WORDS`] in any case, and numbers written as
/// text, are understood. Everything else is refused and changes nothing.
pub(crate) fn level(argument: &OscType) -> Result<Level, Refusal> {
    match argument {
        OscType::Int(value) => number(f64::from(*value)),
        OscType::Long(value) => number(*value as f64),
        OscType::Float(value) => number(f64::from(*value)),
        OscType::Double(value) => number(*value),
        OscType::Bool(open) => number(f64::from(u8::from(*open))),
        OscType::Nil => number(0.0),
        OscType::Inf => number(1.0),
        OscType::String(text) => word(text),
        _ => Err(Refusal::new(Code::WrongType, EXPECTED)),
    }
}

/// What each word means.
pub(crate) const WORDS: [(&str, f32); 8] = [
    ("on", 1.0),
    ("true", 1.0),
    ("yes", 1.0),
    ("open", 1.0),
    ("off", 0.0),
    ("false", 0.0),
    ("no", 0.0),
    ("closed", 0.0),
];

/// What a gate takes, for the text of a refusal.
pub(crate) const EXPECTED: &str = "a gate takes 1, 0, true, false, \"on\", \"off\", or a velocity \
                                   from 0.0 to 1.0";

fn word(text: &str) -> Result<Level, Refusal> {
    let text = text.trim();
    if let Some((_, level)) = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
        return number(f64::from(*level));
    }
    match text.parse::<f64>() {
        Ok(value) => number(value),
        Err(_) => Err(Refusal::new(Code::WrongType, EXPECTED)),
    }
}

fn number(value: f64) -> Result<Level, Refusal> {
    if !value.is_finite() {
        return Err(Refusal::new(Code::NotFinite, EXPECTED));
    }
    let level = value.clamp(0.0, 1.0);
    Ok(Level { level: level as f32, clamped: level != value })
}

#[cfg(test)]
mod tests {
    use rosc::OscType;

    use super::super::refusal::Code;
    use super::{Level, level};

    fn text(word: &str) -> OscType {
        OscType::String(word.to_owned())
    }

    #[test]
    fn what_opens_a_gate_opens_it_and_what_closes_it_closes_it() {
        let table = [
            (OscType::Int(0), 0.0),
            (OscType::Int(1), 1.0),
            (OscType::Float(0.5), 0.5),
            (OscType::Double(0.25), 0.25),
            (OscType::Long(1), 1.0),
            (text("on"), 1.0),
            (text("ON"), 1.0),
            (text("off"), 0.0),
            (text("OFF"), 0.0),
            (text("0"), 0.0),
            (text("0.5"), 0.5),
            (text("true"), 1.0),
            (text("False"), 0.0),
            (OscType::Bool(true), 1.0),
            (OscType::Bool(false), 0.0),
            (OscType::Nil, 0.0),
            (OscType::Inf, 1.0),
        ];
        for (argument, expected) in table {
            let expected = Level { level: expected, clamped: false };
            assert_eq!(level(&argument), Ok(expected), "{argument:?}");
        }
    }

    #[test]
    fn a_velocity_beyond_its_range_opens_or_closes_and_is_told_so() {
        let table = [(OscType::Int(127), 1.0), (OscType::Int(-1), 0.0), (text("2.5"), 1.0)];
        for (argument, expected) in table {
            let expected = Level { level: expected, clamped: true };
            assert_eq!(level(&argument), Ok(expected), "{argument:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let table = [
            (OscType::Float(f32::NAN), Code::NotFinite),
            (OscType::Float(f32::INFINITY), Code::NotFinite),
            (text("NaN"), Code::NotFinite),
            (text(""), Code::WrongType),
            (text("maybe"), Code::WrongType),
            (OscType::Blob(vec![1]), Code::WrongType),
        ];
        for (argument, code) in table {
            assert_eq!(level(&argument).map_err(|it| it.code), Err(code), "{argument:?}");
        }
    }
}
