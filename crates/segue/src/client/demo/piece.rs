//! The demo's piece: timed messages, sent a little ahead of their time, over and over.

use std::time::{Duration, SystemTime};

use rosc::OscMessage;

use super::super::conversation::Conversation;
use crate::exit::{Exit, Failure};
use crate::osc::text;
use crate::osc::time::TimeTag;

/// The patch.
pub(super) const PATCH: &str = include_str!("../../../../../patches/demo.toml");
/// The score.
const SCORE: &str = include_str!("../../../../../patches/demo.osc");
/// How long the score is; then it begins again.
const LENGTH: Duration = Duration::from_secs(20);
/// How far ahead a message is sent.
const AHEAD: Duration = Duration::from_millis(500);

/// The score on its way to an engine.
pub(super) struct Piece {
    messages: Vec<(Duration, OscMessage)>,
    next: usize,
    round: u32,
    end: Duration,
    /// Where there is a clock: when the music of time 0 is heard. Else messages go out when the
    /// music has come to them.
    beginning: Option<(SystemTime, Duration)>,
    timed: bool,
}

impl Piece {
    /// Reads the score; `timed` where time tags mean something.
    pub(super) fn begin(timed: bool, end: Duration) -> Result<Self, Failure> {
        let mut messages = Vec::new();
        let mut at = Duration::ZERO;
        for line in SCORE.lines() {
            let line = text::parse_line(line)
                .map_err(|error| Failure::new(Exit::Bug, format!("the score is wrong: {error}")))?;
            if let Some(line) = line {
                at = line.at.unwrap_or(at);
                messages.push((at, line.message));
            }
        }
        Ok(Self { messages, next: 0, round: 0, end, beginning: None, timed })
    }

    /// Sends what is due when `played` of the music has been played.
    pub(super) fn play(
        &mut self,
        played: Duration,
        conversation: &Conversation,
    ) -> Result<(), Failure> {
        let (wall, since) = *self.beginning.get_or_insert((SystemTime::now(), played));
        // Replies are read so that none piles up; the report shows what matters.
        while conversation.hear_now()?.is_some() {}
        while let Some((at, message)) = self.messages.get(self.next) {
            let at = *at + LENGTH * self.round + since + AHEAD;
            if at > played + AHEAD || at >= self.end {
                return Ok(());
            }
            if self.timed {
                let tag = TimeTag::of(wall + (at - since));
                conversation.send_at(tag, std::slice::from_ref(message))?;
            } else {
                conversation.send(message)?;
            }
            self.next += 1;
            if self.next == self.messages.len() {
                (self.next, self.round) = (0, self.round + 1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_rack::{Patch, Plan, Setup};

    use super::{LENGTH, PATCH, Piece};
    use crate::osc::address::{Ask, resolve};

    #[test]
    fn every_message_of_the_score_is_for_the_patch() {
        let plan = Plan::compile(&Patch::parse(PATCH).unwrap(), &Setup::default()).unwrap();
        let piece = Piece::begin(true, Duration::MAX).unwrap();
        assert!(!piece.messages.is_empty());
        for (at, message) in &piece.messages {
            let ask = resolve(&plan, message);
            assert!(matches!(ask, Ok(Ask::Act(_, None))), "{at:?} {message:?}: {ask:?}");
            assert!(*at < LENGTH, "{at:?} is behind the end of the piece");
        }
    }
}
