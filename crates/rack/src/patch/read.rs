//! From the text of a file to a patch, or to all its mistakes.

use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use crate::patch::define::{self, Define};
use crate::patch::module::{self, Entry, Form, Place};
use crate::patch::scope::{Known, Scope};
use crate::patch::source::Source;
use crate::patch::{Mistake, Patch, Span};

/// Most modules a patch may have, the parts of its instruments counted.
pub(crate) const MODULES_MAX: usize = 1_024;

/// Quarter notes a minute that a patch may ask for.
const TEMPO_RANGE: RangeInclusive<f64> = 1.0..=1000.0;

/// The version of the format this build reads.
const FORMAT: &str = "1";

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Patch, Vec<Mistake>> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let tell = |error: &toml::de::Error| {
            let at = source.span(error.span().unwrap_or(0..0));
            at.mistake("syntax", error.message().trim_end_matches('.').to_string())
        };
        return Err(errors.iter().map(tell).collect());
    }
    let mut mistakes = Vec::new();
    let words = module::words(root.get_ref(), &source);
    if !words.iter().any(|(name, ..)| *name == "segue") {
        let mistake = Span { line: 1, column: 1, length: 1 }
            .mistake("bad_version", "the version of the format is missing");
        mistakes.push(Mistake { hint: Some("begin with: segue = 1".to_string()), ..mistake });
    }
    let around: Vec<&str> = words.iter().map(|(name, ..)| *name).collect();
    let defines = match root.get_ref().get("define") {
        Some(value) => define::read(value, &around, &source, &mut mistakes)?,
        None => Vec::new(),
    };
    let names: Vec<&str> = defines.iter().map(|define| define.name.as_str()).collect();
    let (mut title, mut tempo) = (String::new(), None);
    let mut entries = Vec::new();
    for (name, at, value) in words {
        match (name, value.get_ref()) {
            ("define", _) => {}
            ("segue", value) => check_version(value, at, &mut mistakes),
            ("title", DeValue::String(words)) => title = words.to_string(),
            ("title", _) => mistakes.push(at.mistake("wrong_type", "the title is a text")),
            ("tempo", value) => tempo = read_tempo(value, at, &mut mistakes),
            (_, value) => {
                let place = Place::File(&names);
                entries.extend(module::entry((name, at), value, place, &source, &mut mistakes));
            }
        }
    }
    check_whole(&entries, &source, text, &mut mistakes);
    let patch = expand(&entries, &defines, &source, &mut mistakes)?;
    if mistakes.is_empty() {
        return Ok(Patch { text: text.to_string(), title, tempo, ..patch });
    }
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    // What feeds several parts of an instrument is read, and told, once for each.
    mistakes.dedup();
    Err(mistakes)
}

fn too_many(at: Span) -> Vec<Mistake> {
    let mistake = at.mistake("full", format!("more than {MODULES_MAX} modules"));
    let hint = "the parts of instruments count as well".to_string();
    vec![Mistake { hint: Some(hint), ..mistake }]
}

/// All modules of the patch, each instrument by its parts.
fn expand(
    entries: &[Entry<'_, '_>],
    defines: &[Define],
    source: &Source<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Result<Patch, Vec<Mistake>> {
    let mut names = Vec::with_capacity(entries.len().min(MODULES_MAX));
    let mut count = 0;
    for entry in entries {
        let (known, takes) = match entry.form {
            Form::Module(spec) => (Known::Module(count, spec), 1),
            Form::Instrument(index) => {
                (Known::Instrument(count, &defines[index]), defines[index].parts().count())
            }
            Form::Unknown => (Known::Unknown, 1),
        };
        names.push((entry.id, known));
        count += takes;
        if count > MODULES_MAX {
            // No further: finding nearest names in a monster would take a monster's time.
            return Err(too_many(entry.at));
        }
    }
    let scope = Scope { names, around: Vec::new() };
    let mut patch = Patch::default();
    for entry in entries {
        match entry.form {
            Form::Module(spec) => {
                let wired = module::wired(entry, spec, &scope, source, mistakes);
                patch.modules.push(wired.finish(mistakes));
            }
            Form::Instrument(index) => {
                let base = patch.modules.len();
                let (parts, instrument) =
                    defines[index].instance(entry, base, &scope, source, mistakes);
                patch.modules.extend(parts);
                patch.instruments.push(instrument);
            }
            Form::Unknown => {}
        }
    }
    Ok(patch)
}

/// Quarter notes a minute; none, and a mistake told, for what is no tempo.
fn read_tempo(value: &DeValue<'_>, at: Span, mistakes: &mut Vec<Mistake>) -> Option<f64> {
    let digits = match value {
        DeValue::Integer(digits) => digits.as_str(),
        DeValue::Float(digits) => digits.as_str(),
        _ => "",
    };
    let hint = Some("write tempo = 120".to_string());
    let Ok(tempo) = digits.replace('_', "").parse::<f64>() else {
        let mistake = at.mistake("wrong_type", "the tempo is a number of quarter notes a minute");
        mistakes.push(Mistake { hint, ..mistake });
        return None;
    };
    if !TEMPO_RANGE.contains(&tempo) {
        let text =
            format!("a tempo is {} to {}, not {digits}", TEMPO_RANGE.start(), TEMPO_RANGE.end());
        mistakes.push(Mistake { hint, ..at.mistake("out_of_range", text) });
        return None;
    }
    Some(tempo)
}

fn check_version(value: &DeValue<'_>, at: Span, mistakes: &mut Vec<Mistake>) {
    if value.as_integer().is_none_or(|version| version.as_str() != FORMAT) {
        let mistake = at.mistake("bad_version", "this build reads format 1 only");
        mistakes.push(Mistake { hint: Some("write segue = 1".to_string()), ..mistake });
    }
}

/// S36: what is heard is what leads to the one explicit `out`.
fn check_whole(
    entries: &[Entry<'_, '_>],
    source: &Source<'_>,
    text: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let end = source.span(text.trim_end().len()..text.trim_end().len());
    if !entries.iter().any(|entry| entry.id == "out") {
        let mistake = end.mistake("no_out", "the patch has no 'out': nothing of it is heard");
        let hint = "end it with [out] and in = \"ID\"".to_string();
        mistakes.push(Mistake { hint: Some(hint), ..mistake });
    }
}
