//! One stretch of one module: what arrives at its ports, and the kernel that renders it.

use segue_dsp::ramp::Ramp;
use segue_dsp::signal::Signal;

use crate::catalog::{PORTS_MAX, Panel};
use crate::engine::cables::{Cables, Outlets};
use crate::engine::layout::{PORTS_FEW, Place};
use crate::engine::mix::{Mixed, mix};
use crate::engine::module::{Parts, Scene};

/// Renders frames `from..to`: ports first, then the module. Of the outlets that are named in what
/// comes back, bit by bit, only the first frame was written: the others are like it.
pub(super) fn stretch(
    place: &Place,
    parts: &mut Parts<'_>,
    cables: &mut Cables,
    outlets: &mut Outlets,
    frames: (usize, usize),
    scene: &Scene<'_>,
) -> u32 {
    if place.ports.len() <= PORTS_FEW {
        render::<PORTS_FEW>(place, parts, cables, outlets, frames, scene)
    } else {
        render::<PORTS_MAX>(place, parts, cables, outlets, frames, scene)
    }
}

fn render<const PORTS: usize>(
    place: &Place,
    parts: &mut Parts<'_>,
    cables: &mut Cables,
    outlets: &mut Outlets,
    (from, to): (usize, usize),
    scene: &Scene<'_>,
) -> u32 {
    let Cables { pages, still, ports: buffers, lanes, constants, settled } = cables;
    // The layout made room for as many.
    let Some(row) = constants[place.constants..].first_chunk_mut::<PORTS>() else { return 0 };
    let mut mixing = place.mixes;
    if !settled[place.index] {
        let moving = settle(place, parts.ramps, row);
        settled[place.index] = moving == 0;
        mixing |= moving;
    }
    let mut mixed = [Mixed::Buffer; PORTS];
    for index in bits(mixing) {
        let port = &place.ports[index];
        let ramp = port.param.and_then(|param| parts.ramps.get_mut(param));
        mixed[index] = mix(port, ramp, (pages, still), (buffers, lanes), (from, to));
    }
    let mut signals: [Signal<'_>; PORTS] =
        std::array::from_fn(|index| Signal::constant(&row[index]));
    for index in bits(mixing) {
        let port = &place.ports[index];
        let buffer = &buffers[port.buffer..];
        signals[index] = match mixed[index] {
            Mixed::Still => Signal::still(buffer, port.stride),
            Mixed::Buffer => Signal::cable(buffer, port.stride).skip(from),
        };
    }
    for (index, page) in &place.direct {
        let stride = place.ports[*index].stride;
        signals[*index] = if still[*page] {
            Signal::still(&pages[*page], stride)
        } else {
            Signal::cable(&pages[*page], stride).skip(from)
        };
    }
    let mut panel = Panel {
        signals: &signals[..place.ports.len()],
        connected: place.connected,
        outlets: Default::default(),
        still: 0,
        state: parts.state,
        build: &place.build,
        channels: scene.channels,
    };
    let rows = panel.outlets.iter_mut().zip(outlets.iter_mut());
    for ((row, page), outlet) in rows.zip(place.outlets()) {
        if outlet.page.is_some() {
            *row = &mut page[from * outlet.stride..to * outlet.stride];
        }
    }
    (place.kind.render)(&mut panel);
    panel.still
}

/// Writes what the ports stand at that no cable feeds; bit n of what comes back: the constant of
/// port n is on its way, so that it has to be mixed.
fn settle<const PORTS: usize>(place: &Place, ramps: &[Ramp], row: &mut [f32; PORTS]) -> u32 {
    let mut moving = 0;
    for (index, (port, value)) in place.ports.iter().zip(row).enumerate() {
        if let Some(ramp) = port.param.and_then(|param| ramps.get(param)) {
            moving |= u32::from(ramp.is_moving()) << index;
            *value = port.fit(ramp);
        }
    }
    moving
}

/// The numbers of the bits that are set, lowest first.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(lowest)
    })
}
