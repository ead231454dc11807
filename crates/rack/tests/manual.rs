//! The manual says what the catalog says, and the catalog keeps its own rules.

use segue_rack::catalog::{Curve, manual};
use segue_rack::quantity::Unit;
use segue_rack::{catalog, is_id};

/// After a change of the catalog: `SEGUE_BLESS=1 cargo test -p segue-rack --test manual`.
#[test]
fn the_manual_is_that_of_the_catalog() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/modules.md");
    if std::env::var_os("SEGUE_BLESS").is_some() {
        std::fs::write(path, manual()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    for (line, (written, wanted)) in written.lines().zip(manual().lines()).enumerate() {
        assert_eq!(written, wanted, "docs/modules.md:{}", line + 1);
    }
    assert_eq!(written.lines().count(), manual().lines().count());
}

#[test]
fn no_two_things_answer_to_one_name() {
    let types = catalog().iter().flat_map(|spec| spec.aliases.iter().chain([&spec.name]));
    let mut names: Vec<&str> = types.copied().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for spec in catalog() {
        let inlets = spec.inlets.iter().map(|inlet| inlet.name);
        let params = spec.params.iter().flat_map(|p| p.aliases.iter().copied().chain([p.name]));
        let mut names: Vec<&str> = inlets.chain(params).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", spec.name);
        assert!(names.iter().all(|name| is_id(name) && *name != "type"), "{}", spec.name);
    }
}

#[test]
fn every_default_lies_in_its_range_and_every_range_is_one() {
    for param in catalog().iter().flat_map(|spec| spec.params) {
        assert!(param.min < param.max, "{}", param.name);
        assert_eq!(param.clamp(param.default), param.default, "{}", param.name);
        assert_eq!(param.unit == Unit::Choice, !param.choices.is_empty(), "{}", param.name);
        assert!(param.curve != Curve::Logarithmic || param.max > 0.0, "{}", param.name);
        for (index, choice) in param.choices.iter().enumerate() {
            assert_eq!(param.choice_index(&choice.to_uppercase()), Some(index as f32));
        }
    }
}
