//! What systemd is told: that it plays, how it is, and that all is well.
//!
//! | said | when |
//! |---|---|
//! | `READY=1` | the first block was played |
//! | `STATUS=…` | who plays has changed, once a second at most |
//! | `WATCHDOG=1` | frames were delivered since the last time, and somebody renders them |
//! | `STOPPING=1` | the end was asked for, or the timeline has ended |
//!
//! *Invariant*: said by the monitor's thread alone, of what playout left in the orders. If either
//! of the two dies or hangs, nothing more is said, and systemd starts the engine anew.
//!
//! *Source*: sd_notify(3), sd_watchdog_enabled(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How often the status may change.
const STATUS_NS: u64 = 1_000_000_000;
/// Of the time after which systemd takes the engine for dead, the part after which it is told.
const WATCHDOG_PART: u64 = 4;

/// How the engine is, as the monitor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames delivered.
    pub(super) position: u64,
    /// Whether a block was played.
    pub(super) plays: bool,
    /// Whether somebody goes first.
    pub(super) has_primary: bool,
    /// Whether the end has begun.
    pub(super) ends: bool,
    /// The rest, for people.
    pub(super) text: String,
}

/// What was said, and what is due.
#[derive(Debug, Default)]
struct Vigil {
    /// How often systemd wants to hear that all is well; none: it does not.
    watchdog_ns: Option<u64>,
    ready: bool,
    stopping: bool,
    text: String,
    text_ns: Option<u64>,
    /// When it was last said that all is well, and how many frames there were.
    fed: (u64, u64),
}

impl Vigil {
    /// What is to be said now.
    fn step(&mut self, now_ns: u64, seen: &Seen) -> Vec<String> {
        let mut said = Vec::new();
        if seen.plays && !self.ready {
            self.ready = true;
            said.push("READY=1".to_owned());
        }
        if seen.ends && !self.stopping {
            self.stopping = true;
            said.push("STOPPING=1".to_owned());
        }
        let may = self.text_ns.is_none_or(|then| now_ns.saturating_sub(then) >= STATUS_NS);
        if may && seen.text != self.text {
            (self.text, self.text_ns) = (seen.text.clone(), Some(now_ns));
            said.push(format!("STATUS={}", seen.text));
        }
        let (then_ns, position) = self.fed;
        let due = self.watchdog_ns.is_some_and(|every| now_ns.saturating_sub(then_ns) >= every);
        if due && seen.has_primary && seen.position != position {
            self.fed = (now_ns, seen.position);
            said.push("WATCHDOG=1".to_owned());
        }
        said
    }
}

/// The line to systemd, where there is one.
#[derive(Debug)]
pub(super) struct Notify {
    line: Option<UnixDatagram>,
    vigil: Vigil,
    /// What the line had no room for.
    unsaid: Vec<String>,
}

impl Notify {
    /// The line that the environment names; none is no error, nor is one that cannot be had.
    pub(super) fn begin() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        let line = text("NOTIFY_SOCKET").and_then(|name| {
            connect(&name)
                .map_err(|error| tracing::warn!("systemd cannot be told anything: {error}"))
                .ok()
        });
        let meant = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let usec = text("WATCHDOG_USEC").and_then(|usec| usec.parse::<u64>().ok());
        let every_ns = usec.map(|usec| usec.saturating_mul(1000) / WATCHDOG_PART);
        let watchdog_ns = every_ns.filter(|_| meant);
        Self { line, vigil: Vigil { watchdog_ns, ..Vigil::default() }, unsaid: Vec::new() }
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.line.is_some()
    }

    /// Says what is due. Nobody is waited for: what does not fit now is said at the next look.
    pub(super) fn look(&mut self, now_ns: u64, seen: &Seen) {
        let Some(line) = &self.line else { return };
        self.unsaid.extend(self.vigil.step(now_ns, seen));
        let said = self.unsaid.iter().take_while(|word| line.send(word.as_bytes()).is_ok()).count();
        self.unsaid.drain(..said);
        // Newer news of the same kind will come.
        self.unsaid.truncate(UNSAID_MAX);
    }
}

/// What waits for a systemd that does not read.
const UNSAID_MAX: usize = 8;

/// A path, or with `@` a name without one.
fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let line = UnixDatagram::unbound()?;
    line.set_nonblocking(true)?;
    line.connect_addr(&address)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{Seen, Vigil};

    const MS: u64 = 1_000_000;

    fn playing(position: u64) -> Seen {
        let text = "plays".to_owned();
        Seen { position, plays: true, has_primary: true, ends: false, text }
    }

    fn vigil() -> Vigil {
        let mut vigil = Vigil { watchdog_ns: Some(100 * MS), ..Vigil::default() };
        assert_eq!(vigil.step(MS, &Seen::default()), [""; 0], "nothing before the first block");
        assert_eq!(vigil.step(200 * MS, &playing(64)), ["READY=1", "STATUS=plays", "WATCHDOG=1"]);
        vigil
    }

    #[test]
    fn while_frames_are_delivered_it_is_said_in_time_that_all_is_well() {
        let mut vigil = vigil();
        let said = (201..=1200).map(|ms| vigil.step(ms * MS, &playing(ms)));
        let said: Vec<String> = said.flatten().collect();
        assert_eq!(said, vec!["WATCHDOG=1"; 10]);
    }

    #[test]
    fn when_playout_stands_still_nothing_more_is_said() {
        let mut vigil = vigil();
        assert!((201..=5000).all(|ms| vigil.step(ms * MS, &playing(64)).is_empty()));
        assert_eq!(vigil.step(5001 * MS, &playing(65)), ["WATCHDOG=1"], "it moves again");
    }

    #[test]
    fn when_nobody_renders_what_is_played_nothing_more_is_said() {
        let mut vigil = vigil();
        let silent = |ms| Seen { has_primary: false, ..playing(ms) };
        assert!((201..=5000).all(|ms| vigil.step(ms * MS, &silent(ms)).is_empty()));
    }

    #[test]
    fn the_status_is_said_once_a_second_at_most_and_the_end_once() {
        let mut vigil = vigil();
        let told = |text: &str| Seen { text: text.to_owned(), ends: true, ..playing(64) };
        assert_eq!(vigil.step(201 * MS, &told("ends")), ["STOPPING=1"]);
        assert_eq!(vigil.step(1199 * MS, &told("ended")), [""; 0]);
        assert_eq!(vigil.step(1200 * MS, &told("ended")), ["STATUS=ended"]);
    }

    #[test]
    fn who_is_not_watched_says_nothing_of_it() {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.step(200 * MS, &playing(64)), ["READY=1", "STATUS=plays"]);
        assert!((201..=5000).all(|ms| vigil.step(ms * MS, &playing(ms)).is_empty()));
    }
}
