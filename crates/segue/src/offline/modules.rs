//! `segue modules`: the catalog, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;

use segue_rack::catalog::{ModuleSpec, ParamSpec};

use super::build;
use crate::cli::ModulesArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};

/// Prints the catalog, or one type of it in full.
pub(crate) fn modules(args: &ModulesArgs) -> Result<ExitCode, Failure> {
    let catalog = segue_rack::catalog();
    let Some(name) = &args.kind else {
        if args.json {
            tell!("{}", pretty(&build::schema()));
        } else {
            let width = catalog.iter().map(|it| it.name.len()).max().unwrap_or(0);
            for module in catalog {
                tell!("{:width$}  {}", module.name, module.summary);
            }
        }
        return Ok(Exit::Done.into());
    };
    let Some(module) = catalog.iter().find(|module| module.is_called(name)) else {
        let meant = segue_rack::nearest(name, catalog.iter().map(|it| it.name));
        let hint = match meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => "`segue modules` lists them".to_owned(),
        };
        return Err(Failure::new(Exit::Usage, format!("no module type '{name}'; {hint}")));
    };
    if args.json {
        tell!("{}", pretty(module));
    } else {
        tell!("{}", panel(module).trim_end());
    }
    Ok(Exit::Done.into())
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("the catalog can be written down")
}

fn panel(module: &ModuleSpec) -> String {
    let mut text = format!("{}: {}\n", module.name, module.summary);
    if !module.aliases.is_empty() {
        text += &format!("  also called {}\n", module.aliases.join(", "));
    }
    let ports = module.inlets.iter().map(|it| ("in", it.name, it.summary));
    let ports = ports.chain(module.outlets.iter().map(|it| ("out", it.name, it.summary)));
    for (kind, name, summary) in ports {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {kind:5} {name:12} {summary}");
    }
    if module.has_gate {
        text += "  gate               opened and closed by /gate\n";
    }
    for param in module.params {
        let _ = writeln!(text, "  param {:12} {}: {}", param.name, range(param), param.summary);
        let called = param.aliases.iter().map(|name| format!("also called {name}"));
        let fixed = param.fixed.then(|| "in the patch only".to_owned());
        let more: Vec<_> = called.chain(fixed).collect();
        if !more.is_empty() {
            let _ = writeln!(text, "{:21}{}", "", more.join("; "));
        }
    }
    text
}

fn range(param: &ParamSpec) -> String {
    if !param.choices.is_empty() {
        let default = param.choices.get(param.default as usize).unwrap_or(&"none");
        return format!("{}, default {default}", param.choices.join(" | "));
    }
    let unit = param.unit.symbol();
    let space = if unit.is_empty() { "" } else { " " };
    format!("{} to {}{space}{unit}, default {}", param.min, param.max, param.default)
}

#[cfg(test)]
mod tests {
    use super::panel;

    /// How the line of a parameter begins.
    fn head(name: &str) -> String {
        format!("  param {name:12} ")
    }

    #[test]
    fn a_panel_names_every_port_and_parameter() {
        for module in segue_rack::catalog() {
            let text = panel(module);
            let inlets = module.inlets.iter().map(|it| it.name);
            let outlets = module.outlets.iter().map(|it| it.name);
            for name in inlets.chain(outlets).chain(module.params.iter().map(|it| it.name)) {
                assert!(text.contains(name), "{} lacks {name}", module.name);
            }
            for param in module.params {
                let line = text.lines().position(|it| it.starts_with(&head(param.name)));
                let line = line.expect("a line for each parameter");
                let said: String = text.lines().skip(line).take(2).collect();
                assert!(said.contains(", default "), "{}.{}", module.name, param.name);
                assert_eq!(param.fixed, said.contains("in the patch only"), "{}", param.name);
                let aliases = param.aliases.iter();
                assert!(aliases.into_iter().all(|name| said.contains(name)), "{}", param.name);
            }
        }
    }
}
