//! What is answered when something is not done, or not done as asked: `/error ADDRESS CODE TEXT`.

use rosc::{OscMessage, OscType};
use segue_rack::EditError;

/// Why; the word stands in the reply and is a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing answers to this address.
    UnknownAddress,
    /// No module of this name is in the patch.
    UnknownModule,
    /// The module has no such parameter.
    UnknownParam,
    /// There is no such type of module.
    UnknownType,
    /// An argument of another type was wanted, or another number of them.
    WrongType,
    /// Outside the range; what was used instead is in the text.
    OutOfRange,
    /// NaN or infinite.
    NotFinite,
    /// Cables that go in a circle without `delayed(…)`.
    Cycle,
    /// No room; trying again later helps.
    Full,
    /// Longer than can be taken or answered.
    TooLong,
    /// Another such thing is going on, or the engine is not ready.
    Busy,
    /// Not allowed from here, or not on this path.
    Forbidden,
    /// It killed the worker that applied it, or what it was for has been taken out.
    Quarantined,
    /// It took too long: it was not gone on with, or nobody was ready for it in time.
    Timeout,
}

/// Every code there is.
const CODES: [Code; 14] = [
    Code::UnknownAddress,
    Code::UnknownModule,
    Code::UnknownParam,
    Code::UnknownType,
    Code::WrongType,
    Code::OutOfRange,
    Code::NotFinite,
    Code::Cycle,
    Code::Full,
    Code::TooLong,
    Code::Busy,
    Code::Forbidden,
    Code::Quarantined,
    Code::Timeout,
];

impl Code {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::UnknownAddress => "unknown_address",
            Self::UnknownModule => "unknown_module",
            Self::UnknownParam => "unknown_param",
            Self::UnknownType => "unknown_type",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::NotFinite => "not_finite",
            Self::Cycle => "cycle",
            Self::Full => "full",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
            Self::Quarantined => "quarantined",
            Self::Timeout => "timeout",
        }
    }

    /// The code of this word.
    fn named(word: &str) -> Option<Self> {
        CODES.into_iter().find(|code| code.word() == word)
    }
}

/// A refusal, or a remark on what was done otherwise than asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {text}", code.word())]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) code: Code,
    /// What was expected, and what can be done.
    pub(crate) text: String,
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        Self::new(Code::named(error.code).unwrap_or(Code::WrongType), error.text)
    }
}

impl Refusal {
    /// The refusal for `code`, explained by `text`.
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The reply to `message`, which repeats its arguments.
    pub(crate) fn reply_to(&self, message: &OscMessage) -> OscMessage {
        let mut args = vec![
            OscType::String(message.addr.clone()),
            OscType::String(self.code.word().to_owned()),
            OscType::String(self.text.clone()),
        ];
        args.extend(message.args.iter().cloned());
        OscMessage { addr: "/error".to_owned(), args }
    }
}

#[cfg(test)]
mod tests {
    use segue_rack::Draft;

    use super::{CODES, Code, Refusal};

    #[test]
    fn every_code_has_a_word_of_its_own_that_the_manual_explains() {
        let manual = include_str!("../../../../docs/osc.md");
        for code in CODES {
            assert_eq!(Code::named(code.word()), Some(code));
            assert!(manual.contains(&format!("| `{}` |", code.word())), "{code:?}");
        }
    }

    #[test]
    fn a_refused_edit_is_answered_with_its_own_code() {
        let mut draft = Draft::parse("segue = 1\n[out]\n").unwrap();
        for (kind, code) in [("osk", Code::UnknownType), ("out", Code::Forbidden)] {
            let refusal = Refusal::from(draft.create("a", kind, &[]).unwrap_err());
            assert_eq!(refusal.code, code, "{refusal}");
        }
    }
}
