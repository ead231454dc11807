//! What is known of edits that ended without their sender: marks, and rows for a successor.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Sender;
use crate::osc::refusal::{Code, Refusal};

/// Senders whose edits were lost that are remembered; of more, those lost last.
const MARKS_MAX: usize = 64;

/// What a successor has to know of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Whose it is.
    pub(super) owner: Owner,
    /// How many edits it has.
    pub(super) edits: u32,
    /// How it ended; none while it is open. Its owner was told, but may not have understood.
    pub(super) ended: Option<Why>,
    /// Whether one refused commit is enough.
    pub(super) once: bool,
}

/// A sender as it outlives a control process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Owner {
    /// Sockets are handed on in their order.
    Udp { socket: usize, address: SocketAddr },
    /// Connections are not.
    Tcp,
    /// Whoever edits without a begin.
    Shared,
}

/// Why edits ended without their sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Why {
    /// The process that kept them died.
    Died,
    /// None came for too long.
    Silent,
}

/// Edits that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) edits: u32,
    pub(super) why: Why,
    /// One refused commit is enough: its sender does not begin.
    pub(super) once: bool,
}

impl Lost {
    /// What its sender is told, at once and whenever it goes on as if nothing were lost.
    pub(super) fn refusal(&self) -> Refusal {
        let edits = match self.edits {
            0 => "what was begun was".to_owned(),
            1 => "1 pending edit was".to_owned(),
            edits => format!("{edits} pending edits were"),
        };
        let why = match self.why {
            Why::Died => "the process that kept it ended; it was started again",
            Why::Silent => "there was no edit for 60 s",
        };
        let text =
            format!("{edits} forgotten: {why}. Send /patch/begin or /patch/abort, then all of it");
        Refusal::new(Code::Timeout, text)
    }
}

impl Owner {
    pub(super) fn of(sender: Sender) -> Self {
        match sender {
            Sender::Udp(socket, address) => Self::Udp { socket, address },
            Sender::Tcp(_) | Sender::Own => Self::Tcp,
        }
    }
}

/// Whose edits were lost.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Those lost last at the end.
    senders: Vec<(Sender, Lost)>,
    /// Of what was shared, or came from who is not known any more.
    shared: Option<Lost>,
}

impl Marks {
    pub(super) fn put(&mut self, sender: Sender, lost: Lost) {
        self.clear(sender);
        if self.senders.len() >= MARKS_MAX {
            self.senders.remove(0);
        }
        self.senders.push((sender, lost));
    }

    /// Marks what is shared, with all that was lost of it.
    pub(super) fn shared(&mut self, lost: Lost) {
        let edits = self.shared.map_or(0, |other| other.edits).saturating_add(lost.edits);
        self.shared = Some(Lost { edits, ..lost });
    }

    /// Refuses who goes on as if nothing were lost.
    pub(super) fn check(&self, sender: Sender) -> Result<(), Refusal> {
        match self.senders.iter().find(|(other, _)| *other == sender) {
            Some((_, lost)) => Err(lost.refusal()),
            None => Ok(()),
        }
    }

    /// The same for what is shared.
    pub(super) fn check_shared(&self) -> Result<(), Refusal> {
        self.shared.map_or(Ok(()), |lost| Err(lost.refusal()))
    }

    /// What this sender has lost when it commits; that may be the end of it.
    pub(super) fn committed(&mut self, sender: Sender) -> Option<Lost> {
        let (_, lost) = *self.senders.iter().find(|(other, _)| *other == sender)?;
        if lost.once {
            self.clear(sender);
        }
        Some(lost)
    }

    /// This sender knows; whether there was anything to know.
    pub(super) fn clear(&mut self, sender: Sender) -> bool {
        let before = self.senders.len();
        self.senders.retain(|(other, _)| *other != sender);
        self.senders.len() < before
    }

    /// Whoever asks now is told of what is shared.
    pub(super) fn take_shared(&mut self) -> Option<Lost> {
        self.shared.take()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let of = |owner, lost: &Lost| {
            let Lost { edits, why, once } = *lost;
            Row { owner, edits, ended: Some(why), once }
        };
        // Who was told over a connection of this process will not be heard on another one.
        let senders = self.senders.iter().filter(|(sender, _)| matches!(sender, Sender::Udp(..)));
        let senders = senders.map(move |(sender, lost)| of(Owner::of(*sender), lost));
        senders.chain(self.shared.iter().map(move |lost| of(Owner::Shared, lost)))
    }
}
