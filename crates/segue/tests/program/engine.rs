//! An engine under test: started, asked, hurt, ended, and its recording held against its journal.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes so long; who waits longer waits for what will never come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What stands before the samples of a recording, in bytes.
pub(crate) const WAV_HEADER: usize = 78;

/// A patch whose sound passes through the module that misbehaves when told to.
pub(crate) const FAULTY: &str = "segue = 1
[osc]
type = \"osc\"
[bad]
type = \"fault\"
in = \"osc\"
[out]
in = \"bad * 0.5\"
";

/// The program.
pub(crate) fn segue() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_segue")))
}

/// Nothing of the surroundings reaches a test.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEGUE_")) {
        command.env_remove(name);
    }
    // Nor do the servers of this machine: a test starts its own.
    command.env("JACK_DEFAULT_SERVER", "segue-test-none").env("PULSE_SERVER", "unix:/dev/null");
    // Nor does the service manager that may run the tests.
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("STATE_DIRECTORY");
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// The tree's own patches.
pub(crate) fn patch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches").join(name)
}

/// An engine.
pub(crate) struct Engine {
    child: Child,
    /// Its own folder: show folder, recording, journal.
    pub(crate) folder: TempDir,
    port: u16,
    log: Arc<Mutex<String>>,
}

/// How an engine is started.
pub(crate) struct Start {
    folder: TempDir,
    command: Command,
}

impl Start {
    /// `run` on a capped freewheel with recording and journal.
    pub(crate) fn new() -> Self {
        Self::with(Path::new(env!("CARGO_BIN_EXE_segue")))
    }

    /// The same by another copy of the program.
    pub(crate) fn with(program: &Path) -> Self {
        Self::by(program, "freewheel:8x")
    }

    /// The same on another device.
    pub(crate) fn on(device: &str) -> Self {
        Self::by(Path::new(env!("CARGO_BIN_EXE_segue")), device)
    }

    /// Once more in the folder of an engine that has ended, going on with its show.
    pub(crate) fn again(folder: TempDir) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_segue"));
        Self::within(folder, program, "freewheel:8x").arg("--resume")
    }

    fn by(program: &Path, device: &str) -> Self {
        Self::within(tempfile::tempdir().expect("a temporary folder"), program, device)
    }

    fn within(folder: TempDir, program: &Path, device: &str) -> Self {
        let mut command = clean(Command::new(program));
        command.args(["run", "--osc", "127.0.0.1:0", "--device", device, "--log", "json"]);
        command.arg("--show").arg(folder.path().join("show"));
        command.arg("--record").arg(folder.path().join("live.wav"));
        command.arg("--journal").arg(folder.path().join("show.journal"));
        Self { folder, command }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it as a user without any privilege, who can reach nothing but what it is given.
    pub(crate) fn unprivileged(mut self) -> Self {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65_534;
        let folder = self.folder.path();
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).expect("root gives it away");
        self.command.env("HOME", folder).env_remove("XDG_CONFIG_HOME");
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    /// Writes a patch of the test's own and runs it.
    pub(crate) fn patch(self, text: &str) -> Self {
        let path = self.folder.path().join("patch.toml");
        std::fs::write(&path, text).expect("a patch is written");
        self.arg(path)
    }

    /// Starts it and waits until it plays.
    pub(crate) fn play(self) -> Engine {
        let engine = self.begin();
        engine.wait("it plays", |status| status["engine"]["playhead"].as_u64() > Some(0));
        engine
    }

    /// Starts it and waits until it listens.
    pub(crate) fn begin(mut self) -> Engine {
        self.command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = loop {
            match self.command.spawn() {
                // A copy of the program, which a child that another test has just forked still
                // holds open for writing, until it is another program.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                started => break started.expect("the program starts"),
            }
        };
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let port = follow_log(stderr, log.clone());
        let Some(port) = port else {
            let status = child.wait().expect("it ended");
            let log = log.lock().expect("nobody panics with the log");
            panic!("it ended before it listened ({status}):\n{log}")
        };
        Engine { child, folder: self.folder, port, log }
    }
}

/// Reads the log on a thread of its own; gives the port as soon as it is said.
fn follow_log(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> Option<u16> {
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, addresses)) = line.split_once("listening on ") {
                let digits: String = addresses
                    .split_once("127.0.0.1:")
                    .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
                    .unwrap_or_default();
                // Nobody may wait any more; the log is read on all the same.
                let _ = told.send(digits.parse().ok());
            }
            let mut log = log.lock().expect("nobody panics with the log");
            log.push_str(&line);
            log.push('\n');
        }
    });
    port.recv_timeout(DEADLINE).ok().flatten()
}

impl Engine {
    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The supervisor's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    /// A client verb of the program, for this engine.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = segue();
        command.arg(arguments[0]).args(["--osc", &format!("127.0.0.1:{}", self.port)]);
        command.args(&arguments[1..]).output().expect("the program runs")
    }

    /// A client verb that must succeed; gives what it prints.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Value {
        let output = self.ask(&["status", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("status is no JSON: {error}\n{text}\n{said}\n{}", self.log())
        })
    }

    /// Asks for the status until it is so; panics with the last one when it never is.
    pub(crate) fn wait(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if so(&status) {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "never: {what}\n{status:#}\n{}", self.log());
        }
    }

    /// Waits until so many deaths are told and all slots are in lockstep again.
    pub(crate) fn wait_whole(&self, deaths: u64) -> Value {
        self.wait(&format!("{deaths} deaths told and all in lockstep"), |status| {
            counter(status, "deaths") == deaths && is_whole(status)
        })
    }

    /// Waits until so many more blocks were played.
    pub(crate) fn play_on(&self, blocks: u64) {
        let from = playhead(&self.status());
        self.wait("it plays on", |status| playhead(status) >= from + blocks);
    }

    /// Sends a signal to the guest of a slot, if it is this generation: never to a stranger.
    pub(crate) fn hurt(&self, slot: usize, signal: Signal) -> u64 {
        let status = self.status();
        let generation = status["slots"][slot]["generation"].as_u64().expect("a generation");
        send_signal(status["slots"][slot]["pid"].as_u64(), signal);
        generation
    }

    /// Ends it in order; gives its exit status.
    pub(crate) fn stop(mut self) -> Ended {
        self.must(&["stop"]);
        self.ended()
    }

    /// Waits for its end, however that comes.
    pub(crate) fn ended(&mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(began.elapsed() < DEADLINE, "it does not end:\n{}", self.log());
            std::thread::yield_now();
        };
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        Ended { status, log: self.log(), folder }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A failed test leaves nobody behind; its children follow their parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An engine that has ended.
pub(crate) struct Ended {
    /// How.
    pub(crate) status: ExitStatus,
    /// What it logged.
    pub(crate) log: String,
    /// What it left.
    pub(crate) folder: TempDir,
}

impl Ended {
    /// The recording, as bytes.
    pub(crate) fn recording(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("live.wav")).expect("a recording")
    }

    /// The journal of a show that ended with 0, rendered.
    pub(crate) fn rendered(&self) -> Vec<u8> {
        assert_eq!(self.status.code(), Some(0), "{}\n{}", self.status, self.log);
        let again = self.folder.path().join("again.wav");
        let journal = self.folder.path().join("show.journal");
        let output = segue().arg("render").arg(journal).arg("-o").arg(&again).output();
        let output = output.expect("render runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "render: {}\n{said}", output.status);
        std::fs::read(again).expect("a rendering")
    }

    /// How many blocks were made up for want of real ones, from what it said at its end.
    pub(crate) fn concealed(&self) -> usize {
        let line = self.log.lines().find(|line| line.contains("the timeline has ended"));
        let fields = line.and_then(|line| serde_json::from_str::<Value>(line).ok());
        let count = fields.as_ref().and_then(|line| line["none_reads"].as_u64());
        count.unwrap_or_else(|| panic!("no count of none_reads:\n{}", self.log)) as usize
    }

    /// Ended with 0, and the journal renders to the bytes that were recorded.
    pub(crate) fn assert_identical(&self) {
        let (live, again) = (self.recording(), self.rendered());
        assert_eq!(live.len(), again.len(), "as long\n{}", self.log);
        let differ = live.iter().zip(&again).position(|(a, b)| a != b);
        assert_eq!(differ, None, "the first byte that differs\n{}", self.log);
        assert!(live.len() > 1000, "something was recorded");
    }

    /// The same where there is a clock: no more blocks differ than were counted as made up,
    /// however busy the machine is with other tests. Gives the recording.
    pub(crate) fn assert_identical_but_concealed(&self) -> Vec<u8> {
        let (live, again) = (self.recording(), self.rendered());
        let (differ, all) = blocks_that_differ(&live, &again);
        let concealed = self.concealed();
        assert!(differ <= concealed, "{differ} blocks differ, {concealed} made up\n{}", self.log);
        if concealed > 0 {
            eprintln!("{concealed} of {all} blocks were made up");
        }
        live
    }
}

/// How many blocks of two channels are not the same in two recordings as long, and of how many.
fn blocks_that_differ(ours: &[u8], theirs: &[u8]) -> (usize, usize) {
    assert_eq!(ours.len(), theirs.len(), "as long");
    let blocks = ours[WAV_HEADER..].chunks(512).zip(theirs[WAV_HEADER..].chunks(512));
    (blocks.clone().filter(|(ours, theirs)| ours != theirs).count(), blocks.len())
}

#[test]
fn blocks_that_differ_are_counted_once_each() {
    let ours = vec![0; WAV_HEADER + 16 * 512 + 8];
    let mut theirs = ours.clone();
    for byte in [3 * 512, 4 * 512 - 1, 16 * 512] {
        theirs[WAV_HEADER + byte] = 1;
    }
    assert_eq!(blocks_that_differ(&ours, &theirs), (2, 17));
    theirs[0] = 1;
    assert_ne!(ours, theirs);
}

/// Sends a signal to a process that is a child of an engine, through a handle on it.
pub(crate) fn send_signal(pid: Option<u64>, signal: Signal) {
    let pid = Pid::from_raw(pid.expect("a pid") as i32).expect("a process");
    let handle = pidfd_open(pid, PidfdFlags::empty()).expect("the process is there");
    pidfd_send_signal(&handle, signal).expect("it can be signalled");
}

/// A counter.
pub(crate) fn counter(status: &Value, name: &str) -> u64 {
    status["counters"][name].as_u64().unwrap_or_else(|| panic!("a counter {name}: {status:#}"))
}

/// The playhead.
pub(crate) fn playhead(status: &Value) -> u64 {
    status["engine"]["playhead"].as_u64().expect("a playhead")
}

/// Whether all slots are in lockstep and one is primary.
pub(crate) fn is_whole(status: &Value) -> bool {
    let slots = status["slots"].as_array().expect("slots");
    slots.iter().all(|slot| slot["state"] == "lockstep")
        && slots.iter().any(|slot| slot["role"] == "primary")
}

/// The slot that goes first.
pub(crate) fn primary(status: &Value) -> usize {
    let slots = status["slots"].as_array().expect("slots");
    slots.iter().position(|slot| slot["role"] == "primary").expect("a primary")
}
