//! What several pages show in the same way.

use maud::{Markup, html};
use pgasync_core::{Span, Timestamp};
use pgasync_store::COUNT_MAX;
use pgasync_text::{rfc3339, short_span, visible};

use crate::feed::Missing;

/// `12,345`.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number < 0 { format!("-{grouped}") } else { grouped }
}

/// A number that was counted up to [`COUNT_MAX`].
pub(super) fn bounded(count: i64) -> String {
    if count > COUNT_MAX { format!("{}+", number(COUNT_MAX)) } else { number(count) }
}

/// `1 task`, `2 tasks`.
pub(crate) fn plural(count: i64, noun: &str) -> String {
    let count_text = bounded(count);
    if count == 1 { format!("{count_text} {noun}") } else { format!("{count_text} {noun}s") }
}

/// A point of time. A script shows how long ago that is.
pub(super) fn ago(time: Option<Timestamp>) -> Markup {
    moment(time, "ago")
}

/// The time since a point of time, as a length.
pub(super) fn since(time: Option<Timestamp>) -> Markup {
    moment(time, "since")
}

/// A point of time as it is.
pub(super) fn at(time: Option<Timestamp>) -> Markup {
    moment(time, "at")
}

fn moment(time: Option<Timestamp>, form: &str) -> Markup {
    let Some(time) = time else { return html! { span.none { "–" } } };
    match rfc3339(time) {
        Some(text) => html! { time datetime=(text) data-form=(form) { (text.replace('T', " ").replace('Z', " UTC")) } },
        None => html! { "never" },
    }
}

pub(super) fn span(span: Option<Span>) -> Markup {
    match span {
        Some(span) => html! { (short_span(span)) },
        None => html! { span.none { "–" } },
    }
}

/// A text of another role, in one line.
pub(crate) fn line(text: &str) -> Markup {
    html! { (visible::line(text)) }
}

/// A text of another role, with its lines.
pub(super) fn lines(text: &str) -> Markup {
    html! { (visible::lines(text)) }
}

/// The first line of a text.
pub(super) fn first_line(text: &str) -> Markup {
    line(text.trim_start().lines().next().unwrap_or_default())
}

/// What a state means for its reader.
pub(super) fn mood(state: &str) -> &'static str {
    match state {
        "FINISHED" | "ok" => "good",
        "RUNNING" | "YIELDED" | "WARNING" | "fencing" | "paused" => "busy",
        "FAILED" | "TIMED_OUT" | "CANCELED" | "DOA" | "lost" | "ERROR" | "FATAL" | "EXCEPTION" => "bad",
        _ => "plain",
    }
}

pub(super) fn badge(state: &str) -> Markup {
    let text = state.replace('_', " ").to_lowercase();
    html! { span class={ "badge " (mood(state)) } { (visible::line(&text)) } }
}

/// A place without content: what that means, and what to do.
pub(super) fn empty(title: &str, text: &str, action: Option<Markup>) -> Markup {
    html! {
        div.empty {
            p.empty-title { (visible::lines(title)) }
            @if !text.is_empty() { p { (visible::lines(text)) } }
            @if let Some(action) = action { p { (action) } }
        }
    }
}

/// Why a part is not there.
pub(super) fn missing(missing: &Missing) -> Markup {
    match missing {
        Missing::NotYet => empty("The first reading is under way", "", None),
        Missing::NotAllowed => empty(
            "For administrators",
            "The owner of the schema allows it with select async.grant_admin('ROLE').",
            None,
        ),
        Missing::Failed(text) => empty("The server did not say", text, None),
    }
}

/// How much of a limit is used.
pub(super) fn meter(used: i64, max: i64) -> Markup {
    let share = if max <= 0 { if used > 0 { 100 } else { 0 } } else { (used * 100 / max).clamp(0, 100) };
    let mood = if max > 0 && used >= max { "full" } else { "some" };
    html! {
        svg class={ "meter " (mood) } viewBox="0 0 100 6" preserveAspectRatio="none" role="img"
            aria-label={ (used) " of " (max) } {
            rect.track x="0" y="0" width="100" height="6" {}
            rect.used x="0" y="0" width=(share) height="6" {}
        }
    }
}

/// A text that a button copies.
pub(crate) fn code(id: &str, text: &str) -> Markup {
    html! {
        div.code {
            button.copy.js-only type="button" data-copy=(id) aria-label="Copy" { "Copy" }
            pre id=(id) tabindex="0" { code { (lines(text)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counts_end() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-1_000, "-1,000")] {
            assert_eq!(number(value), text);
        }
        assert_eq!(bounded(COUNT_MAX), "10,000");
        assert_eq!(bounded(COUNT_MAX + 1), "10,000+");
        assert_eq!((plural(1, "task"), plural(0, "task")), ("1 task".to_owned(), "0 tasks".to_owned()));
    }

    #[test]
    fn texts_of_others_are_escaped_and_visible() {
        let text = "</pre><script>alert(1)</script>\u{202e}\u{1b}[2J&\"";
        let html = code("q", text).into_string();
        assert!(!html.contains("<script>") && !html.contains('\u{202e}') && !html.contains('\u{1b}'), "{html}");
        assert!(html.contains("&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\u001b[2J&amp;"), "{html}");
    }

    #[test]
    fn a_meter_stays_in_its_frame() {
        for (used, max) in [(0, 0), (3, 0), (9, 8), (-1, 8)] {
            let html = meter(used, max).into_string();
            assert!(["width=\"0\"", "width=\"100\""].iter().any(|width| html.contains(width)), "{html}");
        }
    }
}
