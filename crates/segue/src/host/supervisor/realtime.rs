//! Real-time priority for whom the kernel refuses it: a thread that asks rtkit, through a clerk.
//!
//! | thread | asks when |
//! |---|---|
//! | the monitor, playout, a device's callback | the kernel has refused it ([`priority::wishes`]) |
//! | a worker's | it is in lockstep; a joiner may have to run longer than rtkit allows |
//!
//! *Invariant*: nobody waits for this thread but the start, and that not for long. Whoever is
//! refused plays on; it is asked for again, later and later.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::status::Status;
use segue_lockstep::monitor::State;
use segue_sys::process::priority::{self, Scheduling, Urgency};
use segue_sys::process::{Child, Order, Spawner};

use crate::host::cures;
use crate::host::rtkit::{Answer, Ask, Hello};
use crate::host::wire;

/// How long the start waits for the first answer.
const FIRST: Duration = Duration::from_secs(2);
/// How long a clerk may take for one; longer than it gives the bus for both its questions.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often slots are looked at.
const LOOK: Duration = Duration::from_millis(25);
/// After a refusal, at first and at most.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// Not known yet; nobody granted it; rtkit did.
const UNKNOWN: u64 = u64::MAX;
const REFUSED: u64 = 0;
const BY_RTKIT: u64 = 2;

/// What was granted at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// By the kernel, at once.
    Kernel,
    /// By rtkit.
    Rtkit,
    /// Nobody needs it.
    NotAsked,
    /// Refused, for this reason.
    No(String),
}

impl Granted {
    /// As the status says it.
    pub(super) fn word(&self) -> u64 {
        match self {
            Self::Kernel => 1,
            Self::Rtkit => BY_RTKIT,
            Self::NotAsked | Self::No(_) => REFUSED,
        }
    }
}

/// Real-time priority of one engine.
#[derive(Debug)]
pub(super) struct Realtime {
    /// What [`segue_lockstep::memory::status::Fact::Realtime`] is to say, if rtkit is asked.
    word: Option<Arc<AtomicU64>>,
}

impl Realtime {
    /// Asks for the calling thread, the monitor's; where the kernel refuses, rtkit is asked from
    /// now on for all threads of this engine.
    pub(super) fn begin(freewheel: bool, orders: &Orders, status: &Status) -> (Self, Granted) {
        // Without a clock there is no hurry.
        if freewheel {
            return (Self { word: None }, Granted::NotAsked);
        }
        let Err(refused) = priority::ask_realtime(Urgency::Monitor) else {
            return (Self { word: None }, Granted::Kernel);
        };
        let word = Arc::new(AtomicU64::new(UNKNOWN));
        let (tell, first) = channel();
        let patron = Patron {
            orders: orders.clone(),
            status: status.clone(),
            word: word.clone(),
            first: Some(tell),
            clerk: None,
            most: None,
            again: Instant::now(),
            pause: AGAIN,
            told: String::new(),
        };
        let started = thread::Builder::new().name("realtime".into()).spawn(|| patron.run());
        let answer = match started {
            Ok(_) => first.recv_timeout(FIRST).unwrap_or_else(|_| Err("it does not answer".into())),
            Err(error) => Err(error.to_string()),
        };
        let granted = match answer {
            Ok(_) => Granted::Rtkit,
            Err(why) => Granted::No(format!("the kernel: {refused}; rtkit: {why}")),
        };
        (Self { word: Some(word) }, granted)
    }

    /// What the status says: 0 refused, 1 granted by the kernel, 2 by rtkit. `kernel` is what
    /// the driving thread was told, once that is known.
    pub(super) fn word(&self, kernel: Option<bool>) -> Option<u64> {
        match &self.word {
            None => kernel.map(u64::from),
            Some(word) => Some(word.load(Acquire)).filter(|word| *word != UNKNOWN),
        }
    }
}

/// Says once what was refused, and the cure.
pub(super) fn tell(granted: &Granted, lead: u64) {
    match granted {
        Granted::Kernel | Granted::NotAsked => {}
        Granted::Rtkit => tracing::info!("real-time priority is granted by rtkit"),
        Granted::No(why) => {
            tracing::warn!(
                "no real-time priority ({why}); on a busy machine blocks may be missed, so the \
                 lead is {lead} blocks. The cure: {}; or rtkit, in a login session",
                cures::PRIORITY.join("; ")
            );
        }
    }
}

/// The asking thread.
struct Patron {
    orders: Orders,
    status: Status,
    word: Arc<AtomicU64>,
    /// For the start, until it is told.
    first: Option<Sender<Answer>>,
    clerk: Option<(Child, Spawner)>,
    /// The highest priority rtkit gives.
    most: Option<u32>,
    /// Not before this.
    again: Instant,
    pause: Duration,
    told: String,
}

impl Patron {
    fn run(mut self) {
        loop {
            let heard = priority::refused();
            if Instant::now() >= self.again {
                let answer = self.look();
                self.hear(&answer);
            }
            self.say();
            priority::wait_for_refusal(heard, LOOK);
        }
    }

    /// Asks for whoever has not what it should have; the first refusal ends the round.
    fn look(&mut self) -> Answer {
        let mut last = Ok(0);
        for (pid, thread, urgency) in self.threads() {
            let most = match self.most {
                Some(most) => most,
                None => self.ask(Ask::Most)?,
            };
            self.most = Some(most);
            let level = urgency.level_within(most).unsigned_abs();
            match lacks(priority::scheduling(thread), level) {
                Lack::Nothing => {}
                // A thread that has ended meanwhile needs nothing any more.
                Lack::TooMuch => {
                    let less = Scheduling { level, takes_turns: true };
                    // Whoever has ended meanwhile has less.
                    let _ = priority::reschedule(thread, less);
                }
                Lack::Priority => match self.ask(Ask::Grant { pid, thread, level }) {
                    Err(_) if priority::scheduling(thread).is_none() => {}
                    answer => last = Ok(answer?),
                },
            }
        }
        last
    }

    /// Threads that want priority: of which process, and how urgently.
    fn threads(&self) -> Vec<(u32, u32, Urgency)> {
        let own = std::process::id();
        let mut all: Vec<_> = priority::wishes()
            .into_iter()
            .map(|(thread, urgency)| (own, thread, urgency))
            .collect();
        let primary = self.orders.primary();
        let slots = self.status.fact(segue_lockstep::memory::status::Fact::Slots);
        for slot in 0..usize::try_from(slots).unwrap_or(0) {
            let facts = self.status.slot(slot);
            let pid = u32::try_from(facts.pid).unwrap_or(0);
            if pid == 0 || State::from_word(facts.state) != State::Lockstep {
                continue;
            }
            let urgency = match primary == Some(slot) {
                true => Urgency::Primary,
                false => Urgency::Standby,
            };
            // A worker renders on its first thread.
            all.push((pid, pid, urgency));
        }
        all
    }

    fn ask(&mut self, ask: Ask) -> Answer {
        let answer = self.question(ask).unwrap_or_else(|error| Err(error.to_string()));
        if answer.is_err() {
            self.most = None;
        }
        answer
    }

    fn question(&mut self, ask: Ask) -> std::io::Result<Answer> {
        let (child, _) = match &self.clerk {
            Some(clerk) => clerk,
            None => self.clerk.insert(employ()?),
        };
        let asked = (|| {
            child.socket().send(&wire::encode(&ask)?, &[])?;
            let mut bytes = [0; 4096];
            let got = child.socket().receive(&mut bytes)?;
            wire::decode::<Answer>(&bytes[..got.length])
        })();
        if asked.is_err() {
            // It hangs or is gone; dropping it ends it, and the next question gets another.
            self.clerk = None;
        }
        asked.map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => std::io::Error::other("it does not answer"),
            _ => error,
        })
    }

    fn hear(&mut self, answer: &Answer) {
        if let Some(first) = self.first.take() {
            // The start may have stopped waiting.
            let _ = first.send(answer.clone());
            self.told = answer.clone().err().unwrap_or_default();
        }
        match answer {
            Ok(_) => {
                self.pause = AGAIN;
                if !std::mem::take(&mut self.told).is_empty() {
                    tracing::info!("real-time priority is granted by rtkit now");
                }
            }
            Err(why) => {
                if *why != self.told {
                    tracing::warn!("real-time priority: {why}; asked again later");
                    self.told.clone_from(why);
                }
                self.again = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(AGAIN_MAX);
            }
        }
    }

    /// The word for the status: granted when all threads of this process have it.
    fn say(&self) {
        let wishes = priority::wishes();
        let has = |(thread, _): &(u32, Urgency)| {
            priority::scheduling(*thread).is_some_and(|it| it.level > 0)
        };
        let word = if wishes.iter().all(has) { BY_RTKIT } else { REFUSED };
        self.word.store(word, Release);
    }
}

/// What a thread has to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// It has what it should have, or was given priority by somebody else, or has ended.
    Nothing,
    /// It became primary: everybody may have less, and that is not worth a question.
    TooMuch,
    /// It has none, or too little.
    Priority,
}

/// What a thread lacks that should have `level` of rtkit's.
fn lacks(now: Option<Scheduling>, level: u32) -> Lack {
    match now {
        None => Lack::Nothing,
        // rtkit gives turns; what does not take turns is of the kernel or a server's library.
        Some(Scheduling { level: has, takes_turns: false }) if has > 0 => Lack::Nothing,
        Some(Scheduling { level: has, .. }) if has > level => Lack::TooMuch,
        Some(Scheduling { level: has, .. }) if has < level => Lack::Priority,
        Some(_) => Lack::Nothing,
    }
}

/// Starts a clerk.
fn employ() -> std::io::Result<(Child, Spawner)> {
    // Its own: the kernel ends a child with the thread that started it, and this one lives on.
    let spawner = Spawner::start()?;
    let order = Order { arguments: vec!["rtkit".into()], environment: Vec::new() };
    let child = spawner.spawn(order)?;
    child.socket().set_timeout(PATIENCE)?;
    let hello = Hello { parent: std::process::id(), build: wire::build()? };
    child.socket().send(&wire::encode(&hello)?, &[])?;
    Ok((child, spawner))
}

#[cfg(test)]
mod tests {
    use segue_sys::process::priority::Scheduling;

    use super::{Lack, lacks};

    #[test]
    fn only_who_has_too_little_is_asked_for_and_what_others_gave_is_left() {
        let has = |level, takes_turns| Some(Scheduling { level, takes_turns });
        assert_eq!(lacks(has(0, false), 18), Lack::Priority);
        assert_eq!(lacks(has(17, true), 18), Lack::Priority);
        assert_eq!(lacks(has(18, true), 18), Lack::Nothing);
        assert_eq!(lacks(has(18, true), 17), Lack::TooMuch);
        assert_eq!(lacks(has(65, false), 20), Lack::Nothing);
        assert_eq!(lacks(None, 20), Lack::Nothing);
    }
}
