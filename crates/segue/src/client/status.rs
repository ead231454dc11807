//! `segue status`: what is going on, read from the engine's memory without asking anybody.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use segue_lockstep::Shape;
use segue_lockstep::snapshot::{Health, Snapshot, Views};
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
    let well = seen.snapshot.health == Health::Ok;
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
        if matches!(&looked, Ok(seen) if seen.snapshot.health == Health::Ok) {
            return looked;
        }
        if Instant::now() >= until {
            let why = match looked {
                Err(failure) => failure.text,
                Ok(seen) => {
                    let word = report::health_word(seen.snapshot.health);
                    format!("{word}: {}", seen.snapshot.problems.join("; "))
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
