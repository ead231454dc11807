//! One seed, a whole life: every kind of fault, then none, and everything is whole again.

use segue_sim::life::live;

#[test]
fn lives_with_a_clock_are_heard_as_one_history() {
    (0..40).for_each(|seed| drop(live(seed, Some(false))));
}

#[test]
fn lives_on_freewheel_conceal_nothing() {
    (0..25).for_each(|seed| drop(live(seed, Some(true))));
}

#[test]
fn the_same_seed_is_the_same_life() {
    let lives = [live(7, None), live(7, None)].map(|report| report.to_string());
    assert_eq!(lives[0], lives[1]);
}
