//! OSC traffic: round trips, and 10,000 messages a second of four clients.

use std::thread;

use rosc::OscType;
use segue_lockstep::memory::inbox::Count;
use segue_lockstep::memory::status::Counter;
use segue_sys::clock;

use crate::engine::{Engine, first_patch};
use crate::osc::Client;
use crate::table::{self, ms};

const CLIENTS: u64 = 4;
const SECONDS: u64 = 2;
/// Messages of one client, five every two milliseconds: 10,000 a second of all.
const EACH: u64 = SECONDS * 2500;
const BURST: u64 = 2000;
const ROUNDS: u64 = 500;

pub(crate) fn measure() {
    let engine = Engine::start(&first_patch(), &["--lead", "4"]);
    table::title("round trip over UDP, ms", &table::SPREAD);
    round_trips(&engine, "/engine/hello", "/done", false);
    round_trips(&engine, "/engine/status", "/done", false);
    round_trips(&engine, "/sync", "/synced", false);
    round_trips(&engine, "/sync", "/synced", true);
    let columns = ["sent", "received", "applied", "coalesced", "refused", "dropped", "answers"];
    table::title("messages over UDP", &columns);
    flood(&engine, "  10,000 a second for 2 s from 4 clients", |engine| {
        thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|who| scope.spawn(move || paced(engine, who)));
            let clients: Vec<_> = clients.collect();
            let ended = clients.into_iter().map(|it| it.join().expect("a client ends"));
            ended.fold((0, 0), |all, it| (all.0 + it.0, all.1 + it.1))
        })
    });
    flood(&engine, "  2,000 at once from one", |engine| {
        let client = Client::of(engine);
        (0..BURST).for_each(|number| one(&client, number));
        (BURST + 1, settle(&client))
    });
    println!("  sent and received count one /sync of each client too");
}

/// Asks and waits for the answer, again and again; with `set` a knob is turned just before.
fn round_trips(engine: &Engine, address: &str, answer: &str, set: bool) {
    let client = Client::of(engine);
    let number = address == "/sync";
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        // Not in step with the blocks.
        clock::sleep_until_ns(clock::monotonic_ns() + (round * 37 % 133) * 10_000);
        let sent_ns = clock::monotonic_ns();
        if set {
            client.send("/mod/filter/cutoff", Some(OscType::Float(500.0 + round as f32)));
        }
        client.send(address, number.then_some(OscType::Int(round as i32)));
        assert!(client.hear(answer, &mut 0), "{address} is answered");
        times.push(ms(clock::monotonic_ns() - sent_ns));
    }
    let behind = if set { " behind a set, which is in the log then" } else { "" };
    table::spread(&format!("  {address}{behind}"), times, 2);
}

/// Lets clients send, then prints what became of it.
fn flood(engine: &Engine, what: &str, send: impl Fn(&Engine) -> (u64, u64)) {
    let look = || {
        let of = |count| engine.count(count);
        let applied = engine.counter(Counter::Applied);
        let (coalesced, refused) = (of(Count::Coalesced), of(Count::Refused));
        [of(Count::Received), applied, coalesced, refused, of(Count::Dropped)]
    };
    let before = look();
    let (sent, answers) = send(engine);
    // Control asks the kernel once a second what it dropped.
    engine.play_on(1000);
    let after = look();
    let changes = after.iter().zip(before).map(|(after, before)| (after - before) as f64);
    let values: Vec<f64> =
        [sent as f64].into_iter().chain(changes).chain([answers as f64]).collect();
    table::row(what, &values, 0);
}

/// Sends in time; gives how many were sent, and how many answers there were but `/synced`.
fn paced(engine: &Engine, who: u64) -> (u64, u64) {
    let client = Client::of(engine);
    let mut due_ns = clock::monotonic_ns() + who * 500_000;
    for number in 0..EACH {
        if number % 5 == 0 {
            clock::sleep_until_ns(due_ns);
            due_ns += 2_000_000;
        }
        one(&client, number * CLIENTS + who);
    }
    (EACH + 1, settle(&client))
}

/// A message of a player: mostly knobs, now and then a gate.
fn one(client: &Client, number: u64) {
    let turn = (number % 1000) as f32;
    match number % 8 {
        0 => client.send("/gate/env", Some(OscType::Int((number / 8 % 2) as i32))),
        1 | 4 => client.send("/mod/osc/freq", Some(OscType::Float(220.0 + turn))),
        2 | 5 => client.send("/mod/filter/q", Some(OscType::Float(0.7 + turn / 500.0))),
        _ => client.send("/mod/filter/cutoff", Some(OscType::Float(200.0 + turn))),
    }
}

/// Waits until everything sent is in the log; gives how many other answers came.
fn settle(client: &Client) -> u64 {
    let mut others = 0;
    client.send("/sync", Some(OscType::Int(1)));
    if !client.hear("/synced", &mut others) {
        println!("  /sync was not answered within five seconds");
    }
    others
}
