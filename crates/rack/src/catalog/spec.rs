//! The form in which a module describes its panel: ports and parameters with unit and range.

use serde::Serialize;

use crate::quantity::Unit;

/// How a control surface should spread a range; sound does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// Evenly.
    Linear,
    /// By ratios: as much room from 100 to 200 as from 1000 to 2000.
    Logarithmic,
    /// In steps: a choice or a count.
    Stepped,
}

/// A type of module: its panel.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ModuleSpec {
    /// Name of the type in patches.
    pub name: &'static str,
    /// Older names it answers to.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub summary: &'static str,
    /// Signal inlets, fed by cables.
    pub inlets: &'static [InletSpec],
    /// Outlets; the first is the main one. Empty for `out`.
    pub outlets: &'static [OutletSpec],
    /// Parameters: what `/mod` sets; their index is that of `Action::Set`.
    pub params: &'static [ParamSpec],
    /// Whether `/gate` means something to it.
    pub has_gate: bool,
    /// Whether `/note` means something to it: it is a player.
    pub has_notes: bool,
    /// Parameters of one voice: what `/voice` sets.
    pub voice_params: &'static [ParamSpec],
    /// Lines of a patch that let it be heard, `out` included.
    pub example: &'static str,
}

/// A signal inlet.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InletSpec {
    /// Name in patches.
    pub name: &'static str,
    /// What it takes.
    pub summary: &'static str,
}

/// An outlet.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OutletSpec {
    /// Name in patches.
    pub name: &'static str,
    /// What it gives, with its range.
    pub summary: &'static str,
}

/// A parameter.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ParamSpec {
    /// Name in patches and addresses.
    pub name: &'static str,
    /// Older names it answers to.
    pub aliases: &'static [&'static str],
    /// What it does.
    pub summary: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Lowest value; lower ones are clamped.
    pub min: f32,
    /// Highest value; higher ones are clamped.
    pub max: f32,
    /// Value where a patch says nothing.
    pub default: f32,
    /// How a knob should spread it.
    pub curve: Curve,
    /// Time a change takes, a straight line from sample to sample.
    pub smoothing_ms: f32,
    /// The words of a choice, by index; empty for numbers.
    pub choices: &'static [&'static str],
    /// Part of the structure: a patch sets it, `/mod` cannot.
    pub fixed: bool,
    /// The fixed parameter of the same module that is its highest value there.
    pub up_to: Option<&'static str>,
}

impl ModuleSpec {
    /// A type of that name without any ports.
    pub(crate) const fn named(name: &'static str, summary: &'static str) -> ModuleSpec {
        ModuleSpec {
            name,
            aliases: &[],
            summary,
            inlets: &[],
            outlets: &[OutletSpec { name: "out", summary: "what it gives" }],
            params: &[],
            has_gate: false,
            has_notes: false,
            voice_params: &[],
            example: "",
        }
    }

    /// Index of the parameter called `name`, by name or alias. `[any]`
    pub fn param(&self, name: &str) -> Option<u16> {
        let index = self
            .params
            .iter()
            .position(|param| param.name == name || param.aliases.contains(&name))?;
        Some(index as u16)
    }

    /// Whether this is the module type `name`, by name or alias. `[any]`
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl ParamSpec {
    /// A number with the given range, no aliases, smoothed over 5 ms.
    pub(crate) const fn number(
        name: &'static str,
        unit: Unit,
        range: (f32, f32),
        default: f32,
        summary: &'static str,
    ) -> ParamSpec {
        ParamSpec {
            name,
            aliases: &[],
            summary,
            unit,
            min: range.0,
            max: range.1,
            default,
            curve: Curve::Linear,
            smoothing_ms: 5.0,
            choices: &[],
            fixed: false,
            up_to: None,
        }
    }

    /// A choice among words; the first is the default.
    pub(crate) const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        summary: &'static str,
    ) -> ParamSpec {
        ParamSpec {
            unit: Unit::Choice,
            max: (choices.len() - 1) as f32,
            curve: Curve::Stepped,
            smoothing_ms: 0.0,
            choices,
            ..ParamSpec::number(name, Unit::Choice, (0.0, 0.0), 0.0, summary)
        }
    }

    /// The same with older names.
    pub(crate) const fn also(self, aliases: &'static [&'static str]) -> ParamSpec {
        ParamSpec { aliases, ..self }
    }

    /// The same, spread by ratios.
    pub(crate) const fn logarithmic(self) -> ParamSpec {
        ParamSpec { curve: Curve::Logarithmic, ..self }
    }

    /// The same, taken at once: for values that are read only when something begins.
    pub(crate) const fn at_once(self) -> ParamSpec {
        ParamSpec { smoothing_ms: 0.0, ..self }
    }

    /// The same as a whole number that only a patch sets.
    pub(crate) const fn fixed_count(self) -> ParamSpec {
        ParamSpec { curve: Curve::Stepped, ..self.fixed() }
    }

    /// The same, set by a patch only.
    pub(crate) const fn fixed(self) -> ParamSpec {
        ParamSpec { smoothing_ms: 0.0, fixed: true, ..self }
    }

    /// The same, bounded by a fixed parameter of the same module.
    pub(crate) const fn up_to(self, name: &'static str) -> ParamSpec {
        ParamSpec { up_to: Some(name), ..self }
    }

    /// `value` inside the range; a choice or count is rounded to its nearest step. `[any]`
    pub fn clamp(&self, value: f32) -> f32 {
        let value = segue_dsp::math::clamp(value, self.min, self.max);
        if self.curve == Curve::Stepped { segue_dsp::math::round(value) } else { value }
    }

    /// Index of the word `name` of a choice, case ignored. `[any]`
    pub fn choice_index(&self, name: &str) -> Option<f32> {
        let index = self.choices.iter().position(|word| word.eq_ignore_ascii_case(name.trim()))?;
        Some(index as f32)
    }
}
