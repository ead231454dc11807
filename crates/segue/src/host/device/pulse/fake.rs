//! A server for tests that says what no real one would.

use std::ffi::OsString;
use std::io::{BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use pulseaudio::protocol::{
    AuthReply, Command, CommandReply, PulseError, SetClientNameReply, read_command_message,
    write_error, write_reply_message,
};
use tempfile::TempDir;

use super::VERSION;

/// A socket and whoever sits behind it.
pub(super) struct Fake {
    folder: TempDir,
    server: Option<JoinHandle<()>>,
}

impl Fake {
    /// Does with its one client what `script` says.
    pub(super) fn start(script: impl FnOnce(Client) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("native")).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            script(Client(BufReader::new(stream)));
        });
        Self { folder, server: Some(server) }
    }

    /// An environment in which it is found.
    pub(super) fn surroundings(&self) -> impl Fn(&str) -> Option<OsString> {
        let folder = self.folder.path().as_os_str().to_owned();
        move |name| (name == "PULSE_RUNTIME_PATH").then(|| folder.clone())
    }

    /// Waits until the script is over.
    pub(super) fn join(mut self) {
        self.server.take().unwrap().join().unwrap();
    }
}

/// The client of a fake server.
pub(super) struct Client(BufReader<UnixStream>);

impl Client {
    /// Of one end of a pair.
    pub(super) fn on(stream: UnixStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next command and its number; none when the client has gone.
    pub(super) fn hear(&mut self) -> Option<(u32, Command)> {
        read_command_message(&mut self.0, VERSION).ok()
    }

    /// Hears what every client begins with, and is friendly.
    pub(super) fn greet(&mut self) {
        let (number, _) = self.hear().unwrap();
        self.reply(number, &AuthReply { version: 35, use_memfd: false, use_shm: false });
        let (number, _) = self.hear().unwrap();
        self.reply(number, &SetClientNameReply { client_id: 1 });
    }

    /// Answers.
    pub(super) fn reply(&mut self, number: u32, reply: &impl CommandReply) {
        write_reply_message(self.0.get_mut(), number, reply, VERSION).unwrap();
    }

    /// Answers with an error.
    pub(super) fn refuse(&mut self, number: u32, error: PulseError) {
        write_error(self.0.get_mut(), number, &error).unwrap();
    }

    /// Says something that was not asked for.
    pub(super) fn tell(&mut self, command: &Command) {
        let mut bytes = Vec::new();
        pulseaudio::protocol::encode_command_message(&mut bytes, u32::MAX, command, VERSION)
            .unwrap();
        self.send(&bytes);
    }

    /// Sends bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one packet of sound: its channel, and how many bytes it has.
    pub(super) fn listen(&mut self) -> (u32, usize) {
        use std::io::Read;
        let mut head = [0; 20];
        self.0.read_exact(&mut head).unwrap();
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let mut sound = vec![0; word(0) as usize];
        self.0.read_exact(&mut sound).unwrap();
        (word(4), sound.len())
    }
}
