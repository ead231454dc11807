//! Children: copies of this very program, started from one thread that lives as long as they.
//!
//! *Invariant*: nothing forks. `std`'s `Command` starts these with `posix_spawn` as long as it
//! is asked for nothing that needs code between fork and exec; a fork beside a large
//! supervisor stalled its audio thread for milliseconds. The kernel's death signal follows the
//! *thread* that spawned, hence the one long-lived thread.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::clock;
use crate::socket::Seqpacket;

/// This program as it was started, even if the file has been replaced since.
const OWN_IMAGE: &str = "/proc/self/exe";

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The child's arguments after its name.
    pub arguments: Vec<OsString>,
    /// Added to the environment this process has.
    pub environment: Vec<(OsString, OsString)>,
}

/// What has become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended by itself.
    Exited {
        /// With this code.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// This one.
        signal: i32,
    },
    /// It stands still until it is continued.
    Stopped {
        /// By this signal.
        signal: i32,
    },
    /// It goes on.
    Continued,
}

/// The thread that starts children. When it is dropped its thread ends, and with it all
/// children that asked to die with their parent.
#[derive(Debug)]
pub struct Spawner {
    orders: Option<Sender<(Order, Sender<io::Result<Child>>)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start() -> io::Result<Self> {
        let (orders, inbox) = channel::<(Order, Sender<io::Result<Child>>)>();
        let thread = thread::Builder::new().name("spawner".into()).spawn(move || {
            for (order, reply) in inbox {
                // Nobody waits any more: dropping the child ends it.
                let _ = reply.send(spawn(&order));
            }
        })?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Orders a child; it can be picked up from what is returned. Does not wait. `[any]` but
    /// audio.
    pub fn order(&self, order: Order) -> Receiver<io::Result<Child>> {
        let (reply, pickup) = channel();
        if let Some(orders) = &self.orders {
            // A thread that has ended drops the reply, and the pickup says so.
            let _ = orders.send((order, reply));
        }
        pickup
    }

    /// Orders a child and waits for it.
    ///
    /// # Errors
    /// What the kernel said to pipes, sockets or the start itself.
    pub fn spawn(&self, order: Order) -> io::Result<Child> {
        self.order(order).recv().unwrap_or_else(|_| Err(io::Error::other("the spawner ended")))
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A process we started. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    handle: OwnedFd,
    socket: Seqpacket,
    stderr: OwnedFd,
    gone: bool,
}

impl Child {
    /// Its number, valid until its end has been seen.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Readable as soon as it has ended.
    #[must_use]
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// The other end of its standard input.
    #[must_use]
    pub fn socket(&self) -> &Seqpacket {
        &self.socket
    }

    /// What it writes to standard error; reading never waits. The writing end does not wait
    /// either, so a dying child cannot hang on a full pipe.
    #[must_use]
    pub fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_fd()
    }

    /// What has happened to it since the last look, one thing a call; the end is told once and
    /// reaps it.
    ///
    /// # Errors
    /// What the kernel says; that would be our own bug.
    pub fn change(&mut self) -> io::Result<Option<Change>> {
        if self.gone {
            return Ok(None);
        }
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::STOPPED
            | WaitIdOptions::CONTINUED
            | WaitIdOptions::NOHANG;
        let found = rustix::process::waitid(WaitId::PidFd(self.handle.as_fd()), options)?;
        let Some(status) = found else { return Ok(None) };
        let change = if let Some(code) = status.exit_status() {
            Change::Exited { code }
        } else if let Some(signal) = status.terminating_signal() {
            Change::Killed { signal }
        } else if let Some(signal) = status.stopping_signal().or(status.trapping_signal()) {
            Change::Stopped { signal }
        } else {
            Change::Continued
        };
        self.gone = matches!(change, Change::Exited { .. } | Change::Killed { .. });
        Ok(Some(change))
    }

    /// Kills it, frozen or not. Goes through the handle, so it can never hit another process.
    pub fn kill(&self) {
        // An error means that it has ended already.
        let _ = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// CPU time it has used.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        if self.gone {
            return Err(io::ErrorKind::NotFound.into());
        }
        clock::process_cpu_ns(self.pid())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.gone {
            self.kill();
            let handle = WaitId::PidFd(self.handle.as_fd());
            let _ = rustix::process::waitid(handle, WaitIdOptions::EXITED);
        }
    }
}

fn spawn(order: &Order) -> io::Result<Child> {
    let (socket, far) = Seqpacket::pair()?;
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (stderr, far_stderr) = rustix::pipe::pipe_with(flags)?;
    let child = Command::new(OWN_IMAGE)
        .arg0("segue")
        .args(&order.arguments)
        .envs(order.environment.iter().cloned())
        .stdin(Stdio::from(OwnedFd::from(far)))
        .stdout(Stdio::null())
        .stderr(Stdio::from(far_stderr))
        .process_group(0)
        .spawn()?;
    let number = i32::try_from(child.id()).map_err(io::Error::other)?;
    let pid = Pid::from_raw(number).ok_or_else(|| io::Error::other("a child without a number"))?;
    // Not reaped before this, so the number still means our child.
    let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(error) => {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            return Err(error.into());
        }
    };
    Ok(Child { pid, handle, socket, stderr, gone: false })
}
