//! The table of one module: its type, and what feeds its ports.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalog::{self, ModuleSpec, ParamSpec};
use crate::names::{RESERVED, is_id, nearest};
use crate::patch::port::{PortReader, Socket};
use crate::patch::scope::{Scope, meant};
use crate::patch::source::Source;
use crate::patch::{Mistake, Module, Port, Span};

/// A module's table, before its ports are read.
pub(super) struct Entry<'a, 'i> {
    pub(super) id: &'a str,
    pub(super) at: Span,
    pub(super) table: &'a DeTable<'i>,
    pub(super) form: Form,
}

/// What a table asks for.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A type of the catalog.
    Module(&'static ModuleSpec),
    /// The instrument at an index among the defines.
    Instrument(usize),
    /// Something that is not there, which is told.
    Unknown,
}

/// Where a table stands, which decides about the types it may ask for.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In the file itself, where these instruments are defined.
    File(&'a [&'a str]),
    /// In the define of this name, one of these.
    Define(&'a str, &'a [&'a str]),
}

/// A module whose ports are read.
#[derive(Clone, Debug)]
pub(super) struct Wired {
    pub(super) module: Module,
    /// Where the value of each port stands, if it was given.
    pub(super) given: Vec<Option<Span>>,
}

/// The table of one module; `None` (and a mistake) where there is none.
pub(super) fn entry<'a, 'i>(
    (id, at): (&'a str, Span),
    value: &'a DeValue<'i>,
    place: Place<'_>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Entry<'a, 'i>> {
    if matches!(place, Place::File(_)) && id != "out" && RESERVED.contains(&id) {
        let text = format!("'{id}' is not built yet in this version");
        mistakes.push(at.mistake("not_built", text));
        return None;
    }
    let Some(table) = value.as_table() else {
        let mistake = at.mistake("wrong_type", format!("'{id}' is no module"));
        let words: &[&str] = match place {
            Place::File(_) => &["segue", "title", "tempo", "define"],
            Place::Define(..) => &["params", "out"],
        };
        let hint = match nearest(id, words.iter().copied()) {
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
    let form = match table.get("type") {
        Some(value) => form(id, value, place, source, mistakes),
        None if id == "out" => catalog::spec("out").map_or(Form::Unknown, Form::Module),
        None => {
            let mistake = at.mistake("missing_type", format!("'{id}' has no type"));
            let hint = "give it one, as type = \"osc\"; segue modules lists them".to_string();
            mistakes.push(Mistake { hint: Some(hint), ..mistake });
            Form::Unknown
        }
    };
    Some(Entry { id, at, table, form })
}

/// The type a module asks for.
fn form(
    id: &str,
    value: &Spanned<DeValue<'_>>,
    place: Place<'_>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Form {
    let at = source.span(value.span());
    let Some(name) = value.get_ref().as_str() else {
        mistakes.push(at.mistake("wrong_type", "a type is a text"));
        return Form::Unknown;
    };
    let (Place::File(defines) | Place::Define(_, defines)) = place;
    let define = defines.iter().position(|define| *define == name);
    // A define by the name of a type is refused, and hides nothing.
    if let Some(index) = define.filter(|_| catalog::spec(name).is_none()) {
        let Place::Define(own, _) = place else { return Form::Instrument(index) };
        let text = match own == name {
            true => format!("'{name}' would contain itself"),
            false => format!("'{own}' cannot contain '{name}': both are instruments"),
        };
        let hint = Some("the parts of an instrument are modules of the catalog".to_string());
        mistakes.push(Mistake { hint, ..at.mistake("recursion", text) });
        return Form::Unknown;
    }
    let Some(spec) = catalog::spec(name) else {
        let mistake = at.mistake("unknown_type", format!("no module type '{name}'"));
        let names = catalog::catalog().iter().map(|spec| spec.name);
        let names = names.chain(defines.iter().copied());
        let hint = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
        return Form::Unknown;
    };
    let mistake = match place {
        Place::File(_) if (spec.name == "out") != (id == "out") => {
            let mistake = at.mistake("reserved", "the module 'out' and the type 'out' are one");
            Mistake { hint: Some("a patch ends in one [out]".to_string()), ..mistake }
        }
        Place::Define(..) if spec.name == "out" => {
            let mistake = at.mistake("reserved", "no part of an instrument is the patch's 'out'");
            Mistake { hint: Some("write out = \"PART\" in the define".to_string()), ..mistake }
        }
        _ => return Form::Module(spec),
    };
    mistakes.push(mistake);
    Form::Unknown
}

/// A module of a known type, all ports read.
pub(super) fn wired(
    entry: &Entry<'_, '_>,
    spec: &'static ModuleSpec,
    scope: &Scope<'_>,
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Wired {
    let inlets = spec.inlets.iter().map(|_| Port::default());
    let params = spec.params.iter();
    let params = params.map(|param| Port { constant: param.default, ..Port::default() });
    let mut ports: Vec<Port> = inlets.chain(params).collect();
    let mut given: Vec<Option<Span>> = vec![None; ports.len()];
    for (name, at, value) in words(entry.table, source) {
        let Some((port, socket)) = socket(spec, name) else {
            let names = spec.inlets.iter().map(|inlet| inlet.name);
            let names = names.chain(spec.params.iter().map(|param| param.name));
            mistakes.push(stray((entry.id, spec.name), name, names, value.get_ref(), at));
            continue;
        };
        if given[port].replace(source.span(value.span())).is_some() {
            let text = format!("'{name}' is another name of a parameter given already");
            mistakes.push(at.mistake("duplicate", text));
        }
        ports[port] = PortReader { source, scope, mistakes }.read(socket, value);
    }
    Wired { module: Module { id: entry.id.to_string(), spec, at: entry.at, ports }, given }
}

/// What stands in a module's table besides its type, in the order of the file.
pub(super) fn words<'a, 'i>(
    table: &'a DeTable<'i>,
    source: &Source<'_>,
) -> Vec<(&'a str, Span, &'a Spanned<DeValue<'i>>)> {
    let mut keys: Vec<_> = table.iter().filter(|(key, _)| key.get_ref() != "type").collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let word = |(key, value): (&'a Spanned<_>, _)| {
        let name: &'a std::borrow::Cow<'i, str> = key.get_ref();
        (name.as_ref(), source.span(key.span()), value)
    };
    keys.into_iter().map(word).collect()
}

impl Wired {
    /// The module, its parameters held to those that bound them.
    pub(super) fn finish(mut self, mistakes: &mut Vec<Mistake>) -> Module {
        for param in self.module.spec.params {
            bound(param, &mut self.module, &self.given, mistakes);
        }
        self.module
    }
}

/// Holds a parameter that has another one of its module as its highest value to it.
fn bound(
    param: &ParamSpec,
    module: &mut Module,
    given: &[Option<Span>],
    mistakes: &mut Vec<Mistake>,
) {
    let (spec, ports) = (module.spec, &mut module.ports);
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
pub(super) fn socket(spec: &'static ModuleSpec, name: &str) -> Option<(usize, Socket)> {
    if let Some(inlet) = spec.inlets.iter().position(|inlet| inlet.name == name) {
        return Some((inlet, Socket::Inlet(spec.inlets[inlet].name)));
    }
    let param = usize::from(spec.param(name)?);
    Some((spec.inlets.len() + param, Socket::Param(&spec.params[param])))
}

/// A word in a table that is none of the ports its type has.
pub(super) fn stray<'a>(
    (id, kind): (&str, &str),
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    value: &DeValue<'_>,
    at: Span,
) -> Mistake {
    let is_module = value.as_table().is_some_and(|table| table.contains_key("type"));
    let above = is_module || (name != "out" && RESERVED.contains(&name));
    let text = format!("'{id}' ({kind}) has no '{name}'");
    let hint = if above {
        format!("'{name}' belongs above the first [table]")
    } else {
        meant(name, names)
    };
    Mistake { hint: Some(hint), ..at.mistake("unknown_param", text) }
}
