//! `segue demo`: a piece whose primary is killed while it plays, and the proof that nobody could
//! have heard it.

mod compare;
mod engine;
mod piece;
mod report;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use segue_lockstep::memory::status::{Counter, Fact};
use segue_sys::clock;

use super::conversation::Conversation;
use super::status::{Seen, pause};
use crate::cli::DemoArgs;
use crate::cli::device::Device;
use crate::exit::{Exit, Failure};
use crate::files::folder;
use crate::host::door::Visit;
use compare::Comparison;
use engine::{Engine, Wound};
use piece::Piece;
use report::Report;

/// How often the primary is hurt, in time of the music.
const HURT_EVERY: Duration = Duration::from_secs(2);
/// How often the engine is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Plays, hurts, renders afresh, compares.
pub(crate) fn demo(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let device = args.device.clone().unwrap_or(Device::Auto).available()?;
    let length = args.length.unwrap_or(Duration::from_secs(20));
    let wav = folder::free(&PathBuf::from("segue-demo.wav"));
    let mut engine = Engine::start(&device, length, &wav)?;
    let visit = engine.wait_until_ok()?;
    let plays_on = visit.status.device();
    eprintln!("{}", report::opening(&device, &plays_on, &visit.status.trouble()));
    let wounds = perform(&mut engine, &visit, &device, length)?;
    engine.wait_for_end()?;
    eprintln!("rendering the journal afresh and comparing every sample");
    let comparison = Comparison::make(&wav, &engine.render()?)?;
    let report = Report {
        device: plays_on,
        trouble: visit.status.trouble(),
        seconds: length.as_secs_f64(),
        wounds,
        // The regions are still there: they are ours as long as we look at them.
        failovers: visit.status.counter(Counter::Failovers),
        deaths: visit.status.deaths(),
        began_ns: report::first_block_ns(&visit.status),
        none_reads: visit.status.counter(Counter::NoneReads),
        realtime: visit.status.fact(Fact::Realtime) != 0,
        comparison,
        wav,
    };
    report.show(args.json);
    Ok(if report.is_flawless() { Exit::Done } else { Exit::No }.into())
}

/// Plays the piece and hurts the primary until the engine has come to its end; gives how often.
fn perform(
    engine: &mut Engine,
    visit: &Visit,
    device: &Device,
    length: Duration,
) -> Result<u64, Failure> {
    let conversation = Conversation::open(engine.address())?;
    let mut piece = Piece::begin(!device.is_freewheel(), length)?;
    let bar = bar(length);
    let mut told = 0;
    let (mut wounds, mut next_wound) = (0_u64, HURT_EVERY);
    while !engine.has_ended()? {
        let played = Duration::from_secs_f64(
            visit.orders.playhead() as f64 * 64.0 / f64::from(visit.shape.rate),
        );
        piece.play(played, &conversation)?;
        if played >= next_wound && played + Duration::from_millis(100) < length {
            // The next one only when the last has healed: two at once is another story.
            if Seen::look(visit).is_whole() {
                let wound = if wounds % 2 == 0 { Wound::Kill } else { Wound::Freeze };
                wounds += u64::from(engine.hurt_primary(visit, wound));
                next_wound += HURT_EVERY;
            }
        }
        told = report::tell_deaths(&visit.status, told, &bar);
        let failovers = visit.status.counter(Counter::Failovers);
        let missed = visit.status.counter(Counter::NoneReads);
        bar.set_position(played.as_millis().try_into().unwrap_or(u64::MAX));
        bar.set_message(format!("{wounds} hurt, {failovers} failovers, {missed} blocks missed"));
        pause(LOOK_EVERY);
    }
    bar.finish_and_clear();
    Ok(wounds)
}

fn bar(length: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length.as_millis().try_into().unwrap_or(u64::MAX));
    match ProgressStyle::with_template("{wide_bar} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Nanoseconds of the monotonic clock, as a duration.
fn now() -> Duration {
    Duration::from_nanos(clock::monotonic_ns())
}
