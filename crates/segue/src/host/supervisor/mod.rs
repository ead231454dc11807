//! The supervisor: makes what is shared, starts everybody, watches, and ends in order.
//!
//! Its first thread is the monitor's; playout, the spawner and the door have their own. See
//! [`watch`] for the loop, [`crate::host::device`] for playout's thread.

mod devices;
mod guests;
mod keeper;
mod log;
mod notify;
mod realtime;
mod regions;
pub(super) mod sitter;
mod watch;
mod words;

use std::io;

use rustix::process::Signal;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::{Fact, Status};
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::monitor::{Config, Monitor};
use segue_lockstep::playout::Pace;
use segue_lockstep::{BLOCK_FRAMES, Shape};
use segue_rack::{Action, Command};
use segue_sys::clock;
use segue_sys::event::{Event, Signals};
use segue_sys::process::Spawner;
use segue_sys::process::priority;

use super::device::deck::Fade;
use super::device::timer::{self, Timer};
use super::door::Door;
use super::ports::{self, Ports};
use crate::cli::resume::Resume;
use crate::cli::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::host::cures;
use devices::Devices;
use guests::Guests;
use keeper::Keeper;
use notify::Notify;
use realtime::{Granted, Realtime};
use regions::Regions;
use watch::Watch;

/// Blocks beyond the device's period where real-time priority is granted.
const LEAD_REALTIME: u64 = 4;
/// The same where it is not.
const LEAD: u64 = 8;

/// Runs an engine until it ends; says why when it cannot.
pub(crate) fn run(settings: &Settings) -> Exit {
    match start(settings).and_then(|mut watch| watch.run()) {
        Ok(exit) => exit,
        Err(failure) => {
            eprintln!("segue: {failure}");
            failure.exit
        }
    }
}

fn start(settings: &Settings) -> Result<Watch, Failure> {
    let bug = |error: io::Error| Failure::new(Exit::Bug, format!("cannot start: {error}"));
    super::abort_on_panic();
    priority::no_core_dumps().map_err(bug)?;
    let ports = Ports::bind(&settings.osc)?;
    // Before any other thread, so that the signals come here.
    let signals = [Signal::INT, Signal::TERM, Signal::HUP, Signal::CHILD].map(Signal::as_raw);
    let signals = Signals::catch(&signals).map_err(bug)?;
    let log = log::begin(settings.log);
    let mut settings = settings.clone();
    let mut devices = Devices::open(&mut settings)?;
    let settings = &settings;

    let shape = Shape {
        slots: usize::from(settings.standbys) + 1,
        channels: usize::from(settings.channels),
        rate: settings.rate,
        state_words: settings.state_bytes as usize / 8,
    };
    let resumes = matches!(settings.resume, Resume::From(..));
    let regions = priority::without_file_size_limit(|| Regions::new(&shape, resumes));
    let regions = regions.map_err(|error| no_memory(&shape, &error))?;
    let stop = Event::new().map_err(bug)?;
    open_door(&ports, &shape, &regions, stop.share().map_err(bug)?)?;

    let freewheel = settings.device.is_freewheel();
    let (realtime, granted) = Realtime::begin(freewheel, &regions.orders, &regions.status);
    let has = matches!(granted, Granted::Kernel | Granted::Rtkit);
    let lead = settings.lead.map_or(if has { LEAD_REALTIME } else { LEAD }, u64::from);
    state_facts(&regions.status, &shape, ports.port, &granted);
    say_hello(settings, &ports, lead);
    realtime::tell(&granted, lead);

    let guests = Guests::new(shape, regions.clone(), settings.state_bytes).map_err(bug)?;
    let config = Config { shape, build: guests.build(), lead };
    regions.orders.set_pace(lead, freewheel);
    devices.watch(shape);
    devices.tell(&regions.status);
    keep_pages();
    Ok(Watch {
        monitor: Monitor::new(config),
        keeper: Keeper::new(settings, shape, regions.clone(), ports),
        spawner: Spawner::start().map_err(bug)?,
        devices,
        realtime,
        notify: Notify::begin(),
        stage: watch::Stage::Patch,
        settings: settings.clone(),
        shape,
        lead,
        prover: None,
        timer: None,
        regions,
        guests,
        signals,
        stop,
        freewheel,
        asked: Vec::new(),
        revive: 0,
        ready_ns: None,
        closing: None,
        told: 0,
        asked_ns: 0,
        _log: log,
    })
}

/// Its pages are there by now; without the privilege it goes on. On a thread of its own: for a
/// large state it takes longer than rtkit lets this one run.
fn keep_pages() {
    let locked = std::thread::spawn(priority::lock_memory).join();
    if let Ok(Err(error)) = locked {
        tracing::warn!(
            "memory is not locked ({error}): under pressure pages may have to be read from a \
             disk. The cure: {}",
            cures::MEMORY.join("; ")
        );
    }
}

fn no_memory(shape: &Shape, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::FileTooLarge {
        let needed = 8 * Tap::words(shape).max(Slot::words(shape)) / (1 << 20) + 1;
        let text = format!(
            "shared memory counts as files, and files are limited here: \
             set `ulimit -f` to {} (KiB) or more",
            needed * 1024
        );
        return Failure::new(Exit::Permission, text);
    }
    Failure::new(Exit::Bug, format!("no shared memory for --state and --standbys: {error}"))
}

/// The door is opened before anybody works: it is what a second engine on this port meets.
fn open_door(ports: &Ports, shape: &Shape, regions: &Regions, stop: Event) -> Result<(), Failure> {
    let opened = Door::open(ports.port, shape, &regions.for_visitors(), stop);
    match opened.and_then(Door::serve) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let addr = ports.udp[0].local_addr();
            Err(ports::in_use(addr.unwrap_or_else(|_| ([127, 0, 0, 1], ports.port).into())))
        }
        Err(error) => Err(Failure::new(Exit::Bug, format!("no status socket: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Furnishes the deck with a playout that plays from the beginning of the timeline on.
fn timer(
    settings: &Settings,
    shape: Shape,
    regions: &Regions,
    lead: u64,
    devices: &Devices,
) -> Timer {
    let freewheel = timer::freewheel(&settings.device);
    let period = timer::period(&settings.device);
    let pace = Pace { lead, freewheel: freewheel.is_some(), period: period.max(devices.period()) };
    // A tenth of a second, and one block of silence after it.
    let frames = settings.rate / 10;
    let blocks = u64::from(frames).div_ceil(BLOCK_FRAMES as u64) + 1;
    let payload = Command::now(Action::Fade { frames }).encode();
    let mut fade = Fade { payload, blocks, from: None };
    if let Some(length) = settings.run_for {
        let frames = length.as_secs_f64() * f64::from(settings.rate);
        let total = (frames / BLOCK_FRAMES as f64).ceil() as u64;
        let from = regions.orders.beginning().block + total.saturating_sub(blocks);
        fade = Fade { payload, blocks: blocks.min(total), from: Some(from) };
    }
    let parts = regions.playout_parts();
    devices.deck.furnish(shape, parts.clone(), pace, fade);
    Timer {
        deck: devices.deck.clone(),
        parts,
        rate: settings.rate,
        channels: shape.channels,
        period,
        freewheel,
        first: devices.first(),
    }
}

fn state_facts(status: &Status, shape: &Shape, port: u16, granted: &Granted) {
    status.set_fact(Fact::Pid, u64::from(std::process::id()));
    status.set_fact(Fact::StartedRealtime, clock::realtime_ns());
    status.set_fact(Fact::StartedMonotonic, clock::monotonic_ns());
    status.set_fact(Fact::Rate, u64::from(shape.rate));
    status.set_fact(Fact::Channels, shape.channels as u64);
    status.set_fact(Fact::Slots, shape.slots as u64);
    status.set_fact(Fact::StateWords, shape.state_words as u64);
    status.set_fact(Fact::Realtime, granted.word());
    status.set_fact(Fact::Port, u64::from(port));
}

fn say_hello(settings: &Settings, ports: &Ports, lead: u64) {
    for skipped in &ports.skipped {
        tracing::info!("{skipped}; skipped");
    }
    tracing::info!(
        pid = std::process::id(),
        device = settings.device.to_string(),
        rate = settings.rate,
        lead,
        "listening on {}",
        ports.describe()
    );
    if let Resume::Afresh(reason) = &settings.resume {
        tracing::warn!("{reason}");
    }
    if priority::processors() < 2 {
        tracing::warn!("there is one processor: primary and standby take turns on it");
    }
}
