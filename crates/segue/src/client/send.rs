//! `segue send`: one message, or a file of them.

use std::io::BufRead;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use rosc::OscMessage;

use super::address;
use super::conversation::{Conversation, as_json, shown};
use crate::cli::SendArgs;
use crate::exit::{Exit, Failure};
use crate::osc::text;
use crate::osc::time::TimeTag;

/// Messages between two questions whether they have arrived: what UDP holds without loss.
const AT_ONCE: usize = 64;
/// How far ahead of its time a message is sent: time tags reach 60 s.
const AHEAD: Duration = Duration::from_secs(20);

/// Sends and prints what is answered.
pub(crate) fn send(args: &SendArgs) -> Result<ExitCode, Failure> {
    let mut sender = Sending {
        conversation: Conversation::open(address(&args.engine))?,
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
    sender.conversation.send(&OscMessage { addr: args.address.clone(), args: arguments })?;
    sender.sync()?;
    if sender.answers == 0 {
        // Some answers take longer than the log: files, and questions to the supervisor.
        if is_answered(&args.address) {
            let wait = sender.timeout;
            match sender.conversation.hear(wait)? {
                Some(message) => sender.hear(&message),
                None => return Err(Failure::new(Exit::TryAgain, "no answer in time")),
            }
        } else if !args.json {
            println!("ok");
        }
    }
    Ok(sender.exit())
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
        let start = SystemTime::now();
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
        if self.answers == 0 && !self.json {
            println!("ok");
        }
        Ok(self.exit())
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
        let mut heard = Vec::new();
        let synced = self.conversation.sync(self.timeout, |message| heard.push(message));
        heard.iter().for_each(|message| self.hear(message));
        synced
    }

    fn hear(&mut self, message: &OscMessage) {
        self.answers += 1;
        self.refused |= message.addr == "/error";
        if self.json {
            println!("{}", as_json(message));
        } else {
            println!("{}", shown(message));
        }
    }

    fn exit(&self) -> ExitCode {
        if self.refused { Exit::No } else { Exit::Done }.into()
    }
}
