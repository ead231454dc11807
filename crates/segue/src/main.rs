//! A headless modular synthesizer that does not stop.
fn main() {}
