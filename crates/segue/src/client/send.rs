//! `segue send`: one message, or a file of them.

use std::io::BufRead;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use rosc::{OscMessage, OscType};

use super::address;
use super::conversation::{Conversation, as_json, ask_by_stream, shown};
use crate::cli::SendArgs;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};
use crate::osc::text;
use crate::osc::time::TimeTag;

/// Messages between two questions whether they have arrived: what UDP holds without loss.
const AT_ONCE: usize = 64;
/// From reading the first line to time 0, so that this is not late.
const BEGINNING: Duration = Duration::from_millis(50);
/// How far ahead of its time a message is sent: time tags reach 60 s.
const AHEAD: Duration = Duration::from_secs(20);

/// Sends and prints what is answered.
pub(crate) fn send(args: &SendArgs) -> Result<ExitCode, Failure> {
    let engine = address(&args.engine);
    let mut sender = Sending {
        conversation: Conversation::open(engine)?,
        timeout: args.timeout.unwrap_or(Duration::from_secs(2)),
        json: args.json,
        answers: 0,
        refused: false,
    };
    if args.address == "-" {
        return sender.lines();
    }
    if !args.address.starts_with('/') {
        let text = format!("'{}' is no address; one begins with '/'", args.address);
        return Err(Failure::new(Exit::Usage, text));
    }
    let arguments = args.args.iter().map(|it| text::argument(it)).collect();
    let message = OscMessage { addr: args.address.clone(), args: arguments };
    sender.conversation.send(&message)?;
    let mut answers = sender.answers_to_sync()?;
    if answers.is_empty() && is_answered(&args.address) {
        // Some answers take longer than the log: those about files.
        match sender.conversation.hear(sender.timeout)? {
            Some(answer) => answers.push(answer),
            None => return Err(Failure::new(Exit::TryAgain, "no answer in time")),
        }
    }
    for answer in answers {
        match is_too_long(&answer) {
            true => {
                let longer = ask_by_stream(engine, &message, sender.timeout)?;
                sender.hear(&longer.unwrap_or(answer));
            }
            false => sender.hear(&answer),
        }
    }
    Ok(sender.end())
}

/// Whether this says that the answer would not fit into a datagram.
fn is_too_long(answer: &OscMessage) -> bool {
    answer.addr == "/error" && answer.args.get(1) == Some(&OscType::String("too_long".to_owned()))
}

/// Whether an answer is promised.
fn is_answered(address: &str) -> bool {
    address.starts_with("/record/") || address.starts_with("/engine/")
}

struct Sending {
    conversation: Conversation,
    timeout: Duration,
    json: bool,
    answers: usize,
    refused: bool,
}

impl Sending {
    fn lines(&mut self) -> Result<ExitCode, Failure> {
        let start = SystemTime::now() + BEGINNING;
        let mut under_way = 0;
        for (line, number) in std::io::stdin().lock().lines().zip(1_u32..) {
            let line = line.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
            let wrong = |why: text::LineError| {
                Failure::new(Exit::BadInput, format!("line {number}: {why}"))
            };
            let Some(line) = text::parse_line(&line).map_err(wrong)? else { continue };
            match line.at {
                None => self.conversation.send(&line.message)?,
                Some(at) => {
                    self.wait_until(start + at.saturating_sub(AHEAD))?;
                    self.conversation.send_at(TimeTag::of(start + at), &[line.message])?;
                }
            }
            under_way += 1;
            if under_way >= AT_ONCE {
                self.sync()?;
                under_way = 0;
            }
        }
        self.sync()?;
        Ok(self.end())
    }

    /// Waits for the time of a message and prints what is answered meanwhile.
    fn wait_until(&mut self, moment: SystemTime) -> Result<(), Failure> {
        while let Ok(left) = moment.duration_since(SystemTime::now()) {
            if let Some(message) = self.conversation.hear(left)? {
                self.hear(&message);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let answers = self.answers_to_sync()?;
        answers.iter().for_each(|answer| self.hear(answer));
        Ok(())
    }

    /// What is answered until everything sent is in the log.
    fn answers_to_sync(&mut self) -> Result<Vec<OscMessage>, Failure> {
        let mut heard = Vec::new();
        match self.conversation.sync(self.timeout, |answer| heard.push(answer)) {
            Ok(()) => Ok(heard),
            Err(failure) => {
                heard.iter().for_each(|answer| self.hear(answer));
                Err(failure)
            }
        }
    }

    fn hear(&mut self, message: &OscMessage) {
        self.answers += 1;
        self.refused |= message.addr == "/error";
        if self.json {
            tell!("{}", as_json(message));
        } else {
            tell!("{}", shown(message));
        }
    }

    fn end(&self) -> ExitCode {
        if self.answers == 0 && !self.json {
            tell!("ok");
        }
        if self.refused { Exit::No } else { Exit::Done }.into()
    }
}
