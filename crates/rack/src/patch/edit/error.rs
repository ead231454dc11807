//! Why an edit is refused.

use thiserror::Error;

use crate::patch::Mistake;

/// Why an edit of a [`Draft`](crate::Draft) is refused; the draft is what it was before. Trying
/// again helps only after the draft has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{text}")]
pub struct EditError {
    /// Stable word for programs: `unknown_module unknown_param unknown_type wrong_type
    /// out_of_range not_finite cycle full forbidden`.
    pub code: &'static str,
    /// What was wrong, and what is nearest to it or would be right.
    pub text: String,
}

impl EditError {
    pub(super) fn new(code: &'static str, text: impl Into<String>) -> EditError {
        EditError { code, text: text.into() }
    }

    /// The first mistake of a whole patch, with its place and how many more there are. `[control]`
    pub fn of_patch(mistakes: &[Mistake]) -> EditError {
        let Some(first) = mistakes.first() else {
            return EditError::new("wrong_type", "the patch cannot be read");
        };
        let EditError { code, text } = EditError::from(first);
        let more = match mistakes.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        EditError::new(code, format!("line {}, column {}: {text}{more}", first.line, first.column))
    }
}

impl From<&Mistake> for EditError {
    /// The mistake without its place, which means nothing to who sent an edit.
    fn from(mistake: &Mistake) -> EditError {
        let hint = mistake.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        EditError::new(code(mistake.code), format!("{}{hint}", mistake.text))
    }
}

/// The word of a refusal for the word of a mistake.
fn code(mistake: &str) -> &'static str {
    match mistake {
        "unknown_module" => "unknown_module",
        "unknown_param" | "unknown_outlet" => "unknown_param",
        "unknown_type" => "unknown_type",
        "out_of_range" => "out_of_range",
        "not_finite" => "not_finite",
        "cycle" => "cycle",
        "full" => "full",
        "reserved" | "recursion" => "forbidden",
        _ => "wrong_type",
    }
}
