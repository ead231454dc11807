//! How much faster than real time voices are, beside what others reach: `cargo bench --bench voice`.
mod ours;
use ours::{Played, players};
fn main() {
    if std::env::args().nth(1).as_deref() == Some("one") {
        let patch = ours::with_out(
            &format!(
                "osc = {{ type = \"osc\", freq = 220 }}\nenv = {{ type = \"adsr\", in = \"osc\", {} }}\nfilter = {{ type = \"biquad\", in = \"env\", cutoff = 900, q = 2 }}\n",
                ours::ENVELOPE
            ),
            "filter * 0.1",
        );
        let mut played = Played::new(&patch);
        played.run(5.0);
        let best = (0..25).map(|_| played.run(50.0)).fold(f64::MAX, f64::min);
        println!("one: x {:.0}", 50.0 / best);
        return;
    }
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
