//! One module through one block: cut where it is told something, whole everywhere else.

use segue_dsp::by_stride;
use segue_dsp::control::adsr::CHOKE_MS;
use segue_dsp::math::all_finite;
use segue_dsp::ramp::Ramp;
use segue_dsp::signal::Signal;
use zerocopy::{FromBytes, IntoBytes};

use crate::BLOCK_FRAMES;
use crate::catalog::{ModuleSpec, OUTLETS_MAX, PORTS_MAX, Panel, Told, state_of, words_of};
use crate::engine::cables::{Cables, Outlets};
use crate::engine::layout::{ModuleHead, Place, QUEUE, Tally};
use crate::engine::mix::{Mixed, mix};

/// Time in which the outlets of a bypassed module decay, ms.
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
pub(super) fn initialise(place: &Place, spec: &ModuleSpec, constants: &[f32], words: &mut [u64]) {
    words.fill(0);
    let parts = parts(place, words);
    for ((ramp, constant), _) in parts.ramps.iter_mut().zip(constants).zip(spec.params) {
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
pub(super) fn revive(place: &Place, words: &mut [u64]) {
    let parts = parts(place, words);
    if parts.head.bypassed != 0 {
        parts.head.bypassed = 0;
        parts.head.level = 0.0;
        parts.head.waiting = 0;
        parts.head.bridge_left = 0;
        parts.head.steps = 0;
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
    cables: &mut Cables,
    scene: &Scene<'_>,
    first: Option<u16>,
    tally: &mut Tally,
) -> bool {
    let mut parts = parts(place, words);
    let mut outlets = cables.take(place);
    if parts.head.bypassed != 0 {
        let mut next = first;
        while let Some(event) = next.and_then(|at| scene.events.get(usize::from(at))) {
            tally.skipped += 1;
            next = event.next;
        }
        decay(place, parts.last, &mut outlets, parts.head.fade_left, scene.bypass_frames);
        parts.head.fade_left = parts.head.fade_left.saturating_sub(BLOCK_FRAMES as u32);
        cables.put(place, outlets, 0);
        return true;
    }
    let mut still = stretches(place, &mut parts, cables, &mut outlets, scene, first, tally);
    (place.kind.end_block)(&place.build, parts.state);
    let sound = is_sound(place, &outlets, still);
    if !sound {
        (place.kind.reset)(&place.build, parts.state);
        let frames = BLOCK_FRAMES as u32;
        decay(place, parts.last, &mut outlets, frames, frames);
        still = 0;
    }
    remember(place, parts.last, &outlets);
    cables.put(place, outlets, still);
    sound
}

/// Whether all samples are finite.
fn is_sound(place: &Place, outlets: &Outlets, still: u32) -> bool {
    for (at, outlet) in place.outlets().iter().enumerate() {
        let page = &outlets[at];
        // Of a page that rests one frame tells all, and it is the last that is kept.
        let one = place.kind.bounded || still >> at & 1 == 1;
        let from = if one { page.len().saturating_sub(outlet.stride) } else { 0 };
        if !all_finite(&page[from..]) {
            return false;
        }
    }
    true
}

/// Renders from event to event; bit n of what comes back: all frames of outlet n are alike.
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
    let mut still = 0;
    while at < BLOCK_FRAMES {
        let now = scene.start + at as u64;
        while let Some(event) = next.and_then(|index| scene.events.get(usize::from(index))) {
            if event.frame > at {
                break;
            }
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
        still = if place.ports.len() <= PORTS_FEW {
            stretch::<PORTS_FEW>(place, parts, cables, outlets, (at, to), scene)
        } else {
            stretch::<PORTS_MAX>(place, parts, cables, outlets, (at, to), scene)
        };
        if place.bridged && (parts.head.steps != 0 || parts.head.bridge_left > 0) {
            cross(place, parts, outlets, (at, to), scene);
            still = 0;
        }
        if at > 0 {
            still = 0;
        }
        at = to;
    }
    still
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
            if let Some(ramp) = parts.ramps.get_mut(param) {
                let changes = ramp.target() != value;
                ramp.glide_to(value, frames);
                if steps && changes && place.bridged {
                    parts.head.steps = 1;
                }
            }
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

/// Most types have no more ports than this, and less to be prepared for them.
const PORTS_FEW: usize = 8;

/// Renders frames `from..to`: ports first, then the module.
fn stretch<const PORTS: usize>(
    place: &Place,
    parts: &mut Parts<'_>,
    cables: &mut Cables,
    outlets: &mut Outlets,
    (from, to): (usize, usize),
    scene: &Scene<'_>,
) -> u32 {
    let Cables { pages, still, ports: buffers, lanes } = cables;
    let mut mixed = [Mixed::Direct; PORTS];
    let mut values = [0.0; PORTS];
    for (index, port) in place.ports.iter().enumerate() {
        let ramp = port.param.and_then(|param| parts.ramps.get_mut(param));
        mixed[index] = match ramp {
            Some(ramp) if port.cables.is_empty() && !ramp.is_moving() => {
                Mixed::Value(port.fit(ramp))
            }
            ramp => mix(port, ramp, (pages, still), (buffers, lanes), (from, to)),
        };
        if let Mixed::Value(value) = mixed[index] {
            values[index] = value;
        }
    }
    let buffers = &*buffers;
    let mut signals = [Signal::constant(&0.0); PORTS];
    for (index, port) in place.ports.iter().enumerate() {
        signals[index] = match mixed[index] {
            Mixed::Value(_) => Signal::constant(&values[index]),
            Mixed::Still => Signal::still(&buffers[port.buffer..], port.stride),
            Mixed::Buffer => Signal::cable(&buffers[port.buffer..], port.stride).skip(from),
            Mixed::Direct => {
                let page = port.cables.first().map_or(0, |cable| cable.page);
                if still[page] {
                    Signal::still(&pages[page], port.stride)
                } else {
                    Signal::cable(&pages[page], port.stride).skip(from)
                }
            }
        };
    }
    let mut rows: [&mut [f32]; OUTLETS_MAX] = Default::default();
    for (row, (page, outlet)) in rows.iter_mut().zip(outlets.iter_mut().zip(place.outlets())) {
        if outlet.page.is_some() {
            *row = &mut page[from * outlet.stride..to * outlet.stride];
        }
    }
    let mut panel = Panel {
        signals: &signals[..place.ports.len()],
        connected: place.connected,
        outlets: rows,
        still: 0,
        state: parts.state,
        build: &place.build,
        channels: scene.channels,
    };
    (place.kind.render)(&mut panel);
    panel.still
}

/// Bridges a step: what was there before runs out in a straight line beneath what is there now.
fn cross(
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
fn decay(place: &Place, last: &[f32], outlets: &mut Outlets, left: u32, total: u32) {
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

/// Keeps the last frame of all outlets.
fn remember(place: &Place, last: &mut [f32], outlets: &Outlets) {
    let mut first = 0;
    for (page, outlet) in outlets.iter().zip(place.outlets()) {
        let stride = outlet.stride;
        if outlet.page.is_some() {
            let (kept, page) = (&mut last[first..first + stride], &page[page.len() - stride..]);
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
