//! The keeper of control: starts it, sees that it lives, starts the next one.
//!
//! | control is | and | the keeper |
//! |---|---|---|
//! | the first, not ready | exits | ends the engine with its exit code |
//! | ready | does not beat for 2 s | kills it |
//! | over | the show goes on | starts the next, later and later while they die young |
//! | exited | the timeline has ended | is content: files are closed |

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use segue_lockstep::Shape;
use segue_lockstep::memory::status::{Fact, Status};
use segue_sys::event::wait_readable;
use segue_sys::process::{Change, Child, Order, Spawner};

use super::regions::Regions;
use super::words::Words;
use crate::cli::settings::Settings;
use crate::exit::Exit;
use crate::host::ports::Ports;
use crate::host::seat::{self, Offer};
use crate::host::wire::{self, ToControl, ToSupervisor};

const SECOND_NS: u64 = 1_000_000_000;
/// Without a beat for so long, a control that was ready hangs.
const HANG_NS: u64 = 2 * SECOND_NS;
/// A tick later than this was not control's fault: the clock starts anew.
const OWN_DELAY_NS: u64 = SECOND_NS / 2;
/// Who lived so long is not dying young.
const PROVEN_NS: u64 = 10 * SECOND_NS;
const FIRST_DELAY_NS: u64 = SECOND_NS / 10;
const DELAY_MAX_NS: u64 = SECOND_NS;

/// What has become of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// It compiles the patch.
    Starting,
    /// It listens.
    Ready,
    /// The next one comes in a moment.
    Between,
    /// It ended with this code.
    Exited(Exit),
}

/// The keeper.
pub(super) struct Keeper {
    settings: Settings,
    shape: Shape,
    regions: Regions,
    ports: Ports,
    child: Option<Child>,
    words: Words,
    /// It has closed its end of the line; nothing more is heard.
    deaf: bool,
    generation: u64,
    restarts: u64,
    young_deaths: u32,
    since_ns: u64,
    retry_ns: u64,
    beat: (u64, u64),
    looked_ns: u64,
}

impl Keeper {
    /// Keeps nobody yet; the first comes with the first look.
    pub(super) fn new(settings: &Settings, shape: Shape, regions: Regions, ports: Ports) -> Self {
        Self {
            settings: settings.clone(),
            shape,
            regions,
            ports,
            child: None,
            words: Words::default(),
            deaf: false,
            generation: 0,
            restarts: 0,
            young_deaths: 0,
            since_ns: 0,
            retry_ns: 0,
            beat: (0, 0),
            looked_ns: 0,
        }
    }

    /// What to sleep on: control's line. Its end is a signal to the supervisor.
    pub(super) fn line(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().filter(|_| !self.deaf).map(|child| child.socket().as_fd())
    }

    /// The first control's process id and so on, for the status.
    pub(super) fn tell(&self, status: &Status, control: Control) {
        status.set_fact(Fact::ControlPid, self.child.as_ref().map_or(0, |it| it.pid().into()));
        status.set_fact(Fact::ControlGeneration, self.generation);
        status.set_fact(Fact::ControlRestarts, self.restarts);
        let state = match control {
            Control::Starting => 0,
            Control::Ready => 1,
            Control::Between | Control::Exited(_) => 2,
        };
        status.set_fact(Fact::ControlState, state);
    }

    /// Looks after control; messages from it go into `asked`. The kernel is asked only when
    /// something was `stirred`.
    pub(super) fn look(
        &mut self,
        now_ns: u64,
        stirred: bool,
        spawner: &Spawner,
        asked: &mut Vec<ToSupervisor>,
    ) -> io::Result<Control> {
        let late = now_ns.saturating_sub(self.looked_ns) > OWN_DELAY_NS;
        self.looked_ns = now_ns;
        if self.child.is_none() {
            if now_ns < self.retry_ns {
                return Ok(Control::Between);
            }
            self.start(now_ns, spawner)?;
        }
        if stirred {
            self.hear(asked);
            if let Some(change) = self.over()? {
                return Ok(self.bury(change, now_ns));
            }
        }
        let beat = self.regions.inbox.beat();
        let ready = self.regions.inbox.ready() == self.generation;
        if beat != self.beat.0 || !ready || late {
            self.beat = (beat, now_ns);
        }
        if now_ns.saturating_sub(self.beat.1) > HANG_NS {
            tracing::warn!("control has not answered for two seconds; it is killed and replaced");
            if let Some(child) = &self.child {
                child.kill();
            }
            self.beat.1 = now_ns;
        }
        Ok(if ready { Control::Ready } else { Control::Starting })
    }

    fn start(&mut self, now_ns: u64, spawner: &Spawner) -> io::Result<()> {
        let order = Order { arguments: vec!["control".into()], environment: Vec::new() };
        let child = spawner.spawn(order)?;
        self.generation += 1;
        let (write, read) = (self.regions.by_control(), self.regions.for_control());
        let sockets: Vec<_> = self.ports.fds().collect();
        let offer =
            Offer { write: &write, read: &read, sockets: &sockets, udp: self.ports.udp.len() };
        // One that is dead already is met as such in a moment.
        let offered =
            seat::offer(child.socket(), &self.settings, self.generation, &self.shape, &offer);
        if let Err(error) = offered {
            tracing::warn!("control could not be told its task: {error}");
            child.kill();
        }
        self.words = Words::default();
        self.deaf = false;
        self.since_ns = now_ns;
        self.beat = (self.regions.inbox.beat(), now_ns);
        self.child = Some(child);
        Ok(())
    }

    /// Answers control; one that is dead meanwhile asks again.
    pub(super) fn answer(&self, message: &ToControl) {
        let answered = self
            .child
            .as_ref()
            .map(|child| wire::encode(message).and_then(|bytes| child.socket().send(&bytes, &[])));
        if let Some(Err(error)) = answered {
            tracing::info!("control could not be answered: {error}");
        }
    }

    fn hear(&mut self, asked: &mut Vec<ToSupervisor>) {
        let Some(child) = &self.child else { return };
        let mut said = Vec::new();
        // A message of control's is a few bytes; a longer one is none.
        let mut bytes = [0; 64];
        // A bounded number: control is not trusted to stop.
        for _ in 0..if self.deaf { 0 } else { 16 } {
            let fds = [child.socket().as_fd()];
            let waited = wait_readable(&fds, Some(Duration::ZERO), &mut said);
            if waited.is_err() || said != [true] {
                break;
            }
            match child.socket().receive(&mut bytes) {
                Ok(got) if got.length > 0 => {
                    asked.extend(wire::decode::<ToSupervisor>(&bytes[..got.length]));
                }
                _ => {
                    self.deaf = true;
                    break;
                }
            }
        }
        // Refusals of a patch are for people and go out as they are; later on it is the log.
        let first = self.generation == 1 && self.regions.inbox.ready() == 0;
        let mut say = |line: &str| {
            if first { eprintln!("{line}") } else { tracing::info!(from = "control", "{line}") }
        };
        self.words.listen(child.stderr(), &mut say);
    }

    fn over(&mut self) -> io::Result<Option<Change>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        while let Some(change) = child.change()? {
            if matches!(change, Change::Exited { .. } | Change::Killed { .. }) {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    fn bury(&mut self, change: Change, now_ns: u64) -> Control {
        // What it said between the last look and its end.
        self.hear(&mut Vec::new());
        let was_ready = self.regions.inbox.ready() == self.generation;
        let first = self.generation == 1 && !was_ready;
        self.words.finish(&mut |line| {
            if first { eprintln!("{line}") } else { tracing::info!(from = "control", "{line}") }
        });
        self.child = None;
        let code = match change {
            Change::Exited { code } => Some(exit_of(code)),
            _ => None,
        };
        let Regions { orders, tap, .. } = &self.regions;
        let ended = orders.end().is_some_and(|end| tap.head() >= end);
        match code {
            Some(code) if first || ended => return Control::Exited(code),
            None if first => return Control::Exited(Exit::Bug),
            // One that was killed at the very end has a successor who closes the files.
            _ => {}
        }
        let young = now_ns.saturating_sub(self.since_ns) < PROVEN_NS;
        self.young_deaths = if young { self.young_deaths + 1 } else { 0 };
        let doublings = self.young_deaths.saturating_sub(2).min(6);
        let delay = if self.young_deaths < 2 { 0 } else { FIRST_DELAY_NS << doublings };
        self.retry_ns = now_ns + delay.min(DELAY_MAX_NS);
        self.restarts += 1;
        let last_words = self.words.last();
        tracing::warn!(
            ?change,
            last_words,
            "control ended; the music plays on, the next one comes"
        );
        Control::Between
    }
}

/// Which of our exits a child's code is; one that is none of ours is our bug.
fn exit_of(code: i32) -> Exit {
    let all = [
        Exit::Done,
        Exit::No,
        Exit::Usage,
        Exit::BadInput,
        Exit::NoInput,
        Exit::Unavailable,
        Exit::Bug,
        Exit::CannotCreate,
        Exit::Io,
        Exit::TryAgain,
        Exit::Permission,
        Exit::Config,
    ];
    all.into_iter().find(|exit| i32::from(exit.code()) == code).unwrap_or(Exit::Bug)
}
