//! S33: a commit changes what it names; a module that keeps its id and type keeps its state.

use crate::bench::{bits, peak};
use crate::show::Show;
use segue_rack::{Action, Command};

/// Something of everything that remembers: an oscillator that drifts, envelopes in the middle of
/// their stages, filters, a delay line, a reverb, a delayed cable, a player.
const RICH: &str = "segue = 1
hands = { type = \"keys\", voices = 3, level = \"delayed(env.level)\", glide = 80 }
saw = { type = \"osc\", shape = \"saw\", freq = \"hands.pitch\", drift = 9 }
env = { type = \"adsr\", in = \"saw\", gate = \"hands.gate\", attack = 300, release = 900 }
dark = { type = \"svf\", in = \"env\", cutoff = \"300 + lfo * 1oct\", q = 4 }
lfo = { type = \"lfo\", freq = 3 }
drone = { type = \"osc\", freq = 110, voices = 2, spread = 7 }
swell = { type = \"adsr\", in = \"drone\", attack = 2000 }
echo = { type = \"delay\", in = \"dark + swell * 0.5\", time = 90, max = 300, feedback = 0.5 }
hall = { type = \"reverb\", in = \"echo\" }
again = { type = \"vca\", in = \"hall.left * 0.5 + delayed(again) * 0.3\" }
out = { in = \"again * 0.3\", left = \"hall.left * 0.3\", right = \"hall.right * 0.3\" }
";

/// Played for a while, some of it for later.
fn played(patches: &[&str]) -> Show {
    let mut show = Show::new(patches);
    show.gate("swell", 0.8);
    let module = show.module("hands");
    for (due, note) in [(0, 50.0), (900, 57.5), (1_700, 62.0), (40_000, 45.0)] {
        let strike = Action::Note { module, note, velocity: 0.7, frames: 30_000, voice: 0 };
        show.tell(Command::at(due, strike));
    }
    show.set_at(2_000, "dark", "cutoff", 700.0);
    show.set_at(25_000, "drone", "freq", 98.0);
    show.left(300);
    show
}

#[test]
fn a_patch_adopted_unchanged_plays_as_if_nothing_had_been() {
    let truth = played(&[RICH]).left(1_200);
    assert!(peak(&truth) > 0.05);
    for fade in [0, 1, 480, 20_000] {
        let mut show = played(&[RICH, RICH]);
        show.adopt(1, fade);
        assert_eq!(bits(&show.left(1_200)), bits(&truth), "a fade of {fade} frames");
    }
}
