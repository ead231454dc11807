//! Ids of modules, and the name a mistyped one was meant to be.

/// Longest id a module may have, in bytes.
pub const ID_BYTES_MAX: usize = 32;

/// Words a patch file keeps for itself; no module but `out` may be called by one of them.
pub const RESERVED: [&str; 14] = [
    "out", "track", "define", "song", "section", "sample", "scale", "macro", "midi", "meter",
    "seed", "title", "tempo", "segue",
];

/// Whether `id` is `[a-z][a-z0-9_]{0,31}`. One rule everywhere an id comes in. `[any]`
pub fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    bytes.len() <= ID_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(inner)
}

/// Whether `id` may name a module of a plan: an id, or `ID.PART` for a part of an instrument.
/// `[any]`
pub(crate) fn is_module_id(id: &str) -> bool {
    match id.split_once('.') {
        Some((instrument, part)) => is_id(instrument) && is_id(part),
        None => is_id(id),
    }
}

/// The candidate that `name` was most likely meant to be, if any is near enough: at most one
/// slip (a letter wrong, missing, added, or two swapped) for every three letters. Of equally near
/// ones the first wins. `[control]`
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Words longer than any id are nobody's typing slip, and the table below is quadratic.
    if name.is_empty() || name.len() > 4 * ID_BYTES_MAX {
        return None;
    }
    let length = name.chars().count();
    let bound = 1 + length / 4;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        // Every letter too many or too few is a slip: most need no table.
        if candidate.chars().count().abs_diff(length) > bound {
            continue;
        }
        let slips = distance(name, candidate);
        // A one-letter name is near every other one: it must not be rewritten whole.
        let near = slips <= bound && slips < candidate.chars().count();
        if near && best.is_none_or(|(fewest, _)| slips < fewest) {
            best = Some((slips, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Slips between two words: optimal string alignment, case ignored.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().map(|c| c.to_ascii_lowercase()).collect();
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let wrong = usize::from(left[i - 1] != right[j - 1]);
            row[j] = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + wrong);
            let swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{is_id, is_module_id, nearest};

    /// S32: one rule for ids, and 32 bytes are 32 bytes.
    #[test]
    fn an_id_is_a_lowercase_word_of_at_most_32_bytes() {
        assert!(is_id("a") && is_id("bass_2") && is_id(&"x".repeat(32)));
        for wrong in ["", "2a", "_a", "Bass", "a-b", "a.b", "ä", &"x".repeat(33)] {
            assert!(!is_id(wrong), "{wrong:?} passed");
        }
    }

    #[test]
    fn a_part_is_called_by_two_ids_and_one_point() {
        assert!(is_module_id("lead.osc") && is_module_id("lead"));
        for wrong in ["", ".", "lead.", ".osc", "lead.osc.out", "Lead.osc", "lead.Osc"] {
            assert!(!is_module_id(wrong), "{wrong:?} passed");
        }
    }

    #[test]
    fn a_typing_slip_finds_the_name_that_was_meant() {
        assert_eq!(nearest("bas", ["saw", "bass", "out"]), Some("bass"));
        assert_eq!(nearest("filtr", ["osc", "filter"]), Some("filter"));
        assert_eq!(nearest("cutfof", ["q", "cutoff"]), Some("cutoff"));
        assert_eq!(nearest("FREQ", ["freq"]), Some("freq"));
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("trumpet", ["osc", "filter", "out"]), None);
        assert_eq!(nearest("x", ["q", "in"]), None);
        assert_eq!(nearest("", ["q"]), None);
        assert_eq!(nearest(&"a".repeat(10_000), ["a"]), None);
    }
}
