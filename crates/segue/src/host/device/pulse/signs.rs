//! What is seen of a stream while it plays, for whoever asks why nothing is heard.

use super::sinks::{Sink, is_made_up, lossy};
use crate::host::device::backend::STAND_IN;

/// Names of sinks are cut here; they are read by people.
const NAME_MAX: usize = 128;

/// The last known state of a stream and its sink. Plain data: written by the thread that plays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    name: [u8; NAME_MAX],
    name_length: usize,
    /// It plays on another sink than at first.
    moved: bool,
    sink_muted: bool,
    sink_zero: bool,
    /// The sink sleeps.
    pub(super) suspended: bool,
    /// The stream itself is muted or at volume zero.
    pub(super) stream_silent: bool,
    /// What the server holds, in milliseconds, since it ran dry too often; 0 before.
    pub(super) held_ms: u64,
}

impl Signs {
    /// Of a stream that plays on the sink called `name`.
    pub(super) fn new(name: &[u8], suspended: bool) -> Self {
        let mut signs = Self {
            name: [0; NAME_MAX],
            name_length: 0,
            moved: false,
            sink_muted: false,
            sink_zero: false,
            suspended,
            stream_silent: false,
            held_ms: 0,
        };
        signs.call(name);
        signs.moved = false;
        signs
    }

    /// It plays on the sink of this name now.
    pub(super) fn call(&mut self, name: &[u8]) {
        let length = name.len().min(NAME_MAX);
        self.moved |= self.name[..self.name_length] != name[..length];
        self.name[..length].copy_from_slice(&name[..length]);
        self.name_length = length;
    }

    /// The sink was described.
    pub(super) fn see(&mut self, sink: &Sink<'_>) {
        self.call(sink.name);
        (self.sink_muted, self.sink_zero) = (sink.muted, sink.zero);
        self.suspended = sink.suspended;
    }

    /// What keeps it from being heard where it was opened, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let name = &self.name[..self.name_length];
        if self.moved {
            words.push(format!("moved to sink {}", lossy(name)));
        }
        if is_made_up(name) {
            words.push(STAND_IN.to_owned());
        }
        if self.held_ms > 0 {
            words.push(format!("ran dry again and again: it is {} ms ahead now", self.held_ms));
        }
        let troubles = [
            (self.sink_muted, "the sink is muted"),
            (self.sink_zero, "the sink's volume is zero"),
            (self.suspended, "the sink is suspended"),
            (self.stream_silent, "the stream is muted or its volume is zero"),
        ];
        let said = troubles.into_iter().filter(|(so, _)| *so).map(|(_, text)| text.to_owned());
        words.extend(said);
        words
    }
}

/// That a server converts.
pub(super) fn converted(from: u32, to: u32) -> String {
    format!("the server converts {from} frames a second to {to}")
}

#[cfg(test)]
mod tests {
    use super::Signs;

    #[test]
    fn what_keeps_a_stream_from_being_heard_is_said() {
        let mut signs = Signs::new(b"desk", false);
        assert!(signs.words().is_empty());
        (signs.suspended, signs.sink_zero) = (true, true);
        assert_eq!(signs.words(), ["the sink's volume is zero", "the sink is suspended"]);
    }

    #[test]
    fn a_stream_that_was_moved_says_where_to() {
        let mut signs = Signs::new(b"desk", false);
        signs.call(b"desk");
        assert!(signs.words().is_empty());
        signs.call(b"auto_null");
        assert_eq!(signs.words(), ["moved to sink auto_null", super::STAND_IN]);
        signs.call(&[b'x'; 200]);
        signs.stream_silent = true;
        let (moved, silent) = (
            format!("moved to sink {}", "x".repeat(128)),
            "the stream is muted or its volume is zero",
        );
        assert_eq!(signs.words(), [moved.as_str(), silent]);
    }
}
