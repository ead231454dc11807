//! From the text of a file to a patch, or to all its mistakes.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalog::{self, ModuleSpec, ParamSpec};
use crate::names::{RESERVED, is_id, nearest};
use crate::patch::port::{Known, PortReader, Socket};
use crate::patch::source::Source;
use crate::patch::{Mistake, Module, Patch, Port, Span};

/// Most modules a patch may have.
pub(crate) const MODULES_MAX: usize = 1_024;

/// The version of the format this build reads.
const FORMAT: &str = "1";

/// A module's table, before its ports are read.
struct Entry<'a, 'i> {
    id: &'a str,
    at: Span,
    table: &'a DeTable<'i>,
    spec: Option<&'static ModuleSpec>,
}

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Patch, Vec<Mistake>> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let tell = |error: &toml::de::Error| {
            let at = source.span(error.span().unwrap_or(0..0));
            at.mistake("syntax", error.message().trim_end_matches('.').to_string())
        };
        return Err(errors.iter().map(tell).collect());
    }
    let mut mistakes = Vec::new();
    let mut keys: Vec<_> = root.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let mut title = String::new();
    let mut entries = Vec::new();
    if !keys.iter().any(|(key, _)| key.get_ref() == "segue") {
        let mistake = Span { line: 1, column: 1, length: 1 }
            .mistake("bad_version", "the version of the format is missing");
        mistakes.push(Mistake { hint: Some("begin with: segue = 1".to_string()), ..mistake });
    }
    for (key, value) in keys {
        let (name, at) = (key.get_ref().as_ref(), source.span(key.span()));
        match (name, value.get_ref()) {
            ("segue", value) => check_version(value, at, &mut mistakes),
            ("title", DeValue::String(words)) => title = words.to_string(),
            ("title", _) => mistakes.push(at.mistake("wrong_type", "the title is a text")),
            (id, value) => entries.extend(entry(id, at, value, &source, &mut mistakes)),
        }
    }
    if let Some(first) = entries.get(MODULES_MAX) {
        // No further: finding nearest names in a monster would take a monster's time.
        return Err(vec![first.at.mistake("full", format!("more than {MODULES_MAX} modules"))]);
    }
    check_whole(&entries, &source, text, &mut mistakes);
    let known: Vec<_> = entries.iter().map(|entry| (entry.id, entry.spec)).collect();
    let mut modules = Vec::new();
    for entry in &entries {
        modules.extend(module(entry, &known, &source, &mut mistakes));
    }
    if mistakes.is_empty() {
        return Ok(Patch { title, modules });
    }
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    Err(mistakes)
}

fn check_version(value: &DeValue<'_>, at: Span, mistakes: &mut Vec<Mistake>) {
    if value.as_integer().is_none_or(|version| version.as_str() != FORMAT) {
        let mistake = at.mistake("bad_version", "this build reads format 1 only");
        mistakes.push(Mistake { hint: Some("write segue = 1".to_string()), ..mistake });
    }
}

/// The table of one module; `None` (and a mistake) where there is none.
fn entry<'a, 'i>(
    id: &'a str,
    at: Span,
    value: &'a DeValue<'i>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Entry<'a, 'i>> {
    if id != "out" && RESERVED.contains(&id) {
        let text = format!("'{id}' is not built yet in this version");
        mistakes.push(at.mistake("not_built", text));
        return None;
    }
    let Some(table) = value.as_table() else {
        let mistake = at.mistake("wrong_type", format!("'{id}' is no module"));
        let hint = match nearest(id, ["segue", "title"]) {
            Some(word) => format!("did you mean '{word}'?"),
            None => format!("a module is written {id} = {{ type = \"osc\" }}"),
        };
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
        return None;
    };
    if !is_id(id) {
        let mistake = at.mistake("bad_id", format!("'{id}' cannot be an id"));
        let rule = "a small letter, then up to 31 small letters, digits or _".to_string();
        mistakes.push(Mistake { hint: Some(rule), ..mistake });
    }
    let spec = match table.get("type") {
        Some(value) => module_type(id, value, source, mistakes),
        None if id == "out" => catalog::spec("out"),
        None => {
            let mistake = at.mistake("missing_type", format!("'{id}' has no type"));
            let hint = "give it one, as type = \"osc\"; segue modules lists them".to_string();
            mistakes.push(Mistake { hint: Some(hint), ..mistake });
            None
        }
    };
    Some(Entry { id, at, table, spec })
}

/// The type a module asks for.
fn module_type(
    id: &str,
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<&'static ModuleSpec> {
    let at = source.span(value.span());
    let Some(name) = value.get_ref().as_str() else {
        mistakes.push(at.mistake("wrong_type", "a type is a text"));
        return None;
    };
    let Some(spec) = catalog::spec(name) else {
        let mistake = at.mistake("unknown_type", format!("no module type '{name}'"));
        let names = catalog::catalog().iter().map(|spec| spec.name);
        let hint = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
        return None;
    };
    if (spec.name == "out") != (id == "out") {
        let mistake = at.mistake("reserved", "the module 'out' and the type 'out' are one");
        let hint = "a patch ends in one [out]".to_string();
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
        return None;
    }
    Some(spec)
}

/// S36: what is heard is what leads to the one explicit `out`.
fn check_whole(
    entries: &[Entry<'_, '_>],
    source: &Source<'_>,
    text: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let end = source.span(text.trim_end().len()..text.trim_end().len());
    if !entries.iter().any(|entry| entry.id == "out") {
        let mistake = end.mistake("no_out", "the patch has no 'out': nothing of it is heard");
        let hint = "end it with [out] and in = \"ID\"".to_string();
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
    }
}

/// The module of an entry, all ports read; `None` where its type is unknown.
fn module(
    entry: &Entry<'_, '_>,
    known: &Known<'_>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Module> {
    let spec = entry.spec?;
    let inlets = spec.inlets.iter().map(|_| Port::default());
    let params = spec.params.iter();
    let params = params.map(|param| Port { constant: param.default, ..Port::default() });
    let mut ports: Vec<Port> = inlets.chain(params).collect();
    let mut keys: Vec<_> = entry.table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let mut taken: Vec<Option<Span>> = vec![None; ports.len()];
    for (key, value) in keys {
        let (name, at) = (key.get_ref().as_ref(), source.span(key.span()));
        if name == "type" {
            continue;
        }
        let Some((port, socket)) = socket(spec, name) else {
            mistakes.push(stray(entry.id, spec, name, value.get_ref(), at));
            continue;
        };
        if taken[port].replace(source.span(value.span())).is_some() {
            let text = format!("'{name}' is another name of a parameter given already");
            mistakes.push(at.mistake("duplicate", text));
        }
        ports[port] = PortReader { source, known, mistakes }.read(socket, value);
    }
    for param in spec.params {
        bound(spec, param, &mut ports, &taken, mistakes);
    }
    Some(Module { id: entry.id.to_string(), spec, at: entry.at, ports })
}

/// Holds a parameter that has another one of its module as its highest value to it.
fn bound(
    spec: &ModuleSpec,
    param: &ParamSpec,
    ports: &mut [Port],
    given: &[Option<Span>],
    mistakes: &mut Vec<Mistake>,
) {
    let port = |name: &str| Some(spec.inlets.len() + usize::from(spec.param(name)?));
    let Some((own, most)) = port(param.name).zip(param.up_to.and_then(port)) else { return };
    let most = ports[most].constant;
    match given[own] {
        Some(at) if ports[own].cables.is_empty() && ports[own].constant > most => {
            let (name, value) = (param.name, ports[own].constant);
            let limit = param.up_to.unwrap_or(name);
            let text = format!("'{name}' cannot be {value}: '{limit}' is {most}");
            let hint = Some(format!("write {limit} = {value}, or a smaller {name}"));
            mistakes.push(Mistake { hint, ..at.mistake("out_of_range", text) });
        }
        Some(_) => {}
        None => ports[own].constant = segue_dsp::math::min(ports[own].constant, most),
    }
}

/// The port called `name`: its index and what it is.
fn socket(spec: &'static ModuleSpec, name: &str) -> Option<(usize, Socket)> {
    if let Some(inlet) = spec.inlets.iter().position(|inlet| inlet.name == name) {
        return Some((inlet, Socket::Inlet(spec.inlets[inlet].name)));
    }
    let param = usize::from(spec.param(name)?);
    Some((spec.inlets.len() + param, Socket::Param(&spec.params[param])))
}

/// A word in a module's table that is none of its ports.
fn stray(id: &str, spec: &ModuleSpec, name: &str, value: &DeValue<'_>, at: Span) -> Mistake {
    let is_module = value.as_table().is_some_and(|table| table.contains_key("type"));
    let above = is_module || (name != "out" && RESERVED.contains(&name));
    let text = format!("'{id}' ({}) has no '{name}'", spec.name);
    let names = spec.inlets.iter().map(|inlet| inlet.name);
    let names = names.chain(spec.params.iter().map(|param| param.name));
    let hint = if above {
        format!("'{name}' belongs above the first [table]")
    } else if let Some(near) = nearest(name, names.clone()) {
        format!("did you mean '{near}'?")
    } else {
        format!("it has {}", names.collect::<Vec<_>>().join(", "))
    };
    Mistake { hint: Some(hint), ..at.mistake("unknown_param", text) }
}
