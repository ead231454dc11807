//! OSC time tags on the timeline of frames.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1900, where OSC begins to count, to 1970.
const EPOCH_S: u64 = 2_208_988_800;
/// How far ahead a time tag is honoured.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(60);

/// A time tag as it stands in a bundle: 32.32 fixed-point seconds since 1900.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeTag(pub(crate) u64);

/// Where a time tag lies, seen from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// At once, as asked.
    Now,
    /// At once, though asked for this long ago.
    Late(Duration),
    /// In this time from now.
    In(Duration),
    /// Farther ahead than [`AHEAD_MAX`].
    Far,
}

impl TimeTag {
    /// "Immediately".
    pub(crate) const NOW: Self = Self(1);

    /// The tag of a moment; moments before 1970 become 1970.
    pub(crate) fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        Self(((since.as_secs() + EPOCH_S) << 32) | fraction)
    }

    /// Where it lies, seen from `now`.
    pub(crate) fn seen_from(self, now: SystemTime) -> When {
        // 0 is no time anybody means; some senders write it for "immediately".
        if self.0 <= Self::NOW.0 {
            return When::Now;
        }
        let now = Self::of(now).0;
        if self.0 < now {
            return When::Late(seconds(now - self.0));
        }
        match seconds(self.0 - now) {
            ahead if ahead > AHEAD_MAX => When::Far,
            ahead => When::In(ahead),
        }
    }
}

fn seconds(fixed: u64) -> Duration {
    Duration::from_secs(fixed >> 32)
        + Duration::from_nanos(((fixed & 0xffff_ffff) * 1_000_000_000) >> 32)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::{any, proptest};

    use super::{TimeTag, When};

    #[test]
    fn a_tag_is_seen_where_it_was_put() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let near = |duration: Duration, expected_ms: u64| {
            let ms = duration.as_secs_f64() * 1000.0;
            assert!((ms - expected_ms as f64).abs() < 0.001, "{ms} for {expected_ms}");
        };
        match TimeTag::of(now + Duration::from_millis(1250)).seen_from(now) {
            When::In(ahead) => near(ahead, 1250),
            other => panic!("{other:?}"),
        }
        match TimeTag::of(now - Duration::from_millis(30)).seen_from(now) {
            When::Late(late) => near(late, 30),
            other => panic!("{other:?}"),
        }
        assert_eq!(TimeTag::of(now + Duration::from_secs(61)).seen_from(now), When::Far);
        assert_eq!(TimeTag::NOW.seen_from(now), When::Now);
    }

    proptest! {
        #[test]
        fn no_tag_makes_this_panic(tag in any::<u64>()) {
            let _ = TimeTag(tag).seen_from(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        }
    }
}
