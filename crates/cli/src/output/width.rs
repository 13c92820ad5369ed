//! Texts in columns of a terminal: a letter of an East Asian script takes two, a combining mark none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The text, cut to this many columns. The last one says that something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        short.push(c);
    }
    short + "…"
}

/// The text in lines of this many columns at most, broken at spaces where that is possible.
pub(crate) fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if columns(&line) + c.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_text_fits_and_keeps_its_words() {
        let text = "a target with 名前 and averyveryverylongword without an end";
        for width in 2..40 {
            let lines = fold(text, width);
            assert!(lines.iter().all(|line| columns(line) <= width), "{width}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""), "{width}");
        }
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("", 7), [""]);
    }

    #[test]
    fn a_cut_text_fits() {
        assert_eq!(cut("select 1", 8), "select 1");
        assert_eq!(cut("select 12", 8), "select …");
        assert_eq!(cut("名前名前", 5), "名前…");
        assert_eq!(cut("名前名前", 4), "名…");
    }
}
