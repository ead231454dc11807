//! JACK's library, loaded at run time: a client with output ports.
//!
//! It lives here because a C interface needs `unsafe`. Nothing of JACK has to be installed to
//! build or start a program with this in it. No server is ever started.
//!
//! *Invariant*: what the library calls exists until the library has closed the client. A process
//! has one client at a time: the library keeps the memory of one server, and when another client
//! is opened after that one's death it frees what is left of the first behind its owner's back.

mod call;
mod library;
mod message;

use std::ffi::{CStr, CString, OsStr, c_ulong};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

pub use call::{Event, Outputs};
pub use message::{Severity, hear};

use call::{Context, Port};
use library::{Library, Range, RawClient, library, text_of};

use crate::clock;

/// `JackNoStartServer`.
const NO_START_SERVER: u32 = 0x01;
/// `JackServerFailed`: nobody to connect to.
const SERVER_FAILED: u32 = 0x10;
/// `JackPortIsInput`.
const IS_INPUT: c_ulong = 1;
/// `JackPortIsOutput`.
const IS_OUTPUT: c_ulong = 2;
/// `JackPortIsPhysical`.
const IS_PHYSICAL: c_ulong = 4;
/// `JackPlaybackLatency`.
const PLAYBACK: u32 = 1;
/// `JACK_DEFAULT_AUDIO_TYPE`.
const AUDIO: &CStr = c"32 bit float mono audio";

/// How long closing waits for a call that is under way, in looks of a millisecond. A call ends
/// within its period, or, while nobody's clock drives, when what it waits for is given up.
const PATIENCE: u32 = 10_000;
const LOOK_NS: u64 = 1_000_000;

/// The longest name of a server, in bytes: the library puts it into names of files, in 256 bytes
/// that it does not look after.
const SERVER_NAME_MAX: usize = 128;

/// How long opening waits until the last client is closed.
const LAST: Duration = Duration::from_secs(2);

/// Whether this process has a client.
static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();

/// The one client's place, given back when it has been closed.
struct Place;

impl Place {
    fn take(patience: Duration) -> Result<Self, Error> {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = FREED.wait_timeout_while(taken, patience, |taken| *taken);
        let (mut taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::Busy);
        }
        *taken = true;
        Ok(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREED.notify_one();
    }
}

/// Why there is no client, or no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The library is not installed, or is not one of JACK.
    #[error("the JACK library is not installed ({0})")]
    NoLibrary(String),
    /// This process has a client already, or has not been able to close it yet.
    #[error("the last JACK client of this process is not closed yet")]
    Busy,
    /// Nobody to connect to; trying again helps once somebody has started a server.
    #[error("no JACK server is running")]
    NoServer,
    /// There is a server, and it refuses.
    #[error("the JACK server refuses a client (status {0:#x})")]
    Refused(u32),
    /// `JACK_DEFAULT_SERVER` is longer than the library bears.
    #[error("JACK_DEFAULT_SERVER has {0} bytes; JACK bears no more than {SERVER_NAME_MAX}")]
    ServerName(usize),
    /// A name that C cannot hold.
    #[error("not a name: {0:?}")]
    Name(String),
    /// It has no port left, or none by this name.
    #[error("the JACK server refuses the port {0}")]
    Port(String),
    /// It does not let us play.
    #[error("the JACK server does not start the client")]
    Activate,
    /// One of the two is gone, or is not what it should be.
    #[error("the JACK server does not connect {from} to {to}")]
    Connect {
        /// Our port.
        from: String,
        /// The other's.
        to: String,
    },
}

/// A client of a JACK server. Its functions may wait for the server, and with a stopped one they
/// do so until it goes on.
pub struct Client {
    library: &'static Library,
    raw: RawClient,
    ports: Vec<Port>,
    /// What the library's threads are given once it plays.
    context: Option<Arc<Context>>,
    /// Given back last, after the client is closed.
    #[expect(dead_code, reason = "held for its drop")]
    place: Place,
}

// SAFETY: the library's functions for a client may be called on any thread, also at once.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Connects to the server that `JACK_DEFAULT_SERVER` names, else the default one. The name
    /// is made unique by the server. `[control]`
    ///
    /// # Errors
    /// No library, no server, a refusal, a server's name too long for the library, or a client of
    /// ours that is not closed yet.
    pub fn open(name: &str) -> Result<Self, Error> {
        let place = Place::take(LAST)?;
        let name = c_name(name)?;
        may_be_asked_for(std::env::var_os("JACK_DEFAULT_SERVER").as_deref())?;
        let library = library().map_err(Error::NoLibrary)?;
        let mut status = 0;
        // SAFETY: the name ends in a zero, the status is a live local, and this option takes no
        // further argument.
        let raw =
            unsafe { (library.jack_client_open)(name.as_ptr(), NO_START_SERVER, &raw mut status) };
        match raw {
            Some(raw) => Ok(Self { library, raw, ports: Vec::new(), context: None, place }),
            None if status & SERVER_FAILED != 0 => Err(Error::NoServer),
            None => Err(Error::Refused(status)),
        }
    }

    /// What the server calls us. `[control]`
    #[must_use]
    pub fn name(&self) -> String {
        // SAFETY: an open client.
        let name = unsafe { (self.library.jack_get_client_name)(self.raw) };
        // SAFETY: null, or a text that lives as long as the client.
        unsafe { text_of(name) }.unwrap_or_default()
    }

    /// Frames a second. `[control]`
    #[must_use]
    pub fn rate(&self) -> u32 {
        // SAFETY: an open client.
        unsafe { (self.library.jack_get_sample_rate)(self.raw) }
    }

    /// Frames a call. `[control]`
    #[must_use]
    pub fn period(&self) -> u32 {
        // SAFETY: an open client.
        unsafe { (self.library.jack_get_buffer_size)(self.raw) }
    }

    /// Adds an audio output; only before [`Client::play`]. `[control]`
    ///
    /// # Errors
    /// The server refuses it.
    pub fn add_output(&mut self, name: &str) -> Result<(), Error> {
        assert!(self.context.is_none(), "ports are added before it plays");
        let c_name = c_name(name)?;
        // SAFETY: an open client, two names that end in a zero; the type has a size of its own.
        let port = unsafe {
            (self.library.jack_port_register)(
                self.raw,
                c_name.as_ptr(),
                AUDIO.as_ptr(),
                IS_OUTPUT,
                0,
            )
        };
        if port.is_null() {
            return Err(Error::Port(name.to_owned()));
        }
        self.ports.push(Port(port));
        Ok(())
    }

    /// Lets `player` fill the ports from now on, and `listener` hear what happens beside it:
    /// the one on a real-time thread, the other on threads where the client's own functions may
    /// not be called. `[control]`
    ///
    /// # Errors
    /// The server refuses.
    pub fn play(
        &mut self,
        player: impl FnMut(&mut Outputs<'_>) + Send + 'static,
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        assert!(self.context.is_none(), "it plays already");
        let (library, ports) = (self.library, self.ports.clone());
        let context = Context::new(library, ports, Box::new(player), Box::new(listener));
        let context = &*self.context.insert(Arc::new(context));
        set_callbacks(library, self.raw, context);
        // SAFETY: an open client whose context is kept until it is closed.
        match unsafe { (library.jack_activate)(self.raw) } {
            0 => Ok(()),
            _ => Err(Error::Activate),
        }
    }

    /// The audio inputs of all clients, or only those that lead out of the machine, in the
    /// server's order. `[control]`
    #[must_use]
    pub fn inputs(&self, only_physical: bool) -> Vec<String> {
        let flags = if only_physical { IS_INPUT | IS_PHYSICAL } else { IS_INPUT };
        // SAFETY: an open client, no pattern for the name, and a type that ends in a zero.
        let names =
            unsafe { (self.library.jack_get_ports)(self.raw, ptr::null(), AUDIO.as_ptr(), flags) };
        // SAFETY: what the library has just given.
        unsafe { self.library.take_names(names) }
    }

    /// The full name of a port of anybody's. `[control]`
    #[must_use]
    pub fn port_name(&self, id: u32) -> Option<String> {
        // SAFETY: an open client.
        let port = unsafe { (self.library.jack_port_by_id)(self.raw, id) };
        if port.is_null() {
            return None;
        }
        self.name_of(Port(port))
    }

    /// The full names of our own ports. `[control]`
    #[must_use]
    pub fn outputs(&self) -> Vec<String> {
        self.ports.iter().map(|port| self.name_of(*port).unwrap_or_default()).collect()
    }

    /// What each of our ports is connected to. `[control]`
    #[must_use]
    pub fn connections(&self) -> Vec<Vec<String>> {
        let of = |Port(port): &Port| {
            // SAFETY: a port of ours.
            let names = unsafe { (self.library.jack_port_get_connections)(*port) };
            // SAFETY: what the library has just given.
            unsafe { self.library.take_names(names) }
        };
        self.ports.iter().map(of).collect()
    }

    /// Connects two ports by their full names; being connected already is fine. `[control]`
    ///
    /// # Errors
    /// One of them is gone, or its client does not play yet.
    pub fn connect(&self, from: &str, to: &str) -> Result<(), Error> {
        let (c_from, c_to) = (c_name(from)?, c_name(to)?);
        // SAFETY: an open client and two names that end in a zero.
        let done = unsafe { (self.library.jack_connect)(self.raw, c_from.as_ptr(), c_to.as_ptr()) };
        match done {
            0 | libc::EEXIST => Ok(()),
            _ => Err(Error::Connect { from: from.to_owned(), to: to.to_owned() }),
        }
    }

    /// How many frames after the call that hands it over a sample is heard, on the longest way
    /// from any of our ports. `[control]`
    #[must_use]
    pub fn latency(&self) -> u32 {
        let of = |Port(port): &Port| {
            let mut range = Range::default();
            // SAFETY: a port of ours, and a live local.
            unsafe {
                (self.library.jack_port_get_latency_range)(*port, PLAYBACK, &raw mut range);
            }
            range.min.max(range.max)
        };
        self.ports.iter().map(of).max().unwrap_or(0)
    }

    fn name_of(&self, Port(port): Port) -> Option<String> {
        // SAFETY: a port the library has given, not null.
        let name = unsafe { (self.library.jack_port_name)(port) };
        // SAFETY: null, or a text that lives as long as the port; a copy is made at once.
        unsafe { text_of(name) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(context) = self.context.as_ref() {
            context.shut();
            // The library may end its thread anywhere: nobody of ours shall be on it.
            let mut looks = 0;
            while context.is_busy() {
                looks += 1;
                if looks > PATIENCE {
                    // Its thread has ended within the call, or never will: keep what it may touch.
                    std::mem::forget(context.clone());
                    break;
                }
                clock::sleep_until_ns(clock::monotonic_ns() + LOOK_NS);
            }
        }
        if self.context.is_some() {
            // SAFETY: an open client; that it may be gone from the server already is no harm.
            unsafe { (self.library.jack_deactivate)(self.raw) };
        }
        // SAFETY: an open client that nobody uses after this; its context lives on until here.
        unsafe { (self.library.jack_client_close)(self.raw) };
    }
}

/// What the server refuses here it does not know, and that is no harm: nothing of it is needed
/// but the playing, without which nothing is ever called.
fn set_callbacks(library: &Library, raw: RawClient, context: &Arc<Context>) {
    let data = Arc::as_ptr(context).cast_mut().cast();
    // SAFETY: an open client; the context is kept until it is closed. So for all that follow.
    unsafe { (library.jack_set_process_callback)(raw, call::on_process, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_buffer_size_callback)(raw, call::on_period, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_sample_rate_callback)(raw, call::on_rate, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_xrun_callback)(raw, call::on_xrun, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_graph_order_callback)(raw, call::on_graph, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_freewheel_callback)(raw, call::on_freewheel, data) };
    // SAFETY: as above.
    unsafe { (library.jack_set_port_registration_callback)(raw, call::on_port, data) };
    // SAFETY: as above.
    unsafe { (library.jack_on_info_shutdown)(raw, call::on_end, data) };
}

/// Whether a server of this name may be asked for without harm to us.
fn may_be_asked_for(server: Option<&OsStr>) -> Result<(), Error> {
    match server.map_or(0, OsStr::len) {
        length if length > SERVER_NAME_MAX => Err(Error::ServerName(length)),
        _ => Ok(()),
    }
}

fn c_name(name: &str) -> Result<CString, Error> {
    CString::new(name).map_err(|_| Error::Name(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Client, Error, Place, SERVER_NAME_MAX, may_be_asked_for};

    #[test]
    fn a_server_whose_name_would_break_the_library_is_not_asked_for() {
        let longest = "x".repeat(SERVER_NAME_MAX);
        assert_eq!(may_be_asked_for(None), Ok(()));
        assert_eq!(may_be_asked_for(Some(longest.as_ref())), Ok(()));
        let longer = longest + "x";
        let refused = may_be_asked_for(Some(longer.as_ref()));
        assert_eq!(refused, Err(Error::ServerName(SERVER_NAME_MAX + 1)));
    }

    #[test]
    fn a_process_has_one_client_at_a_time() {
        let place = Place::take(Duration::ZERO).expect("nobody has one");
        assert_eq!(Place::take(Duration::from_millis(1)).err(), Some(Error::Busy));
        let next = std::thread::spawn(|| Place::take(Duration::from_secs(60)).map(drop));
        drop(place);
        assert_eq!(next.join().expect("it only waits"), Ok(()));
        // A client that does not come about leaves its place.
        assert_eq!(Client::open("a\0b").err(), Some(Error::Name("a\0b".into())));
        assert!(Place::take(Duration::ZERO).is_ok());
    }
}
