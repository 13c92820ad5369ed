//! Lengths of time as Postgres writes and reads them.

use std::fmt;

use crate::time::Span;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// An interval as Postgres stores it. Each part has its own sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    months: i64,
    days: i64,
    micros: i64,
}

/// A unit of time, as a number of microseconds, days or months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros(i64),
    Days(i64),
    Months(i64),
}

impl Interval {
    /// Reads an interval in the common forms: `1 hour`, `2 days 03:00:00`, `00:05:00.5`, `1.5 h`,
    /// `P1DT2H`. `infinity` is not read.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        if let Some(rest) = text.strip_prefix('P') {
            return iso(rest);
        }
        let lower = text.trim_start_matches('@').to_ascii_lowercase();
        let (text, sign) = lower.strip_suffix(" ago").map_or((lower.as_str(), 1), |rest| (rest, -1));
        let mut total = Self::default();
        let mut seen = Vec::new();
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if word.contains(':') {
                mark(&mut seen, &["h", "m", "s"])?;
                total.micros = total.micros.checked_add(clock(word)?.as_micros())?;
                continue;
            }
            let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
            let (number, unit) = word.split_at(split);
            let unit = match (unit, words.peek()) {
                // A number before `hours:minutes` is a number of days.
                ("", Some(next)) if next.contains(':') => "d",
                ("", _) => words.next().unwrap_or("s"),
                (unit, _) => unit,
            };
            let (name, unit) = unit_of(unit)?;
            mark(&mut seen, &[name])?;
            total.add(number, unit)?;
        }
        (!seen.is_empty()).then(|| total.times(sign)).flatten()
    }

    /// The length of the interval, as `extract(epoch from ...)` computes it.
    pub(super) fn span(self) -> Option<Span> {
        let years = (self.months / 12).checked_mul(31_557_600 * SECOND)?;
        let months = (self.months % 12).checked_mul(30 * DAY)?;
        let days = self.days.checked_mul(DAY)?;
        Some(Span::micros(years.checked_add(months)?.checked_add(days)?.checked_add(self.micros)?))
    }

    /// The value by which Postgres compares intervals: a month is 30 days, a year is 360 days.
    pub(super) fn ordinal(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.micros)
    }

    fn times(self, sign: i64) -> Option<Self> {
        let Self { months, days, micros } = self;
        Some(Self {
            months: months.checked_mul(sign)?,
            days: days.checked_mul(sign)?,
            micros: micros.checked_mul(sign)?,
        })
    }

    /// Adds a decimal number of units. The fraction of a unit is added in smaller units.
    fn add(&mut self, number: &str, unit: Unit) -> Option<()> {
        match unit {
            Unit::Micros(unit) => self.micros = self.micros.checked_add(scaled(number, unit)?.as_micros())?,
            Unit::Days(unit) => {
                let micros = scaled(number, unit.checked_mul(DAY)?)?.as_micros();
                self.days = self.days.checked_add(micros / DAY)?;
                self.micros = self.micros.checked_add(micros % DAY)?;
            }
            // The fraction of a month counts 30 days for a month. The fraction of a year is rounded
            // to months.
            Unit::Months(1) => {
                let micros = scaled(number, 30 * DAY)?.as_micros();
                self.months = self.months.checked_add(micros / (30 * DAY))?;
                self.days = self.days.checked_add(micros % (30 * DAY) / DAY)?;
                self.micros = self.micros.checked_add(micros % DAY)?;
            }
            Unit::Months(unit) => {
                let millionths = scaled(number, unit.checked_mul(SECOND)?)?.as_micros();
                let half = if millionths < 0 { -SECOND / 2 } else { SECOND / 2 };
                self.months = self.months.checked_add(millionths.checked_add(half)? / SECOND)?;
            }
        }
        Some(())
    }
}

fn mark(seen: &mut Vec<&'static str>, names: &[&'static str]) -> Option<()> {
    if names.iter().any(|name| seen.contains(name)) {
        return None;
    }
    seen.extend(names);
    Some(())
}

/// Reads the part after the `P` of an ISO 8601 duration: `1Y2M3DT4H5M6S`.
fn iso(text: &str) -> Option<Interval> {
    let mut total = Interval::default();
    let mut seen = Vec::new();
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    if date.is_empty() && time.is_none_or(str::is_empty) {
        return None;
    }
    for (part, in_time) in [(Some(date), false), (time, true)] {
        let mut rest = part.unwrap_or_default();
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
            let (letter, after) = after.split_at(1);
            let (name, unit) = match (letter, in_time) {
                ("Y", false) => ("y", Unit::Months(12)),
                ("M", false) => ("mon", Unit::Months(1)),
                ("W", false) => ("w", Unit::Days(7)),
                ("D", false) => ("d", Unit::Days(1)),
                ("H", true) => ("h", Unit::Micros(3_600 * SECOND)),
                ("M", true) => ("m", Unit::Micros(60 * SECOND)),
                ("S", true) => ("s", Unit::Micros(SECOND)),
                _ => return None,
            };
            mark(&mut seen, &[name])?;
            total.add(number, unit)?;
            rest = after;
        }
    }
    Some(total)
}

fn unit_of(unit: &str) -> Option<(&'static str, Unit)> {
    Some(match unit {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond" | "microseconds" => {
            ("us", Unit::Micros(1))
        }
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
            ("ms", Unit::Micros(1_000))
        }
        "s" | "sec" | "secs" | "second" | "seconds" => ("s", Unit::Micros(SECOND)),
        "m" | "min" | "mins" | "minute" | "minutes" => ("m", Unit::Micros(60 * SECOND)),
        "h" | "hr" | "hrs" | "hour" | "hours" => ("h", Unit::Micros(3_600 * SECOND)),
        "d" | "day" | "days" => ("d", Unit::Days(1)),
        "w" | "week" | "weeks" => ("w", Unit::Days(7)),
        "mon" | "mons" | "month" | "months" => ("mon", Unit::Months(1)),
        "y" | "yr" | "yrs" | "year" | "years" => ("y", Unit::Months(12)),
        "dec" | "decs" | "decade" | "decades" => ("dec", Unit::Months(120)),
        "c" | "cent" | "century" | "centuries" => ("c", Unit::Months(1_200)),
        "mil" | "mils" | "millennium" | "millennia" => ("mil", Unit::Months(12_000)),
        _ => return None,
    })
}

/// `[-]hours:minutes[:seconds[.fraction]]`.
fn clock(word: &str) -> Option<Span> {
    let (digits, sign) = word.strip_prefix('-').map_or((word, 1), |rest| (rest, -1));
    let mut parts = digits.strip_prefix('+').unwrap_or(digits).split(':');
    let whole = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then_some(());
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    whole(hours)?;
    whole(minutes)?;
    let (minutes, seconds) = (scaled(minutes, SECOND)?, scaled(seconds, SECOND)?);
    if parts.next().is_some() || minutes >= Span::seconds(60) || seconds > Span::seconds(60) || seconds < Span::ZERO {
        return None;
    }
    Some((scaled(hours, 3_600 * SECOND)? + minutes.times(60) + seconds).times(sign))
}

/// Reads a decimal number of units, exact to the microsecond.
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
    Some(Span::micros(micros).times(sign))
}

/// A span as a text from which Postgres and [`Interval::read`] read the same value.
pub(super) struct AsInterval(pub(super) Span);

impl fmt::Display for AsInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros % SECOND == 0 { write!(f, "{} seconds", micros / SECOND) } else { write!(f, "{micros} microseconds") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Span> {
        Interval::read(text)?.span()
    }

    #[test]
    fn intervals_compare_as_postgres_compares_them() {
        for (text, days) in [
            ("2 months", 60),
            ("2 months 3 days", 63),
            ("1 year", 360),
            ("1 year -360 days", 0),
            ("1.5 months", 45),
            ("2.5 months", 75),
            ("-1.5 months", -45),
        ] {
            let ordinal = Interval::read(text).map(Interval::ordinal);
            assert_eq!(ordinal, Some(days * i128::from(DAY)), "{text}");
        }
    }

    #[test]
    fn the_fraction_of_a_year_is_rounded_to_months() {
        for (text, months) in [("1.96 years", 24), ("1.95 years", 23), ("-1.96 years", -24), ("-1.95 years", -23)] {
            assert_eq!(Interval::read(text).map(|interval| interval.months), Some(months), "{text}");
        }
    }

    #[test]
    fn what_postgres_prints_is_read() {
        for (text, millis) in [
            ("00:00:00", 0),
            ("01:02:03.25", 3_723_250),
            ("-00:00:01", -1_000),
            ("3 days", 259_200_000),
            ("1 mon 2 days 00:00:01", 2_764_801_000),
            ("1 year", 31_557_600_000),
            ("12 mons", 31_557_600_000),
            ("@ 5 mins ago", -300_000),
            ("0.01", 10),
            ("1.5h", 5_400_000),
            ("10 ms", 10),
            ("2 weeks", 1_209_600_000),
            ("1.5 weeks", 907_200_000),
            ("2.75 mons", 82 * 86_400_000 + 43_200_000),
            ("1 decade", 315_576_000_000),
            ("0.5 years", 15_552_000_000),
            ("-0.5 years", -15_552_000_000),
            ("0.04 years", 0),
            ("0.05 years", 30 * 86_400_000),
            ("3 04:05:06", 273_906_000),
            ("P1D", 86_400_000),
            ("P1Y2M3DT4H5M6.5S", 31_557_600_000 + 63 * 86_400_000 + 14_706_500),
            ("PT-5S", -5_000),
            ("P2W", 1_209_600_000),
            (" P1D\t", 86_400_000),
            ("\x0bP1D\x0b", 86_400_000),
            ("1 hour ago ", -3_600_000),
            ("00:00:60", 60_000),
            ("00:00:59.999", 59_999),
            ("-01:00", -3_600_000),
            ("+01:00", 3_600_000),
            ("-1.5", -1_500),
        ] {
            assert_eq!(parse(text), Some(Span::millis(millis)), "{text}");
        }
    }

    #[test]
    fn every_unit_has_its_length_under_each_of_its_names() {
        for (names, length) in [
            ("us usec usecs usecond useconds microsecon microsecond microseconds", Span::micros(1)),
            ("ms msec msecs msecond mseconds millisecond milliseconds", Span::millis(1)),
            ("s sec secs second seconds", Span::seconds(1)),
            ("m min mins minute minutes", Span::seconds(60)),
            ("h hr hrs hour hours", Span::seconds(3_600)),
            ("d day days", Span::seconds(86_400)),
            ("w week weeks", Span::seconds(7 * 86_400)),
            ("mon mons month months", Span::seconds(30 * 86_400)),
            ("y yr yrs year years", Span::seconds(31_557_600)),
            ("dec decs decade decades", Span::seconds(315_576_000)),
            ("c cent century centuries", Span::seconds(3_155_760_000)),
            ("mil mils millennium millennia", Span::seconds(31_557_600_000)),
        ] {
            for name in names.split(' ') {
                assert_eq!(parse(&format!("1 {name}")), Some(length), "{name}");
                assert_eq!(parse(&format!("3{}", name.to_uppercase())), Some(length.times(3)), "{name}");
                assert_eq!(parse(&format!("1 {name} 1{name}")), None, "{name} twice");
            }
        }
    }

    #[test]
    fn nonsense_is_not() {
        for text in [
            "",
            "x",
            "1 fortnight",
            "1:2:3:4",
            "--1 s",
            "1..2 s",
            "99999999999999999999 s",
            "9223372036854775807 y",
            "1 day 2 days",
            "1 hour 00:05:00",
            "00:60:00",
            "00:00:60.5",
            "00:00:61",
            "00:00:-1",
            "1:-05:00",
            ":05:00",
            "1:",
            "1:2x",
            "-",
            ".",
            "1 s 2",
            "P1D2D",
            "PT1D",
            "P",
            "PT",
            "P1H",
            "p1d",
            "P1",
            "infinity",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for span in [Span::ZERO, Span::micros(1), Span::micros(-1), Span::seconds(3_600), Span::millis(1_500)] {
            assert_eq!(parse(&AsInterval(span).to_string()), Some(span));
        }
    }

    #[test]
    fn a_month_compares_as_30_days_and_a_year_as_360() {
        let ordinal = |text: &str| Interval::read(text).expect(text).ordinal();
        assert_eq!(ordinal("2 mons 3 days 00:00:01"), i128::from(63 * DAY + SECOND));
        assert_eq!(ordinal("1 year"), i128::from(360 * DAY));
        assert_eq!(ordinal("1 mon -31 days"), i128::from(-DAY));
    }
}
