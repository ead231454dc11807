//! Places in a text: from byte offsets to the lines and columns people count.

use std::ops::Range;

use crate::patch::Mistake;

/// A stretch of one line, counted from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) length: u32,
}

impl Span {
    /// A mistake here.
    pub(crate) fn mistake(self, code: &'static str, text: impl Into<String>) -> Mistake {
        let Span { line, column, length } = self;
        Mistake { line, column, length: length.max(1), code, text: text.into(), hint: None }
    }
}

/// The text of a patch, with an index of its lines.
pub(crate) struct Source<'t> {
    text: &'t str,
    /// Byte at which each line begins.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str) -> Source<'t> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Source { text, lines }
    }

    /// Where these bytes stand; what goes on over a line's end is cut there.
    pub(crate) fn span(&self, bytes: Range<usize>) -> Span {
        let start = self.boundary(bytes.start);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1) - 1;
        let begin = self.lines[line];
        let rest = &self.text[start..self.boundary(bytes.end.max(start))];
        let shown = rest.split(['\n', '\r']).next().unwrap_or("");
        Span {
            line: line as u32 + 1,
            column: self.text[begin..start].chars().count() as u32 + 1,
            length: shown.chars().count() as u32,
        }
    }

    /// Where `part` (bytes of the decoded `value`) stands in the quoted string at `quoted`. A
    /// string with escapes or of several lines is pointed at as a whole.
    pub(crate) fn within(&self, quoted: Range<usize>, value: &str, part: Range<usize>) -> Span {
        let written = self.text.get(quoted.clone()).unwrap_or("");
        let plain = written.len() == value.len() + 2 && &written[1..=value.len()] == value;
        if plain {
            self.span(quoted.start + 1 + part.start..quoted.start + 1 + part.end)
        } else {
            self.span(quoted)
        }
    }

    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, Span};

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let source = Source::new("a = 1\nö = \"über\"\n");
        let at = "a = 1\nö = ".len();
        assert_eq!(source.span(at..at + 7), Span { line: 2, column: 5, length: 6 });
        assert_eq!(source.span(0..1), Span { line: 1, column: 1, length: 1 });
        let end = source.span(999..1_000);
        assert_eq!((end.line, end.column), (3, 1));
    }

    #[test]
    fn a_part_of_a_string_is_found_inside_its_quotes() {
        let source = Source::new("x = \"saw + bas\"");
        assert_eq!(
            source.within(4..15, "saw + bas", 6..9),
            Span { line: 1, column: 12, length: 3 }
        );
    }
}
