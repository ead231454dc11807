//! A patch that can be edited: its text, changed as a player asks, and all else as it was.
//!
//! *Invariant*: after every edit the text is a patch that can be read: names, types and values
//! are right. What only a whole patch can be (free of cycles, small enough) is found when it is
//! compiled. A refused edit leaves the draft as it was.

mod cables;
mod error;
mod look;
mod sum;
mod table;
mod value;
mod verb;

use toml::de::DeTable;
use toml_edit::{DocumentMut, Item};

pub use self::error::EditError;
use self::look::What;
use self::sum::Sum;
pub use self::verb::{Edit, Value};
use crate::names::{RESERVED, is_id};
use crate::patch::define::{self, Define};
use crate::patch::expression::Reference;
use crate::patch::port::takes_no_cable;
use crate::patch::read::MODULES_MAX;
use crate::patch::source::Source;
use crate::patch::{Mistake, Patch};
use crate::quantity::Unit;

/// The text of a patch that is being edited.
#[derive(Clone, Debug)]
pub struct Draft {
    document: DocumentMut,
    /// Every module and instrument, and what it is.
    modules: Vec<(String, What)>,
    defines: Vec<Define>,
}

impl Draft {
    /// Begins with the text of a patch, which has to be one without mistakes. `[control]`
    pub fn parse(text: &str) -> Result<Draft, Vec<Mistake>> {
        Patch::parse(text)?;
        let source = Source::new(text);
        let syntax = |error: toml_edit::TomlError| {
            let at = source.span(error.span().unwrap_or(0..0));
            vec![at.mistake("syntax", error.message().to_string())]
        };
        let document: DocumentMut = text.parse().map_err(syntax)?;
        let (root, _) = DeTable::parse_recoverable(text);
        let defines = match root.get_ref().get("define") {
            Some(value) => define::read(value, &[], &source, &mut Vec::new())?,
            None => Vec::new(),
        };
        let mut draft = Draft { document, modules: Vec::new(), defines };
        for (id, item) in draft.document.iter() {
            let kind = item.get("type").and_then(Item::as_str);
            let kind = kind.or((id == "out").then_some("out"));
            if let Some(what) = kind.filter(|_| id != "define").and_then(|it| draft.what(it)) {
                draft.modules.push((id.to_string(), what));
            }
        }
        Ok(draft)
    }

    /// The text as it stands. `[control]`
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Whether it has a module or an instrument called `id`. `[any]`
    pub fn has(&self, id: &str) -> bool {
        self.modules.iter().any(|(known, _)| known == id)
    }

    /// Adds a module or an instrument of the patch, in one line above the first table. Older names
    /// of types and parameters become the ones of today.
    ///
    /// Refused: an id that is none (`wrong_type`), is taken or reserved (`forbidden`), a type or
    /// parameter that is not there, a value that does not fit, more than 1,024 modules (`full`).
    /// `[control]`
    pub fn create(
        &mut self,
        id: &str,
        kind: &str,
        params: &[(String, Value)],
    ) -> Result<(), EditError> {
        if !is_id(id) {
            let text = format!(
                "'{id}' cannot be an id; a small letter, then up to 31 small letters, digits or _"
            );
            return Err(EditError::new("wrong_type", text));
        }
        if self.has(id) {
            let text = match id {
                "out" => "there is an 'out' already, in which every patch ends".to_owned(),
                _ => format!("there is a '{id}' already; /patch/delete {id} removes it"),
            };
            return Err(EditError::new("forbidden", text));
        }
        // Under the root a patch has other uses for these.
        if RESERVED.contains(&id) || id == "type" {
            return Err(EditError::new("forbidden", format!("no module can be called '{id}'")));
        }
        // Alone it tells what is wrong with the type.
        self.read(id, &table::one_line(kind, Vec::new()))?;
        let what = self.what(kind).ok_or_else(|| EditError::new("unknown_type", kind))?;
        if self.size() + self.size_of(what) > MODULES_MAX {
            let text = format!("a patch has at most {MODULES_MAX} modules");
            return Err(EditError::new("full", text));
        }
        let mut given: Vec<(String, toml_edit::Value)> = Vec::new();
        for (name, value) in params {
            let (name, _) = self.sockets((id, what), name)?;
            if given.iter().any(|(known, _)| *known == name) {
                let text = format!("'{name}' is given twice");
                return Err(EditError::new("wrong_type", text));
            }
            given.push((name, value::written(value)?));
        }
        let item = table::one_line(self.name(what), given);
        self.read(id, &item)?;
        self.document.insert(id, item);
        self.modules.push((id.to_string(), what));
        Ok(())
    }

    /// Removes a module or instrument, and every cable from it. Where a parameter loses its last
    /// cable, it stands at its constant, moved into its range.
    ///
    /// Refused: `out` and parts of instruments (`forbidden`), what is not there. `[control]`
    pub fn delete(&mut self, id: &str) -> Result<(), EditError> {
        if id == "out" {
            let text = "a patch ends in 'out': without it nothing is heard";
            return Err(EditError::new("forbidden", text));
        }
        let index = self.find(id)?;
        let mut changed = Vec::new();
        for (other, what) in self.modules.iter().filter(|(other, _)| other != id) {
            if let Some(item) = self.without_cables_from(id, (other, *what))? {
                changed.push((other.clone(), item));
            }
        }
        for (other, item) in changed {
            self.document[&other] = item;
        }
        table::remove_module(&mut self.document, id);
        self.modules.remove(index);
        Ok(())
    }

    /// Lays a cable from `src` (`ID`, `ID.OUTLET`, or of an instrument `ID.PART.OUTLET`; within
    /// `delayed(…)` 64 frames late) to `dst` (`ID.PORT`; of `ID` alone the inlet `in`). `amount`
    /// is a number or a quantity, 1 where nothing is said. Where this cable is there already, it
    /// gets the amount. The constant of a parameter stays what it was.
    ///
    /// Refused: what is not there, a port that takes no cable or an amount that does not fit
    /// (`wrong_type`), a port inside an instrument (`forbidden`). `[control]`
    pub fn connect(
        &mut self,
        src: &str,
        dst: &str,
        amount: Option<&Value>,
    ) -> Result<(), EditError> {
        let port = self.port(dst)?;
        let (source, taps) = self.source(src)?;
        let mut sockets = port.targets.iter().map(|target| target.socket);
        if let Some(socket) = sockets.find(|socket| takes_no_cable(*socket)) {
            let text = format!("'{}' takes no cable: it is part of the structure", socket.name());
            return Err(EditError::new("wrong_type", text));
        }
        let amount = amount.map(value::amount).transpose()?;
        let scope = self.scope();
        let same = |from: &Reference| {
            from.delayed == source.delayed && look::taps(&scope, from).as_ref() == Some(&taps)
        };
        let item = self.document[&port.id].clone();
        let item = self.rewired(item, &port, |sum| match sum.cable(same) {
            Some(at) => sum.with_one(same)?.amounting(at, amount.as_deref()),
            None => sum.and(src.trim(), amount.as_deref()),
        })?;
        self.document[&port.id] = item;
        Ok(())
    }

    /// Takes a cable out, a delayed one too unless `src` asks for that alone. The constant of a
    /// parameter stays; without any cable it is moved into its range.
    ///
    /// Refused: what is not there, and a cable that is not there (`unknown_param`). `[control]`
    pub fn disconnect(&mut self, src: &str, dst: &str) -> Result<(), EditError> {
        let port = self.port(dst)?;
        let (source, taps) = self.source(src)?;
        let scope = self.scope();
        let same = |from: &Reference| {
            from.delayed >= source.delayed && look::taps(&scope, from).as_ref() == Some(&taps)
        };
        let item = self.document[&port.id].clone();
        let sum = Sum::read(&self.expression(&item, &port))?;
        if sum.cable(same).is_none() {
            let text = format!("there is no cable from '{src}' to '{}.{}'", port.id, port.key);
            return Err(EditError::new("unknown_param", text));
        }
        let item = self.rewired(item, &port, |sum| sum.without(same))?;
        self.document[&port.id] = item;
        Ok(())
    }

    /// Sets the constant of a parameter; its cables and constant intervals stay.
    ///
    /// Refused: what is not there, an inlet, a value of another kind (`wrong_type`) or outside its
    /// range (`out_of_range`), a parameter inside an instrument (`forbidden`). `[control]`
    pub fn set(&mut self, id: &str, param: &str, value: &Value) -> Result<(), EditError> {
        // An id may have a point, and then is told to be a part.
        self.find(id)?;
        let port = self.port(&format!("{id}.{param}"))?;
        for target in &port.targets {
            value::check(target.socket, value)?;
        }
        let item = self.document[&port.id].clone();
        // By itself, for a range holds whatever cables there are.
        let mut plain = item.clone();
        table::put(&mut plain, &port.key, value::written(value)?);
        self.read(&port.id, &plain)?;
        let unit = port.targets[0].socket.unit();
        self.document[&port.id] = match unit {
            Unit::Choice => plain,
            _ => {
                let constant = value::spelled(value)?;
                let sum = self.fed(&item, &port)?.sum.with_constant(&constant, unit)?;
                self.refed(item, &port, sum.text())?
            }
        };
        Ok(())
    }
}
