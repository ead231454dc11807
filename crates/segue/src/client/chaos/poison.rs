//! Commands that would kill every worker that applies them, for engines whose patch has a module
//! that does harm on request (a build with the feature `fault`).

use std::io;
use std::time::Duration;

use fastrand::Rng;
use rosc::{OscMessage, OscType};
use segue_lockstep::memory::status::Counter;

use super::super::conversation::Conversation;
use super::super::report;
use super::super::status::Seen;
use crate::cli::EngineArgs;
use crate::exit::{Exit, Failure};
use crate::host::door::Visit;

/// What is done to whoever applies it.
const HARM: [&str; 4] = ["panic", "abort", "exit", "overflow"];

/// How long control may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A way to poison.
pub(super) struct Poison {
    conversation: Conversation,
    module: String,
}

impl Poison {
    /// By the first such module of the patch.
    pub(super) fn find(args: &EngineArgs, visit: &Visit) -> Result<Self, Failure> {
        let panel = report::panel(&Seen::look(visit).snapshot, &visit.shape);
        let ids = panel.iter().flat_map(|panel| panel.plan().modules());
        let module = ids.filter(|it| it.spec().name == "fault").map(|it| it.id().to_owned()).next();
        let module = module.ok_or_else(|| {
            let text = "'poison' needs a module of type 'fault' in the patch that plays; builds \
                        with the feature `fault` have it";
            Failure::new(Exit::BadInput, text)
        })?;
        Ok(Self { conversation: Conversation::open(super::super::address(args))?, module })
    }

    /// Sends one such command. What it is to do has to be in force before, or it would be done
    /// while rendering.
    pub(super) fn send(&mut self, seed: u64) -> io::Result<()> {
        let mut rng = Rng::with_seed(seed);
        let word = |text: &str| OscType::String(text.to_owned());
        self.set("mode", word(HARM[rng.usize(..HARM.len())]))?;
        self.set("phase", word("apply"))?;
        // Refusals of those before are told to whoever sent them.
        self.conversation.sync(ANSWER, drop).map_err(|failure| io::Error::other(failure.text))?;
        self.set("trigger", OscType::Float(1.0))
    }

    fn set(&self, param: &str, value: OscType) -> io::Result<()> {
        let addr = format!("/mod/{}/{param}", self.module);
        let message = OscMessage { addr, args: vec![value] };
        self.conversation.send(&message).map_err(|failure| io::Error::other(failure.text))
    }

    /// How many were refused so far.
    pub(super) fn judged(visit: &Visit) -> u64 {
        visit.status.counter(Counter::Quarantined)
    }
}
