//! An engine of our own, and the view through its door into the memory it plays from.
//!
//! What is read there is what its processes themselves act on, so no question disturbs what is
//! measured, and moments are of the one monotonic clock.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use segue_lockstep::Shape;
use segue_lockstep::memory::inbox::{Count, Inbox};
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::{Counter, Fact, Status};
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::monitor::State;
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, Region, clock, futex};
use tempfile::TempDir;

/// Nothing here takes so long.
const DEADLINE: Duration = Duration::from_secs(60);
/// Two slots, and what the program takes by default.
const SHAPE: Shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 << 17 };

/// How long a block lasts.
pub(crate) const BLOCK_NS: u64 = SHAPE.block_ns();

/// The shape that is asked for.
fn shape_of(arguments: &[&str]) -> Shape {
    let of = |name| arguments.windows(2).find(|two| two[0] == name).map(|two| two[1]);
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let mib = of("--state").map(|text| number(text.strip_suffix("MiB").expect("in MiB")));
    Shape {
        state_words: mib.map_or(SHAPE.state_words, |mib| mib << 17),
        slots: of("--standbys").map_or(SHAPE.slots, |text| number(text) + 1),
        ..SHAPE
    }
}

/// The tree's first patch.
pub(crate) fn first_patch() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches/first.toml")
}

/// Where an engine plays.
pub(crate) struct Place<'a> {
    /// As `--device` has it.
    pub(crate) device: &'a str,
    /// What its library has to know: a variable and its value.
    pub(crate) variable: (&'a str, &'a str),
}

/// What a process of an engine is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Playout and monitor.
    Supervisor,
    /// What is spoken to.
    Control,
    /// The guest of this slot.
    Worker(usize),
}

/// A running engine.
pub(crate) struct Engine {
    child: Child,
    folder: TempDir,
    /// Where it listens.
    pub(crate) port: u16,
    /// Playhead, log, primary.
    pub(crate) orders: Orders,
    /// Deaths, changes, counters.
    pub(crate) status: Status,
    /// What control counts.
    pub(crate) inbox: Inbox,
    /// What was played.
    pub(crate) tap: Tap,
    /// The workers' places.
    pub(crate) slots: Vec<Slot>,
}

impl Engine {
    /// Starts one with a journal on `null`, a primary and a standby, or as many as are asked for;
    /// it plays, whole, for a quarter of a second when this comes back.
    pub(crate) fn start(patch: &Path, arguments: &[&str]) -> Self {
        Self::start_on(&Place { device: "null", variable: ("NO_COLOR", "1") }, patch, arguments)
    }

    /// The same somewhere else.
    pub(crate) fn start_on(place: &Place<'_>, patch: &Path, arguments: &[&str]) -> Self {
        let engine = Self::open(place, patch, arguments, tempfile::tempdir().expect("a folder"));
        engine.wait("it plays", |it| it.orders.playhead() > 0 && it.is_whole());
        engine.play_on(190);
        engine
    }

    /// The same in the folder of another one; it need not play yet when this comes back.
    pub(crate) fn open(
        place: &Place<'_>,
        patch: &Path,
        arguments: &[&str],
        folder: TempDir,
    ) -> Self {
        let port = free_port();
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEGUE_")) {
            command.env_remove(name);
        }
        command.env(place.variable.0, place.variable.1);
        command.arg("run").arg(patch).args(["--device", place.device, "--osc"]);
        command.arg(format!("127.0.0.1:{port}")).args(["--rate", "48000", "--channels", "2"]);
        if !arguments.contains(&"--standbys") {
            command.args(["--standbys", "1"]);
        }
        command.arg("--show").arg(folder.path());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("the program starts");
        let regions = look(port, &mut child, folder.path());
        let mut regions = regions.into_iter();
        let mut next = || regions.next().expect("a region");
        let fits = "regions of this build";
        let shape = shape_of(arguments);
        // In the order the door hands them out.
        let (orders, status) = (Orders::new(next()), Status::new(next()));
        let (inbox, tap, _plans) = (Inbox::new(next()), Tap::new(next(), &SHAPE), next());
        Self {
            child,
            port,
            orders: orders.expect(fits),
            status: status.expect(fits),
            inbox: inbox.expect(fits),
            tap: tap.expect(fits),
            slots: (0..shape.slots).map(|_| Slot::new(next(), &shape).expect(fits)).collect(),
            folder,
        }
    }

    /// Kills the supervisor, and with it all others; gives its folder.
    pub(crate) fn kill_all(mut self) -> TempDir {
        self.child.kill().expect("it lives");
        self.ended();
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    /// Waits in the kernel, a block at a time, until it is so.
    pub(crate) fn wait(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            if began.elapsed() > DEADLINE {
                panic!("never: {what}\n{}", self.log());
            }
            self.wait_block();
        }
    }

    /// Sleeps until a block was played, or for 10 ms.
    pub(crate) fn wait_block(&self) {
        let bell = self.tap.bell();
        futex::wait(bell, bell.load(Acquire), Duration::from_millis(10));
    }

    /// Waits until so many more blocks were played.
    pub(crate) fn play_on(&self, blocks: u64) {
        let until = self.orders.playhead() + blocks;
        self.wait("it plays on", |it| it.orders.playhead() >= until);
    }

    /// Whether both are in lockstep, under the guests that are believed.
    pub(crate) fn is_whole(&self) -> bool {
        let in_lockstep = |slot| State::from_word(self.status.slot(slot).state) == State::Lockstep;
        self.orders.primary().is_some() && (0..self.slots.len()).all(in_lockstep)
    }

    /// The slot that goes first.
    pub(crate) fn primary(&self) -> usize {
        self.orders.primary().expect("a primary")
    }

    /// The processes: supervisor, control, the workers of the slots.
    pub(crate) fn processes(&self) -> Vec<(u32, Role)> {
        let supervisor = (self.child.id(), Role::Supervisor);
        let control = (self.status.fact(Fact::ControlPid) as u32, Role::Control);
        let worker = |slot| (self.status.slot(slot).pid as u32, Role::Worker(slot));
        [supervisor, control].into_iter().chain((0..self.slots.len()).map(worker)).collect()
    }

    /// What the primary took for a block in the middle, of its last two hundred, in nanoseconds.
    pub(crate) fn render_ns(&self) -> u64 {
        let place = &self.slots[self.primary()];
        let (published, generation) = (place.published(), place.generation());
        let mut entry = vec![0; place.entry_words()];
        let mut times: Vec<u64> = (published.saturating_sub(200)..published)
            .filter_map(|block| place.read(block, generation, &mut entry))
            .map(|facts| facts.render_ns)
            .collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// Words of the state in the newest checkpoint.
    pub(crate) fn state_words(&self) -> usize {
        let areas = self.slots.iter().flat_map(|slot| slot.areas());
        let words = areas.filter_map(|area| area.read()).map(|(_, state)| state.len());
        words.max().unwrap_or(0)
    }

    /// Kills the guest of a slot; gives the moment before.
    pub(crate) fn kill(&self, slot: usize) -> u64 {
        let pid = Pid::from_raw(self.status.slot(slot).pid as i32).expect("a guest");
        let handle = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
        let now_ns = clock::monotonic_ns();
        pidfd_send_signal(&handle, Signal::KILL).expect("it can be killed");
        now_ns
    }

    /// A counter of the supervisor's.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.status.counter(counter)
    }

    /// A counter of control's.
    pub(crate) fn count(&self, count: Count) -> u64 {
        self.inbox.count(count)
    }

    /// Ends it in order, so that its journal is whole.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        pidfd_open(pid, PidfdFlags::empty())
            .and_then(|handle| pidfd_send_signal(&handle, Signal::TERM))
            .expect("it lives");
        self.ended();
    }

    /// Waits for its end, which was asked for when it was started.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its children follow it; it is in no hurry to close what is thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    free.expect("a free port").port()
}

/// Looks through the engine's door as soon as it is open: the regions, only to be read.
fn look(port: u16, child: &mut Child, folder: &Path) -> Vec<Region> {
    let began = Instant::now();
    loop {
        if let Ok(door) = Seqpacket::connect(&format!("segue-{port}")) {
            door.set_timeout(DEADLINE).expect("a time-out");
            door.send(b"look", &[]).expect("asked");
            let got = door.receive(&mut [0; 1024]).expect("answered");
            let adopt = |fd| Region::adopt_on_demand(fd, Access::Read).expect("a region");
            return got.fds.into_iter().map(adopt).collect();
        }
        let over = child.try_wait().expect("a child");
        if over.is_some() || began.elapsed() > DEADLINE {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("it does not play ({over:?}):\n{log}");
        }
        clock::sleep_until_ns(clock::monotonic_ns() + 5_000_000);
    }
}
