//! What moves other modules: envelopes, slow waves, players.

pub(super) mod adsr;
pub(super) mod keys;
pub(super) mod lfo;
