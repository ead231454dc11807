//! One pending patch.

use std::time::Duration;

use segue_rack::{Draft, Edit, EditError, Patch, Plan, Setup};

use crate::osc::refusal::{Code, Refusal};

/// Edits of one transaction.
pub(super) const EDITS_MAX: usize = 4096;
/// Bytes they may be kept in.
const EDIT_BYTES_MAX: usize = 1 << 20;
/// Bytes of its text.
pub(super) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Edits since a beginning, and what they make of the text they began with.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What played when it began.
    base: String,
    draft: Draft,
    edits: Vec<Edit>,
    /// Of all edits.
    edit_bytes: usize,
    /// The text has no more bytes than this.
    text_bytes: usize,
    touched: Duration,
}

/// What is to be played.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// A patch that can be read.
    pub(crate) text: String,
    /// How long old sound goes over into new.
    pub(crate) fade_ms: f32,
}

impl Wanted {
    /// Its plan; refused where only the whole can be wrong: a cycle, unequal voices, no room.
    pub(crate) fn plan(&self, setup: &Setup) -> Result<Plan, Refusal> {
        let plan = Patch::parse(&self.text).and_then(|patch| Plan::compile(&patch, setup));
        plan.map_err(|mistakes| EditError::of_patch(&mistakes).into())
    }
}

impl Transaction {
    pub(super) fn begin(live: &str, now: Duration) -> Result<Self, Refusal> {
        check_length(live.len())?;
        Ok(Self {
            base: live.to_owned(),
            draft: draft(live)?,
            edits: Vec::new(),
            edit_bytes: 0,
            text_bytes: live.len(),
            touched: now,
        })
    }

    pub(super) fn edits(&self) -> u32 {
        self.edits.len() as u32
    }

    /// Bytes of what is kept: the text it began with, and the edits.
    pub(super) fn bytes(&self) -> usize {
        self.base.len() + self.edit_bytes
    }

    /// When it was last edited.
    pub(super) fn touched(&self) -> Duration {
        self.touched
    }

    /// Whether its text has a module of this name.
    pub(super) fn has(&self, id: &str) -> bool {
        self.draft.has(id)
    }

    pub(super) fn edit(&mut self, edit: Edit, now: Duration) -> Result<(), Refusal> {
        // Also a refused one shows that somebody is there.
        self.touched = now;
        if self.edits.len() >= EDITS_MAX || self.edit_bytes + edit.bytes() > EDIT_BYTES_MAX {
            let text = format!("{} edits are pending; commit them first", self.edits.len());
            return Err(Refusal::new(Code::Full, text));
        }
        if self.text_bytes + edit.bytes() > TEXT_BYTES_MAX {
            // Most edits add less than they might.
            self.text_bytes = self.draft.text().len();
        }
        check_length(self.text_bytes + edit.bytes())?;
        self.draft.apply(&edit)?;
        self.edit_bytes += edit.bytes();
        self.text_bytes += edit.bytes();
        self.edits.push(edit);
        Ok(())
    }

    /// What is to be played in place of `live`. Where that is not what these edits began with,
    /// they are done again on it.
    pub(super) fn wanted(self, fade_ms: f32, live: &str) -> Result<Wanted, Refusal> {
        let text = match live == self.base {
            true => self.draft.text(),
            false => again(live, &self.edits)?,
        };
        check_length(text.len())?;
        Ok(Wanted { text, fade_ms })
    }
}

/// All edits, on another text.
fn again(live: &str, edits: &[Edit]) -> Result<String, Refusal> {
    let mut draft = draft(live)?;
    for edit in edits {
        draft.apply(edit).map_err(|error| {
            let Refusal { code, text } = error.into();
            let text = format!(
                "the patch has become another one since these edits began, and '{}' does not fit \
                 it any more: {text}",
                shown(edit)
            );
            Refusal::new(code, text)
        })?;
    }
    Ok(draft.text())
}

fn draft(live: &str) -> Result<Draft, Refusal> {
    Draft::parse(live).map_err(|mistakes| EditError::of_patch(&mistakes).into())
}

fn check_length(bytes: usize) -> Result<(), Refusal> {
    if bytes <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let text = format!("the text of a pending patch has at most {TEXT_BYTES_MAX} bytes");
    Err(Refusal::new(Code::Full, text))
}

/// An edit as the message it came by, shortened.
fn shown(edit: &Edit) -> String {
    match edit {
        Edit::Create { id, kind, .. } => format!("/patch/create {id} {kind}"),
        Edit::Delete { id } => format!("/patch/delete {id}"),
        Edit::Connect { src, dst, .. } => format!("/patch/connect {src} {dst}"),
        Edit::Disconnect { src, dst } => format!("/patch/disconnect {src} {dst}"),
        Edit::Set { id, param, .. } => format!("/mod/{id}/{param}"),
    }
}
