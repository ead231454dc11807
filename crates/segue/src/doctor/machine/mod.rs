//! The machine: what stands in the way of steady sound before an engine is even started.
//!
//! Each file gathers facts with `look` and says with `judge` what they mean; the second is a
//! function of the first alone.

pub(crate) mod disk;
mod limits;
mod memory;
mod ports;
mod processor;
mod sound;

use std::path::Path;

use segue_sys::process::priority;

use super::finding::Finding;
use crate::cli::settings::Settings;

/// What is known of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    limits: limits::Limits,
    processor: processor::Processor,
    memory: memory::Memory,
    ports: ports::Ports,
    disk: disk::Disk,
    sound: sound::Sound,
}

impl Machine {
    /// Looks at this machine, as an engine with these settings would meet it.
    pub(crate) fn look(settings: &Settings) -> Self {
        let root = Path::new("/");
        Self {
            limits: limits::Limits::look(),
            processor: processor::Processor::look(root, priority::processors()),
            memory: memory::Memory::look(root),
            ports: ports::Ports::look(&settings.osc),
            disk: disk::Disk::look(&settings.show),
            sound: sound::Sound::look(),
        }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let parts = [
            self.limits.judge(),
            self.processor.judge(),
            self.memory.judge(),
            self.ports.judge(),
            self.disk.judge(),
            self.sound.judge(),
        ];
        parts.into_iter().flatten().collect()
    }
}

/// The first line of a file of the kernel's.
fn first_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// A file that is one number.
fn number(path: &Path) -> Option<i64> {
    first_line(path)?.parse().ok()
}
