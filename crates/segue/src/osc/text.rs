//! Messages as people write them: `ADDRESS ARG…`, one a line, `@TIME` first for a timed one.

use std::time::Duration;

use rosc::{OscMessage, OscType};

use crate::cli::duration;

/// One line of a command file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// From the beginning; none means with the line before it.
    pub(crate) at: Option<Duration>,
    /// What to send.
    pub(crate) message: OscMessage,
}

/// Why a line means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// An address begins with `/`.
    #[error("'{0}' is no address; one begins with '/', as in /mod/filter/cutoff 800")]
    Address(String),
    /// `@` wants a time.
    #[error("'@{text}' is no time: {why}")]
    Time {
        /// What stood there.
        text: String,
        /// What was wrong with it.
        why: String,
    },
    /// A quotation mark is never closed.
    #[error("the quotation mark is never closed")]
    Quote,
}

/// The message of one line; none for an empty line or a comment (`#`).
pub(crate) fn parse_line(line: &str) -> Result<Option<Line>, LineError> {
    let mut words = words(line)?.into_iter().peekable();
    let Some(first) = words.peek() else {
        return Ok(None);
    };
    let at = match first.text.strip_prefix('@') {
        Some(text) => {
            let at = duration::parse(text)
                .map_err(|why| LineError::Time { text: text.to_owned(), why: why.to_string() })?;
            words.next();
            Some(at)
        }
        None => None,
    };
    let addr = words.next().unwrap_or_default().text;
    if !addr.starts_with('/') {
        return Err(LineError::Address(addr));
    }
    let args = words
        .map(|word| if word.quoted { OscType::String(word.text) } else { argument(&word.text) });
    Ok(Some(Line { at, message: OscMessage { addr, args: args.collect() } }))
}

/// An argument as it is meant: a number if it looks like one, `true`, `false`, `nil`, else text.
/// A true minus sign in front is read like a hyphen.
pub(crate) fn argument(text: &str) -> OscType {
    let hyphened = text.strip_prefix('\u{2212}').map(|rest| format!("-{rest}"));
    let text = hyphened.as_deref().unwrap_or(text);
    let numeric = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    if numeric {
        if let Ok(value) = text.parse::<i32>() {
            return OscType::Int(value);
        }
        if let Ok(value) = text.parse::<i64>() {
            return OscType::Long(value);
        }
        if let Ok(value) = text.parse::<f32>() {
            return OscType::Float(value);
        }
    }
    match text {
        "true" => OscType::Bool(true),
        "false" => OscType::Bool(false),
        "nil" => OscType::Nil,
        _ => OscType::String(text.to_owned()),
    }
}

#[derive(Debug, Default)]
struct Word {
    text: String,
    quoted: bool,
}

/// Words between spaces; within double quotation marks spaces belong to the word, and `\` takes
/// the next character as it is.
fn words(line: &str) -> Result<Vec<Word>, LineError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut within = false;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                within = !within;
                word.get_or_insert_default().quoted = true;
            }
            '\\' if within => word.get_or_insert_default().text.extend(letters.next()),
            '#' if !within && word.is_none() => break,
            space if space.is_whitespace() && !within => words.extend(word.take()),
            plain => word.get_or_insert_default().text.push(plain),
        }
    }
    words.extend(word);
    if within { Err(LineError::Quote) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosc::OscType;

    use super::{LineError, parse_line};

    #[test]
    fn a_line_is_an_address_and_arguments_of_their_own_types() {
        let line = parse_line("@1.5 /mod/a/b -3 0.5 1.2kHz \"two words\" \"7\" true nil # said");
        let line = line.unwrap().unwrap();
        assert_eq!(line.at, Some(Duration::from_millis(1500)));
        assert_eq!(line.message.addr, "/mod/a/b");
        let text = |text: &str| OscType::String(text.to_owned());
        let expected = [
            OscType::Int(-3),
            OscType::Float(0.5),
            text("1.2kHz"),
            text("two words"),
            text("7"),
            OscType::Bool(true),
            OscType::Nil,
        ];
        assert_eq!(line.message.args, expected);
    }

    #[test]
    fn lines_without_a_message_are_told_from_wrong_ones() {
        assert_eq!(parse_line("  "), Ok(None));
        assert_eq!(parse_line("# /test"), Ok(None));
        assert_eq!(parse_line("test"), Err(LineError::Address("test".to_owned())));
        assert_eq!(parse_line("@1"), Err(LineError::Address(String::new())));
        assert!(matches!(parse_line("@x /test"), Err(LineError::Time { .. })));
        assert_eq!(parse_line("/a \"b"), Err(LineError::Quote));
    }
}
