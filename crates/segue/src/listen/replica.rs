//! One module of a running engine: an instrument that plays along here, and is listened to inside.
//!
//! It begins with the engine's newest checkpoint and is told what the log says, as a standby is,
//! but behind the playhead. *Invariant*: what comes out of it is compared, block by block, with
//! what was played; who listens is told if that differs.

use std::time::Duration;

use segue_hear::Ear;
use segue_lockstep::memory::orders::{Found, Kind, Orders};
use segue_lockstep::memory::tap::Played;
use segue_lockstep::memory::verdicts::Verdict;
use segue_lockstep::{BLOCK_FRAMES, Payload};
use segue_rack::{Plan, Rack, Setup};
use serde_json::json;

use super::Heard;
use super::played::{Listener, Stretch, follow};
use crate::control::newest_checkpoint;
use crate::exit::{Exit, Failure};
use crate::files::journal::{Bypass, Checkpoint, Command};
use crate::host::door::Visit;
use crate::offline::editions::{Written, adopted};
use crate::offline::player::{COMMAND, Player};

/// What is listened to.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    module: u16,
    /// `out` has two buses and no outlet of its own.
    outlets: Vec<usize>,
    /// Its id, and the name of its outlet.
    name: String,
}

impl Place {
    /// The outlet that `ID` or `ID.OUTLET` means, where `ID` may be `ID.PART` of an instrument.
    fn find(plan: &Plan, text: &str) -> Result<Self, String> {
        let whole = plan.module(text).map(|module| (module, text, None));
        let of_outlet = || {
            let (id, outlet) = text.rsplit_once('.')?;
            Some((plan.module(id)?, id, Some(outlet)))
        };
        let Some((module, id, outlet)) = whole.or_else(of_outlet) else {
            return Err(nobody(plan, text));
        };
        let outlets = plan.modules()[usize::from(module)].spec().outlets;
        let names = || outlets.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        match outlet {
            None if outlets.is_empty() => {
                Ok(Self { module, outlets: vec![0, 1], name: id.to_owned() })
            }
            None => Ok(Self { module, outlets: vec![0], name: id.to_owned() }),
            Some(name) => match outlets.iter().position(|it| it.name == name) {
                Some(at) => Ok(Self { module, outlets: vec![at], name: text.to_owned() }),
                None if outlets.is_empty() => {
                    Err(format!("'{id}' has no outlets by name; write --from {id}"))
                }
                None => Err(format!("no outlet '{name}' on '{id}'; there is {}", names())),
            },
        }
    }
}

/// What is said where no module is called by `text`, with or without an outlet behind it.
fn nobody(plan: &Plan, text: &str) -> String {
    let ids = |modules: &[u16]| {
        let ids = modules.iter().map(|module| plan.modules()[usize::from(*module)].id());
        ids.collect::<Vec<_>>().join(", ")
    };
    let first = text.split('.').next().unwrap_or(text);
    if text == first && plan.instrument(text).is_some() {
        let parts = ids(&plan.parts(text, |_| true));
        return format!("'{text}' is an instrument; name one of its parts: {parts}");
    }
    let id = text.rsplit_once('.').map_or(text, |(id, _)| id);
    let nearest = plan.nearest_module(text).or_else(|| plan.nearest_module(id));
    let hint = match nearest.filter(|nearest| plan.instrument(nearest).is_none()) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None if plan.instrument(first).is_some() => {
            format!("'{first}' has {}", ids(&plan.parts(first, |_| true)))
        }
        None => format!("there are {}", ids(&(0..).take(plan.modules().len()).collect::<Vec<_>>())),
    };
    format!("no module '{text}'; {hint}")
}

/// The instrument that plays along.
struct Replica {
    player: Player,
    orders: Orders,
    plans: Written,
    /// What it was asked for by.
    asked: String,
    /// The edition in which the place was found.
    edition: u32,
    place: Place,
    /// The next record of the log.
    record: u64,
    /// Verdicts that it was told.
    verdicts: usize,
    /// Blocks before this are rendered, and not listened to.
    from: u64,
    ear: Ear,
    /// A block of the outlets, interleaved.
    frames: Vec<f32>,
    compared: u64,
    differing: u64,
}

impl Replica {
    /// One that goes on from the newest checkpoint; gives the first block it has to be given.
    fn of(visit: &Visit, from: &str) -> Result<(Self, u64), Failure> {
        let later = |text: &str| Failure::new(Exit::TryAgain, text);
        let strange = |error: &dyn std::fmt::Display| {
            let text = format!("the engine plays what this version does not know: {error}");
            Failure::new(Exit::Unavailable, text)
        };
        let setup = Setup {
            rate: visit.shape.rate,
            channels: u16::try_from(visit.shape.channels).map_err(|error| strange(&error))?,
            state_bytes: visit.shape.state_words * 8,
        };
        let checkpoint = newest_checkpoint(&visit.slots, &visit.orders, u64::MAX);
        let (mark, state) = checkpoint.ok_or_else(|| {
            later("no worker has left a checkpoint yet; `segue status --wait 10s`, then try again")
        })?;
        let plans = Written(visit.plans.clone());
        let editions = editions(&state, &plans).map_err(|text| later(&text))?;
        let mut player = Player::probed(&editions, &setup).map_err(|error| strange(&error))?;
        let standing = (player.edition(), player.plan().clone());
        let (edition, plan, since) = newest(standing, mark.cursor, &visit.orders, &plans);
        let place = Place::find(&plan, from);
        let place = place.map_err(|text| Failure::new(Exit::NoInput, text))?;
        let checkpoint = Checkpoint::new(mark.block, mark.cursor, &state);
        player.restore(&checkpoint).map_err(|error| strange(&error))?;
        let replica = Self {
            edition,
            player,
            plans,
            asked: from.to_owned(),
            orders: visit.orders.clone(),
            ear: super::ear(setup.rate, place.outlets.len()),
            frames: vec![0.0; BLOCK_FRAMES * place.outlets.len()],
            place,
            record: mark.cursor,
            verdicts: 0,
            from: visit.tap.head().max(since),
            compared: 0,
            differing: 0,
        };
        Ok((replica, mark.block))
    }

    /// Tells the player what was decided for a block that was played: all of it was before.
    fn tell(&mut self, block: u64) -> Result<(), Failure> {
        let verdicts = self.orders.verdicts();
        let count = verdicts.count();
        for verdict in (self.verdicts..count).filter_map(|index| verdicts.read(index)) {
            match verdict {
                Verdict::Quarantine { number, .. } => self.player.quarantine(number),
                Verdict::Bypass { part, block } => self.player.bypass(Bypass { part, block }),
            }
        }
        self.verdicts = count;
        loop {
            match self.orders.record(self.record) {
                Found::Record(record) if record.block <= block => {
                    if record.kind == Kind::Command {
                        self.learn(&record.payload);
                        self.player.push(Command {
                            number: self.record,
                            block: record.block,
                            kind: COMMAND,
                            payload: record.payload,
                            origin: record.origin.into(),
                            more: record.more,
                        });
                    }
                    self.record += 1;
                }
                Found::Record(_) | Found::NotYet => return Ok(()),
                Found::Passed | Found::Damaged => {
                    let text = "the log went on faster than could be followed; try again";
                    return Err(Failure::new(Exit::TryAgain, text));
                }
            }
        }
    }
}

impl Replica {
    /// Learns of a plan that is gone over to.
    fn learn(&mut self, payload: &Payload) {
        if let Some(edition) = adopted(payload)
            && let Some(plan) = self.plans.of(edition)
        {
            self.player.learn(edition, plan);
        }
    }

    /// Looks for the place again where another plan plays.
    fn find_again(&mut self) -> Result<(), Failure> {
        if self.edition == self.player.edition() {
            return Ok(());
        }
        self.edition = self.player.edition();
        let width = self.place.outlets.len();
        match Place::find(self.player.plan(), &self.asked) {
            Ok(place) if place.outlets.len() == width => self.place = place,
            Ok(_) => return Err(gone(&self.asked, "it is of another type now")),
            Err(why) => return Err(gone(&self.asked, &why)),
        }
        Ok(())
    }
}

/// What is said where the patch was edited while it was listened to, and the place is gone.
fn gone(asked: &str, why: &str) -> Failure {
    let text = format!("the patch was edited meanwhile, and '{asked}' is not what it was: {why}");
    Failure::new(Exit::TryAgain, text)
}

/// The newest plan that is certain to be played, and from which block on: that of a state, or of
/// a commit in the log behind it.
fn newest(
    (edition, plan): (u32, Plan),
    cursor: u64,
    orders: &Orders,
    plans: &Written,
) -> (u32, Plan, u64) {
    let verdicts = orders.verdicts();
    let certain = (cursor..orders.head()).rev().find_map(|number| {
        let Found::Record(record) = orders.record(number) else { return None };
        if record.kind != Kind::Command || verdicts.is_quarantined(number) {
            return None;
        }
        let edition = adopted(&record.payload)?;
        Some((edition, plans.of(edition)?, record.block))
    });
    certain.unwrap_or((edition, plan, 0))
}

/// The plans that a state is of, the one in force last.
fn editions(state: &[u64], plans: &Written) -> Result<Vec<(u32, Plan)>, String> {
    let (edition, fading) = Rack::editions_of(state).map_err(|error| error.to_string())?;
    let read = |edition: u32| {
        let plan = plans.of(edition);
        let gone = || format!("the plan of edition {edition} is not there; try again");
        plan.map(|plan| (edition, plan)).ok_or_else(gone)
    };
    fading.into_iter().chain([edition]).map(read).collect()
}

impl Listener for Replica {
    fn take(&mut self, block: u64, played: Played, _: &[f32]) -> Result<(), Failure> {
        self.tell(block)?;
        let (_, hash) = self.player.render();
        if !played.concealed {
            self.compared += 1;
            self.differing += u64::from(hash != played.hash);
        }
        if block < self.from {
            return Ok(());
        }
        self.find_again()?;
        let width = self.place.outlets.len();
        for (at, outlet) in self.place.outlets.iter().enumerate() {
            let found = self.player.rack().outlet(self.place.module, *outlet);
            let (samples, stride, lanes) = found.expect("a probed rack has every outlet");
            let voices = samples.chunks_exact(stride).map(|frame| frame[..lanes].iter().sum());
            let own = self.frames.iter_mut().skip(at).step_by(width);
            own.zip(voices).for_each(|(own, sum)| *own = sum);
        }
        self.ear.hear(&self.frames);
        Ok(())
    }
}

/// Hears one outlet of a running engine from now on.
pub(super) fn hear(mut visit: Visit, from: &str, time: Duration) -> Result<Heard, Failure> {
    let (mut replica, first) = Replica::of(&visit, from)?;
    // A checkpoint may be ahead of what was played; what lies before now is only caught up with.
    replica.from = replica.from.max(first);
    let rate = f64::from(visit.shape.rate);
    let behind = (replica.from - first) as f64 * BLOCK_FRAMES as f64 / rate;
    let time = time.saturating_add(Duration::from_secs_f64(behind));
    let Stretch { first, blocks, concealed, flaw } = follow(&mut visit, first, time, &mut replica)?;
    let Replica { place, from, ear, compared, differing, .. } = replica;
    let last = first + blocks - 1;
    let source = format!(
        "{} in the engine of pid {}, blocks {from} to {last}; of {compared} blocks rendered along \
         {differing} differ from what was played",
        place.name, visit.pid
    );
    let source_json = json!({ "engine": {
        "pid": visit.pid, "from": place.name, "first_block": from,
        "blocks": (last + 1).saturating_sub(from), "concealed": concealed,
        "blocks_compared": compared, "blocks_differing": differing,
    }});
    let other = (differing > 0).then(|| {
        let text = format!(
            "{differing} of {compared} blocks differ from what was played: the checkpoint it began \
             with was damaged; listen again"
        );
        Failure::new(Exit::TryAgain, text)
    });
    Ok(Heard { report: ear.report(), source, source_json, flaw: flaw.or(other) })
}

#[cfg(test)]
mod tests {
    use segue_lockstep::memory::orders::{Kind, Orders, Record, Sealing};
    use segue_lockstep::memory::plans::Plans;
    use segue_rack::{Action, Command, Patch, Plan, Setup};
    use segue_sys::Region;

    use super::{Place, Written, newest};

    /// Checkpoints are rare, and who has just committed listens to what came by it.
    #[test]
    fn what_came_by_a_commit_is_there_before_the_next_checkpoint() {
        let of = |id: &str| {
            let text = format!("segue = 1\n[{id}]\ntype = \"osc\"\n[out]\nin = \"{id}\"\n");
            Plan::compile(&Patch::parse(&text).unwrap(), &Setup::default()).unwrap()
        };
        let orders = Orders::new(Region::heap(Orders::words())).unwrap();
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        let (old, new) = (of("old"), of("new"));
        plans.write(0, None, &old.to_bytes()).unwrap();
        plans.write(1, Some(0), &new.to_bytes()).unwrap();
        let action = Action::Adopt { edition: 1, check: new.hash() as u32, fade_frames: 0 };
        let panic = Command::now(Action::Panic).encode();
        for (number, payload) in (0..).zip([panic, Command::now(action).encode(), panic]) {
            let record = Record { block: 900, kind: Kind::Command, origin: 1, more: 0, payload };
            orders.append(number, record);
        }
        orders.publish(Sealing { head: 3, taken: 0, sealed: 905, end: None });
        let plans = Written(plans);
        let found = |cursor| {
            let (edition, plan, since) = newest((0, old.clone()), cursor, &orders, &plans);
            (edition, Place::find(&plan, "new").is_ok(), since)
        };
        assert_eq!(found(0), (1, true, 900));
        assert_eq!(found(2), (0, false, 0), "the state is of behind it");
    }

    #[test]
    fn an_outlet_is_found_by_its_name_or_the_nearest_is_told() {
        let text = "segue = 1\n[osc]\ntype = \"osc\"\n[out]\nin = \"osc\"\n";
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap();
        let find = |text: &str| Place::find(&plan, text);
        assert_eq!(find("osc").unwrap().outlets, [0]);
        assert_eq!(
            find("osc.out").unwrap(),
            Place { name: "osc.out".into(), ..find("osc").unwrap() }
        );
        assert_eq!(find("out").unwrap().outlets, [0, 1], "both sides");
        assert_eq!(find("osk").unwrap_err(), "no module 'osk'; did you mean 'osc'?");
        assert!(find("filter").unwrap_err().contains("there are osc, out"));
        assert!(find("osc.left").unwrap_err().contains("no outlet 'left' on 'osc'; there is out"));
        assert!(find("out.left").unwrap_err().contains("--from out"));
    }

    #[test]
    fn a_part_of_an_instrument_is_found_with_and_without_its_outlet() {
        let text = "segue = 1\nlead = { type = \"voice\" }\n[out]\nin = \"lead\"\n\
            [define.voice]\nout = \"filter\"\nsaw = { type = \"osc\" }\n\
            filter = { type = \"svf\", in = \"saw\" }\n";
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &Setup::default()).unwrap();
        let find = |text: &str| Place::find(&plan, text);
        let filter = plan.module("lead.filter").unwrap();
        let name = || "lead.filter".to_owned();
        assert_eq!(
            find("lead.filter"),
            Ok(Place { module: filter, outlets: vec![0], name: name() })
        );
        let band = Place { module: filter, outlets: vec![1], name: name() + ".band" };
        assert_eq!(find("lead.filter.band"), Ok(band));
        let told = [
            ("lead", "'lead' is an instrument; name one of its parts: lead.saw, lead.filter"),
            ("lead.fliter", "no module 'lead.fliter'; did you mean 'lead.filter'?"),
            ("lead.fliter.band", "no module 'lead.fliter.band'; did you mean 'lead.filter'?"),
            ("lead.amplifier", "'lead' has lead.saw, lead.filter"),
            ("lead.filter.left", "no outlet 'left' on 'lead.filter'"),
            ("bass.filter", "there are lead.saw, lead.filter, out"),
        ];
        for (text, expected) in told {
            let why = find(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
