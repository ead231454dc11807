//! `/sync`: answered when all that its sender asked before is in the log.

use rosc::{OscMessage, OscType};

use super::Desk;
use crate::control::sockets::Sender;
use crate::osc::refusal::{Code, Refusal};

/// `/sync` messages that may wait for their answer.
const SYNCS_MAX: usize = 4096;

/// A `/sync` that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    sender: Sender,
    number: i32,
    /// In the backlog below this number, until that is sent.
    backlog: Option<u64>,
    /// Then in the inbox below this number, until that is taken.
    inbox: u64,
}

impl Desk {
    pub(super) fn sync(&mut self, sender: Sender, number: i32, message: &OscMessage) {
        if self.syncs.len() >= SYNCS_MAX {
            let refusal = Refusal::new(Code::Full, "too many /sync wait for their answer");
            return self.refuse(sender, message, &refusal);
        }
        let backlog = (!self.backlog.is_empty()).then(|| self.backlog.next_number());
        let inbox = self.inbox.head();
        self.syncs.push_back(Pending { sender, number, backlog, inbox });
        self.answer_syncs();
    }

    pub(super) fn answer_syncs(&mut self) {
        let waits = self.backlog.front().is_some();
        let sent = if waits { self.backlog.first_number() } else { u64::MAX };
        let (head, taken) = (self.inbox.head(), self.orders.taken());
        while let Some(pending) = self.syncs.front_mut() {
            if pending.backlog.is_some_and(|number| number <= sent) {
                pending.backlog = None;
                pending.inbox = head;
            }
            if pending.backlog.is_some() || pending.inbox > taken {
                return;
            }
            let (sender, args) = (pending.sender, vec![OscType::Int(pending.number)]);
            self.syncs.pop_front();
            self.reply(sender, OscMessage { addr: "/synced".to_owned(), args });
        }
    }
}
