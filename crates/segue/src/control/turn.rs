//! The clerk: runs the desk's errands and brings it the follower's news.

use std::path::PathBuf;
use std::sync::mpsc::Sender as Channel;
use std::time::SystemTime;

use rosc::{OscMessage, OscType};
use segue_lockstep::memory::inbox::Count;
use segue_lockstep::snapshot::{Snapshot, Views};

use super::desk::{Desk, Errand, Moment, answers};
use super::follow::{News, Order};
use super::memo::{self, Memo};
use super::sockets::{Sender, Sockets};
use super::start;
use crate::client::conversation::shown;
use crate::client::report;
use crate::files::folder;
use crate::files::patches::{PatchFileError, Patches};
use crate::host::{ControlSeat, ToSupervisor};
use crate::offline::build;
use crate::osc::address::{EngineAsk, RecordAsk};
use crate::osc::framing::FramingError;
use crate::osc::refusal::{Code, Refusal};
use crate::osc::reply;

/// What is written and what is wrong, and the way to the follower.
pub(super) struct Clerk {
    memo: Memo,
    follower: Channel<Order>,
    /// Who is told when the recording fails.
    recording_for: Option<Sender>,
}

impl Clerk {
    /// A clerk that begins with this memo.
    pub(super) fn new(memo: Memo, follower: Channel<Order>) -> Self {
        Self { memo, follower, recording_for: None }
    }

    /// Does everything the desk has left to do.
    pub(super) fn run_errands(
        &mut self,
        desk: &mut Desk,
        sockets: &mut Sockets,
        seat: &ControlSeat,
        now: Moment,
    ) {
        // Before anything of it is answered: what is known here alone would be forgotten.
        let (pending, commit) = (desk.pending(), desk.under_way());
        if pending != self.memo.pending || commit.is_some() && commit != self.memo.commit {
            self.memo.pending = pending;
            self.memo.commit = commit;
            self.memo.write(&seat.inbox);
        }
        loop {
            let errands = desk.errands();
            if errands.is_empty() {
                // Behind its answer: told twice is better than not at all.
                if self.memo.commit.is_some() && desk.under_way().is_none() {
                    self.memo.commit = None;
                    self.memo.write(&seat.inbox);
                }
                return;
            }
            for errand in errands {
                self.run_errand(errand, desk, sockets, seat, now);
            }
        }
    }

    fn run_errand(
        &mut self,
        errand: Errand,
        desk: &mut Desk,
        sockets: &mut Sockets,
        seat: &ControlSeat,
        now: Moment,
    ) {
        match errand {
            Errand::Reply(Sender::Own, message) => {
                eprintln!("{}", shown(&message));
                if message.addr == "/error" {
                    self.complain(format!("the patch is not gone over to: {}", shown(&message)));
                    self.memo.write(&seat.inbox);
                }
            }
            Errand::Reply(sender, message) => sockets.reply(sender, &message),
            Errand::Record(sender, ask) => self.record(sender, ask, desk, sockets, seat),
            Errand::Engine(sender, ask) => {
                let text = |text: String| vec![OscType::String(text)];
                let (address, results) = match ask {
                    EngineAsk::Hello => ("/engine/hello", answers::hello()),
                    EngineAsk::List => ("/engine/list", text(answers::list(desk.plan()))),
                    EngineAsk::Schema => ("/engine/schema", text(build::schema().to_string())),
                    EngineAsk::Status => ("/engine/status", text(status(seat))),
                    // These are done at the desk itself.
                    EngineAsk::Revive(_) | EngineAsk::Panic | EngineAsk::Clear => return,
                };
                sockets.reply(sender, &reply::done(address, results));
            }
            // A supervisor that cannot be asked any more is about to be noticed as gone.
            Errand::ReviveSlots(slot) => drop(seat.link.send(&ToSupervisor::Revive { slot })),
            Errand::Panic => drop(seat.link.send(&ToSupervisor::Panic)),
            Errand::Prove { edition, check } => {
                let plan = edition.into();
                drop(seat.link.send(&ToSupervisor::Prove { plan, check }));
            }
            Errand::Adopted => self.adopted(desk, seat),
            Errand::Save(sender, message, name, text) => {
                let today = || folder::timestamp(SystemTime::now());
                let name = name.or_else(|| folder::name_of(&self.memo.patch));
                let name = name.unwrap_or_else(today);
                match Patches::of(&seat.settings.show).save(&name, &text) {
                    Ok(path) => {
                        let results = vec![OscType::String(path_text(&path))];
                        sockets.reply(sender, &reply::done(&message.addr, results));
                    }
                    Err(error) => desk.refuse(sender, &message, &not_filed(&error)),
                }
            }
            Errand::Load(sender, message, name) => {
                let read = Patches::of(&seat.settings.show).load(&name);
                desk.loaded(sender, message, read.map_err(|error| not_filed(&error)), now);
            }
        }
    }

    /// Another patch plays: that is what status names, and a successor has to know.
    fn adopted(&mut self, desk: &Desk, seat: &ControlSeat) {
        let plan = desk.plan();
        let (edition, modules) = (desk.edition(), plan.modules().len());
        eprintln!("edition {edition} plays: '{}', {modules} modules", plan.title());
        self.memo.patch = memo::called(plan, &self.memo.patch, desk.had_title());
        plan.source().clone_into(&mut self.memo.text);
        self.memo.modules = plan.modules().iter().map(|it| it.id().to_owned()).collect();
        self.memo.cost_ns = desk.cost_ns();
        self.memo.write(&seat.inbox);
    }

    fn record(
        &mut self,
        sender: Sender,
        ask: RecordAsk,
        desk: &mut Desk,
        sockets: &mut Sockets,
        seat: &ControlSeat,
    ) {
        match ask {
            RecordAsk::Start(name) => {
                match start::recording_path(&seat.settings.show, name.as_deref()) {
                    // The follower lives as long as this process.
                    Ok(path) => drop(self.follower.send(Order::Start(sender, path))),
                    Err(why) => {
                        let args = name.into_iter().map(OscType::String).collect();
                        let asked = OscMessage { addr: "/record/start".to_owned(), args };
                        desk.refuse(sender, &asked, &Refusal::new(Code::Forbidden, why));
                    }
                }
            }
            RecordAsk::Stop => drop(self.follower.send(Order::Stop(Some(sender)))),
            RecordAsk::Status => {
                let path = self.memo.recording.as_ref().map(|it| path_text(&it.path));
                let results = vec![OscType::String(path.unwrap_or_default())];
                sockets.reply(sender, &reply::done("/record/status", results));
            }
        }
    }

    /// A stream that cannot be read on: told, and ended.
    pub(super) fn broken(
        &mut self,
        sender: Sender,
        error: FramingError,
        desk: &mut Desk,
        sockets: &mut Sockets,
    ) {
        let code = match error {
            FramingError::TooLong => Code::TooLong,
            FramingError::Escape => Code::WrongType,
        };
        let nothing = OscMessage { addr: String::new(), args: Vec::new() };
        desk.refuse(sender, &nothing, &Refusal::new(code, error.to_string()));
        for errand in desk.errands() {
            if let Errand::Reply(to, message) = errand {
                sockets.reply(to, &message);
            }
        }
        sockets.end(sender);
    }

    /// Takes the follower's news: told to whom it concerns, kept in the memo.
    pub(super) fn hear(
        &mut self,
        news: News,
        desk: &mut Desk,
        sockets: &mut Sockets,
        seat: &ControlSeat,
        now: Moment,
    ) {
        match news {
            News::Started(sender, recording) => {
                let results = vec![
                    OscType::String(path_text(&recording.path)),
                    OscType::Long(i64::try_from(recording.start_frame).unwrap_or(i64::MAX)),
                ];
                sockets.reply(sender, &reply::done("/record/start", results));
                self.recording_for = Some(sender);
                self.memo.recording = Some(recording);
            }
            News::NotStarted(sender, why) => {
                desk.refuse(sender, &plain("/record/start"), &Refusal::new(Code::Busy, why));
                self.run_errands(desk, sockets, seat, now);
            }
            News::NextPart(recording) => self.memo.recording = Some(recording),
            News::Stopped(sender, path, frames) => {
                self.memo.recording = None;
                if let Some(sender) = sender {
                    let frames = OscType::Long(i64::try_from(frames).unwrap_or(i64::MAX));
                    let results = vec![OscType::String(path_text(&path)), frames];
                    sockets.reply(sender, &reply::done("/record/stop", results));
                }
            }
            News::NothingToStop(sender) => {
                let refusal = Refusal::new(Code::Busy, "nothing is being recorded");
                desk.refuse(sender, &plain("/record/stop"), &refusal);
                self.run_errands(desk, sockets, seat, now);
            }
            News::RecordingFailed(why) => {
                let text = format!("the recording ended: {why}");
                if let Some(sender) = self.recording_for.take() {
                    let refusal = Refusal::new(Code::Full, text.clone());
                    desk.refuse(sender, &plain("/record/start"), &refusal);
                    self.run_errands(desk, sockets, seat, now);
                }
                self.memo.recording = None;
                self.complain(text);
            }
            News::Journal(path) => self.go_on_in(path, seat.settings.journal_keep),
            News::JournalFailed(why) => {
                self.complain(format!("the journal ended: {why}"));
                self.memo.lose_journal(&why);
            }
            News::Gap => {
                seat.inbox.add(Count::Gaps, 1);
                self.complain("a recording or the journal has a gap: the disk was slow".to_owned());
            }
            News::Finished => {}
        }
        self.memo.write(&seat.inbox);
    }

    /// The journal goes on in another file: the oldest make room for it.
    fn go_on_in(&mut self, path: PathBuf, keep: u64) {
        if let Some(journals) = path.parent() {
            for problem in folder::prune(journals, "journal", keep, &path) {
                self.complain(problem);
            }
        }
        if self.memo.journal.is_none() {
            let text = "what was played since it ended is in none";
            self.complain(format!("the journal goes on in {}; {text}", path.display()));
        }
        self.memo.journal = Some(path);
        self.memo.unwritten = None;
    }

    fn complain(&mut self, problem: String) {
        eprintln!("{problem}");
        self.memo.complain(problem);
    }
}

/// Why a patch is not written or read.
fn not_filed(error: &PatchFileError) -> Refusal {
    let code = match error {
        PatchFileError::Name(_)
        | PatchFileError::Unknown { .. }
        | PatchFileError::Unreadable { .. } => Code::Forbidden,
        PatchFileError::TooLong(_) => Code::TooLong,
        PatchFileError::Io { .. } => Code::Full,
    };
    Refusal::new(code, error.to_string())
}

fn plain(address: &str) -> OscMessage {
    OscMessage { addr: address.to_owned(), args: Vec::new() }
}

fn path_text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn status(seat: &ControlSeat) -> String {
    let mut views = Views {
        shape: seat.shape,
        orders: seat.orders.clone(),
        status: seat.status.clone(),
        slots: seat.slots.clone(),
        inbox: seat.inbox.clone(),
        tap: seat.tap.clone(),
        plans: seat.plans.clone(),
    };
    let snapshot = Snapshot::read(&mut views, segue_sys::clock::monotonic_ns());
    report::json(&snapshot, &seat.shape).to_string()
}
