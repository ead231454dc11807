//! `segue status`: what is going on, read from the engine's memory without asking anybody.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use segue_lockstep::Shape;
use segue_lockstep::monitor::State;
use segue_lockstep::snapshot::{Health, SlotSnapshot, Snapshot, Views};
use segue_sys::clock;

use super::{report, visit};
use crate::cli::StatusArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};
use crate::host::door::Visit;

/// How often an engine is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often `--watch` shows it.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Shows the status, or waits until it is good.
pub(crate) fn status(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let seen = match args.wait {
        Some(wait) => wait_until_ok(args, wait)?,
        None => Seen::look(&visit(&args.engine)?),
    };
    seen.show(args.json);
    if args.watch {
        return watch(args);
    }
    let well = report::diagnosis(&seen.snapshot).0 == Health::Ok;
    Ok(if args.check && !well { Exit::No } else { Exit::Done }.into())
}

/// Shows it again and again, until the engine has gone.
fn watch(args: &StatusArgs) -> Result<ExitCode, Failure> {
    loop {
        pause(SHOW_EVERY);
        Seen::look(&visit(&args.engine)?).show(args.json);
    }
}

/// An engine at one moment.
pub(crate) struct Seen {
    shape: Shape,
    /// What was found.
    pub(crate) snapshot: Snapshot,
}

impl Seen {
    /// Looks at an engine.
    pub(crate) fn look(visit: &Visit) -> Self {
        let mut views = Views {
            shape: visit.shape,
            orders: visit.orders.clone(),
            status: visit.status.clone(),
            slots: visit.slots.clone(),
            inbox: visit.inbox.clone(),
            tap: visit.tap.clone(),
            plans: visit.plans.clone(),
        };
        let snapshot = Snapshot::read(&mut views, clock::monotonic_ns());
        Self { shape: visit.shape, snapshot }
    }

    /// Whether every slot is in lockstep and block 0 is played: nobody would hear the loss of one.
    /// What is wrong with the device, or with the journal, is told and is no reason to wait.
    pub(crate) fn is_whole(&self) -> bool {
        let Snapshot { primary, playhead, slots, .. } = &self.snapshot;
        let plays = |slot: &SlotSnapshot| slot.state == State::Lockstep && !slot.stalled;
        primary.is_some() && *playhead > 0 && slots.iter().all(plays)
    }

    fn show(&self, json: bool) {
        if json {
            let value = report::json(&self.snapshot, &self.shape);
            tell!("{}", serde_json::to_string_pretty(&value).expect("status can be written"));
        } else {
            tell!("{}", report::text(&self.snapshot, &self.shape).trim_end());
        }
    }
}

fn wait_until_ok(args: &StatusArgs, wait: Duration) -> Result<Seen, Failure> {
    let until = Instant::now() + wait;
    loop {
        let looked = visit(&args.engine).map(|visit| Seen::look(&visit));
        let found = looked.as_ref().map(|seen| report::diagnosis(&seen.snapshot));
        if matches!(found, Ok((Health::Ok, _))) {
            return looked;
        }
        if Instant::now() >= until {
            let why = match found {
                Err(failure) => failure.text.clone(),
                Ok((health, problems)) => {
                    format!("{}: {}", report::health_word(health), problems.join("; "))
                }
            };
            let text = format!("not healthy after {:.1} s: {why}", wait.as_secs_f64());
            return Err(Failure::new(Exit::TryAgain, text));
        }
        pause(LOOK_EVERY);
    }
}

/// Lets time go by.
pub(crate) fn pause(time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    clock::sleep_until_ns(clock::monotonic_ns().saturating_add(time));
}

#[cfg(test)]
mod tests {
    use segue_lockstep::Shape;
    use segue_lockstep::memory::plans::Plans;
    use segue_lockstep::memory::status::SlotFacts;
    use segue_lockstep::monitor::State;
    use segue_lockstep::playout::Parts;
    use segue_lockstep::snapshot::{Health, Snapshot, Views};
    use segue_sys::Region;

    use super::Seen;

    /// S37: all is healed that can be heard, whatever becomes of the device.
    #[test]
    fn an_engine_whose_device_is_mute_is_whole_when_all_are_in_lockstep() {
        let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
        let Parts { orders, slots, inbox, tap, status } = Parts::on_heap(&shape).unwrap();
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        let facts = |state: State| SlotFacts { state: state.to_word(), ..SlotFacts::default() };
        status.set_trouble("pulse:speakers does not call; it is looked for");
        orders.set_primary(Some(0));
        let mut views = Views { shape, orders, status, slots, inbox, tap, plans };
        let mut look = |states: [State; 2], playhead| {
            (0..2).for_each(|slot| views.status.set_slot(slot, facts(states[slot])));
            views.orders.set_playhead(playhead);
            let snapshot = Snapshot::read(&mut views, 1);
            (snapshot.health, Seen { shape, snapshot }.is_whole())
        };
        assert_eq!(look([State::Lockstep; 2], 1), (Health::Silent, true));
        assert_eq!(look([State::Lockstep; 2], 0), (Health::Silent, false));
        assert_eq!(look([State::Lockstep, State::Joining], 1), (Health::Silent, false));
    }
}
