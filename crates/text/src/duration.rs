//! Lengths and points of time as arguments: `90s`, `15m`, `2h30m`, `3d`.

use pgasync_core::{Span, Timestamp};

/// The units, the longer name before the one that begins it.
const UNITS: [(&str, i64); 6] = [
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

/// A length of time; a number without a unit counts seconds.
pub fn span(text: &str) -> Result<Span, String> {
    let wrong = || format!("\"{text}\" is no length of time: write it as 90s, 15m, 2h30m, 3d or 2w");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut micros: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(letters);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let unit = if unit.is_empty() && digits == text.trim().len() { "s" } else { unit };
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        micros = number.checked_mul(*scale).and_then(|part| micros.checked_add(part)).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    Ok(Span::micros(micros))
}

/// A point of time: RFC 3339, or `+2h` for two hours from now by the clock of this machine.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Some(later) = text.strip_prefix('+') {
        let now = jiff::Timestamp::now().as_microsecond();
        return Ok(Timestamp::from_micros(now.saturating_add(span(later)?.as_micros())));
    }
    let read: Result<jiff::Timestamp, _> = text.parse();
    let wrong = |_| format!("\"{text}\" is no time: write it as 2026-12-24T18:00:00Z, with its zone, or as +2h");
    Ok(Timestamp::from_micros(read.map_err(wrong)?.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("15m", 900), ("2h30m", 9_000), ("1d 1h", 90_000), ("2w", 1_209_600)]
        {
            assert_eq!(span(text), Ok(Span::seconds(seconds)), "{text}");
        }
        assert_eq!(span("250ms"), Ok(Span::millis(250)));
        for text in ["", "h", "-1", "1x", "1h30", "1.5h", "99999999999999999999", "9999999999999w"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_needs_its_zone() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(Timestamp::from_micros(1_000_000)));
        assert_eq!(time("1970-01-01T01:00:01+01"), Ok(Timestamp::from_micros(1_000_000)));
        for text in ["2026-12-24", "2026-12-24T18:00:00", "tomorrow", "+soon"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(time("+1h").is_ok());
    }
}
