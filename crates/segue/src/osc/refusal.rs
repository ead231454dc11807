//! What is answered when something is not done, or not done as asked: `/error ADDRESS CODE TEXT`.

use rosc::{OscMessage, OscType};

/// Why; the word stands in the reply and is a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing answers to this address.
    UnknownAddress,
    /// No module of this name is in the patch.
    UnknownModule,
    /// The module has no such parameter.
    UnknownParam,
    /// An argument of another type was wanted, or another number of them.
    WrongType,
    /// Outside the range; what was used instead is in the text.
    OutOfRange,
    /// NaN or infinite.
    NotFinite,
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
}

impl Code {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::UnknownAddress => "unknown_address",
            Self::UnknownModule => "unknown_module",
            Self::UnknownParam => "unknown_param",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::NotFinite => "not_finite",
            Self::Full => "full",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
            Self::Quarantined => "quarantined",
        }
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
