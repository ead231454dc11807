//! What a sampled wave lacks where it jumps or bends, so that it has no partials beyond hearing.
//!
//! *Source*: the band-limited step (E. Brandt, "Hard sync without aliasing", 2001) and ramp (F.
//! Esqueda, V. Välimäki, S. Bilbao, "Rounding corners with BLAMP", 2016), here as the integrals of
//! a sinc under a Kaiser window, symmetric in time: the wave comes [`DELAY`] frames late.
//!
//! *Invariant*: the tables are worked out by the compiler in IEEE arithmetic, so they are the
//! same on every machine.

use std::hint::black_box;

/// Frames that an edge reaches into.
pub const TAPS: usize = 24;

/// Frames by which a wave with edges comes late: 0.25 ms at 48 kHz.
pub const DELAY: usize = TAPS / 2;

/// Places between two frames for which the table has a row of its own.
const PHASES: usize = 64;

/// Where the kernel has fallen by half, cycles a frame: at 48 kHz 21.4 kHz, so that it is flat to
/// 18 kHz and 56 dB down at 25 kHz, the first partial of a saw at 5 kHz that folds back.
const CORNER: f64 = 0.446;

/// Shape of the Kaiser window: side lobes of 60 dB.
const BETA: f64 = 5.65;

type Table = [[f32; TAPS]; PHASES + 1];

/// What a unit step lacks, by the place of the step before the first of its frames, and frame.
static STEP: Table = table(false);

/// What a ramp that begins with a slope of one a frame lacks.
static RAMP: Table = table(true);

/// Adds to `column` of the rows what a step of `jump` lacks that came `since` frames (0 to 1)
/// before the frame of the first row.
///
/// Panics if there are fewer than [`TAPS`] rows. `[audio]`
#[inline]
pub fn step<const W: usize>(rows: &mut [[f32; W]], column: usize, since: f32, jump: f32) {
    add(&STEP, rows, column, since, jump);
}

/// The same for a bend: `bend` is what the slope changes by, a frame. `[audio]`
#[inline]
pub fn bend<const W: usize>(rows: &mut [[f32; W]], column: usize, since: f32, bend: f32) {
    add(&RAMP, rows, column, since, bend);
}

#[inline(always)]
fn add<const W: usize>(
    table: &Table,
    rows: &mut [[f32; W]],
    column: usize,
    since: f32,
    amount: f32,
) {
    let place = since * PHASES as f32;
    // A damaged checkpoint may hold anything; the conversion saturates.
    let row = (place as usize).min(PHASES - 1);
    let part = place - row as f32;
    let (here, next) = (&table[row], &table[row + 1]);
    // First side by side, which vectors can, then each to its own row: a compiler that sees both
    // as one does neither well.
    let mut lacks = [0.0; TAPS];
    for tap in 0..TAPS {
        lacks[tap] = (here[tap] + (next[tap] - here[tap]) * part) * amount;
    }
    for (out, lacks) in rows[..TAPS].iter_mut().zip(black_box(lacks)) {
        out[column] += lacks;
    }
}

const fn table(ramp: bool) -> Table {
    const POINTS: usize = TAPS * PHASES;
    let spacing = 1.0 / PHASES as f64;
    let mut step = [0.0; POINTS + 1];
    let mut before = kernel(0);
    let mut at = 1;
    while at <= POINTS {
        let now = kernel(at);
        step[at] = step[at - 1] + 0.5 * (before + now) * spacing;
        before = now;
        at += 1;
    }
    // What is lacking at each place, before the step and behind it; where the step is, both.
    let whole = step[POINTS];
    let mut lacks = [0.0; POINTS + 1];
    let mut sum = 0.0;
    at = 0;
    while at <= POINTS {
        let behind = if at >= POINTS / 2 { 1.0 } else { 0.0 };
        lacks[at] = step[at] / whole - behind;
        if ramp {
            let lacked = if at == 0 { 0.0 } else { step[at - 1] / whole };
            let from = if at > POINTS / 2 { 1.0 } else { 0.0 };
            sum += 0.5 * (lacked - from + step[at] / whole - from) * spacing;
            lacks[at] = sum;
        }
        at += 1;
    }
    let mut table = [[0.0; TAPS]; PHASES + 1];
    let mut phase = 0;
    while phase <= PHASES {
        let mut tap = 0;
        while tap < TAPS {
            // Just before the step: what comes at the end of a row belongs to the tap's own side.
            let edge = phase == PHASES && tap + 1 == TAPS / 2 && !ramp;
            let value = lacks[tap * PHASES + phase] + if edge { 1.0 } else { 0.0 };
            table[phase][tap] = value as f32;
            tap += 1;
        }
        phase += 1;
    }
    table
}

/// The kernel at a point of the table.
const fn kernel(at: usize) -> f64 {
    let frames = at as f64 / PHASES as f64 - DELAY as f64;
    let place = frames / DELAY as f64;
    let turn = 2.0 * CORNER * frames;
    let sinc = if at == TAPS * PHASES / 2 { 1.0 } else { sin_pi(turn) / (PI * turn) };
    sinc * bessel(BETA * BETA * (1.0 - place * place))
}

const PI: f64 = std::f64::consts::PI;

/// The modified Bessel function of order 0 at the root of `square`, by its series.
const fn bessel(square: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 24.0 {
        term *= square / (4.0 * n * n);
        sum += term;
        n += 1.0;
    }
    sum
}

/// sin(π·x), by its series around the nearest whole number.
const fn sin_pi(x: f64) -> f64 {
    let whole = (x + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let angle = (x - whole as f64) * PI;
    let square = angle * angle;
    let (mut sum, mut term, mut n) = (angle, angle, 2.0);
    while n < 22.0 {
        term *= -square / (n * (n + 1.0));
        sum += term;
        n += 2.0;
    }
    if whole % 2 == 0 { sum } else { -sum }
}

#[cfg(test)]
mod tests {
    use super::{DELAY, PHASES, RAMP, STEP, TAPS};

    #[test]
    fn a_step_is_a_half_where_it_is_and_whole_on_both_sides() {
        assert!((STEP[0][DELAY] + 0.5).abs() < 1e-6, "{}", STEP[0][DELAY]);
        assert!((STEP[PHASES][DELAY - 1] - 0.5).abs() < 1e-6);
        for table in [&STEP, &RAMP] {
            assert!(table[0][0].abs() < 1e-6 && table[PHASES][TAPS - 1].abs() < 1e-5);
        }
    }

    #[test]
    fn the_rows_go_over_into_each_other() {
        for tap in 0..TAPS - 1 {
            let jump = if tap == DELAY - 1 { 1.0 } else { 0.0 };
            assert!((STEP[PHASES][tap] - STEP[0][tap + 1] - jump).abs() < 1e-6, "step, {tap}");
            assert!((RAMP[PHASES][tap] - RAMP[0][tap + 1]).abs() < 1e-6, "ramp, {tap}");
        }
    }

    /// A ramp that turns flat lacks what the step lacks, summed up.
    #[test]
    fn the_ramp_is_the_integral_of_the_step() {
        for tap in 1..TAPS {
            let sum = (0..PHASES).fold(0.0, |sum, phase| {
                sum + 0.5 * (STEP[phase][tap] + STEP[phase + 1][tap]) / PHASES as f32
            });
            let rise = RAMP[PHASES][tap] - RAMP[0][tap];
            assert!((sum - rise).abs() < 1e-4, "tap {tap}: {sum} and {rise}");
        }
    }
}
