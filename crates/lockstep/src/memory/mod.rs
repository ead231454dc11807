//! What the processes share: who writes which words, and how a reader checks them.
//!
//! | region | written by | holds |
//! |---|---|---|
//! | [`orders`] | supervisor | sealed, playhead, primary, cleared, generations; the log |
//! | [`verdicts`] | supervisor | what was found to be poison; a part of the orders |
//! | [`slot`] | its worker | progress, breadcrumb, dying note, ring of blocks, checkpoints |
//! | [`inbox`] | control | commands on their way, control's beat, cursors, memo |
//! | [`tap`] | supervisor | the blocks that were played |
//! | [`plans`] | control | compiled patches by number |
//! | [`origin`] | control | the state with which a show is gone on with |
//! | [`status`] | supervisor | counters, slots, deaths, changes of primary |

pub mod block;
pub mod checkpoint;
pub mod inbox;
pub mod orders;
pub mod origin;
pub mod plans;
pub mod slot;
pub mod status;
pub mod tap;
pub mod text;
pub mod verdicts;
