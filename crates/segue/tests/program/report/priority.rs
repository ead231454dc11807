//! Real-time priority without a privilege: by rtkit on a bus of the test's own, or not at all.
//!
//! The daemon is the real one; only polkit, which would ask for a login session, is stood in
//! for. The engine runs as the user nobody.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Signal, getrlimit};
use segue_sys::process::priority::{self, Urgency, scheduling};
use serde_json::Value;
use tempfile::TempDir;

use crate::devices::servers::Process;
use crate::engine::{DEADLINE, Engine, Start, is_whole, patch, primary, send_signal};

const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=BUS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="method_call"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"#;

const DAEMONS: [&str; 2] = ["/usr/libexec/rtkit-daemon", "/usr/lib/rtkit/rtkit-daemon"];

/// A bus of the test's own, with rtkit on it.
struct Bus {
    rtkit: Option<Process>,
    _polkit: Option<Process>,
    bus: Process,
    folder: TempDir,
}

/// Whether the test can be made at all; says why not.
fn can_be_nobody() -> bool {
    let root = rustix::process::geteuid().is_root();
    let bound = getrlimit(Resource::Rtprio).maximum == Some(0);
    if !root || !bound {
        eprintln!("skipped: only root can run an engine as nobody, where nobody has no priority");
    }
    root && bound
}

/// A folder that everybody may enter.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).expect("it is ours");
    folder
}

/// A copy of the program where everybody may run it.
fn program(folder: &Path) -> PathBuf {
    let copy = folder.join("segue");
    std::fs::copy(env!("CARGO_BIN_EXE_segue"), &copy).expect("a copy");
    copy
}

/// Starts a program and waits for its first line on standard output.
fn serve(command: &mut Command) -> Option<Process> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut server = Process(command.spawn().ok()?);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take()?).read_line(&mut line).ok()?;
    (!line.is_empty()).then_some(server)
}

impl Bus {
    /// A bus that carries nobody yet.
    fn bare() -> Option<Self> {
        let folder = open_folder();
        let config = folder.path().join("bus.conf");
        let socket = folder.path().join("bus");
        std::fs::write(&config, BUS.replace("BUS", &socket.to_string_lossy())).expect("written");
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address"]);
        let bus = serve(command.arg("--config-file").arg(config));
        if bus.is_none() {
            eprintln!("skipped: dbus-daemon is not installed");
        }
        Some(Self { rtkit: None, _polkit: None, bus: bus?, folder })
    }

    /// A bus with rtkit.
    fn with_rtkit() -> Option<Self> {
        let mut all = Self::bare()?;
        let polkit = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/report/polkit.py");
        let python = || Command::new("/usr/bin/python3");
        let modules = python().args(["-c", "import dbus, gi"]).stderr(Stdio::null()).status();
        if !modules.is_ok_and(|status| status.success()) {
            eprintln!("skipped: python3-dbus and python3-gi are not installed");
            return None;
        }
        let mut command = python();
        command.arg(polkit).env("DBUS_SYSTEM_BUS_ADDRESS", all.address());
        all._polkit = serve(&mut command);
        assert!(all._polkit.is_some(), "the stand-in for polkit does not start");
        let Some(daemon) = DAEMONS.iter().find(|it| Path::new(it).exists()) else {
            eprintln!("skipped: rtkit is not installed");
            return None;
        };
        let mut command = Command::new(daemon);
        command.args(["--no-canary", "--no-limit-resources"]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", all.address());
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        all.rtkit = Some(Process(command.spawn().expect("rtkit starts")));
        Some(all)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }
}

fn start(folder: &Path, bus: &str) -> Start {
    let text = std::fs::read_to_string(patch("first.toml")).expect("a patch");
    // A lead of four is what priority would give; here the machine may be busy.
    let start = Start::with(&program(folder)).arg("--device").arg("null").arg("--lead").arg("32");
    start.patch(&text).env("DBUS_SYSTEM_BUS_ADDRESS", bus).unprivileged()
}

/// The real-time priority of a thread of an engine's processes, by the thread's name.
fn level(pid: u64, name: &str) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let named = |path: &Path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let thread = tasks.map(|task| task.path()).find(|path| named(path));
    let thread = thread.and_then(|path| path.file_name()?.to_str()?.parse().ok());
    thread.and_then(scheduling).map_or(0, |it| it.level)
}

/// Playout, monitor, standby, primary.
fn levels(engine: &Engine, status: &Value) -> [u32; 4] {
    let own = u64::from(engine.pid());
    let first = primary(status);
    let worker = |slot: usize| {
        let pid = status["slots"][slot]["pid"].as_u64().unwrap_or(0);
        u32::try_from(pid)
            .ok()
            .filter(|pid| *pid != 0)
            .and_then(scheduling)
            .map_or(0, |it| it.level)
    };
    [level(own, "playout"), level(own, "segue"), worker(1 - first), worker(first)]
}

fn wait_for_levels(engine: &Engine, expected: [u32; 4]) {
    let began = Instant::now();
    loop {
        let status = engine.status();
        if is_whole(&status) && levels(engine, &status) == expected {
            return;
        }
        let found = levels(engine, &status);
        assert!(began.elapsed() < DEADLINE, "{found:?}, not {expected:?}\n{}", engine.log());
    }
}

/// Kilobytes that a process has locked.
fn locked_kib(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn the_kernel_gives_priority_in_order_and_locks_memory_where_it_may() {
    let asked = std::thread::spawn(|| priority::ask_realtime(Urgency::Playout).is_ok());
    if !asked.join().expect("it only asks") {
        eprintln!("skipped: no real-time priority is granted here");
        return;
    }
    let engine = Start::on("null").arg("--lead").arg("32").arg(patch("first.toml")).play();
    wait_for_levels(&engine, [75, 72, 68, 66]);
    let status = engine.wait("the status says so", |it| it["engine"]["realtime"] == true);
    assert_eq!(status["engine"]["realtime_by"], "kernel");
    engine.hurt(primary(&status), Signal::KILL);
    let status = engine.wait_whole(1);
    wait_for_levels(&engine, [75, 72, 68, 66]);
    // The rings alone are more than this. Where it may not, that is told with the cure.
    let pids = status["slots"].as_array().expect("slots").iter().map(|it| it["pid"].as_u64());
    let refused = engine.log().contains("memory is not locked");
    for pid in pids.flatten().chain([u64::from(engine.pid())]) {
        assert_ne!(locked_kib(pid) > 1024, refused, "{pid}: {} KiB", locked_kib(pid));
    }
    engine.stop().assert_identical_but_concealed();
}

#[test]
fn rtkit_gives_priority_in_order_also_after_a_failover() {
    let Some(bus) = can_be_nobody().then(Bus::with_rtkit).flatten() else { return };
    let engine = start(bus.folder.path(), &bus.address()).play();
    wait_for_levels(&engine, [20, 19, 18, 17]);
    let status = engine.wait("the status says so", |it| it["engine"]["realtime"] == true);
    assert_eq!(status["engine"]["realtime_by"], "rtkit");
    assert!(!status["problems"].to_string().contains("priority"), "{status}");
    engine.hurt(primary(&status), Signal::KILL);
    engine.wait_whole(1);
    wait_for_levels(&engine, [20, 19, 18, 17]);
    engine.stop().assert_identical();
}

/// The child of an engine that asks rtkit.
fn clerk(engine: &Engine) -> Option<u64> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|it| it.file_name().to_str()?.parse::<u64>().ok());
    let parent = format!("PPid:\t{}\n", engine.pid());
    let mut clerks = pids.filter(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.starts_with("Name:\tsegue rtkit\n") && status.contains(&parent)
    });
    clerks.next()
}

#[test]
fn a_clerk_that_is_killed_or_hangs_is_replaced_when_the_next_question_comes() {
    let Some(bus) = can_be_nobody().then(Bus::with_rtkit).flatten() else { return };
    let engine = start(bus.folder.path(), &bus.address()).play();
    wait_for_levels(&engine, [20, 19, 18, 17]);
    let first = clerk(&engine);
    for (deaths, harm) in [(1, Signal::KILL), (2, Signal::STOP)] {
        send_signal(clerk(&engine), harm);
        engine.hurt(primary(&engine.status()), Signal::KILL);
        engine.wait_whole(deaths);
        wait_for_levels(&engine, [20, 19, 18, 17]);
    }
    let last = clerk(&engine);
    assert!(last.is_some() && last != first, "another one: {first:?} and {last:?}");
    engine.stop().assert_identical();
}

#[test]
fn without_a_bus_it_plays_on_and_says_the_cure() {
    if !can_be_nobody() {
        return;
    }
    let folder = open_folder();
    let engine = start(folder.path(), "unix:path=/nonexistent").play();
    let status = engine.status();
    assert_eq!((&status["engine"]["realtime"], levels(&engine, &status)), (&false.into(), [0; 4]));
    assert!(status["problems"].to_string().contains("segue doctor"), "{status}");
    let log = engine.log();
    assert!(log.contains("/etc/security/limits.d/") && log.contains("rtprio 95"), "{log}");
    let ended = engine.stop();
    let times = ended.log.matches("no real-time priority").count();
    assert_eq!(times, 1, "it is said once\n{}", ended.log);
    ended.assert_identical();
}

#[test]
fn a_bus_that_hangs_holds_up_neither_start_nor_end() {
    let Some(bus) = can_be_nobody().then(Bus::bare).flatten() else { return };
    send_signal(Some(u64::from(bus.bus.0.id())), Signal::STOP);
    let began = Instant::now();
    let engine = start(bus.folder.path(), &bus.address()).play();
    assert!(engine.log().contains("does not answer"), "{}", engine.log());
    engine.play_on(200);
    let ended = engine.stop();
    assert!(began.elapsed() < Duration::from_secs(30), "{}", ended.log);
    ended.assert_identical();
    send_signal(Some(u64::from(bus.bus.0.id())), Signal::CONT);
}

#[test]
fn rtkit_that_comes_later_is_asked_again_and_one_that_goes_takes_nothing_away() {
    let Some(mut bus) = can_be_nobody().then(Bus::with_rtkit).flatten() else { return };
    bus.rtkit = None;
    let engine = start(bus.folder.path(), &bus.address()).play();
    assert_eq!(engine.status()["engine"]["realtime"], false);
    let daemon = DAEMONS.iter().find(|it| Path::new(it).exists()).expect("it was there");
    let mut command = Command::new(daemon);
    command.args(["--no-canary", "--no-limit-resources"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).stderr(Stdio::null());
    bus.rtkit = Some(Process(command.spawn().expect("rtkit starts")));
    engine.wait("it is granted later", |it| it["engine"]["realtime_by"] == "rtkit");
    wait_for_levels(&engine, [20, 19, 18, 17]);
    drop(bus);
    engine.play_on(100);
    let status = engine.status();
    assert_eq!(status["engine"]["realtime"], true);
    engine.stop().assert_identical();
}
