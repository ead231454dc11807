//! Commands and modules that would kill every worker: judged once, told, and never heard.

use rosc::OscType;

use crate::client::Client;
use crate::engine::{Engine, FAULTY, Start, counter, is_whole};

/// Sends the harm to all replicas alike.
pub(super) fn poison(client: &Client, mode: &str, phase: &str) {
    let set = |param: &str, value: OscType| client.send(&format!("/mod/bad/{param}"), &[value]);
    set("mode", OscType::String(mode.into()));
    set("phase", OscType::String(phase.into()));
    assert!(client.sync(1).is_empty(), "all of it is understood");
    set("trigger", OscType::Float(1.0));
}

/// Waits until it is judged and everybody is back; gives the code and text that its sender got.
fn verdict(engine: &Engine, client: &Client, counted: &str, deaths: u64) -> (String, String) {
    engine.wait("it is judged", |status| counter(status, counted) == 1);
    engine.wait_whole(deaths);
    let refused = client.sync(2);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].addr, "/error");
    assert_eq!(refused[0].args[0], OscType::String("/mod/bad/trigger".into()));
    assert_eq!(refused[0].args[3], OscType::Float(1.0), "with what was refused");
    let text = |at: usize| refused[0].args[at].clone().string().expect("a text");
    (text(1), text(2))
}

#[test]
fn a_command_that_kills_whoever_applies_it_kills_one_and_is_told() {
    for (mode, standbys, deaths) in [("panic", "1", 1), ("exit", "1", 1), ("panic", "0", 1)] {
        let engine = Start::new().arg("--standbys").arg(standbys).patch(FAULTY).play();
        let client = Client::new(engine.port());
        poison(&client, mode, "apply");
        let (code, text) = verdict(&engine, &client, "quarantined", deaths);
        assert_eq!(code, "quarantined");
        assert!(text.contains("never applied"), "{text}");
        let status = engine.status();
        assert_eq!(counter(&status, "deaths"), deaths, "{status:#}");
        assert_eq!(counter(&status, "none_reads"), 0);
        let done = status["deaths"][0]["done"].as_str().unwrap_or_default();
        assert!(done.contains("its command quarantined"), "{done}");
        engine.stop().assert_identical();
    }
}

#[test]
fn a_module_that_kills_whoever_renders_it_is_bypassed_and_can_be_revived() {
    let engine = Start::new().patch(FAULTY).play();
    let client = Client::new(engine.port());
    poison(&client, "abort", "render");
    let (_, text) = verdict(&engine, &client, "bypassed", 1);
    assert!(text.contains("/engine/revive bad"), "{text}");
    let bypassed = engine.wait("status says so", |status| status["bypassed"][0] == "bad");
    assert_eq!(counter(&bypassed, "none_reads"), 0);
    let problem = bypassed["problems"].to_string();
    assert!(problem.contains("module 'bad' is bypassed"), "{problem}");
    let revived = client.ask("/engine/revive", &[OscType::String("bad".into())]);
    assert_eq!(revived.addr, "/done");
    engine.wait("it is back", |status| status["bypassed"].as_array().is_some_and(Vec::is_empty));
    engine.stop().assert_identical();
}

/// Two workers are caught by it, then nobody any more.
#[test]
fn a_command_that_loops_whoever_applies_it_is_quarantined_by_two_witnesses() {
    let engine = Start::new().patch(FAULTY).play();
    let client = Client::new(engine.port());
    poison(&client, "loop", "apply");
    let status = engine.wait("it is judged and all are back", |status| {
        counter(status, "quarantined") == 1 && counter(status, "deaths") >= 2 && is_whole(status)
    });
    assert_eq!(counter(&status, "none_reads"), 0, "on freewheel playout waits");
    engine.stop().assert_identical();
}

/// S56: with two standbys the one whose state goes wrong is outvoted before it is heard.
#[test]
fn a_primary_whose_state_goes_wrong_silently_is_outvoted_by_two_standbys() {
    let engine = Start::new().arg("--standbys").arg("2").patch(FAULTY).play();
    let client = Client::new(engine.port());
    let first = crate::engine::primary(&engine.wait_whole(0));
    client.send("/mod/bad/slot", &[OscType::Int(first as i32)]);
    client.send("/mod/bad/guest", &[OscType::Int(1)]);
    poison(&client, "diverge", "render");
    let status = engine.wait_whole(1);
    assert_eq!(status["deaths"][0]["slot"].as_u64(), Some(first as u64), "{status:#}");
    assert_eq!((counter(&status, "divergences"), counter(&status, "none_reads")), (1, 0));
    engine.stop().assert_identical();
}

/// S53: nobody sent anything; the module meets a state of its own that kills it.
#[test]
fn a_module_that_crashes_at_a_certain_state_is_bypassed_and_no_command_is_blamed() {
    let text = FAULTY.replace("in = \"osc\"\n", "in = \"osc\"\ntrigger = 1\nafter = 500\n");
    let engine = Start::new().patch(&text).play();
    let status = engine.wait("it is judged and all are back", |status| {
        counter(status, "bypassed") == 1 && is_whole(status)
    });
    assert_eq!(counter(&status, "quarantined"), 0, "{status:#}");
    assert_eq!(status["deaths"][0]["breadcrumb"], "block 500, module bad");
    assert_eq!(counter(&status, "none_reads"), 0);
    engine.stop().assert_identical();
}

/// S29: reset within the block, the same on all, told to whoever turned the knob; the replay has
/// the same bits.
#[test]
fn a_module_that_turns_non_finite_is_reset_and_told_and_nobody_dies() {
    for mode in ["nan", "infinite"] {
        let engine = Start::new().patch(FAULTY).play();
        let client = Client::new(engine.port());
        engine.wait_whole(0);
        poison(&client, mode, "render");
        let remark = client.receive();
        assert_eq!(remark.args[0], OscType::String("/mod/bad/trigger".into()), "{remark:?}");
        assert_eq!(remark.args[1], OscType::String("not_finite".into()));
        client.send("/mod/bad/trigger", &[OscType::Float(0.0)]);
        assert!(client.sync(2).is_empty(), "told once");
        let status = engine.wait("it is counted", |status| counter(status, "resets") > 0);
        let problems = status["problems"].to_string();
        assert!(problems.contains("the output of module bad was no number"), "{problems}");
        assert_eq!((counter(&status, "deaths"), counter(&status, "divergences")), (0, 0));
        assert_eq!(status["health"], "ok", "{status:#}");
        // One that comes later knows what the others know.
        engine.hurt(0, rustix::process::Signal::KILL);
        let whole = engine.wait_whole(1);
        assert!(counter(&whole, "resets") >= counter(&status, "resets"), "{whole:#}");
        let log = engine.log();
        assert_eq!(log.matches("the output of module 'bad' was no number").count(), 1, "{log}");
        engine.stop().assert_identical();
    }
}
