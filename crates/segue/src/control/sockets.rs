//! The sockets of control: one poll over all of them, packets in, replies out.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rosc::OscMessage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::senders::Sender;
use super::streams::{Arrived, Streams};
use crate::osc::framing::FramingError;
use crate::osc::reply;

/// Datagrams taken from one socket a turn, so that none starves the others.
const DATAGRAMS_MAX: usize = 512;
/// Asked of the kernel for each UDP socket: room for a second of a flood.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;

/// One thing that came in.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A packet of a sender.
    Packet(Sender, Vec<u8>),
    /// A stream that cannot be read on.
    Broken(Sender, FramingError),
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    streams: Streams,
    buffer: Vec<u8>,
}

impl Sockets {
    /// Takes bound sockets that do not block.
    pub(super) fn new(udp: Vec<UdpSocket>, tcp: Vec<TcpListener>) -> Self {
        for socket in &udp {
            // What the kernel grants is bounded by its own limit; drops are counted.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER_BYTES);
        }
        Self { udp, tcp, streams: Streams::default(), buffer: vec![0; DATAGRAM_BYTES] }
    }

    /// The UDP sockets, to ask the kernel about them.
    pub(super) fn udp(&self) -> &[UdpSocket] {
        &self.udp
    }

    /// Waits until something comes, `also` can be read, or the time is over.
    pub(super) fn wait(&self, also: BorrowedFd<'_>, timeout: Duration) {
        let mut fds = vec![PollFd::from_borrowed_fd(also, PollFlags::IN)];
        let readable = self.udp.iter().map(AsFd::as_fd).chain(self.tcp.iter().map(AsFd::as_fd));
        fds.extend(readable.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        fds.extend(self.streams.fds().map(|(fd, reads, writes)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads);
            flags.set(PollFlags::OUT, writes);
            PollFd::from_borrowed_fd(fd, flags)
        }));
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // Interrupted or not: the turn that follows finds out what there is.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// What has come in, in order of each sender.
    pub(super) fn receive(&mut self) -> Vec<Incoming> {
        let mut incoming = Vec::new();
        for (at, socket) in self.udp.iter().enumerate() {
            for _ in 0..DATAGRAMS_MAX {
                match socket.recv_from(&mut self.buffer) {
                    Ok((length, from)) => {
                        let packet = self.buffer[..length].to_vec();
                        incoming.push(Incoming::Packet(Sender::Udp(at, from), packet));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An earlier reply met a closed port: nothing of this packet is lost.
                    Err(_) => {}
                }
            }
        }
        for listener in &self.tcp {
            self.streams.accept(listener);
        }
        incoming.extend(self.streams.turn().into_iter().map(|arrived| match arrived {
            Arrived::Packet(number, packet) => Incoming::Packet(Sender::Tcp(number), packet),
            Arrived::Broken(number, error) => Incoming::Broken(Sender::Tcp(number), error),
        }));
        incoming
    }

    /// Answers a sender; who has gone or does not read is not waited for.
    pub(super) fn reply(&mut self, to: Sender, message: &OscMessage) {
        match to {
            Sender::Udp(at, address) => {
                let bytes = reply::encode_udp(message);
                if let Some(socket) = self.udp.get(at) {
                    let _ = socket.send_to(&bytes, address);
                }
            }
            Sender::Tcp(number) => self.streams.reply(number, &reply::encode(message)),
        }
    }

    /// Ends a connection.
    pub(super) fn end(&mut self, sender: Sender) {
        if let Sender::Tcp(number) = sender {
            self.streams.end(number);
        }
    }
}
