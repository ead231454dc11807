//! The opener: opens devices, closes them, and looks again, without anybody waiting for it.
//!
//! Every call into a backend is made on a thread of its own, because a server may be stopped in
//! the middle of its answer. A thread whose call hangs is left behind until the call returns; a
//! kind of device with such a thread is not asked again before. *Invariant*: at most one stream
//! is open, and the closing of the last one has begun before the next is asked for.
//!
//! | it looks | every |
//! |---|---|
//! | for a device that was lost, or asked for by its kind | quarter of a second |
//! | the same, after half a minute | second |
//! | for the best there is, under `auto` | two seconds |
//! | for one that asked for more than there is time for | ten seconds |
//!
//! At the end of the engine the open stream is closed in order, once its last frame was heard: a
//! JACK server whose client vanishes holds up all others for seconds.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use segue_lockstep::monitor::Loss;
use segue_sys::clock;

use super::backend::{Backend, DeviceError, Kind, Opened, Stream, Wish};
use super::deck::Deck;
use super::line::Line;
use crate::cli::device::Device;
use crate::cli::settings::RATES;

const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(1);
const SOON_FOR: Duration = Duration::from_secs(30);
const AUTO: Duration = Duration::from_secs(2);
const UNCLOCKED: Duration = Duration::from_secs(10);
/// After so long without an answer the next kind is asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often an open stream is asked about itself.
const ABOUT: Duration = Duration::from_secs(1);
/// However far a server says the ear is: so long the closing fade may be waited for.
const FAREWELL_NS_MAX: u64 = 300_000_000;
/// How long the end waits until the stream is closed: a server may be stopped by then.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the opener tells.
pub(in crate::host) enum News {
    /// A stream is open.
    Opened(Box<OpenStream>),
    /// Nothing could be opened this time, for these reasons.
    None(Vec<String>),
    /// What keeps the open stream from being heard, when that has changed.
    About(Vec<String>),
}

/// An open stream, but for the part that closes it.
#[derive(Clone, Debug)]
pub(in crate::host) struct OpenStream {
    /// Its line.
    pub(in crate::host) line: Arc<Line>,
    /// Which kind.
    pub(in crate::host) kind: Kind,
    /// What it was opened by.
    pub(in crate::host) name: String,
    /// What people call it.
    pub(in crate::host) description: String,
    /// Frames a second.
    pub(in crate::host) rate: u32,
    /// Frames it asks for at once.
    pub(in crate::host) period: u32,
    /// Said when it is opened.
    pub(in crate::host) note: Option<String>,
}

enum Message {
    Answer {
        kind: Kind,
        line: Arc<Line>,
        result: Result<Opened, DeviceError>,
    },
    Close(u64, Loss),
    /// Close what is open and open nothing more; who was given the other end of this waits until
    /// it is dropped.
    End(Sender<()>),
}

/// How the opener is told, and tells.
pub(in crate::host) struct Opener {
    orders: Sender<Message>,
    news: Receiver<News>,
    rate: Arc<OnceLock<u32>>,
}

impl Opener {
    /// Looks for `asked` from now on; `wish` is without a name.
    pub(in crate::host) fn start(
        asked: &Device,
        wish: Wish,
        deck: &Arc<Deck>,
        backends: Vec<Box<dyn Backend>>,
    ) -> std::io::Result<Self> {
        let (orders, messages) = channel();
        let (tell, news) = channel();
        let rate = Arc::new(OnceLock::new());
        let (kinds, name) = match asked {
            Device::Sound { kind, name } => (vec![*kind], name.clone()),
            _ => (backends.iter().map(|backend| backend.kind()).collect(), None),
        };
        let search = Search {
            backends: backends.into_iter().map(Arc::from).collect(),
            is_auto: matches!(asked, Device::Auto),
            kinds,
            name,
            wish,
            rate: rate.clone(),
            deck: deck.clone(),
            tell,
            orders: orders.clone(),
            streams: 0,
            open: None,
            held: None,
            hanging: BTreeSet::new(),
            round: Vec::new(),
            reasons: Vec::new(),
            waiting: None,
            next: Instant::now(),
            lost: Instant::now(),
            auto_next: Instant::now(),
            about: Vec::new(),
        };
        thread::Builder::new().name("devices".into()).spawn(move || search.run(&messages))?;
        Ok(Self { orders, news, rate })
    }

    /// What has happened since, if anything. `[any]`
    pub(in crate::host) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// The first thing that happens, for whoever cannot begin without it.
    pub(in crate::host) fn first(&self, patience: Duration) -> Option<News> {
        self.news.recv_timeout(patience).ok()
    }

    /// From now on a device must run at this rate.
    pub(in crate::host) fn insist_on(&self, rate: u32) {
        // Said once, when the rate of the engine is known.
        let _ = self.rate.set(rate);
    }

    /// Closes a stream; the next one is looked for.
    pub(in crate::host) fn close(&self, stream: u64, loss: Loss) {
        // The opener lives as long as the process.
        let _ = self.orders.send(Message::Close(stream, loss));
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let (closed, wait) = channel();
        if self.orders.send(Message::End(closed)).is_ok() {
            // Nothing is ever sent: it ends when the stream is closed, or has taken too long.
            let _ = wait.recv_timeout(GOODBYE);
        }
    }
}

/// The stream that is open.
struct Playing {
    line: Arc<Line>,
    stream: Box<dyn Stream>,
    /// Frames a second.
    rate: u32,
    /// Frames it asks for at once.
    period: u32,
}

/// The opener's own thread.
struct Search {
    backends: Vec<Arc<dyn Backend>>,
    is_auto: bool,
    kinds: Vec<Kind>,
    name: Option<String>,
    wish: Wish,
    rate: Arc<OnceLock<u32>>,
    deck: Arc<Deck>,
    tell: Sender<News>,
    orders: Sender<Message>,
    /// Streams that were asked for.
    streams: u64,
    open: Option<Playing>,
    /// What was opened last.
    held: Option<(Kind, String)>,
    /// Kinds with a call that has not returned.
    hanging: BTreeSet<&'static str>,
    /// What is still to be asked in this round.
    round: Vec<(Kind, Option<String>)>,
    /// Why nothing was opened in this round.
    reasons: Vec<String>,
    /// Who is asked now, and until when an answer is waited for.
    waiting: Option<(Kind, Instant)>,
    next: Instant,
    lost: Instant,
    auto_next: Instant,
    about: Vec<String>,
}

impl Search {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let until = match (&self.open, self.waiting) {
                (Some(_), _) => Instant::now() + ABOUT,
                (None, Some((_, until))) => until,
                (None, None) => self.next,
            };
            match messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Answer { kind, line, result }) => self.take(kind, line, result),
                Ok(Message::Close(stream, loss)) => self.close(stream, loss),
                Ok(Message::End(closed)) => return self.end(closed),
                Err(RecvTimeoutError::Timeout) => self.go_on(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Time has passed: asks the next kind, or the open stream how it is.
    fn go_on(&mut self) {
        if let Some(open) = &self.open {
            let about = open.stream.about();
            if about != self.about {
                self.about.clone_from(&about);
                self.say(News::About(about));
            }
            return;
        }
        if let Some((kind, _)) = self.waiting.take() {
            self.reasons.push(format!("{}: {}", kind.as_str(), DeviceError::Silent));
        } else {
            self.begin_round();
        }
        self.ask_next();
    }

    fn begin_round(&mut self) {
        self.reasons.clear();
        self.round.clear();
        if let Some((kind, name)) = &self.held {
            let name = if self.is_auto { Some(name.clone()) } else { self.name.clone() };
            self.round.push((*kind, name));
        }
        let now = Instant::now();
        if self.held.is_none() || self.is_auto && now >= self.auto_next {
            self.auto_next = now + AUTO;
            self.round.extend(self.kinds.iter().map(|kind| (*kind, self.name.clone())));
        }
        self.round.reverse();
    }

    fn ask_next(&mut self) {
        while let Some((kind, name)) = self.round.pop() {
            let Some(backend) = self.backends.iter().find(|it| it.kind() == kind) else { continue };
            if !self.hanging.insert(kind.as_str()) {
                self.reasons.push(format!("{}: {}", kind.as_str(), DeviceError::Silent));
                continue;
            }
            self.streams += 1;
            let rate = self.rate.get().copied().or(self.wish.rate);
            let wish = Wish { name, rate, ..self.wish.clone() };
            let channels = usize::from(wish.channels);
            let (line, caller) = Line::new(&self.deck, self.streams, channels);
            let (backend, orders) = (backend.clone(), self.orders.clone());
            let asked = thread::Builder::new().name("device".into()).spawn(move || {
                let result = backend.open(&wish, caller);
                // Whoever asked is there as long as the process.
                let _ = orders.send(Message::Answer { kind, line, result });
            });
            match asked {
                Ok(_) => {
                    self.waiting = Some((kind, Instant::now() + PATIENCE));
                    return;
                }
                Err(error) => {
                    self.hanging.remove(kind.as_str());
                    self.reasons.push(format!("{}: no thread for it: {error}", kind.as_str()));
                }
            }
        }
        self.end_round();
    }

    fn end_round(&mut self) {
        self.waiting = None;
        let pause = match (&self.held, self.is_auto) {
            (None, true) => AUTO,
            _ if self.lost.elapsed() < SOON_FOR => SOON,
            _ => LATER,
        };
        self.next = Instant::now() + pause;
        let mut reasons = std::mem::take(&mut self.reasons);
        reasons.dedup();
        self.say(News::None(reasons));
    }

    fn take(&mut self, kind: Kind, line: Arc<Line>, result: Result<Opened, DeviceError>) {
        self.hanging.remove(kind.as_str());
        let awaited = self.waiting.is_some_and(|(asked, _)| asked == kind);
        let result = result.and_then(|opened| match opened.rate {
            rate if RATES.contains(&rate) => Ok(opened),
            device => {
                leave(&line, opened.stream);
                Err(DeviceError::Beyond { device })
            }
        });
        match result {
            Ok(opened) if self.open.is_some() => leave(&line, opened.stream),
            Ok(opened) => self.keep(kind, line, opened),
            Err(error) if awaited => {
                self.waiting = None;
                self.reasons.push(format!("{}: {error}", kind.as_str()));
                self.ask_next();
            }
            // It comes too late to be of interest: it is asked again in a moment.
            Err(_) => {}
        }
    }

    fn keep(&mut self, kind: Kind, line: Arc<Line>, opened: Opened) {
        self.waiting = None;
        self.round.clear();
        self.about.clear();
        self.held = Some((kind, opened.name.clone()));
        let Opened { name, description, rate, period, note, stream } = opened;
        let told = line.clone();
        let open = OpenStream { line: told, kind, name, description, rate, period, note };
        self.open = Some(Playing { line, stream, rate, period });
        self.say(News::Opened(Box::new(open)));
    }

    fn close(&mut self, number: u64, loss: Loss) {
        let Some(open) = self.open.take_if(|open| open.line.number() == number) else {
            return;
        };
        leave(&open.line, open.stream);
        self.lost = Instant::now();
        self.auto_next = self.lost + AUTO;
        self.next = self.lost + if loss == Loss::Unclocked { UNCLOCKED } else { Duration::ZERO };
    }

    /// The end of the engine. After the end of the timeline a stream is given silence until the
    /// closing fade was heard.
    fn end(self, closed: Sender<()>) {
        let Some(Playing { line, stream, rate, period }) = self.open else { return };
        let frames = if self.deck.ended() { line.latency() + u64::from(period) } else { 0 };
        let heard_ns = frames.saturating_mul(1_000_000_000) / u64::from(rate);
        clock::sleep_until_ns(clock::monotonic_ns() + heard_ns.min(FAREWELL_NS_MAX));
        line.hang_up();
        drop(stream);
        drop(closed);
    }

    fn say(&self, news: News) {
        // The supervisor may have ended; then so does the process.
        let _ = self.tell.send(news);
    }
}

/// Closes a stream on a thread of its own, which may hang with the server.
fn leave(line: &Line, stream: Box<dyn Stream>) {
    line.hang_up();
    let closed = thread::Builder::new().name("device".into()).spawn(move || drop(stream));
    if let Err(error) = closed {
        tracing::warn!("a device is closed late: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::{Duration, Instant};

    use super::super::backend::{Backend, DeviceError, Kind, Listed, Opened, Stream, Wish};
    use super::super::deck::Deck;
    use super::super::line::Caller;
    use super::{AUTO, News, Opener};
    use crate::cli::device::Device;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A kind whose one device has a rate, or that has none. It says when it is asked for a
    /// stream, and when that is closed.
    struct Fake {
        rate: Option<u32>,
        asked: Sender<Instant>,
        closed: Sender<()>,
    }

    struct FakeStream(Sender<()>);

    impl Stream for FakeStream {}

    impl Drop for FakeStream {
        fn drop(&mut self) {
            // The test may have seen enough.
            let _ = self.0.send(());
        }
    }

    impl Backend for Fake {
        fn kind(&self) -> Kind {
            Kind::Pulse
        }

        fn list(&self) -> Result<Vec<Listed>, DeviceError> {
            Ok(Vec::new())
        }

        fn open(&self, _: &Wish, _: Caller) -> Result<Opened, DeviceError> {
            // The test may have seen enough.
            let _ = self.asked.send(Instant::now());
            let rate = self.rate.ok_or_else(|| DeviceError::NoServer("nobody".into()))?;
            Ok(Opened {
                name: "desk".into(),
                description: "a desk".into(),
                rate,
                period: 64,
                note: None,
                stream: Box::new(FakeStream(self.closed.clone())),
            })
        }
    }

    /// An opener under `auto` of a device at `rate`, its first news, and who hears of closing.
    fn opened(rate: u32) -> (Opener, News, Receiver<()>) {
        let (opener, news, _, closed) = started(Some(rate));
        (opener, news, closed)
    }

    fn started(rate: Option<u32>) -> (Opener, News, Receiver<Instant>, Receiver<()>) {
        let ((asked, times), (closed, hear)) = (channel(), channel());
        let wish = Wish { name: None, rate: None, channels: 2, period: None, is_auto: true };
        let backends: Vec<Box<dyn Backend>> = vec![Box::new(Fake { rate, asked, closed })];
        let opener = Opener::start(&Device::Auto, wish, &Arc::new(Deck::new()), backends);
        let opener = opener.expect("a thread");
        let news = opener.first(PATIENCE).expect("it answers");
        (opener, news, times, hear)
    }

    #[test]
    fn while_there_is_none_auto_looks_again_every_two_seconds() {
        let (_opener, news, asked, _) = started(None);
        let News::None(reasons) = news else { panic!("there is none") };
        assert_eq!((reasons, AUTO), (vec!["pulse: nobody".to_owned()], Duration::from_secs(2)));
        let times: Vec<_> =
            (0..3).map(|_| asked.recv_timeout(PATIENCE).expect("it looks")).collect();
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= AUTO, "no sooner: {times:?}");
        }
    }

    #[test]
    fn at_the_end_the_stream_is_closed_before_anybody_goes_on() {
        let (opener, news, closed) = opened(48_000);
        assert!(matches!(news, News::Opened(_)));
        assert!(closed.try_recv().is_err(), "it is open");
        drop(opener);
        assert!(closed.try_recv().is_ok(), "it is closed by now");
    }

    #[test]
    fn a_device_at_a_rate_that_no_engine_has_is_refused_with_both() {
        for rate in [7_999, 384_000] {
            let (_opener, news, closed) = opened(rate);
            let News::None(reasons) = news else { panic!("{rate} is taken") };
            let said = format!("pulse: the device runs at {rate} frames a second, an engine at");
            assert_eq!(reasons, [said + " 8000 to 192000"]);
            closed.recv_timeout(PATIENCE).expect("it is closed");
        }
        for rate in [8_000, 192_000] {
            assert!(matches!(opened(rate).1, News::Opened(_)), "{rate}");
        }
    }
}
