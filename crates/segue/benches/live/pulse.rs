//! A PulseAudio server with a null sink at several periods, processors kept busy: how long blocks
//! take, and what was missed.
//!
//! `cargo bench --bench live -- pulse --minutes 1`, so long for each. The server is a private one.

use std::fs;
use std::process::{Child, Command, Stdio};

use segue_lockstep::memory::status::{Counter, Fact};
use segue_sys::clock;
use tempfile::TempDir;

use crate::engine::{Engine, Place};
use crate::jack::watch::{COLUMNS, Watch};
use crate::jack::{Busy, PATCH, Wish};
use crate::table;

const PERIODS: [&str; 5] = ["128", "256", "512", "1024", "4096"];

pub(crate) fn measure(wish: Wish) {
    let Some(server) = Pulse::start() else {
        println!("\nskipped: pulseaudio is not installed");
        return;
    };
    let patch = server.folder.path().join("patch.toml");
    fs::write(&patch, PATCH).expect("a patch is written");
    let busy = Busy::begin();
    let columns = [&COLUMNS[..], &["concealed", "late", "xruns", "losses"]].concat();
    println!("\npulseaudio, a null sink, lead 4, {:?} each", wish.length);
    table::title("  from sealing a block to its first copy, us", &columns);
    for period in PERIODS {
        let variable = ("PULSE_SERVER", &*server.address);
        let place = Place { device: "pulse", variable };
        let engine = Engine::start_on(&place, &patch, &["--lead", "4", "--period", period]);
        engine.wait("the device drives", |it| it.status.fact(Fact::DeviceDrives) != 0);
        let counters = [Counter::NoneReads, Counter::Late, Counter::Xruns, Counter::DeviceLosses];
        let before = counters.map(|it| engine.counter(it));
        let watch = Watch::begin(&engine);
        let length_ns = u64::try_from(wish.length.as_nanos()).expect("some years");
        clock::sleep_until_ns(clock::monotonic_ns() + length_ns);
        let mut values = watch.finish().values();
        let after = counters.map(|it| engine.counter(it));
        values.extend(after.iter().zip(before).map(|(after, before)| (after - before) as f64));
        table::row(&format!("  {period} frames"), &values, 0);
        engine.stop();
    }
    drop(busy);
}

struct Pulse {
    child: Child,
    folder: TempDir,
    address: String,
}

impl Pulse {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("native");
        let protocol = format!("module-native-protocol-unix socket={}", socket.display());
        let sink = "module-null-sink channels=2 rate=48000 format=float32le norewinds=1";
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]);
        command.args(["-L", &format!("{protocol} auth-anonymous=1"), "-L", sink]);
        for name in ["HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH"] {
            command.env(name, folder.path());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        while !socket.exists() {
            if child.try_wait().expect("a child").is_some() {
                return None;
            }
            clock::sleep_until_ns(clock::monotonic_ns() + 10_000_000);
        }
        Some(Self { child, folder, address: format!("unix:{}", socket.display()) })
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
