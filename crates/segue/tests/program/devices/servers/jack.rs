//! A private JACK server without hardware, and a recorder of JACK's own at its far end.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Process, hurt, until};
use crate::devices::capture::Capture;
use crate::engine::Start;

/// Bytes before the first sample of a file of jack_rec's.
const WAV_HEAD: u64 = 44;

/// Frames the recorder's buffer holds: more than a server without a clock plays in a test, for
/// what the recorder cannot keep it drops sample by sample.
const BUFFER: &str = "8388608";

/// Who is asked to end has so long.
const GOODBYE: Duration = Duration::from_secs(1);

/// Names for servers: JACK knows eight at a time, and forgets one that was killed only when
/// another comes by the same name.
const NAMES: u32 = 4;

/// A server.
pub(crate) struct Jackd {
    name: String,
    /// Nobody else uses the name meanwhile.
    _lock: fs::File,
    options: Vec<String>,
    is_ahead: bool,
    outputs: u8,
    child: Option<Child>,
    folder: tempfile::TempDir,
    recordings: u32,
}

impl Jackd {
    /// Two physical outputs at this rate and period; none where JACK is not installed.
    pub(crate) fn start(rate: u32, period: u32) -> Option<Self> {
        let mut server = Self::absent(rate, period)?;
        server.begin();
        Some(server)
    }

    /// A server that is not there yet.
    pub(crate) fn absent(rate: u32, period: u32) -> Option<Self> {
        if !super::is_installed("jackd") {
            return None;
        }
        let (name, lock) = until("a name for a server is free", free_name);
        let options = vec![format!("-r{rate}"), format!("-p{period}")];
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self {
            name,
            _lock: lock,
            options,
            is_ahead: false,
            outputs: 2,
            child: None,
            folder,
            recordings: 0,
        })
    }

    /// Runs at another rate and period from the next start on.
    pub(crate) fn change(&mut self, rate: u32, period: u32) {
        self.options = vec![format!("-r{rate}"), format!("-p{period}")];
    }

    /// Plays a period ahead of its clients from the next start on.
    pub(crate) fn run_ahead(&mut self) {
        self.is_ahead = true;
    }

    /// Has no outputs of the machine from the next start on.
    pub(crate) fn lead_nowhere(&mut self) {
        self.outputs = 0;
    }

    /// Starts it and waits until clients may come; without real-time priority where the machine
    /// grants none.
    pub(crate) fn begin(&mut self) {
        for priority in [&["-R", "-P70"][..], &["-r"]] {
            self.tidy_up();
            let mut child = self.spawn(priority);
            let alive = until("the server answers or ends", || {
                if child.try_wait().expect("a child").is_some() {
                    return Some(false);
                }
                self.tool("jack_lsp", &[]).status.success().then_some(true)
            });
            if alive {
                self.child = Some(child);
                return;
            }
        }
        panic!("jackd does not start:\n{}", self.log());
    }

    fn spawn(&self, priority: &[&str]) -> Child {
        let log = fs::File::create(self.folder.path().join("jackd.log")).expect("a log");
        let mut command = self.command("jackd");
        // Patient: else a recorder that is two periods late misses one for good.
        command.args(["-n", &self.name, "-t500"]).args(priority);
        if !self.is_ahead {
            // In step with its clients: a period is over when all have played theirs.
            command.arg("-S");
        }
        let outputs = self.outputs.to_string();
        command.args(["-d", "dummy"]).args(&self.options).args(["-C", "0", "-P", &outputs]);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        command.spawn().expect("jackd is installed")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("JACK_DEFAULT_SERVER", &self.name);
        command.env("JACK_NO_START_SERVER", "1").env("JACK_NO_AUDIO_RESERVATION", "1");
        command
    }

    /// What it has said since it was started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("jackd.log")).unwrap_or_default()
    }

    /// An engine whose JACK is this one.
    pub(crate) fn engine(&self, device: &str) -> Start {
        Start::on(device).env("JACK_DEFAULT_SERVER", &self.name)
    }

    /// The name to find it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// One of JACK's own programs.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().expect("it comes with jackd")
    }

    /// One of JACK's own programs, left running.
    pub(crate) fn client(&self, program: &str, arguments: &[impl AsRef<OsStr>]) -> Client {
        let mut command = self.command(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        Client(command.spawn().expect("it comes with jackd"))
    }

    /// All connections, as JACK prints them.
    pub(crate) fn connections(&self) -> String {
        let output = self.tool("jack_lsp", &["-c"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a client has this port.
    pub(crate) fn wait_port(&self, port: &str) {
        until(port, || self.connections().lines().any(|line| line == port).then_some(()));
    }

    /// A signal to the server.
    pub(crate) fn hurt(&self, signal: Signal) {
        hurt(self.child.as_ref().expect("it runs"), signal);
    }

    /// Kills it and removes what it leaves behind.
    pub(crate) fn kill(&mut self) {
        drop(self.child.take().map(Process));
        self.tidy_up();
    }

    fn tidy_up(&self) {
        let ours = format!("_{}_", self.name);
        let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().contains(&ours)) {
            // What another has removed meanwhile is removed.
            let _ = fs::remove_file(entry.path());
        }
    }

    /// Records both channels of the engine from now on, all bits of them that fit 32.
    pub(crate) fn record(&mut self) -> Recorder {
        self.record_from(["segue:out_1", "segue:out_2"])
    }

    /// The same of any two ports: the client `jackrec` with its inputs `input1` and `input2`.
    pub(crate) fn record_from(&mut self, ports: [&str; 2]) -> Recorder {
        self.wait_port(ports[1]);
        self.recordings += 1;
        let path = self.folder.path().join(format!("far-{}.wav", self.recordings));
        let errors = fs::File::create(path.with_extension("log")).expect("a log");
        let mut command = self.command("jack_rec");
        command.arg("-f").arg(&path).args(["-d", "3600", "-b", "32", "-B", BUFFER]);
        command.args(ports).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().expect("it comes with jackd");
        let recorder = Recorder { child: Process(child), path };
        recorder.wait(1);
        recorder
    }
}

impl Drop for Jackd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Asked to end it gives its memory back.
            goodbye(&mut child);
        }
        self.tidy_up();
    }
}

/// Ends a process that may be stopped, in order if it can.
fn goodbye(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        hurt(child, Signal::CONT);
        hurt(child, Signal::TERM);
    }
    let began = Instant::now();
    while began.elapsed() < GOODBYE && matches!(child.try_wait(), Ok(None)) {
        std::thread::yield_now();
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A name that no other test uses now, on this machine.
fn free_name() -> Option<(String, fs::File)> {
    (0..NAMES).find_map(|number| {
        let name = format!("segue-test-{number}");
        let path = std::env::temp_dir().join(format!("{name}.jack"));
        let lock = fs::File::options().write(true).create(true).truncate(false).open(path);
        let lock = lock.expect("a file to lock");
        lock.try_lock().is_ok().then_some((name, lock))
    })
}

/// A client of the server; ended with the test.
pub(crate) struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // A client that is killed holds up the server until it runs out of patience.
        goodbye(&mut self.0);
    }
}

/// A recorder that runs.
pub(crate) struct Recorder {
    child: Process,
    path: PathBuf,
}

impl Recorder {
    /// Waits until so many frames more are in its file.
    pub(crate) fn wait(&self, frames: u64) {
        let length = || fs::metadata(&self.path).map_or(0, |file| file.len());
        let wanted = length().max(WAV_HEAD) + 8 * frames;
        until("the recorder records", || (length() >= wanted).then_some(()));
    }

    /// Ends it, if the server's end has not yet, and reads what it has.
    pub(crate) fn finish(self) -> Capture {
        drop(self.child);
        let said = fs::read_to_string(self.path.with_extension("log")).expect("its log");
        assert!(!said.contains("overruns"), "the recorder dropped frames itself: {said}");
        Capture::of_integers(&fs::read(&self.path).expect("a recording"))
    }

    /// Lets it take its leave of the server, which may take its time.
    pub(crate) fn leave(mut self) {
        self.child.hurt(Signal::INT);
        until("the recorder ends", || self.child.0.try_wait().expect("a child"));
    }
}
