//! OSC in to sound out: a gate is sent over UDP to a silent engine until its tone is played.

use std::time::Duration;

use rosc::{OscMessage, OscPacket, OscType};
use std::net::UdpSocket;

use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::tap::Found;
use segue_sys::clock;

use crate::engine::{BLOCK_NS, Engine};
use crate::table::{self, ms};

const ROUNDS: u64 = 200;
/// Nothing but a tone and its gate, which opens and closes at once.
const PATCH: &str = r#"segue = 1
osc = { type = "osc", freq = 440 }
env = { type = "adsr", in = "osc", attack = 0, decay = 0, sustain = 1, release = 0 }
out = { in = "env" }
"#;

/// A UDP client.
pub(crate) struct Client(UdpSocket);

impl Client {
    /// A client of this engine.
    pub(crate) fn of(engine: &Engine) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", engine.port)).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        Self(socket)
    }

    /// Sends a message.
    pub(crate) fn send(&self, address: &str, arg: Option<OscType>) {
        let message = OscMessage { addr: address.to_owned(), args: arg.into_iter().collect() };
        let bytes = rosc::encoder::encode(&OscPacket::Message(message)).expect("encodes");
        self.0.send(&bytes).expect("sent");
    }

    /// The address of the next answer; none when none comes.
    pub(crate) fn receive(&self) -> Option<String> {
        let mut bytes = [0; 65_536];
        let length = self.0.recv(&mut bytes).ok()?;
        let end = bytes[..length].iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Whether an answer with this address comes; others are passed over and counted.
    pub(crate) fn hear(&self, address: &str, others: &mut u64) -> bool {
        while let Some(answer) = self.receive() {
            if answer == address {
                return true;
            }
            *others += 1;
        }
        false
    }
}

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let patch = folder.path().join("gate.toml");
    std::fs::write(&patch, PATCH).expect("a patch");
    for lead in ["4", "8"] {
        let engine = Engine::start(&patch, &["--lead", lead]);
        let client = Client::of(&engine);
        let (mut blocks, mut times) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Anywhere within a block.
            clock::sleep_until_ns(clock::monotonic_ns() + round * BLOCK_NS / ROUNDS);
            let (from, sent_ns) = (engine.orders.playhead(), clock::monotonic_ns());
            client.send("/gate/env", Some(OscType::Int(1)));
            let heard = first_block(&engine, from, |samples| samples.iter().any(|it| *it != 0.0));
            times.push(ms(clock::monotonic_ns() - sent_ns));
            blocks.push((heard - from) as f64);
            client.send("/gate/env", Some(OscType::Int(0)));
            first_block(&engine, heard + 1, |samples| samples.iter().all(|it| *it == 0.0));
        }
        let title = format!("/gate over UDP until it is heard, lead {lead}");
        table::title(&title, &table::SPREAD);
        table::spread("  blocks after the playhead when it was sent", blocks, 0);
        table::spread("  ms until its first block is with the device", times, 2);
    }
}

/// The first block from `block` on whose samples are so, as soon as it is played.
fn first_block(engine: &Engine, mut block: u64, so: impl Fn(&[f32]) -> bool) -> u64 {
    let mut tap = engine.tap.clone();
    let mut samples = [0.0; 2 * BLOCK_FRAMES];
    loop {
        match tap.read(block, &mut samples) {
            Found::Block(_) if so(&samples) => return block,
            Found::Block(_) => block += 1,
            Found::NotYet => engine.wait_block(),
            Found::Passed => panic!("block {block} has passed"),
        }
    }
}
