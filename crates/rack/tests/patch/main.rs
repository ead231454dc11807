//! Patches as people write them: what is understood, and what is told where it is not.

#[path = "../bench/mod.rs"]
mod bench;
mod define;
mod files;

use segue_rack::{Patch, Plan, Setup};

/// All mistakes of a patch as they are printed, with their codes.
fn told(text: &str) -> String {
    let render = |mistakes: Vec<segue_rack::Mistake>| {
        let one = |mistake: &segue_rack::Mistake| {
            let shown = mistake.render("p.toml", text);
            format!("[{}] {}", mistake.code, shown.lines().next().unwrap_or(""))
        };
        mistakes.iter().map(one).collect::<Vec<_>>().join("\n")
    };
    let plan = Patch::parse(text).and_then(|patch| Plan::compile(&patch, &Setup::default()));
    plan.map_or_else(render, |_| "fine".to_string())
}
