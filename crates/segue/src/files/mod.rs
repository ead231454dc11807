//! Files that Segue writes while it plays, recordings, journals and patches, and sounds that it
//! reads.

pub(crate) mod folder;
pub(crate) mod journal;
pub(crate) mod patches;
pub(crate) mod sound;
pub(crate) mod wav;
