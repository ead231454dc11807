//! Files that Segue writes while it plays: recordings and journals.

pub(crate) mod folder;
pub(crate) mod journal;
pub(crate) mod wav;
