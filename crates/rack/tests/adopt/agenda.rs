//! What waits for its time is for the modules it was meant for, in whatever plan comes then.

use crate::bench::bits;
use crate::show::{Show, reordered};
use segue_rack::{Action, Command};

const TWO: &str = "segue = 1
one = { type = \"vca\", in = 1.0, gain = 0.25 }
two = { type = \"vca\", in = 1.0, gain = 0.5 }
out = { left = \"one\", right = \"two\" }
";

#[test]
fn what_waits_finds_its_module_where_it_is_now() {
    let mut show = Show::new(&[TWO, &reordered(TWO)]);
    show.set_at(1_000, "one", "gain", 0.75);
    show.set_at(2_000, "two", "gain", 0.125);
    let before = (show.module("one"), show.module("two"));
    show.left(3);
    show.adopt(1, 480);
    assert_ne!(before, (show.module("one"), show.module("two")), "they are elsewhere now");
    let mut dues: Vec<(u64, Option<u16>)> =
        show.player.rack().pending().map(|it| (it.due, it.module())).collect();
    dues.sort_unstable();
    let (one, two) = (show.module("one"), show.module("two"));
    assert_eq!(dues, [(1_000, Some(one)), (2_000, Some(two))]);
    let heard: Vec<f32> = (3..60).flat_map(|_| show.block().to_vec()).collect();
    let side = |frame: usize, side| heard[(frame - 192) * 2 + side];
    assert_eq!((side(999, 0), side(1_239, 0), side(1_999, 1)), (0.25, 0.75, 0.5));
    assert_eq!(side(2_239, 1), 0.125);
    assert_eq!(show.ignored(), 0);
}

#[test]
fn what_waits_for_a_module_that_is_gone_is_dropped_and_counted() {
    let gone = TWO.replace("two = ", "three = ").replace("\"two\"", "\"three\"");
    let retyped = TWO
        .replace("\"two\"", "\"two * 0.1\"")
        .replace("two = { type = \"vca\", in = 1.0, gain = 0.5", "two = { type = \"osc\"");
    for next in [gone, retyped] {
        let mut show = Show::new(&[TWO, &next]);
        for due in [5_000, 4_000, 3_000, 6_000] {
            show.set_at(due, "two", "gain", 0.125);
            show.set_at(due + 7, "one", "gain", due as f32 / 10_000.0);
        }
        show.tell(Command::at(7_000, Action::MasterMute { on: true }));
        show.left(3);
        show.adopt(1, 480);
        assert_eq!((show.ignored(), show.player.rack().agenda_len()), (4, 5));
        let heard = show.left(150);
        for due in [3_000, 4_000, 5_000, 6_000] {
            assert_eq!(heard[due + 7 + 239 - 192], due as f32 / 10_000.0);
        }
        assert_eq!(heard[7_000 + 479 - 192], 0.0);
        assert_eq!(show.ignored(), 4);
    }
}

/// Of many, in order, whatever lay in the heap between them.
#[test]
fn a_full_agenda_keeps_its_order() {
    let mut show = Show::new(&[TWO, &reordered(TWO)]);
    let mut other = Show::new(&[TWO]);
    for show in [&mut show, &mut other] {
        let mut noise = 1_u64;
        for n in 0..1_700 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = if n % 3 == 0 { "one" } else { "two" };
            show.set_at(300 + (noise >> 33) % 9_000, id, "gain", (n % 100) as f32 / 100.0);
        }
        show.left(2);
    }
    show.adopt(1, 2_000);
    assert_eq!(bits(&show.left(200)), bits(&other.left(200)));
    let moved = other.player.rack().notes().moved;
    assert!(moved > 0);
    assert_eq!(show.player.rack().notes().moved, moved, "counted once, not in both");
}

/// Clear drops what waits in both plans.
#[test]
fn clear_within_a_fade_clears_both() {
    let other = TWO.replace("one", "three");
    let mut show = Show::new(&[TWO, &other]);
    show.set_at(1_500, "one", "gain", 0.75);
    show.set_at(1_500, "two", "gain", 0.75);
    show.left(2);
    show.adopt(1, 48_000);
    show.tell(Command::now(Action::Clear));
    let heard: Vec<f32> = (0..100).flat_map(|_| show.block().to_vec()).collect();
    assert!(heard.chunks_exact(2).all(|frame| frame == [0.25, 0.5]));
}
