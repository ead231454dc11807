//! By which number a module is called while two plans play.

use crate::bench::peak;
use crate::show::Show;

const OLD: &str = "segue = 1
low = { type = \"vca\", in = 0.25 }
high = { type = \"vca\", in = 0.5 }
out = { left = \"low\", right = \"high\" }
";
const NEW: &str = "segue = 1
out = { in = \"sole\" }
sole = { type = \"vca\", in = 0.125 }
";

fn crumbs(show: &mut Show) -> Vec<u32> {
    let mut crumbs = Vec::new();
    show.player.render(&mut [0.0; 128], &mut |part| crumbs.push(part));
    crumbs
}

#[test]
fn the_crumbs_of_the_old_plan_count_on_after_the_new() {
    let mut show = Show::new(&[OLD, NEW]);
    assert_eq!(crumbs(&mut show), [0, 1, 2]);
    show.adopt(1, 100);
    assert_eq!(crumbs(&mut show), [0, 1, 2, 3, 4]);
    let rack = show.player.rack();
    let named = [0, 1, 2, 3, 4, 5, u32::MAX].map(|part| rack.part(part));
    let old = |module| Some((0, module));
    assert_eq!(named, [Some((1, 0)), Some((1, 1)), old(0), old(1), old(2), None, None]);
    crumbs(&mut show);
    assert_eq!(crumbs(&mut show), [0, 1], "the fade is over");
    assert_eq!(show.player.rack().part(2), None);
}

#[test]
fn a_module_of_the_old_plan_is_bypassed_by_its_number() {
    let mut show = Show::new(&[OLD, NEW]);
    show.left(2);
    show.adopt(1, 48_000);
    show.player.bypass(3);
    let heard: Vec<f32> = (0..10).flat_map(|_| show.block().to_vec()).collect();
    let share = 600.0 / 48_000.0;
    let (left, right) = (heard[599 * 2], heard[599 * 2 + 1]);
    assert!((left - (0.25 * (1.0 - share) + 0.125 * share)).abs() < 1e-6, "{left}");
    assert!((right - 0.125 * share).abs() < 1e-6, "high is out: {right}");
    for nobody in [5, 65_540, u32::MAX] {
        show.player.bypass(nobody);
    }
    assert_eq!(show.ignored(), 3);
    show.player.bypass(1);
    show.left(751);
    assert_eq!(peak(&show.left(1)), 0.0, "sole is bypassed");
    show.player.bypass(3);
    assert_eq!(show.ignored(), 4, "of what faded nothing is left");
}

/// A verdict on a module that is in both plans holds in both: it does the same harm there.
#[test]
fn a_module_in_both_plans_is_bypassed_in_both() {
    let other = OLD.replace("segue = 1", "segue = 1\nspare = { type = \"osc\" }");
    let mut show = Show::new(&[OLD, &other]);
    show.left(2);
    show.adopt(1, 48_000);
    let low = show.module("low");
    show.player.bypass(low.into());
    assert!(peak(&show.left(10)[240..]) < 1e-6);
}

#[cfg(feature = "fault")]
#[test]
fn a_module_of_the_old_plan_that_turns_non_finite_is_named_by_its_number() {
    let bad = "segue = 1
osc = { type = \"osc\", freq = 20 }
bad = { type = \"fault\", in = \"osc\", mode = \"nan\", after = 12 }
out = { in = \"bad * 0.5\" }
";
    let good = bad
        .replace("bad = { type = \"fault\"", "good = { type = \"vca\"")
        .replace(", mode = \"nan\", after = 12 }", " }");
    let good = good.replace("bad", "good");
    let mut show = Show::new(&[bad, &good]);
    show.set_at(0, "bad", "trigger", 1.0);
    show.left(10);
    assert_eq!(show.player.rack().notes().resets, 0);
    show.adopt(1, 4_800);
    assert!(show.left(10).iter().all(|sample| sample.is_finite()));
    let notes = show.player.rack().notes();
    let bad = show.plans[0].module("bad").unwrap();
    let modules = show.plans[1].modules().len() as u64;
    assert_eq!((notes.resets, notes.reset_module), (1, modules + u64::from(bad) + 1));
    show.left(65);
    let resets = show.player.rack().notes().resets;
    show.left(200);
    assert_eq!(show.player.rack().notes().resets, resets, "it has faded");
}

/// Who was reset last is called by where it is now.
#[cfg(feature = "fault")]
#[test]
fn who_was_reset_last_is_called_by_its_new_number() {
    let bad = "segue = 1
bad = { type = \"fault\", in = 0.1, mode = \"nan\" }
out = { in = \"bad\" }
";
    let other = crate::show::reordered(bad);
    let gone = "segue = 1\n[out]\n";
    let mut show = Show::new(&[bad, &other, gone]);
    show.set_at(0, "bad", "trigger", 1.0);
    show.left(1);
    show.set_at(0, "bad", "trigger", 0.0);
    for (edition, named) in [(1, u64::from(show.plans[1].module("bad").unwrap()) + 1), (2, 0)] {
        show.adopt(edition, 0);
        let notes = show.player.rack().notes();
        assert_eq!((notes.resets, notes.reset_module), (1, named));
    }
}
