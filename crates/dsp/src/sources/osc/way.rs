//! The edges that lie between two frames of a voice.

use crate::math::clamp;
use crate::sources::edge;
use crate::sources::osc::wave::{HALF, QUARTER, corner};
use crate::sources::osc::{NO_PULSE, Shape};

/// Rounds the edges of all voices that have one in this frame: phase, last turn, where a pulse
/// falls, its state before and now. Called for few frames, and never inlined, so that where it is
/// not called the phases stay in registers.
#[inline(never)]
pub(super) fn round_all<const W: usize>(
    shape: Shape,
    [phase, last, shift, was, high]: &[[u32; W]; 5],
    rows: &mut [[f32; W]],
) {
    for lane in 0..W {
        let way = Way { phase: phase[lane], last: last[lane], shift: shift[lane] };
        way.round(shape, (was[lane], high[lane]), rows, lane);
    }
}

/// One voice on its way from the frame before to this one.
pub(super) struct Way {
    pub(super) phase: u32,
    pub(super) last: u32,
    /// Where a pulse falls.
    pub(super) shift: u32,
}

impl Way {
    /// Rounds every edge on the way; `was` and `high` are the states of a pulse.
    #[inline(always)]
    pub(super) fn round<const W: usize>(
        &self,
        shape: Shape,
        (was, high): (u32, u32),
        rows: &mut [[f32; W]],
        lane: usize,
    ) {
        match shape {
            Shape::Sine => {}
            Shape::Saw => {
                let beyond = self.phase.wrapping_add(HALF);
                if beyond < self.last {
                    edge::step(rows, lane, self.part(beyond), -2.0);
                }
            }
            Shape::Square => self.round_pulse(was, high, rows, lane),
            Shape::Triangle => {
                let beyond = corner(self.phase) >> 1;
                if beyond < self.last {
                    // Behind the crest it falls, behind the trough it rises.
                    let down = self.phase.wrapping_sub(QUARTER) < HALF;
                    let bend = 8.0 * self.last as f32 * (1.0 / 4_294_967_296.0);
                    let bend = if down { -bend } else { bend };
                    edge::bend(rows, lane, self.part(beyond), bend);
                }
            }
        }
    }

    /// The width may have moved meanwhile: what was high and is low has fallen, whatever the
    /// phase says about where.
    #[inline(always)]
    fn round_pulse<const W: usize>(&self, was: u32, high: u32, rows: &mut [[f32; W]], lane: usize) {
        if was >= NO_PULSE {
            return;
        }
        let fallen = self.part(self.phase.wrapping_sub(self.shift));
        let mut state = was;
        if self.phase < self.last {
            if state == 1 {
                edge::step(rows, lane, fallen, -2.0);
            }
            edge::step(rows, lane, self.part(self.phase), 2.0);
            state = 1;
        }
        if state != high {
            edge::step(rows, lane, fallen, if high == 1 { 2.0 } else { -2.0 });
        }
    }

    /// How long ago, in frames, the phase was `beyond` less than now.
    #[inline(always)]
    fn part(&self, beyond: u32) -> f32 {
        clamp(beyond as f32 / self.last.max(1) as f32, 0.0, 1.0)
    }
}
