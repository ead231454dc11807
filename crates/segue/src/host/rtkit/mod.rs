//! The clerk: a child of the supervisor that asks rtkit for real-time priority on behalf of
//! others.
//!
//! A process of its own, because what comes over a bus is parsed there, and because a bus may
//! hang: the clerk may be killed at any moment, and only the asking ends with it.

pub(crate) mod bus;

use segue_sys::socket::Seqpacket;
use serde::{Deserialize, Serialize};

use super::wire;
use crate::exit::{Exit, Failure};
use bus::Bus;

/// What a clerk is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The supervisor.
    pub(super) parent: u32,
    /// Its build.
    pub(super) build: u64,
}

/// What a clerk is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// The highest priority there is.
    Most,
    /// This priority for a thread.
    Grant {
        /// Of this process.
        pid: u32,
        /// The thread.
        thread: u32,
        /// 1 to the highest.
        level: u32,
    },
}

/// What it answers: the priority asked for, or why not.
pub(super) type Answer = Result<u32, String>;

/// Runs a clerk; comes back when the supervisor has no more questions.
pub(crate) fn clerk_main() -> Exit {
    match serve() {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("{}", Failure::new(Exit::Bug, format!("the clerk: {error}")));
            Exit::Bug
        }
    }
}

fn serve() -> std::io::Result<()> {
    let socket = Seqpacket::from_stdin()?;
    let mut bytes = vec![0; 256];
    let got = socket.receive(&mut bytes)?;
    let hello: Hello = wire::decode(&bytes[..got.length])?;
    super::settle(hello.parent, hello.build, "segue rtkit")?;
    let mut line = None;
    loop {
        let got = socket.receive(&mut bytes)?;
        if got.length == 0 {
            return Ok(());
        }
        let ask = wire::decode(&bytes[..got.length])?;
        let answer = answer(&mut line, ask);
        if answer.is_err() {
            // The bus may come back as another.
            line = None;
        }
        socket.send(&wire::encode(&answer)?, &[])?;
    }
}

fn answer(line: &mut Option<Bus>, ask: Ask) -> Answer {
    let bus = match line {
        Some(bus) => bus,
        None => line.insert(Bus::reach()?),
    };
    match ask {
        Ask::Most => Ok(bus.most()),
        Ask::Grant { pid, thread, level } => bus.grant(pid, thread, level).map(|()| level),
    }
}
