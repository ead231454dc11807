//! The same voices played by scsynth, where it is installed: a score of its own, not in real time.
//!
//! *Source*: the formats are those of SuperCollider's "Synth Definition File Format" and "Server
//! Command Reference".

use std::process::{Command, Stdio};

/// One voice, as a definition scsynth reads.
struct Definition {
    constants: Vec<f32>,
    units: Vec<Vec<u8>>,
}

/// What an inlet of a unit is fed: another unit's output, or a number.
#[derive(Clone, Copy)]
enum Fed {
    Unit(i32, i32),
    Number(f32),
}
use Fed::{Number, Unit};

const CONTROL: u8 = 1;
const AUDIO: u8 = 2;

impl Definition {
    fn unit(&mut self, class: &str, rate: u8, fed: &[Fed], outputs: i32, special: i16) -> Fed {
        let mut bytes = text(class);
        bytes.push(rate);
        bytes.extend((fed.len() as i32).to_be_bytes());
        bytes.extend(outputs.to_be_bytes());
        bytes.extend(special.to_be_bytes());
        for fed in fed {
            let (unit, output) = match fed {
                Unit(unit, output) => (*unit, *output),
                Number(value) => (-1, self.constant(*value)),
            };
            bytes.extend(unit.to_be_bytes());
            bytes.extend(output.to_be_bytes());
        }
        bytes.extend(std::iter::repeat_n(rate, outputs as usize));
        self.units.push(bytes);
        Unit(self.units.len() as i32 - 1, 0)
    }

    fn constant(&mut self, value: f32) -> i32 {
        let known = self.constants.iter().position(|it| *it == value);
        let at = known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        });
        at as i32
    }

    fn product(&mut self, left: Fed, right: Fed) -> Fed {
        self.unit("BinaryOpUGen", AUDIO, &[left, right], 1, 2)
    }

    /// The voice named in the table: its envelope a value a block (`kr`) or a sample (`ar`).
    fn voice(what: &str) -> Vec<u8> {
        let mut it = Definition { constants: Vec::new(), units: Vec::new() };
        it.unit("Control", CONTROL, &[], 2, 0);
        let (freq, gate) = (Unit(0, 0), Unit(0, 1));
        let rate = if what.contains("ar") { AUDIO } else { CONTROL };
        let curve = [0.0, 3.0, 2.0, -99.0, 1.0, 0.1, 5.0, -4.0, 0.2, 0.5, 5.0, -4.0, 0.0, 0.6];
        let mut fed = vec![gate, Number(1.0), Number(0.0), Number(1.0), Number(0.0)];
        fed.extend(curve.into_iter().chain([5.0, -4.0]).map(Number));
        let envelope = it.unit("EnvGen", rate, &fed, 1, 0);
        let heard = if what.contains("sine") {
            let sine = it.unit("SinOsc", AUDIO, &[freq, Number(0.0)], 1, 0);
            let amp = it.product(sine, envelope);
            it.unit("RLPF", AUDIO, &[amp, Number(900.0), Number(0.5)], 1, 0)
        } else {
            let saw = it.unit("Saw", AUDIO, &[freq], 1, 0);
            let mut cutoff = Number(900.0);
            if what.contains("moved") {
                let above = it.unit("BinaryOpUGen", rate, &[envelope, Number(2_000.0)], 1, 2);
                cutoff = it.unit("BinaryOpUGen", rate, &[above, Number(400.0)], 1, 0);
            }
            let low = it.unit("RLPF", AUDIO, &[saw, cutoff, Number(0.5)], 1, 0);
            it.product(low, envelope)
        };
        let quiet = it.product(heard, Number(0.002));
        it.unit("Out", AUDIO, &[Number(0.0), quiet], 0, 0);
        it.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"SCgf".to_vec();
        bytes.extend(2_i32.to_be_bytes());
        bytes.extend(1_i16.to_be_bytes());
        bytes.extend(text("voice"));
        bytes.extend((self.constants.len() as i32).to_be_bytes());
        self.constants.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        bytes.extend(2_i32.to_be_bytes());
        [220.0_f32, 0.0].iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        bytes.extend(2_i32.to_be_bytes());
        for (at, name) in ["freq", "gate"].into_iter().enumerate() {
            bytes.extend(text(name));
            bytes.extend((at as i32).to_be_bytes());
        }
        bytes.extend((self.units.len() as i32).to_be_bytes());
        self.units.iter().for_each(|unit| bytes.extend(unit));
        bytes.extend(0_i16.to_be_bytes());
        bytes
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// An OSC message: `i` and `f` are numbers, `s` texts, `b` bytes.
fn message(address: &str, tags: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let mut bytes = padded(address.as_bytes());
    bytes.extend(padded(format!(",{tags}").as_bytes()));
    for (tag, argument) in tags.chars().zip(arguments) {
        match tag {
            's' => bytes.extend(padded(argument)),
            'b' => {
                bytes.extend((argument.len() as i32).to_be_bytes());
                bytes.extend_from_slice(argument);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            _ => bytes.extend_from_slice(argument),
        }
    }
    bytes
}

/// A bundle of one message in a score.
fn at(seconds: f64, message: &[u8]) -> Vec<u8> {
    let tag = (seconds * 4_294_967_296.0) as u64;
    let mut bundle = b"#bundle\0".to_vec();
    bundle.extend(tag.to_be_bytes());
    bundle.extend((message.len() as i32).to_be_bytes());
    bundle.extend_from_slice(message);
    [&(bundle.len() as i32).to_be_bytes()[..], &bundle].concat()
}

fn score(what: &str, voices: usize, seconds: f64) -> Vec<u8> {
    let int = |value: i32| value.to_be_bytes();
    let mut score = at(0.0, &message("/d_recv", "b", &[&Definition::voice(what)]));
    score.extend(at(0.0, &message("/g_new", "iii", &[&int(1), &int(0), &int(0)])));
    for voice in 0..voices {
        let freq = 65.0 * ((voice % 16) as f32 / 6.0).exp2();
        let (node, tail, group) = (int(1_000 + voice as i32), int(0), int(1));
        let arguments = [&b"voice"[..], &node, &tail, &group, b"freq", &freq.to_be_bytes()];
        score.extend(at(0.0, &message("/s_new", "siiisf", &arguments)));
    }
    for stroke in 0..(seconds * 4.0) as u32 {
        let gate = if stroke % 2 == 0 { 1.0_f32 } else { 0.0 };
        let arguments = [&int(1)[..], b"gate", &gate.to_be_bytes()];
        score.extend(at(f64::from(stroke) * 0.25, &message("/n_set", "isf", &arguments)));
    }
    score.extend(at(seconds, &message("/c_set", "if", &[&int(0), &0.0_f32.to_be_bytes()])));
    score
}

/// Seconds of processor time of all children that have ended; none without `/proc`.
fn children_cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = fields.get(13)?.parse::<f64>().ok()? + fields.get(14)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn play(what: &str, voices: usize, seconds: f64) -> Option<f64> {
    let folder = std::env::temp_dir().join(format!("segue-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    let (score_file, sound) = (folder.join("score.osc"), folder.join("sound.wav"));
    std::fs::write(&score_file, score(what, voices, seconds)).ok()?;
    let before = children_cpu()?;
    let ended = Command::new("scsynth")
        .arg("-N")
        .args([score_file.as_path(), "_".as_ref(), sound.as_path()])
        .args(["48000", "WAV", "float", "-o", "1", "-n", "4096", "-m", "65536"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let heard = std::fs::metadata(&sound).map(|it| it.len()).unwrap_or(0);
    let took = children_cpu()? - before;
    std::fs::remove_dir_all(&folder).ok()?;
    let whole = ended.is_ok_and(|it| it.success()) && heard as f64 > seconds * 48_000.0 * 3.9;
    whole.then_some(took)
}

/// Times real time that scsynth reaches, start-up taken away; none where it is not installed.
pub(crate) fn speed(what: &str, voices: usize, seconds: f64) -> Option<f64> {
    let (short, long) = (play(what, voices, seconds * 0.1)?, play(what, voices, seconds)?);
    Some(seconds * 0.9 / (long - short).max(0.01))
}
