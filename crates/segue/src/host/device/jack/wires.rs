//! What our ports are connected to, at first and when ports that left come back.
//!
//! *Invariant*: a connection is made when a stream is opened and when a port we play into
//! appears; what somebody else connects or takes apart meanwhile is left as it is.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use segue_sys::jack::Client;

use super::super::backend::DeviceError;
use super::super::line::Reporter;

/// Ports come one after the other, and before their client plays: this long after the last news
/// they are looked at, and looked at again while one cannot be connected yet.
const CALM: Duration = Duration::from_millis(100);

/// Where ports do not cease to come they are looked at all the same.
const RESTLESS: Duration = Duration::from_secs(1);

/// After so many looks a port that cannot be connected is left alone.
const LOOKS: u32 = 50;

/// Whom we play to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The ports that lead out of the machine.
    Physical,
    /// The inputs of a client.
    Client(String),
    /// Nobody; others connect us.
    Nobody,
}

/// What the library's threads have heard.
pub(super) enum Note {
    /// The port of this number came.
    Port(u32),
    /// Connections changed.
    Graph,
    /// The stream is being closed.
    End,
}

impl Target {
    /// By the name after `jack:`. `system` is what JACK calls the ports that lead out; under
    /// PipeWire those belong to other names.
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            None | Some("system") => Self::Physical,
            Some("none") => Self::Nobody,
            Some(name) => Self::Client(name.to_owned()),
        }
    }

    /// What to open it by again.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Physical => "system",
            Self::Client(name) => name,
            Self::Nobody => "none",
        }
    }

    /// A client that was asked for by name is there.
    pub(super) fn must_be_there(&self, client: &Client) -> Result<(), DeviceError> {
        let Self::Client(name) = self else { return Ok(()) };
        let mut known: Vec<String> = Vec::new();
        for port in client.inputs(false) {
            let owner = owner(&port);
            if owner == name {
                return Ok(());
            }
            if !known.iter().any(|known| known == owner) {
                known.push(owner.to_owned());
            }
        }
        known.push("none".into());
        Err(DeviceError::NoDevice { name: name.clone(), known })
    }

    /// Connects all that can be; gives what is to be said about the rest.
    pub(super) fn connect(&self, client: &Client) -> Option<String> {
        if *self == Self::Nobody {
            return None;
        }
        let (outputs, inputs) = (client.outputs(), self.inputs(client));
        if inputs.is_empty() {
            return Some(format!("connected to nothing: there are no inputs of {self}"));
        }
        let failed: Vec<String> = pairs(&outputs, &inputs)
            .filter_map(|(from, to)| client.connect(from, to).err())
            .map(|error| error.to_string())
            .collect();
        if failed.is_empty() {
            (outputs.len() > inputs.len()).then(|| {
                let (ours, theirs) = (outputs.len(), inputs.len());
                format!("{ours} channels, but {theirs} inputs of {self}: the rest is not heard")
            })
        } else {
            Some(failed.join("; "))
        }
    }

    fn inputs(&self, client: &Client) -> Vec<String> {
        match self {
            Self::Physical => client.inputs(true),
            Self::Client(name) => {
                let mut inputs = client.inputs(false);
                inputs.retain(|port| owner(port) == name);
                inputs
            }
            Self::Nobody => Vec::new(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Physical => f.write_str("the system's outputs"),
            Self::Client(name) => f.write_str(name),
            Self::Nobody => f.write_str("nothing"),
        }
    }
}

/// The client a port belongs to: client names have no colon.
pub(super) fn owner(port: &str) -> &str {
    port.split_once(':').map_or(port, |(owner, _)| owner)
}

/// Which of ours to which of theirs: in order, and one channel alone to both sides.
fn pairs<'a>(
    outputs: &'a [String],
    inputs: &'a [String],
) -> impl Iterator<Item = (&'a String, &'a String)> {
    let copies = if outputs.len() == 1 { 2 } else { 1 };
    outputs.iter().flat_map(move |output| std::iter::repeat_n(output, copies)).zip(inputs)
}

/// Keeps a stream's wires and what is known of its latency, on a thread of its own.
pub(super) struct Keeper {
    pub(super) client: Arc<Client>,
    pub(super) target: Target,
    pub(super) reporter: Reporter,
    pub(super) heard: Receiver<Note>,
}

impl Keeper {
    /// Until the stream is closed.
    pub(super) fn keep(self) {
        let (mut came, mut looks) = (Vec::new(), 0);
        // Since when there is something to look at, and when it is looked at.
        let (mut since, mut due) = (None, Some(Instant::now() + CALM));
        loop {
            let note = match due {
                Some(due) => self.heard.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => self.heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            let first = *since.get_or_insert(now);
            match note {
                Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => return,
                // It never ends where others look around all the time: it puts nothing off.
                Ok(Note::Graph) => due = due.or(Some(now + CALM)),
                Ok(Note::Port(id)) => {
                    came.extend(self.client.port_name(id));
                    looks = 0;
                    due = Some((now + CALM).min(first + RESTLESS));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.rewire(&mut came);
                    looks += 1;
                    if looks == LOOKS {
                        came.clear();
                    }
                    self.reporter.latency(self.client.latency());
                    since = None;
                    due = (!came.is_empty()).then_some(now + CALM);
                }
            }
        }
    }

    /// Connects those of the ports that came which we play into; keeps those that refuse.
    fn rewire(&self, came: &mut Vec<String>) {
        if came.is_empty() {
            return;
        }
        let (outputs, inputs) = (self.client.outputs(), self.target.inputs(&self.client));
        let pairs: Vec<_> = pairs(&outputs, &inputs).collect();
        came.retain(|port| {
            let mut ours = pairs.iter().filter(|(_, to)| *to == port);
            ours.any(|(from, to)| self.client.connect(from, to).is_err())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, owner, pairs};

    fn connected(outputs: usize, inputs: usize) -> Vec<(String, String)> {
        let names = |who: &str, count: usize| -> Vec<String> {
            (1..=count).map(|number| format!("{who}{number}")).collect()
        };
        let (outputs, inputs) = (names("o", outputs), names("i", inputs));
        pairs(&outputs, &inputs).map(|(from, to)| (from.clone(), to.clone())).collect()
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.into(), to.into())
    }

    #[test]
    fn channels_go_to_inputs_in_order_and_one_alone_to_both_sides() {
        assert_eq!(connected(2, 2), [pair("o1", "i1"), pair("o2", "i2")]);
        assert_eq!(connected(2, 8).len(), 2);
        assert_eq!(connected(4, 2), [pair("o1", "i1"), pair("o2", "i2")]);
        assert_eq!(connected(1, 8), [pair("o1", "i1"), pair("o1", "i2")]);
        assert_eq!(connected(1, 1), [pair("o1", "i1")]);
        assert_eq!(connected(2, 0), []);
    }

    #[test]
    fn a_target_is_opened_again_by_its_own_name() {
        for name in [None, Some("system"), Some("none"), Some("ardour")] {
            let target = Target::of(name);
            assert_eq!(Target::of(Some(target.name())), target);
        }
        assert_eq!(Target::of(None), Target::Physical);
        assert_eq!(Target::of(Some("none")), Target::Nobody);
    }

    #[test]
    fn a_port_may_have_a_colon_in_its_name_and_its_client_none() {
        assert_eq!(owner("system:playback_1"), "system");
        assert_eq!(owner("bridge:in:left"), "bridge");
    }
}
