//! One module through one block: cut where it is told something, whole everywhere else.

mod bridge;
mod heir;
mod stretch;

use segue_dsp::by_stride;
use segue_dsp::control::adsr::CHOKE_MS;
use segue_dsp::math::all_finite;
use segue_dsp::ramp::Ramp;
use segue_dsp::signal::repeat;
use zerocopy::{FromBytes, IntoBytes};

use self::bridge::{cross, decay, remember, rise};
pub(super) use self::heir::{follow, resume};
use self::stretch::stretch;
use crate::BLOCK_FRAMES;
use crate::catalog::{PORTS_MAX, Told, state_of, words_of};
use crate::engine::cables::{Cables, Outlets};
use crate::engine::layout::{ModuleHead, Place, QUEUE, Tally};

/// Time in which the outlets of a bypassed module decay, and those of one that comes back fade in,
/// ms.
pub(super) const BYPASS_MS: f32 = 5.0;

/// Time over which the step of a changed choice is bridged, ms.
pub(super) const BRIDGE_MS: f32 = 5.0;

const _: () = assert!(CHOKE_MS >= BYPASS_MS);

/// What a module is told in the course of a block.
#[derive(Clone, Copy)]
pub(super) enum Task {
    Set { param: usize, value: f32, frames: u32, steps: bool },
    Told(Told),
}

/// A task and its frame within the block; chained by index, module by module.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) frame: usize,
    pub(super) task: Task,
    pub(super) next: Option<u16>,
}

/// What all modules share in a block.
pub(super) struct Scene<'a> {
    /// Absolute number of the block's first frame.
    pub(super) start: u64,
    pub(super) channels: usize,
    /// Frames between two gates of one module: a millisecond.
    pub(super) gate_gap: u64,
    pub(super) bypass_frames: u32,
    pub(super) bridge_frames: u32,
    pub(super) events: &'a [Event],
}

/// A module with its words taken apart.
struct Parts<'a> {
    head: &'a mut ModuleHead,
    ramps: &'a mut [Ramp],
    state: &'a mut [u64],
    /// The last frame of each outlet.
    last: &'a mut [f32],
    /// How far each outlet was from where it is now, when the bridge began.
    bridge: &'a mut [f32],
}

fn parts<'a>(place: &Place, words: &'a mut [u64]) -> Parts<'a> {
    let (head, rest) = words.split_at_mut(words_of::<ModuleHead>());
    let (ramps, rest) = rest.split_at_mut(place.params * words_of::<Ramp>());
    let (state, rows) = rest.split_at_mut(place.state_words);
    let (last, rest) = slice_of(rows).split_at_mut(place.width);
    let bridge = &mut rest[..if place.bridged { place.width } else { 0 }];
    Parts { head: state_of(head), ramps: slice_of(ramps), state, last, bridge }
}

/// Words as a row of `T`.
fn slice_of<T>(words: &mut [u64]) -> &mut [T]
where
    T: FromBytes + IntoBytes + zerocopy::Immutable,
{
    match <[T]>::mut_from_bytes(words.as_mut_bytes()) {
        Ok(row) => row,
        Err(_) => panic!("a row in the arena has another size than its layout"),
    }
}

/// The words of a module as it begins.
pub(super) fn initialise(place: &Place, words: &mut [u64]) {
    words.fill(0);
    let parts = parts(place, words);
    for (ramp, constant) in parts.ramps.iter_mut().zip(&place.build.constants) {
        *ramp = Ramp::at(*constant);
    }
    (place.kind.reset)(&place.build, parts.state);
}

/// The head of a module, to look at.
pub(super) fn head<'a>(place: &Place, arena: &'a [u64]) -> Option<&'a ModuleHead> {
    let words = &arena[place.words.start..place.words.start + words_of::<ModuleHead>()];
    ModuleHead::ref_from_bytes(words.as_bytes()).ok()
}

/// The ramp of a parameter, to look at.
pub(super) fn ramp<'a>(place: &Place, arena: &'a [u64], param: usize) -> Option<&'a Ramp> {
    if param >= place.params {
        return None;
    }
    let at = place.words.start + words_of::<ModuleHead>() + param * words_of::<Ramp>();
    Ramp::ref_from_bytes(arena[at..at + words_of::<Ramp>()].as_bytes()).ok()
}

/// A module's own words.
#[cfg(feature = "fault")]
pub(super) fn state<'a>(place: &Place, arena: &'a mut [u64]) -> &'a mut [u64] {
    let at = place.words.start + words_of::<ModuleHead>() + place.params * words_of::<Ramp>();
    &mut arena[at..at + place.state_words]
}

/// Where a parameter of a voice, which counts from 0, is going.
pub(super) fn voice_param(place: &Place, arena: &[u64], voice: usize, param: usize) -> Option<f32> {
    let at = place.words.start + words_of::<ModuleHead>() + place.params * words_of::<Ramp>();
    // A kind takes its state apart to be changed; nobody asks this on the audio path.
    let mut words = arena[at..at + place.state_words].to_vec();
    (place.kind.voice_param)(&place.build, &mut words, voice, param)
}

/// Takes a module out of the rendering. `[audio]`
pub(super) fn bypass(place: &Place, words: &mut [u64], frames: u32) {
    let parts = parts(place, words);
    if parts.head.bypassed == 0 {
        parts.head.bypassed = 1;
        parts.head.fade_left = frames;
    }
}

/// Brings a module back, as new but for what it was set to. `[audio]`
pub(super) fn revive(place: &Place, words: &mut [u64], frames: u32) {
    let parts = parts(place, words);
    if parts.head.bypassed != 0 {
        parts.head.bypassed = 0;
        parts.head.level = 0.0;
        parts.head.waiting = 0;
        parts.head.bridge_left = 0;
        parts.head.steps = 0;
        parts.head.fade_left = if place.kind.bridged { frames } else { 0 };
        parts.last.fill(0.0);
        (place.kind.reset)(&place.build, parts.state);
    }
}

/// Empties what could still ring. Envelopes are choked elsewhere and may sound again. `[audio]`
pub(super) fn silence(place: &Place, words: &mut [u64]) {
    if !place.kind.spec.has_gate {
        (place.kind.reset)(&place.build, parts(place, words).state);
    }
}

/// Renders the block of one module; whether it was finite. `[audio]`
pub(super) fn play(
    place: &Place,
    words: &mut [u64],
    (cables, outlets): (&mut Cables, &mut Outlets),
    scene: &Scene<'_>,
    first: Option<u16>,
    tally: &mut Tally,
) -> bool {
    let mut parts = parts(place, words);
    cables.exchange(place, outlets);
    let (sound, still) = if parts.head.bypassed != 0 {
        skip(scene, first, tally);
        decay(place, parts.last, outlets, parts.head.fade_left, scene.bypass_frames);
        parts.head.fade_left = parts.head.fade_left.saturating_sub(BLOCK_FRAMES as u32);
        (true, 0)
    } else {
        let still = stretches(place, &mut parts, cables, outlets, scene, first, tally);
        (place.kind.end_block)(&place.build, parts.state);
        let sound = is_sound(place, outlets, still);
        if !sound {
            (place.kind.reset)(&place.build, parts.state);
            let frames = BLOCK_FRAMES as u32;
            decay(place, parts.last, outlets, frames, frames);
            parts.head.fade_left = if place.kind.bridged { scene.bypass_frames } else { 0 };
        }
        let still = if sound { still } else { 0 };
        remember(place, parts.last, outlets, still);
        (sound, still)
    };
    fill(place, outlets, still & place.kept, (0, BLOCK_FRAMES));
    cables.exchange(place, outlets);
    cables.mark(place, still);
    sound
}

/// Counts what a bypassed module is told.
fn skip(scene: &Scene<'_>, first: Option<u16>, tally: &mut Tally) {
    let mut next = first;
    while let Some(event) = next.and_then(|at| scene.events.get(usize::from(at))) {
        tally.skipped += 1;
        next = event.next;
    }
}

/// Whether all samples are finite.
fn is_sound(place: &Place, outlets: &Outlets, still: u32) -> bool {
    for (at, outlet) in place.outlets().iter().enumerate() {
        let page = &outlets[at];
        if outlet.page.is_none() {
            continue;
        }
        let looked_at = if still >> at & 1 == 1 {
            &page[..outlet.stride]
        } else if place.bounded {
            &page[page.len() - outlet.stride..]
        } else {
            &page[..]
        };
        if !all_finite(looked_at) {
            return false;
        }
    }
    true
}

/// Writes the first of frames `from..to` to all of them, in each outlet that rests.
fn fill(place: &Place, outlets: &mut Outlets, still: u32, (from, to): (usize, usize)) {
    if still == 0 {
        return;
    }
    for (at, (page, outlet)) in outlets.iter_mut().zip(place.outlets()).enumerate() {
        if still >> at & 1 == 1 && outlet.page.is_some() {
            by_stride!(outlet.stride, W => {
                let part = &mut page[from * W..to * W];
                let first: Option<[f32; W]> = part.first_chunk().copied();
                if let Some(first) = first {
                    repeat(&first, part);
                }
            });
        }
    }
}

/// Renders from event to event; bit n of what comes back: all frames of outlet n are alike, and
/// only the first was written.
fn stretches(
    place: &Place,
    parts: &mut Parts<'_>,
    cables: &mut Cables,
    outlets: &mut Outlets,
    scene: &Scene<'_>,
    first: Option<u16>,
    tally: &mut Tally,
) -> u32 {
    let mut next = first;
    let mut at = 0;
    loop {
        let now = scene.start + at as u64;
        while let Some(event) = next.and_then(|index| scene.events.get(usize::from(index))) {
            if event.frame > at {
                break;
            }
            cables.settled[place.index] = false;
            perform(place, parts, event.task, now, scene, tally);
            next = event.next;
        }
        release_gates(place, parts, now, scene);
        let mut to = BLOCK_FRAMES;
        if let Some(event) = next.and_then(|index| scene.events.get(usize::from(index))) {
            to = to.min(event.frame);
        }
        if parts.head.waiting > 0 {
            // After `release_gates` the next one is due later than now.
            let due = parts.head.next_gate.saturating_sub(scene.start).max(at as u64 + 1);
            to = to.min(due.min(BLOCK_FRAMES as u64) as usize);
        }
        let still = stretch(place, parts, cables, outlets, (at, to), scene);
        let bridging = place.bridged && (parts.head.steps != 0 || parts.head.bridge_left > 0);
        let fading = parts.head.fade_left > 0;
        if at == 0 && to == BLOCK_FRAMES && !bridging && !fading {
            return still;
        }
        fill(place, outlets, still, (at, to));
        if bridging {
            cross(place, parts, outlets, (at, to), scene);
        }
        if fading {
            rise(place, parts, outlets, (at, to), scene);
        }
        at = to;
        if at == BLOCK_FRAMES {
            return 0;
        }
    }
}

/// Does one task.
fn perform(
    place: &Place,
    parts: &mut Parts<'_>,
    task: Task,
    now: u64,
    scene: &Scene<'_>,
    tally: &mut Tally,
) {
    match task {
        Task::Set { param, value, frames, steps } => {
            set(place, parts, param, value, frames, steps);
        }
        Task::Told(Told::Gate { level }) => {
            release_gates(place, parts, now, scene);
            let waiting = parts.head.waiting as usize;
            if waiting == 0 && now >= parts.head.next_gate {
                move_gate(place, parts, level, now, scene);
            } else if waiting < QUEUE {
                parts.head.queue[waiting] = level;
                parts.head.waiting += 1;
            } else {
                // What the player did last is what must hold in the end.
                parts.head.queue[QUEUE - 1] = level;
                tally.merged += 1;
            }
        }
        Task::Told(told) => {
            if told == Told::Choke {
                parts.head.waiting = 0;
                parts.head.level = 0.0;
            }
            tell(place, parts, told);
        }
    }
}

/// Lets a parameter go to a value; a choice takes a step.
fn set(place: &Place, parts: &mut Parts<'_>, param: usize, value: f32, frames: u32, steps: bool) {
    if let Some(ramp) = parts.ramps.get_mut(param) {
        let changes = ramp.target() != value;
        ramp.glide_to(value, frames);
        if steps && changes && place.bridged {
            parts.head.steps = 1;
        }
    }
}

/// Tells a module something, with what its parameters are set to.
fn tell(place: &Place, parts: &mut Parts<'_>, told: Told) {
    let mut params = [0.0; PORTS_MAX];
    for (param, ramp) in params.iter_mut().zip(parts.ramps.iter()) {
        *param = ramp.target();
    }
    (place.kind.tell)(&place.build, parts.state, told, &params);
}

/// Moves the gate if one waits and its millisecond has come.
fn release_gates(place: &Place, parts: &mut Parts<'_>, now: u64, scene: &Scene<'_>) {
    if parts.head.waiting > 0 && now >= parts.head.next_gate {
        let level = parts.head.queue[0];
        parts.head.queue.copy_within(1.., 0);
        parts.head.waiting -= 1;
        move_gate(place, parts, level, now, scene);
    }
}

fn move_gate(place: &Place, parts: &mut Parts<'_>, level: f32, now: u64, scene: &Scene<'_>) {
    tell(place, parts, Told::Gate { level });
    parts.head.level = level;
    parts.head.next_gate = now + scene.gate_gap;
}
