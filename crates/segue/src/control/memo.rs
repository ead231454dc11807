//! What control leaves in shared memory for status and for its successor.

use std::path::PathBuf;

use segue_lockstep::memory::inbox::Inbox;
use segue_rack::Plan;
use serde::{Deserialize, Serialize};

use super::desk::UnderWay;
use super::staging::Row;
use crate::files::journal::Header;

/// Problems that are kept; the newest.
const PROBLEMS_MAX: usize = 16;

/// The memo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memo {
    /// Name of the patch.
    pub(crate) patch: String,
    /// Text of the patch, for its tempo.
    pub(crate) text: String,
    /// Ids of its modules, in the order of the plan.
    pub(crate) modules: Vec<String>,
    /// The show that is gone on with.
    pub(crate) resumed: Option<Resumed>,
    /// The journal being written.
    pub(crate) journal: Option<PathBuf>,
    /// The recording being written.
    pub(crate) recording: Option<Recording>,
    /// Why no journal is written although one is wanted, and what helps.
    #[serde(default)]
    pub(crate) unwritten: Option<String>,
    /// What a block of the patch needs, in nanoseconds, if that was measured.
    #[serde(default)]
    pub(crate) cost_ns: Option<u64>,
    /// The commit that is under way.
    #[serde(default)]
    pub(crate) commit: Option<UnderWay>,
    /// Edits that wait for their commit.
    #[serde(default)]
    pub(crate) pending: Vec<Row>,
    /// What is wrong, in words; newest last.
    pub(crate) problems: Vec<String>,
}

/// A show that is gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resumed {
    /// The journal it stands in.
    pub(crate) journal: PathBuf,
    /// The first block.
    pub(crate) block: u64,
}

/// A recording under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recording {
    /// The part being written.
    pub(crate) path: PathBuf,
    /// The first part, after which further ones are named.
    pub(crate) first_path: PathBuf,
    /// Its first frame.
    pub(crate) start_frame: u64,
}

/// What a patch is called: by its own title. One without goes by the name of its file, as the one
/// before it did, but not by the title of that.
pub(crate) fn called(plan: &Plan, before: &str, had_title: bool) -> String {
    match plan.title() {
        "" if had_title => String::new(),
        "" => before.to_owned(),
        title => title.to_owned(),
    }
}

/// What a patch is called in a further journal of the show of this one.
pub(crate) fn called_after(plan: &Plan, header: &Header) -> String {
    let before = header.editions.last().and_then(|(_, bytes)| Plan::from_bytes(bytes).ok());
    called(plan, &header.title, before.is_some_and(|before| !before.title().is_empty()))
}

impl Memo {
    /// The newest memo in `inbox`.
    pub(crate) fn read(inbox: &Inbox) -> Option<Self> {
        serde_json::from_slice(&inbox.memo()?).ok()
    }

    /// Leaves this memo. Where it is too long, the text is left out, then the ids: the plan has
    /// them as well.
    pub(crate) fn write(&self, inbox: &Inbox) {
        let bytes = |memo: &Self| serde_json::to_vec(memo).unwrap_or_default();
        let untold = Self { text: String::new(), ..self.clone() };
        let short = Self { modules: Vec::new(), ..untold.clone() };
        // The shortest is a few paths and sentences, far below the bound.
        let _ = [self, &untold, &short].iter().any(|memo| inbox.write_memo(&bytes(memo)));
    }

    /// The journal ended, for this reason; another is begun as soon as one can be.
    pub(crate) fn lose_journal(&mut self, why: &str) {
        self.journal = None;
        self.unwritten = Some(format!(
            "the journal ended, and no other is written: {why}. What is played now cannot be gone \
             on with. The cure: make room on its disk, or give its folder back; it is tried again \
             each second"
        ));
    }

    /// Adds a problem, once.
    pub(crate) fn complain(&mut self, problem: String) {
        self.problems.retain(|other| *other != problem);
        self.problems.push(problem);
        let surplus = self.problems.len().saturating_sub(PROBLEMS_MAX);
        self.problems.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use segue_lockstep::memory::inbox::Inbox;
    use segue_rack::{Patch, Plan, Setup};
    use segue_sys::Region;

    use super::{Memo, called};

    #[test]
    fn a_patch_is_called_by_its_own_title_or_by_the_name_of_its_file() {
        let plan = |title: &str| {
            let text = format!("segue = 1\ntitle = \"{title}\"\n[out]\n");
            Plan::compile(&Patch::parse(&text).unwrap(), &Setup::default()).unwrap()
        };
        assert_eq!(called(&plan("two"), "one", true), "two");
        assert_eq!(called(&plan("two"), "file", false), "two");
        assert_eq!(called(&plan(""), "file", false), "file");
        assert_eq!(called(&plan(""), "one", true), "");
    }

    #[test]
    fn a_memo_is_read_by_the_successor_also_without_room_for_the_ids() {
        let inbox = Inbox::new(Region::heap(Inbox::words())).unwrap();
        assert_eq!(Memo::read(&inbox), None);
        let mut memo = Memo { patch: "first".to_owned(), ..Memo::default() };
        memo.complain("disk full".to_owned());
        memo.complain("disk full".to_owned());
        memo.write(&inbox);
        assert_eq!(Memo::read(&inbox), Some(memo.clone()));
        assert_eq!(memo.problems.len(), 1);
        memo.text = "x".repeat(1 << 20);
        memo.modules = vec!["osc".to_owned()];
        memo.write(&inbox);
        assert_eq!(Memo::read(&inbox).unwrap().modules, memo.modules);
        memo.modules = vec!["x".repeat(1 << 20)];
        memo.write(&inbox);
        assert_eq!(Memo::read(&inbox).unwrap().patch, "first");
    }
}
