//! What carries an outlet over a step: into a bypass, out of it, and from one choice to the next.

use segue_dsp::by_stride;

use crate::engine::cables::Outlets;
use crate::engine::layout::Place;
use crate::engine::module::{Parts, Scene};

/// Bridges a step: what was there before runs out in a straight line beneath what is there now.
pub(super) fn cross(
    place: &Place,
    parts: &mut Parts<'_>,
    outlets: &mut Outlets,
    (from, to): (usize, usize),
    scene: &Scene<'_>,
) {
    let begins = std::mem::take(&mut parts.head.steps) != 0;
    if begins {
        parts.head.bridge_left = scene.bridge_frames;
    }
    let total = scene.bridge_frames as f32;
    let mut first = 0;
    for (page, outlet) in outlets.iter_mut().zip(place.outlets()) {
        let bridge = &mut parts.bridge[first..first + outlet.stride];
        let before = &parts.last[first..first + outlet.stride];
        first += outlet.stride;
        if outlet.page.is_none() {
            continue;
        }
        let stride = outlet.stride;
        if begins {
            for (lane, bridge) in bridge.iter_mut().enumerate() {
                let was = if from > 0 { page[(from - 1) * stride + lane] } else { before[lane] };
                *bridge = was - page[from * stride + lane];
            }
        }
        let mut left = parts.head.bridge_left;
        for frame in page[from * stride..to * stride].chunks_exact_mut(stride) {
            let share = left as f32 / total;
            left = left.saturating_sub(1);
            for (out, bridge) in frame.iter_mut().zip(bridge.iter()) {
                *out += bridge * share;
            }
        }
    }
    parts.head.bridge_left = parts.head.bridge_left.saturating_sub((to - from) as u32);
}

/// Lets the last samples of all outlets run out in a straight line: `left` of `total` frames are
/// still to come.
pub(super) fn decay(place: &Place, last: &[f32], outlets: &mut Outlets, left: u32, total: u32) {
    let mut first = 0;
    for (page, outlet) in outlets.iter_mut().zip(place.outlets()) {
        let last = &last[first..first + outlet.stride];
        first += outlet.stride;
        if outlet.page.is_none() {
            continue;
        }
        for (frame, lanes) in page.chunks_exact_mut(outlet.stride).enumerate() {
            let gain = left.saturating_sub(frame as u32 + 1) as f32 / total as f32;
            for (out, last) in lanes.iter_mut().zip(last) {
                *out = last * gain;
            }
        }
    }
}

/// Lets all outlets come back in a straight line: `fade_left` frames of it are still to come.
pub(super) fn rise(
    place: &Place,
    parts: &mut Parts<'_>,
    outlets: &mut Outlets,
    (from, to): (usize, usize),
    scene: &Scene<'_>,
) {
    for (page, outlet) in outlets.iter_mut().zip(place.outlets()) {
        if outlet.page.is_none() {
            continue;
        }
        let (stride, mut left) = (outlet.stride, parts.head.fade_left);
        for frame in page[from * stride..to * stride].chunks_exact_mut(stride) {
            let gain = 1.0 - left as f32 / scene.bypass_frames as f32;
            left = left.saturating_sub(1);
            for out in frame {
                *out *= gain;
            }
        }
    }
    parts.head.fade_left = parts.head.fade_left.saturating_sub((to - from) as u32);
}

/// Keeps the last frame of all outlets, which is the first of those that rest.
pub(super) fn remember(place: &Place, last: &mut [f32], outlets: &Outlets, still: u32) {
    let mut first = 0;
    for (at, (page, outlet)) in outlets.iter().zip(place.outlets()).enumerate() {
        let stride = outlet.stride;
        if outlet.page.is_some() {
            let from = if still >> at & 1 == 1 { 0 } else { page.len() - stride };
            let (kept, page) = (&mut last[first..first + stride], &page[from..from + stride]);
            // Of a known length, so that no call is made for a few words.
            by_stride!(stride, W => {
                if let (Some(kept), Some(page)) = (kept.as_mut_array::<W>(), page.as_array::<W>()) {
                    *kept = *page;
                }
            });
        }
        first += stride;
    }
}
