//! One module through one block: cut where it is told something, whole everywhere else.

use segue_dsp::adsr::CHOKE_MS;
use segue_dsp::math::all_finite;
use segue_dsp::ramp::Ramp;
use segue_dsp::signal::Signal;
use zerocopy::{FromBytes, IntoBytes};

use crate::BLOCK_FRAMES;
use crate::catalog::{ModuleSpec, OUTLETS_MAX, PORTS_MAX, Panel, state_of, words_of};
use crate::engine::layout::{ModuleHead, Place, QUEUE, Tally};
use crate::engine::mix::{Mixed, mix};

/// Time in which the outlets of a bypassed module decay, ms.
pub(super) const BYPASS_MS: f32 = 5.0;

const _: () = assert!(CHOKE_MS >= BYPASS_MS);

/// What a module is told in the course of a block.
#[derive(Clone, Copy)]
pub(super) enum Task {
    Set { param: usize, value: f32, frames: u32 },
    Gate { level: f32 },
    Choke,
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
    pub(super) rate: f32,
    pub(super) channels: usize,
    /// Frames between two gates of one module: a millisecond.
    pub(super) gate_gap: u64,
    pub(super) bypass_frames: u32,
    pub(super) events: &'a [Event],
}

/// A module with its words taken apart.
struct Parts<'a> {
    head: &'a mut ModuleHead,
    ramps: &'a mut [Ramp],
    state: &'a mut [u64],
    last: &'a mut [f32],
}

fn parts<'a>(place: &Place, words: &'a mut [u64]) -> Parts<'a> {
    let (head, rest) = words.split_at_mut(words_of::<ModuleHead>());
    let (ramps, rest) = rest.split_at_mut(place.params * words_of::<Ramp>());
    let (state, last) = rest.split_at_mut(place.kind.state_words());
    Parts { head: state_of(head), ramps: slice_of(ramps), state, last: slice_of(last) }
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
pub(super) fn initialise(place: &Place, spec: &ModuleSpec, constants: &[f32], words: &mut [u64]) {
    words.fill(0);
    let parts = parts(place, words);
    for ((ramp, constant), _) in parts.ramps.iter_mut().zip(constants).zip(spec.params) {
        *ramp = Ramp::at(*constant);
    }
    place.kind.reset(parts.state);
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
    &mut arena[at..at + place.kind.state_words()]
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
pub(super) fn revive(place: &Place, words: &mut [u64]) {
    let parts = parts(place, words);
    if parts.head.bypassed != 0 {
        parts.head.bypassed = 0;
        parts.head.level = 0.0;
        parts.head.waiting = 0;
        parts.last.fill(0.0);
        place.kind.reset(parts.state);
    }
}

/// Empties what could still ring. Envelopes are choked elsewhere and may sound again. `[audio]`
pub(super) fn silence(place: &Place, words: &mut [u64]) {
    if !place.has_gate {
        place.kind.reset(parts(place, words).state);
    }
}

/// Renders the block of one module. `[audio]`
pub(super) fn play(
    place: &Place,
    words: &mut [u64],
    samples: &mut [f32],
    scene: &Scene<'_>,
    first: Option<u16>,
    tally: &mut Tally,
) -> bool {
    let mut parts = parts(place, words);
    let (earlier, own) = samples.split_at_mut(place.samples);
    let total: usize = place.outlet_strides.iter().sum();
    let (ports, rest) = own.split_at_mut(place.outlets - place.samples);
    let outlets = &mut rest[..total * BLOCK_FRAMES];
    if parts.head.bypassed != 0 {
        let mut next = first;
        while let Some(event) = next.and_then(|at| scene.events.get(usize::from(at))) {
            tally.skipped += 1;
            next = event.next;
        }
        decay(place, parts.last, outlets, parts.head.fade_left, scene.bypass_frames);
        parts.head.fade_left = parts.head.fade_left.saturating_sub(BLOCK_FRAMES as u32);
        return true;
    }
    let mut next = first;
    let mut at = 0;
    while at < BLOCK_FRAMES {
        let now = scene.start + at as u64;
        while let Some(event) = next.and_then(|index| scene.events.get(usize::from(index))) {
            if event.frame > at {
                break;
            }
            perform(place, &mut parts, event.task, now, scene, tally);
            next = event.next;
        }
        release_gates(place, &mut parts, now, scene);
        let mut to = BLOCK_FRAMES;
        if let Some(event) = next.and_then(|index| scene.events.get(usize::from(index))) {
            to = to.min(event.frame);
        }
        if parts.head.waiting > 0 {
            // After `release_gates` the next one is due later than now.
            let due = parts.head.next_gate.saturating_sub(scene.start).max(at as u64 + 1);
            to = to.min(due.min(BLOCK_FRAMES as u64) as usize);
        }
        stretch(place, &mut parts, earlier, ports, outlets, (at, to), scene);
        at = to;
    }
    place.kind.end_block(parts.state);
    let sound = all_finite(outlets);
    if !sound {
        place.kind.reset(parts.state);
        let frames = BLOCK_FRAMES as u32;
        decay(place, parts.last, outlets, frames, frames);
    }
    remember(place, parts.last, outlets);
    sound
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
        Task::Set { param, value, frames } => {
            if let Some(ramp) = parts.ramps.get_mut(param) {
                ramp.glide_to(value, frames);
            }
        }
        Task::Choke => {
            parts.head.waiting = 0;
            parts.head.level = 0.0;
            place.kind.choke(parts.state);
        }
        Task::Gate { level } => {
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
    }
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
    place.kind.gate(parts.state, level);
    parts.head.level = level;
    parts.head.next_gate = now + scene.gate_gap;
}

/// Renders frames `from..to`: ports first, then the module.
fn stretch(
    place: &Place,
    parts: &mut Parts<'_>,
    earlier: &[f32],
    buffers: &mut [f32],
    outlets: &mut [f32],
    (from, to): (usize, usize),
    scene: &Scene<'_>,
) {
    let mut mixed = [Mixed::Direct; PORTS_MAX];
    let mut values = [0.0; PORTS_MAX];
    for (index, port) in place.ports.iter().enumerate() {
        let ramp = port.param.and_then(|param| parts.ramps.get_mut(param));
        mixed[index] = mix(port, ramp, earlier, buffers, (from, to));
        if let Mixed::Value(value) = mixed[index] {
            values[index] = value;
        }
    }
    let buffers = &*buffers;
    let mut signals = [Signal::constant(&0.0); PORTS_MAX];
    for (index, port) in place.ports.iter().enumerate() {
        signals[index] = match mixed[index] {
            Mixed::Value(_) => Signal::constant(&values[index]),
            Mixed::Buffer => Signal::cable(&buffers[port.buffer..], port.stride).skip(from),
            Mixed::Direct => {
                let at = port.cables.first().map_or(0, |cable| cable.at);
                Signal::cable(&earlier[at..], port.stride).skip(from)
            }
        };
    }
    let (main, side) = outlets.split_at_mut(place.outlet_strides[0] * BLOCK_FRAMES);
    let cut = |row: usize| place.outlet_strides[row] * from..place.outlet_strides[row] * to;
    let outlets: [&mut [f32]; OUTLETS_MAX] = [&mut main[cut(0)], &mut side[cut(1)]];
    place.kind.render(&mut Panel {
        signals,
        connected: place.connected,
        outlets,
        state: parts.state,
        lanes: place.lanes,
        stride: place.stride,
        rate: scene.rate,
        channels: scene.channels,
    });
}

/// Lets the last samples of all outlets run out in a straight line: `left` of `total` frames are
/// still to come.
fn decay(place: &Place, last: &[f32], outlets: &mut [f32], left: u32, total: u32) {
    let (main, side) = outlets.split_at_mut(place.outlet_strides[0] * BLOCK_FRAMES);
    let (main_last, side_last) = last.split_at(place.outlet_strides[0]);
    for (row, last, stride) in
        [(main, main_last, place.outlet_strides[0]), (side, side_last, place.outlet_strides[1])]
    {
        if stride == 0 {
            continue;
        }
        for (frame, lanes) in row.chunks_exact_mut(stride).enumerate() {
            let gain = left.saturating_sub(frame as u32 + 1) as f32 / total as f32;
            for (out, last) in lanes.iter_mut().zip(last) {
                *out = last * gain;
            }
        }
    }
}

/// Keeps the last frame of all outlets.
fn remember(place: &Place, last: &mut [f32], outlets: &[f32]) {
    let mut kept = 0;
    let mut row = 0;
    for stride in place.outlet_strides {
        let end = row + stride * BLOCK_FRAMES;
        last[kept..kept + stride].copy_from_slice(&outlets[end - stride..end]);
        kept += stride;
        row = end;
    }
}
