//! What the names in a draft mean: modules, ports, sources.

use std::borrow::Cow;

use toml::de::DeTable;
use toml_edit::{DocumentMut, Item};

use crate::catalog::{self, ModuleSpec};
use crate::names::nearest;
use crate::patch::edit::{Draft, EditError, table};
use crate::patch::expression::{self, Fault, Reference, TermKind};
use crate::patch::module::{self, Form, Place, socket};
use crate::patch::port::Socket;
use crate::patch::scope::{Known, Scope, Tap, meant};
use crate::patch::source::Source;
use crate::patch::{self, Mistake, Module, Span};

/// What an id stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A module of this type.
    Module(&'static ModuleSpec),
    /// An instrument, by its index among the defines.
    Instrument(usize),
}

/// A port in the file: of a module, or what an instrument's param names.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) id: String,
    pub(super) what: What,
    /// As it stands in the file, or would.
    pub(super) key: String,
    /// One, or of an instrument as many as its param names.
    pub(super) targets: Vec<Target>,
}

/// A port of a module, or of a part of an instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    part: usize,
    port: usize,
    pub(super) socket: Socket,
}

impl Target {
    /// What it is fed, given all parts.
    pub(super) fn of<'m>(&self, parts: &'m [Module]) -> Option<&'m patch::Port> {
        parts.get(self.part)?.ports.get(self.port)
    }

    /// The highest value it may stand at without a cable, given all parts.
    pub(super) fn most(&self, parts: &[Module]) -> f32 {
        let Socket::Param(param) = self.socket else { return f32::INFINITY };
        let bound = param.up_to.and_then(|name| {
            let part = parts.get(self.part)?;
            let at = part.spec.inlets.len() + usize::from(part.spec.param(name)?);
            Some(part.ports.get(at)?.constant)
        });
        bound.map_or(param.max, |bound| segue_dsp::math::min(param.max, bound))
    }
}

impl From<Fault> for EditError {
    fn from(fault: Fault) -> EditError {
        let mistake = Span::default().mistake(fault.code, fault.text);
        EditError::from(&Mistake { hint: fault.hint, ..mistake })
    }
}

impl Draft {
    /// What the type `kind` makes of an id.
    pub(super) fn what(&self, kind: &str) -> Option<What> {
        let instrument = || self.defines.iter().position(|define| define.name == kind);
        catalog::spec(kind).map(What::Module).or_else(|| instrument().map(What::Instrument))
    }

    /// The name of a type.
    pub(super) fn name(&self, what: What) -> &str {
        match what {
            What::Module(spec) => spec.name,
            What::Instrument(index) => &self.defines[index].name,
        }
    }

    /// How many modules an id stands for.
    pub(super) fn size_of(&self, what: What) -> usize {
        match what {
            What::Module(_) => 1,
            What::Instrument(index) => self.defines[index].parts().count(),
        }
    }

    /// How many modules there are.
    pub(super) fn size(&self) -> usize {
        self.modules.iter().map(|(_, what)| self.size_of(*what)).sum()
    }

    /// All names, as cables call them.
    pub(super) fn scope(&self) -> Scope<'_> {
        let mut base = 0;
        let mut names = Vec::with_capacity(self.modules.len());
        for (id, what) in &self.modules {
            let known = match what {
                What::Module(spec) => Known::Module(base, spec),
                What::Instrument(index) => Known::Instrument(base, &self.defines[*index]),
            };
            names.push((id.as_str(), known));
            base += self.size_of(*what);
        }
        Scope { names, around: Vec::new() }
    }

    /// Reads one module or instrument of the file, with all that stands in it.
    pub(super) fn read(&self, id: &str, item: &Item) -> Result<Vec<Module>, EditError> {
        let mut alone = DocumentMut::new();
        alone.insert(id, item.clone());
        let text = alone.to_string();
        let source = Source::new(&text);
        let (root, errors) = DeTable::parse_recoverable(&text);
        if let Some(error) = errors.first() {
            return Err(EditError::new("wrong_type", error.message()));
        }
        let defines: Vec<&str> = self.defines.iter().map(|define| define.name.as_str()).collect();
        let (scope, mut mistakes, mut parts) = (self.scope(), Vec::new(), Vec::new());
        for (name, at, value) in module::words(root.get_ref(), &source) {
            let place = Place::File(&defines);
            let value = value.get_ref();
            let entry = module::entry((name, at), value, place, &source, &mut mistakes);
            let Some(entry) = entry else { continue };
            match entry.form {
                Form::Module(spec) => {
                    let wired = module::wired(&entry, spec, &scope, &source, &mut mistakes);
                    parts.push(wired.finish(&mut mistakes));
                }
                Form::Instrument(index) => {
                    let define = &self.defines[index];
                    parts = define.instance(&entry, 0, &scope, &source, &mut mistakes).0;
                }
                Form::Unknown => {}
            }
        }
        match mistakes.first() {
            Some(mistake) => Err(EditError::from(mistake)),
            None => Ok(parts),
        }
    }

    /// The index of the module or instrument `id`.
    pub(super) fn find(&self, id: &str) -> Result<usize, EditError> {
        if let Some(index) = self.modules.iter().position(|(known, _)| known == id) {
            return Ok(index);
        }
        let instrument = id.split_once('.').and_then(|(instrument, part)| {
            let (_, what) = self.modules.iter().find(|(known, _)| known == instrument)?;
            let What::Instrument(index) = what else { return None };
            self.defines[*index].part(part).map(|_| (instrument, &self.defines[*index]))
        });
        if let Some((instrument, define)) = instrument {
            let params = define.params().collect::<Vec<_>>().join(", ");
            let text = format!(
                "'{id}' is a part of the instrument '{instrument}' ({}), which is edited as a \
                 whole; its params are: {params}",
                define.name
            );
            return Err(EditError::new("forbidden", text));
        }
        let hint = nearest(id, self.modules.iter().map(|(known, _)| known.as_str()));
        let hint = hint.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        Err(EditError::new("unknown_module", format!("no module '{id}'{hint}")))
    }

    /// The name of a port in the file, and what is behind it.
    pub(super) fn sockets(
        &self,
        (id, what): (&str, What),
        name: &str,
    ) -> Result<(String, Vec<Target>), EditError> {
        let unknown = |hint: String| {
            let text = format!("'{id}' ({}) has no '{name}'; {hint}", self.name(what));
            EditError::new("unknown_param", text)
        };
        match what {
            What::Module(spec) => {
                let names = spec.inlets.iter().map(|inlet| inlet.name);
                let names = names.chain(spec.params.iter().map(|param| param.name));
                let (port, found) =
                    socket(spec, name).ok_or_else(|| unknown(meant(name, names)))?;
                Ok((found.name().to_string(), vec![Target { part: 0, port, socket: found }]))
            }
            What::Instrument(index) => {
                let define = &self.defines[index];
                let targets = define.targets(name).filter(|targets| !targets.is_empty());
                let targets = targets.ok_or_else(|| unknown(meant(name, define.params())))?;
                let target =
                    |(part, port, socket): &_| Target { part: *part, port: *port, socket: *socket };
                Ok((name.to_string(), targets.iter().map(target).collect()))
            }
        }
    }

    /// The port that `ID.PORT` names; of `ID` alone the inlet `in`.
    pub(super) fn port(&self, name: &str) -> Result<Port, EditError> {
        let name = name.trim();
        let (id, port) = match name.rsplit_once('.') {
            Some(both) => both,
            None => (name, "in"),
        };
        let (id, what) = &self.modules[self.find(id)?];
        let (canonical, targets) = self.sockets((id, *what), port)?;
        let stands = |key: &&str| match what {
            What::Module(spec) => socket(spec, key).is_some_and(|it| it.1.name() == canonical),
            What::Instrument(_) => *key == canonical,
        };
        let table = self.document[id].as_table_like();
        let keys = table.into_iter().flat_map(|table| table.iter().map(|(key, _)| key));
        let key = keys.into_iter().find(stands).map(str::to_string).unwrap_or(canonical);
        Ok(Port { id: id.clone(), what: *what, key, targets })
    }

    /// The source that a text names, and where its cable comes from.
    pub(super) fn source(&self, name: &str) -> Result<(Reference, Vec<Tap>), EditError> {
        let name = name.trim();
        let wrong = || {
            let text = format!("'{name}' is no source; write ID, ID.OUTLET or delayed(ID)");
            EditError::new("wrong_type", text)
        };
        let terms = expression::parse(name).map_err(|_| wrong())?;
        let [expression::Term { negative: false, kind: TermKind::Cable(reference, _), .. }] =
            terms.as_slice()
        else {
            return Err(wrong());
        };
        if reference.at != (0..name.len()) {
            return Err(wrong());
        }
        let taps = self.scope().resolve(reference, Span::default());
        Ok((reference.clone(), taps.map_err(|mistake| EditError::from(&mistake))?))
    }

    /// The expression that stands at a port.
    pub(super) fn expression<'a>(&self, item: &'a Item, port: &Port) -> Cow<'a, str> {
        item.as_table_like().map(|it| table::expression(it, &port.key)).unwrap_or_default()
    }
}

/// Where the cable of a reference comes from; none where it cannot be known.
pub(super) fn taps(scope: &Scope<'_>, reference: &Reference) -> Option<Vec<Tap>> {
    scope.resolve(reference, Span::default()).ok()
}
