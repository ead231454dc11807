//! JACK: an output port a channel, filled on the library's real-time thread.
//!
//! *Invariant*: the library's threads only pass on what they hear; whatever asks the server for
//! something does so on the opener's thread or on the one that keeps the wires.

mod fill;
mod wires;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use segue_sys::jack::{self, Client, Error, Event, Severity};

use super::backend::{Backend, DeviceError, Kind, Listed, Opened, Stream, Wish};
use super::line::{Caller, Reporter};
use crate::cli::settings::RATES;
use fill::Filler;
use wires::{Keeper, Note, Target, owner};

/// What we ask the server to call us; a second engine becomes `segue-01`.
const NAME: &str = "segue";

/// The name under which we only look.
const LOOKER: &str = "segue-look";

/// Why `auto` goes on to the next kind.
const NO_OUTPUTS: &str = "the JACK server has no outputs of this machine; `--device jack` plays \
                          into it all the same";

/// A JACK server, or PipeWire under its interface.
pub(super) struct Jack;

impl Backend for Jack {
    fn kind(&self) -> Kind {
        Kind::Jack
    }

    fn list(&self) -> Result<Vec<Listed>, DeviceError> {
        jack::hear(log);
        let client = Client::open(LOOKER).map_err(refusal)?;
        let default = client.inputs(true).first().map(|port| owner(port).to_owned());
        let mut listed: Vec<Listed> = Vec::new();
        for port in client.inputs(false) {
            let name = owner(&port);
            match listed.iter_mut().find(|listed| listed.name == name) {
                Some(known) => known.channels = known.channels.map(|channels| channels + 1),
                None => listed.push(Listed {
                    kind: Kind::Jack,
                    name: name.to_owned(),
                    description: format!("the inputs of {name}"),
                    rate: Some(client.rate()),
                    channels: Some(1),
                    is_default: default.as_deref() == Some(name) && RATES.contains(&client.rate()),
                    remark: beyond(client.rate()),
                }),
            }
        }
        Ok(listed)
    }

    fn open(&self, wish: &Wish, caller: Caller) -> Result<Opened, DeviceError> {
        jack::hear(log);
        let mut client = Client::open(NAME).map_err(refusal)?;
        let (rate, period) = (client.rate(), client.period());
        if let Some(asked) = wish.rate.filter(|asked| *asked != rate) {
            return Err(DeviceError::Rate { device: rate, asked });
        }
        let target = Target::of(wish.name.as_deref());
        target.must_be_there(&client)?;
        if wish.is_auto && target == Target::Physical && client.inputs(true).is_empty() {
            return Err(DeviceError::NoServer(NO_OUTPUTS.into()));
        }
        for number in 1..=wish.channels {
            client.add_output(&format!("out_{number}")).map_err(refusal)?;
        }
        let reporter = caller.reporter();
        reporter.period(period);
        let (notes, heard) = mpsc::channel();
        let fresh = Arc::new(AtomicBool::new(true));
        let unclocked = Arc::new(AtomicBool::new(false));
        let ear = Ear {
            reporter: reporter.clone(),
            rate,
            fresh: fresh.clone(),
            unclocked: unclocked.clone(),
            notes: notes.clone(),
        };
        let mut filler = Filler::new(caller, fresh);
        client
            .play(move |outputs| filler.fill(outputs), move |event| ear.hear(event))
            .map_err(refusal)?;
        let client = Arc::new(client);
        let missing = target.connect(&client);
        reporter.latency(client.latency());
        let keeper = Keeper { client: client.clone(), target: target.clone(), reporter, heard };
        let keeper = thread::Builder::new()
            .name("jack-wires".into())
            .spawn(move || keeper.keep())
            .map_err(|error| DeviceError::Refused(error.to_string()))?;
        Ok(Opened {
            name: target.name().to_owned(),
            description: format!("{target}, as the JACK client {}", client.name()),
            rate,
            period,
            note: remark(missing, wish.period.filter(|wished| *wished != period), period),
            stream: Box::new(Playing { client, unclocked, notes, keeper: Some(keeper) }),
        })
    }
}

/// What is remarked of a server at a rate that no engine has.
fn beyond(device: u32) -> Option<String> {
    (!RATES.contains(&device)).then(|| DeviceError::Beyond { device }.to_string())
}

/// What is said at opening.
fn remark(missing: Option<String>, wished: Option<u32>, period: u32) -> Option<String> {
    let period = wished.map(|wished| {
        format!("the JACK server asks for {period} frames at once, not for {wished}")
    });
    let said: Vec<String> = missing.into_iter().chain(period).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// What hears the library's other threads.
struct Ear {
    reporter: Reporter,
    rate: u32,
    /// The thread that plays has to ask for its priority.
    fresh: Arc<AtomicBool>,
    /// The server has no clock for now.
    unclocked: Arc<AtomicBool>,
    notes: Sender<Note>,
}

impl Ear {
    fn hear(&self, event: Event) {
        let note = match event {
            Event::Xrun => return self.reporter.xrun(),
            Event::Period(frames) => return self.reporter.period(frames),
            Event::Rate(rate) if rate == self.rate => return,
            Event::Rate(rate) => {
                let why = format!("the JACK server went from {} to {rate} Hz", self.rate);
                return self.reporter.lost(&why);
            }
            Event::Freewheel(on) => {
                self.reporter.freewheel(on);
                self.unclocked.store(on, Release);
                // The library takes its thread's priority away for this time, and gives it
                // another one afterwards.
                return self.fresh.store(!on, Release);
            }
            Event::Lost(reason) => return self.reporter.lost(&format!("JACK: {reason}")),
            Event::Port(id) => Note::Port(id),
            Event::Graph => Note::Graph,
        };
        // Without a keeper the stream is being closed.
        let _ = self.notes.send(note);
    }
}

/// A stream.
struct Playing {
    client: Arc<Client>,
    unclocked: Arc<AtomicBool>,
    notes: Sender<Note>,
    keeper: Option<JoinHandle<()>>,
}

impl Stream for Playing {
    fn about(&self) -> Vec<String> {
        if self.unclocked.load(Acquire) {
            // It takes the wires to the hardware away for this time.
            return vec!["the JACK server freewheels: it plays to files, not to the ear".into()];
        }
        let (outputs, connections) = (self.client.outputs(), self.client.connections());
        if connections.iter().all(Vec::is_empty) {
            return vec!["its ports are connected to nothing".into()];
        }
        let alone = outputs.iter().zip(&connections).filter(|(_, to)| to.is_empty());
        alone.map(|(port, _)| format!("{port} is connected to nothing")).collect()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.notes.send(Note::End);
        // It holds the client too; who drops it last closes it, and that shall be us.
        let _ = self.keeper.take().map(JoinHandle::join);
    }
}

fn refusal(error: Error) -> DeviceError {
    match (error, std::env::var("JACK_DEFAULT_SERVER")) {
        (Error::NoServer, Ok(name)) => {
            DeviceError::NoServer(format!("no JACK server named '{name}' is running"))
        }
        (error @ (Error::NoServer | Error::NoLibrary(_) | Error::ServerName(_)), _) => {
            DeviceError::NoServer(error.to_string())
        }
        (error, _) => DeviceError::Refused(error.to_string()),
    }
}

/// Most of what the library calls an error is one that we report ourselves, or expect.
fn log(severity: Severity, text: &str) {
    tracing::debug!(target: "jack", ?severity, "{text}");
}
