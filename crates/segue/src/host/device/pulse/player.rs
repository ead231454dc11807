//! The thread that plays: answers the server's requests for sound until it is closed or lost.
//!
//! *Invariant*: nothing here allocates, locks or waits but the one wait for the server's next
//! word. What was asked for and not yet given is a count of frames; what the socket does not
//! take at once lies in memory that was there before.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use pulseaudio::protocol::{
    Command, GetSinkInfo, LatencyParams, PulseError, SetPlaybackStreamBufferAttrParams,
    encode_command_message,
};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use segue_sys::clock;
use segue_sys::event::Event;

use super::VERSION;
use super::attributes::{self, Depth};
use super::news::{Buffer, Distance, News, Place};
use super::packet::{Came, Inbox, Outbox};
use super::signs::Signs;
use super::sinks::Sink;
use super::tags::Tags;
use crate::host::device::line::{Caller, Reporter};

const SECOND_NS: u64 = 1_000_000_000;
/// A stream that is not asked for sound asks how it is so often.
const QUARTER_NS: u64 = SECOND_NS / 4;
/// It is not asked for sound when no request came for so long and for four periods.
const QUIET_NS: u64 = SECOND_NS / 20;

/// Frames handed over in one packet at most.
const PIECE_MAX: usize = 4096;

/// Longer than any buffer that was asked for: what a server may want beyond it is nonsense.
const OWED_MAX: usize = 1 << 16;

/// What is asked once a second, by the numbers under which it is asked.
const LATENCY: u32 = 1 << 16;
const PLACE: u32 = LATENCY + 1;
const SINK: u32 = LATENCY + 2;
/// And what is asked when it ran dry too often.
const BUFFER: u32 = LATENCY + 3;

/// The index of no sink.
const NOWHERE: u32 = u32::MAX;

/// The server's word for what does not exist.
const NO_ENTITY: u32 = PulseError::NoEntity as u32;

/// What the server has given.
#[derive(Debug)]
pub(super) struct Given {
    /// The stream's channel on this connection.
    pub(super) channel: u32,
    /// The stream's index on the server.
    pub(super) stream: u32,
    /// The sink's index.
    pub(super) sink: u32,
    /// Whether the sink sleeps.
    pub(super) suspended: bool,
    /// Frames a second.
    pub(super) rate: u32,
    /// Bytes of a frame.
    pub(super) frame_bytes: usize,
    /// Its buffer of the stream.
    pub(super) buffer: Buffer,
    /// Bytes it wants at once.
    pub(super) wanted_bytes: u32,
}

impl Given {
    /// Frames to hand over at once to a server that holds so many periods: what it asks for when
    /// nothing is amiss.
    pub(super) fn period(&self, periods: u32) -> usize {
        let bytes = self.buffer.request.max(self.buffer.target / periods);
        (bytes as usize / self.frame_bytes).clamp(1, PIECE_MAX)
    }

    fn nanoseconds(&self, frames: u64) -> u64 {
        frames.saturating_mul(SECOND_NS) / u64::from(self.rate.max(1))
    }
}

/// Why it plays no more.
#[derive(Debug)]
enum End {
    /// It was closed by us.
    Closed,
    /// The stream is lost.
    Lost(&'static str),
    /// The connection is.
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Lost("the server has ended"),
            io::ErrorKind::InvalidData => Self::Lost("the server sent something malformed"),
            _ => Self::Broken(error),
        }
    }
}

/// The player of one stream.
#[derive(Debug)]
pub(super) struct Player {
    socket: OwnedFd,
    inbox: Inbox,
    outbox: Outbox,
    given: Given,
    caller: Caller,
    reporter: Reporter,
    closing: Event,
    signs: Arc<Mutex<Signs>>,
    samples: Vec<f32>,
    depth: Depth,
    /// Frames asked for and not yet given.
    owed: usize,
    /// When the next piece may be given, at the earliest.
    give_ns: u64,
    /// When the server asked for sound last.
    heard_ns: u64,
    /// When it was asked how the stream is.
    asked_ns: u64,
}

impl Player {
    /// Of a stream that was just made.
    pub(super) fn new(
        socket: OwnedFd,
        inbox: Inbox,
        given: Given,
        caller: Caller,
        closing: Event,
        signs: Arc<Mutex<Signs>>,
    ) -> Self {
        let mut outbox = Outbox::new(4 * PIECE_MAX * given.frame_bytes, 256);
        let samples = vec![0.0; PIECE_MAX * given.frame_bytes / size_of::<f32>()];
        // The first filling of the server's buffer is no call: no clock asked for it, and a sink
        // that sleeps asks for nothing after it.
        let mut wanted = given.wanted_bytes as usize / size_of::<f32>();
        while wanted > 0 && outbox.has_room(size_of_val(&samples[..])) {
            let piece = wanted.min(samples.len());
            outbox.push_sound(given.channel, &samples[..piece]);
            wanted -= piece;
        }
        Self {
            outbox,
            samples,
            depth: Depth::new(),
            owed: 0,
            reporter: caller.reporter(),
            give_ns: 0,
            // The first questions come after half a second: at first a server answers with what
            // was before the stream.
            heard_ns: clock::monotonic_ns() + SECOND_NS / 2,
            asked_ns: clock::monotonic_ns() - SECOND_NS / 2,
            socket,
            inbox,
            given,
            caller,
            closing,
            signs,
        }
    }

    /// Plays until the end.
    pub(super) fn play(mut self) {
        self.caller.begin();
        self.reporter.period(self.period() as u32);
        self.reporter.latency(self.given.buffer.target / self.given.frame_bytes as u32);
        let end = loop {
            if let Err(end) = self.turn() {
                break end;
            }
        };
        match end {
            End::Closed => {}
            End::Lost(why) => self.reporter.lost(why),
            End::Broken(error) => self.reporter.lost(&error.to_string()),
        }
    }

    /// One turn: what came, what is owed, what is to be asked, and then the wait.
    fn turn(&mut self) -> Result<(), End> {
        let now_ns = clock::monotonic_ns();
        while let Came::Command(at) = self.inbox.next()? {
            self.hear(now_ns, at)?;
        }
        self.give(now_ns);
        self.ask(now_ns);
        self.outbox.flush(&self.socket)?;
        self.wait(now_ns)
    }

    fn wait(&mut self, now_ns: u64) -> Result<(), End> {
        let give_ns = if self.owed > 0 { self.give_ns } else { u64::MAX };
        let until_ns = self.ask_due_ns().min(give_ns);
        let left_ns = until_ns.saturating_sub(now_ns);
        let timeout = Timespec {
            tv_sec: (left_ns / SECOND_NS) as i64,
            tv_nsec: (left_ns % SECOND_NS) as i64,
        };
        let mut wanted = PollFlags::IN;
        if !self.outbox.is_empty() {
            wanted |= PollFlags::OUT;
        }
        let mut polled = [
            PollFd::from_borrowed_fd(self.socket.as_fd(), wanted),
            PollFd::from_borrowed_fd(self.closing.as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(End::Broken(error.into())),
        }
        let [server, closing] = polled.map(|fd| fd.revents());
        if !closing.is_empty() && self.closing.take() {
            return Err(End::Closed);
        }
        if server.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.inbox.fill(&self.socket)?;
        }
        Ok(())
    }

    fn hear(&mut self, now_ns: u64, at: std::ops::Range<usize>) -> Result<(), End> {
        let news = News::read(self.inbox.payload(at));
        match news.ok_or(End::Lost("the server sent something malformed"))? {
            News::Request { channel, bytes } if channel == self.given.channel => {
                let frames = bytes as usize / self.given.frame_bytes;
                self.owed = (self.owed + frames).min(OWED_MAX);
                self.heard_ns = now_ns;
            }
            News::Underflow { channel } if channel == self.given.channel => self.dry(now_ns),
            News::Killed { channel } if channel == self.given.channel => {
                return Err(End::Lost("the server has ended the stream"));
            }
            // PipeWire does not say that it ended a stream whose sink went.
            News::Refused { number: LATENCY | PLACE, code: NO_ENTITY } => {
                return Err(End::Lost("the server has ended the stream"));
            }
            News::Suspended { on } => note(&self.signs, |signs| signs.suspended = on),
            News::Buffer(buffer) => {
                self.given.buffer = buffer;
                self.reporter.period(self.period() as u32);
            }
            News::Moved { sink, name, suspended, buffer } => {
                (self.given.sink, self.given.buffer) = (sink, buffer);
                self.reporter.period(self.period() as u32);
                note(&self.signs, |signs| {
                    signs.call(name);
                    signs.suspended = suspended;
                });
            }
            News::Reply { number, tags } => {
                if let Some(far) = learn(&mut self.given, &self.signs, number, tags) {
                    self.reporter.latency(far);
                }
                // Its session manager ended, say: the next one links new streams only.
                if self.given.sink == NOWHERE && now_ns > self.quiet_from_ns() {
                    return Err(End::Lost("the server connects the stream to no sink"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn period(&self) -> usize {
        self.given.period(self.depth.periods())
    }

    /// The server ran dry; one that does so again and again gets a larger buffer. That a sink
    /// which slept is empty is no news.
    fn dry(&mut self, now_ns: u64) {
        self.reporter.xrun();
        let request = self.given.buffer.request;
        let period = request / self.given.frame_bytes as u32;
        if now_ns > self.quiet_from_ns() || !self.depth.ran_dry(now_ns, period) {
            return;
        }
        let deeper = SetPlaybackStreamBufferAttrParams {
            index: self.given.channel,
            buffer_attr: attributes::buffer(self.depth.periods(), request),
            adjust_latency: true,
            early_requests: false,
        };
        self.put(BUFFER, &Command::SetPlaybackStreamBufferAttr(deeper));
    }

    /// Gives a piece of what is owed. A server that wants more than a period at once, after it
    /// ran dry or was stopped, gets the pieces one after the other: the workers are a period
    /// ahead and not a whole buffer.
    fn give(&mut self, now_ns: u64) {
        let frames = self.owed.min(self.period());
        let bytes = frames * self.given.frame_bytes;
        if frames == 0 || now_ns < self.give_ns || !self.outbox.has_room(bytes) {
            return;
        }
        let samples = &mut self.samples[..bytes / size_of::<f32>()];
        self.caller.call(samples);
        self.outbox.push_sound(self.given.channel, samples);
        self.owed -= frames;
        // A third faster than real time: it catches up, and the workers keep most of their lead.
        self.give_ns = now_ns + self.given.nanoseconds(frames as u64) * 3 / 4;
    }

    /// When the next questions are due: once a second, and soon after the requests end.
    fn ask_due_ns(&self) -> u64 {
        let soon_ns = self.quiet_from_ns().max(self.asked_ns + QUARTER_NS);
        soon_ns.min(self.asked_ns + SECOND_NS)
    }

    /// From when on it counts as not asked for sound.
    fn quiet_from_ns(&self) -> u64 {
        let four_ns = self.given.nanoseconds(4 * self.period() as u64);
        self.heard_ns + four_ns.max(QUIET_NS)
    }

    /// Asks how far it is to the ear, and whether anything is in the way.
    fn ask(&mut self, now_ns: u64) {
        if now_ns < self.ask_due_ns() {
            return;
        }
        self.asked_ns = now_ns;
        // The server echoes the moment; nobody here looks at it.
        let latency =
            LatencyParams { channel: self.given.channel, now: std::time::SystemTime::UNIX_EPOCH };
        self.put(LATENCY, &Command::GetPlaybackLatency(latency));
        self.put(PLACE, &Command::GetSinkInputInfo(self.given.stream));
        let sink = GetSinkInfo { index: Some(self.given.sink), name: None };
        self.put(SINK, &Command::GetSinkInfo(sink));
    }

    fn put(&mut self, number: u32, command: &Command) {
        let mut packet = [0; 128];
        // None of them is longer.
        if let Ok(bytes) = encode_command_message(&mut packet[..], number, command, VERSION) {
            self.outbox.push(&packet[..bytes]);
        }
    }
}

/// Learns what was asked once a second, and gives the frames to the ear if that was it. What is
/// malformed or refused is not learned.
fn learn(given: &mut Given, signs: &Mutex<Signs>, number: u32, mut tags: Tags<'_>) -> Option<u32> {
    match number {
        LATENCY => return Some(Distance::read(tags)?.frames(given.frame_bytes, given.rate)),
        PLACE => {
            let place = Place::read(tags)?;
            given.sink = place.sink;
            note(signs, |signs| signs.stream_silent = place.silent);
        }
        SINK => {
            let sink = Sink::read(&mut tags)?;
            note(signs, |signs| signs.see(&sink));
        }
        BUFFER => {
            given.buffer = Buffer::read(&mut tags)?;
            let frames = given.buffer.target as usize / given.frame_bytes;
            let held_ms = given.nanoseconds(frames as u64) / 1_000_000;
            note(signs, |signs| signs.held_ms = held_ms);
        }
        _ => {}
    }
    None
}

/// Notes a sign, unless somebody reads them at this moment; the next second brings it again.
fn note(signs: &Mutex<Signs>, change: impl FnOnce(&mut Signs)) {
    if let Ok(mut signs) = signs.try_lock() {
        change(&mut signs);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use pulseaudio::protocol::{Command, Request, Underflow};
    use segue_sys::event::Event;
    use segue_sys::testing::assert_no_alloc;

    use super::{End, Given, Inbox, Player, Signs};
    use crate::host::device::deck::Deck;
    use crate::host::device::line::Line;
    use crate::host::device::pulse::fake::Client;
    use crate::host::device::pulse::news::Buffer;

    const CHANNEL: u32 = 7;
    /// Of two channels.
    const FRAME: u32 = 8;

    struct Stage {
        player: Player,
        server: Client,
        line: Arc<Line>,
        closing: Event,
    }

    /// A stream of 64 frames a period, filled with three of them.
    fn stage() -> Stage {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (line, caller) = Line::new(&Arc::new(Deck::new()), 1, 2);
        let closing = Event::new().unwrap();
        let given = Given {
            channel: CHANNEL,
            stream: 1,
            sink: 2,
            suspended: false,
            rate: 48_000,
            frame_bytes: FRAME as usize,
            buffer: Buffer { target: 3 * 64 * FRAME, request: 64 * FRAME },
            wanted_bytes: 3 * 64 * FRAME,
        };
        let signs = Arc::new(Mutex::new(Signs::new(b"desk", false)));
        let share = closing.share().unwrap();
        let player = Player::new(ours.into(), Inbox::new(), given, caller, share, signs);
        Stage { player, server: Client::on(theirs), line, closing }
    }

    fn request(frames: u32) -> Command {
        Command::Request(Request { channel: CHANNEL, length: frames * FRAME })
    }

    #[test]
    fn the_first_filling_is_silence_and_no_call() {
        let mut stage = stage();
        stage.player.outbox.flush(&stage.player.socket).unwrap();
        assert_eq!(stage.server.listen(), (CHANNEL, (3 * 64 * FRAME) as usize));
        assert_eq!(stage.line.look().calls, 0);
    }

    #[test]
    fn requests_are_answered_to_the_frame_without_allocation() {
        let Stage { mut player, mut server, line, .. } = stage();
        let asked = [64, 64, 100, 1, 400];
        let server = thread::spawn(move || {
            server.listen();
            let heard = asked.map(|frames| {
                server.tell(&request(frames));
                let mut heard = 0;
                while heard < frames * FRAME {
                    let (channel, bytes) = server.listen();
                    assert_eq!(channel, CHANNEL);
                    heard += bytes as u32;
                }
                heard / FRAME
            });
            // It stays until the player is asked no more.
            (heard, server)
        });
        let all: u32 = asked.iter().sum();
        assert_no_alloc(|| {
            while line.look().frames < u64::from(all) {
                player.turn().unwrap();
            }
            player.outbox.flush(&player.socket).unwrap();
        });
        assert_eq!(server.join().unwrap().0, asked);
        // A server that ran dry gets its buffer a period at a time.
        assert_eq!(line.look().period, 64);
    }

    #[test]
    fn a_request_beyond_all_buffers_is_not_owed() {
        let Stage { mut player, mut server, .. } = stage();
        for _ in 0..3 {
            server.tell(&request(u32::MAX / FRAME));
        }
        player.turn().unwrap();
        player.turn().unwrap();
        assert!(player.owed <= super::OWED_MAX);
    }

    #[test]
    fn what_ends_a_stream_is_told_and_an_underflow_is_counted() {
        let lost = |command: Option<Command>| {
            let Stage { player, mut server, line, .. } = stage();
            server.tell(&Command::Underflow(Underflow { channel: CHANNEL, offset: 0 }));
            server.tell(&Command::PlaybackStreamKilled(CHANNEL + 1));
            match command {
                Some(command) => server.tell(&command),
                None => drop(server),
            }
            player.play();
            assert!(line.look().lost);
            assert_eq!(line.xruns(), 1);
            line.why()
        };
        let killed = Command::PlaybackStreamKilled(CHANNEL);
        assert_eq!(lost(Some(killed)), "the server has ended the stream");
        assert_eq!(lost(None), "the server has ended");
    }

    #[test]
    fn something_malformed_ends_the_stream_and_nothing_else() {
        for bytes in [vec![0xff; 30], [&[0, 0, 0, 2][..], &[0xff; 4], &[0; 12], b"no"].concat()] {
            let Stage { player, mut server, line, .. } = stage();
            server.send(&bytes);
            player.play();
            assert_eq!(line.why(), "the server sent something malformed");
        }
    }

    #[test]
    fn closed_it_ends_at_once_and_is_not_lost() {
        let Stage { mut player, server: _server, closing, line } = stage();
        closing.raise();
        let end = std::iter::repeat_with(|| player.turn()).take(3).find_map(Result::err);
        assert!(matches!(end, Some(End::Closed)), "{end:?}");
        assert!(!line.look().lost);
    }
}
