//! Where the journals of a show go, and what each further one begins with.

use std::path::PathBuf;
use std::time::SystemTime;

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_rack::{Plan, Rack};

use super::keeper::{Keeper, newest_checkpoint};
use crate::control::memo::called_after;
use crate::files::folder;
use crate::files::journal::{Header, JournalError};

/// What a further journal is made from: after one that is full, or that could not be written.
#[derive(Clone, Debug)]
pub(in crate::control) struct Shelf {
    header: Header,
    place: Place,
    bytes_max: u64,
}

/// How a further journal is named.
#[derive(Clone, Debug)]
pub(in crate::control) enum Place {
    /// By the date and time of day, in this folder.
    Folder(PathBuf),
    /// The next number that is free after this name.
    After(PathBuf),
}

impl Shelf {
    /// For the show of `header`, whose plans may change; journals of at most so many bytes.
    pub(in crate::control) fn new(header: Header, place: Place, bytes_max: u64) -> Self {
        Self { header, place, bytes_max }
    }

    /// A journal that begins with the newest state of what was followed, which is up to `block`
    /// and `record`: what lies between would be in no journal. None if there is no such state, or
    /// its plans are not there any more.
    pub(super) fn begin(
        &self,
        slots: &[Slot],
        orders: &Orders,
        plans: &Plans,
        (block, record): (u64, u64),
    ) -> Result<Option<Keeper>, JournalError> {
        let Some((mark, state)) = newest_checkpoint(slots, orders, block) else { return Ok(None) };
        if mark.cursor > record {
            return Ok(None);
        }
        let Some(header) = self.header_for(&state, plans) else { return Ok(None) };
        let header = Header { start_block: mark.block, ..header };
        Keeper::begin_with(&self.free(), &header, mark, &state, self.bytes_max).map(Some)
    }

    /// The header with what plays in `state`.
    fn header_for(&self, state: &[u64], plans: &Plans) -> Option<Header> {
        let (edition, fading) = Rack::editions_of(state).ok()?;
        let read = |edition: u32| Some((edition, plans.read(edition.into())?.bytes));
        let editions: Vec<_> =
            fading.into_iter().chain([edition]).map(read).collect::<Option<_>>()?;
        let plan = Plan::from_bytes(&editions.last()?.1).ok()?;
        let title = called_after(&plan, &self.header);
        let patch = plan.source().to_owned();
        Some(Header { title, patch, editions, ..self.header.clone() })
    }

    fn free(&self) -> PathBuf {
        match &self.place {
            Place::After(path) => folder::free(path),
            Place::Folder(journals) => {
                // Whether it is there, the file that is made in it tells.
                let _ = std::fs::create_dir_all(journals);
                let name = format!("{}.journal", folder::timestamp(SystemTime::now()));
                folder::free(&journals.join(name))
            }
        }
    }
}
