//! Question and answer with a PulseAudio server before a stream plays; each answer has a limit.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use pulseaudio::protocol::{AuthParams, Command, Prop, Props, PulseError, encode_command_message};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::VERSION;
use super::news::News;
use super::packet::{Came, Inbox, Outbox};
use super::place::{self, Surroundings};
use super::tags::Tags;
use crate::host::device::backend::DeviceError;

/// A server that lives answers at once; this is for a machine under load.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The part of the answer to the first question that is the version; the rest are flags.
const VERSION_MASK: u32 = 0xffff;

/// Why a question has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Nobody listens where the library would look.
    #[error("no PulseAudio server listens ({0})")]
    Nobody(String),
    /// It took the question and was silent.
    #[error("the server does not answer")]
    Silent,
    /// It closed the connection.
    #[error("the server closed the connection: {0}")]
    Gone(String),
    /// It answered something that is no answer.
    #[error("the server's answer is malformed")]
    Malformed,
    /// It is too old.
    #[error("the server speaks version {0} of the protocol; {VERSION} is needed")]
    Old(u32),
    /// It answered with an error.
    #[error("the server says: {0}")]
    Said(PulseError),
}

impl From<Fault> for DeviceError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Nobody(_) => Self::NoServer(fault.to_string()),
            Fault::Silent => Self::Silent,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Gone(error.to_string()),
        }
    }
}

/// A connection on which one asks and waits.
#[derive(Debug)]
pub(super) struct Talk {
    /// Never waits by itself.
    pub(super) socket: OwnedFd,
    /// May hold what came behind the last answer.
    pub(super) inbox: Inbox,
    asked: u32,
    patience: Duration,
}

impl Talk {
    /// Finds the server and introduces itself.
    ///
    /// # Errors
    /// [`Fault::Nobody`] when there is none.
    pub(super) fn begin(surroundings: Surroundings<'_>) -> Result<Self, Fault> {
        Self::begin_within(ANSWER_TIME, surroundings)
    }

    fn begin_within(patience: Duration, surroundings: Surroundings<'_>) -> Result<Self, Fault> {
        let sockets = place::sockets(surroundings);
        let mut looked = vec![];
        for path in &sockets {
            let socket = match connect(path) {
                Ok(socket) => socket,
                Err(error) if is_absence(error) => {
                    looked.push(format!("{}: {error}", path.display()));
                    continue;
                }
                // Its queue is full: it was stopped some time ago.
                Err(Errno::AGAIN) => return Err(Fault::Silent),
                Err(error) => return Err(Fault::Gone(format!("{}: {error}", path.display()))),
            };
            let mut talk = Self { socket, inbox: Inbox::new(), asked: 0, patience };
            talk.introduce(place::cookie(surroundings))?;
            return Ok(talk);
        }
        if sockets.is_empty() {
            looked.push("PULSE_SERVER names no socket of this machine".into());
        }
        Err(Fault::Nobody(looked.join("; ")))
    }

    fn introduce(&mut self, cookie: Vec<u8>) -> Result<(), Fault> {
        let auth =
            AuthParams { version: VERSION, supports_shm: false, supports_memfd: false, cookie };
        let theirs = self.ask(&Command::Auth(auth), |mut tags| tags.number())? & VERSION_MASK;
        if theirs < u32::from(VERSION) {
            return Err(Fault::Old(theirs));
        }
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"Segue");
        props.set(Prop::ApplicationProcessBinary, c"segue");
        if let Ok(pid) = std::ffi::CString::new(std::process::id().to_string()) {
            props.set(Prop::ApplicationProcessId, pid);
        }
        self.ask(&Command::SetClientName(props), |mut tags| tags.number()).map(|_| ())
    }

    /// Asks, waits for the answer and reads it.
    ///
    /// # Errors
    /// [`Fault`] tells them apart.
    pub(super) fn ask<T>(
        &mut self,
        command: &Command,
        read: impl Fn(Tags<'_>) -> Option<T>,
    ) -> Result<T, Fault> {
        let until = Instant::now() + self.patience;
        self.asked += 1;
        let mut question = vec![];
        encode_command_message(&mut question, self.asked, command, VERSION)
            .map_err(|_| Fault::Malformed)?;
        let mut outbox = Outbox::new(question.len(), 1);
        outbox.push(&question);
        outbox.flush(&self.socket)?;
        while !outbox.is_empty() {
            self.wait(PollFlags::OUT, until)?;
            outbox.flush(&self.socket)?;
        }
        loop {
            while let Came::Command(at) = self.inbox.next()? {
                let payload = self.inbox.payload(at);
                match News::read(payload).ok_or(Fault::Malformed)? {
                    News::Reply { number, tags } if number == self.asked => {
                        return read(tags).ok_or(Fault::Malformed);
                    }
                    News::Refused { number, code } if number == self.asked => {
                        return Err(Fault::Said(error_named(code)));
                    }
                    // Events of no interest before a stream is there.
                    _ => {}
                }
            }
            self.wait(PollFlags::IN, until)?;
            self.inbox.fill(&self.socket)?;
        }
    }

    fn wait(&self, what: PollFlags, until: Instant) -> Result<(), Fault> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Silent);
        }
        let timeout = rustix::time::Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polled = [PollFd::from_borrowed_fd(self.socket.as_fd(), what)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Fault::Gone(error.to_string())),
        }
    }
}

/// The server's word for an error; one that is not known is named so.
fn error_named(code: u32) -> PulseError {
    let errors = [
        PulseError::AccessDenied,
        PulseError::Invalid,
        PulseError::NoEntity,
        PulseError::ConnectionRefused,
        PulseError::AuthKey,
        PulseError::Internal,
        PulseError::TooLarge,
        PulseError::NotSupported,
        PulseError::BadState,
        PulseError::Io,
        PulseError::Busy,
    ];
    errors.into_iter().find(|error| *error as u32 == code).unwrap_or(PulseError::Unknown)
}

fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Whether an error of connecting says that nobody is there.
fn is_absence(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use pulseaudio::protocol::{AuthReply, Command, PulseError, encode_reply_message};

    use super::{Fault, Talk};
    use crate::host::device::backend::DeviceError;
    use crate::host::device::pulse::VERSION;
    use crate::host::device::pulse::fake::{Client, Fake};

    /// What comes of meeting a server that does with its client as `script` says.
    fn meet(script: impl FnOnce(Client) + Send + 'static) -> Result<Talk, Fault> {
        let fake = Fake::start(script);
        let met = Talk::begin_within(Duration::from_secs(20), &fake.surroundings());
        fake.join();
        met
    }

    #[test]
    fn a_friendly_server_is_met_and_asked() {
        let fake = Fake::start(|mut client| {
            client.greet();
            let (number, command) = client.hear().unwrap();
            assert_eq!(command, Command::Stat);
            client.refuse(number + 1, PulseError::Busy);
            client.reply(number, &pulseaudio::protocol::LookupReply(9));
        });
        let mut talk = Talk::begin(&fake.surroundings()).unwrap();
        assert_eq!(talk.ask(&Command::Stat, |mut tags| tags.number()), Ok(9));
        fake.join();
    }

    #[test]
    fn a_server_that_never_answers_is_waited_for_so_long_and_no_longer() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let fake = Fake::start(move |_client| assert!(ended.recv().is_err()));
        let began = Instant::now();
        let met = Talk::begin_within(Duration::from_millis(30), &fake.surroundings());
        assert_eq!(met.unwrap_err(), Fault::Silent);
        assert!(began.elapsed() >= Duration::from_millis(30));
        drop(end);
        fake.join();
    }

    #[test]
    fn garbage_is_refused() {
        let met = meet(|mut client| client.send(&[0xff; 64]));
        assert_eq!(met.unwrap_err(), Fault::Malformed);
        // A packet of a length, a command channel, and no values in it.
        let packet = [&[0, 0, 0, 4][..], &[0xff; 4], &[0; 12], b"nope"].concat();
        assert_eq!(meet(move |mut client| client.send(&packet)).unwrap_err(), Fault::Malformed);
    }

    #[test]
    fn an_answer_cut_anywhere_is_no_answer() {
        let mut whole = Vec::new();
        let reply = AuthReply { version: VERSION, use_memfd: false, use_shm: false };
        encode_reply_message(&mut whole, 1, &reply, VERSION).unwrap();
        for cut in 0..whole.len() {
            let part = whole[..cut].to_vec();
            let met = meet(move |mut client| {
                client.hear();
                client.send(&part);
            });
            assert!(matches!(met, Err(Fault::Gone(_))), "cut at {cut}: {met:?}");
        }
    }

    #[test]
    fn a_server_that_refuses_or_is_too_old_says_so() {
        let met = meet(|mut client| {
            let (number, _) = client.hear().unwrap();
            client.refuse(number, PulseError::AccessDenied);
        });
        let error = DeviceError::from(met.unwrap_err());
        assert_eq!(error.to_string(), "the server says: Access failure");
        let met = meet(|mut client| {
            let (number, _) = client.hear().unwrap();
            client.reply(number, &AuthReply { version: 8, use_memfd: false, use_shm: false });
        });
        assert_eq!(met.unwrap_err(), Fault::Old(8));
    }

    #[test]
    fn where_nobody_listens_there_is_no_server() {
        let nowhere = |name: &str| (name == "PULSE_SERVER").then(|| "/nowhere/native".into());
        let error = DeviceError::from(Talk::begin(&nowhere).unwrap_err());
        assert!(matches!(error, DeviceError::NoServer(_)), "{error:?}");
        let far = |name: &str| (name == "PULSE_SERVER").then(|| "tcp:studio".into());
        let error = DeviceError::from(Talk::begin(&far).unwrap_err());
        let text = "no PulseAudio server listens (PULSE_SERVER names no socket of this machine)";
        assert_eq!(error, DeviceError::NoServer(text.into()));
    }
}
