//! From a value in the file to what feeds a port.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::catalog::{Curve, ParamSpec};
use crate::names::nearest;
use crate::patch::expression::{self, Term, TermKind};
use crate::patch::scope::Scope;
use crate::patch::source::Source;
use crate::patch::{Cable, Mistake, Port, Span};
use crate::quantity::{Quantity, Unit, decibels_gain};

/// What a port is, seen from the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Socket {
    Inlet(&'static str),
    Param(&'static ParamSpec),
}

impl Socket {
    pub(super) fn name(self) -> &'static str {
        match self {
            Socket::Inlet(name) => name,
            Socket::Param(param) => param.name,
        }
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Socket::Inlet(_) => Unit::Gain,
            Socket::Param(param) => param.unit,
        }
    }
}

/// Reads the values of ports, gathering mistakes.
pub(crate) struct PortReader<'a, 't> {
    pub(crate) source: &'a Source<'t>,
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) mistakes: &'a mut Vec<Mistake>,
}

impl PortReader<'_, '_> {
    /// The port that `value` describes; with a mistake told, something harmless.
    pub(crate) fn read(&mut self, socket: Socket, value: &Spanned<DeValue<'_>>) -> Port {
        let at = self.source.span(value.span());
        let number = match value.get_ref() {
            DeValue::Integer(digits) => {
                let digits = digits.as_str().replace('_', "");
                digits.parse::<f64>().ok()
            }
            DeValue::Float(digits) => digits.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::String(text) => return self.read_text(socket, text, value.span()),
            _ => None,
        };
        let Some(number) = number else {
            let text = format!("'{}' takes a number or a text", socket.name());
            let mistake = at.mistake("wrong_type", text);
            self.mistakes.push(Mistake { hint: Some(wanted(socket)), ..mistake });
            return Port::default();
        };
        self.constant(socket, number as f32, at)
    }

    fn read_text(&mut self, socket: Socket, text: &str, bytes: Range<usize>) -> Port {
        let whole = self.source.span(bytes.clone());
        if let Socket::Param(param) = socket
            && param.unit == Unit::Choice
        {
            let Some(index) = param.choice_index(text) else {
                let message = format!("'{}' cannot be '{text}'", param.name);
                let hint = match nearest(text, param.choices.iter().copied()) {
                    Some(word) => format!("did you mean '{word}'?"),
                    None => format!("one of {}", param.choices.join(", ")),
                };
                let mistake = whole.mistake("out_of_range", message);
                self.mistakes.push(Mistake { hint: Some(hint), ..mistake });
                return Port::default();
            };
            return Port { constant: index, ..Port::default() };
        }
        let terms = match expression::parse(text) {
            Ok(terms) => terms,
            Err(fault) => {
                let at = self.source.within(bytes, text, fault.at);
                let mistake = at.mistake(fault.code, fault.text);
                self.mistakes.push(Mistake { hint: fault.hint, ..mistake });
                return Port::default();
            }
        };
        let mut sum = Sum::default();
        for term in &terms {
            let place = |part: Range<usize>| self.source.within(bytes.clone(), text, part);
            let at = place(term.at.clone());
            let named = match &term.kind {
                TermKind::Cable(reference, _) => place(reference.at.clone()),
                TermKind::Constant(_) => at,
            };
            if let Err(mistake) = self.add(socket, &mut sum, term, at, named) {
                self.mistakes.push(mistake);
            }
        }
        self.total(socket, sum, whole)
    }

    /// Adds one term to the sum.
    fn add(
        &self,
        socket: Socket,
        sum: &mut Sum,
        term: &Term,
        at: Span,
        named: Span,
    ) -> Result<(), Mistake> {
        let sign = if term.negative { -1.0 } else { 1.0 };
        let misfit = || {
            let text = format!("that does not fit '{}'", socket.name());
            Mistake { hint: Some(wanted(socket)), ..at.mistake("bad_quantity", text) }
        };
        match &term.kind {
            TermKind::Constant(Quantity::Decibels(_)) if socket.unit() != Unit::Gain => {
                return Err(misfit());
            }
            TermKind::Constant(quantity) => match weigh(*quantity, socket).ok_or_else(misfit)? {
                Weight::Adds(value) => {
                    sum.linear = true;
                    sum.port.constant += sign * value;
                }
                Weight::Bends(octaves) => sum.port.octaves += sign * octaves,
            },
            TermKind::Cable(reference, amount) => {
                if matches!(socket, Socket::Param(param) if param.fixed) {
                    let text = format!("'{}' takes no cable: it is fixed", socket.name());
                    return Err(at.mistake("wrong_type", text));
                }
                let (amount, bends) = match weigh(*amount, socket).ok_or_else(misfit)? {
                    Weight::Adds(amount) => (amount, false),
                    Weight::Bends(octaves) => (octaves, true),
                };
                sum.linear |= !bends;
                sum.cabled = true;
                for tap in self.scope.resolve(reference, named)? {
                    sum.port.cables.push(Cable {
                        module: tap.module,
                        outlet: tap.outlet,
                        amount: sign * amount * tap.amount,
                        bends,
                        delayed: reference.delayed,
                        at: named,
                    });
                }
            }
        }
        Ok(())
    }

    /// The finished port: defaults filled in, range checked.
    fn total(&mut self, socket: Socket, sum: Sum, at: Span) -> Port {
        let Sum { mut port, linear, cabled } = sum;
        let amounts = port.cables.iter().map(|cable| cable.amount);
        if !amounts.chain([port.constant, port.octaves]).all(f32::is_finite) {
            let text = format!("'{}' would be infinite", socket.name());
            self.mistakes.push(at.mistake("not_finite", text));
            return Port::default();
        }
        let Socket::Param(param) = socket else { return port };
        // "env * 2oct" bends what the module would play anyway.
        if !linear {
            port.constant = param.default;
        }
        if !cabled {
            port.constant = self.constant(socket, port.constant, at).constant;
        }
        port
    }

    /// A port that is a plain number.
    fn constant(&mut self, socket: Socket, value: f32, at: Span) -> Port {
        let whole_steps = |param: &ParamSpec| param.curve == Curve::Stepped;
        let fits = match socket {
            Socket::Inlet(_) => value.is_finite(),
            Socket::Param(param) => {
                let stepped = !whole_steps(param) || value == segue_dsp::math::round(value);
                value >= param.min && value <= param.max && stepped
            }
        };
        if !fits {
            let text = format!("'{}' cannot be {value}", socket.name());
            let mistake = at.mistake("out_of_range", text);
            self.mistakes.push(Mistake { hint: Some(wanted(socket)), ..mistake });
            return Port::default();
        }
        Port { constant: value, ..Port::default() }
    }
}

/// A port in the making.
#[derive(Default)]
struct Sum {
    port: Port,
    /// Some term adds, rather than bends.
    linear: bool,
    /// Some term is a cable, even one that could not be resolved.
    cabled: bool,
}

pub(super) enum Weight {
    Adds(f32),
    Bends(f32),
}

/// What a quantity means at this port: something that adds, in the port's unit, or an interval.
pub(super) fn weigh(quantity: Quantity, socket: Socket) -> Option<Weight> {
    match (quantity, socket.unit()) {
        (Quantity::Octaves(octaves), Unit::Cents) => Some(Weight::Adds(octaves * 1_200.0)),
        (Quantity::Octaves(octaves), Unit::Hertz) => Some(Weight::Bends(octaves)),
        // The level of a cable is a gain wherever it goes.
        (Quantity::Decibels(level), _) => Some(Weight::Adds(decibels_gain(level))),
        (quantity, unit) => quantity.in_unit(unit).map(Weight::Adds),
    }
}

/// Whether no cable leads to this port.
pub(super) fn takes_no_cable(socket: Socket) -> bool {
    matches!(socket, Socket::Param(param) if param.fixed || param.unit == Unit::Choice)
}

/// What would be right, for the hint.
fn wanted(socket: Socket) -> String {
    let Socket::Param(param) = socket else {
        return "an inlet takes cables: \"saw * 0.5 + noise * -6dB\"".to_string();
    };
    match param.unit {
        Unit::Choice => format!("one of {}", param.choices.join(", ")),
        unit => {
            let symbol = unit.symbol();
            format!("{} to {}{symbol}, as {}", param.min, param.max, unit.examples())
        }
    }
}
