//! What the library calls, on threads of its own.
//!
//! *Invariant*: one thread plays at a time, and none once the gate is shut: the library may end
//! its threads wherever they are when a client is closed.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use super::library::{Library, RawPort, text_of};

/// What happens beside the playing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// From now on so many frames are asked for at a time.
    Period(u32),
    /// So many frames a second.
    Rate(u32),
    /// A deadline was missed, by us or by somebody else.
    Xrun,
    /// The server's clock is off, or on again.
    Freewheel(bool),
    /// The port of this number came.
    Port(u32),
    /// Connections, and with them latencies, changed.
    Graph,
    /// The server is gone, or has thrown us out; its reason.
    Lost(String),
}

/// Fills the ports; called on the library's real-time thread. `[audio]`
pub(super) type Player = Box<dyn FnMut(&mut Outputs<'_>) + Send>;

/// Is told what happens; called on other threads of the library's, which may not call the
/// client's functions meanwhile.
pub(super) type Listener = Box<dyn Fn(Event) + Send + Sync>;

/// An output port.
#[derive(Clone, Copy)]
pub(super) struct Port(pub(super) RawPort);

// SAFETY: a number of the library's, whose functions may be called on any thread.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

/// The ports of one call.
pub struct Outputs<'a> {
    library: &'static Library,
    ports: &'a [Port],
    frames: u32,
}

impl Outputs<'_> {
    /// How many frames are asked for. `[audio]`
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames as usize
    }

    /// How many ports there are. `[audio]`
    #[must_use]
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Where the frames of a port go; empty where the server has no room for them. `[audio]`
    #[must_use]
    pub fn port(&mut self, index: usize) -> &mut [f32] {
        let Port(port) = self.ports[index];
        // SAFETY: a port of this client's, asked for on its thread during a call.
        let buffer = unsafe { (self.library.jack_port_get_buffer)(port, self.frames) };
        if buffer.is_null() || !buffer.is_aligned() {
            return &mut [];
        }
        // SAFETY: so many samples, ours until the call ends; `&mut self` hands out one at a time.
        unsafe { std::slice::from_raw_parts_mut(buffer, self.frames as usize) }
    }

    fn silence(&mut self) {
        for index in 0..self.ports() {
            self.port(index).fill(0.0);
        }
    }
}

/// What the library's callbacks are given; at one address until the client is closed.
pub(super) struct Context {
    pub(super) library: &'static Library,
    pub(super) ports: Vec<Port>,
    pub(super) listener: Listener,
    player: UnsafeCell<Player>,
    /// Somebody plays.
    inside: AtomicBool,
    /// Nobody shall any more.
    shut: AtomicBool,
}

// SAFETY: the player is `Send` and touched only by who turned `inside` from false to true; all
// else is `Sync`.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn new(
        library: &'static Library,
        ports: Vec<Port>,
        player: Player,
        listener: Listener,
    ) -> Self {
        let player = UnsafeCell::new(player);
        let (inside, shut) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { library, ports, listener, player, inside, shut }
    }

    /// Lets nobody in any more.
    pub(super) fn shut(&self) {
        // One order over both flags: either the player sees this, or we see the player.
        self.shut.store(true, SeqCst);
    }

    /// Whether somebody is still playing.
    pub(super) fn is_busy(&self) -> bool {
        self.inside.load(SeqCst)
    }

    fn play(&self, frames: u32) {
        let mut outputs = Outputs { library: self.library, ports: &self.ports, frames };
        if self.inside.swap(true, SeqCst) {
            // Another thread plays: the library promises that this never happens.
            return outputs.silence();
        }
        if self.shut.load(SeqCst) {
            outputs.silence();
        } else {
            // SAFETY: whoever turned `inside` on is alone in here until it is off again.
            let player = unsafe { &mut *self.player.get() };
            player(&mut outputs);
        }
        self.inside.store(false, SeqCst);
    }

    fn tell(&self, event: Event) {
        if !self.shut.load(SeqCst) {
            (self.listener)(event);
        }
    }
}

/// # Safety
/// `context` is of a client that has not been closed yet.
unsafe fn of<'a>(context: *mut c_void) -> &'a Context {
    // SAFETY: the client keeps it until the library has ended its threads.
    unsafe { &*context.cast::<Context>() }
}

pub(super) extern "C" fn on_process(frames: u32, context: *mut c_void) -> c_int {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.play(frames);
    0
}

pub(super) extern "C" fn on_period(frames: u32, context: *mut c_void) -> c_int {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Period(frames));
    0
}

pub(super) extern "C" fn on_rate(rate: u32, context: *mut c_void) -> c_int {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Rate(rate));
    0
}

pub(super) extern "C" fn on_xrun(context: *mut c_void) -> c_int {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Xrun);
    0
}

pub(super) extern "C" fn on_graph(context: *mut c_void) -> c_int {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Graph);
    0
}

pub(super) extern "C" fn on_freewheel(starting: c_int, context: *mut c_void) {
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Freewheel(starting != 0));
}

pub(super) extern "C" fn on_port(id: u32, came: c_int, context: *mut c_void) {
    if came != 0 {
        // SAFETY: the library calls only while the client is open.
        unsafe { of(context) }.tell(Event::Port(id));
    }
}

pub(super) extern "C" fn on_end(_status: u32, reason: *const c_char, context: *mut c_void) {
    // SAFETY: null, or a text that lives during the call.
    let reason = unsafe { text_of(reason) }.unwrap_or_default();
    // SAFETY: the library calls only while the client is open.
    unsafe { of(context) }.tell(Event::Lost(reason));
}
