//! The typed values of a listing.

use pgasync_core::{Span, Timestamp};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Number(i64),
    Real(f64),
    Bool(bool),
    Time(Timestamp),
    Span(Span),
    Json(Value),
    /// The outcome or the state of something; a terminal colours it.
    State(String, Mood),
}

/// What a state means for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Busy,
    Bad,
    Plain,
}

impl Cell {
    /// A phase or a value of `finish_status`.
    pub(crate) fn state(text: &str) -> Self {
        let mood = match text {
            "FINISHED" | "ok" => Mood::Good,
            "RUNNING" | "YIELDED" | "warning" | "fencing" | "paused" => Mood::Busy,
            "FAILED" | "TIMED_OUT" | "CANCELED" | "DOA" | "lost" | "error" => Mood::Bad,
            _ => Mood::Plain,
        };
        Self::State(text.to_owned(), mood)
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Real(_) | Self::Span(_))
    }

    /// The value in JSON: RFC 3339 in UTC for times, seconds for lengths of time.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) | Self::State(text, _) => json!(text),
            Self::Number(number) => json!(number),
            Self::Real(number) => json!(number),
            Self::Bool(is) => json!(is),
            Self::Time(time) => json!(rfc3339(*time)),
            Self::Span(span) => json!(seconds(*span)),
            Self::Json(value) => value.clone(),
        }
    }

    /// The value in CSV: that of JSON, without quotes; a null is empty.
    pub(crate) fn to_plain(&self) -> String {
        match self.to_json() {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The value for people.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Time(time) => rfc3339(*time).map_or_else(|| "never".to_owned(), |text| text.replace('T', " ")),
            Self::Span(span) => short_span(*span),
            Self::Real(number) => format!("{number:.1}"),
            other => other.to_plain(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<bool> for Cell {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

impl From<Timestamp> for Cell {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<Span> for Cell {
    fn from(span: Span) -> Self {
        Self::Span(span)
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A time beyond the range of jiff, such as `infinity`, becomes `None`.
pub(crate) fn rfc3339(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
    Some(format!("{time:.0}"))
}

fn seconds(span: Span) -> f64 {
    span.as_micros() as f64 / 1e6
}

/// A length of time in its two largest units.
pub(crate) fn short_span(span: Span) -> String {
    let millis = span.as_micros() / 1_000;
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms"),
        ..10 if millis % 1_000 != 0 => format!("{}.{} s", seconds, millis % 1_000 / 100),
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} m", seconds / 3_600, seconds % 3_600 / 60),
        86_400.. => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short() {
        for (millis, text) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (2_340, "2.3 s"),
            (12_345, "12 s"),
            (61_000, "1 m 1 s"),
            (7_260_000, "2 h 1 m"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(short_span(Span::millis(millis)), text);
        }
    }

    #[test]
    fn programs_read_seconds_and_utc() {
        assert_eq!(Cell::from(Span::millis(1_500)).to_json(), json!(1.5));
        assert_eq!(Cell::from(Timestamp::from_micros(0)).to_json(), json!("1970-01-01T00:00:00Z"));
        assert_eq!(Cell::from(Timestamp::NEVER).to_json(), Value::Null);
        assert_eq!(Cell::from(Some("a")).to_plain(), "a");
        assert_eq!(Cell::from(None::<i64>).to_plain(), "");
    }
}
