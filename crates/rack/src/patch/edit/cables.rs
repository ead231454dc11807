//! What feeds a port, changed within one module.

use toml_edit::Item;

use crate::patch::edit::look::{Port, What};
use crate::patch::edit::sum::Sum;
use crate::patch::edit::{Draft, EditError, table};
use crate::patch::expression::{Fault, Reference};
use crate::patch::port::Socket;

/// What a port is fed.
pub(super) struct Fed {
    pub(super) sum: Sum,
    /// What it stands at without its cables.
    constant: f32,
    /// The highest it may stand at.
    most: f32,
}

impl Draft {
    /// What a port of `item` is fed. Of an instrument that says nothing about it, this is what
    /// its define says; cables there can only be changed there.
    pub(super) fn fed(&self, item: &Item, port: &Port) -> Result<Fed, EditError> {
        let parts = self.read(&port.id, item)?;
        let sum = Sum::read(&self.expression(item, port))?;
        let fed: Vec<_> = port.targets.iter().filter_map(|target| target.of(&parts)).collect();
        let within = sum.text().is_empty() && fed.iter().any(|it| !it.cables.is_empty());
        if let What::Instrument(_) = port.what
            && within
        {
            let text = format!(
                "'{}' of '{}' is fed by cables in its define ({}); that is edited as a whole text",
                port.key,
                port.id,
                self.name(port.what)
            );
            return Err(EditError::new("forbidden", text));
        }
        let constant = fed.first().map_or(0.0, |it| it.constant);
        Ok(Fed { sum, constant, most: port.targets[0].most(&parts) })
    }

    /// `item` with other cables into a port; its constant stays. Where the last cable goes, the
    /// constant is moved into its range, and a port that says nothing any more is not written.
    pub(super) fn rewired(
        &self,
        item: Item,
        port: &Port,
        change: impl FnOnce(Sum) -> Result<Sum, Fault>,
    ) -> Result<Item, EditError> {
        let Fed { sum, mut constant, most } = self.fed(&item, port)?;
        let mut sum = change(sum)?;
        let socket = port.targets[0].socket;
        let mut default = 0.0;
        if let Socket::Param(param) = socket {
            default = param.default;
            if !sum.has_cables() {
                constant = segue_dsp::math::min(param.clamp(constant), most);
            }
        }
        let says_nothing = sum.text().is_empty() && constant == default;
        if says_nothing && matches!(port.what, What::Module(_)) {
            return self.refed(item, port, "");
        }
        if sum.text().is_empty() || sum.constant(socket) != constant {
            sum = sum.with_constant(&constant.to_string(), socket.unit())?;
        }
        self.refed(item, port, sum.text())
    }

    /// `item` with another expression at a port, read again as a whole.
    pub(super) fn refed(
        &self,
        mut item: Item,
        port: &Port,
        expression: &str,
    ) -> Result<Item, EditError> {
        match expression {
            "" => table::take_out(&mut item, &port.key),
            _ => table::put(&mut item, &port.key, table::value(expression)),
        }
        self.read(&port.id, &item)?;
        Ok(item)
    }

    /// The module `other` without cables from `id`; none where it has no such.
    pub(super) fn without_cables_from(
        &self,
        id: &str,
        (other, what): (&str, What),
    ) -> Result<Option<Item>, EditError> {
        let from_it = |from: &Reference| from.module == id;
        let whole = &self.document[other];
        let table = whole.as_table_like();
        let keys = table.into_iter().flat_map(|table| table.iter().map(|(key, _)| key));
        let mut item = None;
        for key in keys.filter(|key| *key != "type") {
            let text = table.map(|table| table::expression(table, key)).unwrap_or_default();
            let mentioned = text.contains(id);
            if !mentioned || !Sum::read(&text).is_ok_and(|sum| sum.cable(from_it).is_some()) {
                continue;
            }
            let (_, targets) = self.sockets((other, what), key)?;
            let port = Port { id: other.to_string(), what, key: key.to_string(), targets };
            let before = item.take().unwrap_or_else(|| whole.clone());
            item = Some(self.rewired(before, &port, |sum| sum.without(from_it))?);
        }
        Ok(item)
    }
}
