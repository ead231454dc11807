//! Workers that die, hang or spin by their own doing, by means of the fault module.

use rosc::{OscMessage, OscType};
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Engine, FAULTY, Start, counter, primary};

/// Strikes one guest by the fault module and waits until it is replaced; gives what was told of
/// its death and what was refused.
fn strike(
    engine: &Engine,
    client: &Client,
    mode: &str,
    phase: &str,
    slot: usize,
) -> (Value, Vec<OscMessage>) {
    let status = engine.status();
    let deaths = counter(&status, "deaths");
    let guest = status["slots"][slot]["generation"].as_u64().expect("a generation");
    let set = |param: &str, value: OscType| client.send(&format!("/mod/bad/{param}"), &[value]);
    set("mode", OscType::String(mode.into()));
    set("phase", OscType::String(phase.into()));
    set("slot", OscType::Int(slot as i32));
    set("guest", OscType::Int(guest as i32));
    assert!(client.sync(1).is_empty(), "all of it is understood");
    set("trigger", OscType::Int(1));
    let status = engine.wait_whole(deaths + 1);
    set("trigger", OscType::Int(0));
    let refused = client.sync(2);
    let told = status["deaths"].as_array().and_then(|deaths| deaths.last().cloned());
    let told = told.expect("a death is told");
    assert_eq!(told["slot"].as_u64(), Some(slot as u64), "{mode} in {phase}: {told:#}");
    assert_eq!(told["generation"].as_u64(), Some(guest));
    (told, refused)
}

/// S48: each way to die is told as what it was, with breadcrumb and last words, of the primary
/// as of the standby, and none is heard.
#[test]
fn each_way_to_die_is_told_and_none_is_heard() {
    let engine = Start::new().patch(FAULTY).play();
    let client = Client::new(engine.port());
    let ways = [
        ("panic", "render", "panicked"),
        ("panic", "apply", "panicked"),
        ("abort", "render", "crashed with SIGABRT"),
        ("abort", "apply", "crashed with SIGABRT"),
        ("exit", "render", "exited with code 0"),
        ("exit", "apply", "exited with code 0"),
        ("overflow", "render", "crashed with SIGSEGV"),
        ("overflow", "apply", "crashed with SIGSEGV"),
        ("allocate", "render", "crashed with SIGABRT"),
        ("allocate", "apply", "crashed with SIGABRT"),
        ("loop", "render", "looped"),
        ("loop", "apply", "looped"),
        ("hold", "render", "had work and did none"),
    ];
    let (mut deaths, mut failovers) = (0, 0);
    for (mode, phase, cause) in ways {
        for of_primary in [true, false] {
            let first = primary(&engine.wait_whole(deaths));
            let slot = if of_primary { first } else { 1 - first };
            let (told, refused) = strike(&engine, &client, mode, phase, slot);
            // A crash of whoever goes first is blamed on what it was doing.
            let crashes = ["panic", "abort", "exit", "overflow", "allocate"];
            let judged = of_primary && crashes.contains(&mode);
            assert_eq!(refused.len(), usize::from(judged), "{mode} in {phase}: {refused:?}");
            if judged {
                assert_eq!(refused[0].args[1], OscType::String("quarantined".into()));
                let revived = client.ask("/engine/revive", &[OscType::String("bad".into())]);
                assert_eq!(revived.addr, "/done");
            }
            let text = told["cause"].as_str().unwrap_or_default();
            assert!(text.starts_with(cause), "{mode} in {phase}: {told:#}");
            let crumb = told["breadcrumb"].as_str().unwrap_or_default();
            let place = if phase == "render" { "module bad" } else { "command" };
            assert!(crumb.contains(place), "{mode} in {phase}: {told:#}");
            if mode == "panic" {
                let words = told["last_words"].as_str().unwrap_or_default();
                assert!(words.contains("told to panic"), "{told:#}");
            }
            if mode == "allocate" {
                let words = told["last_words"].as_str().unwrap_or_default();
                assert!(words.contains("memory allocation"), "{told:#}");
            }
            deaths += 1;
            failovers += u64::from(of_primary);
        }
    }
    let status = engine.status();
    assert_eq!(counter(&status, "failovers"), failovers, "{status:#}");
    assert_eq!(counter(&status, "none_reads"), 0);
    engine.stop().assert_identical();
}

/// It reaches nothing but its own slot, and what stands there is believed by nobody.
#[test]
fn a_worker_that_writes_wildly_is_replaced_unheard() {
    for (phase, of_primary) in [("render", true), ("render", false), ("apply", true)] {
        let engine = Start::new().patch(FAULTY).play();
        let client = Client::new(engine.port());
        let first = primary(&engine.wait_whole(0));
        let slot = if of_primary { first } else { 1 - first };
        let (told, _) = strike(&engine, &client, "wild", phase, slot);
        assert_ne!(told["cause"], "", "{told:#}");
        let status = engine.status();
        assert_eq!(counter(&status, "none_reads"), 0, "{status:#}");
        engine.stop().assert_identical();
    }
}

/// Its blocks are as those of the others; its state is not.
#[test]
fn a_worker_whose_state_alone_goes_wrong_is_found_by_its_digest_and_replaced() {
    let engine = Start::new().arg("--standbys").arg("2").patch(FAULTY).play();
    let client = Client::new(engine.port());
    let slot = (primary(&engine.wait_whole(0)) + 1) % 3;
    let (told, _) = strike(&engine, &client, "diverge", "apply", slot);
    let cause = told["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("differs"), "{told:#}");
    let status = engine.status();
    assert_eq!((counter(&status, "divergences"), counter(&status, "none_reads")), (1, 0));
    engine.stop().assert_identical();
}
