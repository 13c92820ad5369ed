//! Points in time and lengths of time, as plain numbers. The caller reads the clock.

use std::fmt;
use std::ops::{Add, Sub};

/// A point in time, in microseconds since the Unix epoch. Postgres has the same resolution.
///
/// ```
/// use pgasync_core::{Span, Timestamp};
/// let start = Timestamp::from_micros(0);
/// assert!(start + Span::seconds(1) < start + Span::seconds(2));
/// assert_eq!(Timestamp::NEVER + Span::seconds(1), Timestamp::NEVER);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than every other time: `infinity` in Postgres.
    pub const NEVER: Self = Self(i64::MAX);

    /// The time this many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch; `i64::MAX` for [`Timestamp::NEVER`].
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// Adding saturates, and never leaves [`Timestamp::NEVER`].
impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        if self == Self::NEVER {
            return self;
        }
        Self(self.0.saturating_add(span.0))
    }
}

/// The time from the right to the left one, saturating.
impl Sub for Timestamp {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A point in time on a clock that never steps, in microseconds since an arbitrary beginning.
///
/// Timers and spans use this clock, so that a step of the server's clock does not move them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MonotonicTime(i64);

impl MonotonicTime {
    /// Later than every other time.
    pub const NEVER: Self = Self(i64::MAX);

    /// The time this many microseconds after the clock's beginning.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's beginning.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// Adding saturates, and never leaves [`MonotonicTime::NEVER`].
impl Add<Span> for MonotonicTime {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        if self == Self::NEVER {
            return self;
        }
        Self(self.0.saturating_add(span.0))
    }
}

/// The time from the right to the left one, saturating.
impl Sub for MonotonicTime {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// One moment on both clocks. Timers use the monotonic clock. Rows use the clock of the server,
/// which may step.
///
/// ```
/// use pgasync_core::{MonotonicTime, Now, Span, Timestamp};
/// let now = Now { monotonic: MonotonicTime::from_micros(5), server: Timestamp::from_micros(1_000) };
/// assert_eq!(now.monotonic_at(Timestamp::from_micros(1_002)), MonotonicTime::from_micros(7));
/// assert_eq!(now.monotonic_at(Timestamp::NEVER), MonotonicTime::NEVER);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Now {
    /// On the clock that never steps.
    pub monotonic: MonotonicTime,
    /// By the server's clock.
    pub server: Timestamp,
}

impl Now {
    /// The moment this many microseconds after the beginning of both clocks.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self { monotonic: MonotonicTime(micros), server: Timestamp(micros) }
    }

    /// The monotonic time of a time of the server, if the server's clock does not step.
    #[must_use]
    pub fn monotonic_at(&self, time: Timestamp) -> MonotonicTime {
        if time == Timestamp::NEVER { MonotonicTime::NEVER } else { self.monotonic + (time - self.server) }
    }
}

/// Advances both clocks.
impl Add<Span> for Now {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self { monotonic: self.monotonic + span, server: self.server + span }
    }
}

/// A length of time in microseconds. It may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// This many microseconds.
    #[must_use]
    pub const fn micros(micros: i64) -> Self {
        Self(micros)
    }

    /// This many milliseconds.
    #[must_use]
    pub const fn millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// This many seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This span multiplied by `factor`, saturating.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// This span, doubled `times` times, saturating.
    #[must_use]
    pub(crate) fn doubled(self, times: u32) -> Self {
        // A longer shift would leave no bit of the factor.
        self.times(1 << times.min(62))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_keep_their_microseconds() {
        for micros in [i64::MIN, -1, 0, 1, 7, i64::MAX] {
            assert_eq!(Timestamp::from_micros(micros).as_micros(), micros);
            assert_eq!(MonotonicTime::from_micros(micros).as_micros(), micros);
            assert_eq!(Span::micros(micros).as_micros(), micros);
        }
        assert_eq!(Span::millis(2), Span::micros(2_000));
        assert_eq!(Span::seconds(2), Span::micros(2_000_000));
    }

    #[test]
    fn a_span_is_printed_in_seconds_with_its_sign() {
        for (micros, text) in [
            (0, "0.000000 s"),
            (1, "0.000001 s"),
            (-1, "-0.000001 s"),
            (1_500_000, "1.500000 s"),
            (-61_000_002, "-61.000002 s"),
            (i64::MIN, "-9223372036854.775808 s"),
        ] {
            assert_eq!(Span::micros(micros).to_string(), text);
        }
    }

    #[test]
    fn a_span_that_is_doubled_saturates() {
        assert_eq!(Span::micros(3).doubled(0), Span::micros(3));
        assert_eq!(Span::micros(1).doubled(61), Span::micros(1 << 61));
        assert_eq!(Span::micros(1).doubled(62), Span::micros(1 << 62));
        for times in [63, 64, u32::MAX] {
            assert_eq!(Span::micros(1).doubled(times), Span::micros(1 << 62), "{times}");
            assert_eq!(Span::seconds(1).doubled(times), Span::micros(i64::MAX), "{times}");
        }
    }
}
