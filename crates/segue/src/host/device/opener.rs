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

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use segue_lockstep::monitor::Loss;

use super::backend::{Backend, DeviceError, Kind, Opened, Stream, Wish};
use super::deck::Deck;
use super::line::Line;
use crate::cli::device::Device;

const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(1);
const SOON_FOR: Duration = Duration::from_secs(30);
const AUTO: Duration = Duration::from_secs(2);
const UNCLOCKED: Duration = Duration::from_secs(10);
/// After so long without an answer the next kind is asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often an open stream is asked about itself.
const ABOUT: Duration = Duration::from_secs(1);

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
    Answer { kind: Kind, line: Arc<Line>, result: Result<Opened, DeviceError> },
    Close(u64, Loss),
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
    open: Option<(Arc<Line>, Box<dyn Stream>)>,
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
                Err(RecvTimeoutError::Timeout) => self.go_on(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Time has passed: asks the next kind, or the open stream how it is.
    fn go_on(&mut self) {
        if let Some((_, stream)) = &self.open {
            let about = stream.about();
            if about != self.about {
                self.about.clone_from(&about);
                self.say(News::About(about));
            }
            return;
        }
        if let Some((kind, _)) = self.waiting.take() {
            self.reasons.push(format!("{}: its server does not answer", kind.as_str()));
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
                self.reasons.push(format!("{}: its server does not answer", kind.as_str()));
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
        self.open = Some((line, stream));
        self.say(News::Opened(Box::new(open)));
    }

    fn close(&mut self, number: u64, loss: Loss) {
        let Some((line, stream)) = self.open.take_if(|(line, _)| line.number() == number) else {
            return;
        };
        leave(&line, stream);
        self.lost = Instant::now();
        self.auto_next = self.lost + AUTO;
        self.next = self.lost + if loss == Loss::Unclocked { UNCLOCKED } else { Duration::ZERO };
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
