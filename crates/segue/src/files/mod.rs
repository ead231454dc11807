//! Files that Segue writes while it plays, recordings and journals, and sounds that it reads.

pub(crate) mod folder;
pub(crate) mod journal;
pub(crate) mod sound;
pub(crate) mod wav;
