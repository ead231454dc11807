//! Values of edits: what they may be, and how they are written.

use crate::patch::edit::{EditError, Value, table};
use crate::patch::port::Socket;
use crate::quantity::{self, QuantityError, Unit};

/// A value as the file has it.
pub(super) fn written(value: &Value) -> Result<toml_edit::Value, EditError> {
    match value {
        Value::Number(number) => Ok(table::number(finite(*number)?)),
        Value::Text(text) if quantity::read(text).is_ok() => Ok(table::value(&tight(text))),
        Value::Text(text) => Ok(toml_edit::Value::from(text.as_str())),
    }
}

/// A value as it stands in an expression.
pub(super) fn spelled(value: &Value) -> Result<String, EditError> {
    match value {
        Value::Number(number) => Ok(finite(*number)?.to_string()),
        Value::Text(text) => Ok(tight(text)),
    }
}

/// The amount of a cable as it stands in an expression.
pub(super) fn amount(value: &Value) -> Result<String, EditError> {
    if let Value::Text(text) = value {
        quantity::read(text).map_err(|error| refused("an amount", "0.5, -6dB or 2oct", &error))?;
    }
    spelled(value)
}

/// Whether a value may be the constant of a port; its range is looked at elsewhere.
pub(super) fn check(socket: Socket, value: &Value) -> Result<(), EditError> {
    let Socket::Param(param) = socket else {
        let text = format!("'{}' is an inlet: it takes cables, no value", socket.name());
        return Err(EditError::new("wrong_type", text));
    };
    match value {
        Value::Number(number) => finite(*number).map(|_| ()),
        Value::Text(word) if param.unit == Unit::Choice => {
            // What it cannot be is told with all it can be, where the module is read.
            let no_number = word.parse::<f32>().is_err();
            let text = format!("{} takes one of {}", param.name, param.choices.join(", "));
            no_number.then_some(()).ok_or_else(|| EditError::new("wrong_type", text))
        }
        Value::Text(text) => quantity::parse(text, param.unit)
            .map(|_| ())
            .map_err(|error| refused(param.name, param.unit.examples(), &error)),
    }
}

/// A quantity without spaces: in an expression they would end it.
fn tight(text: &str) -> String {
    text.split_whitespace().collect()
}

fn finite(number: f32) -> Result<f32, EditError> {
    let refused = || EditError::new("not_finite", "a value is a finite number");
    number.is_finite().then_some(number).ok_or_else(refused)
}

fn refused(what: &str, examples: &str, error: &QuantityError) -> EditError {
    let code = match error {
        QuantityError::NotFinite { .. } => "not_finite",
        _ => "wrong_type",
    };
    EditError::new(code, format!("{error}; {what} takes {examples}"))
}
