//! What the supervisor does about devices: tells the opener, hands the token, says how it is.

use std::sync::Arc;
use std::time::Duration;

use segue_lockstep::Shape;
use segue_lockstep::memory::status::{Counter, Fact, Status};
use segue_lockstep::monitor::{DriverWatch, Loss, Move, TIMER};
use segue_lockstep::playout::Driver;
use segue_sys::futex;

use crate::cli::device::Device;
use crate::cli::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::host::device::backend::{Wish, backends};
use crate::host::device::deck::{Deck, NOBODY};
use crate::host::device::opener::{News, OpenStream, Opener};

/// How long the first device is waited for: each kind may hang for three seconds.
const FIRST: Duration = Duration::from_secs(15);

/// The devices of one engine.
pub(super) struct Devices {
    pub(super) deck: Arc<Deck>,
    opener: Option<Opener>,
    watch: Option<DriverWatch>,
    is_auto: bool,
    asked: String,
    stream: Option<OpenStream>,
    /// The stream that was seen to call before block 0.
    proven: Option<Driver>,
    /// What was held last, as `kind:name`, and what has become of it.
    held: Option<(String, String)>,
    /// What was said of the last stream that was closed, until one drives.
    given_up: Option<String>,
    reasons: Vec<String>,
    about: Vec<String>,
    xruns: u64,
}

impl Devices {
    /// Opens what was asked for, if it is a sound device; the rate it runs at goes into
    /// `settings`.
    pub(super) fn open(settings: &mut Settings) -> Result<Self, Failure> {
        let deck = Arc::new(Deck::new());
        let asked = settings.device.clone();
        let mut devices = Self {
            deck,
            opener: None,
            watch: None,
            is_auto: asked == Device::Auto,
            asked: asked.to_string(),
            stream: None,
            proven: None,
            held: None,
            given_up: None,
            reasons: Vec::new(),
            about: Vec::new(),
            xruns: 0,
        };
        if !matches!(asked, Device::Auto | Device::Sound { .. }) {
            return Ok(devices);
        }
        let Settings { rate_asked: rate, channels, period, .. } = *settings;
        let wish = Wish { name: None, rate, channels, period, is_auto: devices.is_auto };
        let opener = Opener::start(&asked, wish, &devices.deck, backends())
            .map_err(|error| Failure::new(Exit::Bug, format!("cannot start: {error}")))?;
        match opener.first(FIRST) {
            Some(News::Opened(stream)) => {
                settings.rate = stream.rate;
                devices.take(*stream);
            }
            Some(News::None(reasons)) => devices.reasons = reasons,
            _ => devices.reasons = vec!["no server answers".to_owned()],
        }
        if devices.stream.is_none() {
            let why = devices.reasons.join("; ");
            if settings.strict_device {
                let text = format!("no device {asked}: {why}; `segue devices` lists them");
                return Err(Failure::new(Exit::Unavailable, text));
            }
            tracing::warn!("no device {asked} ({why}): a timer keeps the time, nothing is heard");
        }
        opener.insist_on(settings.rate);
        devices.opener = Some(opener);
        Ok(devices)
    }

    /// Begins to watch who drives.
    pub(super) fn watch(&mut self, shape: Shape) {
        self.watch = Some(DriverWatch::new(shape));
    }

    /// Whether an open stream has yet to show that it calls as a device does: the music waits
    /// for it, for a while.
    pub(super) fn is_awaited(&self) -> bool {
        self.proven.is_none() && self.stream.is_some()
    }

    /// Who drives first: a stream that has been seen to call, else the timer.
    pub(super) fn first(&self) -> Driver {
        self.proven.filter(|_| self.stream.is_some()).unwrap_or(TIMER)
    }

    /// The longest period to be expected, in frames.
    pub(super) fn period(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.period as usize)
    }

    /// One look at what drives.
    pub(super) fn look(&mut self, now_ns: u64, status: &Status) {
        let news = std::iter::from_fn(|| self.opener.as_ref()?.news());
        for news in news.collect::<Vec<_>>() {
            self.hear(news, status);
        }
        let holder = self.deck.token.holder();
        // Before block 0 a stream is tried as if the timer drove.
        let begun = holder != NOBODY;
        let holder = if begun { holder } else { TIMER };
        let Some(watch) = self.watch.as_mut() else { return };
        let seen = self.stream.as_ref().map(|stream| stream.line.look());
        for step in watch.step(now_ns, holder, seen) {
            match step {
                Move::Hand(driver) if !begun => self.proven = Some(driver),
                step => self.carry_out(step, status),
            }
        }
        self.tell_numbers(status);
    }

    fn hear(&mut self, news: News, status: &Status) {
        match news {
            News::Opened(stream) => {
                self.take(*stream);
                self.tell(status);
            }
            News::None(reasons) => {
                if reasons != self.reasons && self.held.is_some() {
                    tracing::warn!("the device is not back: {}", reasons.join("; "));
                }
                self.reasons = reasons;
                self.tell(status);
            }
            News::About(about) => {
                for remark in about.iter().filter(|remark| !self.about.contains(remark)) {
                    tracing::warn!("the device: {remark}");
                }
                self.about = about;
                self.tell(status);
            }
        }
    }

    fn take(&mut self, stream: OpenStream) {
        let OpenStream { kind, name, description, rate, period, note, .. } = &stream;
        tracing::info!(
            device = format!("{}:{name}", kind.as_str()),
            rate,
            period,
            "the device is open: {description}"
        );
        if let Some(note) = note {
            tracing::info!("{note}");
        }
        self.held = None;
        self.reasons.clear();
        self.about.clear();
        self.xruns = 0;
        self.stream = Some(stream);
    }

    fn carry_out(&mut self, step: Move, status: &Status) {
        match step {
            Move::Hand(driver) => self.hand(driver),
            Move::Seize => {
                if !self.deck.seize() {
                    tracing::error!("a device ended within a call too often: it stays closed");
                }
                self.hand(TIMER);
            }
            Move::CountLoss => {
                status.count(Counter::DeviceLosses);
                tracing::warn!("{}: a timer keeps the time", self.loss());
            }
            Move::Close(number, loss) => self.close(number, loss, status),
        }
    }

    fn hand(&mut self, driver: Driver) {
        self.deck.token.hand_to(driver);
        futex::wake(self.deck.token.bell());
        if driver != TIMER {
            self.given_up = None;
            tracing::info!("the device drives");
        }
    }

    /// What has happened to the stream, in words.
    fn loss(&self) -> String {
        let Some(stream) = &self.stream else { return "there is no device".to_owned() };
        let name = format!("{}:{}", stream.kind.as_str(), stream.name);
        match stream.line.why() {
            why if why.is_empty() => format!("{name} does not call"),
            why => format!("{name} is lost ({why})"),
        }
    }

    fn close(&mut self, number: u64, loss: Loss, status: &Status) {
        let what = match loss {
            Loss::Told | Loss::Silent => self.loss(),
            Loss::Unclocked => "the device asks for more than there is time for".to_owned(),
            Loss::Ended => "the device's thread ended within a call".to_owned(),
        };
        // One that is silent each time it is opened is told once.
        let known = self.given_up.as_ref() == Some(&what);
        if loss != Loss::Told && !known {
            tracing::warn!("{what}: it is opened anew, until it plays");
        }
        self.given_up = Some(what.clone());
        if let Some(opener) = &self.opener {
            opener.close(number, loss);
        }
        self.proven = None;
        if let Some(stream) = self.stream.take() {
            self.held = Some((format!("{}:{}", stream.kind.as_str(), stream.name), what));
        }
        self.tell(status);
    }

    /// Says which device plays, and what is wrong with it.
    pub(super) fn tell(&self, status: &Status) {
        let Some(stream) = &self.stream else {
            status.set_device(if self.asked.starts_with("freewheel") {
                "freewheel:none"
            } else {
                "null:timer"
            });
            let reasons = self.reasons.join("; ");
            status.set_trouble(&match &self.held {
                Some((_, what)) if reasons.is_empty() => format!("{what}; it is looked for"),
                Some((_, what)) => format!("{what}; it is looked for ({reasons})"),
                None if self.is_auto || self.opener.is_none() => String::new(),
                None => format!("no device {}: {reasons}; it is looked for", self.asked),
            });
            return;
        };
        status.set_device(&format!("{}:{}", stream.kind.as_str(), stream.name));
        let about = self.about.join("; ");
        status.set_trouble(&if about.is_empty() {
            String::new()
        } else {
            format!("the device plays, but: {about}")
        });
    }

    fn tell_numbers(&mut self, status: &Status) {
        let line = self.stream.as_ref().map(|stream| &stream.line);
        let xruns = line.map_or(0, |line| line.xruns());
        for _ in self.xruns..xruns {
            status.count(Counter::Xruns);
        }
        self.xruns = xruns;
        status.set_fact(Fact::DeviceLatency, line.map_or(0, |line| line.latency()));
        let drives = line.is_some_and(|line| self.deck.token.is_held_by(line.driver()));
        status.set_fact(Fact::DeviceDrives, u64::from(drives));
    }
}
