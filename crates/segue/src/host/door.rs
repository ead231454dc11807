//! The status door: an abstract Unix socket named after the OSC port, open also while control
//! is dead.
//!
//! A visitor says one word. `look` is answered with descriptors of the shared regions that can
//! only be read; `stop` ends the engine, for its own user and root. Nothing else is understood
//! and nothing is parsed.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};
use segue_lockstep::Shape;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::Status;
use segue_lockstep::memory::tap::Tap;
use segue_sys::event::{Event, wait_readable};
use segue_sys::socket::{Listener, Seqpacket};
use segue_sys::{Access, Region};
use serde::{Deserialize, Serialize};

use super::wire;

const LOOK: &[u8] = b"look";
const STOP: &[u8] = b"stop";
const FORBIDDEN: &[u8] = b"forbidden";
const DONE: &[u8] = b"done";

/// How long a visitor may take to say its word; visitors come one after another.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a visitor that is hung up on comes again: a machine that is busy may keep it from
/// speaking in time.
const ATTEMPTS: usize = 3;
/// How long a visitor waits for an answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Why a door was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// Nobody is there.
    #[error("no engine answers on port {0}; start one with 'segue run'")]
    NoEngine(u16),
    /// Somebody is, but not for this user.
    #[error("the engine belongs to another user")]
    Forbidden,
    /// It answered with something else, as another version might.
    #[error("the engine's answer is not understood; is it of another version?")]
    Strange,
    /// The kernel.
    #[error("cannot ask the engine: {0}")]
    Io(#[from] io::Error),
}

/// What a look through the door shows.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The supervisor.
    pub(crate) pid: u32,
    /// What the regions agree on.
    pub(crate) shape: Shape,
    /// Sealed, playhead, primary, log.
    pub(crate) orders: Orders,
    /// Counters, slots, deaths.
    pub(crate) status: Status,
    /// What control says of itself.
    pub(crate) inbox: Inbox,
    /// What was played.
    pub(crate) tap: Tap,
    /// Compiled patches.
    pub(crate) plans: Plans,
    /// The workers' places.
    pub(crate) slots: Vec<Slot>,
    port: u16,
    process: Option<OwnedFd>,
}

#[derive(Serialize, Deserialize)]
struct View {
    pid: u32,
    shape: wire::ShapeWords,
}

fn name(port: u16) -> String {
    format!("segue-{port}")
}

/// The pid of the engine that owns `port`, if there is one.
pub(crate) fn owner(port: u16) -> Option<u32> {
    Seqpacket::connect(&name(port)).and_then(|socket| socket.peer()).ok().map(|peer| peer.pid)
}

/// Looks at the engine that owns `port`.
pub(crate) fn ask(port: u16) -> Result<Visit, DoorError> {
    let (answer, fds) = say(port, LOOK)?;
    let view: View = postcard::from_bytes(&answer).map_err(|_| DoorError::Strange)?;
    let shape = Shape::from(view.shape);
    let mut regions = fds.into_iter().map(|fd| Region::adopt_on_demand(fd, Access::Read));
    let mut next = || Ok::<_, DoorError>(regions.next().ok_or(DoorError::Strange)??);
    let orders = Orders::new(next()?).ok_or(DoorError::Strange)?;
    let status = Status::new(next()?).ok_or(DoorError::Strange)?;
    let inbox = Inbox::new(next()?).ok_or(DoorError::Strange)?;
    let tap = Tap::new(next()?, &shape).ok_or(DoorError::Strange)?;
    let plans = Plans::new(next()?).ok_or(DoorError::Strange)?;
    let mut slots = Vec::new();
    for _ in 0..shape.slots {
        slots.push(Slot::new(next()?, &shape).ok_or(DoorError::Strange)?);
    }
    let process = i32::try_from(view.pid)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    Ok(Visit { pid: view.pid, shape, orders, status, inbox, tap, plans, slots, port, process })
}

impl Visit {
    /// Asks the engine to end in order.
    pub(crate) fn stop(&self) -> Result<(), DoorError> {
        match say(self.port, STOP)?.0.as_slice() {
            DONE => Ok(()),
            FORBIDDEN => Err(DoorError::Forbidden),
            _ => Err(DoorError::Strange),
        }
    }

    /// Whether the engine has ended, after waiting at most `timeout` for it.
    pub(crate) fn ended(&self, timeout: Duration) -> bool {
        let Some(process) = &self.process else { return owner(self.port).is_none() };
        let mut ended = Vec::new();
        wait_readable(&[process.as_fd()], Some(timeout), &mut ended).is_ok() && ended[0]
    }
}

/// Says a word and hears the answer. Whoever is hung up on asks again: either the engine has ended
/// since it was found, and then nobody is found, or this side was too slow to speak.
fn say(port: u16, word: &[u8]) -> Result<(Vec<u8>, Vec<OwnedFd>), DoorError> {
    for _ in 0..ATTEMPTS {
        let socket = match Seqpacket::connect(&name(port)) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            other => other?,
        };
        socket.set_timeout(ANSWER)?;
        let mut answer = vec![0; 1024];
        match socket.send(word, &[]).and_then(|()| socket.receive(&mut answer)) {
            Ok(got) if got.length > 0 => {
                answer.truncate(got.length);
                return Ok((answer, got.fds));
            }
            Err(error)
                if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Err(DoorError::NoEngine(port))
}

/// The supervisor's side: a thread that answers until the program ends.
#[derive(Debug)]
pub(super) struct Door {
    listener: Listener,
    view: Vec<u8>,
    fds: Vec<OwnedFd>,
    stop: Event,
}

impl Door {
    /// Opens the door of `port`; `stop` is raised when somebody asks for the end. `regions` as
    /// [`ask`] takes them.
    pub(super) fn open(
        port: u16,
        shape: &Shape,
        regions: &[&Region],
        stop: Event,
    ) -> io::Result<Self> {
        let listener = Listener::bind(&name(port))?;
        let fds = regions.iter().map(|it| it.read_only_fd()).collect::<io::Result<_>>()?;
        let view = View { pid: std::process::id(), shape: shape.into() };
        let view = postcard::to_stdvec(&view).map_err(io::Error::other)?;
        Ok(Self { listener, view, fds, stop })
    }

    /// Answers from now on.
    pub(super) fn serve(self) -> io::Result<()> {
        thread::Builder::new().name("door".into()).spawn(move || {
            loop {
                match self.listener.accept() {
                    // A visitor that is gone again, or a limit met: the next one may do better.
                    Ok(visitor) => drop(self.answer(&visitor)),
                    Err(_) => segue_sys::clock::sleep_until_ns(
                        segue_sys::clock::monotonic_ns() + PATIENCE.as_nanos() as u64,
                    ),
                }
            }
        })?;
        Ok(())
    }

    fn answer(&self, visitor: &Seqpacket) -> io::Result<()> {
        visitor.set_timeout(PATIENCE)?;
        let mut word = [0; 16];
        let got = visitor.receive(&mut word)?;
        match &word[..got.length] {
            LOOK => {
                let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
                visitor.send(&self.view, &fds)
            }
            STOP => {
                let uid = visitor.peer()?.uid;
                let own = rustix::process::geteuid().as_raw();
                if uid != own && uid != 0 {
                    return visitor.send(FORBIDDEN, &[]);
                }
                self.stop.raise();
                visitor.send(DONE, &[])
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_lockstep::Shape;
    use segue_lockstep::memory::inbox::Inbox;
    use segue_lockstep::memory::orders::Orders;
    use segue_lockstep::memory::plans::Plans;
    use segue_lockstep::memory::slot::Slot;
    use segue_lockstep::memory::status::Status;
    use segue_lockstep::memory::tap::Tap;
    use segue_sys::Region;
    use segue_sys::event::Event;
    use segue_sys::socket::{Listener, Seqpacket};

    use super::{Door, DoorError, ask, name, owner, say};

    #[test]
    fn an_engine_that_ends_while_it_is_asked_is_no_engine() {
        let port = 20_000 + (std::process::id() % 20_000) as u16;
        let listener = Listener::bind(&name(port)).unwrap();
        let engine = std::thread::spawn(move || {
            // What was asked is left unread, so that the other side is told of a reset.
            drop(listener.accept().unwrap());
        });
        assert!(matches!(say(port, super::LOOK), Err(DoorError::NoEngine(_))));
        engine.join().unwrap();
    }

    #[test]
    fn a_visitor_sees_the_regions_and_can_ask_for_the_end() {
        let port = 40_000 + (std::process::id() % 20_000) as u16;
        assert!(matches!(ask(port), Err(DoorError::NoEngine(_))));
        let shape = Shape { slots: 1, channels: 2, rate: 8000, state_words: 8 };
        let new = |words| Region::shared("test", words).unwrap();
        let regions = [
            new(Orders::words()),
            new(Status::words()),
            new(Inbox::words()),
            new(Tap::words(&shape)),
            new(Plans::words()),
            new(Slot::words(&shape)),
        ];
        let stop = Event::new().unwrap();
        let door = Door::open(port, &shape, &regions.each_ref(), stop.share().unwrap()).unwrap();
        door.serve().unwrap();

        assert_eq!(owner(port), Some(std::process::id()));
        let silent = Seqpacket::connect(&name(port)).unwrap();
        assert!(say(port, b"what?").is_err());
        let visit = ask(port).unwrap();
        assert_eq!((visit.pid, visit.shape), (std::process::id(), shape));
        Orders::new(regions[0].clone()).unwrap().set_playhead(77);
        assert_eq!(visit.orders.playhead(), 77);
        assert!(!stop.take());
        visit.stop().unwrap();
        assert!(stop.take());
        assert!(!visit.ended(Duration::ZERO));
        drop(silent);
    }
}
