//! A finding: one line of the doctor's, with its cure.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grade {
    /// As it should be.
    Ok,
    /// Worth knowing; sound is not in its way.
    Warn,
    /// Stands in the way of sound, or of steady sound.
    Bad,
}

/// What was looked at, what was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, in a word or two.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) grade: Grade,
    /// What was found.
    pub(crate) found: String,
    /// Commands to paste, or a sentence, one a line.
    pub(crate) cure: Vec<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, found: found.into(), cure: Vec::new() }
    }

    /// Worth knowing.
    pub(crate) fn warn(check: &'static str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, ..Self::ok(check, found) }
    }

    /// In the way of sound.
    pub(crate) fn bad(check: &'static str, found: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, ..Self::ok(check, found) }
    }

    /// The same, with one more line of what to do.
    #[must_use]
    pub(crate) fn cure(mut self, line: impl Into<String>) -> Self {
        self.cure.push(line.into());
        self
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let grade = match self.grade {
            Grade::Ok => "ok  ",
            Grade::Warn => "warn",
            Grade::Bad => "BAD ",
        };
        let mut text = format!("  {grade}  {}: {}\n", self.check, self.found);
        for line in &self.cure {
            text += &format!("          > {line}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Grade};

    #[test]
    fn a_finding_is_read_line_by_line() {
        let finding = Finding::bad("clock", "hpet").cure("reboot").cure("or wait");
        assert_eq!(
            finding.text(),
            "  BAD   clock: hpet\n          > reboot\n          > or wait\n"
        );
        assert!(Grade::Bad > Grade::Warn && Grade::Warn > Grade::Ok);
    }
}
