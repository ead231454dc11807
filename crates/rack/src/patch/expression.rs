//! What stands in the string of an inlet or parameter: a sum of quantities and cables.
//!
//! *Grammar*: `sum = ["-"] term {("+" | "-") term}`, `term = factor ["*" factor]`, where a factor
//! is a quantity (`180`, `14ct`, `A4`) or a source (`env`, `bass.pitch`, `delayed(filter.low)`,
//! `lead.amp.out`),
//! and a term has at most one source.

use std::ops::Range;

use crate::quantity::{self, Quantity, QuantityError};

/// One summand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) negative: bool,
    pub(crate) kind: TermKind,
    /// Bytes of the string it stands in.
    pub(crate) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TermKind {
    Constant(Quantity),
    Cable(Reference, Quantity),
}

/// A source: `ID`, `ID.OUTLET`, or of an instrument `ID.PART` and `ID.PART.OUTLET`; alone or as
/// `delayed(…)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) module: String,
    /// What stands behind the first point: an outlet or a part.
    pub(crate) outlet: Option<String>,
    /// What stands behind the second one: an outlet of a part.
    pub(crate) deeper: Option<String>,
    pub(crate) delayed: bool,
    pub(crate) at: Range<usize>,
}

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
    pub(crate) at: Range<usize>,
}

enum Factor {
    Number(Quantity),
    Source(Reference),
}

/// Reads a whole expression; the first fault ends it, for what follows would be guessing.
pub(crate) fn parse(text: &str) -> Result<Vec<Term>, Fault> {
    let mut reader = Reader { text, at: 0 };
    let mut terms = Vec::new();
    reader.skip_space();
    // A sign before a number belongs to the number ("-6dB" is a half, not minus two).
    let mut negative = reader.leading_minus();
    loop {
        terms.push(reader.term(negative)?);
        reader.skip_space();
        match reader.peek() {
            None => return Ok(terms),
            Some('+') => negative = false,
            Some('-') => negative = true,
            Some(_) => return Err(reader.fault_here("syntax", "a '+' is missing here", None)),
        }
        reader.at += 1;
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a minus that stands before a source.
    fn leading_minus(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let before_source =
            rest.strip_prefix('-').is_some_and(|rest| rest.trim_start().starts_with(is_letter));
        self.at += usize::from(before_source);
        before_source
    }

    fn term(&mut self, negative: bool) -> Result<Term, Fault> {
        self.skip_space();
        let start = self.at;
        let left = self.factor()?;
        let mut end = self.at;
        self.skip_space();
        let mut right = None;
        if self.peek() == Some('*') {
            self.at += 1;
            self.skip_space();
            right = Some(self.factor()?);
            end = self.at;
        }
        let at = start..end;
        let kind = match (left, right) {
            (Factor::Number(constant), None) => TermKind::Constant(constant),
            (Factor::Source(source), None) => TermKind::Cable(source, Quantity::Bare(1.0)),
            (Factor::Source(source), Some(Factor::Number(amount)))
            | (Factor::Number(amount), Some(Factor::Source(source))) => {
                TermKind::Cable(source, amount)
            }
            (Factor::Source(_), Some(Factor::Source(_))) => {
                return Err(Fault {
                    code: "product",
                    text: "a source times a source is a module of its own".to_string(),
                    hint: Some("use a vca: in is the one, gain the other".to_string()),
                    at,
                });
            }
            (Factor::Number(_), Some(Factor::Number(_))) => {
                return Err(Fault {
                    code: "product",
                    text: "a number times a number".to_string(),
                    hint: Some("write the product".to_string()),
                    at,
                });
            }
        };
        self.skip_space();
        if self.peek() == Some('*') {
            let hint = Some("a term is ID * AMOUNT".to_string());
            return Err(self.fault_here("syntax", "one '*' too many", hint));
        }
        Ok(Term { negative, kind, at })
    }

    fn factor(&mut self) -> Result<Factor, Fault> {
        let start = self.at;
        match self.peek() {
            Some(c) if c.is_ascii_lowercase() => self.source().map(Factor::Source),
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-') => {
                self.take_number();
                let spelled = &self.text[start..self.at];
                quantity::read(spelled).map(Factor::Number).map_err(|error| Fault {
                    code: match error {
                        QuantityError::NotBuilt { .. } => "not_built",
                        _ => "bad_quantity",
                    },
                    text: error.to_string(),
                    hint: None,
                    at: start..self.at,
                })
            }
            Some(_) => Err(self.fault_here("syntax", "neither a number nor a module", None)),
            None => Err(self.fault_here("syntax", "something is missing here", None)),
        }
    }

    /// Runs over a sign, digits, an exponent and a unit, whether or not they make sense.
    fn take_number(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += usize::from(matches!(bytes.get(self.at), Some(b'+' | b'-')));
        while let Some(byte) = bytes.get(self.at) {
            let exponent = matches!(byte, b'+' | b'-')
                && matches!(bytes[self.at - 1], b'e' | b'E')
                && self.at >= 2
                && matches!(bytes[self.at - 2], b'0'..=b'9' | b'.')
                && matches!(bytes.get(self.at + 1), Some(b'0'..=b'9'));
            let part = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'#' | b'_');
            if !exponent && !part {
                break;
            }
            self.at += 1;
        }
    }

    fn source(&mut self) -> Result<Reference, Fault> {
        let start = self.at;
        let word = self.word();
        if self.peek() != Some('(') {
            let (outlet, deeper) = self.path()?;
            let at = start..self.at;
            return Ok(Reference { module: word, outlet, deeper, delayed: false, at });
        }
        if word != "delayed" {
            let hint = Some("there is delayed(ID), for what goes in a circle".to_string());
            let text = format!("there is no function '{word}'");
            return Err(Fault { code: "syntax", text, hint, at: start..self.at });
        }
        self.at += 1;
        self.skip_space();
        let module = self.word();
        if !module.starts_with(is_letter) {
            let text = "a module's name is missing here";
            return Err(self.fault_here("syntax", text, Some("write delayed(ID)".to_string())));
        }
        let (outlet, deeper) = self.path()?;
        self.skip_space();
        if self.peek() != Some(')') {
            return Err(self.fault_here("syntax", "a ')' is missing here", None));
        }
        self.at += 1;
        Ok(Reference { module, outlet, deeper, delayed: true, at: start..self.at })
    }

    /// `.OUTLET` or `.PART.OUTLET`, if it stands here.
    fn path(&mut self) -> Result<(Option<String>, Option<String>), Fault> {
        let first = self.outlet()?;
        let second = if first.is_some() { self.outlet()? } else { None };
        Ok((first, second))
    }

    /// `.OUTLET`, if it stands here.
    fn outlet(&mut self) -> Result<Option<String>, Fault> {
        if self.peek() != Some('.') {
            return Ok(None);
        }
        self.at += 1;
        let name = self.word();
        if name.is_empty() {
            return Err(self.fault_here("syntax", "an outlet's name is missing here", None));
        }
        Ok(Some(name))
    }

    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_string()
    }

    fn fault_here(&self, code: &'static str, text: &str, hint: Option<String>) -> Fault {
        let length = self.peek().map_or(0, char::len_utf8);
        Fault { code, text: text.to_string(), hint, at: self.at..self.at + length }
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{TermKind, parse};
    use crate::quantity::Quantity;

    /// A short writing of terms, to compare.
    fn shown(text: &str) -> String {
        let terms = match parse(text) {
            Ok(terms) => terms,
            Err(fault) => return format!("{} at {:?}", fault.code, fault.at),
        };
        let show = |term: &super::Term| {
            let sign = if term.negative { "-" } else { "+" };
            match &term.kind {
                TermKind::Constant(quantity) => format!("{sign}{quantity:?}"),
                TermKind::Cable(from, amount) => {
                    let outlet = from.outlet.as_deref().unwrap_or("");
                    let late = if from.delayed { "late " } else { "" };
                    format!("{sign}{late}{}.{outlet}*{amount:?}", from.module)
                }
            }
        };
        terms.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn sums_of_quantities_and_cables_are_read() {
        let text = "180 + env * 2.5oct + wobble.level * 1oct";
        let read = "+Bare(180.0) +env.*Octaves(2.5) +wobble.level*Octaves(1.0)";
        assert_eq!(shown(text), read);
        assert_eq!(shown("saw*0.5-saw2*-6dB"), "+saw.*Bare(0.5) -saw2.*Decibels(-6.0)");
        assert_eq!(shown("-6dB"), "+Decibels(-6.0)");
        assert_eq!(shown(" - env"), "-env.*Bare(1.0)");
        assert_eq!(shown("0.5 * env - 1e-3"), "+env.*Bare(0.5) -Bare(0.001)");
        assert_eq!(shown("-delayed( filter.low )*0.5"), "-late filter.low*Bare(0.5)");
        assert_eq!(parse("A4").unwrap()[0].kind, TermKind::Constant(Quantity::Hertz(440.0)));
    }

    #[test]
    fn each_fault_is_named_where_it_stands() {
        assert_eq!(shown("env * amp"), "product at 0..9");
        assert_eq!(shown("2 * 3"), "product at 0..5");
        assert_eq!(shown("env amp"), "syntax at 4..5");
        assert_eq!(shown("env +"), "syntax at 5..5");
        assert_eq!(shown(""), "syntax at 0..0");
        assert_eq!(shown("env * 2 * 3"), "syntax at 8..9");
        assert_eq!(shown("later(filter)"), "syntax at 0..5");
        assert_eq!(shown("delayed(filter"), "syntax at 14..14");
        assert_eq!(shown("delayed(3)"), "syntax at 9..10");
        assert_eq!(shown("lfo * 1/8"), "not_built at 6..9");
        assert_eq!(shown("env + 5mm"), "bad_quantity at 6..9");
        assert_eq!(shown("env."), "syntax at 4..4");
        assert_eq!(shown("ü"), "syntax at 0..2");
    }
}
