//! Patches edited while they play: heard whole or not at all, the same after any death.

use rosc::{OscMessage, OscType};
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Engine, Start, WAV_HEADER, counter, is_whole, patch, primary, send_signal};
use crate::faults::proof::harmful;
use crate::faults::resume::journalled;

/// A patch that sounds by itself, and is easy to tell by ear.
const HUM: &str = "segue = 1
title = \"hum\"
[osc]
type = \"osc\"
freq = 110
[out]
in = \"osc * 0.2\"
";

fn text(word: &str) -> OscType {
    OscType::String(word.to_owned())
}

fn texts(words: &[&str]) -> Vec<OscType> {
    words.iter().map(|word| text(word)).collect()
}

/// The words of an answer.
fn words(answer: &OscMessage) -> Vec<String> {
    let word = |arg: &OscType| match arg {
        OscType::String(text) => text.clone(),
        other => format!("{other:?}"),
    };
    std::iter::once(answer.addr.clone()).chain(answer.args.iter().map(word)).collect()
}

fn hum() -> Engine {
    Start::new().patch(HUM).play()
}

fn number(client: &Client, address: &str) -> f32 {
    match client.ask(address, &[]).args[..] {
        [OscType::Float(value)] => value,
        ref other => panic!("{address}: {other:?}"),
    }
}

/// Sends an edit, which is answered only if it is refused.
fn edit(client: &Client, address: &str, args: &[OscType]) {
    client.send(address, args);
    assert_eq!(client.sync(7), [], "{address} {args:?}");
}

/// Adds a second voice of this name, within a transaction of the client's own.
fn add_voice(client: &Client, name: &str, freq: f32) {
    let mut create = texts(&[name, "osc", "freq"]);
    create.push(OscType::Float(freq));
    edit(client, "/patch/create", &create);
    edit(client, "/patch/connect", &[text(name), text("out"), OscType::Float(0.1)]);
}

/// The same among what all senders share.
fn add_shared(client: &Client, name: &str) {
    add_voice(client, name, 300.0);
}

fn begin(client: &Client) {
    edit(client, "/patch/begin", &[]);
}

fn commit(client: &Client) -> OscMessage {
    client.ask("/patch/commit", &[])
}

fn committed(client: &Client) {
    assert_eq!(words(&commit(client))[..2], ["/done", "/patch/commit"]);
}

/// The largest level in a part of a recording, of all channels.
fn peak(wav: &[u8], seconds: std::ops::Range<f64>) -> f32 {
    let frame = |at: f64| (at * 48_000.0) as usize * 8 + WAV_HEADER;
    let part = &wav[frame(seconds.start)..frame(seconds.end)];
    let samples = part.chunks_exact(4).map(|it| f32::from_le_bytes(it.try_into().expect("four")));
    samples.fold(0.0, |most, sample| sample.abs().max(most))
}

#[test]
fn what_is_edited_is_heard_and_rendered_to_the_same_bits() {
    let engine = Start::new().patch("segue = 1\n[out]\n").play();
    let client = Client::new(engine.port());
    begin(&client);
    add_voice(&client, "lead", 440.0);
    let before = engine.status();
    committed(&client);
    let heard = |status: &Value| status["levels"]["peak"][0].as_f64() > Some(0.05);
    assert!(!heard(&before), "{before:#}");
    engine.wait("it is heard", heard);
    // The standby that takes over knows it too, and so does who joins.
    engine.hurt(primary(&engine.status()), Signal::KILL);
    engine.wait_whole(1);
    client.send("/mod/lead/freq", &[OscType::Float(220.0)]);
    assert_eq!(number(&client, "/mod/lead/freq"), 220.0);
    edit(&client, "/patch/delete", &[text("lead")]);
    committed(&client);
    engine.wait("it is silent again", |status| status["levels"]["peak"][0] == 0.0);
    engine.stop().assert_identical();
}

/// S33: what the player set stays; a commit changes what it names.
#[test]
fn a_commit_changes_what_it_names_and_nothing_else() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    client.send("/mod/osc/freq", &[OscType::Float(220.0)]);
    client.send("/gate/env", &[OscType::Int(1)]);
    begin(&client);
    add_voice(&client, "second", 330.0);
    edit(&client, "/mod/second/freq", &[OscType::Float(331.0)]);
    committed(&client);
    assert_eq!(number(&client, "/mod/osc/freq"), 220.0);
    assert_eq!(number(&client, "/mod/second/freq"), 331.0);
    assert_eq!(client.ask("/gate/env", &[]).args, [OscType::Float(1.0)]);
    engine.play_on(200);
    engine.stop().assert_identical();
}

/// S34: refused as a whole, with the reason; nothing of it applies, also not later.
#[test]
fn a_commit_that_cannot_be_is_refused_and_nothing_of_it_applies() {
    let engine = hum();
    let client = Client::new(engine.port());
    begin(&client);
    let unknown = words(&client.ask("/patch/create", &texts(&["x", "osx"])));
    assert_eq!(unknown[1..3], ["/patch/create", "unknown_type"], "{unknown:?}");
    assert!(unknown[3].contains("osc"), "{unknown:?}");
    edit(&client, "/patch/create", &texts(&["a", "svf"]));
    edit(&client, "/patch/create", &texts(&["b", "svf"]));
    edit(&client, "/patch/connect", &texts(&["a", "b"]));
    edit(&client, "/patch/connect", &texts(&["b", "a"]));
    edit(&client, "/patch/connect", &texts(&["b", "out"]));
    let cycle = words(&commit(&client));
    assert_eq!(cycle[1..3], ["/patch/commit", "cycle"], "{cycle:?}");
    // Nothing of it is left for the next one.
    begin(&client);
    add_voice(&client, "lead", 440.0);
    committed(&client);
    let list = words(&client.ask("/engine/list", &[]));
    assert!(list[2].contains("lead") && !list[2].contains("\"a\""), "{list:?}");
    engine.stop().assert_identical();
}

/// S28: what one sender asks behind its commit comes behind it.
#[test]
fn what_is_sent_behind_a_commit_is_done_behind_it() {
    let engine = hum();
    let client = Client::new(engine.port());
    for round in 0..5 {
        let name = format!("voice{round}");
        client.send("/patch/begin", &[]);
        client.send("/patch/create", &texts(&[&name, "osc"]));
        client.send("/patch/connect", &texts(&[&name, "out"]));
        client.send("/patch/commit", &[OscType::Float(0.0)]);
        let address = format!("/mod/{name}/freq");
        client.send(&address, &[OscType::Float(500.0)]);
        client.send(&address, &[]);
        let answers = client.sync(round);
        let answers: Vec<_> = answers.iter().map(words).collect();
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert_eq!(answers[0][..2], ["/done", "/patch/commit"]);
        assert_eq!(answers[1], [address.as_str(), "Float(500.0)"]);
    }
    engine.stop().assert_identical();
}

/// S37: two clients commit at once, while workers die.
#[test]
fn commits_of_two_clients_and_during_failover_are_all_applied() {
    let engine = hum();
    std::thread::scope(|scope| {
        for player in 0..2 {
            let engine = &engine;
            scope.spawn(move || {
                let client = Client::new(engine.port());
                for round in 0..6 {
                    let name = format!("voice{player}_{round}");
                    begin(&client);
                    add_voice(&client, &name, 200.0 + 50.0 * round as f32);
                    committed(&client);
                }
            });
        }
        for deaths in 1..=6 {
            engine.hurt(primary(&engine.status()), Signal::KILL);
            engine.wait_whole(deaths);
        }
    });
    let client = Client::new(engine.port());
    let list = words(&client.ask("/engine/list", &[]));
    for name in (0..2).flat_map(|player| (0..6).map(move |at| format!("voice{player}_{at}"))) {
        assert!(list[2].contains(&name), "{name} is missing: {list:?}");
    }
    engine.stop().assert_identical();
}

/// S60: a control that dies takes half a transaction with it; the other half is never applied.
#[test]
fn half_a_transaction_is_refused_by_name_after_the_death_of_control() {
    let engine = hum();
    let client = Client::new(engine.port());
    let other = Client::new(engine.port());
    begin(&client);
    add_voice(&client, "first_half", 440.0);
    edit(&other, "/patch/create", &texts(&["shared_half", "osc"]));
    let restarts = engine.status()["control"]["restarts"].as_u64();
    send_signal(engine.status()["control"]["pid"].as_u64(), Signal::KILL);
    engine.wait("control is back", |status| status["control"]["restarts"].as_u64() > restarts);
    // Told unasked, by name.
    let told = words(&client.receive());
    assert_eq!(told[1..3], ["/patch/begin", "timeout"], "{told:?}");
    let refused = words(&client.ask("/patch/create", &texts(&["second_half", "osc"])));
    assert_eq!(refused[1..3], ["/patch/create", "timeout"], "{refused:?}");
    let refused = words(&commit(&client));
    assert_eq!(refused[1..3], ["/patch/commit", "timeout"], "{refused:?}");
    let refused = words(&commit(&other));
    assert_eq!(refused[1..3], ["/patch/commit", "timeout"], "{refused:?}");
    let list = words(&client.ask("/engine/list", &[]));
    assert!(!list[2].contains("half"), "{list:?}");
    // Begun again it goes through.
    begin(&client);
    add_voice(&client, "whole", 440.0);
    committed(&client);
    assert!(words(&client.ask("/engine/list", &[]))[2].contains("whole"));
    engine.stop().assert_identical();
}

/// What was edited outlasts control and supervisor.
#[test]
fn an_edited_patch_outlasts_control_and_supervisor() {
    let mut engine = hum();
    let client = Client::new(engine.port());
    begin(&client);
    add_voice(&client, "lead", 440.0);
    committed(&client);
    let restarts = engine.status()["control"]["restarts"].as_u64();
    send_signal(engine.status()["control"]["pid"].as_u64(), Signal::KILL);
    engine.wait("control is back", |status| status["control"]["restarts"].as_u64() > restarts);
    client.send("/mod/lead/freq", &[OscType::Float(550.0)]);
    assert_eq!(number(&client, "/mod/lead/freq"), 550.0);
    begin(&client);
    add_voice(&client, "third", 660.0);
    committed(&client);
    journalled(&engine);
    send_signal(Some(u64::from(engine.pid())), Signal::KILL);
    let folder = engine.ended().folder;
    let engine = Start::again(folder).play();
    engine.wait("all are there", is_whole);
    let client = Client::new(engine.port());
    assert_eq!(number(&client, "/mod/lead/freq"), 550.0);
    let text = words(&client.ask("/patch/get", &[]));
    assert!(text[2].contains("third") && text[2].contains("550"), "{text:?}");
    begin(&client);
    edit(&client, "/patch/delete", &texts(&["third"]));
    committed(&client);
    engine.stop();
}

#[test]
fn whole_patches_are_applied_saved_loaded_and_taken_back() {
    let engine = hum();
    let client = Client::new(engine.port());
    let sweep = HUM.replace("freq = 110", "freq = 220").replace("\"hum\"", "\"sweep\"");
    let applied = words(&client.ask("/patch/apply", &[text(&sweep), OscType::Float(50.0)]));
    assert_eq!(applied[..2], ["/done", "/patch/apply"], "{applied:?}");
    assert_eq!(number(&client, "/mod/osc/freq"), 220.0);
    let status = engine.wait("its state has it", |it| it["engine"]["edition"] == 1);
    assert_eq!(status["engine"]["patch"], "sweep");
    let broken =
        words(&client.ask("/patch/apply", &texts(&["segue = 1\n[out]\nin = \"nobody\"\n"])));
    assert_eq!(broken[1..3], ["/patch/apply", "unknown_module"], "{broken:?}");
    client.send("/mod/osc/freq", &[OscType::Float(333.0)]);
    let saved = words(&client.ask("/patch/save", &texts(&["mine"])));
    assert!(saved[2].ends_with("patches/mine.toml"), "{saved:?}");
    let undone = words(&client.ask("/patch/undo", &[]));
    assert_eq!(undone[..2], ["/done", "/patch/undo"], "{undone:?}");
    assert_eq!(number(&client, "/mod/osc/freq"), 110.0);
    let redone = words(&client.ask("/patch/redo", &[]));
    assert_eq!(redone[..2], ["/done", "/patch/redo"], "{redone:?}");
    assert_eq!(number(&client, "/mod/osc/freq"), 220.0);
    let loaded = words(&client.ask("/patch/load", &texts(&["mine"])));
    assert_eq!(loaded[..2], ["/done", "/patch/load"], "{loaded:?}");
    assert_eq!(number(&client, "/mod/osc/freq"), 333.0);
    engine.stop().assert_identical();
}

/// S35: the old sound goes over into the new one within the time that was asked for.
#[test]
fn the_old_sound_fades_into_the_new_one() {
    let engine = Start::new().patch(&HUM.replace("osc * 0.2", "osc * 0.5")).play();
    let client = Client::new(engine.port());
    engine.play_on(300);
    begin(&client);
    edit(&client, "/patch/delete", &texts(&["osc"]));
    let done = words(&client.ask("/patch/commit", &[OscType::Float(500.0)]));
    assert_eq!(done[..2], ["/done", "/patch/commit"], "{done:?}");
    engine.wait("it has faded", |status| status["levels"]["peak"][0] == 0.0);
    let ended = engine.stop();
    ended.assert_identical();
    let wav = ended.recording();
    let samples: Vec<f32> = wav[WAV_HEADER..]
        .chunks_exact(8)
        .map(|it| f32::from_le_bytes(it[..4].try_into().expect("four")))
        .collect();
    let step = samples.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.01, "a step of {step}");
    let loud = samples.iter().rposition(|it| it.abs() > 0.4).expect("it was loud") as f64;
    let last = samples.iter().rposition(|it| it.abs() > 0.0).expect("it sounded") as f64;
    let (loud, last) = (loud / 48_000.0, last / 48_000.0);
    // From the last time it was nearly whole to its very end.
    assert!((0.38..=0.51).contains(&(last - loud)), "{loud} to {last}");
    let middle = peak(&wav, (loud + last) / 2.0 - 0.02..(loud + last) / 2.0 + 0.02);
    assert!((0.1..0.35).contains(&middle), "half-way there is half of it: {middle}");
}

/// What would fail in every worker is found where nobody listens, and costs nobody.
#[test]
fn what_fails_its_proof_is_refused_by_name_and_the_music_goes_on() {
    for (mode, device, code) in [
        ("panic", "freewheel:8x", "forbidden"),
        ("loop", "freewheel:8x", "forbidden"),
        ("nan", "freewheel:8x", "not_finite"),
        ("slow", "null", "full"),
    ] {
        let engine = Start::on(device).patch(HUM).play();
        let client = Client::new(engine.port());
        let refused = words(&client.ask("/patch/apply", &[text(&harmful(mode, 10))]));
        assert_eq!(refused[1..3], ["/patch/apply", code], "{mode}: {refused:?}");
        assert!(refused[3].contains("'bad'"), "{mode}: {refused:?}");
        engine.play_on(100);
        let status = engine.status();
        assert_eq!(counter(&status, "deaths"), 0, "{mode}: {status:#}");
        engine.stop().assert_identical_but_concealed();
    }
}

/// What fails only later is what it would be without a commit: one module is taken out, by its
/// name in the patch that plays.
#[test]
fn a_module_that_came_with_a_commit_and_crashes_is_bypassed_by_its_name() {
    let engine = hum();
    let client = Client::new(engine.port());
    let applied = words(&client.ask("/patch/apply", &[text(&harmful("panic", 500))]));
    assert_eq!(applied[..2], ["/done", "/patch/apply"], "{applied:?}");
    engine.wait_whole(1);
    engine.wait("it is told", |_| engine.log().contains("module 'bad' is bypassed"));
    engine.stop().assert_identical();
}

/// Within a fade two patches play, and who joins there plays both.
#[test]
fn deaths_within_a_fade_are_not_heard() {
    let engine = Start::on("freewheel:4x").patch(HUM).play();
    let client = Client::new(engine.port());
    for round in 0..3 {
        add_shared(&client, &format!("voice{round}"));
        let fade = OscType::Float(4000.0);
        assert_eq!(words(&client.ask("/patch/commit", &[fade]))[0], "/done");
        for death in 1..=2 {
            engine.hurt(primary(&engine.status()), Signal::KILL);
            engine.wait_whole(2 * round + death);
        }
    }
    engine.stop().assert_identical();
}

/// A control that dies within a commit leaves all of it or nothing, and its successor knows which.
#[test]
fn a_commit_whose_control_dies_is_whole_or_not_at_all() {
    let engine = hum();
    let mut names: Vec<String> = Vec::new();
    for round in 0..6_u64 {
        let client = Client::new(engine.port());
        let name = format!("voice{round}");
        begin(&client);
        add_voice(&client, &name, 300.0);
        client.send("/patch/commit", &[]);
        if round % 2 == 0 {
            // As far as the proof, or further.
            engine.wait("it is tried", |_| {
                engine.log().matches("a patch was tried").count() as u64 > round / 2
            });
        }
        let status = engine.status();
        let restarts = status["control"]["restarts"].as_u64();
        send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
        // Who asked hears of it, from whoever is there.
        let answer = words(&client.receive());
        engine.wait("control is back", |it| it["control"]["restarts"].as_u64() > restarts);
        let other = Client::new(engine.port());
        let list = words(&other.ask("/engine/list", &[]))[2].clone();
        let is_there = list.contains(&format!("\"{name}\""));
        match is_there {
            true => assert_eq!(answer[..2], ["/done", "/patch/commit"]),
            false => assert_eq!(answer[1..3], ["/patch/commit", "timeout"], "{answer:?}"),
        }
        names.extend(is_there.then_some(name));
        // What is there goes on, whichever it is.
        other.send("/mod/osc/freq", &[OscType::Float(100.0 + round as f32)]);
        assert_eq!(number(&other, "/mod/osc/freq"), 100.0 + round as f32);
        names.iter().for_each(|name| assert!(list.contains(name), "{name} was there: {list}"));
    }
    engine.stop().assert_identical();
}

/// A patch goes by its own title, also where a file cannot, and never by that of another one.
#[test]
fn a_patch_is_called_and_saved_by_its_own_title() {
    let engine = hum();
    let client = Client::new(engine.port());
    let name = || engine.status()["engine"]["patch"].clone();
    assert_eq!(name(), "hum");
    let apply = |top: &str| {
        let patch = text(&format!("segue = 1\n{top}\n[out]\n"));
        let answer = words(&client.ask("/patch/apply", &[patch]));
        assert_eq!(answer[..2], ["/done", "/patch/apply"], "{answer:?}");
    };
    apply("title = \"Bob's jam / 2\"");
    assert_eq!(name(), "Bob's jam / 2");
    let saved = words(&client.ask("/patch/save", &[]));
    assert!(saved[2].ends_with("/patches/Bob-s jam - 2.toml"), "{saved:?}");
    apply("");
    assert_eq!(name(), "");
    // Nor is another one waited for or found to be what it is not.
    let pipe = std::path::Path::new(&saved[2]).with_file_name("pipe.toml");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("made");
    let refused = words(&client.ask("/patch/load", &texts(&["pipe"])));
    assert_eq!(refused[1..3], ["/patch/load", "forbidden"], "{refused:?}");
    engine.stop();
}
