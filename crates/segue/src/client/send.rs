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
        owed: 0,
    };
    if args.address == "-" {
        if !args.args.is_empty() {
            let text = "- reads messages from standard input; arguments stand there, behind them";
            return Err(Failure::new(Exit::Usage, text));
        }
        return sender.lines();
    }
    if !args.address.starts_with('/') {
        let text = format!("'{}' is no address; one begins with '/'", args.address);
        return Err(Failure::new(Exit::Usage, text));
    }
    let arguments = args.args.iter().map(|it| text::argument(it)).collect();
    let message = OscMessage { addr: args.address.clone(), args: arguments };
    sender.conversation.send(&message)?;
    sender.owed += usize::from(is_answered(&args.address));
    let mut answers = sender.answers_to_sync()?;
    answers.append(&mut sender.late_answers()?);
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
    const PATCHES: [&str; 7] = ["commit", "apply", "get", "load", "save", "undo", "redo"];
    address.starts_with("/record/")
        || address.starts_with("/engine/")
        || address.strip_prefix("/patch/").is_some_and(|rest| PATCHES.contains(&rest))
}

/// What a line that cannot be read means.
fn unreadable(number: u32, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::InvalidData => {
            Failure::new(Exit::BadInput, format!("line {number}: it is not UTF-8 text"))
        }
        _ => Failure::new(Exit::Io, format!("line {number}: {error}")),
    }
}

struct Sending {
    conversation: Conversation,
    timeout: Duration,
    json: bool,
    answers: usize,
    refused: bool,
    /// Answers that are promised and have not come yet.
    owed: usize,
}

impl Sending {
    fn lines(&mut self) -> Result<ExitCode, Failure> {
        let start = SystemTime::now() + BEGINNING;
        let mut under_way = 0;
        for (line, number) in std::io::stdin().lock().lines().zip(1_u32..) {
            let line = line.map_err(|error| unreadable(number, &error))?;
            let wrong = |why: text::LineError| {
                Failure::new(Exit::BadInput, format!("line {number}: {why}"))
            };
            let Some(line) = text::parse_line(&line).map_err(wrong)? else { continue };
            let answered = is_answered(&line.message.addr);
            match line.at {
                None => self.conversation.send(&line.message)?,
                Some(at) => {
                    self.wait_until(start + at.saturating_sub(AHEAD))?;
                    self.conversation.send_at(TimeTag::of(start + at), &[line.message])?;
                }
            }
            self.owed += usize::from(answered);
            under_way += 1;
            if under_way >= AT_ONCE {
                self.sync()?;
                under_way = 0;
            }
        }
        self.sync()?;
        self.late_answers()?.iter().for_each(|answer| self.hear(answer));
        Ok(self.end())
    }

    /// Waits for the time of a message and prints what is answered meanwhile.
    fn wait_until(&mut self, moment: SystemTime) -> Result<(), Failure> {
        while let Ok(left) = moment.duration_since(SystemTime::now()) {
            if let Some(message) = self.conversation.hear(left)? {
                self.settle(&message);
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
        let synced = self.conversation.sync(self.timeout, |answer| heard.push(answer));
        heard.iter().for_each(|answer| self.settle(answer));
        match synced {
            Ok(()) => Ok(heard),
            Err(failure) => {
                heard.iter().for_each(|answer| self.hear(answer));
                Err(failure)
            }
        }
    }

    /// Some answers take longer than the log: those about files.
    fn late_answers(&mut self) -> Result<Vec<OscMessage>, Failure> {
        let mut heard = Vec::new();
        while self.owed > 0 {
            let Some(answer) = self.conversation.hear(self.timeout)? else {
                heard.iter().for_each(|answer| self.hear(answer));
                return Err(Failure::new(Exit::TryAgain, "no answer in time"));
            };
            self.settle(&answer);
            heard.push(answer);
        }
        Ok(heard)
    }

    /// Takes `message` from what is owed, if it is that.
    fn settle(&mut self, message: &OscMessage) {
        let about = match message.args.first() {
            Some(OscType::String(address)) => address.as_str(),
            _ => "",
        };
        if matches!(message.addr.as_str(), "/done" | "/error") && is_answered(about) {
            self.owed = self.owed.saturating_sub(1);
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
