//! A mistake in a patch file, told so that it can be mended without asking.

use serde::Serialize;

/// One mistake: where, what, and what may have been meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// How many characters are to be underlined; at least 1.
    pub length: u32,
    /// Stable word for programs: `unknown_module`, `out_of_range`…
    pub code: &'static str,
    /// One plain sentence, without a full stop.
    pub text: String,
    /// What may have been meant, or what to do.
    pub hint: Option<String>,
}

impl Mistake {
    /// The mistake as compilers print one: place, sentence, the line itself, carets.
    /// `file` is only a name to print. `[control]`
    pub fn render(&self, file: &str, source: &str) -> String {
        let Mistake { line, column, text, .. } = self;
        let mut shown = format!("{file}:{line}:{column}: error: {text}");
        if let Some(hint) = &self.hint {
            shown.push_str("; ");
            shown.push_str(hint);
        }
        let Some(written) = source.lines().nth(line.saturating_sub(1) as usize) else {
            return shown;
        };
        // Tabs are kept in the margin, so that the carets stand under what they mean.
        let margin: String = written
            .chars()
            .take(column.saturating_sub(1) as usize)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let room = written.chars().count().saturating_sub(margin.chars().count()).max(1);
        let carets = "^".repeat((self.length as usize).clamp(1, room));
        shown.push_str(&format!("\n    {written}\n    {margin}{carets}"));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::Mistake;

    #[test]
    fn a_mistake_is_shown_with_its_line_and_carets() {
        let mistake = Mistake {
            line: 2,
            column: 9,
            length: 3,
            code: "unknown_module",
            text: "no module 'bas'".to_string(),
            hint: Some("did you mean 'bass'?".to_string()),
        };
        let source = "segue = 1\nfreq = \"bas.pitch\"\n";
        let expected = "rollers.toml:2:9: error: no module 'bas'; did you mean 'bass'?\n    \
                        freq = \"bas.pitch\"\n            ^^^";
        assert_eq!(mistake.render("rollers.toml", source), expected);
    }

    #[test]
    fn a_place_outside_the_file_still_prints() {
        let mistake = Mistake {
            line: 99,
            column: 99,
            length: 99,
            code: "syntax",
            text: "nothing there".to_string(),
            hint: None,
        };
        assert_eq!(mistake.render("p", "x"), "p:99:99: error: nothing there");
    }
}
