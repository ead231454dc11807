//! A mixing desk: channels with level and pan, summed to one, and to left and right.
//!
//! *Law*: `out` is the sum of input × level, times the master; `left` and `right` are the same sum
//! with each channel placed by the law of [`crate::mixing::pan`]. Channels are added in their
//! order, so the bits are the same everywhere.

use multiversion::multiversion;

use crate::mixing::pan;
use crate::signal::Signal;

/// One channel; all of it has one lane.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// What comes in.
    pub input: Signal<'a>,
    /// Linear gain.
    pub level: Signal<'a>,
    /// −1 (left) to 1 (right).
    pub pan: Signal<'a>,
}

/// The next frames of the sum, of left and of right: of those that are not empty, at most 64.
/// `[audio]`
pub fn render(channels: &[Channel<'_>], master: Signal<'_>, outs: &mut [&mut [f32]; 3]) {
    for out in outs.iter_mut() {
        out.fill(0.0);
    }
    let [out, left, right] = outs;
    for channel in channels {
        add(channel, Signal::constant(&1.0), out);
        if left.is_empty() && right.is_empty() {
            continue;
        }
        if channel.pan.is_still() {
            let (to_left, to_right) = pan::gains(channel.pan.at(0));
            add(channel, Signal::constant(&to_left), left);
            add(channel, Signal::constant(&to_right), right);
        } else {
            place(channel, left, right);
        }
    }
    for out in outs {
        scale(master, out);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add(channel: &Channel<'_>, gain: Signal<'_>, out: &mut [f32]) {
    for (frame, out) in out.iter_mut().enumerate() {
        *out += channel.input.at(frame) * channel.level.at(frame) * gain.at(frame);
    }
}

/// Adds a channel whose place moves.
#[multiversion(targets("x86_64+avx2"))]
fn place(channel: &Channel<'_>, left: &mut [f32], right: &mut [f32]) {
    for frame in 0..left.len().max(right.len()) {
        let x = channel.input.at(frame) * channel.level.at(frame);
        let (to_left, to_right) = pan::gains(channel.pan.at(frame));
        if let Some(left) = left.get_mut(frame) {
            *left += x * to_left;
        }
        if let Some(right) = right.get_mut(frame) {
            *right += x * to_right;
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn scale(gain: Signal<'_>, out: &mut [f32]) {
    for (frame, out) in out.iter_mut().enumerate() {
        *out *= gain.at(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, render};
    use crate::signal::Signal;

    const MASTER: f32 = 0.5;

    /// Sum, left and right of two channels; the second is at the place given.
    fn mixed(second: Signal<'_>) -> [[f32; 64]; 3] {
        let ramp: Vec<f32> = (0..64).map(|n| n as f32 / 64.0).collect();
        let channels = [
            Channel {
                input: Signal::cable(&ramp, 1),
                level: Signal::constant(&0.8),
                pan: Signal::constant(&-1.0),
            },
            Channel { input: Signal::constant(&0.4), level: Signal::cable(&ramp, 1), pan: second },
        ];
        let mut outs = [[9.0; 64]; 3];
        let [out, left, right] = &mut outs;
        render(&channels, Signal::constant(&MASTER), &mut [out, left, right]);
        outs
    }

    #[test]
    fn the_sum_is_not_panned_and_both_sides_are() {
        let [out, left, right] = mixed(Signal::constant(&0.0));
        for frame in 0..64 {
            let place = frame as f32 / 64.0;
            let (first, second) = (place * 0.8 * MASTER, 0.4 * place * MASTER);
            let middle = std::f32::consts::FRAC_1_SQRT_2;
            assert!((out[frame] - first - second).abs() < 1e-6);
            assert!((left[frame] - first - second * middle).abs() < 1e-6);
            assert!((right[frame] - second * middle).abs() < 1e-6);
        }
    }

    #[test]
    fn a_place_that_stays_and_one_that_might_move_have_the_same_bits() {
        let places = [0.3; 64];
        let moving = mixed(Signal::cable(&places, 1));
        assert_eq!(moving, mixed(Signal::constant(&0.3)));
        assert_ne!(moving, mixed(Signal::constant(&0.2)));
    }
}
