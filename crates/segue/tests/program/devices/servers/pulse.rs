//! A private PulseAudio server with a null sink, and what its own clients do for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Process, is_installed, until};
use crate::devices::capture::Capture;
use crate::engine::Start;

/// The sink that every server here has.
pub(crate) const SINK: &str = "testsink";

/// Bytes of a frame: two channels of floats.
const FRAME_BYTES: u64 = 8;

/// A header for samples without one.
const WAV_HEAD: &[u8] = b"RIFF\0\0\0\0WAVEdata\0\0\0\0";

/// A server as its clients see it: where it is, and nothing of the machine's own one.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Front {
    /// Everything in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let variables = vec![
            ("HOME", path("")),
            ("XDG_RUNTIME_DIR", path("")),
            ("XDG_CONFIG_HOME", path("config")),
            ("XDG_STATE_HOME", path("state")),
            ("PIPEWIRE_RUNTIME_DIR", path("")),
            ("PULSE_RUNTIME_PATH", path("pulse")),
            ("PULSE_STATE_PATH", path("pulse-state")),
            ("PULSE_SERVER", format!("unix:{}", path("pulse/native"))),
            ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path("bus"))),
        ];
        fs::create_dir_all(folder.join("pulse")).expect("a folder for its socket");
        Self { folder: folder.to_owned(), variables }
    }

    /// A program that finds this server. It ends with the test, however that ends.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env_remove("DISPLAY").env_remove("PULSE_SINK").env_remove("PULSE_COOKIE");
        command
    }

    /// Leaves a program running; what it says lands in a file.
    pub(super) fn spawn(&self, program: &str, arguments: &[&str]) -> Process {
        let log = fs::File::create(self.log_path(program)).expect("a log");
        let mut command = self.command(program);
        command.args(arguments).stdout(log.try_clone().expect("a file")).stderr(log);
        Process(command.spawn().expect("it is installed"))
    }

    fn log_path(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    /// An engine that finds this server.
    pub(crate) fn engine(&self, device: &str) -> Start {
        let start = Start::on(device);
        self.variables.iter().fold(start, |start, (name, value)| start.env(name, value))
    }

    /// Lets a program find this server.
    pub(crate) fn with<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// What `pactl` answers; nothing when it fails.
    pub(crate) fn pactl(&self, arguments: &[&str]) -> Option<String> {
        let output = self.command("pactl").args(arguments).output().expect("pactl is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `pactl` answers to what must succeed.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        self.pactl(arguments).unwrap_or_else(|| panic!("pactl {arguments:?}"))
    }

    /// Loads a null sink of this name and gives the module's number.
    pub(crate) fn load_sink(&self, name: &str, rate: u32) -> String {
        let arguments = null_sink(name, rate);
        let arguments = ["load-module"].into_iter().chain(arguments.split(' '));
        self.must(&arguments.collect::<Vec<_>>()).trim().to_owned()
    }

    /// Waits until a sink of this name is the default one.
    pub(super) fn wait_default(&self, name: &str) {
        until("the sink is there", || {
            (self.pactl(&["get-default-sink"])?.trim() == name).then_some(())
        });
    }

    /// Waits until the engine's stream is there, and gives its number.
    pub(crate) fn wait_stream(&self) -> String {
        until("the engine has a stream", || {
            let streams = self.pactl(&["list", "short", "sink-inputs"])?;
            let first = streams.lines().next()?.split_whitespace().next()?;
            Some(first.to_owned())
        })
    }

    /// Records what a sink plays from now on, by PulseAudio's own recorder.
    pub(crate) fn record(&self, sink: &str) -> Recorder {
        let number = fs::read_dir(&self.folder).expect("its folder").count();
        let path = self.folder.join(format!("far-{number}.raw"));
        let file = fs::File::create(&path).expect("a file to record into");
        let mut command = self.command("parec");
        command.arg(format!("--device={sink}.monitor"));
        command.args(["--raw", "--format=float32le", "--rate=48000", "--channels=2"]);
        command.args(["--latency-msec=40"]).stdout(file).stderr(Stdio::null());
        let recorder =
            Recorder { child: Process(command.spawn().expect("parec is installed")), path };
        recorder.wait(1);
        recorder
    }
}

/// The module of a null sink. Without rewinding it plays the next 50 ms at most, not the next two
/// seconds, before it asks a new stream: as quickly as hardware.
fn null_sink(name: &str, rate: u32) -> String {
    let format = "channels=2 format=float32le norewinds=1";
    format!("module-null-sink sink_name={name} rate={rate} {format}")
}

/// A recorder that runs.
pub(crate) struct Recorder {
    child: Process,
    path: PathBuf,
}

impl Recorder {
    /// Frames in its file.
    pub(crate) fn frames(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len()) / FRAME_BYTES
    }

    /// Waits until so many frames more are in its file.
    pub(crate) fn wait(&self, frames: u64) {
        let wanted = self.frames() + frames;
        until("the recorder records", || (self.frames() >= wanted).then_some(()));
    }

    /// Waits until something that is not silence is in its file.
    pub(crate) fn wait_sound(&self) {
        let from = self.frames() * FRAME_BYTES;
        until("the recorder hears something", || {
            let bytes = fs::read(&self.path).expect("its file");
            let new = &bytes[(from as usize).min(bytes.len())..];
            new.iter().any(|byte| *byte != 0).then_some(())
        });
    }

    /// Ends it and reads what it has.
    pub(crate) fn finish(self) -> Capture {
        drop(self.child);
        let samples = fs::read(&self.path).expect("a recording");
        Capture::of_floats(&[WAV_HEAD, &samples].concat())
    }
}

/// A PulseAudio server.
pub(crate) struct PulseAudio {
    /// How it is reached.
    pub(crate) front: Front,
    child: Option<Process>,
    _folder: tempfile::TempDir,
}

impl PulseAudio {
    /// A server with a null sink of floats; none where PulseAudio is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut server = Self::absent()?;
        server.begin(48_000);
        Some(server)
    }

    /// A server that is not there yet.
    pub(crate) fn absent() -> Option<Self> {
        if !["pulseaudio", "pactl", "setpriv"].iter().all(|program| is_installed(program)) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { front: Front::new(folder.path()), child: None, _folder: folder })
    }

    /// Starts it, its sink at this rate, and waits until clients may come.
    pub(crate) fn begin(&mut self, rate: u32) {
        let socket = format!("socket={}/pulse/native", self.front.folder.display());
        let protocol = format!("module-native-protocol-unix {socket} auth-anonymous=1");
        let sink = null_sink(SINK, rate);
        let arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"];
        let arguments = [&arguments[..], &["-L", &protocol, "-L", &sink]].concat();
        self.child = Some(self.front.spawn("pulseaudio", &arguments));
        self.front.wait_default(SINK);
    }

    /// A signal to the server.
    pub(crate) fn hurt(&self, signal: Signal) {
        self.child.as_ref().expect("it runs").hurt(signal);
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }
}
