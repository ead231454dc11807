//! Edits of a patch's text: what they change, what they leave, what they refuse.

mod cables;
mod drawn;
mod modules;

use segue_rack::{Draft, EditError, Patch, Value};

const PATCH: &str = r#"# A small piece.

segue = 1          # the format
# The low voice.
saw  = { type = "osc", shape = "saw", freq = 110 }   # bright
slow = { type = "osc", freq = 0.4 }

# How it opens.
[env]
type   = "adsr"
attack = "5ms"     # soft

[filter]
type      = "svf"
in        = "saw * 0.5"
frequency = "180 + env * 2.5oct"   # dark at rest

[out]
in = "filter - saw * 0.1"
"#;

const INSTRUMENTS: &str = r#"segue = 1
hands = { type = "keys", voices = 2 }
lead  = { type = "pluck", pitch = "hands.pitch" }
bass  = { type = "pluck", cutoff = 300 }
out   = { in = "lead.filter.band * 0.5 + bass" }

[define.pluck]
out    = "filter"
one    = { type = "osc" }
two    = { type = "osc" }
filter = { type = "svf", in = "one + two", cutoff = "300 + one * 100" }

[define.pluck.params]
pitch  = ["one.freq", "two.freq"]
cutoff = "filter.cutoff"
q      = "filter.q"
in     = "filter.in"
"#;

fn draft(text: &str) -> Draft {
    Draft::parse(text).expect("a patch without mistakes")
}

fn number(value: f32) -> Value {
    Value::Number(value)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

/// The lines that are new, after one edit of `before`.
fn changed(before: &str, edit: impl FnOnce(&mut Draft) -> Result<(), EditError>) -> Vec<String> {
    let mut draft = draft(before);
    edit(&mut draft).unwrap_or_else(|error| panic!("{error}"));
    let after = draft.text();
    Patch::parse(&after).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{after}"));
    let lines = after.lines().filter(|line| !before.lines().any(|old| old == *line));
    lines.map(str::to_string).collect()
}

fn refused(
    before: &str,
    edit: impl FnOnce(&mut Draft) -> Result<(), EditError>,
) -> (&'static str, String) {
    let mut draft = draft(before);
    let error = edit(&mut draft).expect_err("an edit that is refused");
    assert_eq!(draft.text(), before, "a refused edit changed the draft");
    (error.code, error.text)
}
