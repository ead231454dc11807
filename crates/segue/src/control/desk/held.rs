//! What waits for a commit that is under way, in the order it came, within bounds.

use std::collections::VecDeque;

use rosc::{OscMessage, OscType};

use crate::control::sockets::Sender;
use crate::osc::decode::Group;

/// Messages that may wait.
const MESSAGES_MAX: usize = 4096;
/// Bytes of them: sixteen patches as long as they may be.
const BYTES_MAX: usize = 4 << 20;

/// The groups that wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: VecDeque<(Sender, Group)>,
    messages: usize,
    bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether something of this sender waits.
    pub(super) fn has(&self, sender: Sender) -> bool {
        self.groups.iter().any(|(other, _)| *other == sender)
    }

    /// Lets a group wait; gives it back where there is no room.
    pub(super) fn push(&mut self, sender: Sender, group: Group) -> Result<(), Group> {
        let (messages, bytes) = (group.messages.len(), bytes_of(&group));
        if self.messages + messages > MESSAGES_MAX || self.bytes + bytes > BYTES_MAX {
            return Err(group);
        }
        self.messages += messages;
        self.bytes += bytes;
        self.groups.push_back((sender, group));
        Ok(())
    }
}

/// About what a group takes beside its messages themselves.
fn bytes_of(group: &Group) -> usize {
    let of = |message: &OscMessage| {
        message.addr.len() + message.args.iter().map(bytes_of_arg).sum::<usize>()
    };
    group.messages.iter().flatten().map(of).sum()
}

fn bytes_of_arg(arg: &OscType) -> usize {
    let beside = match arg {
        OscType::String(text) => text.len(),
        OscType::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<OscType>() + beside
}

impl IntoIterator for Held {
    type Item = (Sender, Group);
    type IntoIter = std::collections::vec_deque::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.into_iter()
    }
}
