//! Instruments: groups of modules that a file defines once and uses by name.
//!
//! *Grammar*: `[define.NAME]` holds `params` (a name for one port of a part, or for several), `out`
//! (a sum of cables from parts) and the parts, each a module of the catalog. Ids in it are its own.
//!
//! *Invariant*: a define is read once, whatever uses it; an instance is a copy whose cables are
//! moved to where its parts stand. So a mistake in a define is told once, at its own line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalog::{self, ModuleSpec};
use crate::names::{RESERVED, is_id};
use crate::patch::expression::{self, TermKind};
use crate::patch::module::{self, Entry, Form, Place, Wired, socket, stray, words};
use crate::patch::port::{PortReader, Socket};
use crate::patch::read::MODULES_MAX;
use crate::patch::scope::{Known, Scope, Tap, meant};
use crate::patch::source::Source;
use crate::patch::{Instrument, Mistake, Module, Span};
use crate::quantity::Unit;

/// One define.
#[derive(Clone, Debug)]
pub(super) struct Define {
    pub(super) name: String,
    parts: Vec<(String, Option<&'static ModuleSpec>)>,
    /// The parts, with cables among themselves; none where there is a mistake.
    wired: Option<Vec<Wired>>,
    params: Vec<Param>,
    /// What it puts out, its parts counted from 0; `None` where it says nothing.
    out: Option<Vec<Tap>>,
}

/// A name for ports of parts.
#[derive(Clone, Debug)]
struct Param {
    name: String,
    /// Part, port, and what the port is.
    targets: Vec<(usize, usize, Socket)>,
}

/// All defines of a file; `Err` only for more parts than any patch may have.
pub(super) fn read(
    value: &Spanned<DeValue<'_>>,
    around: &[&str],
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Result<Vec<Define>, Vec<Mistake>> {
    let Some(table) = value.get_ref().as_table() else {
        let mistake = source.span(value.span()).mistake("wrong_type", "'define' is a table");
        let hint = "write [define.NAME], then [define.NAME.PART]".to_string();
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
        return Ok(Vec::new());
    };
    let found = words(table, source);
    let names: Vec<&str> = found.iter().map(|(name, ..)| *name).collect();
    let mut defines = Vec::new();
    let mut parts = 0;
    for (name, at, value) in found {
        let Some(table) = value.get_ref().as_table() else {
            mistakes.push(at.mistake("wrong_type", format!("'{name}' is no instrument")));
            continue;
        };
        parts += table.len();
        if parts > MODULES_MAX {
            let text = format!("more than {MODULES_MAX} parts in all defines");
            return Err(vec![at.mistake("full", text)]);
        }
        if !is_id(name) || RESERVED.contains(&name) || catalog::spec(name).is_some() {
            let mistake = at.mistake("bad_id", format!("no instrument can be called '{name}'"));
            let hint = "a small letter, then up to 31 small letters, digits or _; not the name of \
                        a module type"
                .to_string();
            mistakes.push(Mistake { hint: Some(hint), ..mistake });
        }
        let before = mistakes.len();
        let mut define = define((name, at), table, (&names, around), source, mistakes);
        if mistakes.len() > before {
            define.wired = None;
        }
        defines.push(define);
    }
    Ok(defines)
}

/// One define, all of it read.
fn define(
    (name, at): (&str, Span),
    table: &DeTable<'_>,
    (names, around): (&[&str], &[&str]),
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Define {
    let mut entries = Vec::new();
    for (id, at, value) in words(table, source) {
        let said = id == "params" || (id == "out" && value.get_ref().as_table().is_none());
        if said {
            continue;
        }
        if RESERVED.contains(&id) {
            let mistake = at.mistake("reserved", format!("no part can be called '{id}'"));
            let hint = (id == "out").then(|| "write out = \"PART\"".to_string());
            mistakes.push(Mistake { hint, ..mistake });
            continue;
        }
        let place = Place::Define(name, names);
        entries.extend(module::entry((id, at), value.get_ref(), place, source, mistakes));
    }
    if entries.is_empty() {
        let mistake = at.mistake("empty", format!("'{name}' has no parts"));
        let hint = format!("write [define.{name}.PART] with a type");
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
    }
    let spec = |entry: &Entry<'_, '_>| match entry.form {
        Form::Module(spec) => Some(spec),
        _ => None,
    };
    let parts: Vec<_> = entries.iter().map(|entry| (entry.id, spec(entry))).collect();
    let known =
        |index, spec: Option<_>| spec.map_or(Known::Unknown, |spec| Known::Module(index, spec));
    let names = parts.iter().enumerate();
    let names = names.map(|(index, (id, spec))| (*id, known(index, *spec))).collect();
    let scope = Scope { names, around: around.to_vec() };
    let wired = entries
        .iter()
        .filter_map(|entry| Some(module::wired(entry, spec(entry)?, &scope, source, mistakes)));
    let wired = Some(wired.collect());
    let out = table.get("out").filter(|value| value.get_ref().as_table().is_none());
    let out = out.map(|value| put_out(value, &scope, source, mistakes));
    let params = match table.get("params") {
        Some(value) => params((name, &parts), value, source, mistakes),
        None => Vec::new(),
    };
    let parts = parts.into_iter().map(|(id, spec)| (id.to_string(), spec)).collect();
    Define { name: name.to_string(), parts, wired, params, out }
}

/// What an instrument puts out: a sum of cables.
fn put_out(
    value: &Spanned<DeValue<'_>>,
    scope: &Scope<'_>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Tap> {
    let whole = source.span(value.span());
    let wanted = || Some("as out = \"amp\" or out = \"low * 0.5 + high\"".to_string());
    let Some(text) = value.get_ref().as_str() else {
        let mistake = whole.mistake("wrong_type", "'out' is a sum of cables");
        mistakes.push(Mistake { hint: wanted(), ..mistake });
        return Vec::new();
    };
    let terms = match expression::parse(text) {
        Ok(terms) => terms,
        Err(fault) => {
            let at = source.within(value.span(), text, fault.at);
            mistakes.push(Mistake { hint: fault.hint, ..at.mistake(fault.code, fault.text) });
            return Vec::new();
        }
    };
    let mut taps = Vec::new();
    for term in terms {
        let at = source.within(value.span(), text, term.at);
        let sign = if term.negative { -1.0 } else { 1.0 };
        let TermKind::Cable(reference, amount) = term.kind else {
            let mistake = at.mistake("wrong_type", "'out' is a sum of cables");
            mistakes.push(Mistake { hint: wanted(), ..mistake });
            continue;
        };
        let gain = amount.in_unit(Unit::Gain).filter(|gain| gain.is_finite());
        let (Some(gain), false) = (gain, reference.delayed) else {
            let mistake = at.mistake("bad_quantity", "that does not fit 'out'");
            mistakes.push(Mistake { hint: wanted(), ..mistake });
            continue;
        };
        let named = source.within(value.span(), text, reference.at.clone());
        match scope.resolve(&reference, named) {
            Ok(found) => taps.extend(
                found.into_iter().map(|tap| Tap { amount: sign * gain * tap.amount, ..tap }),
            ),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    taps
}

/// The names an instrument gives to ports of its parts.
fn params(
    (define, parts): (&str, &[(&str, Option<&'static ModuleSpec>)]),
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Param> {
    let wanted = || Some("as params = { cutoff = \"filter.cutoff\" }".to_string());
    let Some(table) = value.get_ref().as_table() else {
        let mistake = source.span(value.span()).mistake("wrong_type", "'params' is a table");
        mistakes.push(Mistake { hint: wanted(), ..mistake });
        return Vec::new();
    };
    let mut params = Vec::new();
    if let Some((key, _)) = table.get_key_value("type") {
        let text = format!("no param of '{define}' can be called 'type'");
        mistakes.push(source.span(key.span()).mistake("bad_id", text));
    }
    for (name, at, value) in words(table, source) {
        if !is_id(name) {
            mistakes.push(at.mistake("bad_id", format!("'{name}' cannot be a param's name")));
        }
        let texts: Vec<_> = match value.get_ref() {
            DeValue::Array(several) => several.iter().collect(),
            _ => vec![value],
        };
        let mut targets = Vec::new();
        for value in texts {
            match target(parts, value, source) {
                Ok(found) => targets.extend(found),
                Err(mistake) => {
                    let hint = mistake.hint.clone().or_else(wanted);
                    mistakes.push(Mistake { hint, ..mistake });
                }
            }
        }
        params.push(Param { name: name.to_string(), targets });
    }
    params
}

/// The port that `PART.PORT` names; nothing where the part's type is unknown.
fn target(
    parts: &[(&str, Option<&'static ModuleSpec>)],
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
) -> Result<Option<(usize, usize, Socket)>, Mistake> {
    let whole = source.span(value.span());
    let text = value.get_ref().as_str().unwrap_or_default();
    let Some((part, port)) = text.split_once('.') else {
        return Err(whole.mistake("wrong_type", "a param names a port of a part"));
    };
    let within =
        |from: usize, length: usize| source.within(value.span(), text, from..from + length);
    let Some(index) = parts.iter().position(|(id, _)| *id == part) else {
        let mistake = within(0, part.len()).mistake("unknown_module", format!("no part '{part}'"));
        let hint = meant(part, parts.iter().map(|(id, _)| *id));
        return Err(Mistake { hint: Some(hint), ..mistake });
    };
    let Some(spec) = parts[index].1 else { return Ok(None) };
    let Some((at, socket)) = socket(spec, port) else {
        let text = format!("'{part}' ({}) has no '{port}'", spec.name);
        let mistake = within(part.len() + 1, port.len()).mistake("unknown_param", text);
        let names = spec.inlets.iter().map(|inlet| inlet.name);
        let hint = meant(port, names.chain(spec.params.iter().map(|param| param.name)));
        return Err(Mistake { hint: Some(hint), ..mistake });
    };
    Ok(Some((index, at, socket)))
}

impl Define {
    /// The ids of its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> + Clone {
        self.parts.iter().map(|(id, _)| id.as_str())
    }

    /// The names of its params.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> + Clone {
        self.params.iter().map(|param| param.name.as_str())
    }

    /// What the param `name` stands for: parts, their ports, and what those are.
    pub(super) fn targets(&self, name: &str) -> Option<&[(usize, usize, Socket)]> {
        let param = self.params.iter().find(|param| param.name == name)?;
        Some(&param.targets)
    }

    /// The index of a part.
    pub(super) fn part(&self, id: &str) -> Option<usize> {
        self.parts().position(|part| part == id)
    }

    /// The type of a part, if it is known.
    pub(super) fn spec(&self, part: usize) -> Option<&'static ModuleSpec> {
        self.parts[part].1
    }

    /// What the instance called `id` puts out, where its parts begin at `base`.
    pub(super) fn out(&self, base: usize, id: &str, at: Span) -> Result<Vec<Tap>, Mistake> {
        let Some(taps) = &self.out else {
            let mistake =
                at.mistake("unknown_outlet", format!("'{id}' ({}) has no out", self.name));
            let hint = format!("write out = \"PART\" in [define.{}]", self.name);
            return Err(Mistake { hint: Some(hint), ..mistake });
        };
        Ok(taps.iter().map(|tap| Tap { module: base + tap.module, ..*tap }).collect())
    }

    /// An instance: its parts as modules, and what it is called from outside.
    pub(super) fn instance(
        &self,
        entry: &Entry<'_, '_>,
        base: usize,
        scope: &Scope<'_>,
        source: &Source<'_>,
        mistakes: &mut Vec<Mistake>,
    ) -> (Vec<Module>, Instrument) {
        let mut parts = self.wired.clone().unwrap_or_default();
        for part in &mut parts {
            part.module.id = format!("{}.{}", entry.id, part.module.id);
            for cable in part.module.ports.iter_mut().flat_map(|port| &mut port.cables) {
                cable.module += base;
            }
        }
        for (name, at, value) in words(entry.table, source) {
            let Some(param) = self.params.iter().find(|param| param.name == name) else {
                let kind = (entry.id, self.name.as_str());
                mistakes.push(stray(kind, name, self.params(), value.get_ref(), at));
                continue;
            };
            for (part, port, socket) in &param.targets {
                let read = PortReader { source, scope, mistakes }.read(*socket, value);
                if let Some(part) = parts.get_mut(*part) {
                    part.module.ports[*port] = read;
                    part.given[*port] = Some(source.span(value.span()));
                }
            }
        }
        let of_param = |param: &Param| {
            let knob = |(part, port, socket): &(usize, usize, Socket)| {
                let inlets = self.spec(*part)?.inlets.len();
                matches!(socket, Socket::Param(_)).then(|| (base + part, (port - inlets) as u16))
            };
            (param.name.clone(), param.targets.iter().filter_map(knob).collect())
        };
        let params = self.params.iter().map(of_param).collect();
        let parts = parts.into_iter().map(|part| part.finish(mistakes)).collect();
        (parts, Instrument { id: entry.id.to_string(), params })
    }
}
