//! Senders by number: the log says who asked for what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Senders that are remembered; of more, those heard from longest ago are forgotten.
const REMEMBERED: usize = 4096;

/// Where something came from, and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sender {
    /// A datagram at the socket of this index.
    Udp(usize, SocketAddr),
    /// The TCP connection of this number.
    Tcp(u64),
    /// The engine itself; what it is answered is told in the status.
    Own,
}

/// What is known of a sender.
#[derive(Clone, Copy, Debug)]
struct Known {
    origin: u32,
    heard: u64,
}

/// All senders of one control process.
#[derive(Debug)]
pub(crate) struct Senders {
    known: BTreeMap<Sender, Known>,
    next: u32,
    turn: u64,
}

impl Senders {
    /// Numbers of their own for each control process; 0 stays the supervisor's.
    pub(crate) fn new(generation: u64) -> Self {
        let next = ((generation as u32) << 20) | 1;
        Self { known: BTreeMap::new(), next, turn: 0 }
    }

    /// The number of a sender, a new one for a new sender.
    pub(crate) fn origin(&mut self, sender: Sender) -> u32 {
        self.turn += 1;
        if let Some(known) = self.known.get_mut(&sender) {
            known.heard = self.turn;
            return known.origin;
        }
        if self.known.len() >= REMEMBERED {
            self.forget_oldest();
        }
        let origin = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        self.known.insert(sender, Known { origin, heard: self.turn });
        origin
    }

    /// Who has this number, if it is still known.
    pub(crate) fn sender(&self, origin: u32) -> Option<Sender> {
        let mut known = self.known.iter();
        known.find(|(_, known)| known.origin == origin).map(|(sender, _)| *sender)
    }

    fn forget_oldest(&mut self) {
        // Half of them at once: looking for the oldest at every stranger would be slow.
        let mut heard: Vec<u64> = self.known.values().map(|known| known.heard).collect();
        heard.sort_unstable();
        let bound = heard[heard.len() / 2];
        self.known.retain(|_, known| known.heard >= bound);
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Sender, Senders};

    #[test]
    fn a_sender_keeps_its_number_and_strangers_are_bounded() {
        let mut senders = Senders::new(1);
        let first = senders.origin(Sender::Tcp(0));
        for number in 1..3 * REMEMBERED as u64 {
            assert_ne!(senders.origin(Sender::Tcp(number)), first);
            assert_eq!(senders.origin(Sender::Tcp(0)), first);
        }
        assert!(senders.known.len() <= REMEMBERED);
        assert_ne!(first, 0);
    }
}
