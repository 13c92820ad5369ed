//! Lengths of time as Postgres writes and reads them.

use crate::time::Span;

/// Reads an interval in the forms that Postgres prints and people write: `1 hour`, `2 days
/// 03:00:00`, `00:05:00.5`, `1.5 h`, `infinity` apart. A month is 30 days and a year 365.25, as in
/// `extract(epoch from ...)`.
///
/// ```
/// use pgasync_core::{Span, parse_interval};
/// assert_eq!(parse_interval("24 hours"), Some(Span::seconds(86_400)));
/// assert_eq!(parse_interval("1 day 00:00:01.5"), Some(Span::millis(86_401_500)));
/// assert_eq!(parse_interval("soon"), None);
/// ```
#[must_use]
pub fn parse_interval(text: &str) -> Option<Span> {
    let text = text.trim().trim_start_matches('@').to_ascii_lowercase();
    let (text, sign) = text.strip_suffix(" ago").map_or((text.as_str(), 1), |rest| (rest, -1));
    let mut total = Span::ZERO;
    let mut words = text.split_whitespace();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        let span = if word.contains(':') {
            clock(word)?
        } else {
            let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
            let (number, unit) = word.split_at(split);
            let unit = if unit.is_empty() { words.next().unwrap_or("s") } else { unit };
            scaled(number, unit_micros(unit)?)?
        };
        total = total + span;
    }
    any.then(|| total.times(sign))
}

fn unit_micros(unit: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000;
    Some(match unit {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => 1,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "week" | "weeks" => 7 * 86_400 * SECOND,
        "mon" | "mons" | "month" | "months" => 30 * 86_400 * SECOND,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600 * SECOND,
        _ => return None,
    })
}

/// `[-]hours:minutes[:seconds[.fraction]]`.
fn clock(word: &str) -> Option<Span> {
    let (digits, sign) = word.strip_prefix('-').map_or((word, 1), |rest| (rest, -1));
    let mut parts = digits.trim_start_matches('+').split(':');
    let hours = scaled(parts.next()?, 3_600_000_000)?;
    let minutes = scaled(parts.next()?, 60_000_000)?;
    let seconds = parts.next().map_or(Some(Span::ZERO), |part| scaled(part, 1_000_000))?;
    parts.next().is_none().then(|| (hours + minutes + seconds).times(sign))
}

/// A decimal number of units, exact to the microsecond.
fn scaled(number: &str, unit: i64) -> Option<Span> {
    let (digits, sign) = number.strip_prefix('-').map_or((number, 1), |rest| (rest, -1));
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut micros = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        micros = micros.checked_add(i64::from(digit - b'0') * place)?;
    }
    Some(Span::micros(micros * sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_prints_is_read() {
        for (text, millis) in [
            ("00:00:00", 0),
            ("01:02:03.25", 3_723_250),
            ("-00:00:01", -1_000),
            ("3 days", 259_200_000),
            ("1 mon 2 days 00:00:01", 2_764_801_000),
            ("1 year", 31_557_600_000),
            ("@ 5 mins ago", -300_000),
            ("0.01", 10),
            ("1.5h", 5_400_000),
            ("10 ms", 10),
        ] {
            assert_eq!(parse_interval(text), Some(Span::millis(millis)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_not() {
        for text in
            ["", "x", "1 fortnight", "1:2:3:4", "--1 s", "1..2 s", "99999999999999999999 s", "9223372036854775807 y"]
        {
            assert_eq!(parse_interval(text), None, "{text}");
        }
    }
}
