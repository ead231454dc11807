//! Wall time on the timeline: which frame a time tag means.
//!
//! *Invariant*: two tags a second apart mean frames a second apart, as long as the device goes
//! on: the line through one anchor is kept until it is off by more than a period and a little.

use std::time::Duration;

/// Beyond the device's own steps: how far the playhead may be from the line, in seconds.
const SLACK_S: f64 = 0.02;

/// A line from wall time to frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameClock {
    rate: f64,
    anchor: Option<(Duration, f64)>,
}

impl FrameClock {
    /// A clock without an anchor yet.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), anchor: None }
    }

    /// Takes note that at `now` (since some beginning) the device had asked for `frame`, in
    /// steps of `period` frames.
    pub(crate) fn observe(&mut self, now: Duration, frame: u64, period: u64) {
        let seen = frame as f64;
        let slack = period as f64 + SLACK_S * self.rate;
        let expected = self.anchor.map(|anchor| self.line(anchor, now));
        if expected.is_none_or(|expected| (seen - expected).abs() > slack) {
            self.anchor = Some((now, seen));
        }
    }

    /// The frame at `moment`.
    pub(crate) fn frame(&self, moment: Duration) -> u64 {
        let frame = self.anchor.map_or(0.0, |anchor| self.line(anchor, moment));
        frame.round().max(0.0) as u64
    }

    fn line(&self, (at, frame): (Duration, f64), moment: Duration) -> f64 {
        frame + (moment.as_secs_f64() - at.as_secs_f64()) * self.rate
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
        assert_eq!(frames[1] - frames[0], 4800);
        assert_eq!(frames[2] - frames[0], 33_600);
    }

    #[test]
    fn a_device_that_stood_still_is_followed() {
        let mut clock = FrameClock::new(48_000);
        clock.observe(Duration::ZERO, 0, 64);
        clock.observe(Duration::from_secs(10), 48_000, 64);
        assert_eq!(clock.frame(Duration::from_secs(11)), 96_000);
    }
}
