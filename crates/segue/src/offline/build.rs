//! What this program is, as journals and greetings say it.

use segue_rack::catalog;

/// Version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A number that differs where a journal could not be replayed bit for bit: over the panels of
/// all modules.
pub(crate) fn layout() -> u64 {
    let catalog = serde_json::to_vec(catalog()).expect("the catalog can be written down");
    segue_sys::hash::bytes(0, &catalog)
}

/// The catalog and every address, as `/engine/schema` and `modules --json` give them.
pub(crate) fn schema() -> serde_json::Value {
    serde_json::json!({
        "schema": 1,
        "version": VERSION,
        "modules": catalog(),
        "addresses": crate::osc::address::ADDRESSES,
    })
}
