//! The control process: everything that talks to the outside, in one loop.
//!
//! *Invariant*: it may die at any moment and nobody hears it. What a successor must know stands
//! in shared memory (the memo, the inbox) or in the files themselves.

mod desk;
mod follow;
pub(crate) mod memo;
mod sockets;
mod staging;
mod start;
mod turn;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use segue_lockstep::memory::inbox::{Count, Inbox};
use segue_sys::process::confine;

use crate::cli::settings::{JournalChoice, Settings};
use crate::exit::{Exit, Failure};
use crate::host::{ControlSeat, ToControl};
use desk::{Desk, Moment, Playing, Shared};
pub(crate) use follow::newest_checkpoint;
use follow::{Follower, News, Sources};
use sockets::{Drops, Incoming, Sockets};
use staging::Staging;
use start::Beginning;
use turn::Clerk;

/// The longest turn: the supervisor takes control for hung after two seconds without a beat.
const TURN: Duration = Duration::from_millis(50);
/// The longest turn while somebody waits for playout.
const SHORT_TURN: Duration = Duration::from_millis(1);
/// How often the kernel is asked what it dropped.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// The control process, from its seat to its end.
pub(crate) fn main(seat: ControlSeat) -> Exit {
    match run(seat) {
        Ok(exit) => exit,
        Err(Failure { exit, text }) => {
            eprintln!("{text}");
            exit
        }
    }
}

fn run(seat: ControlSeat) -> Result<Exit, Failure> {
    let drops = Drops::open();
    let beginning = if seat.generation > 1 {
        // First: where the files are, it is told by the memory of one that may have been taken
        // over.
        keep_to_folders(&seat.settings);
        start::again(&seat)?
    } else {
        let beginning = start::first(&seat)?;
        keep_to_folders(&seat.settings);
        beginning
    };
    let Beginning { plan, edition, mirror, mut memo, journal, recorder, mark, wanted } = beginning;
    let (staging, ended) = Staging::after(&memo.pending);
    memo.pending = staging.rows();
    memo.write(&seat.inbox);
    let (news_out, news) = mpsc::channel();
    let (orders_out, orders_in) = mpsc::channel();
    let sources = Sources {
        shape: seat.shape,
        orders: seat.orders.clone(),
        tap: seat.tap.clone(),
        inbox: seat.inbox.clone(),
        slots: seat.slots.clone(),
        plans: seat.plans.clone(),
    };
    let follower = Follower::new(sources, mark, journal, recorder, news_out);
    let builder = std::thread::Builder::new().name("segue-follow".to_owned());
    let thread = builder
        .spawn(move || follower.run(&orders_in))
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start a thread: {error}")))?;
    let playing = Playing { plan, edition, mirror, cost_ns: memo.cost_ns };
    let (inbox, orders, plans) = (seat.inbox.clone(), seat.orders.clone(), seat.plans.clone());
    let shared = Shared { inbox, orders, plans };
    let mut desk = Desk::new(playing, shared, staging, seat.generation, seat.slots.len() as u32);
    desk.tell_ended(ended);
    memo.commit.take().into_iter().for_each(|left| desk.tell_outcome(left));
    // All its threads are there.
    if is_confined()
        && let Err(error) = confine::confine_server()
    {
        eprintln!("control is not confined: {error}");
    }
    #[cfg(feature = "fault")]
    crate::host::fault::when_control_is_confined(&seat.settings.show, seat.generation);
    seat.inbox.set_ready(seat.generation);
    let now = Moment { wall: SystemTime::now(), steady: Duration::ZERO };
    wanted.into_iter().for_each(|text| desk.go_over(text, now));
    let exit = serve(seat, desk, Clerk::new(memo, orders_out), &news, drops);
    // Only its panic could be learned from this, and that has ended the process already.
    let _ = thread.join();
    Ok(exit)
}

/// From here on it opens files in its folders alone: the show folder, and those of the recording
/// and the journal that were asked for by name (further parts come beside them). A kernel that
/// cannot keep it there does not keep it from working.
fn keep_to_folders(settings: &Settings) {
    let named = match &settings.journal {
        JournalChoice::Named(path) => Some(path),
        JournalChoice::Default | JournalChoice::Off => None,
    };
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let beside = [named, settings.record.as_ref()].into_iter().flatten().map(absolute);
    let mut folders: Vec<PathBuf> =
        beside.filter_map(|path| path.parent().map(Path::to_owned)).collect();
    // Where it cannot be made, nothing can be recorded there either, and that is said when asked.
    if std::fs::create_dir_all(&settings.show).is_ok() {
        folders.push(absolute(&settings.show));
    }
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    if is_confined()
        && let Err(error) = confine::keep_to_folders(&folders)
    {
        eprintln!("control may open whatever its user may: {error}");
    }
}

/// Always, but where a test has it do what it may not.
fn is_confined() -> bool {
    #[cfg(feature = "fault")]
    if crate::host::fault::reaches_the_supervisor() {
        return false;
    }
    true
}

/// Says that control lives; nobody else writes this word.
fn beat(inbox: &Inbox) {
    inbox.set_beat(inbox.beat().wrapping_add(1));
}

/// Serves until the show has ended.
fn serve(
    mut seat: ControlSeat,
    mut desk: Desk,
    mut clerk: Clerk,
    news: &mpsc::Receiver<News>,
    mut drops: Drops,
) -> Exit {
    let mut sockets = Sockets::new(std::mem::take(&mut seat.udp), std::mem::take(&mut seat.tcp));
    let began = Instant::now();
    let mut drops_at = began;
    drops.since(sockets.udp());
    loop {
        let now = Moment { wall: SystemTime::now(), steady: began.elapsed() };
        desk.turn(now);
        for incoming in sockets.receive() {
            // Not once a turn: a flood makes long turns, and is no hang.
            beat(&seat.inbox);
            match incoming {
                Incoming::Packet(sender, packet) => desk.packet(sender, &packet, now),
                Incoming::Broken(sender, error) => {
                    clerk.broken(sender, error, &mut desk, &mut sockets);
                }
                Incoming::Closed(sender) => desk.closed(sender),
            }
            // In the order of asking: an answer does not wait for the packets behind it.
            clerk.run_errands(&mut desk, &mut sockets, &seat, now);
        }
        match seat.link.news() {
            Ok(Some(ToControl::Proved { plan, check, outcome })) => {
                desk.proved((plan as u32, check), &outcome, now);
            }
            Ok(None) => {}
            // Whatever can be read and is no answer is the end.
            Err(_) => return Exit::Unavailable,
        }
        beat(&seat.inbox);
        desk.turn(now);
        desk.look_at(&seat.slots, now);
        clerk.run_errands(&mut desk, &mut sockets, &seat, now);
        while let Ok(news) = news.try_recv() {
            if matches!(news, News::Finished) {
                return Exit::Done;
            }
            clerk.hear(news, &mut desk, &mut sockets, &seat, now);
        }
        if drops_at.elapsed() >= DROPS_EVERY {
            drops_at = Instant::now();
            let dropped = drops.since(sockets.udp());
            if dropped > 0 {
                seat.inbox.add(Count::Dropped, dropped);
            }
        }
        sockets.wait(seat.link.as_fd(), if desk.is_waiting() { SHORT_TURN } else { TURN });
    }
}
