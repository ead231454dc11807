//! Which outlet writes to which page.

use crate::catalog::{Kind, OUTLETS_MAX};
use crate::engine::layout::{DelayPlace, stride_of};
use crate::plan::{Plan, PlanCable};

/// Hands out pages, and takes them back when nobody listens any more.
pub(super) struct Pages {
    pub(super) strides: Vec<usize>,
    /// Pages nobody needs.
    idle: Vec<usize>,
    /// By module and outlet: the last module that listens, or beyond all for whoever is kept.
    ends: Vec<[Option<usize>; OUTLETS_MAX]>,
    /// Pages and the module after which they are idle.
    busy: Vec<(usize, usize)>,
    probed: bool,
}

impl Pages {
    pub(super) fn of(plan: &Plan, probed: bool) -> Pages {
        let mut ends = vec![[None; OUTLETS_MAX]; plan.modules().len()];
        for (reader, module) in plan.modules().iter().enumerate() {
            for cable in module.ports().iter().flat_map(|port| &port.cables) {
                let end = if cable.delayed { usize::MAX } else { reader };
                let known = &mut ends[usize::from(cable.module)][usize::from(cable.outlet)];
                *known = (*known).max(Some(end));
            }
        }
        Pages { strides: Vec::new(), idle: Vec::new(), ends, busy: Vec::new(), probed }
    }

    /// A page for an outlet, if it is rendered at all, and whether all of it is looked at later.
    pub(super) fn take(
        &mut self,
        (index, outlet): (usize, usize),
        stride: usize,
        kind: &Kind,
        connected: u32,
    ) -> Option<(usize, bool)> {
        let buses = kind.spec.name == "out";
        let end = match self.ends[index][outlet] {
            _ if stride == 0 => return None,
            _ if self.probed || buses => usize::MAX,
            Some(end) => end,
            None if (kind.always)(connected) >> outlet & 1 == 1 => index,
            None => return None,
        };
        let page = self.page(stride);
        self.busy.push((page, end));
        Some((page, end == usize::MAX))
    }

    /// Whether an outlet is rendered by itself, not only to be looked at.
    pub(super) fn is_heard(
        &self,
        (index, outlet): (usize, usize),
        kind: &Kind,
        connected: u32,
    ) -> bool {
        let always = kind.spec.name == "out" || (kind.always)(connected) >> outlet & 1 == 1;
        always || self.ends[index][outlet].is_some()
    }

    fn page(&mut self, stride: usize) -> usize {
        match self.idle.iter().rposition(|page| self.strides[*page] == stride) {
            Some(at) => self.idle.swap_remove(at),
            None => {
                self.strides.push(stride);
                self.strides.len() - 1
            }
        }
    }

    /// Module `index` is through.
    pub(super) fn free(&mut self, index: usize) {
        let idle = &mut self.idle;
        self.busy.retain(|(page, end)| {
            let keep = *end > index;
            if !keep {
                idle.push(*page);
            }
            keep
        });
    }

    /// Makes the page of a delayed cable, once for each outlet. It is read from the first block's
    /// first module on, so it is never one that was used before.
    pub(super) fn delay(&mut self, plan: &Plan, cable: &PlanCable, delays: &mut Vec<DelayPlace>) {
        let (module, outlet) = (usize::from(cable.module), usize::from(cable.outlet));
        let known = delays.iter().any(|delay| (delay.module, delay.outlet) == (module, outlet));
        if cable.delayed && !known {
            self.strides.push(stride_of(plan.modules()[module].outlet_lanes(cable.outlet)));
            let page = self.strides.len() - 1;
            delays.push(DelayPlace { module, outlet, from: page, page, words: 0..0 });
        }
    }
}
