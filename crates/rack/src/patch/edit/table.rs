//! Tables of a patch file, changed so that everything else stays as it was written: comments,
//! order, spaces.

use std::borrow::Cow;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value as Written};

/// The expression that stands under a key: text as it is, a number as it would be in text.
pub(super) fn expression<'a>(table: &'a dyn TableLike, key: &str) -> Cow<'a, str> {
    match table.get(key).and_then(Item::as_value) {
        Some(Written::String(text)) => Cow::Borrowed(text.value()),
        Some(Written::Integer(number)) => Cow::Owned(number.value().to_string()),
        Some(Written::Float(number)) => Cow::Owned(number.value().to_string()),
        _ => Cow::Borrowed(""),
    }
}

/// A number, whole where it is; other ones with as many digits as an f32 has.
pub(super) fn number(value: f32) -> Written {
    if value.fract() == 0.0 && value.abs() < 1e9 {
        return Written::from(value as i64);
    }
    Written::from(value.to_string().parse::<f64>().unwrap_or(f64::from(value)))
}

/// An expression as a value: a number where it is no more than that.
pub(super) fn value(expression: &str) -> Written {
    let expression = expression.trim();
    match expression.parse::<i64>() {
        Ok(whole) => Written::from(whole),
        Err(_) => match expression.parse::<f64>() {
            // What a number may look like in TOML and in Rust.
            Ok(number) if expression.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                Written::from(number)
            }
            _ => Written::from(expression),
        },
    }
}

/// Puts a value under a key, a new one behind the others.
pub(super) fn put(item: &mut Item, key: &str, value: Written) {
    if let Some(old) = item.as_table_like_mut().and_then(|it| it.get_mut(key)?.as_value_mut()) {
        let decor = old.decor().clone();
        *old = value;
        *old.decor_mut() = decor;
        return;
    }
    match item {
        Item::Value(Written::InlineTable(inline)) => {
            // The space before the brace moves on to the new last one.
            let ending = taken_ending(inline);
            inline.insert(key, value.decorated(" ", ending.unwrap_or_else(|| " ".to_string())));
        }
        _ => {
            if let Some(table) = item.as_table_like_mut() {
                table.insert(key, Item::Value(value));
            }
        }
    }
}

/// Takes a key out.
pub(super) fn take_out(item: &mut Item, key: &str) {
    match item {
        Item::Value(Written::InlineTable(inline)) => {
            let ending = taken_ending(inline);
            inline.remove(key);
            if let Some((last, ending)) = last(inline).zip(ending) {
                last.decor_mut().set_suffix(ending);
            }
        }
        _ => {
            if let Some(table) = item.as_table_like_mut() {
                table.remove(key);
            }
        }
    }
}

fn last(inline: &mut InlineTable) -> Option<&mut Written> {
    inline.iter_mut().last().map(|(_, value)| value)
}

/// Takes the space behind the last value.
fn taken_ending(inline: &mut InlineTable) -> Option<String> {
    let decor = last(inline)?.decor_mut();
    let ending = decor.suffix()?.as_str()?.to_string();
    decor.set_suffix("");
    Some(ending)
}

/// Takes a module out of the file. The comment right above it goes with it; what stands above
/// that, behind an empty line, stays.
pub(super) fn remove_module(document: &mut DocumentMut, id: &str) {
    let root = document.as_table_mut();
    let keys: Vec<String> = root.iter().map(|(key, _)| key.to_string()).collect();
    let Some((key, item)) = root.remove_entry(id) else { return };
    let (above, position) = match &item {
        Item::Table(table) if !table.is_dotted() => (table.decor().prefix(), table.position()),
        _ => (key.leaf_decor().prefix(), None),
    };
    let above = above.and_then(|raw| raw.as_str()).unwrap_or("");
    let Some((stays, _)) = above.rsplit_once("\n\n").filter(|(stays, _)| stays.contains('#'))
    else {
        return;
    };
    let stays = format!("{stays}\n\n");
    let behind = keys.iter().skip_while(|key| *key != id).skip(1);
    let is_value = item.is_value();
    let next = behind.filter(|_| is_value).find(|key| root.get(key).is_some_and(Item::is_value));
    if let Some(mut key) = next.and_then(|key| root.key_mut(key)) {
        let own = key.leaf_decor().prefix().and_then(|raw| raw.as_str()).unwrap_or("").to_string();
        key.leaf_decor_mut().set_prefix(format!("{stays}{own}"));
    } else if let Some(table) = next_table(root, position.unwrap_or(isize::MIN)) {
        let own = table.decor().prefix().and_then(|raw| raw.as_str()).unwrap_or("\n").to_string();
        table.decor_mut().set_prefix(format!("{stays}{own}"));
    } else {
        let own = document.trailing().as_str().unwrap_or("").to_string();
        document.set_trailing(format!("{stays}{own}"));
    }
}

/// The table whose header is the first behind a place in the file.
fn next_table(root: &mut Table, behind: isize) -> Option<&mut Table> {
    let mut positions = Vec::new();
    gather(root, &mut positions);
    let next = positions.into_iter().filter(|position| *position > behind).min()?;
    at(root, next)
}

fn gather(table: &Table, positions: &mut Vec<isize>) {
    for (_, item) in table {
        if let Item::Table(table) = item {
            let has_header = !table.is_implicit() && !table.is_dotted();
            positions.extend(table.position().filter(|_| has_header));
            gather(table, positions);
        }
    }
}

fn at(table: &mut Table, position: isize) -> Option<&mut Table> {
    for (_, item) in table.iter_mut() {
        let Item::Table(table) = item else { continue };
        let has_header = !table.is_implicit() && !table.is_dotted();
        if has_header && table.position() == Some(position) {
            return Some(table);
        }
        if let Some(found) = at(table, position) {
            return Some(found);
        }
    }
    None
}

/// A module in one line.
pub(super) fn one_line(kind: &str, ports: Vec<(String, Written)>) -> Item {
    let mut table = InlineTable::new();
    table.insert("type", Written::from(kind));
    for (name, value) in ports {
        table.insert(name, value);
    }
    Item::Value(Written::InlineTable(table))
}
