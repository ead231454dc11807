//! The loop of the supervisor: looks at everybody when something stirs or the monitor's rest is
//! over, and does what was decided.
//!
//! | stage | ends when | then |
//! |---|---|---|
//! | patch | control is ready | the monitor asks for workers |
//! | workers | every slot is in lockstep or given up | block 0 is played |
//! | playing | the timeline has ended | control closes its files |
//! | closing files | control exits, or five seconds are over | everybody goes |
//!
//! INT, TERM, HUP and `stop` ask playout for the closing fade; a second one ends at once.

use std::io;
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::status::{Counter, Death, Fact};
use segue_lockstep::monitor::{self, Action, Monitor, State, Tick};
use segue_lockstep::{BLOCK_FRAMES, Shape};
use segue_sys::event::{Event, Signals, wait_readable};
use segue_sys::process::{Spawner, priority};
use segue_sys::{clock, futex};
use tracing_appender::non_blocking::WorkerGuard;

use super::devices::Devices;
use super::guests::Guests;
use super::keeper::{Control, Keeper};
use super::notify::{Notify, Seen};
use super::realtime::Realtime;
use super::regions::Regions;
use crate::cli::resume::Resume;
use crate::cli::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::host::device::timer::Timer;
use crate::host::prover::{Case, Outcome, Prover};
use crate::host::wire::{ToControl, ToSupervisor};

/// Between two looks while nothing is played, or something is under way. Else the monitor says how
/// long it may rest.
const TICK: Duration = Duration::from_millis(1);
/// After so long a quiet the kernel is asked all the same: for what children print.
const QUIET_NS: u64 = 16_000_000;
/// How long the music waits for an open device that has not called yet.
const FIRST_CALL_NS: u64 = 3_000_000_000;
/// A block, or a record of the log, after which no show begins: it had played for ten thousand
/// years, and what is counted from there on is far from the end of 64 bits.
const LAST_BEGINNING: u64 = 1 << 48;
/// How long control may take to close its files. One that hangs is replaced long before; this is
/// for a slow disk, and for a machine on which everything else runs first.
const FILES_NS: u64 = 30_000_000_000;
/// How long the closing fade may take on a timeline that does not move.
const FADE_NS: u64 = 10_000_000_000;

/// How far the engine has come.
pub(super) enum Stage {
    /// Control compiles the patch.
    Patch,
    /// Workers load it.
    Workers,
    /// Blocks are played.
    Playing(JoinHandle<()>),
    /// The timeline has ended, at this time.
    Files(u64),
}

/// The supervisor's own thread.
pub(super) struct Watch {
    pub(super) monitor: Monitor,
    pub(super) keeper: Keeper,
    pub(super) guests: Guests,
    pub(super) regions: Regions,
    pub(super) signals: Signals,
    /// Raised at the door.
    pub(super) stop: Event,
    pub(super) devices: Devices,
    pub(super) realtime: Realtime,
    /// The line to systemd.
    pub(super) notify: Notify,
    /// What `run` was asked for, and what came of it.
    pub(super) settings: Settings,
    pub(super) shape: Shape,
    pub(super) lead: u64,
    /// From the patch until block 0.
    pub(super) timer: Option<Timer>,
    pub(super) stage: Stage,
    pub(super) freewheel: bool,
    /// The proof under way, and of which plan.
    pub(super) prover: Option<((u64, u32), Prover)>,
    pub(super) asked: Vec<ToSupervisor>,
    /// Slots somebody asked to be brought back, one bit each.
    pub(super) revive: u64,
    /// When the workers were ready.
    pub(super) ready_ns: Option<u64>,
    /// When the end was asked for.
    pub(super) closing: Option<u64>,
    /// Deaths below this number were logged.
    pub(super) told: u64,
    /// When the kernel was asked last.
    pub(super) asked_ns: u64,
    /// After the guests and the keeper: their threads and children go first.
    pub(super) spawner: Spawner,
    pub(super) _log: WorkerGuard,
}

impl Watch {
    /// Watches until the engine has ended.
    pub(super) fn run(&mut self) -> Result<Exit, Failure> {
        let ended = self.watch();
        // What is taken down now waits for threads of lower priority, the log's for one. rtkit
        // lets nobody run on for long.
        priority::be_ordinary();
        ended
    }

    fn watch(&mut self) -> Result<Exit, Failure> {
        loop {
            let stirred = self.sleep().map_err(bug)?;
            let now_ns = clock::monotonic_ns();
            let stirred = stirred || now_ns.saturating_sub(self.asked_ns) >= QUIET_NS;
            if stirred {
                self.asked_ns = now_ns;
            }
            if let Some(exit) = self.tick(now_ns, stirred)? {
                return Ok(exit);
            }
        }
    }

    fn tick(&mut self, now_ns: u64, stirred: bool) -> Result<Option<Exit>, Failure> {
        if stirred && self.hear_the_end(now_ns) {
            return Ok(Some(Exit::Done));
        }
        let mut asked = std::mem::take(&mut self.asked);
        let control = self.keeper.look(now_ns, stirred, &self.spawner, &mut asked).map_err(bug)?;
        self.keeper.tell(&self.regions.status, control);
        asked.drain(..).for_each(|message| self.obey(message));
        self.asked = asked;
        self.look_at_prover(now_ns);
        self.devices.look(now_ns, &self.regions.status);
        let end = match &self.stage {
            Stage::Patch => self.wait_for_patch(control, now_ns, stirred)?,
            Stage::Workers => self.wait_for_workers(now_ns, stirred)?,
            Stage::Playing(driver) if driver.is_finished() => {
                let status = &self.regions.status;
                tracing::info!(
                    blocks = self.regions.orders.playhead(),
                    failovers = status.counter(Counter::Failovers),
                    none_reads = status.counter(Counter::NoneReads),
                    "the timeline has ended"
                );
                self.stage = Stage::Files(now_ns);
                self.wait_for_files(control, now_ns)
            }
            Stage::Playing(_) => {
                self.watch_guests(now_ns, stirred);
                self.check_playing(now_ns)?
            }
            Stage::Files(_) => self.wait_for_files(control, now_ns),
        };
        self.regions.status.set_fact(Fact::Beat, now_ns);
        if self.notify.is_heard() {
            let seen = self.seen();
            self.notify.look(now_ns, &seen);
        }
        Ok(end)
    }

    /// How it is, for systemd.
    fn seen(&self) -> Seen {
        let Regions { orders, status, slots, .. } = &self.regions;
        let (playhead, beginning) = (orders.playhead(), orders.beginning().block);
        let in_lockstep =
            (0..slots.len()).filter(|slot| self.monitor.state(*slot) == State::Lockstep).count();
        let doing = match &self.stage {
            Stage::Patch | Stage::Workers => "starts",
            Stage::Playing(_) if self.closing.is_none() => "plays",
            Stage::Playing(_) | Stage::Files(_) => "ends",
        };
        let text = format!(
            "{doing} on {}, {in_lockstep} of {} workers in lockstep, listening on port {}",
            status.device(),
            slots.len(),
            status.fact(Fact::Port)
        );
        Seen {
            position: orders.position(),
            plays: playhead > beginning,
            has_primary: orders.primary().is_some(),
            ends: doing == "ends",
            text,
        }
    }

    fn wait_for_patch(
        &mut self,
        control: Control,
        now_ns: u64,
        stirred: bool,
    ) -> Result<Option<Exit>, Failure> {
        match control {
            Control::Exited(exit) => Ok(Some(exit)),
            Control::Ready => {
                self.set_up_timeline()?;
                self.stage = Stage::Workers;
                self.watch_guests(now_ns, stirred);
                Ok(None)
            }
            // Nothing was played, so there is nothing to fade.
            _ => Ok(self.closing.map(|_| Exit::Done)),
        }
    }

    /// The timeline begins with block 0, or where control found the show that is gone on with.
    fn set_up_timeline(&mut self) -> Result<(), Failure> {
        let Regions { orders, origin, .. } = &self.regions;
        if let Some(mark) = origin.as_ref().and_then(Origin::mark) {
            if mark.block > LAST_BEGINNING || mark.cursor > LAST_BEGINNING {
                let text = "control says the show goes on beyond all times";
                return Err(Failure::new(Exit::Bug, text));
            }
            orders.begin_at(mark);
            if let Resume::From(path, _) = &self.settings.resume {
                let frames = mark.block * BLOCK_FRAMES as u64;
                tracing::info!(
                    block = mark.block,
                    "resumed from {} at {:.3} s",
                    path.display(),
                    frames as f64 / f64::from(self.shape.rate)
                );
            }
        }
        let Self { settings, shape, regions, lead, devices, .. } = self;
        self.timer = Some(super::timer(settings, *shape, regions, *lead, devices));
        Ok(())
    }

    fn wait_for_workers(&mut self, now_ns: u64, stirred: bool) -> Result<Option<Exit>, Failure> {
        self.watch_guests(now_ns, stirred);
        if self.monitor.is_given_up() {
            return Err(self.all_given_up());
        }
        if !self.monitor.is_ready() {
            return Ok(None);
        }
        let ready_ns = *self.ready_ns.get_or_insert(now_ns);
        if self.devices.is_awaited() && now_ns.saturating_sub(ready_ns) < FIRST_CALL_NS {
            return Ok(None);
        }
        if let Some(timer) = self.timer.take() {
            let first = self.devices.first();
            self.stage = Stage::Playing(Timer { first, ..timer }.start().map_err(bug)?);
            tracing::info!("playing");
        }
        Ok(None)
    }

    fn check_playing(&mut self, now_ns: u64) -> Result<Option<Exit>, Failure> {
        if let Some(word) = self.realtime.word(self.devices.deck.realtime()) {
            self.regions.status.set_fact(Fact::Realtime, word);
        }
        if self.freewheel && self.monitor.is_given_up() {
            return Err(self.all_given_up());
        }
        if self.closing.is_some_and(|since| now_ns.saturating_sub(since) > FADE_NS) {
            let text = "the closing fade did not come to its end within ten seconds";
            return Err(Failure::new(Exit::TryAgain, text));
        }
        Ok(None)
    }

    fn wait_for_files(&mut self, control: Control, now_ns: u64) -> Option<Exit> {
        let Stage::Files(since) = self.stage else { return None };
        if let Control::Exited(exit) = control {
            return Some(exit);
        }
        if now_ns.saturating_sub(since) > FILES_NS {
            tracing::error!("control did not close its files within thirty seconds");
            return Some(Exit::Io);
        }
        None
    }

    /// Signals and the door; true when the end was asked for twice.
    fn hear_the_end(&mut self, now_ns: u64) -> bool {
        let mut times = 0;
        while let Some(signal) = self.signals.take() {
            // That of a child that stopped or ended has done its work by waking this thread.
            times += u32::from(signal != Signal::CHILD.as_raw());
        }
        times += u32::from(self.stop.take());
        for _ in 0..times {
            if self.closing.is_some() {
                tracing::warn!("asked to end a second time: ending at once");
                return true;
            }
            self.close(now_ns);
        }
        false
    }

    fn close(&mut self, now_ns: u64) {
        if self.closing.is_none() {
            tracing::info!("asked to end: fading out");
            self.closing = Some(now_ns);
            self.devices.deck.close();
        }
    }

    fn obey(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Revive { slot: None } => self.revive = u64::MAX,
            ToSupervisor::Revive { slot: Some(slot) } => {
                self.revive |= 1_u64.checked_shl(slot).unwrap_or(0);
            }
            ToSupervisor::Prove { plan, check } => self.prove(plan, check),
            ToSupervisor::Stop => self.close(clock::monotonic_ns()),
            // Without a worker that answers playout has faded to silence by itself.
            ToSupervisor::Panic => tracing::warn!("panic: silence was asked for"),
        }
    }

    /// Begins a proof; one under way is forgotten, with who asked for it.
    fn prove(&mut self, plan: u64, check: u32) {
        let case = Case { plan, setup: self.settings.setup(), clock: !self.freewheel, passes: 1 };
        match Prover::begin(&case, self.regions.plans.region(), &self.spawner) {
            Ok(prover) => self.prover = Some(((plan, check), prover)),
            Err(error) => {
                let outcome = Outcome::Unproved(error.to_string());
                self.keeper.answer(&ToControl::Proved { plan, check, outcome });
            }
        }
    }

    fn look_at_prover(&mut self, now_ns: u64) {
        let Some(((plan, check), prover)) = &mut self.prover else { return };
        if let Some(outcome) = prover.look(now_ns) {
            let ms = prover.age_ns(now_ns) as f64 / 1e6;
            tracing::info!(plan, "a patch was tried for {ms:.1} ms: {}", outcome.word());
            self.keeper.answer(&ToControl::Proved { plan: *plan, check: *check, outcome });
            self.prover = None;
        }
    }

    /// One step of the monitor over what there is to see, and what it decided.
    fn watch_guests(&mut self, now_ns: u64, stirred: bool) {
        let children = self.guests.look(stirred);
        let Regions { orders, status, slots, .. } = &self.regions;
        let revive = std::mem::take(&mut self.revive);
        let tick = Tick { now_ns, children, revive, compared: self.monitor.compared() };
        let seen = monitor::observe(tick, orders, status, slots);
        let actions = self.monitor.step(&seen);
        if monitor::perform(&actions, orders, status, slots) {
            futex::wake(orders.bell());
            futex::wake(orders.urge());
        }
        for action in actions {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { slot, generation } => {
                self.guests.spawn(slot, generation, &self.spawner);
            }
            Action::Kill { slot, generation } => self.guests.kill(slot, generation),
            Action::Bury { slot } => {
                self.guests.bury(slot);
                if self.monitor.state(slot) == State::GivenUp {
                    tracing::error!(slot, "slot {slot} is given up; /engine/revive tries again");
                }
            }
            Action::Death(death) if death.number >= self.told => {
                self.told = death.number + 1;
                tell_death(&death);
            }
            Action::Death(death) => tracing::info!(
                slot = death.slot,
                "slot {} is in lockstep again after {:.1} ms",
                death.slot,
                death.lockstep_again_ns as f64 / 1e6
            ),
            Action::Change(change) => tracing::info!(
                block = change.block,
                "primary: {} -> {} ({})",
                change.from.map_or_else(|| "none".into(), |slot| slot.to_string()),
                change.to.map_or_else(|| "none".into(), |slot| slot.to_string()),
                change.cause
            ),
            _ => {}
        }
    }

    fn all_given_up(&self) -> Failure {
        let deaths = self.regions.status.deaths();
        let causes: Vec<String> = (0..self.regions.slots.len() as u64)
            .filter_map(|slot| deaths.iter().rev().find(|death| death.slot == slot))
            .map(|death| format!("slot {}: {} {}", death.slot, death.cause, death.last_words))
            .collect();
        let text = format!("all workers are given up: {}", causes.join("; "));
        Failure::new(Exit::Bug, text)
    }

    /// How long to sleep if nothing stirs.
    fn rest(&self) -> Duration {
        let plays_on = matches!(self.stage, Stage::Playing(_)) && self.closing.is_none();
        if plays_on && self.prover.is_none() {
            Duration::from_nanos(self.monitor.rest_ns())
        } else {
            TICK
        }
    }

    /// Sleeps until the next look; true when something stirred before.
    fn sleep(&self) -> io::Result<bool> {
        // The first of them tells of every child that has ended or stopped.
        let own = [self.signals.as_fd(), self.stop.as_fd(), self.guests.alarm()];
        let prover = self.prover.iter().flat_map(|(_, prover)| prover.fds());
        let fds: Vec<_> = own.into_iter().chain(self.keeper.line()).chain(prover).collect();
        let mut ready = Vec::with_capacity(fds.len());
        wait_readable(&fds, Some(self.rest()), &mut ready)?;
        Ok(ready.contains(&true))
    }
}

fn tell_death(death: &Death) {
    tracing::warn!(
        slot = death.slot,
        pid = death.pid,
        generation = death.generation,
        block = death.block,
        last_words = death.last_words,
        "slot {} died: {}; {}",
        death.slot,
        death.cause,
        death.done
    );
}

fn bug(error: io::Error) -> Failure {
    Failure::new(Exit::Bug, format!("the supervisor cannot go on: {error}"))
}
