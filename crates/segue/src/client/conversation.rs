//! A conversation with an engine over UDP: messages there, replies back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rosc::{OscMessage, OscType};

use crate::exit::{Exit, Failure};
use crate::osc::decode;
use crate::osc::framing::{self, Deframer, Style};
use crate::osc::reply;
use crate::osc::time::TimeTag;

/// A socket that talks to one engine.
pub(crate) struct Conversation {
    socket: UdpSocket,
    engine: SocketAddr,
    next_sync: i32,
}

impl Conversation {
    /// Opens a socket towards `engine`.
    pub(crate) fn open(engine: SocketAddr) -> Result<Self, Failure> {
        let own: SocketAddr = match engine {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let opened = UdpSocket::bind(own).and_then(|socket| {
            socket.connect(engine)?;
            Ok(socket)
        });
        let socket = opened.map_err(|error| failed(engine, &error))?;
        Ok(Self { socket, engine, next_sync: 1 })
    }

    /// Sends a message, to be done at once.
    pub(crate) fn send(&self, message: &OscMessage) -> Result<(), Failure> {
        self.write(&reply::encode(message))
    }

    /// Sends messages that belong to one frame, at the time of `tag`.
    pub(crate) fn send_at(&self, tag: TimeTag, messages: &[OscMessage]) -> Result<(), Failure> {
        let mut bytes = b"#bundle\0".to_vec();
        bytes.extend(tag.0.to_be_bytes());
        for message in messages {
            let message = reply::encode(message);
            bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(message);
        }
        self.write(&bytes)
    }

    /// Asks whether everything sent is in the log, and gives each reply that comes before the
    /// answer to `heard`.
    pub(crate) fn sync(
        &mut self,
        timeout: Duration,
        mut heard: impl FnMut(OscMessage),
    ) -> Result<(), Failure> {
        let number = self.next_sync;
        self.next_sync = self.next_sync.wrapping_add(1);
        let sync = OscMessage { addr: "/sync".to_owned(), args: vec![OscType::Int(number)] };
        let until = Instant::now() + timeout;
        self.send(&sync)?;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Some(message) = self.hear(left)? else { continue };
            if message.addr == "/synced" {
                if message.args == [OscType::Int(number)] {
                    return Ok(());
                }
                continue;
            }
            heard(message);
        }
        let text = format!(
            "no answer from {} within {:.1} s; `segue status` tells how the engine is",
            self.engine,
            timeout.as_secs_f64()
        );
        Err(Failure::new(Exit::TryAgain, text))
    }

    /// The next reply, if one comes in time.
    pub(crate) fn hear(&self, timeout: Duration) -> Result<Option<OscMessage>, Failure> {
        let fail = |error: &io::Error| failed(self.engine, error);
        // Zero would mean for ever.
        let timeout = timeout.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(timeout)).map_err(|error| fail(&error))?;
        let mut bytes = [0; 65_536];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Ok(message_of(&bytes[..length])),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(fail(&error)),
        }
    }

    /// A reply that is there already.
    pub(crate) fn hear_now(&self) -> Result<Option<OscMessage>, Failure> {
        self.socket.set_nonblocking(true).map_err(|error| failed(self.engine, &error))?;
        let heard = self.hear(Duration::ZERO);
        self.socket.set_nonblocking(false).map_err(|error| failed(self.engine, &error))?;
        heard
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self.socket.send(bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(self.engine, &error)),
        }
    }
}

/// Asks over TCP what has an answer too long for a datagram.
pub(crate) fn ask_by_stream(
    engine: SocketAddr,
    message: &OscMessage,
    timeout: Duration,
) -> Result<Option<OscMessage>, Failure> {
    let asked = || -> io::Result<Option<OscMessage>> {
        let mut stream = TcpStream::connect_timeout(&engine, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(&framing::frame(Style::Length, &reply::encode(message)))?;
        let mut deframer = Deframer::default();
        let mut bytes = [0; 65_536];
        loop {
            if let Some(packet) = deframer.next().map_err(io::Error::other)? {
                return Ok(message_of(&packet));
            }
            match stream.read(&mut bytes)? {
                0 => return Ok(None),
                length => deframer.push(&bytes[..length]),
            }
        }
    };
    asked().map_err(|error| failed(engine, &error))
}

fn message_of(packet: &[u8]) -> Option<OscMessage> {
    decode::decode(packet).ok()?.first_mut()?.messages.remove(0).ok()
}

fn failed(engine: SocketAddr, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::ConnectionRefused {
        let text = format!("no engine listens on {engine}; start one with `segue run`");
        return Failure::new(Exit::Unavailable, text);
    }
    Failure::new(Exit::Io, format!("cannot talk to {engine}: {error}"))
}

/// A message as `send` prints it.
pub(crate) fn shown(message: &OscMessage) -> String {
    let mut text = message.addr.clone();
    for argument in &message.args {
        text.push(' ');
        text += &match argument {
            OscType::Int(value) => value.to_string(),
            OscType::Long(value) => value.to_string(),
            OscType::Float(value) => format!("{value:?}"),
            OscType::Double(value) => format!("{value:?}"),
            OscType::String(value) if value.contains([' ', '"']) => format!("{value:?}"),
            OscType::String(value) => value.clone(),
            OscType::Bool(value) => value.to_string(),
            OscType::Nil => "nil".to_owned(),
            other => format!("{other:?}"),
        };
    }
    text
}

/// A message as `send --json` prints it.
pub(crate) fn as_json(message: &OscMessage) -> serde_json::Value {
    let value = |argument: &OscType| match argument {
        OscType::Int(value) => (*value).into(),
        OscType::Long(value) => (*value).into(),
        OscType::Float(value) => (*value).into(),
        OscType::Double(value) => (*value).into(),
        OscType::String(value) => value.clone().into(),
        OscType::Bool(value) => (*value).into(),
        OscType::Nil => serde_json::Value::Null,
        other => format!("{other:?}").into(),
    };
    let args: Vec<serde_json::Value> = message.args.iter().map(value).collect();
    serde_json::json!({ "address": message.addr, "args": args })
}
