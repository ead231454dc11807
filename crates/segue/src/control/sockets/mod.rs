//! The sockets of control: one poll over all of them, packets in, replies out.

mod drops;
mod senders;
mod streams;

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rosc::OscMessage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::osc::framing::FramingError;
use crate::osc::reply;
pub(super) use drops::Drops;
pub(super) use senders::{Sender, Senders};
use streams::{Arrived, Streams};

/// Datagrams taken from one socket a turn, so that none starves the others.
const DATAGRAMS_MAX: usize = 256;
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
    /// A connection is gone.
    Closed(Sender),
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
            Arrived::Closed(number) => Incoming::Closed(Sender::Tcp(number)),
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
            Sender::Own => {}
        }
    }

    /// Ends a connection.
    pub(super) fn end(&mut self, sender: Sender) {
        if let Sender::Tcp(number) = sender {
            self.streams.end(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use rosc::{OscMessage, OscType};

    use super::{Incoming, Sender, Sockets};
    use crate::osc::framing::{self, Deframer, FramingError, Style};
    use crate::osc::reply;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn sockets() -> Sockets {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        Sockets::new(vec![udp], vec![tcp])
    }

    fn stream(sockets: &Sockets) -> TcpStream {
        let stream = TcpStream::connect(sockets.tcp[0].local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// Turns until so much has come in.
    fn received(sockets: &mut Sockets, count: usize) -> Vec<Incoming> {
        // Nothing ever comes here: it stands for the line to the supervisor.
        let quiet = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut all = Vec::new();
        for _ in 0..10_000 {
            all.extend(sockets.receive());
            if all.len() >= count {
                return all;
            }
            sockets.wait(quiet.as_fd(), Duration::from_millis(10));
        }
        panic!("{} of {count} came in", all.len());
    }

    fn sender_and_packet(incoming: &Incoming) -> (Sender, &[u8]) {
        match incoming {
            Incoming::Packet(sender, packet) => (*sender, packet),
            other => panic!("{other:?}"),
        }
    }

    fn long() -> OscMessage {
        let args = vec![OscType::String("x".repeat(100_000))];
        OscMessage { addr: "/done".to_owned(), args }
    }

    #[test]
    fn a_datagram_is_answered_where_it_came_from() {
        let mut sockets = sockets();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.send_to(b"/a\0\0", sockets.udp[0].local_addr().unwrap()).unwrap();
        let incoming = received(&mut sockets, 1);
        let (sender, packet) = sender_and_packet(&incoming[0]);
        assert_eq!(packet, b"/a\0\0");
        sockets.reply(sender, &OscMessage { addr: "/b".to_owned(), args: vec![] });
        let mut bytes = [0; 64];
        let length = client.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"/b\0\0,\0\0\0");
    }

    #[test]
    fn a_stream_is_answered_in_its_own_style_also_when_it_has_said_all() {
        for style in [Style::Length, Style::Slip] {
            let mut sockets = sockets();
            let mut client = stream(&sockets);
            client.write_all(&framing::frame(style, b"/a\0\0")).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let incoming = received(&mut sockets, 1);
            let (sender, packet) = sender_and_packet(&incoming[0]);
            assert_eq!(packet, b"/a\0\0");
            // More than the kernel takes at once on some machines: the rest follows.
            sockets.reply(sender, &long());
            let mut deframer = Deframer::default();
            let mut bytes = vec![0; 65_536];
            let answer = loop {
                if let Some(answer) = deframer.next().unwrap() {
                    break answer;
                }
                let length = client.read(&mut bytes).unwrap();
                assert!(length > 0, "the answer was cut short");
                deframer.push(&bytes[..length]);
                sockets.receive();
            };
            assert_eq!(deframer.style(), Some(style));
            assert_eq!(answer, reply::encode(&long()));
        }
    }

    #[test]
    fn a_stream_that_cannot_be_read_is_said_and_ended() {
        let mut sockets = sockets();
        let mut client = stream(&sockets);
        client.write_all(&[0x7f, 0xff, 0xff, 0xff]).unwrap();
        let sender = match received(&mut sockets, 1).remove(0) {
            Incoming::Broken(sender, FramingError::TooLong) => sender,
            other => panic!("{other:?}"),
        };
        sockets.end(sender);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn a_connection_that_is_gone_is_said_once_behind_all_that_it_said() {
        let mut sockets = sockets();
        let mut client = stream(&sockets);
        client.write_all(&framing::frame(Style::Length, b"/a\0\0")).unwrap();
        drop(client);
        let incoming = received(&mut sockets, 2);
        assert!(
            matches!(&incoming[..], [Incoming::Packet(..), Incoming::Closed(_)]),
            "{incoming:?}"
        );
        assert!(sockets.receive().is_empty());
    }

    #[test]
    fn more_connections_than_there_is_room_for_are_turned_away() {
        let mut sockets = sockets();
        let mut clients: Vec<_> = (0..64).map(|_| stream(&sockets)).collect();
        for client in &mut clients {
            client.write_all(&framing::frame(Style::Length, b"/a\0\0")).unwrap();
        }
        assert_eq!(received(&mut sockets, 64).len(), 64);
        let mut stranger = stream(&sockets);
        sockets.receive();
        assert_eq!(stranger.read(&mut [0; 8]).unwrap(), 0);
        clients[0].write_all(&framing::frame(Style::Length, b"/b\0\0")).unwrap();
        assert_eq!(received(&mut sockets, 1).len(), 1);
    }
}
