//! The manual of all modules, written from their specs, so that it cannot be wrong.

use std::fmt::Write;

use crate::catalog::{ModuleSpec, ParamSpec, catalog};
use crate::quantity::Unit;

/// `docs/modules.md`: a section a type, with its panel. Writing to a text cannot fail. `[control]`
pub fn manual() -> String {
    let mut text =
        "# Modules\n\nGenerated from the catalog: `segue modules` prints the same. A bare \
        number is in the unit\ngiven; `segue check` tells what does not fit.\n"
            .to_string();
    // No instruments: these are there for the tests of the engine only.
    for spec in catalog().iter().filter(|spec| !["fault", "ballast"].contains(&spec.name)) {
        section(spec, &mut text);
    }
    text
}

fn section(spec: &ModuleSpec, text: &mut String) {
    let _ = writeln!(text, "\n## {}\n\n{}", spec.name, spec.summary);
    if !spec.aliases.is_empty() {
        let _ = writeln!(text, "Older name: `{}`.", spec.aliases.join("`, `"));
    }
    if spec.has_gate {
        let _ = writeln!(text, "Has a gate: `/gate/ID`.");
    }
    if spec.has_notes {
        let _ = writeln!(text, "Plays notes: `/note/ID`, `/voice/ID/VOICE/PARAM`.");
    }
    let inlets = spec.inlets.iter().map(|inlet| ("inlet", inlet.name, inlet.summary));
    let outlets = spec.outlets.iter().map(|outlet| ("outlet", outlet.name, outlet.summary));
    let _ = writeln!(text, "\n| port | | |\n|---|---|---|");
    for (kind, name, summary) in inlets.chain(outlets) {
        let _ = writeln!(text, "| {kind} | `{name}` | {summary} |");
    }
    parameters(spec.params, "parameter", text);
    parameters(spec.voice_params, "of a voice", text);
    let _ = writeln!(text, "\n```toml\n{}\n```", spec.example);
}

/// A table of parameters, if there are any.
fn parameters(params: &[ParamSpec], title: &str, text: &mut String) {
    if params.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n| {title} | range | default | moves | |\n|---|---|---|---|---|");
    for param in params {
        let mut name = format!("`{}`", param.name);
        for alias in param.aliases {
            let _ = write!(name, " `{alias}`");
        }
        let (range, default) = values(param);
        let moves = match (param.fixed, param.smoothing_ms) {
            (true, _) => "in the patch only".to_string(),
            (false, 0.0) => "at once".to_string(),
            (false, ms) => format!("in {ms} ms"),
        };
        let _ = writeln!(text, "| {name} | {range} | {default} | {moves} | {} |", param.summary);
    }
}

/// Range and default as they are written.
fn values(param: &ParamSpec) -> (String, String) {
    if param.unit == Unit::Choice {
        let default = param.choices.get(param.default as usize).copied().unwrap_or("");
        return (format!("`{}`", param.choices.join("` `")), format!("`{default}`"));
    }
    let unit = param.unit.symbol();
    let space = if unit.is_empty() { "" } else { " " };
    let range = format!("{} to {}{space}{unit}", param.min, param.max);
    (range, format!("{}{space}{unit}", param.default))
}
