//! A private PipeWire: server, session manager, its PulseAudio side, a bus, a null sink.

use rustix::process::Signal;

use super::pulse::{Front, SINK};
use super::{Process, is_installed, until};
use crate::engine::Start;

/// A node that plays into nothing, at its own rate, until it is destroyed.
const NODE: &str = "factory.name=support.null-audio-sink media.class=Audio/Sink \
                    object.linger=true audio.position=[FL FR]";

/// PipeWire.
pub(crate) struct PipeWire {
    /// How it is reached.
    pub(crate) front: Front,
    server: Option<Process>,
    session: Option<Process>,
    pulse: Option<Process>,
    _bus: Process,
    _folder: tempfile::TempDir,
}

impl PipeWire {
    /// All of it; none where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut all = Self::absent()?;
        all.begin(48_000);
        Some(all)
    }

    /// Only the bus yet.
    pub(crate) fn absent() -> Option<Self> {
        let programs =
            ["dbus-daemon", "pipewire", "wireplumber", "pipewire-pulse", "pw-cli", "pactl"];
        if !programs.iter().chain(&["setpriv"]).all(|program| is_installed(program)) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let front = Front::new(folder.path());
        let address = format!("--address=unix:path={}/bus", folder.path().display());
        let arguments = ["--session", "--nofork", "--nopidfile", "--nosyslog", &address];
        let _bus = front.spawn("dbus-daemon", &arguments);
        until("the bus is there", || folder.path().join("bus").exists().then_some(()));
        Some(Self { front, server: None, session: None, pulse: None, _bus, _folder: folder })
    }

    /// Starts it, its sink at this rate, and waits until clients may come.
    pub(crate) fn begin(&mut self, rate: u32) {
        self.server = Some(self.front.spawn("pipewire", &[]));
        until("pipewire answers", || self.cli(&["info", "0"]));
        self.begin_session();
        self.begin_pulse();
        self.create(SINK, rate);
        self.front.wait_default(SINK);
    }

    /// Starts the session manager.
    pub(crate) fn begin_session(&mut self) {
        self.session = Some(self.front.spawn("wireplumber", &[]));
    }

    /// Starts the PulseAudio side.
    pub(crate) fn begin_pulse(&mut self) {
        self.pulse = Some(self.front.spawn("pipewire-pulse", &[]));
        until("pipewire-pulse answers", || self.front.pactl(&["info"]));
    }

    /// Creates a sink.
    pub(crate) fn create(&self, name: &str, rate: u32) {
        let node = format!("{{ node.name={name} audio.rate={rate} {NODE} }}");
        until("the sink is created", || self.cli(&["create-node", "adapter", &node]));
    }

    /// Destroys a sink.
    pub(crate) fn destroy(&self, name: &str) {
        until("the sink is destroyed", || self.cli(&["destroy", name]));
    }

    /// What `pw-cli` answers; nothing when it fails.
    fn cli(&self, arguments: &[&str]) -> Option<String> {
        let mut command = self.front.command("pw-cli");
        let output = command.args(arguments).output().expect("pw-cli is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A signal to the server.
    pub(crate) fn hurt(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").hurt(signal);
    }

    /// Kills the session manager.
    pub(crate) fn kill_session(&mut self) {
        self.session = None;
    }

    /// Kills the PulseAudio side.
    pub(crate) fn kill_pulse(&mut self) {
        self.pulse = None;
    }

    /// Kills the server, and what does not live without it.
    pub(crate) fn kill(&mut self) {
        self.server = None;
        self.pulse = None;
        self.session = None;
    }

    /// An engine whose JACK is this PipeWire; none where that part is not installed.
    pub(crate) fn jack(&self) -> Option<Start> {
        let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let installed = libraries
            .map(|folder| folder.path().join("pipewire-0.3/jack/libjack.so.0"))
            .any(|library| library.exists());
        if !installed {
            eprintln!("skipped: PipeWire's JACK is not installed");
            return None;
        }
        // The loader puts the machine's folder in, as in `pw-jack`.
        let start = self.front.engine("jack");
        let start = start.env("LD_LIBRARY_PATH", "/usr/${LIB}/pipewire-0.3/jack");
        Some(start.env("PIPEWIRE_QUANTUM", "1024/48000"))
    }
}

impl Drop for PipeWire {
    fn drop(&mut self) {
        self.kill();
    }
}
