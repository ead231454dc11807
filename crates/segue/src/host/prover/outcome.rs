//! What a proof found, and how people are told.

use segue_rack::{Plan, Setup};
use serde::{Deserialize, Serialize};

use super::program::Act;
use super::{SHARE_PERCENT, block_ns};

/// What a block costs, in nanoseconds of processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// The dearest block.
    pub(super) block_ns: u64,
    /// When that was.
    pub(super) act: Act,
    /// The dearest module in it, by its index.
    pub(super) part: u32,
    /// What that takes of it.
    pub(super) part_ns: u64,
}

/// What came of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing is wrong with it.
    Fine(Cost),
    /// It needs more of a block than it may.
    Costly(Cost),
    /// The output of a module is no number.
    NonFinite {
        /// Which module.
        part: u32,
        /// When.
        act: Act,
    },
    /// It kills who plays it.
    Crashes {
        /// The module it was at.
        part: Option<u32>,
        /// Signal or exit, and last words.
        cause: String,
    },
    /// It never comes to the end of a block.
    Loops {
        /// The module it was at.
        part: Option<u32>,
        /// Processor time it spent there.
        spent_ns: u64,
    },
    /// No rack can be built of it.
    Unfit(String),
    /// The patch has no part in it: the prover was killed, or had no time.
    Unproved(String),
}

impl Outcome {
    /// Whether the plan must not be played. `[any]`
    pub(crate) fn refuses(&self) -> bool {
        !matches!(self, Self::Fine(_) | Self::Unproved(_))
    }

    /// What the dearest block costs, in nanoseconds; none where it was not measured. `[any]`
    pub(crate) fn block_ns(&self) -> Option<u64> {
        match self {
            Self::Fine(cost) | Self::Costly(cost) => Some(cost.block_ns),
            _ => None,
        }
    }

    /// What is found where nothing is wrong. `[any]`
    #[cfg(test)]
    pub(crate) fn fine(block_ns: u64) -> Self {
        Self::Fine(Cost { block_ns, act: Act::Written, part: 0, part_ns: block_ns })
    }

    /// One word, for programs. `[any]`
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Fine(_) => "fine",
            Self::Costly(_) => "too_costly",
            Self::NonFinite { .. } => "not_finite",
            Self::Crashes { .. } => "crashes",
            Self::Loops { .. } => "loops",
            Self::Unfit(_) => "unfit",
            Self::Unproved(_) => "unproved",
        }
    }

    /// In a sentence, with what to do. `[control]`
    pub(crate) fn sentence(&self, plan: &Plan, setup: &Setup) -> String {
        let at = |part: &Option<u32>| part.map_or("it".to_owned(), |part| module(plan, part));
        match self {
            Self::Fine(cost) => format!("a block needs {}", share(cost, plan, setup)),
            Self::Costly(cost) => format!(
                "a block needs {}; {SHARE_PERCENT} % are allowed, so that the standbys keep up. \
                 Use fewer modules or voices or a lower --rate, or render it with `segue render` \
                 or --device freewheel, which wait for it",
                share(cost, plan, setup)
            ),
            Self::NonFinite { part, act } => format!(
                "the output of {} is no number (NaN or infinite){}. Limit what goes into it: a \
                 lower amount at its cables, or a narrower range",
                module(plan, *part),
                act.phrase()
            ),
            Self::Crashes { part, cause } => format!(
                "{} crashes whoever plays it ({}). That is a bug of Segue: take it out of \
                 the patch, and report it",
                at(part),
                cause.lines().next().unwrap_or_default()
            ),
            Self::Loops { part, spent_ns } => format!(
                "{} does not come to its end ({} ms of processor time in one block). That is a \
                 bug of Segue: take it out of the patch, and report it",
                at(part),
                spent_ns / 1_000_000
            ),
            Self::Unfit(why) => why.clone(),
            Self::Unproved(why) => format!("it could not be proved: {why}"),
        }
    }
}

fn module(plan: &Plan, part: u32) -> String {
    let module = plan.modules().get(part as usize);
    module.map_or_else(|| format!("module {part}"), |module| format!("module '{}'", module.id()))
}

fn share(cost: &Cost, plan: &Plan, setup: &Setup) -> String {
    let us = |ns: u64| ns as f64 / 1000.0;
    let block_ns = block_ns(setup);
    format!(
        "{:.1} % of its time{} ({:.1} of {:.0} us), {} most ({:.1} us)",
        cost.block_ns as f64 * 100.0 / block_ns as f64,
        cost.act.phrase(),
        us(cost.block_ns),
        us(block_ns),
        module(plan, cost.part),
        us(cost.part_ns)
    )
}

#[cfg(test)]
mod tests {
    use segue_rack::{Patch, Plan, Setup};

    use super::{Act, Cost, Outcome};

    /// A saw at its highest pitch costs a dozen times what it costs where it is played: who is
    /// refused for that has to see it.
    #[test]
    fn it_is_told_when_a_block_is_too_dear() {
        let setup = Setup::default();
        let patch = Patch::parse("segue = 1\nosc = { type = \"osc\" }\nout = { in = \"osc\" }\n");
        let plan = Plan::compile(&patch.unwrap(), &setup).unwrap();
        let told = |act| {
            let cost = Cost { block_ns: 1_000_000, act, part: 0, part_ns: 900_000 };
            Outcome::Costly(cost).sentence(&plan, &setup)
        };
        let highest = "a block needs 75.0 % of its time with every parameter at its highest \
                       (1000.0 of 1333 us), module 'osc' most (900.0 us); 60 % are allowed";
        assert!(told(Act::Highest).starts_with(highest), "{}", told(Act::Highest));
        assert!(told(Act::Written).starts_with("a block needs 75.0 % of its time (1000.0 of"));
    }
}
