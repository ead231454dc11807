//! Starting and ending: slow starts, failing starts, ports in use, signals, a killed supervisor.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::engine::{DEADLINE, Start, counter, is_whole, patch, segue, send_signal};

const FAULT: &str = "SEGUE_FAULT_START";

/// S1: the predecessor declared a worker hung after 50 ms and spawned 353 in 4 s.
#[test]
fn a_slow_start_is_a_slow_start() {
    for delay_ms in [0, 100, 700, 3000] {
        let slow = format!("0:{delay_ms},1:{}", delay_ms / 2);
        let engine = Start::new().arg(patch("first.toml")).env(FAULT, &slow).play();
        engine.play_on(100);
        let status = engine.status();
        assert!(is_whole(&status), "{status:#}");
        for name in ["deaths", "none_reads", "late"] {
            assert_eq!(counter(&status, name), 0, "{name} after {delay_ms} ms");
        }
        engine.stop().assert_identical();
    }
}

/// S2: a successor has a clock of its own and may take as long as the first.
#[test]
fn a_slow_successor_is_not_overdue_at_birth() {
    let engine = Start::new().arg(patch("first.toml")).env(FAULT, "1:600").play();
    for round in 0..3 {
        engine.wait_whole(round);
        engine.hurt(1, Signal::KILL);
    }
    let status = engine.wait_whole(3);
    assert_eq!(status["slots"][1]["restarts"], 3);
    engine.stop().assert_identical();
}

/// S3: bounded tries, the reason told, the other slot plays on, `/engine/revive` brings it back.
#[test]
fn a_slot_that_fails_three_times_is_given_up_and_can_be_revived() {
    let engine = Start::new().arg(patch("first.toml")).env(FAULT, "1:exit:3*3").play();
    let status =
        engine.wait("slot 1 is given up", |status| status["slots"][1]["state"] == "given_up");
    assert_eq!(counter(&status, "deaths"), 3);
    assert_eq!(status["health"], "degraded", "{status:#}");
    // Whoever kills what stands there must not end himself: 0 is one's own group.
    assert!(status["slots"][1]["pid"].is_null(), "{status:#}");
    for death in status["deaths"].as_array().expect("deaths") {
        assert_eq!((&death["exit_code"], &death["slot"]), (&3.into(), &1.into()), "{death:#}");
        assert!(death["last_words"].as_str().is_some_and(|it| it.contains("an exit")), "{death:#}");
    }
    engine.play_on(200);
    engine.must(&["send", "/engine/revive"]);
    let status = engine.wait_whole(3);
    assert_eq!(status["health"], "ok", "{status:#}");
    engine.stop().assert_identical();
}

/// S65: its own check aside, nobody of another build comes to play.
#[test]
fn a_worker_of_another_build_is_refused_at_joining() {
    let engine = Start::new().arg(patch("first.toml")).env(FAULT, "1:stranger*1").play();
    let status = engine.wait_whole(1);
    let cause = status["deaths"][0]["cause"].as_str().unwrap_or_default();
    assert!(cause.starts_with("is of another build"), "{status:#}");
    assert_eq!(status["slots"][1]["generation"], 2);
    engine.stop().assert_identical();
}

#[test]
fn with_nobody_left_it_ends_with_70_and_says_why() {
    let failing = Start::new().arg(patch("first.toml")).env(FAULT, "0:exit:3,1:panic");
    let ended = failing.begin().ended();
    assert_eq!(ended.status.code(), Some(70), "{}", ended.log);
    let said = ended.log.lines().last().expect("a last line");
    assert!(said.contains("slot 0: exited with code 3"), "{said}");
    assert!(said.contains("slot 1: panicked"), "{said}");
}

/// S4: the predecessor left 19 orphans that kept the port.
#[test]
fn a_killed_supervisor_leaves_nobody_and_its_port_is_free_at_once() {
    let mut engine = Start::new().arg(patch("first.toml")).play();
    let status = engine.wait_whole(0);
    let slots = status["slots"].as_array().expect("slots").iter();
    let pids = slots.chain([&status["control"]]).map(|it| it["pid"].as_u64().expect("a pid"));
    let handles: Vec<_> = pids
        .map(|pid| {
            let pid = Pid::from_raw(pid as i32).expect("a process");
            pidfd_open(pid, PidfdFlags::empty()).expect("it lives")
        })
        .collect();
    assert_eq!(handles.len(), 3);
    send_signal(Some(u64::from(engine.pid())), Signal::KILL);
    assert_eq!(engine.ended().status.code(), None);
    for handle in &handles {
        let mut ended = [PollFd::new(handle, PollFlags::IN)];
        let longest = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
        assert_eq!(poll(&mut ended, Some(&longest)).expect("a poll"), 1, "an orphan lives on");
    }
    let osc = format!("127.0.0.1:{}", engine.port());
    let next = segue()
        .args(["run", "--osc", &osc, "--device", "freewheel", "--for", "1", "--no-journal"])
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&next.stderr);
    assert_eq!(next.status.code(), Some(0), "{said}");
}

#[test]
fn a_second_engine_on_a_port_is_told_who_has_it_and_what_to_do() {
    let engine = Start::new().play();
    let osc = format!("127.0.0.1:{}", engine.port());
    let second = segue().args(["run", "--osc", &osc, "--device", "null"]).output();
    let second = second.expect("the program runs");
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(75), "{said}");
    for expected in [&format!("pid {}", engine.pid()), "segue stop", "--osc"] {
        assert!(said.contains(expected), "{said}");
    }
    engine.stop();
}

#[test]
fn int_term_and_hup_fade_close_the_files_and_end_with_0() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut engine = Start::new().arg(patch("first.toml")).play();
        engine.must(&["send", "/gate/env", "1"]);
        engine.play_on(400);
        send_signal(Some(u64::from(engine.pid())), signal);
        let ended = engine.ended();
        ended.assert_identical();
        let recording = ended.recording();
        let (music, end) = recording.split_at(recording.len() - 256);
        assert!(end.iter().all(|byte| *byte == 0), "it ends in silence after {signal:?}");
        assert!(music[music.len() - 100_000..].iter().any(|byte| *byte != 0), "it sounded");
    }
}

#[test]
fn children_do_not_hear_the_terminal() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let status = engine.wait_whole(0);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::TSTP, Signal::QUIT] {
        for child in [&status["slots"][0], &status["slots"][1], &status["control"]] {
            send_signal(child["pid"].as_u64(), signal);
        }
    }
    engine.play_on(400);
    let status = engine.status();
    assert!(is_whole(&status));
    assert_eq!(counter(&status, "deaths"), 0);
    assert_eq!(status["control"]["restarts"], 0);
    engine.stop().assert_identical();
}

/// S61: on waking everyone seems overdue, but it was the watcher who slept.
#[test]
fn a_suspended_supervisor_blames_nobody() {
    let engine = Start::new().arg(patch("first.toml")).play();
    engine.wait_whole(0);
    let own = Some(u64::from(engine.pid()));
    send_signal(own, Signal::STOP);
    // Longer than any of its limits; there is nothing to wait for but the time itself.
    let (_still, never) = std::sync::mpsc::channel::<()>();
    assert!(never.recv_timeout(Duration::from_millis(2500)).is_err());
    send_signal(own, Signal::CONT);
    engine.play_on(400);
    let status = engine.status();
    assert_eq!(counter(&status, "deaths"), 0, "{status:#}\n{}", engine.log());
    assert_eq!(counter(&status, "role_changes"), 0);
    assert_eq!(status["control"]["restarts"], 0);
    engine.stop().assert_identical();
}

/// A control that hangs is killed after two seconds and has a successor; nothing is heard, lost
/// or forgotten.
#[test]
fn a_control_that_hangs_is_replaced() {
    let engine = Start::new().arg(patch("first.toml")).play();
    engine.must(&["send", "/gate/env", "1"]);
    engine.must(&["send", "/mod/osc/freq", "321"]);
    let status = engine.wait_whole(0);
    send_signal(status["control"]["pid"].as_u64(), Signal::STOP);
    let status = engine.wait("control was replaced", |status| {
        status["control"]["generation"] == 2 && status["health"] == "ok"
    });
    assert_eq!(status["control"]["restarts"], 1, "{status:#}");
    assert_eq!(engine.must(&["send", "/mod/osc/freq"]).trim(), "/mod/osc/freq 321.0");
    engine.stop().assert_identical();
}

/// A worker that was taken over by what it renders reaches nothing beyond itself.
#[test]
fn a_worker_that_tries_to_break_out_reaches_nothing() {
    let engine = Start::new().arg(patch("first.toml")).env("SEGUE_FAULT_CONFINED", "1").begin();
    let status = engine.wait("it has tried", |status| counter(status, "deaths") > 0);
    let tried = &status["deaths"][0];
    assert_eq!(tried["last_words"], "broke out: []", "{tried:#}");
    assert_eq!(tried["exit_code"], 3);
}

/// Nor does a control that was taken over by what it is sent, the first as its successor; its own
/// folder it may write. Where a kernel cannot keep it to its folders, that is said, and it goes on.
#[test]
fn a_control_that_tries_to_break_out_reaches_nothing() {
    let by = |who: &str| Start::new().arg(patch("first.toml")).env("SEGUE_FAULT_CONFINED", who);
    let ended = by("control:1").begin().ended();
    if ended.log.contains("control may open whatever its user may") {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    assert!(ended.log.contains("broke out: []"), "{}", ended.log);
    assert_eq!(ended.status.code(), Some(70), "the first control did not come to play");
    let engine = by("control:2").play();
    send_signal(engine.wait_whole(0)["control"]["pid"].as_u64(), Signal::KILL);
    let status = engine.wait("the third has come", |status| status["control"]["generation"] == 3);
    assert_eq!(counter(&status, "deaths"), 0, "{status:#}");
    assert!(engine.log().contains("broke out: []"), "{}", engine.log());
    engine.must(&["send", "/sync", "1"]);
    engine.stop().assert_identical();
}
