//! What an instrument of a plan is called by from outside.

use crate::catalog::ModuleSpec;
use crate::plan::Plan;

/// An instrument: names for parameters of its parts, which are modules `ID.PART`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanInstrument {
    pub(super) id: String,
    pub(super) params: Vec<(String, Vec<(u16, u16)>)>,
}

impl PlanInstrument {
    /// Its id in the patch. `[any]`
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The names of those of its params that move parameters of parts. `[any]`
    pub fn params(&self) -> impl Iterator<Item = &str> + Clone {
        let moves = |(_, targets): &&(String, Vec<_>)| !targets.is_empty();
        self.params.iter().filter(moves).map(|(name, _)| name.as_str())
    }

    /// The parameters that `name` moves, by module and parameter; none where it moves none. `[any]`
    pub fn targets(&self, name: &str) -> &[(u16, u16)] {
        let param = self.params.iter().find(|(known, _)| known == name);
        param.map_or(&[], |(_, targets)| targets)
    }
}

impl Plan {
    /// All instruments, in the order of the file. `[any]`
    pub fn instruments(&self) -> &[PlanInstrument] {
        &self.instruments
    }

    /// The instrument called `id`. `[any]`
    pub fn instrument(&self, id: &str) -> Option<&PlanInstrument> {
        self.instruments.iter().find(|instrument| instrument.id == id)
    }

    /// The parts of the instrument called `id` whose type is such. `[any]`
    pub fn parts(&self, id: &str, such: impl Fn(&ModuleSpec) -> bool) -> Vec<u16> {
        let of_it = |part: &str| {
            part.strip_prefix(id).is_some_and(|rest| !id.is_empty() && rest.starts_with('.'))
        };
        let modules = self.modules.iter().enumerate();
        let found = modules.filter(|(_, module)| of_it(module.id()) && such(module.spec()));
        found.map(|(index, _)| index as u16).collect()
    }
}
