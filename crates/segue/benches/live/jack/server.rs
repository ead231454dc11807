//! A private JACK server without hardware and its own recorder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use segue_sys::clock;
use tempfile::TempDir;

/// Of the eight that JACK knows at a time; a server that was killed is forgotten under its name.
const NAME: &str = "segue-bench";

/// Frames the recorder may be behind with its disk: 40 seconds.
const BUFFER: &str = "2097152";

pub(super) struct Jackd {
    child: Child,
    folder: TempDir,
}

impl Jackd {
    pub(super) fn start(period: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = fs::File::create(folder.path().join("jackd.log")).expect("a log");
        let mut command = command("jackd");
        // Without a longer time-out a recorder that is two periods late misses one for good.
        command.args(["-n", NAME, "-R", "-P70", "-S", "-t500", "-d", "dummy", "-r48000"]);
        command.arg(format!("-p{period}")).args(["-C0", "-P2"]);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let mut child = command.spawn().ok()?;
        while !command_ok("jack_lsp") {
            if child.try_wait().expect("a child").is_some() {
                return None;
            }
            pause();
        }
        Some(Self { child, folder })
    }

    pub(super) fn name(&self) -> &'static str {
        NAME
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Records both ports of the engine from now on.
    pub(super) fn record(&mut self) -> Recorder {
        let path = self.folder.path().join("far.wav");
        let mut command = command("jack_rec");
        command.arg("-f").arg(&path).args(["-d", "100000", "-b", "32", "-B", BUFFER]);
        command.args(["segue:out_1", "segue:out_2"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it comes with jackd");
        while fs::metadata(&path).map_or(0, |file| file.len()) < 100_000 {
            pause();
        }
        Recorder { child, path }
    }
}

impl Drop for Jackd {
    fn drop(&mut self) {
        end(&mut self.child, Signal::TERM);
    }
}

pub(super) struct Recorder {
    child: Child,
    path: PathBuf,
}

impl Recorder {
    /// Ends it; gives its file.
    pub(super) fn finish(mut self) -> PathBuf {
        end(&mut self.child, Signal::INT);
        self.path.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn end(child: &mut Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    // It has not been waited for, so nobody else has its number.
    let _ = kill_process(pid, signal);
    let _ = child.wait();
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("JACK_DEFAULT_SERVER", NAME);
    command.env("JACK_NO_START_SERVER", "1").env("JACK_NO_AUDIO_RESERVATION", "1");
    command
}

fn command_ok(program: &str) -> bool {
    let mut command = command(program);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn pause() {
    clock::sleep_until_ns(clock::monotonic_ns() + 10_000_000);
}
