//! A running engine on the device `null`, measured from outside: `cargo bench --bench live`.
//!
//! Parts can be named: `cargo bench --bench live -- failover traffic`. The long run is
//! `cargo bench --bench live -- steady --minutes 10`. Figures are printed, never asserted.

mod engine;
mod failover;
mod idle;
mod osc;
mod steady;
mod table;
mod traffic;

use std::time::Duration;

type Part = (&'static str, fn(Duration));

const PARTS: [Part; 5] = [
    ("failover", |_| failover::measure()),
    ("osc", |_| osc::measure()),
    ("idle", |_| idle::measure()),
    ("traffic", |_| traffic::measure()),
    ("steady", steady::measure),
];

fn main() {
    let mut steady = Duration::from_secs(10);
    let mut named = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own word.
            "--bench" => {}
            "--minutes" => {
                let minutes = arguments.next().and_then(|text| text.parse::<f64>().ok());
                steady = Duration::from_secs_f64(60.0 * minutes.expect("--minutes takes a number"));
            }
            name => named.push(name.to_owned()),
        }
    }
    let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(stranger) = named.iter().find(|name| !names.contains(&name.as_str())) {
        eprintln!("no part '{stranger}'; there are: {}", names.join(", "));
        std::process::exit(64);
    }
    table::machine();
    for (name, measure) in PARTS {
        if named.is_empty() || named.iter().any(|it| it == name) {
            measure(steady);
        }
    }
}
