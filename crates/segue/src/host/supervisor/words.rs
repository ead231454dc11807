//! Last words: what a child prints to standard error, passed on line by line and kept.
//!
//! *Invariant*: bounded. A child that never ends its line, or never stops talking, costs one
//! buffer and one read a look.

use std::os::fd::BorrowedFd;

/// Bytes that are kept for when it is dead.
const KEPT: usize = 600;
/// Bytes read at a look; what is more waits in the pipe.
const LOOK: usize = 8192;
/// A line longer than this is passed on in parts.
const LINE: usize = 4096;

/// The words of one child.
#[derive(Debug, Default)]
pub(super) struct Words {
    kept: Vec<u8>,
    line: Vec<u8>,
}

impl Words {
    /// Reads what is there and hands each whole line to `say`.
    pub(super) fn listen(&mut self, pipe: BorrowedFd<'_>, say: &mut dyn FnMut(&str)) {
        let mut bytes = [0; LOOK];
        // Nothing there, or nobody left: either way there is no more.
        let Ok(length) = rustix::io::read(pipe, &mut bytes) else { return };
        self.take(&bytes[..length], say);
    }

    fn take(&mut self, bytes: &[u8], say: &mut dyn FnMut(&str)) {
        self.kept.extend_from_slice(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..surplus);
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
            }
            if *byte == b'\n' || self.line.len() >= LINE {
                say(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
    }

    /// Hands over a last line that was never ended.
    pub(super) fn finish(&mut self, say: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            say(&String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }

    /// The last words so far.
    pub(super) fn last(&self) -> String {
        String::from_utf8_lossy(&self.kept).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LINE, Words};

    #[test]
    fn lines_are_passed_on_whole_and_the_end_is_kept() {
        let mut words = Words::default();
        let mut said = Vec::new();
        words.take(b"one\ntw", &mut |line| said.push(line.to_owned()));
        words.take(b"o\nthree", &mut |line| said.push(line.to_owned()));
        assert_eq!(said, ["one", "two"]);
        words.finish(&mut |line| said.push(line.to_owned()));
        assert_eq!(said[2], "three");
        assert_eq!(words.last(), "one\ntwo\nthree");
    }

    #[test]
    fn somebody_who_never_stops_talking_costs_no_more_memory() {
        let mut words = Words::default();
        let mut longest = 0;
        for _ in 0..1000 {
            words.take(&[b'x'; 1000], &mut |line| longest = longest.max(line.len()));
        }
        assert_eq!((words.kept.len(), longest), (KEPT, LINE));
        assert!(words.line.len() < LINE);
    }
}
