//! The program from outside: real processes, real UDP and TCP, `kill -9`, then the samples.
//!
//! Engines here run on `freewheel`, capped, so that a busy machine cannot make a test lie; those
//! of `devices` on servers of their own. A test waits for what it wants to see;
//! [`engine::DEADLINE`] only ends what will never come.

mod client;
mod devices;
mod engine;
mod faults;
mod files;
mod messages;
mod patching;
mod peers;
mod processes;
mod report;
mod starts;
