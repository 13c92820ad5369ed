//! Escapes texts of other roles for the log and the terminal. Names, messages and queries may contain
//! line breaks and escape sequences of terminals, which could forge lines or hide text.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes a text as in an `E''` literal. The result is one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Escapes a text of several lines. The line breaks stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hides = |c: char| is_hidden(c) && !stays(c);
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // A write to a string does not fail.
        let _ = match c {
            c if !hides(c) => visible.write_char(c),
            '\n' => visible.write_str("\\n"),
            '\r' => visible.write_str("\\r"),
            '\t' => visible.write_str("\\t"),
            // Valid in JSON, too.
            c => write!(visible, "\\u{:04x}", u32::from(c)),
        };
    }
    Cow::Owned(visible)
}

/// Control characters, line separators, and marks that change the direction of writing (`Bidi_Control`
/// of Unicode). The same set as in `async.visible_text`.
fn is_hidden(c: char) -> bool {
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_mark || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::{line, lines};

    /// The table that also judges `async.visible_text`.
    const CASES: &str = include_str!("../cases/visible_texts.json");

    #[test]
    fn texts_are_visible_as_the_table_says() {
        let cases: Vec<(String, String)> = serde_json::from_str(CASES).expect("pairs of texts");
        for (text, visible) in cases {
            assert_eq!(line(&text), visible, "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(line("a b é"), "a b é");
        assert_eq!(line("a\nb\r\t\u{1b}[2J\u{9b}\u{202e}"), "a\\nb\\r\\t\\u001b[2J\\u009b\\u202e");
        assert_eq!(lines("a\nb\u{1b}"), "a\nb\\u001b");
    }
}
