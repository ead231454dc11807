//! What can be done to a draft, as values that can be kept and done again.

use crate::patch::edit::{Draft, EditError};

/// A value as a player sends it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number in the unit of the port.
    Number(f32),
    /// A quantity (`1.2kHz`), the word of a choice, or where a module is created what a patch
    /// file takes (`env * 2oct`).
    Text(String),
}

/// One edit of a patch.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds a module.
    Create {
        /// Its id.
        id: String,
        /// Its type.
        kind: String,
        /// What its inlets and parameters are fed.
        params: Vec<(String, Value)>,
    },
    /// Removes a module and every cable from it.
    Delete {
        /// Its id.
        id: String,
    },
    /// Lays a cable, or changes its amount.
    Connect {
        /// `ID` or `ID.OUTLET`.
        src: String,
        /// `ID` or `ID.PORT`.
        dst: String,
        /// How much of it; all of it where nothing is said.
        amount: Option<Value>,
    },
    /// Takes a cable out.
    Disconnect {
        /// `ID` or `ID.OUTLET`.
        src: String,
        /// `ID` or `ID.PORT`.
        dst: String,
    },
    /// Sets the constant of a parameter.
    Set {
        /// The module.
        id: String,
        /// The parameter.
        param: String,
        /// Its new constant.
        value: Value,
    },
}

impl Edit {
    /// The bytes it takes to keep it, and no less than what it adds to a text. `[any]`
    pub fn bytes(&self) -> usize {
        // Names, punctuation, and the digits of a constant that has to be written out.
        let fixed = 64;
        fixed
            + match self {
                Edit::Create { id, kind, params } => {
                    let param = |(name, value): &(String, Value)| name.len() + value.bytes() + 8;
                    id.len() + kind.len() + params.iter().map(param).sum::<usize>()
                }
                Edit::Delete { id } => id.len(),
                Edit::Connect { src, dst, amount } => {
                    src.len() + dst.len() + amount.as_ref().map_or(0, Value::bytes)
                }
                Edit::Disconnect { src, dst } => src.len() + dst.len(),
                Edit::Set { id, param, value } => id.len() + param.len() + value.bytes(),
            }
    }
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            // The longest an f32 is ever written, without an exponent.
            Value::Number(_) => 64,
            // Quotes and backslashes are written with one more.
            Value::Text(text) => 2 * text.len(),
        }
    }
}

impl Draft {
    /// Does one edit, or refuses it whole. Errors as those of the verb it is. `[control]`
    pub fn apply(&mut self, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::Create { id, kind, params } => self.create(id, kind, params),
            Edit::Delete { id } => self.delete(id),
            Edit::Connect { src, dst, amount } => self.connect(src, dst, amount.as_ref()),
            Edit::Disconnect { src, dst } => self.disconnect(src, dst),
            Edit::Set { id, param, value } => self.set(id, param, value),
        }
    }
}
