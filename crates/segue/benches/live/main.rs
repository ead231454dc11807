//! A running engine, measured from outside: `cargo bench --bench live`.
//!
//! Parts can be named: `cargo bench --bench live -- failover traffic`. The long runs are
//! `cargo bench --bench live -- steady --minutes 10` and `… -- jack --minutes 60 --period 64
//! --lead 2`. All but `jack` and `pulse` play on the device `null`. Figures are
//! printed, never asserted.

mod comeback;
mod cost;
mod engine;
mod failover;
mod jack;
mod join;
mod osc;
mod pulse;
mod steady;
mod table;
mod traffic;

use std::time::Duration;

/// What the long runs are asked for.
type Part = (&'static str, fn(jack::Wish));

const PARTS: [Part; 10] = [
    ("failover", |_| failover::measure()),
    ("comeback", |_| comeback::measure()),
    ("join", |_| join::measure()),
    ("large", |_| join::measure_large()),
    ("osc", |_| osc::measure()),
    ("cost", |_| cost::measure()),
    ("traffic", |_| traffic::measure()),
    ("steady", |wish| steady::measure(wish.length)),
    ("jack", jack::measure),
    ("pulse", pulse::measure),
];

fn main() {
    let mut wish = jack::Wish { length: Duration::from_secs(10), period: 64, lead: 4 };
    let mut named = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<f64>().ok());
        match argument.as_str() {
            // Cargo's own word.
            "--bench" => {}
            "--minutes" => {
                let minutes = number().expect("--minutes takes a number");
                wish.length = Duration::from_secs_f64(60.0 * minutes);
            }
            "--period" => wish.period = number().expect("--period takes a number") as u32,
            "--lead" => wish.lead = number().expect("--lead takes a number") as u32,
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
            measure(wish);
        }
    }
}
