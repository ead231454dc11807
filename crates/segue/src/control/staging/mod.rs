//! Pending edits, by sender: what was asked of the patch and is not committed yet.
//!
//! *Invariant*: a commit is all the edits its sender has sent since it began, or it is refused.
//! What ended otherwise (silence, the death of this process) leaves a mark, and until its owner
//! knows, nothing that comes behind it is taken for the whole. Values in, values out: no clock,
//! no socket.

mod row;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::BTreeMap;
use std::time::Duration;

use segue_rack::Edit;

pub(crate) use self::row::Row;
use self::row::{Lost, Marks, Owner, Why};
use self::transaction::Transaction;
pub(crate) use self::transaction::Wanted;
use super::sockets::Sender;
use crate::osc::refusal::{Code, Refusal};

/// How long edits may wait for the next one.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// Senders that may have begun.
const TRANSACTIONS_MAX: usize = 32;
/// Bytes of all texts and edits that are kept: read as tables they take some ten times as much.
const BYTES_MAX: usize = 4 << 20;
/// Senders of shared edits that are told when those end; of more, the first.
const SHARERS_MAX: usize = 64;

/// Something pending that ended by itself, to be answered `/error ADDRESS timeout …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    /// Who is told.
    pub(crate) sender: Sender,
    /// What it began with.
    pub(crate) address: &'static str,
    /// Why.
    pub(crate) refusal: Refusal,
}

/// How much is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Transactions, what is shared as one.
    pub(crate) transactions: usize,
    /// Edits in all of them.
    pub(crate) edits: usize,
    /// Bytes of their texts and edits.
    pub(crate) bytes: usize,
}

/// All pending edits.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    own: BTreeMap<Sender, Transaction>,
    shared: Option<Transaction>,
    /// Who has edited what is shared.
    sharers: Vec<Sender>,
    marks: Marks,
}

impl Staging {
    /// Goes on after another control process that left `rows`: with nothing but marks, and those
    /// who are to be told.
    pub(crate) fn after(rows: &[Row]) -> (Self, Vec<Ended>) {
        let mut staging = Self::default();
        let mut ended = Vec::new();
        for row in rows {
            let lost =
                Lost { edits: row.edits, why: row.ended.unwrap_or(Why::Died), once: row.once };
            match row.owner {
                Owner::Udp { socket, address } => {
                    let sender = Sender::Udp(socket, address);
                    if row.ended.is_none() {
                        ended.push(told(sender, "/patch/begin", &lost));
                    }
                    staging.marks.put(sender, lost);
                }
                // Whose connection it was cannot be known any more.
                Owner::Tcp | Owner::Shared => staging.marks.shared(lost),
            }
        }
        (staging, ended)
    }

    /// What a successor has to know.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let open =
            |owner, it: &Transaction| Row { owner, edits: it.edits(), ended: None, once: false };
        let own = self.own.iter().map(|(sender, it)| open(Owner::of(*sender), it));
        let shared = self.shared.iter().map(|it| open(Owner::Shared, it));
        own.chain(shared).chain(self.marks.rows()).collect()
    }

    /// How much is pending.
    pub(crate) fn pending(&self) -> Pending {
        let all = || self.own.values().chain(&self.shared);
        Pending {
            transactions: all().count(),
            edits: all().map(|it| it.edits() as usize).sum(),
            bytes: all().map(Transaction::bytes).sum(),
        }
    }

    /// `/patch/begin`: from now on the edits of this sender are its own. `live` is the text of
    /// what plays.
    pub(crate) fn begin(
        &mut self,
        sender: Sender,
        now: Duration,
        live: &str,
    ) -> Result<(), Refusal> {
        if self.own.contains_key(&sender) {
            let text = "this sender has begun already; /patch/commit or /patch/abort ends that";
            return Err(Refusal::new(Code::Busy, text));
        }
        if self.own.len() >= TRANSACTIONS_MAX {
            let text =
                format!("{TRANSACTIONS_MAX} senders have begun; try again when one has ended");
            return Err(Refusal::new(Code::Full, text));
        }
        self.check_room(live.len())?;
        self.own.insert(sender, Transaction::begin(live, now)?);
        self.marks.clear(sender);
        Ok(())
    }

    /// One edit: of the sender's own transaction, else of what is shared, which begins with it.
    pub(crate) fn edit(
        &mut self,
        sender: Sender,
        edit: Edit,
        now: Duration,
        live: &str,
    ) -> Result<(), Refusal> {
        self.marks.check(sender)?;
        let begins = !self.own.contains_key(&sender) && self.shared.is_none();
        self.check_room(edit.bytes() + if begins { live.len() } else { 0 })?;
        if let Some(own) = self.own.get_mut(&sender) {
            return own.edit(edit, now);
        }
        check_local(sender)?;
        self.marks.check_shared()?;
        // A refused edit begins nothing.
        let mut shared = match self.shared.take() {
            Some(shared) => shared,
            None => Transaction::begin(live, now)?,
        };
        let done = shared.edit(edit, now);
        if shared.edits() > 0 {
            self.shared = Some(shared);
        }
        done?;
        if self.sharers.len() < SHARERS_MAX && !self.sharers.contains(&sender) {
            self.sharers.push(sender);
        }
        Ok(())
    }

    /// What `/mod` asks of a module that does not play; none where no pending patch that the
    /// sender reaches has it either.
    pub(crate) fn set(
        &mut self,
        sender: Sender,
        edit: Edit,
        now: Duration,
    ) -> Option<Result<(), Refusal>> {
        let Edit::Set { id, .. } = &edit else { return None };
        if let Err(refusal) = self.marks.check(sender) {
            return Some(Err(refusal));
        }
        let room = self.check_room(edit.bytes());
        // A part is named behind its instrument.
        let id = id.split('.').next().unwrap_or(id);
        let own = self.own.get_mut(&sender).filter(|it| it.has(id));
        let shared = self.shared.as_mut().filter(|it| check_local(sender).is_ok() && it.has(id));
        let pending = own.or(shared)?;
        Some(room.and_then(|()| pending.edit(edit, now)))
    }

    /// `/patch/commit`: ends what is pending, and gives what is to be played, or why not.
    pub(crate) fn commit(
        &mut self,
        sender: Sender,
        fade_ms: f32,
        live: &str,
    ) -> Result<Wanted, Refusal> {
        if let Some(lost) = self.marks.committed(sender) {
            return Err(lost.refusal());
        }
        let pending = match self.own.remove(&sender) {
            Some(own) => own,
            None => {
                check_local(sender)?;
                if let Some(lost) = self.marks.take_shared() {
                    return Err(lost.refusal());
                }
                self.sharers.clear();
                let nothing = || Refusal::new(Code::Busy, "no edits are pending");
                self.shared.take().ok_or_else(nothing)?
            }
        };
        pending.wanted(fade_ms, live)
    }

    /// `/patch/abort`: forgets what is pending.
    pub(crate) fn abort(&mut self, sender: Sender) -> Result<(), Refusal> {
        if self.own.remove(&sender).is_some() | self.marks.clear(sender) {
            return Ok(());
        }
        check_local(sender)?;
        self.sharers.clear();
        if self.shared.take().is_some() | self.marks.take_shared().is_some() {
            return Ok(());
        }
        Err(Refusal::new(Code::Busy, "no edits are pending"))
    }

    /// A connection is gone, and what it began with it.
    pub(crate) fn closed(&mut self, sender: Sender) {
        self.own.remove(&sender);
        self.marks.clear(sender);
        self.sharers.retain(|other| *other != sender);
    }

    /// Ends what has been silent for too long.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Ended> {
        let silent = |it: &Transaction| now.saturating_sub(it.touched()) >= SILENCE;
        let mut ended = Vec::new();
        self.own.retain(|sender, own| {
            if !silent(own) {
                return true;
            }
            let lost = Lost { edits: own.edits(), why: Why::Silent, once: false };
            ended.push(told(*sender, "/patch/begin", &lost));
            self.marks.put(*sender, lost);
            false
        });
        if let Some(shared) = self.shared.take_if(|shared| silent(shared)) {
            for sender in std::mem::take(&mut self.sharers) {
                // Who never begins cannot begin again: its next commit ends this.
                let lost = Lost { edits: shared.edits(), why: Why::Silent, once: true };
                ended.push(told(sender, "/patch/commit", &lost));
                self.marks.put(sender, lost);
            }
        }
        ended
    }

    fn check_room(&self, more: usize) -> Result<(), Refusal> {
        if self.pending().bytes + more <= BYTES_MAX {
            return Ok(());
        }
        let text = "more is pending than is kept; try again when something of it has ended";
        Err(Refusal::new(Code::Full, text))
    }
}

/// What is shared is shared on this machine. A connection is let in by who may connect.
fn check_local(sender: Sender) -> Result<(), Refusal> {
    match sender {
        Sender::Udp(_, address) if !address.ip().to_canonical().is_loopback() => {
            let text = "only senders of this machine share pending edits; send /patch/begin first";
            Err(Refusal::new(Code::Forbidden, text))
        }
        _ => Ok(()),
    }
}

fn told(sender: Sender, address: &'static str, lost: &Lost) -> Ended {
    Ended { sender, address, refusal: lost.refusal() }
}
