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

/// In 258 the newest state of both had no checkpoint, in 327 the trusted one lay ahead of the
/// playhead when all died: both times an error became what everybody began from.
#[test]
fn lives_in_which_an_error_was_once_handed_on_as_the_truth_are_right_now() {
    [258, 327].into_iter().for_each(|seed| drop(live(seed, None)));
}
