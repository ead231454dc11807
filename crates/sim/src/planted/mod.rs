//! Planted bugs: one change each to the product, and how many lives may pass before it is found.
//!
//! A checker that has never failed proves nothing. `cargo run --release -p segue-sim --bin
//! planted` makes every change in a copy of the tree and lives lives from seed 0 until one fails.

mod list;

pub use list::PLANTED;

/// A bug to be planted.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// What is wrong then.
    pub name: &'static str,
    /// The file, below `crates`.
    pub file: &'static str,
    /// A text that is in the file once.
    pub find: &'static str,
    /// What stands there instead.
    pub instead: &'static str,
    /// What finds it.
    pub found_by: Finder,
}

/// What finds a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// One of the first so many lives.
    Lives(u64),
    /// These tests, as `cargo test` is told them: one thread cannot show what two do to each
    /// other between two stores, and what is only late is not wrong.
    Tests(&'static str),
}

const fn lives(
    name: &'static str,
    file: &'static str,
    find: &'static str,
    instead: &'static str,
) -> Planted {
    Planted { name, file, find, instead, found_by: Finder::Lives(100) }
}

const fn tests(
    name: &'static str,
    file: &'static str,
    find: &'static str,
    instead: &'static str,
    by: &'static str,
) -> Planted {
    Planted { name, file, find, instead, found_by: Finder::Tests(by) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::PLANTED;

    #[test]
    fn every_planted_bug_has_its_place_exactly_once() {
        assert!(PLANTED.len() >= 30);
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for bug in PLANTED {
            let text = std::fs::read_to_string(crates.join(bug.file)).unwrap();
            assert_eq!(text.matches(bug.find).count(), 1, "{}", bug.name);
        }
    }
}
