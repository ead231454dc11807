//! The demo's own engine: started, hurt, waited for, and cleaned up after.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::not_visited;
use super::super::status::{Seen, pause};
use super::now;
use super::piece::PATCH;
use crate::cli::device::Device;
use crate::exit::{Exit, Failure};
use crate::host::door::{self, DoorError, Visit};

/// How long an engine may take to be healthy.
const START: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How the primary is hurt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wound {
    /// Killed.
    Kill,
    /// Frozen.
    Freeze,
}

/// An engine of our own.
pub(super) struct Engine {
    child: Child,
    port: u16,
    /// For the patch, the journal, the log and the render; gone at the end.
    folder: PathBuf,
}

impl Engine {
    /// Starts the engine on a free port.
    pub(super) fn start(device: &Device, length: Duration, wav: &Path) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("segue-demo-{}", std::process::id()));
        let port = free_port().map_err(|error| failed("find a free port", &error))?;
        let made = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("demo.toml"), PATCH))
            .and_then(|()| fs::File::create(folder.join("log")));
        let log = made.map_err(|error| failed("write to the temporary folder", &error))?;
        let child = Command::new("/proc/self/exe")
            .arg("run")
            .arg(folder.join("demo.toml"))
            .args(["--device", &device.to_string()])
            .args(["--osc", &format!("127.0.0.1:{port}")])
            .args(["--for", &format!("{}ms", length.as_millis())])
            .arg("--record")
            .arg(wav)
            .arg("--journal")
            .arg(folder.join("show.journal"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| failed("start the engine", &error))?;
        Ok(Self { child, port, folder })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Waits until it plays with a standby, whatever on.
    pub(super) fn wait_until_ok(&mut self) -> Result<Visit, Failure> {
        let until = now() + START;
        loop {
            if self.has_ended()? {
                return Err(self.told("the engine ended before it played"));
            }
            match door::ask(self.port) {
                Ok(visit) if Seen::look(&visit).is_whole() => return Ok(visit),
                Ok(_) | Err(DoorError::NoEngine(_)) => {}
                Err(error) => return Err(not_visited(error)),
            }
            if now() >= until {
                return Err(self.told("the engine is not healthy"));
            }
            pause(LOOK_EVERY);
        }
    }

    /// Whether it has come to its end.
    pub(super) fn has_ended(&mut self) -> Result<bool, Failure> {
        let ended = self.child.try_wait().map_err(|error| failed("watch the engine", &error))?;
        Ok(ended.is_some())
    }

    /// Hurts whoever is primary; false if it was gone already.
    pub(super) fn hurt_primary(&self, visit: &Visit, wound: Wound) -> bool {
        let Some(primary) = visit.orders.primary() else { return false };
        let pid = i32::try_from(visit.status.slot(primary).pid).ok().and_then(Pid::from_raw);
        let signal = match wound {
            Wound::Kill => Signal::KILL,
            Wound::Freeze => Signal::STOP,
        };
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Waits for the end, and for it to be in order.
    pub(super) fn wait_for_end(&mut self) -> Result<(), Failure> {
        let status = self.child.wait().map_err(|error| failed("wait for the engine", &error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.told(&format!("the engine ended: {status}")))
        }
    }

    /// Renders the journal to a file of its own.
    pub(super) fn render(&self) -> Result<PathBuf, Failure> {
        let again = self.folder.join("again.wav");
        let output = Command::new("/proc/self/exe")
            .arg("render")
            .arg(self.folder.join("show.journal"))
            .arg("-o")
            .arg(&again)
            .output()
            .map_err(|error| failed("render the journal", &error))?;
        // 1 is "differs", which the comparison will find as well.
        if matches!(output.status.code(), Some(0 | 1)) {
            return Ok(again);
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(Exit::Bug, format!("the journal cannot be rendered: {text}")))
    }

    fn told(&self, what: &str) -> Failure {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Failure::new(Exit::Bug, format!("{what}; it said:\n{log}"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nothing of these matters any more: it has ended, or it must.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free for datagrams and streams.
fn free_port() -> std::io::Result<u16> {
    for _ in 0..100 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = socket.local_addr()?.port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::of_output(error), format!("cannot {what}: {error}"))
}
