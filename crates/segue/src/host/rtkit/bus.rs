//! rtkit on the system bus: gives a thread real-time priority where the kernel refuses it.
//!
//! *Source*: the README of RealtimeKit 0.13. It wants a bound on how long a real-time thread may
//! run without sleeping (`RLIMIT_RTTIME`), in force before it is asked.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use zbus::{Connection, OwnedVariant, connection};

const NAME: &str = "org.freedesktop.RealtimeKit1";
const PATH: &str = "/org/freedesktop/RealtimeKit1";
/// How long one question may take: rtkit itself asks polkit.
const PATIENCE: Duration = Duration::from_secs(1);

/// A line to rtkit.
#[derive(Debug)]
pub(crate) struct Bus {
    connection: Connection,
    /// The highest priority it gives.
    most: u32,
    /// The longest a thread may run without sleeping, in microseconds.
    run_us: u64,
}

impl Bus {
    /// Reaches rtkit; waits for the bus, if that hangs for ever.
    pub(crate) fn reach() -> Result<Self, String> {
        let builder = connection::Builder::system().method_timeout(PATIENCE);
        let connection =
            wait(builder.build()).map_err(|error| format!("no system bus ({error})"))?;
        let mut bus = Self { connection, most: 0, run_us: 0 };
        bus.most = bus.property("MaxRealtimePriority").and_then(|it| {
            let most = i32::try_from(it).ok().and_then(|it| u32::try_from(it).ok());
            most.filter(|most| *most > 0).ok_or_else(|| "it gives no priority".to_owned())
        })?;
        bus.run_us = bus.property("RTTimeUSecMax").and_then(|it| {
            let most = i64::try_from(it).ok().and_then(|it| u64::try_from(it).ok());
            most.ok_or_else(|| "it lets no thread run".to_owned())
        })?;
        Ok(bus)
    }

    /// The highest priority it gives.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Gives thread `thread` of process `pid`, of this user, the priority `level`.
    pub(crate) fn grant(&self, pid: u32, thread: u32, level: u32) -> Result<(), String> {
        self.bound(pid).map_err(|error| format!("RLIMIT_RTTIME cannot be set ({error})"))?;
        let body = (u64::from(pid), u64::from(thread), level);
        let (name, path) = (Some(NAME), PATH);
        let call =
            self.connection.call_method(name, path, name, "MakeThreadRealtimeWithPID", &body);
        wait(call).map(drop).map_err(told)
    }

    /// Sets the bound that rtkit insists on. A thread that runs into it is told (`SIGXCPU`)
    /// before it is killed.
    fn bound(&self, pid: u32) -> Result<(), String> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no such process")?;
        let bound = Rlimit { current: Some(self.run_us / 4 * 3), maximum: Some(self.run_us) };
        prlimit(Some(pid), Resource::Rttime, bound).map(drop).map_err(|error| error.to_string())
    }

    fn property(&self, property: &str) -> Result<OwnedVariant, String> {
        let interface = Some("org.freedesktop.DBus.Properties");
        let body = (NAME, property);
        let asked = self.connection.call_method(Some(NAME), PATH, interface, "Get", &body);
        wait(asked).map_err(told)?.body().deserialize().map_err(told)
    }
}

/// What went wrong, in words that say what to do where the bus has some.
fn told(error: zbus::Error) -> String {
    let text = error.to_string();
    if text.contains("DBus.Error.ServiceUnknown") {
        "it is not installed".to_owned()
    } else if text.contains("DBus.Error.AccessDenied") {
        "it refuses, for polkit wants a login session of this user".to_owned()
    } else {
        text
    }
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for what is done by the library's own threads.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}
