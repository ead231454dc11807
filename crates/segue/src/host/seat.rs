//! Control's seat: what a control process finds on its standard input, and its line back.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use segue_lockstep::Shape;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::Status;
use segue_lockstep::memory::tap::Tap;
use segue_sys::event::wait_readable;
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, Region, process};
use serde::{Deserialize, Serialize};

use super::wire::{self, MESSAGE_BYTES_MAX, Regions, ToControl, ToSupervisor};
use crate::cli::settings::Settings;

/// Everything a control process works with.
#[derive(Debug)]
pub(crate) struct ControlSeat {
    /// What `run` was asked for.
    pub(crate) settings: Settings,
    /// 1 is the first control; a later one follows the log of a show that plays.
    pub(crate) generation: u64,
    /// What the regions agree on.
    pub(crate) shape: Shape,
    /// Commands on their way; written here.
    pub(crate) inbox: Inbox,
    /// Compiled patches; written here.
    pub(crate) plans: Plans,
    /// Where the state goes with which a show is gone on with; written here.
    pub(crate) origin: Option<Origin>,
    /// Sealed, playhead, log.
    pub(crate) orders: Orders,
    /// What was played.
    pub(crate) tap: Tap,
    /// Counters, slots, deaths.
    pub(crate) status: Status,
    /// The workers' places.
    pub(crate) slots: Vec<Slot>,
    /// Bound sockets for datagrams, non-blocking.
    pub(crate) udp: Vec<UdpSocket>,
    /// Bound and listening sockets, non-blocking.
    pub(crate) tcp: Vec<TcpListener>,
    /// The line to the supervisor.
    pub(crate) link: ControlLink,
}

/// The line to the supervisor.
#[derive(Debug)]
pub(crate) struct ControlLink {
    socket: Seqpacket,
}

impl ControlLink {
    /// Asks the supervisor for something.
    pub(crate) fn send(&self, message: &ToSupervisor) -> io::Result<()> {
        self.socket.send(&wire::encode(message)?, &[])
    }

    /// An answer that is there. Does not wait.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub(crate) fn news(&self) -> io::Result<Option<ToControl>> {
        let mut readable = Vec::new();
        wait_readable(&[self.socket.as_fd()], Some(Duration::ZERO), &mut readable)?;
        if readable == [true] { self.answer().map(Some) } else { Ok(None) }
    }

    /// Waits for the answer to what was asked.
    pub(crate) fn answer(&self) -> io::Result<ToControl> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let got = self.socket.receive(&mut bytes)?;
        if got.length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        wire::decode(&bytes[..got.length])
    }
}

impl AsFd for ControlLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[derive(Serialize, Deserialize)]
struct Hello {
    parent: u32,
    build: u64,
    generation: u64,
    shape: wire::ShapeWords,
    settings: Settings,
    origin: bool,
    udp: u32,
}

/// Offers the seat to a child: `regions` are inbox, plans, the origin if there is one, orders,
/// tap, status, slots.
pub(super) fn offer(
    child: &Seqpacket,
    settings: &Settings,
    generation: u64,
    shape: &Shape,
    regions: &Offer<'_>,
) -> io::Result<()> {
    let hello = Hello {
        parent: std::process::id(),
        build: wire::build()?,
        generation,
        shape: shape.into(),
        settings: settings.clone(),
        origin: regions.write.len() > 2,
        udp: regions.udp as u32,
    };
    let read_only =
        regions.read.iter().map(|it| it.read_only_fd()).collect::<io::Result<Vec<_>>>()?;
    let mut fds = Vec::new();
    for region in regions.write {
        fds.push(region.fd().ok_or(io::ErrorKind::Unsupported)?);
    }
    fds.extend(read_only.iter().map(AsFd::as_fd));
    fds.extend(regions.sockets.iter().copied());
    child.send(&wire::encode(&hello)?, &fds)
}

/// What [`offer`] hands over.
pub(super) struct Offer<'a> {
    /// Inbox and plans, and the origin where a show is gone on with.
    pub(super) write: &'a [&'a Region],
    /// Orders, tap, status, then the slots.
    pub(super) read: &'a [&'a Region],
    /// The sockets, those for datagrams first.
    pub(super) sockets: &'a [BorrowedFd<'a>],
    /// How many are for datagrams.
    pub(super) udp: usize,
}

/// Sits down: the first thing a control process does.
pub(crate) fn take_control_seat() -> io::Result<ControlSeat> {
    let socket = Seqpacket::from_stdin()?;
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let got = socket.receive(&mut bytes)?;
    let hello: Hello = wire::decode(&bytes[..got.length])?;
    super::settle(hello.parent, hello.build, "segue control")?;
    process::priority::no_core_dumps()?;

    let shape = Shape::from(hello.shape);
    let mut regions = Regions(got.fds.into_iter());
    let inbox = regions.laid(Access::Write, Inbox::new)?;
    let plans = regions.laid_on_demand(Access::Write, Plans::new)?;
    let origin = match hello.origin {
        true => Some(regions.laid_on_demand(Access::Write, |it| Origin::new(it, &shape))?),
        false => None,
    };
    let orders = regions.laid(Access::Read, Orders::new)?;
    let tap = regions.laid(Access::Read, |it| Tap::new(it, &shape))?;
    let status = regions.laid(Access::Read, Status::new)?;
    let mut slots = Vec::new();
    for _ in 0..shape.slots {
        slots.push(regions.laid_on_demand(Access::Read, |it| Slot::new(it, &shape))?);
    }
    let sockets: Vec<OwnedFd> = regions.0.collect();
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for (at, fd) in sockets.into_iter().enumerate() {
        if at < hello.udp as usize { udp.push(fd.into()) } else { tcp.push(fd.into()) }
    }
    Ok(ControlSeat {
        settings: hello.settings,
        generation: hello.generation,
        shape,
        inbox,
        plans,
        origin,
        orders,
        tap,
        status,
        slots,
        udp,
        tcp,
        link: ControlLink { socket },
    })
}
