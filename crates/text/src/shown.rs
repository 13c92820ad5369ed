//! Times and lengths of time as text.

use pgasync_core::{Span, Timestamp};

/// A time beyond the range of jiff, such as `infinity`, becomes `None`.
#[must_use]
pub fn rfc3339(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
    Some(format!("{time:.0}"))
}

/// A length of time in its two largest units.
#[must_use]
pub fn short_span(span: Span) -> String {
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
}
