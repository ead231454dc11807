//! How much faster than real time voices are, beside what others reach: `cargo bench --bench voice`.
mod ours;
use ours::{Played, players};
fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    for (name, cutoff) in [("fixed", false), ("moved", true)] {
        for voices in [16, 64, 256, 1024] {
            if !only.is_empty() && only != format!("{name}{voices}") && only != "--bench" {
                continue;
            }
            let mut played = Played::new(&players(voices, cutoff));
            played.run(0.5);
            let best =
                (0..25).map(|_| played.run(1000.0 / voices as f64 * 0.05)).fold(f64::MAX, f64::min);
            let x = 1000.0 / voices as f64 * 0.05 / best;
            println!(
                "{name} {voices}: x {x:.1}  voices {:.0} peak {}",
                x * voices as f64,
                played.peak
            );
        }
    }
}
