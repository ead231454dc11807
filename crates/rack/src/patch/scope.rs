//! Which names a cable may call in the place where it stands, and what they mean there.

use crate::catalog::ModuleSpec;
use crate::names::nearest;
use crate::patch::define::Define;
use crate::patch::expression::Reference;
use crate::patch::{Mistake, Span};

/// The names there are: those of the file, or those of one define.
pub(super) struct Scope<'a> {
    pub(super) names: Vec<(&'a str, Known<'a>)>,
    /// For a define: what stands around it, which it cannot call.
    pub(super) around: Vec<&'a str>,
}

/// What a name means.
#[derive(Clone, Copy)]
pub(super) enum Known<'a> {
    /// A module and its index.
    Module(usize, &'static ModuleSpec),
    /// An instrument, whose parts begin at an index.
    Instrument(usize, &'a Define),
    /// Something whose type is unknown, which is told already.
    Unknown,
}

/// Where a cable comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tap {
    pub(super) module: usize,
    pub(super) outlet: usize,
    pub(super) amount: f32,
}

impl Scope<'_> {
    /// What a reference means: one outlet, or all that an instrument puts out. Nothing for what
    /// cannot be known because of a mistake told elsewhere.
    pub(super) fn resolve(&self, reference: &Reference, at: Span) -> Result<Vec<Tap>, Mistake> {
        let Reference { module: id, outlet, deeper, .. } = reference;
        let Some((_, known)) = self.names.iter().find(|(name, _)| *name == id.as_str()) else {
            return Err(self.unknown(reference, at));
        };
        match (known, outlet) {
            (Known::Unknown, _) => Ok(Vec::new()),
            (Known::Module(index, spec), outlet) => {
                if let Some(deeper) = deeper {
                    let text = format!("'{id}' has no parts, so no '{deeper}' in one");
                    return Err(at.mistake("unknown_outlet", text));
                }
                let outlet = found(id, spec, outlet.as_deref(), at)?;
                Ok(vec![Tap { module: *index, outlet, amount: 1.0 }])
            }
            (Known::Instrument(base, define), None) => define.out(*base, id, at),
            (Known::Instrument(base, define), Some(part)) => {
                let Some(index) = define.part(part) else {
                    let text = format!("'{id}' ({}) has no part '{part}'", define.name);
                    let hint = meant(part, define.parts());
                    return Err(Mistake { hint: Some(hint), ..at.mistake("unknown_outlet", text) });
                };
                let Some(spec) = define.spec(index) else { return Ok(Vec::new()) };
                let outlet = found(&format!("{id}.{part}"), spec, deeper.as_deref(), at)?;
                Ok(vec![Tap { module: base + index, outlet, amount: 1.0 }])
            }
        }
    }

    fn unknown(&self, reference: &Reference, at: Span) -> Mistake {
        let id = &reference.module;
        let skipped = if reference.delayed { "delayed(".len() as u32 } else { 0 };
        let length = id.chars().count() as u32;
        let short = Span { column: at.column + skipped, length, ..at };
        let mistake = short.mistake("unknown_module", format!("no module '{id}'"));
        let hint = match nearest(id, self.names.iter().map(|(name, _)| *name)) {
            Some(name) => Some(format!("did you mean '{name}'?")),
            None if self.around.contains(&id.as_str()) => Some(
                "a define knows its own parts only: let it in by one of its params".to_string(),
            ),
            None => None,
        };
        Mistake { hint, ..mistake }
    }
}

/// The index of an outlet; without a name the main one.
fn found(id: &str, spec: &ModuleSpec, name: Option<&str>, at: Span) -> Result<usize, Mistake> {
    if spec.outlets.is_empty() {
        return Err(at.mistake("unknown_outlet", format!("'{id}' has no outlet")));
    }
    let Some(name) = name else { return Ok(0) };
    let index = spec.outlets.iter().position(|outlet| outlet.name == name);
    index.ok_or_else(|| {
        let text = format!("'{id}' ({}) has no outlet '{name}'", spec.name);
        let hint = meant(name, spec.outlets.iter().map(|outlet| outlet.name));
        Mistake { hint: Some(hint), ..at.mistake("unknown_outlet", text) }
    })
}

/// The hint that names what was most likely meant, or all there is.
pub(super) fn meant<'a>(name: &str, there: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, there.clone()) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("it has {}", there.collect::<Vec<_>>().join(", ")),
    }
}
