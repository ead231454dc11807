//! TCP connections: bounded in number, in what each may have under way, and in patience.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::osc::framing::{self, Deframer, FramingError, Style};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of replies that may wait for a reader; a connection that is slower ends.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Bytes read from one connection a turn, so that none starves the others.
const READ_BYTES: usize = 64 * 1024;
/// How long a connection that has said all it will say is kept for the answers.
const FAREWELL: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    deframer: Deframer,
    waiting: Vec<u8>,
    /// When the other side closed its half.
    ended: Option<Instant>,
}

/// What arrived on a connection.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A packet.
    Packet(u64, Vec<u8>),
    /// The stream cannot be read on; the connection ends when this is answered.
    Broken(u64, FramingError),
    /// The connection is gone.
    Closed(u64),
}

/// All connections, by number.
#[derive(Debug, Default)]
pub(super) struct Streams {
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Ended since the last turn.
    closed: Vec<u64>,
}

impl Streams {
    /// Descriptors to wait for: whether for reading, whether for writing.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool, bool)> {
        let connections = self.connections.values();
        connections.map(|it| (it.stream.as_fd(), it.ended.is_none(), !it.waiting.is_empty()))
    }

    /// Takes in who knocks; beyond the bound they are turned away.
    pub(super) fn accept(&mut self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            let full = self.connections.len() >= CONNECTIONS_MAX;
            if full || stream.set_nonblocking(true).is_err() {
                continue;
            }
            // Replies are short and awaited; where it is not granted they are later.
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                stream,
                deframer: Deframer::default(),
                waiting: Vec::new(),
                ended: None,
            };
            self.connections.insert(self.next, connection);
            self.next += 1;
        }
    }

    /// Reads what there is, writes what waits, ends what has ended.
    pub(super) fn turn(&mut self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        let mut ended = std::mem::take(&mut self.closed);
        for (number, connection) in &mut self.connections {
            connection.read(*number, &mut arrived);
            let over = connection.ended.is_some_and(|at| at.elapsed() > FAREWELL);
            if !connection.write() || over {
                ended.push(*number);
            }
        }
        for number in ended {
            self.connections.remove(&number);
            // Behind all that it said.
            arrived.push(Arrived::Closed(number));
        }
        arrived
    }

    /// Sends a reply; to a connection that has ended it goes nowhere.
    pub(super) fn reply(&mut self, number: u64, packet: &[u8]) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let style = connection.deframer.style().unwrap_or(Style::Length);
        connection.waiting.extend(framing::frame(style, packet));
        if connection.waiting.len() > WAITING_BYTES_MAX || !connection.write() {
            self.end(number);
        }
    }

    /// Ends a connection.
    pub(super) fn end(&mut self, number: u64) {
        if self.connections.remove(&number).is_some() {
            self.closed.push(number);
        }
    }
}

impl Connection {
    /// Reads a little.
    fn read(&mut self, number: u64, arrived: &mut Vec<Arrived>) {
        if self.ended.is_some() {
            return;
        }
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.ended = Some(Instant::now()),
            Ok(length) => self.deframer.push(&bytes[..length]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.ended = Some(Instant::now()),
        }
        loop {
            match self.deframer.next() {
                Ok(Some(packet)) => arrived.push(Arrived::Packet(number, packet)),
                Ok(None) => return,
                Err(error) => return arrived.push(Arrived::Broken(number, error)),
            }
        }
    }

    /// Writes what can be written; false when the other side has gone.
    fn write(&mut self) -> bool {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(0) => return false,
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}
