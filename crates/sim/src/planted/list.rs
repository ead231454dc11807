//! The list of planted bugs: where each is, what stands there instead, and what finds it.

use super::{Planted, lives, tests};

const RING: &str = "sys/src/ring.rs";
const SLOT: &str = "lockstep/src/memory/slot.rs";
const ORDERS: &str = "lockstep/src/memory/orders.rs";
const VERDICTS: &str = "lockstep/src/memory/verdicts.rs";
const INBOX: &str = "lockstep/src/memory/inbox.rs";
const TOKEN: &str = "lockstep/src/playout/token.rs";
const KEEP: &str = "lockstep/src/monitor/keep.rs";
const DRIVER: &str = "lockstep/src/monitor/driver.rs";
const RESUMED: &str = "-p segue-lockstep --lib resumed_by_its_successor";
const DRIVERS: &str = "-p segue-lockstep --lib driver::";
const CHECKPOINT: &str = "lockstep/src/memory/checkpoint.rs";
const PLAYOUT: &str = "lockstep/src/playout/mod.rs";
const SEAL: &str = "lockstep/src/playout/seal.rs";
const CONCEAL: &str = "lockstep/src/playout/conceal.rs";
const RESUME: &str = "lockstep/src/playout/resume.rs";
const WORKER: &str = "lockstep/src/worker/mod.rs";
const TURN: &str = "lockstep/src/worker/turn.rs";
const JOIN: &str = "lockstep/src/worker/join.rs";
const MONITOR: &str = "lockstep/src/monitor/mod.rs";
const BLAME: &str = "lockstep/src/monitor/blame.rs";
const GUEST: &str = "lockstep/src/monitor/guest.rs";
const DIVERGENCE: &str = "lockstep/src/monitor/divergence.rs";
const PRIMARY: &str = "lockstep/src/monitor/primary.rs";
const OBSERVE: &str = "lockstep/src/monitor/observe.rs";

/// All of them. Not among them, because a second guard holds what they would let through: the
/// second look at an entry's number and the order of a ring's stores (the hash, keyed by the
/// number), blame for a block that was published (the table withdraws the verdict), a joiner that
/// compares no blocks (it compares states).
pub const PLANTED: &[Planted] = &[
    lives("skip the hash", RING, "|| sealed != seal(number, tag, into)", ""),
    lives(
        "forget the generation",
        SLOT,
        "tag } if tag == generation",
        "tag } if tag <= generation",
    ),
    lives(
        "a new guest keeps the old words",
        SLOT,
        "for word in PUBLISHED..RESETS_AT + 4 * RESETS_KEPT {",
        "for word in HASHES..HASHES + 1 {",
    ),
    lives(
        "a checkpoint without its hash",
        CHECKPOINT,
        "(same && sealed == seal(mark, &state))",
        "(same && sealed != 1)",
    ),
    tests(
        "shown before it is decided",
        ORDERS,
        "let number = self.region.load(FIXED, Acquire) + 1;",
        "let number = self.region.load(FIXED, Acquire) + 1; self.show(sealing);",
        RESUMED,
    ),
    lives(
        "the end of room is not seen",
        ORDERS,
        "< self.keep_from() + LOG_DEPTH as u64",
        "> self.keep_from()",
    ),
    tests(
        "a verdict that comes too late stands",
        VERDICTS,
        "if too_late {",
        "if false {",
        "-p segue-lockstep --lib verdicts::",
    ),
    lives(
        "nothing is ever quarantined",
        VERDICTS,
        "number: it, .. } if it == number",
        "number: it, .. } if it == number + 1",
    ),
    tests(
        "a wild word withdraws a verdict",
        VERDICTS,
        "place.has_rendered(verdict.block(), generation(slot))",
        "place.reached() > verdict.block()",
        "-p segue-lockstep --lib verdicts::",
    ),
    tests(
        "a withdrawn verdict stands in its own way",
        MONITOR,
        "self.verdicts.retain(|verdict| seen.verdicts.contains(verdict));",
        "",
        "-p segue-sim --test poison stand_in_its_own_way",
    ),
    tests(
        "verdicts without end",
        VERDICTS,
        "if count >= VERDICTS_MAX {",
        "if false {",
        "-p segue-lockstep --lib verdicts::",
    ),
    tests(
        "play a joiner",
        PLAYOUT,
        "let sits = || place.generation() == generation && place.phase() == Phase::Lockstep;",
        "let sits = || place.generation() == generation;",
        "-p segue-sim --test failover a_joiner_that_boasts",
    ),
    tests(
        "no majority",
        PLAYOUT,
        "if self.shape.slots < 3 {",
        "if self.shape.slots < 30 {",
        "-p segue-sim --test divergence the_majority_is_played",
    ),
    lives(
        "one standby outvotes the primary",
        PLAYOUT,
        "None => other = Some((voter, hash)),",
        "None => return Some(voter),",
    ),
    lives(
        "concealment is not counted",
        PLAYOUT,
        "if made_up {",
        "if made_up && self.playhead > 64 {",
    ),
    lives("late is not counted", PLAYOUT, "self.parts.status.count(Counter::Late);", ""),
    lives("freewheel does not wait", PLAYOUT, "if !found && self.pace.freewheel {", "if false {"),
    lives(
        "seal a block too late",
        SEAL,
        "block: self.sealed,\n                    kind",
        "block: self.sealed.saturating_sub(1),\n                    kind",
    ),
    tests(
        "seal one block less",
        SEAL,
        "self.playhead + period + self.pace.lead",
        "self.playhead + period + self.pace.lead - 1",
        "-p segue-lockstep --lib seal::",
    ),
    lives(
        "damage is not counted",
        SEAL,
        "} else {\n                self.parts.status.count(Counter::Damaged);",
        "} else {",
    ),
    tests(
        "standbys are not urged",
        SEAL,
        "false => self.parts.orders.ring_all(),",
        "false => self.parts.orders.ring(),",
        "-p segue-lockstep --lib seal::",
    ),
    tests(
        "a wild head of the inbox is believed",
        INBOX,
        "if sound.contains(&head) { head } else { taken }",
        "if sound.is_empty() { taken } else { head }",
        "-p segue-lockstep --lib inbox::",
    ),
    lives(
        "more commands than a block may have",
        SEAL,
        "if count + usize::from(size) > COMMANDS_PER_BLOCK {",
        "if count > COMMANDS_PER_BLOCK {",
    ),
    tests(
        "the last block again in a gap",
        CONCEAL,
        "let real = if found { *sample * rising } else { 0.0 };",
        "let real = if found { *sample * rising } else { *sample };",
        "-p segue-lockstep --lib conceal::",
    ),
    tests(
        "resume without the offset",
        RESUME,
        "playout.offset = position.saturating_sub(begun)",
        "playout.offset = (position * 0).saturating_sub(begun)",
        RESUMED,
    ),
    tests(
        "resume without republishing",
        RESUME,
        "orders.publish(sealing);",
        "let _ = sealing;",
        RESUMED,
    ),
    tests(
        "resume takes every command again",
        RESUME,
        "playout.taken = sealing.taken;",
        "playout.taken = 0;",
        RESUMED,
    ),
    tests(
        "resume plays a block again",
        RESUME,
        ".max(parts.tap.head())",
        "",
        "-p segue-lockstep --lib not_played_again",
    ),
    tests(
        "nobody says again how far it is",
        WORKER,
        "if said != (self.next, self.published(), self.cursor) {",
        "if said == (u64::MAX, u64::MAX, 0) {",
        "-p segue-sim --test freewheel whoever_says_less",
    ),
    tests(
        "who is not known stays",
        WORKER,
        "return Step::Leave(Leave::Overwritten);",
        "return Step::Wait;",
        "-p segue-sim --test failover as_it_sits_down",
    ),
    lives(
        "a worker that skips a command",
        WORKER,
        "self.cursor += self.records.len() as u64;",
        "self.cursor += self.records.len() as u64 + u64::from(self.records.len() == 40);",
    ),
    tests(
        "overwrite the last checkpoint there is",
        WORKER,
        "if claim(kept) > playhead {",
        "if false {",
        "-p segue-sim --test failover whoever_is_alone",
    ),
    tests(
        "a damaged claim ends checkpointing",
        WORKER,
        ".filter(|block| *block < self.next).unwrap_or(0)",
        ".unwrap_or(0)",
        "-p segue-sim --test failover claims_the_future",
    ),
    tests(
        "two claims of what is trusted end checkpointing",
        WORKER,
        "[true, true] if claim(older) != claim(newer) => return,",
        "[true, true] => return,",
        "-p segue-sim --test failover comes_out_different",
    ),
    lives(
        "write over what is trusted",
        WORKER,
        "claim(area) > 0 && is_trusted(",
        "claim(area) == 1 && is_trusted(",
    ),
    lives(
        "bypass from another block",
        WORKER,
        "block: from }) if from == block => Some(part)",
        "block: from }) if from + 1 == block => Some(part)",
    ),
    tests(
        "standbys do not let the primary go first",
        TURN,
        "if primary == self.parts.slot {",
        "if primary < 99 {",
        "-p segue-sim --test poison nothing_is_heard",
    ),
    lives(
        "believe a joiner at once",
        JOIN,
        "if self.agree.1 >= AGREE_BLOCKS",
        "if self.agree.1 < 99",
    ),
    lives(
        "a joiner begins ahead of the playhead",
        JOIN,
        "mark.block <= playhead",
        "mark.block < u64::MAX",
    ),
    tests(
        "what one has said before what all began with",
        JOIN,
        "if young && self.begin",
        "if young && newest == 1 && self.begin",
        "-p segue-sim --test divergence before_the_first_agreement",
    ),
    lives(
        "a full log is not replayed",
        JOIN,
        "let held = kept ||",
        "let held = kept && head == 1 ||",
    ),
    lives(
        "nothing is trusted",
        JOIN,
        "hash::words(mark.block, state) == hash && self",
        "hash::words(mark.block, state) == hash + 1 && self",
    ),
    tests(
        "a joiner compares no states",
        JOIN,
        "if differs && own.disagrees().is_none() {",
        "if differs && own.disagrees().is_some() {",
        "-p segue-sim --test divergence before_it_is_heard",
    ),
    lives(
        "no failover",
        MONITOR,
        "let cause = evidence.text(&seen.slots[slot].process);",
        "if slot < 99 { return; } let cause = String::new();",
    ),
    lives("judge twice", BLAME, "|| self.verdicts.contains(&verdict)", ""),
    lives(
        "blame nobody",
        BLAME,
        "Evidence::Note(note) => note.is_own_fault(),",
        "Evidence::Note(_) => false,",
    ),
    lives("stopped workers stay", GUEST, "if seen.process == Process::Stopped {", "if false {"),
    lives(
        "a loop is never called",
        GUEST,
        "if busy && spent >= limits.loop_cpu_ns {",
        "if false {",
    ),
    tests(
        "who hangs within a block is waited for",
        GUEST,
        "let idle = !has_work && !busy;",
        "let idle = !has_work;",
        "-p segue-sim --test poison hangs_within",
    ),
    lives(
        "launder a divergence",
        DIVERGENCE,
        "if value == right {",
        "if value == right || slot < 99 {",
    ),
    tests(
        "an arbiter in lockstep is not believed",
        DIVERGENCE,
        "&& seen.slots[slot].begun_from.is_some()",
        "&& seen.slots[slot].begun_from == Some(u64::MAX)",
        "-p segue-sim --test divergence in_lockstep_early",
    ),
    lives(
        "trust what differs",
        DIVERGENCE,
        "same && self.has_checkpoint",
        "(same || true) && self.has_checkpoint",
    ),
    lives(
        "trust out of reach",
        DIVERGENCE,
        "if seen.trusted > Some(seen.playhead) {",
        "if false {",
    ),
    lives(
        "the arbiter is always wrong",
        DIVERGENCE,
        "[other] if begun.is_some() =>",
        "[other] if begun.is_some() && other > 99 =>",
    ),
    tests(
        "one vote is enough",
        DIVERGENCE,
        "votes(*it) > values.len() / 2",
        "votes(*it) < values.len() / 2",
        "-p segue-sim --test divergence outvoted",
    ),
    lives("no joiner takes over", PRIMARY, ".or_else(|| self.arrived(seen))", ""),
    lives(
        "who was only late is counted as failed",
        PRIMARY,
        "actions.push(Action::Count(Counter::RoleChanges));",
        "actions.push(Action::Count(Counter::Failovers));",
    ),
    tests(
        "the beginning is freed before anybody agreed",
        KEEP,
        "if seen.trusted.is_none() && ",
        "if seen.trusted.is_some() && ",
        "-p segue-lockstep --lib keep::",
    ),
    tests(
        "one checkpoint frees nothing",
        KEEP,
        "[] => return,",
        "[] | [_] => return,",
        "-p segue-lockstep --lib keep::",
    ),
    tests(
        "a damaged cursor frees the log",
        KEEP,
        "=> older.min(newer),",
        "=> older.max(newer),",
        "-p segue-lockstep --lib keep::",
    ),
    lives(
        "a silent device keeps the token",
        DRIVER,
        "if drives && silent_ns > limit_ns {",
        "if drives && silent_ns > 100 * limit_ns {",
    ),
    lives(
        "a lost device is counted twice",
        DRIVER,
        "Some(first) => vec![first, Move::CountLoss, close],",
        "Some(first) => vec![first, Move::CountLoss, Move::CountLoss, close],",
    ),
    tests(
        "who ended within a call is not succeeded",
        DRIVER,
        "drives.then_some(Move::Seize)",
        "drives.then_some(Move::Hand(TIMER))",
        "-p segue-sim --test devices whatever_it_had_stored",
    ),
    tests(
        "the token is taken within a call",
        DRIVER,
        "if seen.within == Within::Yes {\n            // It may",
        "if seen.within == Within::Gone {\n            // It may",
        DRIVERS,
    ),
    tests(
        "a device without a clock drives on",
        DRIVER,
        "fair + fair / 2 + FILLING",
        "fair + fair / 2 + FILLING * FILLING",
        DRIVERS,
    ),
    tests(
        "a lost device is waited for",
        DRIVER,
        "if seen.lost {",
        "if seen.lost && !drives {",
        DRIVERS,
    ),
    tests(
        "no patience with a long period",
        DRIVER,
        "(4 * period_ns).clamp(",
        "(period_ns / 4).clamp(",
        DRIVERS,
    ),
    lives(
        "two drive at once",
        TOKEN,
        "self.holder.load(Acquire) == driver.0",
        "self.holder.load(Acquire) >= driver.0",
    ),
    lives(
        "the token is not handed over",
        TOKEN,
        "self.holder.store(driver.0, Release);",
        "self.holder.store(self.holder.load(Acquire).min(driver.0), Release);",
    ),
    lives(
        "believe a wild word",
        OBSERVE,
        "Some(_) => published,\n        None => 0,",
        "Some(_) => published,\n        None => published,",
    ),
];
