//! The text of an expression, changed term by term.
//!
//! *Invariant*: what a change is not about stays as it was written, and means what it meant.

use crate::patch::expression::{self, Fault, Reference, Term, TermKind};
use crate::patch::port::{Socket, Weight, weigh};
use crate::quantity::{Quantity, Unit};

/// An expression, or nothing.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    text: String,
    terms: Vec<Term>,
}

impl Sum {
    /// Reads an expression; nothing is a sum without terms.
    pub(super) fn read(text: &str) -> Result<Sum, Fault> {
        let terms = match text.trim() {
            "" => Vec::new(),
            _ => expression::parse(text)?,
        };
        Ok(Sum { text: text.to_string(), terms })
    }

    /// As it is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a cable stands that comes from such a source.
    pub(super) fn cable(&self, such: impl Fn(&Reference) -> bool) -> Option<usize> {
        self.terms.iter().position(|term| comes_from(term, &such))
    }

    /// Whether any cable is there.
    pub(super) fn has_cables(&self) -> bool {
        self.cable(|_| true).is_some()
    }

    /// The constant it stands for at a port, whose default holds where nothing adds up.
    pub(super) fn constant(&self, socket: Socket) -> f32 {
        let default = match socket {
            Socket::Inlet(_) => 0.0,
            Socket::Param(param) => param.default,
        };
        let (mut sum, mut adds) = (0.0, false);
        for term in &self.terms {
            let (quantity, counts) = match &term.kind {
                TermKind::Constant(quantity) => (*quantity, true),
                TermKind::Cable(_, amount) => (*amount, false),
            };
            if let Some(Weight::Adds(value)) = weigh(quantity, socket) {
                adds = true;
                let signed = if term.negative { -value } else { value };
                sum += if counts { signed } else { 0.0 };
            }
        }
        if adds { sum } else { default }
    }

    /// Takes all cables out that come from such a source.
    pub(super) fn without(mut self, such: impl Fn(&Reference) -> bool) -> Result<Sum, Fault> {
        while let Some(at) = self.cable(&such) {
            self = self.without_term(at)?;
        }
        Ok(self)
    }

    /// Takes all cables out but the first that come from such a source.
    pub(super) fn with_one(mut self, such: impl Fn(&Reference) -> bool) -> Result<Sum, Fault> {
        while let Some(last) = self.terms.iter().rposition(|term| comes_from(term, &such)) {
            if self.cable(&such) == Some(last) {
                break;
            }
            self = self.without_term(last)?;
        }
        Ok(self)
    }

    /// Adds a cable at the end.
    pub(super) fn and(self, source: &str, amount: Option<&str>) -> Result<Sum, Fault> {
        let cable = times(source, amount);
        match self.text.trim_end() {
            "" => Sum::read(&cable),
            text => Sum::read(&format!("{text} + {cable}")),
        }
    }

    /// Gives the cable at an index another amount.
    pub(super) fn amounting(self, at: usize, amount: Option<&str>) -> Result<Sum, Fault> {
        let TermKind::Cable(reference, _) = &self.terms[at].kind else { return Ok(self) };
        let cable = times(&self.text[reference.at.clone()], amount);
        self.with_term(at, &cable)
    }

    /// Puts `constant` in place of all constants that add up; intervals and cables stay.
    pub(super) fn with_constant(mut self, constant: &str, unit: Unit) -> Result<Sum, Fault> {
        let Some(first) = self.terms.iter().position(|term| is_constant(term, unit)) else {
            return self.behind(constant);
        };
        while let Some(last) = self.terms.iter().rposition(|term| is_constant(term, unit)) {
            if last == first {
                break;
            }
            self = self.without_term(last)?;
        }
        self.with_term(first, constant)
    }

    /// The same with a constant in front.
    fn behind(self, constant: &str) -> Result<Sum, Fault> {
        match self.terms.first() {
            None => Sum::read(constant),
            Some(first) => {
                let sign = if first.negative { '-' } else { '+' };
                Sum::read(&format!("{constant} {sign} {}", &self.text[first.at.start..]))
            }
        }
    }

    /// The same with another term at an index, which adds.
    fn with_term(self, at: usize, term: &str) -> Result<Sum, Fault> {
        let (before, place) = self.place(at);
        let after = &self.text[self.terms[at].at.end..];
        // A negative number is taken away rather than added, except where that is another level.
        let level = term.ends_with("dB") || term.ends_with("db");
        let (sign, term) = match term.strip_prefix('-').filter(|_| at > 0 && !level) {
            Some(rest) => ("-", rest),
            None => ("+", term),
        };
        let place = place.replace(['+', '-'], sign);
        Sum::read(&format!("{before}{place}{term}{after}"))
    }

    fn without_term(self, at: usize) -> Result<Sum, Fault> {
        let (before, _) = self.place(at);
        if at > 0 {
            return Sum::read(&format!("{before}{}", &self.text[self.terms[at].at.end..]));
        }
        match self.terms.get(1) {
            None => Sum::read(""),
            Some(next) if next.negative => {
                let first = self.negated(next);
                Sum::read(&format!("{first}{}", &self.text[next.at.end..]))
            }
            Some(next) => Sum::read(&self.text[next.at.start..]),
        }
    }

    /// What stands before the sign of a term, and from there to the term.
    fn place(&self, at: usize) -> (&str, &str) {
        if at == 0 {
            return ("", "");
        }
        let end = self.terms[at - 1].at.end;
        (&self.text[..end], &self.text[end..self.terms[at].at.start])
    }

    /// A term that is taken away, as the first one.
    fn negated(&self, term: &Term) -> String {
        let written = &self.text[term.at.clone()];
        match &term.kind {
            TermKind::Cable(reference, _) => {
                let source = &self.text[reference.at.clone()];
                let mut factors = written.split('*').map(str::trim);
                let amount = factors.find(|factor| *factor != source);
                format!("-{}", times(source, amount))
            }
            // "-6dB" is a half, and "-A4" no note.
            TermKind::Constant(Quantity::Decibels(_)) => format!("0 - {written}"),
            TermKind::Constant(_) => match written.strip_prefix(['-', '+']) {
                Some(rest) if written.starts_with('-') => rest.to_string(),
                Some(rest) => format!("-{rest}"),
                None if written.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    format!("0 - {written}")
                }
                None => format!("-{written}"),
            },
        }
    }
}

fn times(source: &str, amount: Option<&str>) -> String {
    amount.map_or_else(|| source.to_string(), |amount| format!("{source} * {amount}"))
}

fn comes_from(term: &Term, such: &impl Fn(&Reference) -> bool) -> bool {
    matches!(&term.kind, TermKind::Cable(reference, _) if such(reference))
}

/// Whether a term is a constant that adds up: an interval at a frequency does not.
fn is_constant(term: &Term, unit: Unit) -> bool {
    match &term.kind {
        TermKind::Constant(Quantity::Octaves(_)) => unit != Unit::Hertz,
        TermKind::Constant(_) => true,
        TermKind::Cable(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;
    use crate::catalog;
    use crate::patch::port::Socket;
    use crate::quantity::Unit;

    fn sum(text: &str) -> Sum {
        Sum::read(text).unwrap()
    }

    fn without(text: &str, module: &str) -> String {
        sum(text).without(|from| from.module == module).unwrap().text().to_string()
    }

    #[test]
    fn a_cable_taken_out_leaves_the_rest_as_it_was_written() {
        for (text, left) in [
            ("saw", ""),
            ("saw*0.5  +  b", "b"),
            ("a  + saw * 0.5 - b", "a - b"),
            ("a - saw", "a"),
            ("saw + a + 0.5*saw", "a"),
            ("-saw + a", "a"),
            ("saw - a", "-a"),
            ("saw - a*0.5 + c", "-a * 0.5 + c"),
            ("saw - 0.5 * a", "-a * 0.5"),
            ("saw - -6dB * a", "-a * -6dB"),
            ("saw - 3", "-3"),
            ("saw - -3", "3"),
            ("saw - 6dB", "0 - 6dB"),
            ("saw - A4", "0 - A4"),
            ("saw - 14ct", "-14ct"),
            ("delayed(saw) + a", "a"),
        ] {
            assert_eq!(without(text, "saw"), left, "{text}");
        }
    }

    #[test]
    fn an_amount_is_changed_where_it_stands() {
        let changed = |text: &str, amount| {
            let at = sum(text).cable(|from| from.module == "saw").unwrap();
            let one = sum(text).with_one(|from| from.module == "saw").unwrap();
            one.amounting(at, amount).unwrap().text().to_string()
        };
        assert_eq!(changed("a + saw  * 0.5 - b", Some("-6dB")), "a + saw * -6dB - b");
        assert_eq!(changed("a - saw", Some("2oct")), "a + saw * 2oct");
        assert_eq!(changed("-saw * 3 + a", None), "saw + a");
        assert_eq!(changed("a + 0.5 * saw + saw * 2", Some("3")), "a + saw * 3");
        assert_eq!(changed("delayed(saw.out)", Some("-0.5")), "delayed(saw.out) * -0.5");
    }

    #[test]
    fn a_constant_takes_the_place_of_all_that_add_up() {
        let set = |text: &str, constant: &str| {
            sum(text).with_constant(constant, Unit::Hertz).unwrap().text().to_string()
        };
        assert_eq!(set("180 + env * 2.5oct", "800"), "800 + env * 2.5oct");
        assert_eq!(set("env * 2oct", "1.2kHz"), "1.2kHz + env * 2oct");
        assert_eq!(set("-env", "3"), "3 - env");
        assert_eq!(set("env + 180 - 20 + 14ct", "90"), "env + 90 + 14ct");
        assert_eq!(set("env - 180", "90"), "env + 90");
        assert_eq!(set("env + 180", "-90"), "env - 90");
        assert_eq!(set("", "90"), "90");
    }

    #[test]
    fn a_level_is_set_as_a_level() {
        let set = sum("env + 1").with_constant("-6dB", Unit::Gain).unwrap();
        assert_eq!(set.text(), "env + -6dB");
    }

    #[test]
    fn the_constant_is_what_the_rack_will_read() {
        let freq = &catalog::spec("osc").unwrap().params[1];
        assert_eq!(freq.name, "freq");
        for (text, constant) in [
            ("", 440.0),
            ("env * 2oct", 440.0),
            ("env", 0.0),
            ("3 + env - 1", 2.0),
            ("14ct", 440.0),
        ] {
            assert_eq!(sum(text).constant(Socket::Param(freq)), constant, "{text}");
        }
        assert_eq!(sum("").constant(Socket::Inlet("in")), 0.0);
    }
}
