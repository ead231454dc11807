//! Wall time on the timeline: which frame a time tag means.
//!
//! *Invariant*: two tags a second apart mean as many frames apart as the device plays in a
//! second, as long as it goes on. Its clock is another than the wall's, so the line from one to
//! the other is turned slowly, never bent: a loop of the second order, with a time constant of
//! twenty seconds, follows what is seen. Only where the line is off by more than a period and a
//! little, for the device had stood still, does it begin anew.

use std::time::Duration;

/// Beyond the device's own steps: how far the playhead may be from the line, in seconds.
const SLACK_S: f64 = 0.02;
/// How much of what it is off the line is moved by in a second.
const FOLLOW: f64 = 0.05;
/// How much the slope is turned by in a second: half way to ringing.
const TURN: f64 = FOLLOW * FOLLOW / 4.0;
/// Sound devices are off by a tenth of this at most.
const TURN_MAX: f64 = 0.002;

/// A line from wall time to frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameClock {
    rate: f64,
    /// Frames by which a second of the device is longer, as a fraction.
    turned: f64,
    anchor: Option<(Duration, f64)>,
    last: u64,
}

impl FrameClock {
    /// A clock without an anchor yet.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), turned: 0.0, anchor: None, last: 0 }
    }

    /// Takes note that at `now` (since some beginning) the device had asked for `frame`, in
    /// steps of `period` frames.
    pub(crate) fn observe(&mut self, now: Duration, frame: u64, period: u64) {
        let seen = frame as f64;
        let slack = period as f64 + SLACK_S * self.rate;
        let Some(anchor) = self.anchor else {
            self.begin(now, frame);
            return;
        };
        let off = seen - self.line(anchor, now);
        if off.abs() > slack {
            self.begin(now, frame);
        } else if frame != self.last {
            // Between two steps the playhead only seems to fall behind.
            let passed = now.saturating_sub(anchor.0).as_secs_f64().min(1.0);
            let line = self.line(anchor, now);
            self.turned += off / self.rate * TURN * passed;
            self.turned = self.turned.clamp(-TURN_MAX, TURN_MAX);
            self.anchor = Some((now, line + off * FOLLOW * passed));
            self.last = frame;
        }
    }

    /// The frame at `moment`.
    pub(crate) fn frame(&self, moment: Duration) -> u64 {
        let frame = self.anchor.map_or(0.0, |anchor| self.line(anchor, moment));
        frame.round().max(0.0) as u64
    }

    fn begin(&mut self, now: Duration, frame: u64) {
        self.anchor = Some((now, frame as f64));
        self.last = frame;
    }

    fn line(&self, (at, frame): (Duration, f64), moment: Duration) -> f64 {
        frame + (moment.as_secs_f64() - at.as_secs_f64()) * self.rate * (1.0 + self.turned)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::FrameClock;

    #[test]
    fn tags_a_tenth_apart_are_4800_frames_apart_whatever_the_device_steps() {
        let mut clock = FrameClock::new(48_000);
        let mut frames = Vec::new();
        for ms in (0..1000).step_by(7) {
            let now = Duration::from_millis(ms);
            clock.observe(now, ms * 48 / 1024 * 1024, 1024);
            if ms % 700 == 0 {
                frames.push(clock.frame(now + Duration::from_millis(500)));
                frames.push(clock.frame(now + Duration::from_millis(600)));
            }
        }
        assert!(frames[1].abs_diff(frames[0] + 4800) <= 1, "{frames:?}");
        assert!(frames[2].abs_diff(frames[0] + 33_600) <= 8, "{frames:?}");
    }

    /// S20: a quartz that is off by a ten-thousandth, for an hour.
    #[test]
    fn a_device_that_drifts_is_followed_without_a_jump() {
        for ppm in [-100.0, 100.0] {
            let speed = 48_000.0 * (1.0 + ppm / 1e6);
            let mut clock = FrameClock::new(48_000);
            let mut last: Option<u64> = None;
            let (mut worst, mut step) = (0, 0);
            for ms in (0..3_600_000_u64).step_by(3) {
                let now = Duration::from_millis(ms);
                let played = now.as_secs_f64() * speed;
                clock.observe(now, played as u64 / 256 * 256, 256);
                if ms % 999 == 0 {
                    let tag = clock.frame(now + Duration::from_secs(1));
                    worst = worst.max(tag.abs_diff((played + speed) as u64));
                    if let Some(last) = last {
                        step = step.max((tag - last).abs_diff(47_952));
                    }
                    last = Some(tag);
                }
            }
            assert!(worst < 480, "{worst} frames off at {ppm} ppm");
            assert!(step < 24, "two tags a second apart are off by {step} at {ppm} ppm");
        }
    }

    #[test]
    fn a_device_that_stood_still_is_followed() {
        let mut clock = FrameClock::new(48_000);
        clock.observe(Duration::ZERO, 0, 64);
        clock.observe(Duration::from_secs(10), 48_000, 64);
        assert_eq!(clock.frame(Duration::from_secs(11)), 96_000);
    }
}
