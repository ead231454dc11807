//! The shared memory of one engine, made once and never replaced.

use std::io;

use rustix::fs::Mode;
use segue_lockstep::Shape;
use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::Status;
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::playout;
use segue_sys::Region;

/// All regions, laid out.
#[derive(Clone, Debug)]
pub(super) struct Regions {
    /// What the supervisor says to all, and the log.
    pub(super) orders: Orders,
    /// What was played.
    pub(super) tap: Tap,
    /// Counters, slots, deaths.
    pub(super) status: Status,
    /// Commands on their way.
    pub(super) inbox: Inbox,
    /// Compiled patches.
    pub(super) plans: Plans,
    /// The state with which a show is gone on with, if one is.
    pub(super) origin: Option<Origin>,
    /// The workers' places.
    pub(super) slots: Vec<Slot>,
}

impl Regions {
    /// Makes them. Those that only the supervisor writes are sealed, so that nobody else ever
    /// can; the others only their own user may reopen. One more where a show is gone on with.
    pub(super) fn new(shape: &Shape, resumes: bool) -> io::Result<Self> {
        let short = || io::Error::other("a region is smaller than its layout");
        let orders = Orders::new(own("segue-orders", Orders::words())?).ok_or_else(short)?;
        let tap = Tap::new(own("segue-tap", Tap::words(shape))?, shape).ok_or_else(short)?;
        let status = Status::new(own("segue-status", Status::words())?).ok_or_else(short)?;
        let inbox = Inbox::new(shared("segue-inbox", Inbox::words())?).ok_or_else(short)?;
        let plans = Plans::new(on_demand("segue-plans", Plans::words())?).ok_or_else(short)?;
        let origin = if resumes {
            let region = on_demand("segue-origin", Origin::words(shape))?;
            Some(Origin::new(region, shape).ok_or_else(short)?)
        } else {
            None
        };
        let mut slots = Vec::new();
        for slot in 0..shape.slots {
            let region = on_demand(&format!("segue-slot-{slot}"), Slot::words(shape))?;
            let place = Slot::new(region, shape).ok_or_else(short)?;
            // What a state takes of the room is its guest's affair.
            place.touch(0)?;
            slots.push(place);
        }
        Ok(Self { orders, tap, status, inbox, plans, origin, slots })
    }

    /// What playout works on.
    pub(super) fn playout_parts(&self) -> playout::Parts {
        playout::Parts {
            orders: self.orders.clone(),
            slots: self.slots.clone(),
            inbox: self.inbox.clone(),
            tap: self.tap.clone(),
            status: self.status.clone(),
        }
    }

    /// What control writes, in the order of its seat.
    pub(super) fn by_control(&self) -> Vec<&Region> {
        let origin = self.origin.iter().map(Origin::region);
        [self.inbox.region(), self.plans.region()].into_iter().chain(origin).collect()
    }

    /// What a visitor at the door may read, in the order the door hands it out.
    pub(super) fn for_visitors(&self) -> Vec<&Region> {
        let fixed = [
            self.orders.region(),
            self.status.region(),
            self.inbox.region(),
            self.tap.region(),
            self.plans.region(),
        ];
        fixed.into_iter().chain(self.slots.iter().map(Slot::region)).collect()
    }

    /// What control may read, in the order of its seat.
    pub(super) fn for_control(&self) -> Vec<&Region> {
        let fixed = [self.orders.region(), self.tap.region(), self.status.region()];
        fixed.into_iter().chain(self.slots.iter().map(Slot::region)).collect()
    }
}

/// A region that only this process ever writes.
fn own(name: &str, words: usize) -> io::Result<Region> {
    let region = shared(name, words)?;
    region.seal_future_write()?;
    Ok(region)
}

/// A region whose descriptor is handed to one writer. Whoever else holds a descriptor holds one
/// for reading, and only this user could reopen it.
fn shared(name: &str, words: usize) -> io::Result<Region> {
    only_ours(Region::shared(name, words)?)
}

/// The same where there is room for a state or for plans: a patch may need little of it.
fn on_demand(name: &str, words: usize) -> io::Result<Region> {
    only_ours(Region::shared_on_demand(name, words)?)
}

fn only_ours(region: Region) -> io::Result<Region> {
    if let Some(fd) = region.fd() {
        rustix::fs::fchmod(fd, Mode::RUSR | Mode::WUSR)?;
    }
    Ok(region)
}
