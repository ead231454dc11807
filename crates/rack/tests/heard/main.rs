//! What a listener would notice: pieces, clicks, tails that never end.

#[path = "../bench/mod.rs"]
mod bench;
mod clicks;
mod demo_piece;
mod first_sound;
mod tails;
