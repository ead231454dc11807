//! What is done to an engine, and when: all of it drawn from one seed.

use std::time::Duration;

use fastrand::Rng;

use crate::cli::chaos::Fault;

/// One of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// Whoever goes first by then.
    Primary,
    /// Another; the primary where there is none.
    Standby,
}

/// Something that is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blow {
    /// When, in time of the music, from the beginning of the campaign.
    pub(super) at: Duration,
    /// What.
    pub(super) fault: Fault,
    /// To whom, if it is done to a worker.
    pub(super) victim: Victim,
    /// How long it lasts, if it lasts.
    pub(super) length: Duration,
    /// For what is left to chance within it.
    pub(super) seed: u64,
}

/// The blows of a campaign, one each `every`, at a moment of chance within its first half.
pub(super) fn campaign(
    seed: u64,
    faults: &[Fault],
    length: Duration,
    every: Duration,
) -> Vec<Blow> {
    let mut rng = Rng::with_seed(seed);
    let mut blows = Vec::new();
    let mut from = Duration::ZERO;
    while from + every <= length && !faults.is_empty() {
        let fault = faults[rng.usize(..faults.len())];
        blows.push(Blow {
            at: from + every.mul_f64(rng.f64() / 2.0),
            fault,
            victim: if rng.bool() { Victim::Primary } else { Victim::Standby },
            length: Duration::from_millis(rng.u64(1..=500)),
            seed: rng.u64(..),
        });
        from += every;
    }
    blows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, campaign};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_same_seed_is_the_same_campaign_and_another_is_not() {
        let drawn = |seed| campaign(seed, &Fault::UNHEARD, 60 * SECOND, SECOND);
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(7).len(), 60);
        let all = drawn(7);
        assert!(all.windows(2).all(|two| two[0].at < two[1].at));
        assert!(Fault::UNHEARD.iter().all(|fault| all.iter().any(|blow| blow.fault == *fault)));
    }

    #[test]
    fn only_what_is_asked_for_is_drawn() {
        let drawn = campaign(1, &[Fault::All], 10 * SECOND, SECOND);
        assert!(drawn.len() == 10 && drawn.iter().all(|blow| blow.fault == Fault::All));
        assert!(campaign(1, &[], 10 * SECOND, SECOND).is_empty());
    }
}
