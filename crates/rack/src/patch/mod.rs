//! The patch a musician writes, checked.

mod mistake;

pub use self::mistake::Mistake;

/// A checked patch: every name known, every value in range.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    title: String,
}

impl Patch {
    /// Reads a patch; all mistakes at once, in the order of the file. Pure: text in. [control]
    pub fn parse(text: &str) -> Result<Patch, Vec<Mistake>> {
        let _ = text;
        Ok(Patch::default())
    }

    /// The title the file gives, or nothing. [any]
    pub fn title(&self) -> &str {
        &self.title
    }
}
