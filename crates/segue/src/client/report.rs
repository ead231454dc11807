//! A snapshot as users see it: JSON with promised fields, and a few lines for people.

use std::collections::BTreeMap;

use segue_lockstep::memory::inbox::Count;
use segue_lockstep::memory::status::{Counter, Death, Fact};
use segue_lockstep::monitor::State;
use segue_lockstep::snapshot::{Health, SlotSnapshot, Snapshot};
use segue_lockstep::{BLOCK_FRAMES, Shape};
use segue_rack::{Performer, Plan, Rack, Setup};
use serde_json::{Value, json};

use crate::control::memo::Memo;
use crate::files::folder::rfc3339;
use crate::offline::editions::Written;

/// What `segue status --json` and `/engine/status` give.
pub(crate) fn json(snapshot: &Snapshot, shape: &Shape) -> Value {
    let memo = memo(snapshot);
    let mut problems = problems(snapshot, &memo);
    problems.extend(memo.problems.iter().cloned());
    problems.extend(priority_problem(snapshot));
    problems.extend(resets(snapshot, shape, &memo));
    let panel = panel(snapshot, shape);
    if let Some(panel) = &panel {
        problems
            .extend(bypassed(panel.plan(), panel.rack()).map(|id| {
                format!("module '{id}' is bypassed; /engine/revive {id} brings it back")
            }));
    }
    let slots = snapshot.slots.iter().zip(0_u32..);
    let slots: Vec<_> = slots.map(|(slot, at)| slot_json(snapshot, slot, at, &memo)).collect();
    let deaths: Vec<_> = snapshot.deaths.iter().map(|it| death_json(snapshot, it, &memo)).collect();
    let changes: Vec<_> = snapshot
        .changes
        .iter()
        .map(|it| {
            let at = wall(snapshot, it.at_ns);
            json!({ "at": at, "block": it.block, "from": it.from, "to": it.to, "cause": it.cause })
        })
        .collect();
    let mut engine = engine_json(snapshot, shape, &memo);
    engine["edition"] = json!(panel.as_ref().map(Performer::edition));
    json!({
        "schema": 1,
        "health": health_word(health(snapshot, &memo)),
        "problems": problems,
        "engine": engine,
        "transport": Value::Null,
        "recording": memo.recording.as_ref().map(|it| &it.path),
        "journal": memo.journal,
        "slots": slots,
        "master": panel.as_ref().map(master_json),
        "gates": panel.as_ref().map(|it| gates_json(it.plan(), it.rack())),
        "control": {
            "pid": process(snapshot.fact(Fact::ControlPid)),
            "generation": snapshot.fact(Fact::ControlGeneration),
            "restarts": snapshot.fact(Fact::ControlRestarts),
            "waiting": snapshot.waiting(),
        },
        "bypassed": panel
            .as_ref()
            .map(|it| bypassed(it.plan(), it.rack()).collect::<Vec<_>>()),
        "counters": counters_json(snapshot),
        "changes": changes,
        "deaths": deaths,
        "levels": { "peak": snapshot.levels.peak, "rms": snapshot.levels.rms },
    })
}

/// The same for people.
pub(crate) fn text(snapshot: &Snapshot, shape: &Shape) -> String {
    let status = json(snapshot, shape);
    let engine = &status["engine"];
    let patch = match word(&engine["patch"]) {
        none if none.is_empty() => "an empty rack".to_owned(),
        patch => format!("'{patch}'"),
    };
    let mut text = format!(
        "{}: {} plays {patch} on {} ({}), {} Hz, {} channels, up {:.0} s\n",
        word(&status["health"]),
        word(&engine["pid"]),
        word(&engine["device"]),
        word(&engine["device_name"]),
        engine["rate"],
        engine["channels"],
        engine["uptime_s"].as_f64().unwrap_or(0.0),
    );
    let resumed = &engine["resumed_from"];
    if !resumed.is_null() {
        text += &format!(
            "  resumed from {} at block {}\n",
            word(&resumed["journal"]),
            resumed["block"]
        );
    }
    for problem in entries(&status["problems"]) {
        text += &format!("  ! {}\n", word(problem));
    }
    for slot in entries(&status["slots"]) {
        text += &slot_text(slot);
    }
    let (recording, journal) = (word(&status["recording"]), word(&status["journal"]));
    text += &format!("  recording {recording}, journal {journal}\n");
    let counters = status["counters"].as_object().into_iter().flatten();
    let told = counters.filter(|(name, count)| **count != 0 || *name == "none_reads");
    let told: Vec<String> = told.map(|(name, count)| format!("{name} {count}")).collect();
    text += &format!("  {}\n", told.join(", "));
    for death in entries(&status["deaths"]).rev().take(3) {
        text += &format!(
            "  slot {} died at {}: {} ({}), {} {}\n",
            death["slot"],
            word(&death["at"]),
            word(&death["cause"]),
            word(&death["breadcrumb"]),
            word(&death["done"]),
            death["last_words"].as_str().unwrap_or_default(),
        );
    }
    text
}

fn slot_text(slot: &Value) -> String {
    format!(
        "  slot {} {:8} {:11} pid {} block {} restarts {} render p99 {} us\n",
        slot["slot"],
        word(&slot["role"]),
        word(&slot["state"]),
        word(&slot["pid"]),
        word(&slot["last_block"]),
        slot["restarts"],
        slot["render_us"]["p99"],
    )
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn entries(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// How an engine is, and why.
pub(crate) fn diagnosis(snapshot: &Snapshot) -> (Health, Vec<String>) {
    let memo = memo(snapshot);
    (health(snapshot, &memo), problems(snapshot, &memo))
}

/// How it is, with what control knows: a show that cannot be gone on with lacks something.
fn health(snapshot: &Snapshot, memo: &Memo) -> Health {
    match snapshot.health {
        Health::Ok if memo.unwritten.is_some() => Health::Degraded,
        health => health,
    }
}

/// What keeps it from being well.
fn problems(snapshot: &Snapshot, memo: &Memo) -> Vec<String> {
    snapshot.problems.iter().chain(&memo.unwritten).cloned().collect()
}

/// The word for how the engine is.
pub(crate) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Silent => "silent",
    }
}

fn memo(snapshot: &Snapshot) -> Memo {
    let bytes = snapshot.memo().unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn engine_json(snapshot: &Snapshot, shape: &Shape, memo: &Memo) -> Value {
    let device = snapshot.device.split_once(':').unwrap_or((&snapshot.device, ""));
    let now_ns = segue_sys::clock::monotonic_ns();
    let uptime_ns = now_ns.saturating_sub(snapshot.fact(Fact::StartedMonotonic));
    let heard = snapshot.fact(Fact::DeviceLatency);
    let frames = snapshot.period + snapshot.lead * BLOCK_FRAMES as u64 + heard;
    json!({
        "version": crate::offline::build::VERSION,
        "pid": snapshot.fact(Fact::Pid),
        "uptime_s": uptime_ns as f64 / 1e9,
        "started_at": rfc3339(snapshot.fact(Fact::StartedRealtime)),
        "device": device.0,
        "device_name": device.1,
        "device_drives": snapshot.fact(Fact::DeviceDrives) != 0,
        "period": snapshot.period,
        "latency_ms": frames as f64 * 1000.0 / f64::from(shape.rate),
        "rate": shape.rate,
        "block": BLOCK_FRAMES,
        "lead": snapshot.lead,
        "channels": shape.channels,
        "playhead": snapshot.playhead,
        "active": snapshot.primary,
        "realtime": snapshot.fact(Fact::Realtime) != 0,
        "realtime_by": match snapshot.fact(Fact::Realtime) {
            0 => None,
            2 => Some("rtkit"),
            _ => Some("kernel"),
        },
        "patch": memo.patch,
        "resumed_from": memo.resumed.as_ref().map(|it| {
            json!({ "journal": it.journal, "block": it.block })
        }),
    })
}

/// Said beside what is wrong with the engine: it plays, but less surely. Without a clock no
/// priority is asked for.
fn priority_problem(snapshot: &Snapshot) -> Option<String> {
    let wanted = !snapshot.device.starts_with("freewheel");
    (wanted && snapshot.fact(Fact::Realtime) == 0).then(|| {
        "no real-time priority: blocks may be missed on a busy machine; `segue doctor` tells the \
         cure"
            .to_owned()
    })
}

/// The modules that were set back within the last minute.
fn resets(snapshot: &Snapshot, shape: &Shape, memo: &Memo) -> Vec<String> {
    let minute = 60 * u64::from(shape.rate) / BLOCK_FRAMES as u64;
    let recent = snapshot.newest_resets.iter().filter(|it| it.to + minute > snapshot.playhead);
    let last: BTreeMap<_, _> = recent.map(|reset| (reset.part, reset.to)).collect();
    let sentence = |(part, block): (u32, u64)| {
        let name = module_name(part.into(), memo);
        format!("the output of {name} was no number, last in block {block}; it was reset")
    };
    last.into_iter().map(sentence).collect()
}

/// The instrument as the newest checkpoint has it, to see its knobs; before there is one, as it
/// begins.
pub(crate) fn panel(snapshot: &Snapshot, shape: &Shape) -> Option<Panel> {
    let setup = Setup {
        rate: shape.rate,
        channels: u16::try_from(shape.channels).ok()?,
        state_bytes: shape.state_words * 8,
    };
    let plans = Written(snapshot.plans.clone());
    let edition = match &snapshot.state {
        Some(state) => Rack::editions_of(state).ok()?.0,
        None => u32::try_from(snapshot.plans.first()?).ok()?,
    };
    let mut panel = Performer::probed(plans, edition, &setup).ok()?;
    if let Some(state) = &snapshot.state {
        panel.restore(state).ok()?;
    }
    Some(panel)
}

/// An instrument that is looked at.
pub(crate) type Panel = Performer<Written>;

/// The modules that a verdict has taken out of the signal.
fn bypassed<'a>(plan: &'a Plan, rack: &'a Rack) -> impl Iterator<Item = &'a str> {
    let modules = (0_u16..).zip(plan.modules());
    modules.filter(|(at, _)| rack.is_bypassed(*at)).map(|(_, module)| module.id())
}

fn master_json(panel: &Panel) -> Value {
    let (gain, muted) = panel.rack().master();
    json!({ "gain": gain, "muted": muted })
}

fn gates_json(plan: &Plan, rack: &Rack) -> Value {
    let modules = plan.modules().iter().zip(0_u16..);
    let gates = modules
        .filter(|(module, _)| module.spec().has_gate)
        .map(|(module, at)| (module.id().to_owned(), json!(rack.gate(at))));
    Value::Object(gates.collect())
}

/// What a slot that does not play waits for.
fn waiting_for(slot: &SlotSnapshot, now_ns: u64) -> Option<String> {
    match slot.state {
        State::Lockstep => None,
        State::Starting => Some("its worker to load the plan".to_owned()),
        State::Joining => Some(format!("replay, now at block {}", slot.reached)),
        State::Leaving => Some("the end of its worker".to_owned()),
        State::Empty => {
            let wait_ms = slot.facts.retry_ns.saturating_sub(now_ns) / 1_000_000;
            Some(format!("its next worker, in {wait_ms} ms"))
        }
        State::GivenUp => Some("/engine/revive".to_owned()),
    }
}

/// The number of a process; none where there is none: a script that kills what it reads here would
/// end itself with a 0.
fn process(pid: u64) -> Option<u64> {
    (pid != 0).then_some(pid)
}

fn slot_json(snapshot: &Snapshot, slot: &SlotSnapshot, at: u32, memo: &Memo) -> Value {
    let facts = &slot.facts;
    let now_ns = segue_sys::clock::monotonic_ns();
    let us = |ns: u64| ns as f64 / 1000.0;
    let state = match slot.state {
        State::Lockstep if slot.stalled => "stalled",
        State::Lockstep => "lockstep",
        State::Starting => "starting",
        State::Joining => "joining",
        State::Leaving | State::Empty => "backing_off",
        State::GivenUp => "given_up",
    };
    let behind = snapshot.playhead.saturating_sub(slot.last_block.map_or(0, |block| block + 1));
    json!({
        "slot": at,
        "pid": process(facts.pid),
        "role": if slot.primary { "primary" } else { "standby" },
        "state": state,
        "generation": facts.generation,
        "uptime_s": now_ns.saturating_sub(facts.born_ns) as f64 / 1e9,
        "waiting_for": waiting_for(slot, now_ns),
        "breadcrumb": crumb_text(slot.crumb.0.to_numbers(), slot.crumb.1, memo),
        "last_block": slot.last_block,
        "last_block_age_ms": now_ns.saturating_sub(facts.moved_ns) as f64 / 1e6,
        "behind_blocks": behind,
        "restarts": facts.restarts,
        "render_us": {
            "p50": us(slot.render.p50_ns),
            "p99": us(slot.render.p99_ns),
            "max": us(slot.render.max_ns),
        },
        "hash_agrees": facts.agrees != 0,
        "levels": { "peak": slot.levels.peak, "rms": slot.levels.rms },
    })
}

fn counters_json(snapshot: &Snapshot) -> Value {
    let of = |counter| snapshot.counter(counter);
    json!({
        "failovers": of(Counter::Failovers),
        "role_changes": of(Counter::RoleChanges),
        "none_reads": of(Counter::NoneReads),
        "commands_received": snapshot.count(Count::Received),
        "commands_applied": of(Counter::Applied),
        "commands_refused": snapshot.count(Count::Refused),
        "commands_dropped": snapshot.count(Count::Dropped),
        "commands_coalesced": snapshot.count(Count::Coalesced),
        "quarantined": of(Counter::Quarantined),
        "bypassed": of(Counter::Bypassed),
        "resets": snapshot.resets,
        "divergences": of(Counter::Divergences),
        "late": of(Counter::Late),
        "anchors": of(Counter::Anchors),
        "gaps": snapshot.count(Count::Gaps),
        "device_losses": of(Counter::DeviceLosses),
        "xruns": of(Counter::Xruns),
        "deaths": of(Counter::Deaths),
    })
}

fn death_json(snapshot: &Snapshot, death: &Death, memo: &Memo) -> Value {
    let signal = (death.signal != 0).then_some(death.signal);
    let again = (death.lockstep_again_ns != 0).then_some(death.lockstep_again_ns as f64 / 1e6);
    json!({
        "slot": death.slot,
        "pid": death.pid,
        "generation": death.generation,
        "at": wall(snapshot, death.at_ns),
        "block": death.block,
        "uptime_s": death.lived_ns as f64 / 1e9,
        "was_primary": death.was_primary,
        "cause": death.cause,
        "signal": signal,
        "exit_code": death.exit_code,
        "breadcrumb": crumb_text(death.crumb, death.crumb_block, memo),
        "last_words": death.last_words,
        "done": death.done,
        "lockstep_again_ms": again,
    })
}

/// What a worker does, or did when it died, in words.
fn crumb_text((kind, number): (u64, u64), block: u64, memo: &Memo) -> String {
    let doing = match kind {
        1 => format!("command {number}"),
        2 => module_name(number, memo),
        3 => "writing a checkpoint".to_owned(),
        4 => "loading".to_owned(),
        _ => "idle".to_owned(),
    };
    format!("block {block}, {doing}")
}

/// A module by its id, or by its number where that is not known.
fn module_name(number: u64, memo: &Memo) -> String {
    let module = usize::try_from(number).ok().and_then(|at| memo.modules.get(at));
    module.map_or_else(|| format!("module {number}"), |id| format!("module {id}"))
}

/// A moment of the monotonic clock on the calendar.
fn wall(snapshot: &Snapshot, at_ns: u64) -> String {
    let since = at_ns.saturating_sub(snapshot.fact(Fact::StartedMonotonic));
    rfc3339(snapshot.fact(Fact::StartedRealtime) + since)
}
